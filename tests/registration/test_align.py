"""Two looks at one made liver are laid onto each other; what can't be laid onto each other says so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from liverimg.core.alignment import Alignment
from liverimg.core.grid import Grid
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table
from liverimg.phantom.deformation import Deformation, Push
from liverimg.phantom.solids import rotation
from liverimg.registration.align import AlignRules, align

RULES = AlignRules.from_table(read_table("registration"))
TUMOUR, RADIUS_MM = np.array((25.0, -5.0, 10.0)), 10.0
OFFSET = np.array((120.0, -40.0, 300.0))


@dataclass(frozen=True, eq=False)
class Look:
    image: Volume
    liver: np.ndarray


def _liver(points: np.ndarray) -> np.ndarray:
    """A wedge with a lobe: no symmetry to fall for. Negative inside."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    right = np.sqrt((x / 60) ** 2 + (y / 50) ** 2 + (z / 55) ** 2) - 1
    left = np.sqrt(((x - 55) / 50) ** 2 + ((y + 20) / 25) ** 2 + ((z - 15) / 28) ** 2) - 1
    return np.minimum(right, left)


@cache
def _texture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(64, 64, 64)), 1.6, mode="wrap")
    return np.asarray(noise / noise.std())


def _tissue(points: np.ndarray, body: int) -> np.ndarray:
    """Fat around, liver, and vessels: where a smooth random field is near zero in one body as in no other."""
    index = np.moveaxis((points + 160.0) / 5.0, -1, 0)
    first, second = (ndimage.map_coordinates(_texture(body + n), index, order=1, mode="grid-wrap") for n in (0, 50))
    vessel = (np.hypot(first, second) < 0.35) * 60.0
    return np.where(_liver(points) < 0, 105.0 + vessel, -80.0)


def _look(
    *, motion: Deformation | None = None, treated: bool = False, body: int = 1, seed: int = 0, slice_mm: float = 2.5
) -> Look:
    rng = np.random.default_rng(seed)
    grid = Grid.from_axes(
        (round(190 / slice_mm), 90, 110), spacing_mm=(slice_mm, 2.0, 2.0), origin_lps_mm=(-95.0, -90.0, -95.0)
    )
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    points = grid.index_to_lps_mm(index)
    built = points if motion is None else motion.to_built(points)
    values = _tissue(built, body)
    away = np.linalg.norm(built - TUMOUR, axis=-1)
    values[away < RADIUS_MM] = 70.0
    if treated:
        values[away < RADIUS_MM + 7] = 45.0
    array = (values + rng.normal(0, 14, grid.shape)).astype(np.int16)
    moved = np.array(grid.affine)
    moved[:3, 3] += OFFSET if treated else 0.0
    return Look(Volume(array, Grid(grid.shape, moved), Quantity.HU), _liver(built) < 0)


def _tumour(look: Look) -> np.ndarray:
    grid = look.image.grid
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return np.asarray(np.linalg.norm(grid.index_to_lps_mm(index) - TUMOUR, axis=-1) < RADIUS_MM)


def _motion(*, degrees: float = 3.0, push_mm: float = 4.0) -> Deformation:
    pushes = (
        Push((-30.0, 10.0, 0.0), (0.5 * push_mm, -push_mm, 0.6 * push_mm), 50.0),
        Push((60.0, -20.0, 20.0), (-0.6 * push_mm, 0.4 * push_mm, push_mm), 45.0),
    )
    turn = rotation(about_x_deg=degrees, about_y_deg=-0.6 * degrees, about_z_deg=0.8 * degrees)
    return Deformation(turn, np.array((3.0, -4.0, 12.0)), np.zeros(3), pushes)


@cache
def _earlier() -> Look:
    return _look()


@cache
def _later() -> Look:
    return _look(motion=_motion(), treated=True, seed=5)


def _aligned(earlier: Look, later: Look, *, treated_later: np.ndarray | None = None) -> Alignment:
    return align(
        earlier.image,
        later.image,
        liver_earlier=earlier.liver,
        liver_later=later.liver,
        lesions={"L1": _tumour(_earlier())},
        rules=RULES,
        treated_later=treated_later,
    )


@cache
def _pair() -> Alignment:
    return _aligned(_earlier(), _later())


def _sphere() -> np.ndarray:
    way = np.random.default_rng(0).normal(size=(60, 3))
    return TUMOUR + RADIUS_MM * way / np.linalg.norm(way, axis=1)[:, None]


def _errors(found: Alignment, motion: Deformation) -> np.ndarray:
    place = found.of_lesion("L1")
    assert place is not None
    assert place.motion is not None
    return np.linalg.norm(place.motion.apply(_sphere()) - (motion.from_built(_sphere()) + OFFSET), axis=1)


def test_a_bent_and_turned_liver_is_followed_at_the_lesion() -> None:
    found = _pair()
    errors, place = _errors(found, _motion()), found.of_lesion("L1")
    assert np.sqrt(np.square(errors).mean()) < 1.0
    assert place is not None
    assert place.error_mm is not None
    assert np.sqrt(np.square(errors).mean()) <= place.error_mm < 3.0
    assert 0 < place.pieces <= place.pieces_tried
    assert place.reason == ""


def test_the_map_tells_how_far_each_piece_may_be_off() -> None:
    found = _pair()
    assert found.pieces is not None
    kept = found.pieces.agrees
    true = _motion().from_built(found.pieces.places_lps_mm[kept]) + OFFSET
    off = np.linalg.norm(found.pieces.moved_lps_mm[kept] - true, axis=1)
    assert np.mean(off <= found.pieces.error_mm[kept]) > 0.85
    assert np.median(off) < 1.0
    assert found.bend_mm is not None
    assert found.bend_mm > 0.5


def test_the_lesion_moves_rigidly_so_that_no_distance_in_it_changes() -> None:
    place = _pair().of_lesion("L1")
    assert place is not None
    assert place.motion is not None
    one, other = _sphere()[:30], _sphere()[30:]
    moved = np.linalg.norm(place.motion.apply(one) - place.motion.apply(other), axis=1)
    assert moved == pytest.approx(np.linalg.norm(one - other, axis=1), abs=1e-9)


def test_another_liver_is_refused_in_a_sentence() -> None:
    found = _aligned(_earlier(), _look(motion=_motion(), treated=True, body=9, seed=6))
    place = found.of_lesion("L1")
    assert place is not None
    assert place.motion is None
    assert place.error_mm is None
    assert "pieces of the liver" in place.reason


def test_a_liver_upside_down_is_refused() -> None:
    later = _later()
    turned = Look(replace(later.image, array=np.flip(later.image.array, 0)), np.flip(later.liver, 0))
    place = _aligned(_earlier(), turned).of_lesion("L1")
    assert place is not None
    assert place.motion is None
    assert place.reason


def test_a_liver_of_which_hardly_anything_is_in_view_is_refused() -> None:
    later = _later()
    last = 30
    grid = later.image.grid.cropped((0, 0, 0), (last, *later.image.array.shape[1:]))
    part = Look(Volume(later.image.array[:last], grid, Quantity.HU), later.liver[:last])
    place = _aligned(_earlier(), part).of_lesion("L1")
    assert place is not None
    assert place.motion is None
    assert place.reason


def test_half_the_liver_resected_is_either_found_or_refused_but_never_wrong() -> None:
    later = _later()
    index = np.stack(np.meshgrid(*[np.arange(n) for n in later.liver.shape], indexing="ij"), axis=-1)
    built = _motion().to_built(later.image.grid.index_to_lps_mm(index) - OFFSET)
    gone = built[..., 0] < -15
    array = np.where(gone & later.liver, -80, later.image.array).astype(np.int16)
    found = _aligned(_earlier(), Look(replace(later.image, array=array), later.liver & ~gone))
    place = found.of_lesion("L1")
    assert place is not None
    if place.motion is None:
        assert place.reason
    else:
        assert place.error_mm is not None
        assert np.sqrt(np.square(_errors(found, _motion())).mean()) <= place.error_mm
        assert any("volume" in sentence for sentence in found.findings)


def test_no_liver_drawn_is_said() -> None:
    later = _later()
    found = _aligned(_earlier(), Look(later.image, np.zeros_like(later.liver)))
    place = found.of_lesion("L1")
    assert place is not None
    assert place.motion is None
    assert "no liver is drawn on the later" in place.reason
    assert found.pieces is None
