"""What the sub-voxel surface tells of a lesion's form: volume within it, area, sphericity."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.measure.band import banded, evidence, quadrature
from liverimg.measure.lesions import LesionMask
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.size import SizeBand, volume_half_width_ml, volume_range_ml, why_no_size
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import Surface

_BALL = 36 * math.pi  # a ball's area cubed is this many times its volume squared
FORM_NAMES = ("mesh_volume", "surface_area", "sphericity")


def measure_form(subject: Subject, body: Body) -> tuple[Measured, ...]:
    """The quantities of ``FORM_NAMES`` in that order: volume (ml), area (mm2), sphericity (1 for a ball).

    Sphericity is the area of the ball of the same volume over the lesion's area (IBSI QCFX), 1 at most.
    A lesion at the image edge or of a voxel or two has no form that could be stated.
    """
    lesion = subject.lesion
    reason = why_no_size(lesion)
    if reason:
        return tuple(NotMeasured(name, lesion.id, reason) for name in FORM_NAMES)
    form = _Form.of(subject, body)
    return _mesh_volume(form), _surface_area(form), _sphericity(form)


@dataclass(frozen=True)
class _Form:
    """What the three share: the lesion, its surface, what bands rest on, constants, sources."""

    lesion: LesionMask
    surface: Surface
    known: SizeBand
    settings: MeasureSettings
    sources: tuple[str, ...]

    @classmethod
    def of(cls, subject: Subject, body: Body) -> _Form:
        return cls(subject.lesion, subject.surface, SizeBand.of(subject, body), body.settings, body.sources)

    @property
    def error_mm(self) -> float:
        """How far the outline may be off."""
        return self.known.error_mm

    @property
    def area_error(self) -> float:
        """How far the area's root may be off by the outline, in mm.

        A ball whose radius is off by e has an area that is off by 8 pi r e, which is 2 sqrt(4 pi) sqrt(area) e.
        """
        return 2 * math.sqrt(4 * math.pi) * self.error_mm

    def banded(self, name: str, value: float, unit: str, *, half: float, method: str) -> Measurement:
        place = (evidence("centroid", self.lesion.centroid_lps_mm),)
        return banded(name, self.lesion.id, value, unit, half=half, method=method, points=place, sources=self.sources)


def _mesh_volume(form: _Form) -> Measurement:
    surface, settings = form.surface, form.settings
    area, volume_ml = surface.area_mm2, surface.volume_mm3 / 1000
    half = volume_half_width_ml(
        form.known.spacing_mm,
        volume_ml=volume_ml,
        area_mm2=area,
        slices=form.known.slices,
        error_mm=form.error_mm,
        shares=(settings.band_mesh_volume, settings.few_mesh_volume),
        power=3,
    )
    found = form.banded(
        "mesh_volume", volume_ml, "ml", half=half, method="volume within the sub-voxel surface (IBSI RNU0)"
    )
    smallest, largest = volume_range_ml(volume_ml, form.error_mm)
    return replace(found, low=min(found.low, smallest), high=max(found.high, largest))


def _surface_area(form: _Form) -> Measurement:
    surface, settings = form.surface, form.settings
    grid_mm = form.known.lattice.half_mm(settings.bands.surface_area)
    half = math.sqrt(surface.area_mm2) * quadrature(grid_mm, form.area_error)
    method = "area of the sub-voxel surface (IBSI C0JK)"
    return form.banded("surface_area", surface.area_mm2, "mm2", half=half, method=method)


def _sphericity(form: _Form) -> Measurement:
    surface, settings = form.surface, form.settings
    value = min((_BALL * surface.volume_mm3**2) ** (1 / 3) / surface.area_mm2, 1.0)
    pixels = surface.area_mm2 / form.known.lattice.pixel_mm**2
    percent = quadrature(
        settings.band_sphericity,
        settings.pixel_sphericity / pixels,
        settings.few_sphericity / form.known.slices**2,
    )
    half = value * quadrature(percent / 100, form.area_error / math.sqrt(surface.area_mm2))
    method = "area of the ball of the same volume over the area of the sub-voxel surface (IBSI QCFX)"
    found = form.banded("sphericity", value, "1", half=half, method=method)
    return replace(found, high=min(found.high, 1.0))
