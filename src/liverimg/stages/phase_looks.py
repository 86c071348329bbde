"""Phases once organs are outlined: what each image shows, held against what the headers say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from liverimg.core.labels import LabelMap, QualityCode, QualityFinding
from liverimg.core.study import ImageKind, Modality, Phase, PhaseEvidence, Role, Series, Study
from liverimg.core.volume import Volume
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.reference import with_roles
from liverimg.dicom.sequence import may_have_a_phase
from liverimg.dicom.study_phases import conflict_sentences, with_study_evidence
from liverimg.files.phase_records import ImageRow, Verdict, phases_to_record, with_phases
from liverimg.files.records import Record
from liverimg.files.tables import read_table
from liverimg.segmentation.phase_image import PhaseLook, compared, look_at_phase, organ_cores
from liverimg.segmentation.phase_image_rules import ImageRules
from liverimg.segmentation.phases import PlacedPhase
from liverimg.stages.artefacts import read_series, read_study, reference_index
from liverimg.workspace import Artefact, Workspace

_UNMOVED = (0.0, 0.0, 0.0)


def read_final_study(workspace: Workspace) -> Study:
    """The study with the phases and roles that all evidence gives, the image's too where it was looked at."""
    study = read_study(workspace)
    if not workspace.path(Artefact.PHASES).is_file():
        return study
    return with_phases(study, workspace.record(Artefact.PHASES, "phases"))


def look_at_phases(
    workspace: Workspace, labels: LabelMap, reference: Volume, placed: Sequence[PlacedPhase] = ()
) -> tuple[Record, tuple[QualityFinding, ...]]:
    """Looks at every volume in which the outlined organs can be found.

    Args:
        workspace: After ingest.
        labels: On the reference's grid.
        reference: Its voxels.
        placed: Phases that were brought into place for a model, with their shifts.

    Returns:
        The record ``phases.json``, and what a reader must know.
    """
    study, own = read_study(workspace), reference_index(workspace)
    rules = ImageRules.from_table(read_table("phase_image"))
    cores = organ_cores(labels, rules)
    looks: dict[int, PhaseLook] = {}
    silent: dict[int, str] = {}
    for index, series in enumerate(study.series):
        reason = _why_not(series, study.series[own], index == own)
        if reason:
            silent[index] = reason
            continue
        volume = reference if index == own else read_series(workspace, index)[1]
        looks[index] = look_at_phase(cores, volume, series.modality, rules, shift_lps_mm=_shift(series, volume, placed))
    for modality in {series.modality for series in study.series}:
        own_kind = {n: look for n, look in looks.items() if study.series[n].modality is modality}
        looks |= compared(own_kind, rules)
    phase_rules = PhaseRules.from_table(read_table("phases"))
    images = {index: look.evidence for index, look in looks.items() if look.evidence is not None}
    after = _decided(study, own, images, phase_rules)
    rows = [
        _image_row(before, now, looks.get(index), silent.get(index, ""))
        for index, (before, now) in enumerate(zip(study.series, after.series, strict=True))
    ]
    files = [row["file"] for row in workspace.record(Artefact.STUDY, "study")["volumes"]]
    return phases_to_record(study, after, files=files, images=rows), tuple(_findings(study, after, rows, own))


def _why_not(series: Series, reference: Series, is_reference: bool) -> str:
    if not may_have_a_phase(series.kind):
        return f"{series.kind.value.replace('_', ' ')} has no contrast phase"
    if series.modality is Modality.MR and series.kind is ImageKind.UNKNOWN:
        return "not known to be T1-weighted"
    if is_reference:
        return ""
    frame = series.grid.frame_of_reference_uid
    if frame is None or frame != reference.grid.frame_of_reference_uid:
        return "not in the frame of reference of the labels"
    return ""


def _shift(series: Series, volume: Volume, placed: Sequence[PlacedPhase]) -> tuple[float, float, float]:
    """The breathing between the two scans, where somebody measured it."""
    for one in placed:
        same = one.volume is not None and one.volume.grid.is_same_as(volume.grid)
        if one.phase is series.phase and same:
            return one.shift_lps_mm
    return _UNMOVED


def _decided(study: Study, own: int, images: Mapping[int, PhaseEvidence], rules: PhaseRules) -> Study:
    """The study by all evidence. The reference stays: labels lie on it; so does what a person chose."""
    series = with_study_evidence(study.series, rules, images=images)
    warnings = conflict_sentences(series)
    chosen = {choice.role: choice.series for choice in study.roles if choice.by_person}
    chosen.pop(Role.REFERENCE, None)
    again = replace(study, series=series, warnings=warnings)
    after = with_roles(again, rules, reference=series[own], chosen=chosen)
    by_person = {choice.role: choice for choice in study.roles if choice.by_person}
    roles = tuple(by_person.get(choice.role, choice) for choice in after.roles)
    return replace(after, roles=roles)


def _image_row(before: Series, after: Series, look: PhaseLook | None, reason: str) -> ImageRow:
    unit = "HU" if before.modality is Modality.CT else "signal"
    if look is None:
        return ImageRow(Verdict.SILENT, {}, unit, reason)
    return ImageRow(_verdict(before, after, look), look.values, unit, look.detail)


def _verdict(before: Series, after: Series, look: PhaseLook) -> Verdict:
    said = look.evidence
    if said is None:
        return Verdict.SILENT
    if before.phase is Phase.UNKNOWN:
        return Verdict.NARROWS if after.phase is Phase.UNKNOWN else Verdict.DECIDES
    if said.says is before.phase:
        return Verdict.AGREES
    return Verdict.ALLOWS if before.phase in said.allows else Verdict.CONTRADICTS


def _findings(before: Study, after: Study, rows: Sequence[ImageRow], own: int) -> Iterator[QualityFinding]:
    for index, (one, now, row) in enumerate(zip(before.series, after.series, rows, strict=True)):
        which = f"Volume {one.number} ({one.modality.value}{', which was measured' if index == own else ''})"
        called, taken = (phase.value.replace("_", " ") for phase in (one.phase, now.phase))
        if row.verdict is Verdict.CONTRADICTS:
            yield QualityFinding(
                QualityCode.PHASE_CONTRADICTED,
                f"{which} is {called} by its headers, but does not look it: {row.detail}. It is now taken for {taken} "
                f"({now.phase_confidence.value} confidence); name its phase with --phase.",
            )
        elif row.verdict is Verdict.DECIDES:
            yield QualityFinding(
                QualityCode.PHASE_BY_IMAGE,
                f"{which} has no phase by its headers; by its image it is {taken} ({now.phase_confidence.value} "
                f"confidence): {row.detail}.",
            )
