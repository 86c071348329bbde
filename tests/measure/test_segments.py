"""Segments, remnants and planned ablations: the right order in the body, doubt where it belongs, truth where known."""

from dataclasses import replace

import numpy as np
import pytest

from liverimg.core.errors import RecordInvalidError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.files.tables import read_table
from liverimg.measure.organs import measure_organs
from liverimg.measure.remnant import measure_destruction, measure_remnants
from liverimg.measure.segments import (
    MAIN_SEGMENT,
    SEGMENTS,
    Segments,
    bent,
    find_segments,
    measure_lesion_segments,
    measure_segments,
    quadratic,
)
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body, Subject

SETTINGS = MeasureSettings.from_table(read_table("measure"))
VALUES = {Structure.LIVER: 1, Structure.TUMOUR: 2}


def liver(*, tumour_at=(-60.0, 0.0, 30.0), radius_mm=9.0, spacing=(3.0, 2.0, 2.0), cut: int = 0) -> LabelMap:
    """A large right lobe and a thin left one, as livers are, with a ball in it."""
    shape = tuple(int(n) for n in np.ceil(np.array([170, 200, 260]) / spacing))
    grid = Grid.from_axes(shape, spacing_mm=spacing, origin_lps_mm=(-150, -110, -85))
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(grid.index_to_lps_mm(index), -1, 0)
    right = ((x + 60) / 70) ** 2 + ((y - 0) / 80) ** 2 + (z / 75) ** 2 <= 1
    left = ((x - 5) / 85) ** 2 + ((y + 40) / 38) ** 2 + ((z - 30) / 32) ** 2 <= 1
    array = (right | left).astype(np.uint8)
    ball = np.linalg.norm(np.stack([x, y, z], axis=-1) - tumour_at, axis=-1) <= radius_mm
    array[ball & (array > 0)] = 2
    if cut:
        array, grid = array[cut:], grid.cropped((cut, 0, 0), (shape[0] - cut, shape[1], shape[2]))
    return LabelMap(array, grid, VALUES)


def body_of(labels: LabelMap, settings: MeasureSettings = SETTINGS) -> Body:
    return Body.of(labels, LabelQuality("external"), settings=settings)


@pytest.fixture(scope="module")
def body() -> Body:
    return body_of(liver())


@pytest.fixture(scope="module")
def segments(body: Body) -> Segments:
    found = find_segments(body, {})
    assert isinstance(found, Segments)
    return found


def test_the_segments_lie_where_they_lie_in_people(body: Body, segments: Segments):
    centres = {q.name[-1]: np.array(q.evidence[0].lps_mm) for q in measure_segments(body, segments)}
    left, back, up = 0, 1, 2
    assert min(centres["2"][left], centres["3"][left]) > centres["4"][left] > centres["8"][left]
    assert min(centres["8"][up], centres["7"][up]) > max(centres["5"][up], centres["6"][up])
    assert centres["7"][back] > centres["8"][back] and centres["6"][back] > centres["5"][back]
    assert centres["2"][up] > centres["3"][up]


def test_volumes_add_up_and_lie_in_their_bands(body: Body, segments: Segments):
    found = measure_segments(body, segments)
    assert sum(q.value for q in found) == pytest.approx(measure_organs(body, ())[0].value, rel=0.01)
    assert all(q.low <= q.value <= q.high for q in found)


def test_remnants_are_what_their_segments_leave(body: Body, segments: Segments):
    found = {q.name: q for q in measure_remnants(body, segments)}
    volumes = [q.value for q in measure_segments(body, segments)]
    tumour_ml = sum(lesion.volume_ml for lesion in body.lesions)
    stays = sum(volumes[s - 1] for s in (1, 2, 3, 4))
    assert found["remnant_volume_right_hepatectomy"].value == pytest.approx(stays, rel=0.01)
    share = found["remnant_share_right_hepatectomy"]
    assert share.value == pytest.approx(stays / (sum(volumes) - tumour_ml), rel=0.01)
    assert 0 < share.low < share.value < share.high < 1
    assert found["remnant_share_extended_right_hepatectomy"].value < share.value


def test_a_resection_of_ones_own(body: Body, segments: Segments):
    own = replace(SETTINGS, segments=SETTINGS.segments.with_resection("chosen", (6, 5, 5)))
    found = {q.name: q for q in measure_remnants(replace(body, settings=own), segments)}
    volumes = [q.value for q in measure_segments(body, segments)]
    expected = sum(volumes) - volumes[4] - volumes[5] - sum(lesion.volume_ml for lesion in body.lesions)
    assert found["remnant_volume_chosen"].value == pytest.approx(expected, rel=0.02)
    with pytest.raises(RecordInvalidError, match="9 is no Couinaud segment"):
        SETTINGS.segments.with_resection("chosen", (9,))


def test_a_place_deep_in_a_segment_has_its_name_and_one_at_a_border_has_none(body: Body, segments: Segments):
    levels = segments.levels(segments.places_lps_mm)
    ordered = np.sort(levels, axis=1)
    lead = ordered[:, -1] - ordered[:, -2]
    certain, unsure = int(lead.argmax()), int(lead.argmin())
    for index, expected in ((certain, Measurement), (unsure, NotMeasured)):
        place = tuple(segments.places_lps_mm[index])
        other = body_of(liver(tumour_at=place, radius_mm=6.0))
        subject = Subject.of(other.lesions[0], other)
        same = replace(segments, doubt=min(segments.doubt, float(lead.max()) * 0.8))
        main, *shares = measure_lesion_segments(subject, other, same)
        assert main.name == MAIN_SEGMENT and isinstance(main, expected)
        assert sum(q.value for q in shares) == pytest.approx(1, abs=0.01)
        if expected is NotMeasured:
            assert " or " in main.reason


def test_where_the_shape_says_nothing_nothing_is_said():
    cut = body_of(liver(cut=20))
    reason = find_segments(cut, {})
    assert isinstance(reason, str) and "edge" in reason
    assert all(isinstance(q, NotMeasured) for q in measure_segments(cut, reason) + measure_remnants(cut, reason))
    small = body_of(liver(spacing=(3.0, 2.0, 2.0)))
    rules = replace(SETTINGS.segments, least_liver_ml=5000.0)
    assert "outside" in str(find_segments(replace(small, settings=replace(SETTINGS, segments=rules)), {}))


def test_bending_brings_a_border_onto_a_line():
    rng = np.random.default_rng(0)
    line = rng.normal(0, 0.6, (40, 3)) * (0.1, 1, 1) + (-0.1, 0, 0)
    weights = SETTINGS.segments.matrix
    left, right = [1, 2, 3], [4, 5, 6, 7]

    def gap(found: np.ndarray) -> float:
        levels = quadratic(line) @ found
        one, other = (np.logaddexp.reduce(levels[:, side], axis=1) for side in (left, right))
        return float(np.sqrt(np.mean((one - other) ** 2)))

    loose = bent(weights, line, np.ones(40), (2, 3, 4), (5, 6, 7, 8), stiffness=1e-6)
    stiff = bent(weights, line, np.ones(40), (2, 3, 4), (5, 6, 7, 8), stiffness=1e6)
    assert gap(loose) < 0.5 * gap(weights)
    assert gap(stiff) == pytest.approx(gap(weights), rel=1e-3)


@pytest.mark.parametrize("spacing", [(1.5, 1.5, 1.5), (5.0, 1.2, 1.2)])
def test_planned_destruction_is_a_ball_with_its_margin(spacing):
    body = body_of(liver(spacing=spacing, radius_mm=12.0))
    found = {q.name: q for q in measure_destruction(body, measure_organs(body, ())[0])}
    for margin_mm in (5, 10):
        truth_ml = 4 / 3 * np.pi * (12 + margin_mm) ** 3 / 1000
        quantity = found[f"planned_destruction_volume_{margin_mm}mm"]
        assert quantity.low <= truth_ml <= quantity.high
        assert quantity.value == pytest.approx(truth_ml, rel=0.08)


def test_the_same_on_another_grid(segments: Segments):
    other = find_segments(body_of(liver(spacing=(5.0, 1.5, 1.5))), {})
    assert isinstance(other, Segments)
    points = segments.places_lps_mm[::50]
    same = segments.levels(points).argmax(axis=1) == other.levels(points).argmax(axis=1)
    assert same.mean() > 0.97
    assert set(SEGMENTS) == set(range(1, 9))
