"""Which attribute is kept, cleaned, emptied, replaced or removed, and by what authority.

PS3.15 table E.1-1 comes from the package dicom-anonymizer. It is a list of what must go; by itself it leaves every
attribute that the standard gained since, and every text that it doesn't name. So it decides first, and what it says
nothing about is decided by the kind of value: numbers stay, text and bytes go unless they are known to be harmless.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.datadict import dictionary_has_tag, keyword_for_tag

TEXT_VR: Final = frozenset(("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
DATE_VR: Final = frozenset(("DA", "DT", "TM"))
BYTES_VR: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_PATIENT_GROUP: Final = 0x0010
_OVERLAYS_AND_CURVES: Final = (0x6000, 0x5000)
_SHORT_NUMBER: Final = re.compile(r"\d{1,3}(?:[.,]\d{1,2})?(?:mm|s|sec|min|kv|ml|hu|cm)?")
_WORD: Final = re.compile(r"[^\W_]+(?:[.,]\d+)?", re.UNICODE)
_TABLE: Final = {
    "X_TAGS": "X", "Z_TAGS": "Z", "D_TAGS": "D", "U_TAGS": "U", "Z_D_TAGS": "D", "X_Z_TAGS": "Z", "X_D_TAGS": "D",
    "X_Z_D_TAGS": "D", "X_Z_U_STAR_TAGS": "C",
}  # fmt: skip


class Action(Enum):
    """What becomes of an attribute."""

    KEEP = auto()
    REMOVE = auto()
    EMPTY = auto()
    DUMMY = auto()
    MAP_UID = auto()
    SHIFT = auto()
    CLEAN_TEXT = auto()
    CLEAN_ITEMS = auto()


_BY_LETTER: Final = {
    "X": Action.REMOVE, "Z": Action.EMPTY, "D": Action.DUMMY, "U": Action.MAP_UID, "C": Action.EMPTY,
}  # fmt: skip


@dataclass(frozen=True)
class SafePrivate:
    """Private numbers that values mean nothing without."""

    creator: str
    group: int
    elements: tuple[int, ...]


class DeidentifyRules:
    """The lists of ``deidentify.toml`` and the table of the standard, ready to be asked."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table
        database = dicom_anonymization_database_selector(table["table"])
        self._by_table: dict[int, str] = {}
        # What the stricter action is listed under last wins.
        for name, letter in reversed(list(_TABLE.items())):
            for entry in database[name]:
                if len(entry) == 2:
                    self._by_table[entry[0] << 16 | entry[1]] = letter
        self._keep_text = frozenset(table["keep_text"])
        self._keep_bytes = frozenset(table["keep_bytes"])
        self._clean_text = frozenset(table["clean_text"])
        self._dummy_text = frozenset(table["dummy_text"])
        self._empty_text = frozenset(table["empty_text"])
        self._remove = frozenset(table["remove"])
        self.coding_schemes = frozenset(table["coding_schemes"])
        self._words = frozenset(table["vocabulary"]["words"])
        self.safe_private = tuple(
            SafePrivate(row["creator"].casefold(), row["group"], tuple(row["elements"]))
            for row in table["safe_private"]
        )

    @property
    def tags_of_the_table(self) -> frozenset[int]:
        """Every single attribute that table E.1-1 names."""
        return frozenset(self._by_table)

    def action(self, tag: int, vr: str) -> Action:
        """What becomes of a standard attribute; private ones are asked for by :attr:`safe_private`.

        Args:
            tag: Group and element.
            vr: Value representation as the file or the dictionary has it.
        """
        group, element = tag >> 16, tag & 0xFFFF
        keyword = keyword_for_tag(tag)
        foreign = group & 1 or element == 0 or group <= 0x0006 or group & 0xFF00 in _OVERLAYS_AND_CURVES
        if foreign or not dictionary_has_tag(tag) or keyword in self._remove:
            return Action.REMOVE
        if keyword in self._clean_text:
            return Action.CLEAN_TEXT
        if vr in DATE_VR:
            return Action.EMPTY if group == _PATIENT_GROUP else Action.SHIFT
        letter = self._by_table.get(tag, "")
        if vr == "SQ":
            return {"X": Action.REMOVE, "Z": Action.EMPTY}.get(letter, Action.CLEAN_ITEMS)
        return _BY_LETTER[letter] if letter else self._by_kind(keyword, vr)

    def without_dates(self, tag: int) -> Action:
        """What becomes of a date or time that is not shifted."""
        return _BY_LETTER.get(self._by_table.get(tag, ""), Action.REMOVE)

    def _by_kind(self, keyword: str, vr: str) -> Action:
        if vr == "UI":
            return Action.MAP_UID
        if keyword in self._empty_text:
            return Action.EMPTY
        if vr in TEXT_VR and keyword not in self._keep_text:
            return Action.DUMMY if keyword in self._dummy_text else Action.REMOVE
        if vr in BYTES_VR and keyword not in self._keep_bytes:
            return Action.REMOVE
        return Action.KEEP

    def needs_value(self, keyword: str) -> bool:
        """Whether cleaned text must not be left empty."""
        return keyword in self._dummy_text or keyword == "ContrastBolusAgent"

    def clean(self, text: str, identity: re.Pattern[str]) -> str:
        """The words of ``text`` that are in the vocabulary and no part of the patient's identity."""
        kept = []
        for word in _WORD.findall(text):
            plain = "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))
            known = plain in self._words or _SHORT_NUMBER.fullmatch(plain)
            if known and plain.isascii() and not identity.fullmatch(word):
                kept.append(plain)
        return " ".join(kept)[:64]
