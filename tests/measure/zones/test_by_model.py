"""Zones by a model: what is made of a probability, with a model that knows the truth, and the one that is bundled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.measure.zones.made import DEAD, RULES, A, Ball, Made, P, U, ball_ml, lesion, make

from liverimg.core.zone_view import ZoneView
from liverimg.core.zones import ZoneMap
from liverimg.files.bundled import bundled_folder
from liverimg.files.records import problems
from liverimg.files.zone_records import zones_from_record, zones_to_record
from liverimg.measure.zones.by_model import find_zones_by_model
from liverimg.measure.zones.find import find_zones

PLACE = (-12.0, 6.0, 4.0)
RADIUS_MM = 14.0


@dataclass(frozen=True, eq=False)
class Knowing:
    """Says of every place whether it lies in one of the balls, blurred over a voxel; keeps what it was shown."""

    balls: tuple[Ball, ...]
    seen: list[ZoneView] = field(default_factory=list)
    title: str = "knowing 1.0"
    caution: str = "It was told."
    spacing_mm: float = 1.5
    least_voxels: int = 48
    multiple: int = 16
    threshold: float = 0.5

    def probability(self, view: ZoneView) -> NDArray[np.float32]:
        self.seen.append(view)
        places = view.grid.index_to_lps_mm(np.stack(np.indices(view.grid.shape), axis=-1))
        away = np.min([np.linalg.norm(places - b.centre, axis=-1) - b.radius_mm for b in self.balls], axis=0)
        return np.clip(0.5 - away / 3.0, 0, 1).astype(np.float32)

    def error_mm(self, view: ZoneView, probability: NDArray[np.float32]) -> float:
        return 2.0 if probability.shape == view.grid.shape else 0.0


@pytest.fixture(scope="module")
def study() -> Made:
    return make(Ball(PLACE, RADIUS_MM, DEAD))


@pytest.fixture(scope="module")
def drawn(study: Made) -> tuple[ZoneMap, ZoneView]:
    """What is made of the model's opinion, and what it was shown."""
    model = Knowing((Ball(PLACE, RADIUS_MM, DEAD),))
    found = find_zones_by_model(study.image, study.labels, study.phases, [lesion("L1", PLACE, 8)], RULES, model)
    (view,) = model.seen
    return found, view


def test_the_border_lies_where_the_probability_crosses_the_threshold(drawn: tuple[ZoneMap, ZoneView]) -> None:
    found, _ = drawn
    (zone,) = found.zones
    assert zone.origin == "model" and zone.lesions == ("L1",) and zone.error_mm == 2.0
    volume_ml = np.count_nonzero(found.mask(zone)) * found.grid.voxel_ml
    assert volume_ml == pytest.approx(ball_ml(RADIUS_MM), rel=0.02)
    assert found.model == "knowing 1.0" and not found.absent and zone.notes[0] == "It was told."


def test_the_model_sees_the_liver_around_the_place_at_its_own_level(drawn: tuple[ZoneMap, ZoneView]) -> None:
    _, view = drawn
    assert set(view.values) == {U, A, P} and view.grid.shape == (48, 48, 48)
    assert view.levels[P] == pytest.approx(114, abs=3) and view.levels[U] == pytest.approx(58, abs=3)
    inside = view.place_mm > 2
    assert np.median(view.values[P][inside]) == pytest.approx(42, abs=3)
    assert 5 < float(view.place_mm.max()) < 8.5, "to the border of voxels, from the voxel next to the middle"
    assert view.liver[inside].all() and not view.liver.all()


def test_a_lesion_without_a_zone_is_said_and_a_far_region_is_no_zone_of_it(study: Made) -> None:
    far = (26.0, -24.0, -20.0)
    model = Knowing((Ball(PLACE, RADIUS_MM, DEAD),))
    treated = [lesion("L1", PLACE, 8), lesion("L2", far, 6), lesion("L3", (0.0, 0.0, 0.0), 6, lost=True)]
    found = find_zones_by_model(study.image, study.labels, study.phases, treated, RULES, model)
    assert [zone.lesions for zone in found.zones] == [("L1",)]
    assert "without enhancement lies at its place" in found.absent["L2"]
    assert "is not known" in found.absent["L3"]


def test_without_contrast_the_model_is_not_asked(study: Made) -> None:
    model = Knowing((Ball(PLACE, RADIUS_MM, DEAD),))
    plain = {U: study.phases[U]}
    found = find_zones_by_model(study.image, study.labels, plain, [lesion("L1", PLACE, 8)], RULES, model)
    assert not found.zones and not model.seen
    by_rule = find_zones(study.image, study.labels, plain, [lesion("L1", PLACE, 8)], RULES)
    assert dict(found.absent) == dict(by_rule.absent)


def test_the_record_names_the_model(drawn: tuple[ZoneMap, ZoneView]) -> None:
    found, _ = drawn
    record = zones_to_record(found)
    assert record["model"] == "knowing 1.0" and problems(record, "zones") == []
    assert zones_from_record(record, np.asarray(found.array), found.grid).model == "knowing 1.0"


@pytest.fixture
def bundled() -> Callable[..., object]:
    from liverimg.segmentation.zones.bundle import open_zone_network

    return lambda: open_zone_network(bundled_folder("models") / "zone_post", device="cpu")


def test_the_bundled_network_draws_a_ball(study: Made, bundled: Callable[..., object]) -> None:
    network = bundled()
    found = find_zones_by_model(study.image, study.labels, study.phases, [lesion("L1", PLACE, 8)], RULES, network)  # type: ignore[arg-type]
    (zone,) = found.zones
    volume_ml = np.count_nonzero(found.mask(zone)) * found.grid.voxel_ml
    assert volume_ml == pytest.approx(ball_ml(RADIUS_MM), rel=0.15)
    assert zone.error_mm > 0 and found.model.startswith("zone_post ")
