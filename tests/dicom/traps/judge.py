"""One judge for every reader: what came out of a trap folder, held against its truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from tests.dicom.traps.case import Case
from tests.dicom.traps.scene import SECOND_PHASE_HU, Seen, look_at

from liverimg.core.grid import Grid

FEWEST_SLICES = 3


class Verdict(StrEnum):
    """Columns of the table of peers."""

    RIGHT = "right"
    REFUSED_RIGHTLY = "refused, rightly"
    REFUSED = "refused though readable"
    PARTIAL = "partial"
    WRONG_WARNED = "wrong, with a warning"
    WRONG_SILENT = "wrong, silently"
    NOT_FLAGGED = "should have flagged"


@dataclass
class Answer:
    """What a reader made of a folder.

    Attributes:
        volumes: Arrays (k, j, i) with the grid that the reader claims for them.
        warned: Whether it said anything that tells a person to look.
        said: The first line of that, for the table.
    """

    volumes: list[tuple[np.ndarray, Grid]] = field(default_factory=list)
    warned: bool = False
    said: str = ""


def judge(case: Case, answer: Answer) -> tuple[Verdict, str]:
    """The verdict and the worst figure that led to it."""
    volumes = [(a, g) for a, g in answer.volumes if a.ndim == 3 and min(a.shape) >= FEWEST_SLICES]
    if not volumes:
        return (Verdict.REFUSED if case.must_read else Verdict.REFUSED_RIGHTLY), answer.said
    seen = [look_at(array, grid, is_signal=case.is_signal, scene=case.scene) for array, grid in volumes]
    fragments = [one for one in seen if one.blobs < case.least_blobs and _is_near(case, one)]
    right = [one for one in seen if is_right(case, one)]
    wrong = [one for one in seen if one not in right and one not in fragments]
    found = {round(one.added_hu / SECOND_PHASE_HU) for one in right}
    if wrong or found - set(case.phases):
        worst = max(wrong, key=lambda one: one.centroid_mm, default=seen[0])
        figures = f"{len(right)} of {len(case.phases)} right; {worst.centroid_mm:.1f} mm, {worst.hu:.0f} HU off"
        return (Verdict.WRONG_WARNED if answer.warned else Verdict.WRONG_SILENT), figures
    if found != set(case.phases) or len(right) < len(case.phases):
        return Verdict.PARTIAL, f"{len(right)} of {len(case.phases)} volumes"
    if (case.must_flag or case.codes or len(right) > len(case.phases)) and not answer.warned:
        return Verdict.NOT_FLAGGED, ""
    return Verdict.RIGHT, f"{max(one.centroid_mm for one in seen):.2f} mm"


def is_right(case: Case, seen: Seen) -> bool:
    """Whether one volume shows enough blobs, where they are, as large and as dense as they are."""
    return seen.blobs >= case.least_blobs and _is_near(case, seen)


def _is_near(case: Case, seen: Seen) -> bool:
    """The same for the blobs that it does show, were it only one."""
    phase = seen.added_hu / SECOND_PHASE_HU
    if not np.isfinite(phase):
        return False
    return abs(phase - round(phase)) < 0.1 and seen.is_right(
        centroid_mm=case.tolerance_mm, volume_share=case.volume_share, least_blobs=1
    )
