"""Pictures show the right side, true proportions and callipers where the points lie."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.measurement import EvidencePoint, Measurement
from liverimg.core.volume import Quantity, Volume
from liverimg.report.content import ReportContent
from liverimg.report.figures import Studio, draw, grey_image, grey_window, lesion_pictures, overview
from liverimg.report.overlays import bounds, calliper, lesion_masks, outline_path
from liverimg.report.planes import Box, Plane, Scene, View, best_view

STEPS_LPS = {"R": (-1, 0, 0), "L": (1, 0, 0), "A": (0, -1, 0), "P": (0, 1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
SIDES = {
    View.AXIAL: {"left": "R", "right": "L", "top": "A", "bottom": "P"},
    View.CORONAL: {"left": "R", "right": "L", "top": "S", "bottom": "I"},
    View.SAGITTAL: {"left": "A", "right": "P", "top": "S", "bottom": "I"},
}


def orientations() -> list[Any]:
    """The same box of space stored in differing axis orders and directions."""
    standard = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=float)
    signs = [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, 1)]
    orders = [(0, 1, 2), (2, 0, 1), (1, 0, 2)]
    return [np.array(s)[:, None] * standard[list(o)] for o in orders for s in signs]


def scene_with_marker(directions: Any, direction_lps: Any, strings: dict[str, Any]) -> tuple[Studio, Scene]:
    """A dark volume with one bright ball 20 mm from the centre in a given direction."""
    grid = Grid.from_axes((30, 34, 38), spacing_mm=(2.0, 2.5, 1.8), directions=directions)
    target = grid.centre_lps_mm + 20 * np.array(direction_lps)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    ball = np.linalg.norm(grid.index_to_lps_mm(index) - target, axis=-1) < 6
    volume = Volume(np.where(ball, 300, -300).astype(np.int16), grid, Quantity.HU)
    labels = LabelMap(np.zeros(grid.shape, np.uint8), grid, {Structure.LIVER: 1})
    scene = Scene.of(volume, labels)
    return Studio.of(scene, {}, strings), scene


@pytest.mark.parametrize("directions", orientations())
@pytest.mark.parametrize("view", list(View))
def test_marker_appears_on_its_side(view: View, directions: Any, strings: dict[str, Any]) -> None:
    for side, letter in SIDES[view].items():
        studio, scene = scene_with_marker(directions, STEPS_LPS[letter], strings)
        plane = Plane.through(view, scene.grid, tuple(scene.grid.centre_lps_mm))
        grey = grey_image(studio, plane, plane.box, pixels=200)
        rows, columns = np.nonzero(grey > 128)
        where = (columns.mean() / grey.shape[1], rows.mean() / grey.shape[0])
        expected = {"left": where[0] < 0.4, "right": where[0] > 0.6, "top": where[1] < 0.4, "bottom": where[1] > 0.6}
        assert expected[side], (side, where)
    letters = dict(zip(("left", "right", "top", "bottom"), plane.letters(), strict=True))
    assert letters == SIDES[view]


@pytest.mark.parametrize("view", list(View))
def test_a_ball_is_round_on_an_anisotropic_grid(view: View, strings: dict[str, Any]) -> None:
    grid = Grid.from_axes((20, 60, 90), spacing_mm=(5.0, 1.5, 1.0), origin_lps_mm=(-44.5, -44.25, -47.5))
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    away = np.linalg.norm(grid.index_to_lps_mm(index), axis=-1)
    # A soft edge, so that the 5 mm slices can carry the shape between them.
    volume = Volume(np.clip(200 * (30 - away) / 10, -400, 400).astype(np.int16), grid, Quantity.HU)
    scene = Scene.of(volume, LabelMap(np.zeros(grid.shape, np.uint8), grid, {Structure.LIVER: 1}))
    plane = Plane.through(view, grid, (0.0, 0.0, 0.0))
    grey = grey_image(Studio.of(scene, {}, strings), plane, plane.box, pixels=300)
    assert abs(grey.shape[1] / grey.shape[0] - plane.box.width / plane.box.height) < 0.02
    extent = bounds(grey > 102)  # HU 0 in the window of 400 at 40
    assert extent is not None
    height, width = extent[1] - extent[0]
    mm_per_pixel = max(plane.box.width, plane.box.height) / 300
    assert width * mm_per_pixel == pytest.approx(60, abs=3)
    assert height * mm_per_pixel == pytest.approx(60, abs=3)


def test_place_agrees_with_the_pixels(strings: dict[str, Any]) -> None:
    for directions in orientations():
        studio, scene = scene_with_marker(directions, (0.4, -0.5, 0.3), strings)
        target = scene.grid.centre_lps_mm + 20 * np.array((0.4, -0.5, 0.3))
        for view in View:
            plane = Plane.through(view, scene.grid, tuple(target))
            grey = grey_image(studio, plane, plane.box, pixels=300).astype(float)
            mm = max(plane.box.width, plane.box.height) / 300
            rows, columns = np.indices(grey.shape)
            x, y, off = plane.place(tuple(target))
            assert ((columns + 0.5) * grey).sum() / grey.sum() * mm == pytest.approx(x, abs=1.0)
            assert ((rows + 0.5) * grey).sum() / grey.sum() * mm == pytest.approx(y, abs=1.0)
            assert abs(off) <= plane.thickness_mm / 2 + 1e-6


def distance(start: Any, end: Any) -> Measurement:
    value = float(np.linalg.norm(np.subtract(start, end)))
    points = (EvidencePoint("start", tuple(start)), EvidencePoint("end", tuple(end)))
    return Measurement("axial_long_diameter", "L1", value, "mm", value, value, "by hand", points)


def test_calliper_ends_lie_on_their_points(awkward_grid: Grid, strings: dict[str, Any]) -> None:
    volume = Volume(np.zeros(awkward_grid.shape, np.int16), awkward_grid, Quantity.HU)
    scene = Scene.of(volume, LabelMap(np.zeros(awkward_grid.shape, np.uint8), awkward_grid, {}))
    plane = Plane(View.AXIAL, scene.grid, 11)
    start, end = scene.grid.index_to_lps_mm([[11, 10, 8], [11, 30, 25]])
    box = Box(2.0, 3.0, 22.0, 27.0)
    drawn = calliper(distance(start, end), plane, box, strings)
    assert drawn is not None
    height, width = plane.spacing_mm
    assert drawn.start == pytest.approx((8.5 * width - 2.0, 10.5 * height - 3.0))
    assert drawn.end == pytest.approx((25.5 * width - 2.0, 30.5 * height - 3.0))
    # In the plane, the drawn length is the measured length.
    assert np.hypot(*np.subtract(drawn.end, drawn.start)) == pytest.approx(float(np.linalg.norm(end - start)))
    assert not drawn.projected


def test_a_line_that_leaves_the_plane_is_called_a_projection(awkward_grid: Grid, strings: dict[str, Any]) -> None:
    volume = Volume(np.zeros(awkward_grid.shape, np.int16), awkward_grid, Quantity.HU)
    scene = Scene.of(volume, LabelMap(np.zeros(awkward_grid.shape, np.uint8), awkward_grid, {}))
    start, end = scene.grid.index_to_lps_mm([[10, 10, 8], [14, 30, 25]])
    drawn = calliper(distance(start, end), Plane(View.AXIAL, scene.grid, 10), Box(0, 0, 20, 20), strings)
    assert drawn is not None
    assert drawn.projected
    assert drawn.off_plane_mm == pytest.approx(4 * 2.5)


def test_best_view_holds_the_line() -> None:
    grid = Grid.from_axes((20, 20, 20), spacing_mm=(1, 1, 1))
    assert best_view(grid, (1, 5, 5), (9, 9, 5)) is View.AXIAL
    assert best_view(grid, (1, 5, 5), (9, 5, 9)) is View.CORONAL
    assert best_view(grid, (5, 1, 5), (5, 9, 9)) is View.SAGITTAL


def test_outline_runs_between_inside_and_outside() -> None:
    grid = Grid.from_axes((3, 12, 10), spacing_mm=(4, 2, 3))
    mask = np.zeros((12, 10), dtype=bool)
    mask[4:8, 3:6] = True
    path = outline_path(mask, Plane(View.AXIAL, grid, 1), Box(0, 0, 30, 24))
    numbers = np.array([float(n) for n in path.replace("M", " ").replace("L", " ").replace("Z", " ").split()])
    x, y = numbers[0::2], numbers[1::2]
    assert (x.min(), x.max()) == pytest.approx((9.0, 18.0))
    assert (y.min(), y.max()) == pytest.approx((8.0, 16.0))


def test_each_lesion_finds_its_own_voxels(content: ReportContent) -> None:
    scene = Scene.of(content.volume, content.labels)
    lesions = content.measurements.lesions
    masks = lesion_masks(scene, {le.id: le.centroid_lps_mm for le in lesions})
    tumour = scene.labels.mask(Structure.TUMOUR)
    assert sum(int(m.mask.sum()) for m in masks.values()) == int(tumour.sum())
    for le in lesions:
        inside = np.argwhere(masks[le.id].mask) + masks[le.id].start_kji
        centre = scene.grid.index_to_lps_mm(inside).mean(axis=0)
        assert np.linalg.norm(centre - le.centroid_lps_mm) < 2.5


def test_a_numbered_lesion_keeps_its_own_outline() -> None:
    grid = Grid.from_axes((8, 8, 8), spacing_mm=(1, 1, 1))
    array = np.zeros(grid.shape, np.uint8)
    array[2:5, 2:5, 2:4], array[2:5, 2:5, 4:7] = 2, 101  # two touching lesions, one numbered by a reader
    labels = LabelMap(array, grid, {Structure.TUMOUR: 2}, {"left": 101})
    scene = Scene.of(Volume(np.zeros(grid.shape, np.int16), grid, Quantity.HU), labels)
    masks = lesion_masks(scene, {"left": (5.0, 3.0, 3.0), "L1": (2.5, 3.0, 3.0)})
    assert int(masks["left"].mask.sum()) == 27
    assert int(masks["L1"].mask.sum()) == 18


def test_the_image_is_what_was_windowed(content: ReportContent) -> None:
    scene = Scene.of(content.volume, content.labels)
    studio = Studio.of(scene, {}, content.strings)
    assert studio.window == (-160, 240)
    plane = Plane(View.AXIAL, scene.grid, 22)
    picture = draw(studio, plane, plane.box, kind="section", caption="x")
    data = base64.b64decode(picture.image.removeprefix("data:image/jpeg;base64,"))
    image = np.asarray(Image.open(io.BytesIO(data)))
    assert image.shape[1] / image.shape[0] == pytest.approx(picture.width_mm / picture.height_mm, rel=0.01)
    assert image[:5, :5].max() < 12  # air is black
    assert picture.letters == ("R", "L", "A", "P")


def test_mr_window_follows_the_body(content: ReportContent) -> None:
    array = np.where(content.labels.array > 0, content.volume.array * 7 + 9000, 0)
    volume = Volume(array, content.volume.grid, Quantity.MR_SIGNAL)
    low, high = grey_window(Scene.of(volume, content.labels), content.strings)
    assert 8000 < low < high < 11000


def test_a_lesion_has_sections_and_enlargements_in_three_planes(content: ReportContent) -> None:
    scene = Scene.of(content.volume, content.labels)
    studio = Studio.of(scene, {}, content.strings)
    le = content.measurements.lesions[0]
    masks = lesion_masks(scene, {le.id: le.centroid_lps_mm})
    pictures = lesion_pictures(studio, le, masks[le.id])
    assert [(p.kind, p.view) for p in pictures] == [(k, v) for k in ("section", "zoom") for v in View]
    axial = pictures[3]
    assert [c.tag for c in axial.callipers] == ["LD", "SD"]
    assert all(any(o.emphasised for o in p.outlines) for p in pictures)
    # The frame in the section is as large as the enlargement.
    assert pictures[0].frame is not None
    assert pictures[0].frame[2:] == pytest.approx((axial.width_mm, axial.height_mm), abs=0.01)


def test_pictures_on_an_awkward_grid(awkward_grid: Grid, build: Callable[..., ReportContent]) -> None:
    content = build(awkward_grid, tumours=False)
    scene = Scene.of(content.volume, content.labels)
    pictures = overview(Studio.of(scene, {}, content.strings))
    assert len(pictures) == 3
    left, right, top, bottom = pictures[0].letters
    assert left[0] == "R" and right[0] == "L" and top[0] == "A" and bottom[0] == "P"
    assert len(left) == 2  # turned by 35 degrees: a second letter says so
