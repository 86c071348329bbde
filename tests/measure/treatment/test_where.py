"""Places in words: direction, segment, nearest vessel."""

from __future__ import annotations

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.core.motion import RigidMotion
from liverimg.files.tables import read_table
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body
from liverimg.measure.surface import structure_points
from liverimg.measure.treatment.before import Before, box_around
from liverimg.measure.treatment.where import direction_words, nearest_vessel, segments_at, spot_of

CONSTANTS = MeasureSettings.from_table(read_table("measure"))
VALUES = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.PORTAL_VEIN: 4, Structure.HEPATIC_VEIN: 3}


@pytest.mark.parametrize(
    ("along", "words"),
    [
        ((1, 0, 0), "to the left"),
        ((-1, 0, 0), "to the right"),
        ((0, 1, 0), "to the back"),
        ((0, -1, 0), "to the front"),
        ((0, 0, 1), "to the head"),
        ((0, 0, -1), "to the feet"),
        ((-2, 1, 0), "to the right and the back"),
        ((1, 0.3, 0), "to the left"),
        ((1, -1, 1), "to the left, the front and the head"),
        ((0, 0, 0), ""),
    ],
)
def test_directions_are_the_patients_own(along: tuple[float, ...], words: str) -> None:
    start = np.array([5.0, -3.0, 100.0])
    assert direction_words(start, start + 7 * np.array(along, dtype=float)) == words


def _before(structures: dict[Structure, int], *, vein: bool = False, **quality: object) -> Before:
    """A liver of 1.4 litres with a straight portal branch along the body axis at x = 20 mm, of 4 mm radius.

    A hepatic vein of 3 mm radius crosses it from the right to the left, where one is wanted.
    """
    shape, spacing = (50, 70, 90), (3.0, 2.0, 2.0)
    origin = -(np.array(shape) - 1) / 2 * np.array(spacing)
    grid = Grid.from_axes(shape, spacing_mm=spacing, origin_lps_mm=origin[::-1])
    x, y, z = np.moveaxis(
        grid.index_to_lps_mm(np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)), -1, 0
    )
    array = np.zeros(shape, dtype=np.uint8)
    array[(x / 82) ** 2 + (y / 62) ** 2 + (z / 66) ** 2 <= 1] = 1
    if vein:
        array[(np.hypot(y - 24, z - 12) <= 3) & (np.abs(x) < 60)] = 3
    array[(np.hypot(x - 20, y) <= 4) & (np.abs(z) < 40)] = 4
    array[np.linalg.norm(np.stack([x + 30, y, z]), axis=0) <= 10] = 2
    array[~np.isin(array, list(structures.values()))] = 0
    labels = LabelMap(array, grid, structures)
    return Before.of(Body.of(labels, LabelQuality("external", **quality), settings=CONSTANTS))  # type: ignore[arg-type]


def test_the_nearest_vessel_has_its_name_and_distance() -> None:
    name, found = nearest_vessel(np.array([-5.0, 0.0, 0.0]), "L1", _before(VALUES))
    assert name == "portal_vein"
    assert isinstance(found, Measurement)
    assert found.value == pytest.approx(21.0, abs=0.5)
    assert found.low <= 21.0 <= found.high


@pytest.mark.parametrize("place", [(-5.0, 0.0, 0.0), (30.0, 20.0, 10.0), (20.0, 1.0, 35.0), (-75.0, 3.0, -60.0)])
def test_the_nearest_vessel_is_that_of_whole_surfaces(place: tuple[float, ...]) -> None:
    before, at = _before(VALUES, vein=True), np.array(place)
    found = before.vessels_near(at, reach_mm=40.0)
    scene = before.body.scene
    box = box_around(scene, at[None], 40.0)
    whole = {s: structure_points(scene.mask(box, s), scene.crop_grid(box), smoothing=0.5) for s in found}
    assert set(found) == {Structure.PORTAL_VEIN, Structure.HEPATIC_VEIN, Structure.INFERIOR_VENA_CAVA} & set(VALUES)
    nearest, expected = (np.concatenate([p for p in x.values() if len(p)] or [[[np.inf] * 3]]) for x in (found, whole))
    best, plain = (p[np.linalg.norm(p - at, axis=1).argmin()] for p in (nearest, expected))
    assert np.array_equal(best, plain)


def test_what_is_not_known_of_the_place_widens_the_band() -> None:
    before = _before(VALUES)
    sure, unsure = (nearest_vessel(np.array([-5.0, 0, 0]), "L1", before, error_mm=e)[1] for e in (0.0, 4.0))
    assert isinstance(sure, Measurement) and isinstance(unsure, Measurement)
    assert unsure.high - unsure.low > sure.high - sure.low + 6.0


def test_a_vessel_beyond_reach_or_unseen_is_unknown_never_far() -> None:
    far = nearest_vessel(np.array([-60.0, 0.0, 0.0]), "L1", _before(VALUES))
    unseen = nearest_vessel(
        np.array([-5.0, 0.0, 0.0]), "L1",
        _before(VALUES, not_visible=dict.fromkeys((Structure.PORTAL_VEIN, Structure.HEPATIC_VEIN), "no contrast")),
    )  # fmt: skip
    never = nearest_vessel(np.array([0.0, 0, 0]), "L1", _before({s: VALUES[s] for s in list(VALUES)[:2]}))
    for name, found in (far, unseen, never):
        assert name == "" and isinstance(found, NotMeasured)
    assert "40 mm" in far[1].reason  # type: ignore[union-attr]
    assert "none could be seen" in unseen[1].reason  # type: ignore[union-attr]


def test_segments_are_those_that_the_doubt_leaves() -> None:
    before = _before(VALUES)
    right, note = segments_at(np.array([-70.0, 10.0, -10.0]), before)
    left, _ = segments_at(np.array([70.0, -10.0, 10.0]), before)
    assert set(right) <= {5, 6, 7, 8} and not set(left) & {5, 6, 7, 8}
    assert bool(note) == (len(right) > 1)
    levels = before.segments.levels(np.array([[-70.0, 10.0, -10.0]]))[0]  # type: ignore[union-attr]
    assert right[0] == int(np.argmax(levels)) + 1


def test_a_place_of_the_later_study_is_told_in_the_baseline() -> None:
    before = _before(VALUES)
    motion = RigidMotion(np.eye(3), np.array([0.0, 0.0, 15.0]))
    spot = spot_of(np.array([-5.0, 0.0, 15.0]), np.array([-30.0, 0.0, 15.0]), motion=motion, target="L1", before=before)
    assert spot.before_lps_mm == pytest.approx((-5.0, 0.0, 0.0))
    assert spot.direction == "to the left" and spot.vessel == "portal_vein"
    lost = spot_of(np.array([-5.0, 0.0, 15.0]), np.zeros(3), motion=None, target="L1", before=before)
    assert lost.before_lps_mm is None and lost.segments == () and isinstance(lost.vessel_distance, NotMeasured)


def test_only_vessels_that_are_wide_enough_cool() -> None:
    near = np.array([[16.0, 0.0, 0.0]])
    wide = _before(VALUES).cooling_near(near, reach_mm=6.0)
    assert wide is not None and len(wide)
    assert np.hypot(wide[:, 0] - 20, wide[:, 1]) == pytest.approx(4.0, abs=1.0)
    none_seen = _before({s: VALUES[s] for s in list(VALUES)[:2]})
    assert none_seen.cooling_near(near, reach_mm=6.0) is None
