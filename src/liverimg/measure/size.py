"""How large a lesion is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.core.labels import Structure
from liverimg.core.measurement import EvidencePoint, Measured, Measurement, NotMeasured
from liverimg.measure.band import banded, direction, evidence, quadrature, surface_error_mm
from liverimg.measure.lattice import GridShare, Lattice
from liverimg.measure.lesions import LesionMask
from liverimg.measure.span import longest_span
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import Surface, stack_axis

SIZE_NAMES = (
    "axial_long_diameter",
    "axial_short_diameter",
    "craniocaudal_extent",
    "maximum_3d_diameter",
    "volume",
    "ellipsoid_volume",
)
_FEWEST_VOXELS = 4


def measure_size(subject: Subject, body: Body) -> tuple[Measured, ...]:
    """The quantities of ``SIZE_NAMES`` in that order.

    A lesion at the image edge or of a voxel or two has no size that could be stated.
    """
    lesion = subject.lesion
    reason = why_no_size(lesion)
    if reason:
        return tuple(NotMeasured(name, lesion.id, reason) for name in SIZE_NAMES)
    known = SizeBand.of(subject, body)
    long, short = _axial(subject, body, known)
    craniocaudal = _craniocaudal(subject, body, known)
    return (
        long,
        short,
        craniocaudal,
        _maximum_3d(subject, body, known),
        _volume(subject, body, known),
        _ellipsoid(lesion, long, short, craniocaudal, body.sources),
    )


@dataclass(frozen=True, eq=False)
class SizeBand:
    """What the bands of one lesion's sizes rest on.

    Attributes:
        surface: Whose axes the spacings belong to.
        spacing_mm: As bands see it: across slices never finer than they were acquired.
        slices: How many acquired slices cross the lesion; a fraction where it was resampled.
        lattice: Pixels and slices as they were acquired.
        error_mm: How far the outline may be off all over.
    """

    surface: Surface
    spacing_mm: FloatArray
    slices: float
    lattice: Lattice
    error_mm: float

    @classmethod
    def of(cls, subject: Subject, body: Body) -> SizeBand:
        """Takes together what labels and acquisition tell."""
        spacing = body.band_spacing_mm
        axis = stack_axis(spacing)
        grid = subject.lesion.grid
        slices = max(1.0, subject.lesion.mask.shape[axis] * float(grid.spacing_mm[axis] / spacing[axis]))
        error_mm = surface_error_mm(subject.quality, Structure.TUMOUR)
        lattice = Lattice.of(grid, spacing, slices=slices, area_mm2=subject.surface.area_mm2)
        return cls(subject.surface, spacing, slices, lattice, error_mm)

    def half_mm(self, share: GridShare, along_lps: FloatArray | None = None) -> float:
        """Half width for a length: what the grid hides along the line, and the outline at both ends."""
        return quadrature(self.lattice.half_mm(share, along_lps), self.error_mm, self.error_mm)


def why_no_size(lesion: LesionMask) -> str:
    """Why a lesion has no size that could be stated; empty when it has one."""
    if lesion.touches_image_edge:
        return "the lesion touches the edge of the image, so part of it may lie outside the view"
    count = int(np.count_nonzero(lesion.mask))
    if count == 1:
        return "the lesion is a single voxel, which says where it is but not how large"
    if count < _FEWEST_VOXELS:
        return f"the lesion is {count} voxels, too few to tell its size from theirs"
    return ""


def _axial(subject: Subject, body: Body, known: SizeBand) -> tuple[Measurement, Measurement]:
    found, bands, plane = subject.axial, body.settings.bands, _plane_words(subject.surface)
    long_half = known.half_mm(bands.long_diameter, direction(*found.long_ends))
    short_half = known.half_mm(bands.short_diameter, direction(*found.short_ends))
    # Which of several lines is the longest can't be told within their error: each has a short diameter of its own.
    least, largest = (abs(found.short_mm - end) for end in found.short_range_mm)
    long = banded(
        "axial_long_diameter",
        subject.lesion.id,
        found.long_mm,
        "mm",
        half=long_half,
        method=f"longest line in one {plane}, sub-voxel contour",
        points=_ends(found.long_ends, found.plane_centre),
        sources=body.sources,
        at_most=found.long_mm + long_half + found.between_slices_mm,
    )
    short = banded(
        "axial_short_diameter",
        subject.lesion.id,
        found.short_mm,
        "mm",
        half=short_half,
        method=f"longest line at right angles to the long diameter in the same {plane}, sub-voxel contour",
        points=_ends(found.short_ends, found.plane_centre),
        sources=body.sources,
        at_least=found.short_mm - quadrature(short_half, least),
        at_most=found.short_mm + quadrature(short_half, largest) + found.between_slices_mm,
    )
    slices = () if body.acquired is None else body.acquired.slices_at(found.plane_centre)
    return replace(long, slices=slices), replace(short, slices=slices)


def _ends(ends: FloatArray, plane_centre: FloatArray) -> tuple[EvidencePoint, ...]:
    return evidence("start", ends[0]), evidence("end", ends[1]), evidence("slice_centre", plane_centre)


def _plane_words(surface: Surface) -> str:
    if stack_axis(surface.spacing_mm) == 0:
        return "axial slice"
    return "axial plane, reformatted from slices of another orientation"


def _craniocaudal(subject: Subject, body: Body, known: SizeBand) -> Measurement:
    vertices = subject.surface.vertices_lps_mm
    heights = vertices[:, 2]
    ends = vertices[[int(np.argmin(heights)), int(np.argmax(heights))]]
    return banded(
        "craniocaudal_extent",
        subject.lesion.id,
        float(heights.max() - heights.min()),
        "mm",
        half=known.half_mm(body.settings.bands.extent, np.array([0.0, 0.0, 1.0])),
        method="extent along the patient's foot-to-head axis, ends interpolated between slices",
        points=(evidence("start", ends[0]), evidence("end", ends[1])),
        sources=body.sources,
    )


def _maximum_3d(subject: Subject, body: Body, known: SizeBand) -> Measurement:
    ends = longest_span(subject.surface)
    value = float(np.linalg.norm(ends[1] - ends[0]))
    # The longest of many lines finds what the grid hides in whatever direction that is most: its own does not count.
    half = known.half_mm(body.settings.bands.diameter_3d)
    return banded(
        "maximum_3d_diameter",
        subject.lesion.id,
        value,
        "mm",
        half=half,
        method="longest line between any two points of the sub-voxel surface, quadrics fitted to its ends (IBSI L0JK)",
        points=(evidence("start", ends[0]), evidence("end", ends[1])),
        sources=body.sources,
        at_most=value + half + subject.axial.between_slices_mm,
    )


def _volume(subject: Subject, body: Body, known: SizeBand) -> Measurement:
    lesion, settings = subject.lesion, body.settings
    half = volume_half_width_ml(
        known.spacing_mm,
        volume_ml=lesion.volume_ml,
        area_mm2=subject.surface.area_mm2,
        slices=known.slices,
        error_mm=known.error_mm,
        shares=(settings.band_volume, settings.few_volume),
    )
    smallest, largest = volume_range_ml(lesion.volume_ml, known.error_mm)
    return banded(
        "volume",
        lesion.id,
        lesion.volume_ml,
        "ml",
        half=half,
        method="number of voxels times their volume (IBSI YEKZ)",
        points=(evidence("centroid", lesion.centroid_lps_mm),),
        sources=body.sources,
        at_least=smallest,
        at_most=largest,
    )


def volume_range_ml(volume_ml: float, error_mm: float) -> tuple[float, float]:
    """Volumes of the balls that are smaller and larger by the error all around than one of this volume.

    For a small lesion the surface times the error falls short: a ball of 3 mm radius drawn 3 mm too small holds
    eight times its volume in truth, not four.
    """
    per_radius = (4 / 3 * math.pi) ** (1 / 3)
    edge = (volume_ml * 1000) ** (1 / 3)
    reach = per_radius * error_mm
    return max(0.0, edge - reach) ** 3 / 1000, (edge + reach) ** 3 / 1000


def volume_half_width_ml(
    spacing_mm: FloatArray,
    *,
    volume_ml: float,
    area_mm2: float,
    slices: float,
    error_mm: float,
    shares: tuple[float, float],
    power: int = 2,
) -> float:
    """Band of a volume: border voxels are in or out by chance, and so are the ends between slices.

    Args:
        spacing_mm: Of the voxels, those across slices as they were acquired.
        volume_ml: The volume.
        area_mm2: Area of the surface.
        slices: How many slices cross the body: a sum over slices errs by about one over their square.
        error_mm: How far the outline may be off all over.
        shares: Half width as a share of the root of the number of border voxels, in voxels; and as a share of the
            volume over a power of the number of slices.
        power: Two for a sum over slices; a surface that is interpolated between them gains one more.
    """
    voxel_mm3 = float(np.prod(spacing_mm))
    border_voxels = area_mm2 / voxel_mm3 ** (2 / 3)
    counted_mm3 = shares[0] * voxel_mm3 * math.sqrt(border_voxels)
    between_mm3 = shares[1] * volume_ml * 1000 / slices**power
    return quadrature(counted_mm3, between_mm3, area_mm2 * error_mm) / 1000


def _ellipsoid(
    lesion: LesionMask, long: Measurement, short: Measurement, craniocaudal: Measurement, sources: tuple[str, ...]
) -> Measurement:
    axes = (long, short, craniocaudal)
    value = math.pi / 6 * math.prod(m.value for m in axes) / 1000
    relative = quadrature(*((m.high - m.low) / 2 / m.value for m in axes))
    return banded(
        "ellipsoid_volume",
        lesion.id,
        value,
        "ml",
        half=value * relative,
        method="pi/6 x axial long x axial short x craniocaudal (DCM 121221)",
        points=(evidence("centroid", lesion.centroid_lps_mm),),
        sources=sources,
    )
