"""Living rests of tumour that hardly stands out, how far they reach, and what is the tumour's own core."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.measure.zones.made import (
    METASTASIS,
    METASTASIS_AGAINST_LIVER,
    OIL,
    RIM,
    RULES,
    Ball,
    ball_ml,
    lesion,
    make,
)
from tests.measure.zones.test_find import ZONE, volume_ml
from tests.measure.zones.test_mistaken import GRID, PLACES, ball

from liverimg.core.labels import BoolArray
from liverimg.measure.zones.around import Around
from liverimg.measure.zones.border import Patch
from liverimg.measure.zones.film import Film
from liverimg.measure.zones.find import find_zones
from liverimg.measure.zones.rests import own_core, roundness

NODULE = Ball((16.0, -4.0, 0.0), 6.0, METASTASIS)
TUMOUR = replace(lesion("L1", (10.0, -4.0, 0.0), 12.0), contrast=METASTASIS_AGAINST_LIVER)
SHARP = replace(RULES, focus=replace(RULES.focus, wide_mm=RULES.focus.smoothing_mm))


def test_rest_that_hardly_stands_out_is_found_on_smoother_images_and_is_no_zone() -> None:
    made = make(ZONE, NODULE, noise=28, seed=1)
    sharp = find_zones(made.image, made.labels, made.phases, [TUMOUR], SHARP)
    assert not sharp.foci, "noise hides it on images as sharp as a carcinoma needs"
    zones = find_zones(made.image, made.labels, made.phases, [TUMOUR], RULES)
    (focus,) = zones.foci
    centre = zones.grid.index_to_lps_mm(np.argwhere(zones.mask(focus)).mean(axis=0))
    assert np.linalg.norm(centre - NODULE.centre) < 2.5
    assert float(zones.mask(focus).sum() * zones.grid.voxel_ml) > 0.4 * ball_ml(6)
    assert "living rests below" in zones.foci_unknown["Z1"]
    places = zones.grid.index_to_lps_mm(np.stack(np.indices(zones.grid.shape), axis=-1))
    truth = np.linalg.norm(places - ZONE.centre, axis=-1) <= 14
    truth &= np.linalg.norm(places - NODULE.centre, axis=-1) > NODULE.radius_mm
    assert volume_ml(zones) == pytest.approx(float(truth.sum()) * zones.grid.voxel_ml, rel=0.05)


def test_rim_where_only_the_error_of_the_place_lets_tumour_be_is_no_focus() -> None:
    """A rim mixed with dead tissue has an excess; round the whole zone it is no nodule."""
    made = make(Ball(ZONE.centre, 16.5, RIM), ZONE, noise=5)
    small = replace(lesion("L1", (0.0, -4.0, 0.0), 9.0), contrast=METASTASIS_AGAINST_LIVER, error_mm=4.0)
    assert not find_zones(made.image, made.labels, made.phases, [small], RULES).foci


@pytest.mark.parametrize("astray_mm", [6.0, 9.0])
def test_rim_is_no_focus_where_the_place_is_wrong_and_reaches_over_it(astray_mm: float) -> None:
    """All around the zone the border looks the same, so that what the place covers of it is no tumour either."""
    made = make(Ball(ZONE.centre, 16.5, RIM), ZONE, noise=5)
    wrong = replace(lesion("L1", (astray_mm, -4.0, 0.0), 9.0), contrast=METASTASIS_AGAINST_LIVER, error_mm=5.0)
    assert not find_zones(made.image, made.labels, made.phases, [wrong], RULES).foci


def test_nothing_next_to_dense_oil_is_a_focus() -> None:
    made = make(ZONE, Ball((11.0, -4.0, 0.0), 2.5, OIL))
    assert not find_zones(made.image, made.labels, made.phases, [lesion("L1", (8.0, -4.0, 0.0), 8.0)], RULES).foci


def _patch() -> Patch:
    whole = np.ones(GRID.shape, dtype=bool)
    k, j, i = (slice(0, n) for n in GRID.shape)
    return Patch(GRID, (k, j, i), whole, whole, {}, {}, {}, Film.of(whole, GRID, 2.0))


def _core(zone: BoolArray, rest: BoolArray) -> BoolArray:
    around = Around.of(_patch(), zone, zone | rest, RULES, error_mm=0.0)
    return own_core(rest, around, _patch(), RULES)


def test_core_that_living_tumour_encloses_is_no_zone_and_a_sickle_beside_it_takes_nothing_off() -> None:
    zone = ball((20, 30, 40), 14)
    tumour, core = ball((36, 30, 40), 8), ball((36, 30, 40), 5)
    shell = tumour & ~core & ~zone
    assert float(_core(zone | core, shell)[core & ~zone].mean()) > 0.6
    sickle = ball((24, 30, 40), 14) & ~zone
    assert np.count_nonzero(_core(zone, sickle)) < 0.01 * np.count_nonzero(zone)


def test_roundness_tells_a_nodule_from_a_layer() -> None:
    nodule = ball((30, 30, 40), 6)
    layer = ball((30, 30, 40), 15) & ~ball((30, 30, 40), 12) & (PLACES[..., 0] > 38)
    cut = nodule & (PLACES[..., 0] > 28)
    assert roundness(nodule, _patch()) > 0.85
    assert roundness(cut, _patch()) > RULES.focus.round_share > roundness(layer, _patch())
