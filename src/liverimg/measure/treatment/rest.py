"""What is left alive of a treated tumour: the residual foci at its zone, as criteria of viable tumour count them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.response import NOT_SEARCHED
from liverimg.measure.band import banded, evidence, quadrature, surface_error_mm
from liverimg.measure.inner_line import longest_inside
from liverimg.measure.lattice import Lattice
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body, Subject
from liverimg.measure.treatment.parts import Drawn
from liverimg.measure.viable import AREA, DIAMETER, VOLUME, largest_section_mm2, missed_mm2, rim_mm2

_HALF = 0.5
_NAMES = (DIAMETER, AREA, VOLUME)
_UNITS = {DIAMETER: "mm", AREA: "mm2", VOLUME: "ml"}


@dataclass(frozen=True)
class Looked:
    """How the foci of a zone were looked for.

    Attributes:
        why_not: Why they could not be looked for; empty where somebody looked.
        smallest_mm: Diameter from which they would have been found, or drawn.
        searched: Whether the program searched; else only what somebody drew is known.
    """

    why_not: str
    smallest_mm: float = 0.0
    searched: bool = True


def measure_rest(
    lesion_id: str, foci: Sequence[Drawn], looked: Looked, *, uncovered: str, body: Body
) -> tuple[Measured, ...]:
    """Viable diameter, area and volume of a treated lesion.

    Diameter and area are those of its largest focus (mRECIST: the longest line in one axial slice that crosses
    nothing dead), the volume that of all. They are 0 where foci were looked for and none was found; the upper end is
    then the smallest that would have been found.

    Args:
        lesion_id: The lesion.
        foci: Its foci.
        looked: How they were looked for.
        uncovered: Why none found proves nothing, because part of the tumour lies outside the zone; empty otherwise.
        body: The study after treatment.
    """
    if foci:
        return _of_foci(lesion_id, foci, body)
    reason = looked.why_not or uncovered
    if reason:
        return tuple(NotMeasured(name, lesion_id, reason) for name in _NAMES)
    most = looked.smallest_mm
    highs = {DIAMETER: most, AREA: np.pi / 4 * most**2, VOLUME: np.pi / 6 * most**3 / 1000}
    words = "no residual focus was found" if looked.searched else NOT_SEARCHED
    missed = "would not have been" if looked.searched else "might not have been drawn"
    words += f"; smaller than {most:g} mm it {missed}" if most else ""
    return tuple(
        Measurement(name, lesion_id, 0.0, _UNITS[name], 0.0, float(highs[name]), words, (), body.sources)
        for name in _NAMES
    )


def _of_foci(lesion_id: str, foci: Sequence[Drawn], body: Body) -> tuple[Measured, ...]:
    lengths = [_length(lesion_id, f.subject, body.settings, body.sources) for f in foci]
    areas = [_area(lesion_id, f.subject, body) for f in foci]
    names = " and ".join(f.part.id for f in foci)
    volumes = [f.subject.lesion.volume_ml for f in foci]
    rims = [f.subject.surface.area_mm2 * _error_mm(f.subject, body.settings) / 1000 for f in foci]
    volume = banded(
        VOLUME, lesion_id, sum(volumes), "ml", half=quadrature(*rims), method=f"volume of {names}", sources=body.sources
    )
    longest = max(lengths, key=lambda m: m.value)
    return longest, max(areas, key=lambda m: m.value), volume


def _error_mm(subject: Subject, settings: MeasureSettings) -> float:
    """How far a focus' outline may be off: its own error, and what its voxels leave open."""
    voxels_mm = settings.bands.long_diameter.pixel * _HALF * float(np.prod(subject.surface.spacing_mm) ** (1 / 3))
    return quadrature(voxels_mm, surface_error_mm(subject.quality, Structure.TUMOUR))


def _length(lesion_id: str, subject: Subject, settings: MeasureSettings, sources: tuple[str, ...]) -> Measurement:
    ends = longest_inside(subject.surface)
    value = 0.0 if ends is None else float(np.linalg.norm(ends[1] - ends[0]))
    points = () if ends is None else (evidence("start", ends[0]), evidence("end", ends[1]))
    error_mm = surface_error_mm(subject.quality, Structure.TUMOUR)
    lattice = Lattice.of(
        subject.lesion.grid,
        subject.surface.spacing_mm,
        slices=subject.lesion.slices,
        area_mm2=subject.surface.area_mm2,
    )
    half = quadrature(lattice.half_mm(settings.bands.long_diameter), error_mm, error_mm)
    return banded(
        DIAMETER,
        lesion_id,
        value,
        "mm",
        half=half,
        method=f"longest line in one axial slice that stays in {subject.lesion.id} (mRECIST)",
        points=points,
        sources=sources,
        at_most=value + half + subject.axial.between_slices_mm,
    )


def _area(lesion_id: str, subject: Subject, body: Body) -> Measurement:
    value = largest_section_mm2(subject.lesion.mask, subject.lesion.grid)
    rim = rim_mm2(value, _error_mm(subject, body.settings))
    return banded(
        AREA,
        lesion_id,
        value,
        "mm2",
        half=rim,
        method=f"area in the axial slice with most of {subject.lesion.id} (EASL)",
        sources=body.sources,
        at_most=value + rim + missed_mm2(subject.lesion.grid),
    )
