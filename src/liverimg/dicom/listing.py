"""What a folder holds, series by series, and how the slices of a volume were acquired."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from liverimg.core.inspection import AcquiredSlices, ListedSeries
from liverimg.core.study import Modality
from liverimg.dicom.frame import Frame
from liverimg.dicom.phase import PhaseInput, PhaseRules, injection_delay_s
from liverimg.dicom.stack import Stack, depths_mm

# Longer than any code string of the standard: what is longer is no modality.
_LONGEST_MODALITY: Final = 16


def list_series(frames: Sequence[Frame], identity: re.Pattern[str]) -> tuple[ListedSeries, ...]:
    """Every series that holds images, by its number.

    Args:
        frames: Of all files, used or not.
        identity: Finds the patient's name and number in free text.
    """
    by_uid: dict[str, list[Frame]] = {}
    for frame in frames:
        by_uid.setdefault(frame.series_instance_uid, []).append(frame)
    listed = [_listed(uid, by_uid[uid], identity) for uid in sorted(by_uid)]
    return tuple(sorted(listed, key=lambda one: (one.number is None, one.number or 0, one.series_instance_uid)))


def _listed(uid: str, frames: Sequence[Frame], identity: re.Pattern[str]) -> ListedSeries:
    descriptions = sorted({frame.phase_tags.series_description for frame in frames} - {""})
    modality = min(frame.modality for frame in frames)
    return ListedSeries(
        series_instance_uid=uid,
        number=min((frame.series_number for frame in frames if frame.series_number is not None), default=None),
        modality=modality if modality.isalnum() and len(modality) <= _LONGEST_MODALITY else "",
        description=identity.sub("[removed]", descriptions[0] if descriptions else ""),
        images=sum({frame.pixels.path: max(1, frame.pixels.frames) for frame in frames}.values()),
        acquired_at=min((frame.acquired_at for frame in frames if frame.acquired_at is not None), default=None),
    )


def acquired_slices(stack: Stack, rules: PhaseRules) -> AcquiredSlices:
    """Thickness, distances and delay of a volume's slices as acquired.

    Args:
        stack: From the headers.
        rules: Say which start of contrast is believed.
    """
    gaps_mm = np.diff(depths_mm(stack.frames))
    first = stack.frames[0]
    acquired_s = min((frame.acquired_s for frame in stack.frames if frame.acquired_s is not None), default=None)
    return AcquiredSlices(
        count=len(stack.frames),
        matrix=(first.pixels.rows, first.pixels.columns),
        thickness_mm=first.thickness_mm,
        least_gap_mm=float(gaps_mm.min()),
        most_gap_mm=float(gaps_mm.max()),
        after_injection_s=injection_delay_s(PhaseInput(Modality(first.modality), first.phase_tags, acquired_s), rules),
    )
