"""Pictures of a study after treatment: one anatomy on both, the margin where it is, directions where they belong."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.color import deltaE_ciede2000, rgb2lab

from liverimg.core.alignment import Alignment, Pieces, PlaceMotion
from liverimg.core.grid import Grid
from liverimg.core.motion import RigidMotion
from liverimg.report.mesh_view import nearest_points, spread
from liverimg.report.planes import View
from liverimg.report.response_bands import Bands
from liverimg.report.response_cuts import Body, Cut, Sheet, edge_of, grey_of
from liverimg.report.response_error_map import error_views
from liverimg.report.response_map import HEIGHT, WIDTH, flat_map, mollweide
from liverimg.report.response_painted import stills
from liverimg.report.sampling import sampled
from liverimg.report.window_view import Camera

from .response_case import LIMITS, MOTION, OFFSET, TUMOURS, ball, centre_now, margin_surface, thinnest

COLOURS = ("#a50026", "#f46d43", "#c6e6f2", "#4575b4")
BANDS = Bands(LIMITS, COLOURS)


def picture(uri: str) -> Any:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGBA")).astype(float)


# -- cuts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", list(View))
def test_both_studies_show_the_untouched_tumour_at_the_same_place(view: View, case: Any) -> None:
    before, now = Sheet.of(case.before, "before", case.strings), Sheet.of(case.now, "now", case.strings)
    middle = centre_now("L2")
    cut = Cut.through(view, middle, middle, half_mm=16.0, pixels=80)
    later = picture(grey_of(now, cut, quality=95))[..., 0]
    earlier = picture(grey_of(before, cut.moved(MOTION.inverse()), quality=95))[..., 0]
    inside = np.hypot(*(np.indices(later.shape) - 39.5)) * cut.pixel_mm < 0.7 * TUMOURS["L2"][1]
    for grey in (earlier, later):
        assert grey[inside].mean() < grey[:6].mean() - 10
    smooth = [ndimage.gaussian_filter(grey, 2) for grey in (earlier, later)]
    assert np.corrcoef(smooth[0].ravel(), smooth[1].ravel())[0, 1] > 0.7
    # Not turned and moved, the earlier study shows something else there.
    apart = ndimage.gaussian_filter(picture(grey_of(before, cut, quality=95))[..., 0], 2)
    assert np.corrcoef(apart.ravel(), smooth[1].ravel())[0, 1] < 0.5


@pytest.mark.parametrize("view", list(View))
def test_a_carried_outline_lies_where_the_tumour_came_from(view: View, case: Any) -> None:
    grid = case.before.labels.grid
    points = grid.index_to_lps_mm(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1))
    at, radius = TUMOURS["L1"]
    body = Body.of("tumour", np.linalg.norm(points - np.array(at), axis=-1) < radius, grid, rounded=True)
    assert body is not None
    middle = centre_now("L1")
    cut = Cut.through(view, middle, middle, half_mm=20.0, pixels=160)
    edge = edge_of(body, cut.moved(MOTION.inverse()))
    assert edge is not None and edge.kind == "tumour"
    ends = np.array([[float(c) for c in pair.split()] for pair in edge.path[1:].split("L")])
    away = np.hypot(*(ends - 20.0).T)
    assert away.mean() == pytest.approx(radius, abs=0.5)
    assert np.abs(away - radius).max() < 2.0
    assert edge_of(body, Cut.through(view, middle + 60, middle + 60, half_mm=20.0, pixels=160)) is None


def test_letters_follow_the_patient() -> None:
    origin = np.zeros(3)
    letters = {v: Cut.through(v, origin, origin, half_mm=9.0, pixels=9).letters for v in View}
    assert letters == {
        View.AXIAL: ("R", "L", "A", "P"),
        View.CORONAL: ("R", "L", "S", "I"),
        View.SAGITTAL: ("A", "P", "S", "I"),
    }


def test_a_cut_passes_its_place_and_keeps_its_middle() -> None:
    place, middle = np.array([4.0, -7.0, 11.0]), np.array([1.0, 2.0, 3.0])
    cut = Cut.through(View.CORONAL, place, middle, half_mm=10.0, pixels=20)
    assert cut.camera.place(place)[2] == pytest.approx(0)
    assert cut.camera.place(middle)[:2] == pytest.approx([10.0, 10.0])


def test_samples_are_those_of_the_volume(awkward_grid: Grid) -> None:
    k, j, i = np.meshgrid(*[np.arange(n) for n in awkward_grid.shape], indexing="ij")
    ramp = (3.0 * k - 2.0 * j + 0.5 * i).astype(np.float32)
    where = np.random.default_rng(2).uniform(7, 15, (3, 40))
    expected = 3.0 * where[0] - 2.0 * where[1] + 0.5 * where[2]
    for order in (1, 3):
        assert sampled(ramp, where, order=order, outside=-9.0) == pytest.approx(expected, abs=2e-3)
    assert sampled(ramp, np.full((3, 2), -50.0), order=3, outside=-9.0) == pytest.approx([-9.0, -9.0])
    assert sampled(ramp > 0, np.array([[5.0], [1.0], [1.0]]), order=1, outside=0.0) == pytest.approx([1.0])


# -- the flat map ----------------------------------------------------------------------------------------------------


def test_directions_lie_where_the_letters_say() -> None:
    ways = {"A": (0, -1, 0), "L": (1, 0, 0), "R": (-1, 0, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    placed = {n: mollweide(np.array([w], float))[0] for n, w in ways.items()}
    assert (
        placed["A"] == pytest.approx([100, 50])
        and placed["S"] == pytest.approx([100, 0])
        and placed["I"] == pytest.approx([100, 100])
    )
    assert placed["R"] == pytest.approx([50, 50]) and placed["L"] == pytest.approx([150, 50])
    assert abs(mollweide(np.array([[1e-9, 1.0, 0]]))[0][0] - 100) == pytest.approx(100)


def test_equal_solid_angles_are_equally_large() -> None:
    ways = np.random.default_rng(8).normal(size=(60_000, 3))
    placed = mollweide(ways)
    x, y = (placed[:, 0] - 100) / 100, (placed[:, 1] - 50) / 50
    assert (x**2 + y**2).max() <= 1 + 1e-9
    # Evenly filled: rings of equal area hold equally many, and so does each quarter.
    rings, _ = np.histogram(x**2 + y**2, np.linspace(0, 1, 6))
    assert rings / len(ways) == pytest.approx(np.full(5, 0.2), abs=0.01)
    assert ((x > 0) & (y > 0)).mean() == pytest.approx(0.25, abs=0.01)


def test_the_map_shows_the_share_of_each_band() -> None:
    surface = margin_surface()
    found = flat_map(surface, BANDS, thinnest_lps_mm=thinnest()[0])
    shown = picture(found.image)
    solid = shown[..., 3] > 250
    # A ball's surface and its directions are the same thing; its bands end on circles around the offset.
    centre, radius = centre_now("L1"), TUMOURS["L1"][1]
    turn = np.random.default_rng(4).normal(size=(40_000, 3))
    points = centre + radius * turn / np.linalg.norm(turn, axis=1, keepdims=True)
    expected = np.bincount(BANDS.of(16.0 - np.linalg.norm(points - centre - OFFSET, axis=1)), minlength=4) / len(points)
    near = [np.abs(shown[..., :3] - 255 * rgb).sum(axis=-1) for rgb in BANDS.rgb()]
    shares = np.bincount(np.argmin(near, axis=0)[solid], minlength=4) / solid.sum()
    assert shares == pytest.approx(expected, abs=0.015)
    assert found.hatched and found.lines
    # The offset is to the left: the thinnest place is on the right, R.
    assert found.thinnest_at == pytest.approx((50.0, 50.0), abs=0.5)
    assert shown.shape[:2] == (HEIGHT / 0.25 / 2, WIDTH / 0.25 / 2)


def test_a_covered_tumour_is_not_hatched() -> None:
    surface = margin_surface()
    covered = type(surface)(**(vars(surface) | {"margin_mm": surface.margin_mm + 20}))
    found = flat_map(covered, BANDS, thinnest_lps_mm=None)
    assert not found.hatched and found.thinnest == () and found.thinnest_at is None


# -- bands -----------------------------------------------------------------------------------------------------------


def test_a_limit_belongs_to_the_band_above_it() -> None:
    assert BANDS.of(np.array([-0.01, 0.0, 4.99, 5.0, 10.0])).tolist() == [0, 1, 1, 2, 3]


def test_steps_of_colour_stand_at_the_limits() -> None:
    steps = BANDS.scale(-5.0, 15.0)
    assert [round(at, 3) for at, _ in steps] == [0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1]
    assert [colour for _, colour in steps[::2]] == list(COLOURS)
    assert BANDS.scale(6.0, 7.0) == [(0.0, COLOURS[2]), (1.0, COLOURS[2])]


# What the three kinds of colour blindness make of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1.0).
_SIGHTS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("sight", list(_SIGHTS))
@pytest.mark.parametrize("of", ["margin", "error"])
def test_all_kinds_of_sight_tell_the_bands_apart(sight: str, of: str, words: dict[str, Any]) -> None:
    colours = tuple(words["display"][of]["colours"])
    linear = Bands(LIMITS, colours).rgb() ** 2.2
    seen = np.clip(linear @ np.array(_SIGHTS[sight]).T, 0, 1) ** (1 / 2.2)
    lab = rgb2lab(seen[None])[0]
    for a in range(len(colours)):
        for b in range(a):
            assert deltaE_ciede2000(lab[a], lab[b]) > 15, (colours[a], colours[b])


# -- the painted tumour ----------------------------------------------------------------------------------------------


def test_points_cover_the_surface_evenly_enough() -> None:
    vertices, faces = ball((0, 0, 0), 10.0)
    points = spread(vertices, faces, step_mm=0.3)
    assert np.linalg.norm(points.lps_mm, axis=1) == pytest.approx(np.full(len(points.lps_mm), 10.0), abs=0.05)
    values = points.of_corners(vertices[:, 0], faces)
    assert values == pytest.approx(points.lps_mm[:, 0], abs=1e-9)
    assert len(spread(vertices, faces[:0], step_mm=0.3).lps_mm) == 0


def test_the_nearer_point_hides_the_farther() -> None:
    camera = Camera(np.array([1.0, 0, 0]), np.array([0, 0, -1.0]), np.array([0.0, 0, 10.0]), 10.0, 10.0, 0.0)
    assert camera.into == pytest.approx([0, 1, 0])
    shown = nearest_points(np.array([[5.5, 30.0, 4.5], [5.5, 2.0, 4.5], [99.0, 0.0, 0.0]]), camera, mm_per_pixel=1.0)
    assert shown[5, 5] == 1 and (shown >= 0).sum() == 1


def test_each_look_shows_its_own_side(words: dict[str, Any]) -> None:
    looks = {
        s.caption: picture(s.image)
        for s in stills(margin_surface(), BANDS, thinnest_lps_mm=thinnest()[0], strings=words)
    }
    red = np.array([165, 0, 38])

    def thin(name: str) -> int:
        shown = looks[name]
        return int(((np.abs(shown[..., :3] - red).sum(axis=-1) < 90) & (shown[..., 3] > 250)).sum())

    # The zone is off to the left, so what is not covered is seen from the right and not from the left.
    assert thin("from the right") > 200 and thin("from the thinnest point") > 200
    assert thin("from the left") < 20
    sides = looks["from the front"]
    band = (np.abs(sides[..., :3] - red).sum(axis=-1) < 90) & (sides[..., 3] > 250)
    assert not band.any() or np.argwhere(band)[:, 1].mean() < sides.shape[1] / 2


# -- the map of the error --------------------------------------------------------------------------------------------


def test_a_bad_piece_behind_is_not_hidden(words: dict[str, Any]) -> None:
    places = np.array([[x, y, z] for x in (0.0, 12.0) for y in (0.0, 12.0) for z in (0.0, 12.0)])
    error = np.full(8, 0.5)
    error[[2, 7]] = 3.0, 9.0  # (0, 12, 0) behind (0, 0, 0) seen from the front; (12, 12, 12)
    agrees = np.ones(8, dtype=bool)
    agrees[5] = False  # (12, 0, 12)
    pieces = Pieces(places, places, places, agrees, error)
    still = PlaceMotion("liver", (0.0, 0.0, 0.0), RigidMotion.none(), 1.0)
    lesion = PlaceMotion("L1", (12.0, 0.0, 12.0), RigidMotion.none(), 1.0)
    views = {v.caption: v for v in error_views(Alignment(still, (lesion,), pieces=pieces), None, words)}
    front = sorted((c.x, c.y, c.level, c.astray) for c in views["From the front"].cells)
    # Left column x = 0, right column x = 12; the head is up, so z = 12 comes first.
    assert [(level, astray) for _, _, level, astray in front] == [(0, False), (2, False), (3, True), (0, False)]
    (x, y, name), (column, row) = views["From the front"].lesions[0], front[2][:2]
    assert name == "L1" and (x, y) == pytest.approx((column, row), abs=0.2)
    assert error_views(Alignment(still, ()), None, words) == ()
