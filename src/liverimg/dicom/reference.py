"""Which volume of a study is segmented: the phase that shows tumours against the liver best, thinly sliced."""

from __future__ import annotations

from typing import Final

from liverimg.core.errors import InputRefusedError
from liverimg.core.study import Modality, Phase, Series, Study
from liverimg.dicom.codes import Flag
from liverimg.dicom.phase import PhaseRules

_NO_SIGNAL: Final = frozenset((Flag.SUBTRACTION, Flag.NOT_MAGNITUDE, Flag.FAT_OR_PHASE_SHIFTED))


def choose_reference(study: Study, rules: PhaseRules) -> Series:
    """The series that liver and tumours are outlined on.

    Criteria, the first that tells two series apart decides: covers a liver's extent, not a subtraction or another
    MR contrast, modality, phase, no unsuitable kernel, original rather than derived, thin slices, long, UID.

    Args:
        study: As ingested.
        rules: Preference order and words, from ``phases.toml``.

    Raises:
        InputRefusedError: The study has no usable volume.
    """
    if not study.series:
        raise InputRefusedError(
            "the study holds no usable CT or MR volume, expected at least one: see the table of what was rejected"
        )
    return min(study.series, key=lambda series: _rank(series, rules))


def extent_mm(series: Series) -> float:
    """Length of the volume along its slices' normal."""
    return float(series.grid.shape[0] * series.grid.spacing_mm[0])


def _rank(series: Series, rules: PhaseRules) -> tuple[object, ...]:
    order = rules.reference.get(series.modality, ())
    other_contrast = series.modality is Modality.MR and bool(rules.other_mr_words.search(series.description))
    phase: Phase = series.phase
    return (
        extent_mm(series) < rules.enough_extent_mm,
        other_contrast or not _NO_SIGNAL.isdisjoint(series.flags),
        list(rules.reference).index(series.modality) if series.modality in rules.reference else len(rules.reference),
        order.index(phase) if phase in order else len(order),
        bool(rules.unsuitable_words.search(series.description)),
        Flag.DERIVED_IMAGE in series.flags,
        round(float(series.grid.spacing_mm[0]), 2),
        -extent_mm(series),
        series.series_instance_uid,
        series.sop_instance_uids,
    )
