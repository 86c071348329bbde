"""Surfaces lie where the labels lie, face outwards, and the still pictures look from the right side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.report.overlays import lesion_masks
from liverimg.report.planes import Scene
from liverimg.report.projection import projection
from liverimg.report.surface3d import blocks, coarse, surfaces, triangles


def ball(grid: Grid, centre: Any, radius_mm: float) -> Any:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return np.linalg.norm(grid.index_to_lps_mm(index) - centre, axis=-1) < radius_mm


def signed_volume_ml(vertices: Any, faces: Any) -> float:
    a, b, c = (vertices[faces[:, n]] - vertices.mean(axis=0) for n in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6 / 1000)


@pytest.mark.parametrize("target_mm", [1.0, 2.0, 3.0])
def test_surface_of_a_ball(target_mm: float) -> None:
    grid = Grid.from_axes((40, 61, 67), spacing_mm=(2.0, 1.1, 1.0), origin_lps_mm=(30, -200, 12))
    centre = grid.centre_lps_mm + np.array((1.3, -2.0, 0.7))
    block = coarse(ball(grid, centre, 25), grid, target_mm=target_mm)
    assert block is not None
    vertices, faces = triangles(block, level=0.5)
    away = np.linalg.norm(vertices - centre, axis=1)
    assert abs(away.mean() - 25) < 0.6
    assert np.abs(vertices.mean(axis=0) - centre).max() < 0.5
    # Positive: the faces turn outwards.
    assert signed_volume_ml(vertices, faces) == pytest.approx(4 / 3 * np.pi * 25**3 / 1000, rel=0.08)


def test_faces_turn_outwards_on_an_awkward_grid(awkward_grid: Grid) -> None:
    volume = Volume(np.zeros(awkward_grid.shape, np.int16), awkward_grid, Quantity.HU)
    mask = ball(awkward_grid, awkward_grid.centre_lps_mm, 10)
    scene = Scene.of(volume, LabelMap(mask.astype(np.uint8), awkward_grid, {Structure.LIVER: 1}))
    block = coarse(scene.labels.mask(Structure.LIVER), scene.grid, target_mm=1.0)
    assert block is not None
    vertices, faces = triangles(block, level=0.5)
    assert signed_volume_ml(vertices, faces) == pytest.approx(4 / 3 * np.pi, rel=0.1)
    assert np.abs(np.linalg.norm(vertices - awkward_grid.centre_lps_mm, axis=1) - 10).max() < 2.0


def test_empty_and_tiny_masks_have_no_surface() -> None:
    grid = Grid.from_axes((5, 6, 7), spacing_mm=(1, 1, 1))
    mask = np.zeros(grid.shape, dtype=bool)
    assert coarse(mask, grid, target_mm=2.0) is None
    mask[2, 3, 3] = True
    block = coarse(mask, grid, target_mm=3.0)
    assert block is not None
    assert len(triangles(block, level=0.5)[1]) == 0


def test_structures_of_the_scene(content: Any) -> None:
    scene = Scene.of(content.volume, content.labels)
    masks = lesion_masks(scene, {le.id: le.centroid_lps_mm for le in content.measurements.lesions})
    titles = {s: content.title_of(s) for s in Structure}
    found = {s.title: s for s in surfaces(blocks(scene, masks, content.strings), titles)}
    assert {"Tumour L1", "Tumour L2", "Liver", "Portal vein", "Hepatic veins", "Body"} <= set(found)
    assert np.linalg.norm(found["Tumour L1"].vertices_lps_mm.mean(axis=0) - (-62, -8, 18)) < 2


@pytest.mark.parametrize(
    ("look", "side", "lps"),
    [
        ("front", "right", (1, 0, 0)),
        ("front", "top", (0, 0, 1)),
        ("right", "right", (0, -1, 0)),
        ("right", "top", (0, 0, 1)),
        ("below", "right", (1, 0, 0)),
        ("below", "top", (0, -1, 0)),
    ],
)
def test_still_pictures_show_the_right_side(look: str, side: str, lps: Any, strings: dict[str, Any]) -> None:
    grid = Grid.from_axes((40, 40, 40), spacing_mm=(2, 2, 2), origin_lps_mm=(-39, -39, -39))
    array = ball(grid, (0, 0, 0), 36).astype(np.uint8)
    array[ball(grid, 22 * np.array(lps), 8)] = 2
    labels = LabelMap(array, grid, {Structure.LIVER: 1, Structure.TUMOUR: 2})
    scene = Scene.of(Volume(np.zeros(grid.shape, np.int16), grid, Quantity.HU), labels)
    masks = lesion_masks(scene, {"L1": tuple(22.0 * np.array(lps))})
    colours = {Structure.LIVER: "#ff0000", Structure.TUMOUR: "#0000ff"}
    picture = projection(blocks(scene, masks, strings), colours, look=look, pixels=120)
    assert picture is not None
    rows, columns = np.nonzero((picture[..., 2] > picture[..., 0]) & (picture[..., 3] > 128))
    x, y = columns.mean() / picture.shape[1], rows.mean() / picture.shape[0]
    assert {"right": x > 0.65, "top": y < 0.35}[side], (x, y)
    assert picture[0, 0, 3] == 0  # the corner is empty


def test_what_lies_in_front_hides_what_lies_behind(strings: dict[str, Any]) -> None:
    grid = Grid.from_axes((40, 40, 40), spacing_mm=(2, 2, 2), origin_lps_mm=(-39, -39, -39))
    array = np.zeros(grid.shape, np.uint8)
    array[ball(grid, (0, -15, 0), 12)] = 3  # anterior
    array[ball(grid, (0, 15, 0), 20)] = 4  # posterior and larger
    labels = LabelMap(array, grid, {Structure.HEPATIC_VEIN: 3, Structure.PORTAL_VEIN: 4})
    scene = Scene.of(Volume(np.zeros(grid.shape, np.int16), grid, Quantity.HU), labels)
    colours = {Structure.HEPATIC_VEIN: "#0000ff", Structure.PORTAL_VEIN: "#ff0000"}
    picture = projection(blocks(scene, {}, strings), colours, look="front", pixels=120)
    assert picture is not None
    middle = picture[picture.shape[0] // 2, picture.shape[1] // 2]
    assert middle[2] > 60 > middle[0]
