"""Segments that a person drew go before those that the liver's shape tells."""

from dataclasses import replace

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.measure.remnant import measure_remnants
from liverimg.measure.segment_map import DrawnSegments
from liverimg.measure.segments import MAIN_SEGMENT, find_segments, measure_lesion_segments, measure_segments
from liverimg.measure.subject import Body, Subject

from .test_segments import SETTINGS, liver


def slabs(labels: LabelMap) -> np.ndarray:
    """Eight slabs from right to left, of which nobody would think by the liver's shape."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in labels.grid.shape], indexing="ij"), axis=-1)
    x = labels.grid.index_to_lps_mm(index)[..., 0]
    number = np.clip((x + 130) / 27.5, 0, 7.99).astype(np.uint8) + 1
    return np.where(labels.array == 1, number, 0).astype(np.uint8)


def body_with(segments: np.ndarray | None, labels: LabelMap) -> Body:
    return Body.of(labels, LabelQuality("external"), settings=SETTINGS, segments=segments)


def test_volumes_and_remnants_are_those_of_the_drawn_map():
    labels = liver()
    drawn = slabs(labels)
    body = body_with(drawn, labels)
    segments = find_segments(body, {})
    assert isinstance(segments, DrawnSegments)
    for number, row in enumerate(measure_segments(body, segments), start=1):
        truth = float((drawn == number).sum()) * labels.grid.voxel_ml
        near_the_tumour = number in (3,)
        assert isinstance(row, Measurement)
        assert near_the_tumour or row.low <= truth <= row.high
        assert row.value == pytest.approx(truth, abs=10 if near_the_tumour else 6)
        assert "drawn in the given labels" in row.method
    rows = {r.name: r for r in measure_remnants(body, segments)}
    stays = float(((drawn > 0) & (drawn < 5)).sum()) * labels.grid.voxel_ml
    assert rows["remnant_volume_right_hepatectomy"].value == pytest.approx(stays, rel=0.02)


def test_a_lesion_lies_in_the_segment_that_is_drawn_around_it():
    labels = liver(tumour_at=(-62.0, 0.0, 30.0))
    body = body_with(slabs(labels), labels)
    rows = measure_lesion_segments(Subject.of(body.lesions[0], body), body, find_segments(body, {}))
    main = rows[0]
    assert isinstance(main, Measurement)
    assert main.name == MAIN_SEGMENT and main.value == 3, "-62 is in the slab from -75 to -47.5"
    assert sum(r.value for r in rows[1:] if isinstance(r, Measurement)) == pytest.approx(1)


def test_a_turned_image_has_the_same_segments():
    labels = liver()
    drawn = slabs(labels)
    affine = np.array(labels.grid.affine)
    affine[:3, 3] = labels.grid.index_to_lps_mm((labels.grid.shape[0] - 1, 0, labels.grid.shape[2] - 1))
    affine[:3, [0, 2]] *= -1
    turned = LabelMap(labels.array[::-1, :, ::-1].copy(), Grid(labels.grid.shape, affine), labels.structures)
    one = body_with(drawn, labels)
    other = body_with(drawn[::-1, :, ::-1].copy(), turned)
    for a, b in zip(
        measure_segments(one, find_segments(one, {})), measure_segments(other, find_segments(other, {})), strict=True
    ):
        assert a.value == pytest.approx(b.value, abs=0.01)


def test_half_a_map_is_not_led_on():
    labels = liver()
    drawn = slabs(labels)
    drawn[drawn > 3] = 0
    found = find_segments(body_with(drawn, labels), {})
    assert isinstance(found, str) and "draw the rest" in found
    rows = measure_segments(body_with(drawn, labels), found)
    assert all(isinstance(r, NotMeasured) for r in rows)


def test_without_a_map_the_shape_tells():
    labels = liver()
    body = body_with(None, labels)
    assert not isinstance(find_segments(body, {}), DrawnSegments)
    assert replace(body, liver=None).segments is None
