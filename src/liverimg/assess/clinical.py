"""The clinical file: what a person gives, checked and brought to one unit before anything is judged."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from liverimg.assess.band import show, unit_words
from liverimg.core.errors import RecordInvalidError
from liverimg.core.vocabulary import ClinicalItem, Vocabulary

# Nothing compares with NaN, and a whole number of TOML may be larger than any float.
_LARGEST = sys.float_info.max
_STUDY_DATE = "study_date"
_SITES = "lesion_site"
_UNKNOWN = "unknown"
# A number that was converted keeps this many digits, so that 3 mg/dl is the threshold of 3 mg/dl exactly.
_DIGITS = 9


@dataclass(frozen=True)
class Clinical:
    """What is known of the patient beside the images.

    Attributes:
        numbers: By item, in the item's unit.
        words: By item, in lower case.
        sites: Where a lesion lies, by lesion id, as a reader says.
    """

    numbers: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    sites: Mapping[str, str] = field(default_factory=dict)

    def has(self, item: str) -> bool:
        """Whether the item was given, or follows from dates that were."""
        return item in self.numbers or item in self.words


def read_clinical(
    given: Mapping[str, object],
    vocabulary: Vocabulary,
    *,
    sites: tuple[str, ...] = (),
    study_date: date | None = None,
) -> Clinical:
    """Checks what was given.

    Args:
        given: As the clinical file has it.
        vocabulary: The items that may be given.
        sites: The words for a lesion's site.
        study_date: Day of the scan, where it is known.

    Raises:
        RecordInvalidError: An item that nobody knows, a number that no patient has, a word that is none of the
            item's, or one number given twice.
    """
    found = Clinical({}, {}, _read_sites(given.get(_SITES, {}), sites))
    numbers: dict[str, float] = {}
    words: dict[str, str] = {}
    dates: dict[str, date] = {} if study_date is None else {_STUDY_DATE: study_date}
    keys = {key: item for item in vocabulary.items.values() for key in (item.key, *item.also)}
    for key, value in given.items():
        if key == _SITES:
            continue
        item = keys.get(key)
        if item is None:
            raise RecordInvalidError(
                f"the clinical file has {key!r}, which no rule knows; expected some of the items of "
                f"docs/reference/clinical-file.md, such as {', '.join(list(keys)[:4])}"
            )
        if isinstance(value, str) and value.strip().lower() == _UNKNOWN:
            continue
        if item.kind == "word":
            words[item.key] = _word(item, value)
        elif item.kind == "date":
            dates[item.key] = _date(item, value)
        elif item.key in numbers:
            raise RecordInvalidError(f"the clinical file gives {item.key} twice, once as {key!r}; give it once")
        else:
            numbers[item.key] = _number(item, key, value)
    return Clinical({**_days(vocabulary, dates, numbers), **numbers}, words, found.sites)


def _days(vocabulary: Vocabulary, dates: Mapping[str, date], numbers: Mapping[str, float]) -> dict[str, float]:
    """The days between dates; a number given in their stead must agree with them."""
    found = {}
    for item in vocabulary.items.values():
        if item.between is None or not set(item.between) <= set(dates):
            continue
        earlier, later = item.between
        days = float((dates[later] - dates[earlier]).days)
        if item.key in numbers and numbers[item.key] != days:
            raise RecordInvalidError(
                f"the clinical item {item.key} is {show(numbers[item.key])}, but {earlier} and {later} lie "
                f"{show(days)} days apart; give one of them"
            )
        found[item.key] = days
    return found


def _number(item: ClinicalItem, key: str, given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) <= _LARGEST:
        raise RecordInvalidError(f"the clinical item {key} is {given!r}; expected a finite number")
    factor = item.also.get(key, 1.0)
    value = float(f"{given * factor:.{_DIGITS}g}")
    if item.plausible is not None and not item.plausible[0] <= value <= item.plausible[1]:
        low, high = (show(end / factor) for end in item.plausible)
        unit = unit_words(item.unit) if key == item.key else " in the unit that the key names"
        raise RecordInvalidError(
            f"the clinical item {key} is {given}; expected {low} to {high}{unit}: check the number and its unit"
        )
    return value


def _word(item: ClinicalItem, given: object) -> str:
    word = given.strip().lower() if isinstance(given, str) else ""
    if word not in item.words:
        raise RecordInvalidError(
            f"the clinical item {item.key} is {given!r}; expected one of: {', '.join(item.words)}; leave it out or "
            'say "unknown" when it is not known'
        )
    return word


def _date(item: ClinicalItem, given: object) -> date:
    if isinstance(given, date):
        # A date with a time is a date too: its type is one of date's.
        return date(given.year, given.month, given.day)
    try:
        return date.fromisoformat(given if isinstance(given, str) else "")
    except ValueError:
        raise RecordInvalidError(
            f"the clinical item {item.key} is {given!r}; expected a date such as 2026-11-21"
        ) from None


def _read_sites(given: object, known: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise RecordInvalidError(f'the clinical file has {_SITES} = {given!r}; expected [{_SITES}] with L1 = "lung"')
    found = {}
    for lesion, site in given.items():
        word = site.strip().lower() if isinstance(site, str) else site
        if word == _UNKNOWN:
            continue
        if word not in known:
            raise RecordInvalidError(
                f"the clinical file puts {lesion} at {site!r}; expected one of: {', '.join(known)}"
            )
        found[str(lesion)] = str(word)
    return found
