"""Target lesions of a study after treatment, and its response by each criterion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liverimg.assess.response import ResponseRule, TargetLesion, overall_response, target_response, target_sum
from liverimg.core.assessment import NotApplied
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.response import CriterionResponse, Fate, LesionResponse

CRITERIA = ("recist_1_1", "mrecist", "easl", "who")
AREA_PRODUCT = "axial_area_product"
_LONG, _SHORT, _MEASURABLE = "axial_long_diameter", "axial_short_diameter", "recist_measurable"
# What each rule's quantity is called among the measurements; the product is made of two of them.
_NAMES = {"viable_long_diameter": "viable_diameter"}
_SET = "response"
_IN_ITS_PLACE = {Fate.TREATED: "ablated", Fate.PERHAPS_TREATED: "perhaps_ablated"}


@dataclass(frozen=True)
class Disease:
    """What else decides about the patient, as far as anybody said.

    Attributes:
        new_lesion: Whether there is one; None when no reader said.
        other_progress: Whether lesions that are no targets clearly progressed; None when no reader said.
        others_gone: Whether these are gone; None when no reader said.
    """

    new_lesion: bool | None
    other_progress: bool | None = None
    others_gone: bool | None = None


@dataclass(frozen=True)
class Choice:
    """How targets are chosen.

    Attributes:
        most: How many targets an organ may have.
        ablated: Whether the kind of treatment leaves a zone in the tumour's place, so that its size says nothing.
    """

    most: int
    ablated: bool


def respond(
    lesions: Sequence[LesionResponse],
    table: Mapping[str, Any],
    *,
    choice: Choice,
    disease: Disease,
    nadirs: Mapping[str, Mapping[str, Measured]] | None = None,
) -> tuple[tuple[CriterionResponse, ...], tuple[NotApplied, ...]]:
    """The response by each criterion, and the criteria that can't be asked, with the reason.

    Args:
        lesions: Of the baseline, as they are now.
        table: ``response.toml``.
        choice: Of targets.
        disease: New lesions and others.
        nadirs: The smallest value so far by criterion and lesion; the baseline's where there is none.
    """
    found, not_applied = [], []
    for name in CRITERIA:
        rule = ResponseRule.from_table(table, name)
        chosen, left_out = choose(lesions, rule, table[name], choice)
        if not chosen:
            reason = _grouped(left_out) or "no lesion was drawn before"
            not_applied.append(NotApplied(_SET, rule.title, "study", f"there is no target lesion: {reason}"))
            continue
        targets = [_target(lesion, rule, (nadirs or {}).get(name, {})) for lesion in chosen]
        others = len(chosen) < len(lesions)
        target = target_response(rule, targets)
        overall = overall_response(
            target,
            new_lesion=disease.new_lesion,
            other_progress=disease.other_progress if others else False,
            others_gone=disease.others_gone if others else True,
        )
        sums = {at: target_sum(rule, targets, at) for at in ("baseline", "nadir", "current")}
        ids = tuple(lesion.id for lesion in chosen)
        found.append(CriterionResponse(name, ids, left_out, **sums, target=target, overall=overall))
    return tuple(found), tuple(not_applied)


def choose(
    lesions: Sequence[LesionResponse], rule: ResponseRule, row: Mapping[str, Any], choice: Choice
) -> tuple[list[LesionResponse], dict[str, str]]:
    """The target lesions by one criterion, the largest before treatment first, and why the others are none."""
    left_out: dict[str, str] = {}
    able = []
    for lesion in lesions:
        reason = _why_not(lesion, rule, row, choice)
        if reason:
            left_out[lesion.id] = reason
        else:
            able.append(lesion)
    able.sort(key=_size, reverse=True)
    for lesion in able[choice.most :]:
        left_out[lesion.id] = f"an organ has {choice.most} target lesions at most, and others were larger"
    return able[: choice.most], left_out


def value_of(lesion: LesionResponse, rule: ResponseRule, *, before: bool) -> Measured:
    """What a criterion counts of a lesion, before treatment or now."""
    read = lesion.before if before else lesion.quantity
    if rule.quantity != AREA_PRODUCT:
        return read(_NAMES.get(rule.quantity, rule.quantity))
    long, short = read(_LONG), read(_SHORT)
    if isinstance(long, Measurement) and isinstance(short, Measurement):
        return _product(long, short)
    reason = next(part.reason for part in (long, short) if isinstance(part, NotMeasured))
    return NotMeasured(AREA_PRODUCT, lesion.id, reason)


def gone(lesion: LesionResponse, rule: ResponseRule) -> bool | None:
    """Whether no disease of the criterion's kind is left of a lesion; None when nobody can tell.

    What was not found is not gone. Viable tissue is gone where foci were looked for and none was found.
    """
    now = value_of(lesion, rule, before=False)
    if isinstance(now, NotMeasured):
        return None
    if now.value > 0:
        return False if now.low > 0 else None
    return True if lesion.fate is Fate.TREATED else None


def _target(lesion: LesionResponse, rule: ResponseRule, nadirs: Mapping[str, Measured]) -> TargetLesion:
    before, now = value_of(lesion, rule, before=True), value_of(lesion, rule, before=False)
    return TargetLesion(lesion.id, before, nadirs.get(lesion.id, before), now, gone(lesion, rule))


def _why_not(lesion: LesionResponse, rule: ResponseRule, row: Mapping[str, Any], choice: Choice) -> str:
    state = lesion.before(_MEASURABLE)
    if isinstance(state, NotMeasured):
        return f"whether it was measurable is not known: {state.reason}"
    if state.value < 1:
        return "it was too small to be a target before treatment"
    by_size = rule.quantity in (_LONG, AREA_PRODUCT)
    if by_size and choice.ablated and lesion.fate in _IN_ITS_PLACE:
        return str(row[_IN_ITS_PLACE[lesion.fate]])
    least = row.get("least_viable")
    viable = lesion.before("viable_diameter")
    if least is not None and isinstance(viable, Measurement) and viable.value < least["value"]:
        return f"less than {least['value']:g} mm of it took up contrast in the arterial phase before treatment"
    return ""


def _grouped(left_out: Mapping[str, str]) -> str:
    """Each reason once, with the lesions that it holds for."""
    groups: dict[str, list[str]] = {}
    for lesion, why in left_out.items():
        groups.setdefault(why, []).append(lesion)
    return "; ".join(f"{' and '.join(lesions)}: {why}" for why, lesions in groups.items())


def _size(lesion: LesionResponse) -> float:
    long = lesion.before(_LONG)
    return long.value if isinstance(long, Measurement) else 0.0


def _product(long: Measurement, short: Measurement) -> Measurement:
    value, low, high = (getattr(long, key) * getattr(short, key) for key in ("value", "low", "high"))
    words = "axial long diameter times the short one at right angles to it"
    return Measurement(AREA_PRODUCT, long.target, value, "mm2", low, high, words, (), long.sources)
