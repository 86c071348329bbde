"""UIDs and AE titles: what a legal one looks like, and what may become a name of a file or a word in a log."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from liverimg.core.errors import UsageError

# PS3.5 section 9.1: digits and single dots, at most 64. A leading zero in a component is illegal and common.
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_LONGEST_UID: Final = 64
# PS3.5 table 6.2-1, AE: the default repertoire without backslash and control characters, at most 16.
_AE_TITLE: Final = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")
_OPAQUE_LETTERS: Final = 32


def is_uid(text: str) -> bool:
    """Whether it is a UID of digits and dots, and so harmless as the name of a file."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def require_uid(text: str, *, what: str) -> str:
    """The UID without padding.

    Raises:
        UsageError: It is none.
    """
    uid = text.strip(" \0")
    if not is_uid(uid):
        raise UsageError(f"{what} is no UID; expected digits and dots, at most {_LONGEST_UID}")
    return uid


def opaque(uid: str) -> str:
    """A name for a folder, a file or a log line that says nothing about whose it is."""
    return sha256(uid.encode("utf-8", "surrogateescape")).hexdigest()[:_OPAQUE_LETTERS]


def short(key: str) -> str:
    """An opaque name as logs show it."""
    return key[:12]


def require_ae_title(text: object, *, what: str) -> str:
    """A legal AE title without the blanks around it.

    Raises:
        UsageError: It is none.
    """
    title = text.strip() if isinstance(text, str) else ""
    if not title or _AE_TITLE.fullmatch(title) is None:
        raise UsageError(f"{what} is {text!r}; expected an AE title: 1 to 16 plain characters, no backslash")
    return title


def printable(text: str, *, longest: int = 64) -> str:
    """A foreign text for a terminal or a log: control characters and line ends become question marks."""
    return "".join(c if c.isprintable() else "?" for c in text[:longest])
