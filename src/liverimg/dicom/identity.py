"""Finding the patient's names and numbers in free text, in every script that a header can be written in."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

# Latin words of one or two letters are too common to be taken for a name.
_FEWEST_LETTERS: Final = 3
# Chinese, Japanese and Korean names are often of two signs, and stand in a text without spaces around them.
_FEWEST_SIGNS: Final = 2
_BETWEEN_GROUPS: Final = re.compile(r"=")
_BETWEEN_WORDS: Final = re.compile(r"[\^\\\s,;/]+")


def identity_pattern(values: Iterable[str]) -> re.Pattern[str]:
    """Finds any word of the patient's names and numbers: whole words, or signs wherever they stand.

    Args:
        values: PatientName with its component groups (``Yamada^Tarou=山田^太郎``, PS3.5 section 6.2.1.1), PatientID
            and the like.
    """
    words: set[str] = set()
    for value in values:
        for group in _BETWEEN_GROUPS.split(value):
            parts = [part for part in _BETWEEN_WORDS.split(group) if part]
            # A family name of one sign is found together with the given name.
            words |= {*parts, group.strip(), *(["".join(parts)] if all(map(_is_of_signs, parts)) else [])}
        words.add(value.strip())
    spaced = {re.escape(word) for word in words if not _is_of_signs(word) and len(word) >= _FEWEST_LETTERS}
    signs = {re.escape(word) for word in words if _is_of_signs(word) and len(word) >= _FEWEST_SIGNS}
    patterns = []
    if spaced:
        patterns.append(rf"(?<![^\W_])(?:{_alternatives(spaced)})(?![^\W_])")
    if signs:
        patterns.append(f"(?:{_alternatives(signs)})")
    return re.compile("|".join(patterns) or r"(?!)", re.IGNORECASE)


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=lambda word: (-len(word), word)))


def _is_of_signs(word: str) -> bool:
    """Whether a word is of Chinese, Japanese or Korean signs alone."""
    return bool(word) and all(unicodedata.east_asian_width(sign) in "WF" for sign in word)
