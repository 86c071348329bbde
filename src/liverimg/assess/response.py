"""Response of target lesions to treatment: complete, partial, stable, progressive, or which of them it may be.

The sums of the target lesions carry bands. A response is stated only when every pair of sums within their bands gives
the same one; otherwise all that are possible are named. Target lesions alone don't decide: a new lesion or a clear
progress of other lesions makes a progression, and only a reader can say that there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from liverimg.core.assessment import Classification
from liverimg.core.errors import RecordInvalidError
from liverimg.core.measurement import Measured, Measurement, NotMeasured

_TABLE = "response"


class Response(StrEnum):
    """From best to worst."""

    COMPLETE = "CR"
    PARTIAL = "PR"
    STABLE = "SD"
    PROGRESSION = "PD"


@dataclass(frozen=True)
class ResponseRule:
    """One table of ``response.toml``.

    Attributes:
        id: Its name.
        title: For a reader.
        quantity: What is summed over the target lesions.
        unit: Of it.
        fall: Share of the baseline's sum that a partial response has lost at least.
        rise: Share of the nadir's sum that a progression has gained at least.
        least_rise: And by so much at least, in ``unit``.
        strict_rise: Whether the rise has to be above the share, not only to reach it.
        disease: What has to be gone for a complete response.
        source: Where it comes from.
        notes: Caveats.
    """

    id: str
    title: str
    quantity: str
    unit: str
    fall: float
    rise: float
    least_rise: float
    strict_rise: bool
    disease: str
    source: str
    notes: tuple[str, ...] = ()

    @classmethod
    def from_table(cls, table: Mapping[str, Any], name: str) -> ResponseRule:
        """Reads one of the criteria of ``response.toml``."""
        entry = table.get(name)
        if not isinstance(entry, Mapping) or "fall" not in entry:
            known = ", ".join(key for key, value in table.items() if isinstance(value, Mapping) and "fall" in value)
            raise RecordInvalidError(f"there is no response criterion {name}; expected one of: {known}")
        return cls(
            id=name,
            title=str(entry["title"]),
            quantity=str(entry["quantity"]),
            unit=str(entry["unit"]),
            fall=float(entry["fall"]["value"]),
            rise=float(entry["rise"]["value"]),
            least_rise=float(entry["least_rise"]["value"]),
            strict_rise=bool(entry.get("strict_rise", False)),
            disease=str(entry["disease"]),
            source=str(entry["source"]),
            notes=tuple(entry.get("notes", ())),
        )


@dataclass(frozen=True)
class TargetLesion:
    """One target lesion over time.

    Attributes:
        lesion_id: Its name.
        baseline: Before treatment.
        nadir: The smallest so far, the baseline included.
        current: Now.
        gone: Whether no disease is left of it; None when nobody can tell. A lesion that was not found is not gone:
            a reader or a measured absence of enhancement says so.
    """

    lesion_id: str
    baseline: Measured
    nadir: Measured
    current: Measured
    gone: bool | None


@dataclass(frozen=True)
class _Range:
    low: float
    high: float


def target_response(rule: ResponseRule, targets: Sequence[TargetLesion]) -> Classification:
    """The response of the target lesions by themselves.

    Args:
        rule: The criterion.
        targets: At least one lesion; more than the criterion's limit are the caller's to choose from.
    """
    if not targets:
        return _classified(rule, (), "There is no target lesion, so there is no response of target lesions.", "")
    if all(target.gone is True for target in targets):
        words = f"No sign of {rule.disease} is left in any target lesion."
        return _classified(rule, (Response.COMPLETE,), words, "")
    sums = {}
    for name in ("baseline", "nadir", "current"):
        found = target_sum(rule, targets, name)
        if isinstance(found, NotMeasured):
            reason = found.reason
            return _classified(rule, _without_sums(targets), f"The {name} sum is unknown: {reason}.", reason)
        sums[name] = _Range(found.low, found.high)
    possible = _possible(rule, sums["baseline"], sums["nadir"], sums["current"], targets)
    return _classified(rule, possible, _statement(rule, sums, possible), _settled_by(rule, possible, targets))


def target_sum(rule: ResponseRule, targets: Sequence[TargetLesion], name: str) -> Measured:
    """The sum over the target lesions at one time, with the bands added up: one hand drew all outlines.

    Args:
        rule: The criterion.
        targets: The lesions; without any there is no sum.
        name: ``baseline``, ``nadir`` or ``current``.
    """
    title = f"{rule.id}_sum_{name}"
    if not targets:
        return NotMeasured(title, "study", "there is no target lesion")
    parts = []
    for target in targets:
        part = _at(target, name)
        if isinstance(part, NotMeasured):
            return NotMeasured(title, "study", f"{target.lesion_id}: {part.reason}")
        parts.append(part)
    value, low, high = (math.fsum(getattr(p, key) for p in parts) for key in ("value", "low", "high"))
    words = f"sum over {' and '.join(t.lesion_id for t in targets)}"
    return Measurement(title, "study", value, rule.unit, low, high, words)


def overall_response(
    target: Classification, *, new_lesion: bool | None, other_progress: bool | None, others_gone: bool | None
) -> Classification:
    """The response of the patient: the targets', new lesions and the other lesions together.

    Args:
        target: From :func:`target_response`.
        new_lesion: Whether there is one; None when no reader said.
        other_progress: Whether lesions that are no targets clearly progressed; None when no reader said.
        others_gone: Whether these are gone; None when no reader said, True when there are none.
    """
    progress = _either(new_lesion, other_progress)
    possible: set[Response] = set()
    for text in target.possible:
        response = Response(text)
        if progress is not False:
            possible.add(Response.PROGRESSION)
        if progress is True:
            continue
        if response is Response.COMPLETE and others_gone is not True:
            possible.add(Response.PARTIAL)  # RECIST 1.1: targets gone, others not
            if others_gone is None:
                possible.add(response)
            continue
        possible.add(response)
    ordered = tuple(r for r in Response if r in possible)
    asked = [
        words
        for words, given in (("a new lesion", new_lesion), ("progress of other lesions", other_progress))
        if given is None and progress is not True
    ]
    open_words = f"a reader's word on {' and '.join(asked)}" if asked else target.settled_by
    if progress is True:
        statement = "A reader saw a new lesion or clear progress of other lesions: progression."
    elif asked:
        statement = f"Target lesions: {_either_of(target.possible)}. Nobody said whether there is {' or '.join(asked)}."
    else:
        statement = f"Target lesions: {_either_of(target.possible)}; no new lesion and no progress of others."
    return Classification(
        category_id=f"{target.category_id}.overall",
        criteria_set=_TABLE,
        target="study",
        title=f"{target.title}: overall",
        answer=ordered[0] if len(ordered) == 1 else "",
        possible=tuple(str(r) for r in ordered),
        statement=statement,
        source=target.source,
        settled_by="" if len(ordered) == 1 else open_words,
        notes=target.notes,
    )


def _at(target: TargetLesion, name: str) -> Measured:
    """A quantity at one time; what is known to be gone now measures nothing, whatever could be measured of it."""
    if name == "current" and target.gone is True:
        unit = target.baseline.unit if isinstance(target.baseline, Measurement) else "mm"
        return Measurement("gone", target.lesion_id, 0.0, unit, 0.0, 0.0, "a reader or the absence of enhancement")
    found: Measured = getattr(target, name)
    return found


def _without_sums(targets: Sequence[TargetLesion]) -> tuple[Response, ...]:
    """What remains possible where no sum is known: a target that is there excludes a complete response."""
    there = any(target.gone is False for target in targets)
    return tuple(r for r in Response if r is not Response.COMPLETE or not there)


def _possible(
    rule: ResponseRule, baseline: _Range, nadir: _Range, current: _Range, targets: Sequence[TargetLesion]
) -> tuple[Response, ...]:
    """Every response that some sums within the bands give, in the order PD, CR, PR, SD of precedence."""
    gone = [t.gone for t in targets]
    stages = (
        (Response.PROGRESSION, _rises(rule, current.high, nadir.low), _rises(rule, current.low, nadir.high)),
        (Response.COMPLETE, False not in gone, all(gone)),
        (Response.PARTIAL, _falls(rule, current.low, baseline.high), _falls(rule, current.high, baseline.low)),
    )
    found = []
    for response, may_be, must_be in stages:
        if may_be:
            found.append(response)
        if must_be:
            break
    else:
        found.append(Response.STABLE)
    return tuple(r for r in Response if r in found)


def _rises(rule: ResponseRule, now: float, before: float) -> bool:
    gain, limit = now - before, rule.rise * before
    enough = gain > limit and not math.isclose(gain, limit) if rule.strict_rise else _reaches(gain, limit)
    return gain > 0 and enough and _reaches(gain, rule.least_rise)


def _falls(rule: ResponseRule, now: float, before: float) -> bool:
    return before > 0 and _reaches(before - now, rule.fall * before)


def _reaches(change: float, limit: float) -> bool:
    """At least the limit; a change that misses it by rounding alone reaches it."""
    return change >= limit or math.isclose(change, limit)


def _statement(rule: ResponseRule, sums: Mapping[str, _Range], possible: Sequence[Response]) -> str:
    words = ", ".join(f"{name} {r.low:.0f} to {r.high:.0f} {rule.unit}" for name, r in sums.items())
    return f"Sum over the target lesions: {words}; {_either_of([str(r) for r in possible])}."


def _either_of(possible: Sequence[str]) -> str:
    return " or ".join(possible) if possible else "nothing"


def _settled_by(rule: ResponseRule, possible: Sequence[Response], targets: Sequence[TargetLesion]) -> str:
    if len(possible) == 1:
        return ""
    if Response.COMPLETE in possible and any(t.gone is None for t in targets):
        return f"a reader's word whether {rule.disease} is gone"
    return "thinner slices, or a later scan: the sums' bands straddle a limit"


def _classified(rule: ResponseRule, possible: Sequence[Response], statement: str, settled_by: str) -> Classification:
    return Classification(
        category_id=f"response.{rule.id}",
        criteria_set=_TABLE,
        target="study",
        title=rule.title,
        answer=str(possible[0]) if len(possible) == 1 else "",
        possible=tuple(str(r) for r in possible),
        statement=statement,
        source=rule.source,
        settled_by=settled_by,
        notes=rule.notes,
    )


def _either(one: bool | None, other: bool | None) -> bool | None:
    if one is True or other is True:
        return True
    return None if one is None or other is None else False
