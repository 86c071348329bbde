"""People from seeds: always whole, always the same for the same seed."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.phantom import ellipsoids, render
from liverimg.phantom.people import build_scene, random_person, random_scene
from liverimg.phantom.scene import Scene
from liverimg.phantom.solids import at_points
from liverimg.phantom.truth import SkinDistance


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_tumours_lie_inside_the_liver_and_apart(seed: int) -> None:
    scene = random_scene(seed)
    assert len(scene.lesions) <= 3
    clouds = [ellipsoids.surface_points(x.shape, ellipsoids.unit_directions(500)) for x in scene.lesions]
    for number, points in enumerate(clouds):
        assert (at_points(scene.liver, points) < 0).all()
        for other in scene.lesions[:number]:
            assert (at_points(other.shape, points) > 0).all()


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_most_people_have_a_tumour(seed: int) -> None:
    assert random_person(seed) == random_person(seed)
    assert random_person(seed).tumours


def test_the_same_seed_gives_the_same_body() -> None:
    grid = Grid.from_axes((24, 32, 40), spacing_mm=(9, 9, 9), origin_lps_mm=(-176, -140, -105))
    values = {s: n for n, s in enumerate(Structure, start=1)}
    one, two, other = (render.labels(random_scene(s), grid, values).array for s in (8, 8, 9))
    np.testing.assert_array_equal(one, two)
    assert (one != other).mean() > 0.05


def test_fat_makes_tumours_deeper(scene: Scene) -> None:
    person = dataclasses.replace(random_person(3), fat_mm=8.0)
    deep = []
    for fat_mm in (8.0, 30.0):
        made = build_scene(dataclasses.replace(person, fat_mm=fat_mm))
        deep.append(float(SkinDistance(made)(np.array([made.lesions[0].shape.centre]))[0]))
    assert 8 < deep[1] - deep[0] < 40


def test_ascites_surrounds_the_liver() -> None:
    person = dataclasses.replace(random_person(3), ascites_mm=10.0)
    grid = Grid.from_axes((24, 32, 40), spacing_mm=(9, 9, 9), origin_lps_mm=(-176, -140, -105))
    labels = render.labels(build_scene(person), grid, {s: n for n, s in enumerate(Structure, start=1)})
    assert labels.mask(Structure.ASCITES).sum() * grid.voxel_ml > 150
