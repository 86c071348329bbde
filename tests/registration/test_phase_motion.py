"""Phases of one study: a liver that breathed, turned and bent between them is followed, another one is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from tests.registration.made_liver import TUMOUR, Look, look, made_motion, sphere, tumour_of

from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.motion import RigidMotion
from liverimg.core.study import Phase
from liverimg.core.volume import Volume
from liverimg.files.tables import read_table
from liverimg.measure.phases import PhaseImage, place_phases, refined
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body
from liverimg.registration.phase_motion import LiverCubes, PlacedLiver, place_liver

SETTINGS = MeasureSettings.from_table(read_table("measure"))
RULES = SETTINGS.alignment
OTHER = Phase.ARTERIAL


@cache
def _reference() -> Look:
    return look()


@cache
def _arterial() -> Look:
    """Vessels darker than the liver, not brighter."""
    return look(motion=made_motion(), vessel_hu=-30.0, seed=3)


def _near(seen: Look) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in seen.image.grid.shape], indexing="ij"), axis=-1)
    away = np.abs(seen.image.grid.index_to_lps_mm(index) - TUMOUR).max(axis=-1)
    return np.asarray(seen.liver & (away < 35))


@cache
def _body(moved: Look | None = None) -> Body:
    one, other = _reference(), moved or _arterial()
    array = one.liver.astype(np.uint8) + tumour_of(one)
    phases = {Phase.PORTAL_VENOUS: PhaseImage(one.image, is_reference=True), OTHER: PhaseImage(other.image)}
    labels = LabelMap(array, one.image.grid, {Structure.LIVER: 1, Structure.TUMOUR: 2})
    return Body.of(labels, LabelQuality("external"), settings=SETTINGS, image=one.image, phases=phases)


def _off_mm(found: PhaseImage) -> float:
    points = sphere()
    moved = points + np.array(found.shift_lps_mm) if found.motion is None else found.motion.apply(points)
    return float(np.sqrt(np.square(moved - made_motion().from_built(points)).sum(axis=1).mean()))


@cache
def _at_the_lesion() -> PhaseImage:
    body, one = _body(), _reference()
    near = _near(one)
    assert body.image is not None
    return refined(body.phases, body.image, near, one.image.grid, RULES, points_lps_mm=sphere())[OTHER]


def test_a_lesion_is_followed_where_the_liver_turned_and_bent() -> None:
    whole, found = _body().phases[OTHER], _at_the_lesion()
    assert whole.why_not == ""
    assert _off_mm(found) < 1.0 < _off_mm(whole)
    assert _off_mm(found) <= found.doubt_mm < 3.0


def test_the_doubt_of_the_liver_as_one_covers_its_turn() -> None:
    whole = _body().phases[OTHER]
    index = np.argwhere(_reference().liver)[::200]
    places = _reference().image.grid.index_to_lps_mm(index)
    off = np.linalg.norm(places + np.array(whole.shift_lps_mm) - made_motion().from_built(places), axis=1)
    assert np.percentile(off, 90) <= whole.doubt_mm


def test_the_image_is_read_where_the_motion_says() -> None:
    found, grid = _at_the_lesion(), _reference().image.grid
    still = look(vessel_hu=-30.0, seed=4).image.array  # the same phase, had nobody breathed
    inside = _near(_reference())
    astray = {
        name: np.abs(image.on(grid)[inside] - still[inside]).mean()
        for name, image in (("motion", found), ("shift", _body().phases[OTHER]))
    }
    assert astray["motion"] < 0.9 * astray["shift"]


def test_another_liver_is_left_out_in_a_sentence() -> None:
    other = look(motion=made_motion(), body=9, seed=6, vessel_hu=-30.0, stretched=(1.35, 0.8, 0.75))
    found = _body(other).phases[OTHER]
    assert "pieces moved together" in found.why_not


def test_a_phase_with_its_sides_exchanged_is_left_out() -> None:
    one = _arterial()
    turned = Volume(np.flip(one.image.array, 2), one.image.grid, one.image.quantity)
    assert _body(replace(one, image=turned)).phases[OTHER].why_not


def test_half_of_the_liver_in_view_is_followed_all_the_same() -> None:
    one = _arterial()
    first = int(np.argwhere(one.liver).min(axis=0)[0])
    grid = one.image.grid
    cut = first + 16
    part = Volume(
        one.image.array[cut:], grid.cropped((cut, 0, 0), (grid.shape[0] - cut, *grid.shape[1:])), one.image.quantity
    )
    found = _body(replace(one, image=part)).phases[OTHER]
    assert found.why_not == ""
    assert found.liver is not None
    assert found.liver.tried < _found().tried


def _found() -> PlacedLiver:
    liver = _body().phases[OTHER].liver
    assert liver is not None
    return liver


def test_too_small_a_liver_is_shifted_only() -> None:
    one = _reference()
    small = np.zeros_like(one.liver)
    middle = np.rint(one.image.grid.lps_mm_to_index(TUMOUR)).astype(int)
    small[tuple(slice(m - 5, m + 6) for m in middle)] = True
    cubes = LiverCubes.whole(one.image, small, one.image.grid, RULES.bending)
    assert place_liver(cubes, _arterial().image, RigidMotion.none(), RULES.bending) is None


def test_no_liver_drawn_leaves_every_phase_out() -> None:
    placed = place_phases({OTHER: PhaseImage(_arterial().image)}, _reference().image, None, RULES)
    assert "no liver" in placed[OTHER].why_not
