"""New names for old ones, dates moved together, and finding a person's words in text."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_keyword, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from liverimg.dicom.deidentify_rules import BYTES_VR, Action, DeidentifyRules

REMOVED: Final = "REMOVED"
DUMMIES: Final = {
    "DA": "19000101", "TM": "000000", "DT": "19000101000000", "AS": "000Y", "DS": "0", "IS": "0", "FL": 0.0, "FD": 0.0,
    "SL": 0, "SS": 0, "UL": 0, "US": 0, "SV": 0, "UV": 0, "UR": "http://removed.invalid",
} | dict.fromkeys(BYTES_VR, bytes(8))  # fmt: skip
_MOST_DAYS: Final = 3650
_LEAST_DAYS: Final = 30
_MOST_SECONDS: Final = 1740


@dataclass(frozen=True)
class Pseudonyms:
    """New names for old ones, the same within and, with the same salt, between runs.

    Attributes:
        uid_salt: Secret that new UIDs come from; nobody can go back.
        patient_id: New PatientID and PatientName.
        offset: Added to every date and time of the patient; None when they are removed.
    """

    uid_salt: bytes = field(repr=False)
    patient_id: str
    offset: timedelta | None = field(repr=False)

    @classmethod
    def of_patient(
        cls, salt: bytes, original_id: str, *, uid_salt: bytes, patient_id: str | None, keep_dates: bool
    ) -> Pseudonyms:
        """Pseudonyms of one patient; dates move into the past, by between a month and ten years."""
        number = int.from_bytes(_digest(salt, "shift", original_id)[:8], "big")
        days = _LEAST_DAYS + number % (_MOST_DAYS - _LEAST_DAYS)
        seconds = 1 + (number >> 32) % _MOST_SECONDS
        made_up = f"ANON-{_digest(salt, 'patient', original_id).hex()[:12].upper()}"
        offset = -timedelta(days=days, seconds=seconds) if keep_dates else None
        return cls(uid_salt, patient_id or made_up, offset)

    def uid(self, original: str) -> str:
        """The new UID for an old one (2.25, PS3.5 B.2)."""
        return f"2.25.{int.from_bytes(_digest(self.uid_salt, 'uid', original)[:16], 'big')}"


def _digest(salt: bytes, use: str, value: str) -> bytes:
    return hmac.new(salt, f"{use}\0{value}".encode("utf-8", "replace"), hashlib.sha256).digest()


class Clock:
    """The dates and times of one level, moved together: a time that passes midnight takes its date along."""

    def __init__(self, rules: DeidentifyRules, offset: timedelta | None) -> None:
        self._rules = rules
        self._offset = offset
        self._elements: dict[int, tuple[str, list[str]]] = {}

    def add(self, element: DataElement, vr: str) -> None:
        """Takes a date or time in; nothing is written before :meth:`write`."""
        self._elements[int(element.tag)] = (vr, [str(v).strip("\0 ") for v in values_of(element)])

    def write(self, made: Dataset) -> None:
        """Puts what could be moved into ``made``; what is no date or time can't be, and is left empty."""
        for tag, (vr, values) in self._elements.items():
            moved = [self._moved(tag, vr, n, value) for n, value in enumerate(values)] if self._offset else []
            known = [value for value in moved if value]
            action = Action.KEEP if known else self._rules.without_dates(tag)
            if action is Action.KEEP:
                made.add_new(BaseTag(tag), vr, known if len(known) > 1 else known[0])
            elif action is not Action.REMOVE:
                made.add_new(BaseTag(tag), vr, DUMMIES[vr] if action is Action.DUMMY and any(values) else None)

    def _moved(self, tag: int, vr: str, number: int, value: str) -> str:
        assert self._offset is not None
        if vr == "DT":
            return shift_moment(value, "", self._offset, "DT")
        if vr == "DA":
            return shift_moment(value, self._partner(tag, "Date", "Time", number), self._offset, "DA")
        date = self._partner(tag, "Time", "Date", number) or "20000215"
        return shift_moment(date, value, self._offset, "TM")

    def _partner(self, tag: int, own: str, other: str, number: int) -> str:
        """The value of the time that belongs to a date, or the date that belongs to a time; empty without one."""
        keyword = dictionary_keyword(tag) if dictionary_has_tag(tag) else ""
        if not keyword.endswith(own):
            return ""
        partner = tag_for_keyword(keyword.removesuffix(own) + other)
        _, values = self._elements.get(partner or 0, ("", []))
        return values[number] if number < len(values) else ""


_DATE: Final = re.compile(r"(\d{4})[.]?(\d{2})[.]?(\d{2})")
_TIME: Final = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})([.]\d{1,6})?)?)?")


def shift_moment(date: str, time: str, offset: timedelta, wanted: str) -> str:
    """One date, time or date-time moved by ``offset``; empty when it is none. Precision stays what it was."""
    if wanted == "DT":
        date, time = date[:8], re.split("[+-]", date[8:])[0]
    day = _DATE.fullmatch(date)
    clock = _TIME.fullmatch(time) if time else None
    if day is None or (time and clock is None and wanted != "DA"):
        return ""
    hours, minutes, seconds, fraction = clock.groups() if clock is not None else ("12", None, None, None)
    try:
        year, month, date_of_month = (int(part) for part in day.groups())
        moment = datetime(year, month, date_of_month, int(hours), int(minutes or 0), min(int(seconds or 0), 59))
        moved = moment + offset
    except (ValueError, OverflowError):
        return ""
    if wanted == "DA":
        return f"{moved:%Y%m%d}"
    text = f"{moved:%H%M%S}{fraction or ''}"
    text = text if seconds is not None else text[:4] if minutes is not None else text[:2]
    return text if wanted == "TM" else f"{moved:%Y%m%d}" + (text if clock is not None else "")


def is_standard(uid: str) -> bool:
    """Whether a UID is one of the standard's own (PS3.6 annex A): of a class, a syntax, a scheme."""
    return bool(uid) and UID(uid).name != uid


def values_of(element: DataElement) -> list[Any]:
    """The values of an element, however many it has."""
    if element.value is None or element.value == "":
        return []
    many = not isinstance(element.value, str | bytes) and isinstance(element.value, Iterable) and element.VM != 1
    return list(element.value) if many else [element.value]
