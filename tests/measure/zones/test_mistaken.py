"""What zones were mistaken by: gas, the liver's surface, dark veins, bodies that hang on them, uncertain places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.measure.zones.made import CARCINOMA, DEAD, GAS, RIM, RULES, A, Ball, D, P, ball_ml, lesion, make
from tests.measure.zones.test_find import TUMOUR, ZONE, found, volume_ml

from liverimg.core.grid import Grid
from liverimg.measure.zones.border import without_pockets
from liverimg.measure.zones.film import Film
from liverimg.measure.zones.finding import Search, search
from liverimg.measure.zones.necks import cut_at_necks
from liverimg.measure.zones.site import Site

GRID = Grid.from_axes((40, 60, 60), spacing_mm=(2, 1, 1), origin_lps_mm=(0, 0, 0))
PLACES = GRID.index_to_lps_mm(np.stack(np.indices(GRID.shape), axis=-1))


def ball(centre: tuple[float, float, float], radius_mm: float) -> np.ndarray:
    return np.asarray(np.linalg.norm(PLACES - centre, axis=-1) <= radius_mm)


def test_gas_next_to_the_border_does_not_draw_it_in() -> None:
    small = Ball(ZONE.centre, 10.0, DEAD)
    gas = [Ball((5.0, -4.0, 0.0), 3.5, GAS), Ball((-4.0, -1.0, 4.0), 3.0, GAS)]
    zones = found(make(small, *gas), lesion("L1", ZONE.centre, 7.0))
    assert volume_ml(zones) == pytest.approx(ball_ml(10), rel=0.05)
    assert not zones.foci


def test_film_of_the_liver_says_what_lies_beneath() -> None:
    liver = PLACES[..., 1] >= 20
    film = Film.of(liver, GRID, 2.0)
    sheet = liver & (PLACES[..., 1] < 21.5)
    assert not film.told(sheet).any()
    zone = ball((30, 28, 40), 10) & liver
    thinned = zone & ~sheet
    told = film.told(thinned)
    assert np.count_nonzero(told) == pytest.approx(np.count_nonzero(zone), rel=0.04)
    assert (told & sheet).any()


def test_blood_between_a_zone_and_the_surface_of_the_liver_is_filled_and_a_wedge_of_liver_is_not() -> None:
    liver = PLACES[..., 1] >= 20
    zone = ball((30, 26, 40), 12) & liver
    blood = ball((30, 21, 40), 5) & liver
    none = np.zeros(GRID.shape, dtype=bool)
    np.testing.assert_array_equal(without_pockets(zone & ~blood, liver, none), zone)
    assert not (without_pockets(zone & ~blood, liver, blood) & blood).any()
    plate = liver & (np.abs(PLACES[..., 0] - 30) <= 4)
    np.testing.assert_array_equal(without_pockets(plate, liver, none), plate)


def test_zone_with_gas_left_out_of_the_liver_at_its_surface_is_whole() -> None:
    zone = Ball((0.0, 33.0, 0.0), 13.0, DEAD)
    made = make(zone, Ball((2.0, 36.0, 0.0), 3.5, GAS), hole=zone)
    zones = found(made, lesion("L1", (0.0, 32.0, 0.0), 7.0))
    grid = zones.grid
    places = grid.index_to_lps_mm(np.stack(np.indices(grid.shape), axis=-1))
    truth = (np.linalg.norm(places - zone.centre, axis=-1) <= 13) & (np.abs(places).max(axis=-1) <= 42)
    assert volume_ml(zones) == pytest.approx(float(truth.sum()) * grid.voxel_ml, rel=0.06)


def test_what_one_late_phase_shows_as_liver_lives_however_dark_it_is_in_the_others() -> None:
    """All phases together a vein of this look is nearer to dead tissue than to liver."""
    vein = [Ball((x, 8.0, 0.0), 5.0, {A: 45.0, P: 104.0, D: 25.0}) for x in np.arange(-12.0, 36.0, 3.0)]
    made = make(ZONE, *vein, ZONE, phases=(A, P, D))
    site = Site.of(made.image, made.labels, made.phases, (TUMOUR,), RULES)
    assert site is not None
    seen = search(site)
    assert isinstance(seen, Search)
    places = seen.grid.index_to_lps_mm(np.stack(np.indices(seen.grid.shape), axis=-1))
    in_vein = (np.linalg.norm(places[..., 1:] - (8.0, 0.0), axis=-1) <= 3) & (places[..., 0] > 16)
    in_vein &= places[..., 0] < 34
    assert float(np.median(seen.take_up[in_vein])) < 1 - RULES.finding.dark_share
    assert float(seen.dead[in_vein].mean()) < 0.1


def test_body_on_a_neck_is_cut_off_and_overlapping_balls_are_not() -> None:
    near = ball((20, 30, 40), 5)
    neck = (np.linalg.norm(PLACES[..., 1:] - (30, 40), axis=-1) <= 3) & (PLACES[..., 0] > 20) & (PLACES[..., 0] < 44)
    zone, cyst = ball((20, 30, 40), 10), ball((44, 30, 40), 8)
    cut = cut_at_necks(zone | neck | cyst, near, GRID, RULES.neck)
    assert cut.away_ml == pytest.approx(np.count_nonzero(cyst) * GRID.voxel_ml, rel=0.15)
    assert (cut.mask & zone).sum() == zone.sum() and cut.neck_mm > 0
    assert cut_at_necks(zone | ball((32, 30, 40), 9), near, GRID, RULES.neck).away_ml == 0
    assert cut_at_necks(zone | neck | cyst, near | cyst, GRID, RULES.neck).away_ml == 0


def test_what_hangs_on_a_zone_is_said() -> None:
    bridge = [Ball((x, -4.0, 0.0), 3.0, DEAD) for x in np.arange(0.0, 24.0, 2.0)]
    zones = found(make(Ball(ZONE.centre, 11.0, DEAD), Ball((24.0, -4.0, 0.0), 8.0, DEAD), *bridge), TUMOUR)
    assert volume_ml(zones) == pytest.approx(ball_ml(11), rel=0.08)
    assert any("not told apart from a cyst" in note for note in zones.zones[0].notes)


@pytest.mark.parametrize("error_mm", [0.0, 5.0])
def test_uncertain_place_makes_no_focus_of_a_rim_and_hides_no_nodule(error_mm: float) -> None:
    tumour = replace(lesion("L1", (6.0, -4.0, 0.0), 9.0), error_mm=error_mm)
    plain = make(Ball(ZONE.centre, 16.0, RIM), ZONE, noise=12)
    assert not found(plain, tumour).foci
    nodule = make(Ball(ZONE.centre, 16.0, RIM), ZONE, Ball((14.0, -4.0, 0.0), 3.5, CARCINOMA))
    assert len(found(nodule, tumour).foci) == 1


def test_too_uncertain_a_place_and_too_faint_a_tumour_are_said() -> None:
    made = make(ZONE, noise=20)
    assert "place uncertain" in found(made, replace(TUMOUR, error_mm=8.0)).foci_unknown["Z1"]
    faint = {phase: value / 8 for phase, value in TUMOUR.contrast.items()}
    assert "stood out by" in found(made, replace(TUMOUR, contrast=faint)).foci_unknown["Z1"]
