"""Is this lesion, in this patient, suitable by a published table? Met, not met, or cannot tell."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from liverimg.core.assessment import Assessment, Finding, Verdict
from liverimg.core.criteria import CriteriaSet, Criterion
from liverimg.core.errors import RecordInvalidError
from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, Measurement, MeasurementSet, NotMeasured, find

STUDY = "study"
_DECIMALS = (1, 2, 3, 4, 5, 6)
# Nothing compares with NaN, and a whole number of TOML may be larger than any float.
_LARGEST = sys.float_info.max


@dataclass(frozen=True)
class _Answer:
    verdict: Verdict
    rule: str
    remark: str = ""


def assess_eligibility(
    measurements: MeasurementSet, criteria: CriteriaSet, *, clinical: Mapping[str, object]
) -> Assessment:
    """Holds every rule of a table against the measurements and the clinical items.

    A rule of scope ``lesion`` is asked of each lesion, ``study`` of the whole study, ``clinical`` of an item in
    ``clinical``. A number of the whole study may be given there too, under the quantity's name, such as an
    ``ascites_depth`` in mm from planning ultrasound; it goes before what the images show. The verdict is
    UNDETERMINED when the number is missing, when its 95 % band reaches over the threshold, or when the table has no
    rule for it.

    Args:
        measurements: What was measured, with bands.
        criteria: The table.
        clinical: Numbers and words by key, such as ``child_pugh_score``, ``inr``, ``platelets_per_ul``,
            ``baseline_age_days``, ``acoustic_window``.
    """
    findings: list[Finding] = []
    for criterion in criteria.criteria:
        if criterion.scope == "clinical":
            findings.append(_clinical_finding(criterion, criteria.id, clinical))
        elif criterion.scope == STUDY:
            quantity = _of_study(criterion, measurements)
            findings.append(_finding(criterion, criteria.id, STUDY, _or_given(quantity, criterion, clinical)))
        elif criterion.scope == "lesion":
            findings += _lesion_findings(criterion, criteria.id, measurements)
        else:
            raise RecordInvalidError(
                f"criterion {criterion.id} has the scope {criterion.scope!r}; expected lesion, study or clinical"
            )
    return Assessment(tuple(findings), criteria.conflicts)


def clinical_items(criteria: CriteriaSet) -> tuple[str, ...]:
    """Keys that the table looks for in the clinical file, each once, in the table's order."""
    keys = [c.quantity for c in criteria.criteria if c.scope in ("clinical", STUDY)]
    return tuple(dict.fromkeys(keys))


def _lesion_findings(criterion: Criterion, set_id: str, measurements: MeasurementSet) -> list[Finding]:
    if not measurements.lesions:
        missing = NotMeasured(criterion.quantity, STUDY, "no lesion is drawn, so there is nothing to judge")
        return [_finding(criterion, set_id, STUDY, missing)]
    return [
        _finding(criterion, set_id, lesion.id, lesion.quantity(criterion.quantity)) for lesion in measurements.lesions
    ]


def _of_study(criterion: Criterion, measurements: MeasurementSet) -> Measured:
    """A number of the whole study; one about tumours can't be judged where none is drawn."""
    quantity = find(measurements.organs, criterion.quantity, target=STUDY)
    if isinstance(quantity, Measurement) and quantity.target == Structure.TUMOUR and not quantity.value:
        return NotMeasured(criterion.quantity, STUDY, "no lesion is drawn, so there is nothing to judge")
    return quantity


def _or_given(quantity: Measured, criterion: Criterion, clinical: Mapping[str, object]) -> Measured:
    """The quantity from the clinical file where a person gave one, else the measured one."""
    if criterion.quantity not in clinical:
        return quantity
    value = _number(criterion, clinical[criterion.quantity])
    unit = criterion.thresholds[0].unit
    method = "given in the clinical file"
    if isinstance(quantity, Measurement):
        method += f"; on the images it was {_show(quantity.value)}{_unit(quantity.unit)}"
    return Measurement(criterion.quantity, STUDY, value, unit, value, value, method)


def _finding(criterion: Criterion, set_id: str, target: str, quantity: Measured) -> Finding:
    if isinstance(quantity, NotMeasured):
        answer = _Answer(Verdict.UNDETERMINED, "")
        statement = f"{criterion.title}: undetermined, not measured: {quantity.reason}."
    else:
        _check_unit(criterion, quantity)
        answer = _judge(criterion, quantity.low, quantity.high)
        said = f"{criterion.title}: {_numbers(quantity, criterion)}"
        statement = f"{said}; {answer.rule}: {_consequence(criterion, answer)}."
    return Finding(
        criterion_id=criterion.id,
        criteria_set=set_id,
        target=target,
        title=criterion.title,
        verdict=answer.verdict,
        statement=statement,
        quantity=quantity,
        thresholds=criterion.thresholds,
        source=criterion.source,
        settled_by=criterion.settled_by if answer.verdict is Verdict.UNDETERMINED else "",
        notes=criterion.notes,
    )


def _clinical_finding(criterion: Criterion, set_id: str, clinical: Mapping[str, object]) -> Finding:
    key = criterion.quantity
    if key not in clinical:
        finding = _finding(criterion, set_id, STUDY, NotMeasured(key, STUDY, ""))
        statement = (
            f"{criterion.title}: undetermined, {key} was not given; supply it in the file given with --clinical."
        )
        return _replaced(finding, statement, None)
    if criterion.operator == "in":
        return _word_finding(criterion, set_id, clinical[key])
    value = _number(criterion, clinical[key])
    unit = criterion.thresholds[0].unit
    given = Measurement(key, STUDY, value, unit, value, value, "given in the clinical file")
    return _finding(criterion, set_id, STUDY, given)


def _word_finding(criterion: Criterion, set_id: str, given: object) -> Finding:
    word = given.strip().lower() if isinstance(given, str) else ""
    if word not in (*criterion.allowed, *criterion.refused):
        raise RecordInvalidError(
            f"the clinical item {criterion.quantity} is {given!r}; expected one of: "
            f"{', '.join((*criterion.allowed, *criterion.refused))}; leave it out when it is not known"
        )
    met = word in criterion.allowed
    answer = _Answer(Verdict.MET if met else Verdict.NOT_MET, f"the rule accepts {' or '.join(criterion.allowed)}")
    finding = _finding(criterion, set_id, STUDY, NotMeasured(criterion.quantity, STUDY, ""))
    statement = f"{criterion.title}: {word}; {answer.rule}: {_consequence(criterion, answer)}."
    return _replaced(finding, statement, answer.verdict)


def _replaced(finding: Finding, statement: str, verdict: Verdict | None) -> Finding:
    """The same finding without a measured quantity, with another statement and, where given, verdict."""
    return Finding(
        criterion_id=finding.criterion_id,
        criteria_set=finding.criteria_set,
        target=finding.target,
        title=finding.title,
        verdict=verdict or finding.verdict,
        statement=statement,
        quantity=None,
        thresholds=finding.thresholds,
        source=finding.source,
        settled_by="" if verdict else finding.settled_by,
        notes=finding.notes,
    )


def _number(criterion: Criterion, given: object) -> float:
    key = criterion.quantity
    if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) <= _LARGEST:
        raise RecordInvalidError(f"the clinical item {key} is {given!r}; expected a finite number")
    if criterion.plausible and not criterion.plausible[0] <= given <= criterion.plausible[1]:
        low, high = (_show(end) for end in criterion.plausible)
        unit = _unit(criterion.thresholds[0].unit)
        raise RecordInvalidError(
            f"the clinical item {key} is {given}; expected {low} to {high}{unit}: check the number and its unit"
        )
    return float(given)


def _check_unit(criterion: Criterion, quantity: Measurement) -> None:
    wanted = criterion.thresholds[0].unit
    if quantity.unit != wanted:
        raise RecordInvalidError(
            f"criterion {criterion.id} has thresholds in {wanted}, but {quantity.name} is measured in "
            f"{quantity.unit}; give the thresholds in {quantity.unit}"
        )


def _judge(criterion: Criterion, low: float, high: float) -> _Answer:
    """The verdict on a band. MET when all of it keeps the rule, NOT_MET when none of it does."""
    judge, count = _OPERATORS.get(criterion.operator, (None, 0))
    if judge is None or len(criterion.thresholds) != count:
        raise RecordInvalidError(
            f"criterion {criterion.id} has the operator {criterion.operator!r} with {len(criterion.thresholds)} "
            f"threshold(s); expected one of {', '.join(_OPERATORS)} with as many as it wants"
        )
    return judge(criterion, low, high)


def _three_way(all_met: bool, none_met: bool) -> Verdict:
    if all_met:
        return Verdict.MET
    return Verdict.NOT_MET if none_met else Verdict.UNDETERMINED


def _limit(criterion: Criterion, n: int) -> str:
    threshold = criterion.thresholds[n]
    return f"{_show(threshold.value)}{_unit(threshold.unit)}"


def _at_most(criterion: Criterion, low: float, high: float) -> _Answer:
    top = criterion.thresholds[0].value
    return _Answer(_three_way(high <= top, low > top), f"the rule asks for at most {_limit(criterion, 0)}")


def _below(criterion: Criterion, low: float, high: float) -> _Answer:
    top = criterion.thresholds[0].value
    return _Answer(_three_way(high < top, low >= top), f"the rule asks for less than {_limit(criterion, 0)}")


def _at_least(criterion: Criterion, low: float, high: float) -> _Answer:
    least = criterion.thresholds[0].value
    return _Answer(_three_way(low >= least, high < least), f"the rule asks for at least {_limit(criterion, 0)}")


def _above(criterion: Criterion, low: float, high: float) -> _Answer:
    least = criterion.thresholds[0].value
    return _Answer(_three_way(low > least, high <= least), f"the rule asks for more than {_limit(criterion, 0)}")


def _within(criterion: Criterion, low: float, high: float) -> _Answer:
    least, top = (t.value for t in criterion.thresholds)
    rule = f"the rule asks for {_limit(criterion, 0)}"
    if least != top:
        rule += f" to {_limit(criterion, 1)}"
    return _Answer(_three_way(low >= least and high <= top, high < least or low > top), rule)


def _within_or_gap(criterion: Criterion, low: float, high: float) -> _Answer:
    """Favourable from the first to the second threshold, unfavourable below the first or above the third."""
    least, top, refused = (t.value for t in criterion.thresholds)
    rule = (
        f"the rule asks for {_limit(criterion, 0)} to {_limit(criterion, 1)} and refuses less than "
        f"{_limit(criterion, 0)} and more than {_limit(criterion, 2)}"
    )
    verdict = _three_way(low >= least and high <= top, high < least or low > refused)
    remark = ""
    if verdict is Verdict.UNDETERMINED and high > top and low >= least and high <= refused:
        inside = "the band lies" if low > top else "part of the band lies"
        remark = f"{inside} between {_limit(criterion, 1)} and {_limit(criterion, 2)}, where the source has no rule"
    return _Answer(verdict, rule, remark)


def _sessions(criterion: Criterion, low: float, high: float) -> _Answer:
    """Sessions needed at the largest and at the smallest volume per session, against a largest count."""
    smallest, largest, most = (t.value for t in criterion.thresholds)
    fewest, many = max(1, math.ceil(low / largest)), max(1, math.ceil(high / smallest))
    count = f"{fewest} session(s)" if fewest == many else f"{fewest} to {many} sessions"
    rule = (
        f"at {_limit(criterion, 0)} to {_limit(criterion, 1)} per session that makes {count}, "
        f"and up to {_show(most)} are said to be typical"
    )
    remark = "the count depends on the volume per session" if fewest <= most < many else ""
    return _Answer(_three_way(many <= most, fewest > most), rule, remark)


_Judge = Callable[[Criterion, float, float], _Answer]

# Each operator with the number of thresholds that it wants.
_OPERATORS: dict[str, tuple[_Judge, int]] = {
    "<=": (_at_most, 1),
    "<": (_below, 1),
    ">=": (_at_least, 1),
    ">": (_above, 1),
    "within": (_within, 2),
    "within_or_gap": (_within_or_gap, 3),
    "sessions": (_sessions, 3),
}


def _consequence(criterion: Criterion, answer: _Answer) -> str:
    if answer.verdict is Verdict.MET:
        return f"met, {criterion.when_met}"
    if answer.verdict is Verdict.NOT_MET:
        return f"not met, {criterion.when_not_met}"
    return f"undetermined, {answer.remark or 'the band reaches over the threshold'}"


def _numbers(quantity: Measurement, criterion: Criterion) -> str:
    """The value and its band, with as many decimals as it takes to tell them from the thresholds."""
    numbers = [quantity.value, quantity.low, quantity.high]
    limits = [t.value for t in criterion.thresholds]
    decimals = next(
        (d for d in _DECIMALS if all(n == x or f"{n:.{d}f}" != f"{x:.{d}f}" for n in numbers for x in limits)),
        _DECIMALS[-1],
    )
    value, low, high = (_show(n, decimals) for n in numbers)
    unit = _unit(quantity.unit)
    return f"{value}{unit}" if quantity.low == quantity.high else f"{value}{unit} (95 % band {low} to {high}{unit})"


def _show(value: float, decimals: int = 1) -> str:
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _unit(unit: str) -> str:
    return "" if unit == "1" else f" {unit}"
