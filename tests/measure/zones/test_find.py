"""Zones and foci by rule, on balls with known volumes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.measure.zones.made import (
    BLOOD,
    CARCINOMA,
    DEAD,
    GAS,
    OIL,
    RIM,
    RULES,
    VEIN,
    A,
    Ball,
    Made,
    P,
    Place,
    U,
    ball_ml,
    lesion,
    make,
)

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap
from liverimg.core.motion import RigidMotion
from liverimg.core.zones import ZoneMap
from liverimg.measure.zones.find import find_zones
from liverimg.measure.zones.finding import Search, pieces
from liverimg.measure.zones.site import Treated

ZONE = Ball((0.0, -4.0, 0.0), 14.0, DEAD)
TUMOUR = lesion("L1", (0.0, -4.0, 0.0), 8.0)


def found(made: Made, *treated: Treated) -> ZoneMap:
    return find_zones(made.image, made.labels, made.phases, treated, RULES)


def volume_ml(zones: ZoneMap, number: int = 0) -> float:
    return float(zones.mask(zones.zones[number]).sum() * zones.grid.voxel_ml)


@pytest.mark.parametrize("phases", [(U, A, P), (A, P), (P,)], ids=["all", "no unenhanced", "portal alone"])
def test_volume_of_a_ball(phases: tuple) -> None:
    zones = found(make(ZONE, phases=phases), TUMOUR)
    assert [zone.lesions for zone in zones.zones] == [("L1",)]
    assert volume_ml(zones) == pytest.approx(ball_ml(14), rel=0.04)
    assert not zones.absent
    weaker = [note for note in zones.zones[0].notes if "no unenhanced phase" in note]
    assert len(weaker) == (U not in phases)


@pytest.mark.parametrize("spacing_mm", [(1.0, 0.9, 0.9), (5.0, 0.9, 0.9)])
def test_volume_is_unbiased_on_thin_and_thick_slices(spacing_mm: Place) -> None:
    zones = found(make(ZONE, spacing_mm=spacing_mm, noise=5), TUMOUR)
    assert volume_ml(zones) == pytest.approx(ball_ml(14), rel=0.04)


@pytest.mark.parametrize(("radius_mm", "older"), [(8.0, False), (13.0, False), (14.5, True), (18.0, True)])
def test_what_reaches_nowhere_beyond_the_tumour_may_be_older(radius_mm: float, older: bool) -> None:
    (zone,) = found(make(ZONE), lesion("L1", ZONE.centre, radius_mm)).zones
    assert zone.perhaps_older == older
    assert any("dead tissue that the tumour had before" in note for note in zone.notes) == older


def test_blood_gas_and_oil_inside_belong_to_the_zone() -> None:
    inside = [Ball((3, -4, 2), 5, BLOOD), Ball((-5, -6, -3), 2.5, GAS), Ball((0, 1, 4), 3, OIL)]
    zones = found(make(ZONE, *inside), TUMOUR)
    assert volume_ml(zones) == pytest.approx(ball_ml(14), rel=0.05)
    notes = " ".join(zones.zones[0].notes)
    assert "Gas" in notes and "oil" in notes
    assert "oil" in zones.foci_unknown["Z1"]


def test_thin_regular_rim_is_neither_zone_nor_focus() -> None:
    zones = found(make(Ball(ZONE.centre, 16.5, RIM), ZONE), TUMOUR)
    assert volume_ml(zones) == pytest.approx(ball_ml(14), rel=0.06)
    assert not zones.foci


@pytest.mark.parametrize("diameter_mm", [6.0, 9.0])
def test_living_nodule_at_the_border_is_a_focus(diameter_mm: float) -> None:
    nodule = Ball((14.0, -4.0, 0.0), diameter_mm / 2, CARCINOMA)
    zones = found(make(ZONE, nodule), lesion("L1", (8.0, -4.0, 0.0), 11.0))
    assert [(focus.zone, focus.lesions) for focus in zones.foci] == [("Z1", ("L1",))]
    centre = zones.grid.index_to_lps_mm(np.argwhere(zones.mask(zones.foci[0])).mean(axis=0))
    assert np.linalg.norm(centre - nodule.centre) < 2.0
    assert zones.smallest_focus_mm == RULES.focus.smallest_mm


def test_vein_into_the_zone_is_no_focus() -> None:
    veins = [Ball((x, -4.0, 0.0), 2.5, VEIN) for x in np.arange(10.0, 40.0, 2.0)]
    zones = found(make(ZONE, *veins), lesion("L1", (4.0, -4.0, 0.0), 12.0))
    assert not zones.foci


def test_without_an_arterial_phase_foci_are_unknown() -> None:
    zones = found(make(ZONE, phases=(U, P)), TUMOUR)
    assert "arterial" in zones.foci_unknown["Z1"]


def test_hole_in_the_liver_label_is_filled() -> None:
    zones = found(make(ZONE, hole=ZONE), TUMOUR)
    assert volume_ml(zones) == pytest.approx(ball_ml(14), rel=0.04)


def test_two_lesions_with_one_zone() -> None:
    zones = found(
        make(Ball((-8, -4, 0), 12, DEAD), Ball((8, -4, 0), 12, DEAD)),
        lesion("L1", (-9, -4, 0), 6),
        lesion("L2", (9, -4, 0), 6),
    )
    assert [zone.lesions for zone in zones.zones] == [("L1", "L2")]


def test_lesion_without_a_zone_is_absent_with_the_way_to_the_nearest() -> None:
    zones = found(make(ZONE), TUMOUR, lesion("L2", (-28.0, 20.0, 24.0), 5.0))
    assert set(zones.absent) == {"L2"}
    assert "mm away" in zones.absent["L2"]


def test_lesion_whose_place_is_unknown_takes_the_only_zone() -> None:
    zones = found(make(ZONE), lesion("L1", (0, 0, 0), 8, lost=True))
    assert [zone.lesions for zone in zones.zones] == [("L1",)]


def test_two_lost_lesions_leave_the_zones_to_nobody() -> None:
    made = make(Ball((-20, -4, 0), 10, DEAD), Ball((18, -4, 0), 10, DEAD))
    zones = found(made, lesion("L1", (0, 0, 0), 5, lost=True), lesion("L2", (0, 0, 0), 5, lost=True))
    assert [zone.lesions for zone in zones.zones] == [(), ()]
    assert set(zones.absent) == {"L1", "L2"}


def test_cyst_elsewhere_is_no_zone() -> None:
    cyst = Ball((-26.0, 20.0, 20.0), 7.0, dict.fromkeys((U, A, P), 8.0))
    zones = found(make(ZONE, cyst), TUMOUR)
    assert len(zones.zones) == 1
    assert volume_ml(zones) == pytest.approx(ball_ml(14), rel=0.04)


def test_oblique_grid_and_motion_give_the_same_zone() -> None:
    turned = np.array([[0.0, 0.17364818, -0.98480775], [0.0, 0.98480775, 0.17364818], [-1.0, 0.0, 0.0]])
    moved = lesion("L1", (20.0, -4.0, 0.0), 8.0, motion=RigidMotion(np.eye(3), np.array([-20.0, 0.0, 0.0])))
    zones = found(make(ZONE, directions=turned), moved)
    assert volume_ml(zones) == pytest.approx(ball_ml(14), rel=0.05)
    centre = zones.grid.index_to_lps_mm(np.argwhere(zones.mask(zones.zones[0])).mean(axis=0))
    assert np.linalg.norm(centre - ZONE.centre) < 1.0


def test_unenhanced_alone_says_nothing() -> None:
    zones = found(make(ZONE, phases=(U,)), TUMOUR)
    assert not zones.zones
    assert "contrast" in zones.absent["L1"]


@pytest.mark.parametrize("island_mm", [6.0, 12.0])
def test_zone_without_liver_beside_it_is_absent_and_has_no_error_without_end(island_mm: float) -> None:
    made = make(ZONE)
    places = made.labels.grid.index_to_lps_mm(np.stack(np.indices(made.labels.grid.shape), axis=-1))
    kept = (np.linalg.norm(places - ZONE.centre, axis=-1) <= island_mm) | (places[..., 0] < -33)
    array = np.where(kept, made.labels.array, 0).astype(np.uint8)
    labels = LabelMap(array, made.labels.grid, made.labels.structures)
    zones = found(replace(made, labels=labels), TUMOUR)
    assert not zones.zones and "no liver beside it" in zones.absent["L1"]


def test_a_sheet_at_the_surface_that_hangs_on_a_zone_is_cut_off() -> None:
    """As where the liver is outlined a voxel too far out, and partial volume all around it looks dead."""
    grid = Grid.from_axes((40, 40, 40), spacing_mm=(2.0, 2.0, 2.0))
    places = grid.index_to_lps_mm(np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"), axis=-1))
    ball = np.linalg.norm(places - grid.index_to_lps_mm((20, 20, 20)), axis=-1) <= 9.0
    sheet = np.zeros(grid.shape, dtype=bool)
    sheet[:, 24:26] = True
    limits = {"least_ml": RULES.finding.least_ml, "least_depth_mm": RULES.finding.least_depth_mm}
    empty = np.zeros(grid.shape, dtype=np.float32)

    def parts(dead: np.ndarray) -> list[np.ndarray]:
        whole = np.ones(grid.shape, dtype=bool)
        return [part.mask for part in pieces(Search(grid, whole, empty, dead, False, ()), **limits)]

    (alone,) = parts(ball)
    np.testing.assert_array_equal(alone, ball)
    (freed,) = parts(ball | sheet)
    assert not (ball & ~freed).any()
    beyond = freed & ~ball
    assert np.count_nonzero(beyond) < 0.35 * np.count_nonzero(ball) < 0.35 * np.count_nonzero(sheet)
    assert not parts(sheet), "a sheet alone is no zone"
