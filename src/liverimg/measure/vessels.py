"""Vessels near a lesion: how wide they are there, and how far the lesion reaches around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from liverimg.core.boxes import Box
from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray, Structure
from liverimg.core.measurement import Measured, Measurement, NotMeasured, Point
from liverimg.measure.band import banded, evidence, point, quadrature, surface_error_mm
from liverimg.measure.branches import MARK_OF, PartSource
from liverimg.measure.bulge import bulge_of
from liverimg.measure.calibre import Calibre, calibre_at, pitch_across_mm
from liverimg.measure.contact import Contact, Doubt, LesionAround, Neighbourhood, contact_with
from liverimg.measure.overlap import Overlap, overlap_with
from liverimg.measure.proximity import MaskSource
from liverimg.measure.reach import Around, Nowhere, Place, half_width_mm
from liverimg.measure.rules import NearnessRules
from liverimg.measure.subject import Body, Subject
from liverimg.measure.surface import pitch_mm

BLOOD = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.INFERIOR_VENA_CAVA)
_TUBES = (*BLOOD, Structure.BILE_DUCT)
_NEIGHBOURHOOD_MM = 12.0
_SAME_PLACE_MM = 1e-6
_FULL_TURN_DEG = 360.0
_RAY_DEG = 5.0  # between two rays of a section
_STEP_MM = 1.0  # between two sections
_TOO_THIN = "too little of it is drawn there to tell its width"

RegionMask = Callable[[Box], BoolArray]


class Walls:
    """What was already found out about the vessels around one lesion, so that it is not found out twice."""

    def __init__(self, subject: Subject, body: Body, around: Around) -> None:
        self.subject = subject
        self.body = body
        self.around = around
        self._calibres: list[tuple[Structure, FloatArray, Calibre | None]] = []
        self._lesion: LesionAround | None = None
        self._near: dict[str, Neighbourhood] = {}
        self._contacts: dict[tuple[str, Point], Contact] = {}
        self._overlaps: dict[tuple[str, Point], Overlap] = {}

    @property
    def rules(self) -> NearnessRules:
        """What counts as what."""
        return self.body.settings.nearness

    def source(self, place: Place) -> RegionMask | None:
        """The mask of a vessel, duct or branch; None for what is no tube."""
        if place.structure not in _TUBES:
            return None
        if place.name == place.structure:
            return MaskSource(self.body.scene, place.structure)
        tree = self.around.trees[place.structure]
        mark = next(m for b, m in MARK_OF[place.structure].items() if b == place.name)
        return PartSource(self.body.scene, tree, tree.chosen(mark))

    def neighbourhood(self, place: Place, source: RegionMask) -> Neighbourhood:
        """Distances to the lesion and to a vessel around the lesion."""
        if place.name not in self._near:
            calibre = self.calibre(place.structure, place.found.on_structure)
            pad_mm = _NEIGHBOURHOOD_MM + (0.0 if calibre is None else calibre.diameter_mm / 2)
            if self._lesion is None or self._lesion.pad_mm < pad_mm:
                self._lesion = LesionAround.of(self.subject.lesion, self.body.scene.grid, pad_mm=pad_mm)
            self._near[place.name] = Neighbourhood.of(self._lesion, source, pad_mm=pad_mm)
        return self._near[place.name]

    def contact(self, place: Place) -> tuple[Contact, Calibre] | None:
        """How far the lesion touches a tube, and the tube's width there; None where too little of it is drawn."""
        source, calibre = self.source(place), self.calibre(place.structure, place.found.on_structure)
        if source is None or calibre is None:
            return None
        key = (place.name, point(place.found.on_structure))
        if key not in self._contacts:
            self._contacts[key] = contact_with(self.neighbourhood(place, source), calibre, self.doubt(place))
        return self._contacts[key], calibre

    def doubt(self, place: Place) -> Doubt:
        """How well the place of the lesion's surface and of the vessel's wall is known."""
        quality = self.subject.quality
        error_mm = quadrature(
            surface_error_mm(quality, Structure.TUMOUR),
            surface_error_mm(quality, place.structure),
        )
        return Doubt(self.rules.contact_reach_mm, self.rules.band_contact, error_mm)

    def overlap(self, place: Place) -> Overlap:
        """How deep the lesion lies in a thing that it touches."""
        key = (place.name, point(place.found.on_structure))
        if key not in self._overlaps:
            self._overlaps[key] = self._overlap(place)
        return self._overlaps[key]

    def _overlap(self, place: Place) -> Overlap:
        half_mm = half_width_mm(place, self.subject, self.body)
        if place.name == "liver_capsule":
            return bulge_of(self.subject.target, self.body, place.found.on_structure, half_mm=half_mm)
        found = self.contact(place) if place.structure in _TUBES else None
        if found is None or self.subject.lesion.touches_image_edge:
            return Overlap(0.0, 0.0, half_mm, "the two touch; how deep one reaches into the other can't be told")
        source = self.source(place)
        if source is None:
            raise AssertionError("a tube that is touched has a mask")
        vertices = self.subject.target.surface.vertices_lps_mm
        return overlap_with(
            self.neighbourhood(place, source),
            vertices,
            found[1],
            found[0],
            half_mm=half_mm,
            shape_share=self.rules.band_calibre_shape,
        )

    def calibre(self, structure: Structure, wall_lps_mm: FloatArray) -> Calibre | None:
        """The vessel's width at a place on its wall."""
        for known, place, calibre in self._calibres:
            if known == structure and float(np.abs(place - wall_lps_mm).max()) < _SAME_PLACE_MM:
                return calibre
        found = calibre_at(MaskSource(self.body.scene, structure), wall_lps_mm, self.body.scene.grid)
        self._calibres.append((structure, wall_lps_mm, found))
        return found


def measure_calibres(found: Sequence[Place | Nowhere], walls: Walls) -> list[Measured]:
    """The diameter of each vessel, duct and branch where the lesion comes nearest to it."""
    rows: list[Measured] = []
    for place in found:
        if place.structure not in _TUBES:
            continue
        name, lesion = f"diameter_of_{place.name}", walls.subject.lesion.id
        if isinstance(place, Nowhere):
            rows.append(NotMeasured(name, lesion, place.reason))
            continue
        calibre = walls.calibre(place.structure, place.found.on_structure)
        if calibre is None:
            rows.append(NotMeasured(name, lesion, _TOO_THIN))
        else:
            rows.append(diameter_row(name, calibre, place, walls))
    return rows


def diameter_row(name: str, calibre: Calibre, place: Place, walls: Walls) -> Measurement:
    """A diameter with its band."""
    return banded(
        name,
        walls.subject.lesion.id,
        calibre.diameter_mm,
        "mm",
        half=diameter_half_width_mm(calibre, place.structure, walls),
        method="diameter of a circle as large as the mean section of a short piece, where the lesion comes nearest",
        points=(evidence("on_axis", calibre.centre_lps_mm), evidence(f"on_{place.name}", place.found.on_structure)),
        sources=walls.body.sources,
    )


def diameter_half_width_mm(calibre: Calibre, structure: Structure, walls: Walls) -> float:
    """Half width of a diameter's band: voxels, the vessel's shape, and how far its outline can be trusted."""
    rules, body = walls.rules, walls.body
    pitch = pitch_across_mm(body.scene.grid, body.band_spacing_mm, calibre.along)
    error_mm = surface_error_mm(walls.subject.quality, structure)
    voxels = pitch * max(rules.band_calibre_least, rules.band_calibre * pitch / calibre.diameter_mm)
    return quadrature(voxels, rules.band_calibre_shape * calibre.diameter_mm, error_mm, error_mm)


def measure_contacts(found: Sequence[Place | Nowhere], walls: Walls) -> list[Measured]:
    """How far around each blood vessel, and how far along it, the lesion touches it."""
    rows: list[Measured] = []
    for place in found:
        if place.structure in BLOOD:
            rows += _contact_rows(place, walls)
    return rows


def _contact_rows(place: Place | Nowhere, walls: Walls) -> list[Measured]:
    lesion = walls.subject.lesion.id
    names = (f"contact_angle_of_{place.name}", f"contact_length_of_{place.name}")
    if isinstance(place, Nowhere):
        return [NotMeasured(name, lesion, place.reason) for name in names]
    if walls.subject.lesion.touches_image_edge:
        return [NotMeasured(name, lesion, "the lesion touches the edge of the image") for name in names]
    reach_mm = half_width_mm(place, walls.subject, walls.body) + place.found.unseen_mm
    if not place.found.touching and place.found.distance_mm > reach_mm:
        method = f"the two do not touch, {place.found.distance_mm:.1f} mm lie between them"
        return [
            banded(name, lesion, 0.0, unit, half=0.0, method=method, sources=walls.body.sources)
            for name, unit in zip(names, ("deg", "mm"), strict=True)
        ]
    found = walls.contact(place)
    if found is None:
        return [NotMeasured(name, lesion, _TOO_THIN) for name in names]
    contact, calibre = found
    doubt = walls.doubt(place)
    return [_angle_row(names[0], contact, calibre, walls), _length_row(names[1], contact, calibre, doubt, walls)]


def _angle_row(name: str, contact: Contact, calibre: Calibre, walls: Walls) -> Measurement:
    measured = banded(
        name,
        walls.subject.lesion.id,
        contact.angle_deg,
        "deg",
        half=_RAY_DEG,
        method=(
            "largest angle around the vessel in which the lesion touches its wall; "
            f"{100 * contact.angle_deg / _FULL_TURN_DEG:.0f} % of its circumference"
        ),
        points=(evidence("on_axis", calibre.centre_lps_mm),),
        sources=walls.body.sources,
        at_least=contact.low_deg,
        at_most=contact.high_deg,
    )
    return replace(measured, high=min(measured.high, _FULL_TURN_DEG))


def _length_row(name: str, contact: Contact, calibre: Calibre, doubt: Doubt, walls: Walls) -> Measurement:
    pitch = pitch_mm(walls.body.scene.grid, walls.body.band_spacing_mm, calibre.along)
    end_mm = quadrature(doubt.pitches * pitch, doubt.error_mm)
    return banded(
        name,
        walls.subject.lesion.id,
        contact.length_mm,
        "mm",
        half=2 * end_mm + _STEP_MM,
        method="length of the vessel's axis along which the lesion touches its wall",
        points=(evidence("on_axis", calibre.centre_lps_mm),),
        sources=walls.body.sources,
    )
