"""Responses over several studies: the nadir of the course, and whether what enhances was there from the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from liverimg.assess.lesion_evidence import LesionEvidence
from liverimg.assess.response import ResponseRule
from liverimg.assess.targets import CRITERIA, Choice, Disease, choose, gone, respond, value_of
from liverimg.assess.treated import local_finding
from liverimg.core.assessment import Classification, NotApplied
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.response import NOT_SEARCHED, CriterionResponse, Fate, LesionResponse, StudyResponse

_BASELINE = -1
_MARGIN, _VIABLE = "minimal_ablation_margin", "viable_diameter"


@dataclass(frozen=True)
class Reached:
    """The response at one study.

    Attributes:
        criteria: By each criterion that could be asked.
        not_applied: The others, and why.
        nadir_at: For each criterion the study that the nadir was reached in: its index, or -1 for the baseline.
    """

    criteria: tuple[CriterionResponse, ...]
    not_applied: tuple[NotApplied, ...]
    nadir_at: Mapping[str, int]


def responses(
    studies: Sequence[StudyResponse], table: Mapping[str, Any], *, choices: Sequence[Choice]
) -> list[Reached]:
    """The response at each study against the baseline and against the smallest sum before it.

    Args:
        studies: After treatment, in order.
        table: ``response.toml``.
        choices: How targets are chosen at each of them.

    Returns:
        One for each study.
    """
    found = []
    for n, study in enumerate(studies):
        nadirs, reached = {}, {}
        for name in CRITERIA:
            nadirs[name], reached[name] = _nadir(name, studies[: n + 1], table, choices[n])
        criteria, not_applied = respond(
            study.lesions, table, choice=choices[n], disease=Disease(study.new_lesion), nadirs=nadirs
        )
        found.append(Reached(criteria, not_applied, {c.id: reached[c.id] for c in criteria}))
    return found


def local_findings(
    lesion: Sequence[tuple[StudyResponse, LesionResponse]], table: Mapping[str, Any]
) -> list[Classification | None]:
    """What is left of one lesion at each study, in view of whether ablation was complete in an earlier one.

    Args:
        lesion: The lesion at each study after treatment, in order.
        table: ``response.toml``.
    """
    found: list[Classification | None] = []
    before: bool | None = None
    treated = False
    for study, now in lesion:
        treated |= now.fate is Fate.TREATED
        # A zone that shrank back behind the tumour's old outline is still the zone that an earlier study saw.
        if now.fate is not Fate.TREATED and not (treated and now.fate is Fate.PERHAPS_TREATED):
            found.append(None)
            continue
        viable = now.quantity(_VIABLE)
        evidence = LesionEvidence(
            lesion_id=now.id,
            margin=now.quantity(_MARGIN),
            viable=viable,
            viable_before=now.before(_VIABLE),
            foci=now.foci,
            not_evaluable="" if now.foci or isinstance(viable, Measurement) else viable.reason,
            doubt="",
            timepoint=study.timepoint,
            complete_before=before,
            searched=not (isinstance(viable, Measurement) and viable.method.startswith(NOT_SEARCHED)),
        )
        found.append(local_finding(evidence, table))
        # Complete once is enough; a look that showed tumour proves that it was not complete till then.
        if evidence.complete is True:
            before = True
        elif evidence.complete is False and before is None:
            before = False
    return found


def _nadir(
    name: str, studies: Sequence[StudyResponse], table: Mapping[str, Any], choice: Choice
) -> tuple[dict[str, Measured], int]:
    """Each target's value in the study with the smallest sum before the last one, the baseline included."""
    rule = ResponseRule.from_table(table, name)
    targets, _ = choose(studies[-1].lesions, rule, table[name], choice)
    best: dict[str, Measured] = {lesion.id: value_of(lesion, rule, before=True) for lesion in targets}
    least, reached = _sum(best), _BASELINE
    for n, study in enumerate(studies[:-1]):
        by_id = {lesion.id: lesion for lesion in study.lesions}
        values = {lesion.id: _counted(by_id[lesion.id], rule) for lesion in targets if lesion.id in by_id}
        total = _sum(values) if len(values) == len(targets) else None
        if total is not None and (least is None or total < least):
            best, least, reached = values, total, n
    return best, reached


def _counted(lesion: LesionResponse, rule: ResponseRule) -> Measured:
    """What a lesion adds to the sum of an earlier study; one that was gone then adds nothing at all."""
    found = value_of(lesion, rule, before=False)
    if isinstance(found, Measurement) and gone(lesion, rule) is True:
        return replace(found, value=0.0, low=0.0, high=0.0)
    return found


def _sum(values: Mapping[str, Measured]) -> float | None:
    """Sum of the best values; None where one is not known."""
    if not values or any(isinstance(v, NotMeasured) for v in values.values()):
        return None
    return sum(v.value for v in values.values() if isinstance(v, Measurement))
