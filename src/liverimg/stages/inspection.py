"""A look at a study folder without taking it in: headers only, nothing written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Quantity
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.reference import choose_reference
from liverimg.dicom.study import read_study
from liverimg.dicom.ultrasound_regions import clip_calibration
from liverimg.files.cine_records import clip_row
from liverimg.files.records import Record
from liverimg.files.study_records import study_to_record
from liverimg.files.tables import read_table
from liverimg.stages.cines import ultrasound_rules


def inspect_study(study: Path, *, phases: Mapping[str, Phase]) -> Record:
    """What ``study.json`` would say, as far as headers tell.

    Args:
        study: Folder with the DICOM files of one study.
        phases: Phase of a series as the user knows it.

    Returns:
        The record of a study, without file names: ``file`` is empty, and ``is_reference`` marks the volume
        that labels would refer to. What only pixels show (damage, refusals) can't be known yet.

    Raises:
        LiverimgError: The folder holds no DICOM, or more than one study.
    """
    rules = PhaseRules.from_table(read_table("phases"))
    clip_rules = ultrasound_rules()
    found = read_study(study, phase_rules=rules, overrides=phases, ultrasound_rules=clip_rules).study
    reference = choose_reference(found, rules) if found.series else None
    quantities = [Quantity.HU if s.modality is Modality.CT else Quantity.MR_SIGNAL for s in found.series]
    scales = [clip_calibration(clip, limits=clip_rules["calibration"]) for clip in found.clips]
    cines = [
        clip_row(clip, file="", calibration=scale.detail, spacing_mm=scale.spacing_mm)
        for clip, scale in zip(found.clips, scales, strict=True)
    ]
    record = study_to_record(found, files=[""] * len(found.series), quantities=quantities, reference=None, cines=cines)
    for row, series in zip(record["volumes"], found.series, strict=True):
        row["is_reference"] = series is reference
        # One line per slice is for machines that have the volume; here it would only hide the table.
        del row["sop_instance_uids"]
    return record
