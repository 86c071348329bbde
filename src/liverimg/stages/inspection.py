"""A look at a study folder without taking it in: nothing is written but the page that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from liverimg.core.inspection import ClipScale, Inspection
from liverimg.core.study import Phase, Role, Study
from liverimg.dicom.listing import acquired_slices
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.reference import choose_reference, chosen_by_person, with_roles
from liverimg.dicom.study import read_study
from liverimg.dicom.ultrasound_regions import clip_calibration
from liverimg.files.inspection_records import inspection_to_record
from liverimg.files.records import Record, check
from liverimg.files.tables import read_table
from liverimg.report.inspection_content import InspectionRows
from liverimg.report.inspection_page import render_inspection
from liverimg.report.inspection_rows import inspection_rows
from liverimg.report.text import Strings
from liverimg.stages.cines import ultrasound_rules
from liverimg.stages.inspection_pictures import add_pictures
from liverimg.stages.stage import Progress


def inspect_study(
    study: Path,
    *,
    phases: Mapping[str, Phase],
    use: Mapping[str, str] | None = None,
    with_pictures: bool = False,
    progress: Progress | None = None,
) -> Inspection:
    """What a study folder holds.

    Args:
        study: Folder with the DICOM files of one study.
        phases: Phase of a series as the user knows it.
        use: Number or SeriesInstanceUID of the volume that a person wants in a role, by name of the role.
        with_pictures: Read pixels too: what can't be decoded is then known, and every volume and clip has pictures.
        progress: Called with the share that is done.

    Returns:
        What can be used, what can't, and why; without pictures as far as headers tell.

    Raises:
        LiverimgError: The folder holds no DICOM, or more than one study.
    """
    rules = PhaseRules.from_table(read_table("phases"))
    clip_rules = ultrasound_rules()
    headers = read_study(study, phase_rules=rules, overrides=phases, ultrasound_rules=clip_rules)
    scales = [clip_calibration(clip, limits=clip_rules["calibration"]) for clip in headers.study.clips]
    found = Inspection(
        study=headers.study,
        listing=headers.listing,
        slices=tuple(acquired_slices(stack, rules) for stack in headers.stacks),
        scales=tuple(ClipScale(scale.spacing_mm, scale.detail) for scale in scales),
    )
    if with_pictures:
        found = add_pictures(found, headers, progress or (lambda _: None))
    return replace(found, study=_with_roles(found.study, rules, use or {}))


def _with_roles(study: Study, rules: PhaseRules, use: Mapping[str, str]) -> Study:
    chosen = chosen_by_person(study, use)
    if not study.series:
        return with_roles(study, rules, reference=None)
    wanted = chosen.get(Role.REFERENCE)
    reference = study.series[wanted] if wanted is not None else choose_reference(study, rules)
    return with_roles(study, rules, reference=reference, chosen=chosen)


def rows_of(inspection: Inspection) -> InspectionRows:
    """The inspection in words."""
    return inspection_rows(inspection, words(), read_table("refusal_codes"))


def record_of(inspection: Inspection) -> Record:
    """The inspection as a JSON record, held against its schema."""
    record = inspection_to_record(inspection)
    check(record, "inspection", "the inspection")
    return record


def words() -> Strings:
    """The words that the rows don't bring along, such as headings."""
    return read_table("inspection_strings")


def page_of(inspection: Inspection) -> str:
    """The inspection as a self-contained HTML page."""
    return render_inspection(rows_of(inspection), words())
