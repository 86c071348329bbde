"""Zones and foci as bodies: volumes with and without islands, what is left alive, and what belongs to what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, NotMeasured, find
from liverimg.core.motion import RigidMotion
from liverimg.core.zones import Focus, Zone, ZoneMap
from liverimg.files.tables import read_table
from liverimg.measure.lesions import find_lesions
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body
from liverimg.measure.surface import Surface, blob_surface
from liverimg.measure.treatment.cover import Carried
from liverimg.measure.treatment.match import joined, match_tumours, moved_body
from liverimg.measure.treatment.parts import drawn_parts, measure_part
from liverimg.measure.treatment.rest import Looked, measure_rest

CONSTANTS = MeasureSettings.from_table(read_table("measure"))
SHAPE, SPACING_MM = (40, 60, 60), (1.5, 1.0, 1.0)
ORIGIN = -(np.array(SHAPE) - 1) / 2 * np.array(SPACING_MM)
GRID = Grid.from_axes(SHAPE, spacing_mm=SPACING_MM, origin_lps_mm=ORIGIN[::-1])
# The same voxels as a scanner may store them too: head first, and the other way round in the plane.
FLIPPED = Grid.from_axes(
    SHAPE, spacing_mm=SPACING_MM, directions=((0, 0, -1), (0, -1, 0), (1, 0, 0)),
    origin_lps_mm=ORIGIN[::-1] * np.array([1, -1, -1]),
)  # fmt: skip
BODY = Body.of(
    LabelMap(np.ones(SHAPE, np.uint8), GRID, {Structure.LIVER: 1}), LabelQuality("external"), settings=CONSTANTS
)


def _ball(centre: tuple[float, float, float], radius: float, grid: Grid = GRID) -> np.ndarray:
    places = grid.index_to_lps_mm(np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), axis=-1))
    return np.linalg.norm(places - np.array(centre), axis=-1) <= radius


def _map(grid: Grid = GRID, *, island: bool = False, focus: bool = False) -> ZoneMap:
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[_ball((0, 0, 0), 14.0, grid)] = 1
    if island:
        array[_ball((3, 2, 1), 4.0, grid)] = 101 if focus else 0
    foci = (Focus("R1", 101, "Z1", ("L1",), "drawn"),) if focus else ()
    return ZoneMap(array, grid, (Zone("Z1", 1, ("L1",), "rule", 0.8),), foci)


@pytest.mark.parametrize("grid", [GRID, FLIPPED])
def test_a_ball_has_the_numbers_of_a_ball(grid: Grid) -> None:
    found = measure_part(drawn_parts(_map(grid))["Z1"], BODY)
    for name in ("axial_long_diameter", "axial_short_diameter", "craniocaudal_extent", "maximum_3d_diameter"):
        quantity = find(found, name, target="Z1")
        assert isinstance(quantity, Measurement)
        assert quantity.value == pytest.approx(28.0, abs=0.5), name
        assert quantity.high - quantity.low > 2 * 0.8, "the outline's own error is in the band"
    volume = find(found, "non_enhancing_volume", target="Z1")
    assert isinstance(volume, Measurement)
    assert volume.low <= 4 / 3 * np.pi * 14**3 / 1000 <= volume.high


def test_an_island_counts_as_zone_but_not_as_without_enhancement() -> None:
    plain, holed = (drawn_parts(_map(island=i))["Z1"] for i in (False, True))
    assert holed.hollow_ml == pytest.approx(4 / 3 * np.pi * 4**3 / 1000, rel=0.05)
    volumes = [
        find(measure_part(d, BODY), name, target="Z1")
        for d in (plain, holed)
        for name in ("volume", "non_enhancing_volume")
    ]
    values = [v.value for v in volumes if isinstance(v, Measurement)]
    assert values[0] == values[1] == values[2] == pytest.approx(values[3] + holed.hollow_ml)


def test_a_focus_inside_stays_a_hole_of_the_zone() -> None:
    parts = drawn_parts(_map(island=True, focus=True))
    assert parts["Z1"].hollow_ml == 0
    assert parts["R1"].subject.lesion.volume_ml == pytest.approx(4 / 3 * np.pi * 4**3 / 1000, rel=0.05)
    assert parts["R1"].zone_id == parts["Z1"].zone_id == "Z1"


def test_a_zone_without_voxels_is_no_body() -> None:
    empty = replace(_map(), array=np.zeros(SHAPE, dtype=np.uint8))
    assert drawn_parts(empty) == {}


def test_what_is_left_alive_is_the_largest_focus_and_all_their_volume() -> None:
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[_ball((0, 0, 0), 10.0)] = 1
    array[_ball((14, 0, 0), 4.0)] = 101
    array[_ball((-13, 0, 0), 2.5)] = 102
    foci = tuple(Focus(f"R{n}", 100 + n, "Z1", ("L1",), "drawn") for n in (1, 2))
    parts = drawn_parts(ZoneMap(array, GRID, (Zone("Z1", 1, ("L1",), "drawn", 0.0),), foci))
    diameter, area, volume = measure_rest("L1", [parts["R1"], parts["R2"]], Looked(""), uncovered="", body=BODY)
    true = (8.0, np.pi * 16, 4 / 3 * np.pi * (4**3 + 2.5**3) / 1000)
    for quantity, value in zip((diameter, area, volume), true, strict=True):
        assert isinstance(quantity, Measurement)
        assert quantity.value == pytest.approx(value, rel=0.1), quantity.name
        assert quantity.low <= value <= quantity.high, quantity.name


def test_the_viable_diameter_crosses_nothing_dead() -> None:
    """A crescent around the zone: its longest line inside is shorter than its axial diameter."""
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[_ball((0, 0, 0), 13.0) & ~_ball((4, 0, 0), 12.0)] = 101
    array[_ball((4, 0, 0), 12.0)] = 1
    zones = ZoneMap(array, GRID, (Zone("Z1", 1, ("L1",), "drawn", 0.0),), (Focus("R1", 101, "Z1", ("L1",), "drawn"),))
    focus = drawn_parts(zones)["R1"]
    inside = measure_rest("L1", [focus], Looked(""), uncovered="", body=BODY)[0]
    across = find(measure_part(focus, BODY), "axial_long_diameter", target="R1")
    assert isinstance(inside, Measurement) and isinstance(across, Measurement)
    assert inside.value < 0.95 * across.value


def test_none_found_is_nought_up_to_what_would_have_been_seen() -> None:
    diameter, area, volume = measure_rest("L1", [], Looked("", 5.0), uncovered="", body=BODY)
    assert isinstance(diameter, Measurement) and isinstance(area, Measurement) and isinstance(volume, Measurement)
    assert (diameter.value, diameter.high) == (0.0, 5.0)
    assert area.high == pytest.approx(np.pi / 4 * 25)
    assert volume.high == pytest.approx(np.pi / 6 * 125 / 1000)
    for looked, uncovered, words in ((Looked("dense oil"), "", "dense oil"), (Looked(""), "outside", "outside")):
        for quantity in measure_rest("L1", [], looked, uncovered=uncovered, body=BODY):
            assert isinstance(quantity, NotMeasured) and quantity.reason == words


# ---- which tumour is which lesion ----

MOTION = RigidMotion(np.eye(3), np.array([4.0, 0.0, -3.0]))


def _surface(centre: tuple[float, float, float], radius: float) -> Surface:
    return blob_surface(_ball(centre, radius), GRID)


def _pieces(*balls: tuple[tuple[float, float, float], float]) -> tuple:
    array = np.zeros(SHAPE, dtype=np.uint8)
    for centre, radius in balls:
        array[_ball(centre, radius)] = 2
    return find_lesions(LabelMap(array, GRID, {Structure.TUMOUR: 2}), minimum_volume_ml=0.01)


NO_ZONES = ZoneMap(np.zeros(SHAPE, np.uint8), GRID, ())


def test_a_tumour_is_the_lesion_whose_place_it_takes() -> None:
    surfaces = {"L1": _surface((-12, 0, 0), 5.0), "L2": _surface((12, 0, 0), 5.0)}
    carried: dict[str, Carried | None] = dict.fromkeys(surfaces, Carried(MOTION, 1.0))
    pieces = _pieces(((-8, 0, -3), 4.0), ((16, 0, -3), 6.0), ((0, 20, 8), 4.0))
    found = match_tumours(pieces, surfaces, carried, NO_ZONES, {})
    assert set(found.of_lesion) == {"L1", "L2"}
    assert found.of_lesion["L2"].volume_ml > found.of_lesion["L1"].volume_ml
    (other,) = found.elsewhere
    assert other.id == "N1" and other.centroid_lps_mm == pytest.approx((0, 20, 8), abs=0.5)
    assert found.unplaced == () and found.zone_near == {}


def test_pieces_of_one_lesion_are_joined() -> None:
    surfaces = {"L1": _surface((0, 0, 0), 10.0)}
    pieces = _pieces(((-2, 0, -3), 2.5), ((10, 0, -3), 2.5))
    found = match_tumours(pieces, surfaces, {"L1": Carried(MOTION, 0.0)}, NO_ZONES, {})
    whole = found.of_lesion["L1"]
    assert whole.volume_ml == pytest.approx(sum(p.volume_ml for p in pieces))
    assert whole.centroid_lps_mm == pytest.approx((4, 0, -3), abs=0.3)
    same = joined(pieces, "L1")
    assert same.mask.sum() == sum(p.mask.sum() for p in pieces)
    assert same.grid.index_to_lps_mm(np.argwhere(same.mask).mean(axis=0)) == pytest.approx(whole.centroid_lps_mm)


def test_the_error_of_the_motion_lets_a_tumour_lie_beside() -> None:
    surfaces = {"L1": _surface((0, 0, 0), 5.0)}
    pieces = _pieces(((15.5, 0, -3), 3.0))
    for error_mm, owned in ((0.5, False), (5.0, True)):
        found = match_tumours(pieces, surfaces, {"L1": Carried(MOTION, error_mm)}, NO_ZONES, {})
        assert ("L1" in found.of_lesion) == owned


def test_tumour_in_a_focus_belongs_to_it_and_a_lost_lesion_is_named() -> None:
    zones = _map(island=True, focus=True)
    pieces = _pieces(((3, 2, 1), 4.0), ((0, 25, 0), 3.0))
    found = match_tumours(pieces, {"L1": _surface((0, 0, 0), 5.0)}, {"L1": None}, zones, drawn_parts(zones))
    assert found.of_lesion == {} and len(found.elsewhere) == 1
    assert found.unplaced == ("L1",)
    name, gap = found.zone_near["N1"]
    assert name == "Z1" and gap == pytest.approx(25 - 3 - 14, abs=1.0)


def test_a_body_moves_with_its_volume() -> None:
    moved = moved_body(_surface((-5, 0, 0), 8.0), Carried(MOTION, 0.0), GRID, "L1")
    assert moved is not None
    assert moved.volume_ml == pytest.approx(4 / 3 * np.pi * 8**3 / 1000, rel=0.02)
    assert moved.centroid_lps_mm == pytest.approx((-1, 0, -3), abs=0.1)
    away = Carried(RigidMotion(np.eye(3), np.array([500.0, 0, 0])), 0.0)
    assert moved_body(_surface((0, 0, 0), 8.0), away, GRID, "L1") is None
