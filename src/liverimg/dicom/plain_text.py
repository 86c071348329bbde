"""Descriptions as rules compare them: lower case, no accents on Latin letters."""

from __future__ import annotations

import unicodedata


def plain_text(text: str) -> str:
    """Lower case, without accents on Latin letters; other scripts are left whole."""
    return without_accents(text.casefold())


def without_accents(text: str) -> str:
    """Without combining marks of the Latin kind."""
    apart = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(c for c in apart if not "\u0300" <= c <= "\u036f"))
