"""The acoustic window on the page: maps on the skin, cuts through the beam, and words."""

from dataclasses import replace

import numpy as np
import pytest

from liverimg.core.window import Beam, Fan, PathPiece, Transducer, WindowMap
from liverimg.report.page import render_page
from liverimg.report.window_cards import path_text
from liverimg.report.window_shapes import hull
from liverimg.report.window_view import Camera

DEVICE = Transducer("d", "Test <device>", 100.0, 140.0, 0.0, 1.0, 5.0, (-45.0, 120.0), (-30.0, 30.0), "none")


def window(lesion, *, beam=True):
    """Entries in front of and to the right of the lesion, better towards the front."""
    centre = np.array(lesion.centroid_lps_mm)
    turn = np.deg2rad(np.arange(-40, 110, 6.0))
    axes = np.stack([-np.sin(turn), -np.cos(turn), 0 * turn], axis=1)
    depth = np.full(len(turn), 60.0)
    axis = axes[7]
    fans = []
    for across in (np.cross(axis, [0.0, 0, 1.0]), np.array([0.0, 0, 1.0])):
        angle = np.deg2rad(np.linspace(-20, 20, 11))
        rays = np.cos(angle)[:, None] * axis + np.sin(angle)[:, None] * across
        stop = np.repeat(centre[None], 11, axis=0)
        stop[:3] += 40 * rays[:3]
        causes = ("bone",) * 3 + ("",) * 8
        fans.append(Fan(across, centre + 140 * rays, centre + 60 * rays, stop, causes))
    path = (PathPiece("fat", 0.0, 20.4), PathPiece("other", 20.4, 21.0), PathPiece("liver", 21.0, 60.0))
    best = Beam(7, centre + 60 * axis, axis, centre + 140 * axis, path, tuple(fans))
    count = len(turn)
    return WindowMap(
        lesion=lesion.id,
        targets_lps_mm=centre[None],
        entries_lps_mm=centre + depth[:, None] * axes,
        depth_mm=depth,
        blocked_percent=np.linspace(0, 100, count),
        blocked_by_percent={c: np.zeros(count) for c in ("bone", "gas", "lung")},
        avoided_percent=np.zeros(count),
        unseen_percent=np.zeros(count),
        fits=np.ones(count, dtype=bool),
        usable=np.ones(count, dtype=bool),
        beam=best if beam else None,
    )


@pytest.fixture(scope="module")
def shown(content):
    first = content.measurements.lesions[0]
    return render_page(replace(content, windows=(window(first),), transducer=DEVICE))


def test_the_page_shows_two_maps_and_two_cuts(shown):
    assert shown.count('class="picture window map"') == 2
    assert shown.count('class="picture window cut"') == 2
    assert "Of 11 rays in this plane 3 are blocked" in shown
    assert "Test &lt;device&gt;" in shown and "<device>" not in shown
    assert "20 mm fat, 39 mm liver" in shown
    assert 'class="w-stop stop-bone"' in shown


def test_without_a_window_nothing_is_said(page):
    assert "window-card" not in page.split("</style>")[-1]


def test_a_map_without_a_best_entry_has_no_cuts(content):
    first = content.measurements.lesions[0]
    page = render_page(replace(content, windows=(window(first, beam=False),), transducer=DEVICE))
    assert page.count('class="picture window map"') == 2
    assert 'class="picture window cut"' not in page


def test_the_same_bytes_again(content, shown):
    first = content.measurements.lesions[0]
    assert render_page(replace(content, windows=(window(first),), transducer=DEVICE)) == shown


def test_a_camera_places_what_it_sees():
    points = np.array([[0.0, 0, 0], [100, 50, 200]])
    camera = Camera.around(points, right=(1.0, 0, 0), down=(0.0, 0, -1.0))
    assert (camera.width_mm, camera.height_mm, camera.depth_mm) == (100, 200, 50)
    assert camera.into == pytest.approx([0, 1, 0]), "the front looks towards posterior"
    assert camera.place(np.array([10.0, 5.0, 180.0])) == pytest.approx([10, 20, 5])
    back = camera.lps_mm(np.full((2, 1), 5.0), 100.0)
    assert back[0, 0] == pytest.approx([50, 5, 150])


def test_the_path_in_words_leaves_slivers_out(strings):
    path = (PathPiece("fat", 0, 10), PathPiece("muscle", 10, 11), PathPiece("fat", 11, 15), PathPiece("bone", 15, 20))
    assert path_text(path, strings) == "14 mm fat, 5 mm bone"


def test_a_hull_keeps_the_corners_alone():
    square = np.array([[0.0, 0], [2, 0], [2, 2], [0, 2], [1, 1], [1, 0]])
    assert {tuple(p) for p in hull(square)} == {(0, 0), (2, 0), (2, 2), (0, 2)}
