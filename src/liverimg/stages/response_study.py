"""What all lesions say together: time since treatment, response by each criterion, and what a reader must know."""

from __future__ import annotations

from collections.abc import Sequence

from liverimg.assess.targets import Choice, Disease, respond
from liverimg.assess.timepoint import timepoint_of
from liverimg.core.assessment import NotApplied
from liverimg.core.errors import UsageError
from liverimg.core.labels import Structure
from liverimg.core.response import CriterionResponse, Fate, LesionResponse, Part, Timepoint, Treatment
from liverimg.core.study import Study
from liverimg.files.tables import read_table
from liverimg.stages.baseline import date_of
from liverimg.stages.measure import phase_warnings
from liverimg.stages.response_inputs import Inputs
from liverimg.stages.response_lesions import is_ablation


def timepoint(study: Study, treatments: Sequence[Treatment]) -> Timepoint:
    """When the study was made, counted from the last treatment before it.

    Raises:
        UsageError: A treatment was made after the study.
    """
    day = date_of(study)
    later = [t for t in treatments if day is not None and t.day > day]
    if day is not None and later:
        raise UsageError(
            f"--treated-on {later[0].day.isoformat()} lies {(later[0].day - day).days} days after the study of "
            f"{day.isoformat()}; give treatments before the study only"
        )
    last = treatments[-1] if treatments else None
    days = None if last is None or day is None else (day - last.day).days
    return timepoint_of(days, read_table("response"), kind=None if last is None else last.kind)


def criteria_of(
    lesions: tuple[LesionResponse, ...], new_lesion: bool | None, given: Inputs
) -> tuple[tuple[CriterionResponse, ...], tuple[NotApplied, ...]]:
    """Response by each criterion; the nadir is the baseline's sum, because one later study is known here."""
    choice = Choice(most=int(given.constants.recist_targets_per_organ), ablated=is_ablation(given))
    return respond(lesions, given.table, choice=choice, disease=Disease(new_lesion))


def new_lesion_of(candidates: tuple[Part, ...], given: Inputs) -> bool | None:
    """Whether there is a new lesion: a person who drew the tumours has said so; a model has not."""
    if not given.by_person or not given.labels.knows(Structure.TUMOUR) or given.matched.unplaced:
        return None
    return any(not part.local for part in candidates)


def warnings_of(lesions: tuple[LesionResponse, ...], candidates: tuple[Part, ...], given: Inputs) -> tuple[str, ...]:
    """What a reader must know before using any number, what matters most first."""
    found = [given.timepoint.bias] if given.timepoint.bias else []
    if given.timepoint.days is None:
        found.append(given.timepoint.statement)
    if given.baseline.same_patient is None:
        found.append("Whether the baseline is of the same patient can't be checked: a study has no PatientID.")
    day = date_of(given.baseline.study)
    if day is not None and given.treatments and given.treatments[0].day < day:
        found.append(
            f"A treatment on {given.treatments[0].day.isoformat()} was made before the baseline of {day.isoformat()}, "
            "which then does not show the lesions as they were before all treatment."
        )
    if not given.zones.zones:
        found.append("No ablation zone was found in this study.")
    elif given.zones.smallest_focus_mm is None and any(
        zone.origin != "rule" and zone.id not in given.zones.foci_unknown for zone in given.zones.zones
    ):
        found.append(
            "The zones were drawn elsewhere, and the program did not search for residual foci: living tumour at a zone "
            "counts only where it is drawn."
        )
    if any(lesion.fate is Fate.NOT_FOUND for lesion in lesions):
        found.append("A lesion that is not drawn any more is not thereby gone.")
    for why in dict.fromkeys(given.zones.foci_unknown.values()):
        zones = [zone for zone, reason in given.zones.foci_unknown.items() if reason == why]
        found.append(f"Foci at {', '.join(zones)}: {why}.")
    found += _on_candidates(candidates, given)
    found += given.alignment.findings
    found += given.quality.notes
    found += (finding.sentence for finding in given.quality.findings)
    found += given.study.warnings
    found += phase_warnings(given.study, given.series)
    return tuple(dict.fromkeys(found))


def _on_candidates(candidates: tuple[Part, ...], given: Inputs) -> list[str]:
    if not given.labels.knows(Structure.TUMOUR):
        return ["Tumours were not looked for in this study, so nothing is said of new lesions."]
    if not candidates:
        return []
    names, whose = " and ".join(part.id for part in candidates), "are drawn"
    who = "" if given.by_person else " by a model: candidates for a reader"
    found = [f"Tumours that were not in the baseline {whose}{who}: {names}."]
    if given.matched.unplaced:
        lost = " or ".join(given.matched.unplaced)
        found.append(f"They may be {lost}, whose place in this study is not known.")
    return found
