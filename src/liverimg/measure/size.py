"""How large a lesion is."""

from __future__ import annotations

import math

import numpy as np

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import Structure
from liverimg.core.measurement import EvidencePoint, Measured, Measurement, NotMeasured
from liverimg.measure.axial import AxialDiameters, farthest
from liverimg.measure.band import banded, direction, evidence, quadrature, surface_error_mm, voxel_share
from liverimg.measure.lesions import LesionMask
from liverimg.measure.settings import MeasureSettings
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
    lesion, surface, axial, quality = subject.lesion, subject.surface, subject.axial, subject.quality
    settings, sources = body.settings, body.sources
    reason = why_no_size(lesion)
    if reason:
        return tuple(NotMeasured(name, lesion.id, reason) for name in SIZE_NAMES)
    error_mm = surface_error_mm(quality, Structure.TUMOUR)
    long, short = _axial(lesion, surface, axial, error_mm, settings, sources)
    craniocaudal = _craniocaudal(lesion, surface, error_mm, settings, sources)
    return (
        long,
        short,
        craniocaudal,
        _maximum_3d(lesion, surface, axial, error_mm, settings, sources),
        _volume(lesion, surface, error_mm, settings, sources),
        _ellipsoid(lesion, long, short, craniocaudal, sources),
    )


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


def _axial(
    lesion: LesionMask,
    surface: Surface,
    found: AxialDiameters,
    error_mm: float,
    settings: MeasureSettings,
    sources: tuple[str, ...],
) -> tuple[Measurement, Measurement]:
    plane, slices = _plane_words(surface), lesion.slices
    long_share = voxel_share(settings.band_long_diameter, settings.few_long_diameter, slices)
    short_share = voxel_share(settings.band_short_diameter, settings.few_short_diameter, slices)
    long_half = quadrature(long_share * surface.pitch_mm(direction(*found.long_ends)), error_mm, error_mm)
    short_half = quadrature(short_share * surface.pitch_mm(direction(*found.short_ends)), error_mm, error_mm)
    long = banded(
        "axial_long_diameter",
        lesion.id,
        found.long_mm,
        "mm",
        half=long_half,
        method=f"longest line in one {plane}, sub-voxel contour",
        points=_ends(found.long_ends, found.plane_centre),
        sources=sources,
        at_most=found.long_mm + long_half + found.between_slices_mm,
    )
    short = banded(
        "axial_short_diameter",
        lesion.id,
        found.short_mm,
        "mm",
        half=short_half,
        method=f"longest line at right angles to the long diameter in the same {plane}, sub-voxel contour",
        points=_ends(found.short_ends, found.plane_centre),
        sources=sources,
        at_most=found.short_mm + short_half + found.between_slices_mm,
    )
    return long, short


def _ends(ends: FloatArray, plane_centre: FloatArray) -> tuple[EvidencePoint, ...]:
    return evidence("start", ends[0]), evidence("end", ends[1]), evidence("slice_centre", plane_centre)


def _plane_words(surface: Surface) -> str:
    if stack_axis(surface.spacing_mm) == 0:
        return "axial slice"
    return "axial plane, reformatted from slices of another orientation"


def _craniocaudal(
    lesion: LesionMask, surface: Surface, error_mm: float, settings: MeasureSettings, sources: tuple[str, ...]
) -> Measurement:
    heights = surface.vertices_lps_mm[:, 2]
    ends = surface.vertices_lps_mm[[int(np.argmin(heights)), int(np.argmax(heights))]]
    pitch = surface.pitch_mm(np.array([0.0, 0.0, 1.0]))
    return banded(
        "craniocaudal_extent",
        lesion.id,
        float(heights.max() - heights.min()),
        "mm",
        half=quadrature(
            voxel_share(settings.band_extent, settings.few_extent, lesion.slices) * pitch, error_mm, error_mm
        ),
        method="extent along the patient's foot-to-head axis, ends interpolated between slices",
        points=(evidence("start", ends[0]), evidence("end", ends[1])),
        sources=sources,
    )


def _maximum_3d(
    lesion: LesionMask,
    surface: Surface,
    axial: AxialDiameters,
    error_mm: float,
    settings: MeasureSettings,
    sources: tuple[str, ...],
) -> Measurement:
    ends = farthest(surface.vertices_lps_mm)
    value = float(np.linalg.norm(ends[1] - ends[0]))
    # The longest of many lines finds the grid's roughness in whatever direction it is widest: the pitch along the
    # winning line alone would be too narrow a band on anisotropic grids.
    pitch_mm = max(surface.pitch_mm(direction(*ends)), float(np.prod(surface.spacing_mm) ** (1 / 3)))
    share = voxel_share(settings.band_3d_diameter, settings.few_3d_diameter, lesion.slices)
    half = quadrature(share * pitch_mm, error_mm, error_mm)
    return banded(
        "maximum_3d_diameter",
        lesion.id,
        value,
        "mm",
        half=half,
        method="longest line between any two points of the sub-voxel surface (IBSI L0JK)",
        points=(evidence("start", ends[0]), evidence("end", ends[1])),
        sources=sources,
        at_most=value + half + axial.between_slices_mm,
    )


def _volume(
    lesion: LesionMask, surface: Surface, error_mm: float, settings: MeasureSettings, sources: tuple[str, ...]
) -> Measurement:
    half = volume_half_width_ml(
        lesion.grid,
        volume_ml=lesion.volume_ml,
        area_mm2=surface.area_mm2,
        slices=lesion.slices,
        error_mm=error_mm,
        shares=(settings.band_volume, settings.few_volume),
    )
    smallest, largest = volume_range_ml(lesion.volume_ml, error_mm)
    return banded(
        "volume",
        lesion.id,
        lesion.volume_ml,
        "ml",
        half=half,
        method="number of voxels times their volume (IBSI YEKZ)",
        points=(evidence("centroid", lesion.centroid_lps_mm),),
        sources=sources,
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
    grid: Grid,
    *,
    volume_ml: float,
    area_mm2: float,
    slices: int,
    error_mm: float,
    shares: tuple[float, float],
) -> float:
    """Band of a volume: border voxels are in or out by chance, and so are the ends between slices.

    Args:
        grid: Where the voxels lie.
        volume_ml: The volume.
        area_mm2: Area of the surface.
        slices: How many slices cross the body: a sum over slices errs by about one over their square.
        error_mm: How far the outline may be off all over.
        shares: Half width as a share of the root of the number of border voxels, in voxels; and as a share of the
            volume over the squared number of slices.
    """
    voxel_mm3 = grid.voxel_ml * 1000
    border_voxels = area_mm2 / voxel_mm3 ** (2 / 3)
    counted_mm3 = shares[0] * voxel_mm3 * math.sqrt(border_voxels)
    between_mm3 = shares[1] * volume_ml * 1000 / slices**2
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
