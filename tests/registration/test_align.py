"""Two looks at one made liver are laid onto each other; what can't be laid onto each other says so."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tests.registration.made_liver import OFFSET, Look, look, made_motion, sphere, tumour_of

from liverimg.core.alignment import Alignment
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table
from liverimg.phantom.deformation import Deformation
from liverimg.registration.align import AlignRules, align

RULES = AlignRules.from_table(read_table("registration"))


@cache
def _earlier() -> Look:
    return look()


@cache
def _later() -> Look:
    return look(motion=made_motion(), treated=True, seed=5)


def _aligned(earlier: Look, later: Look, *, treated_later: np.ndarray | None = None) -> Alignment:
    return align(
        earlier.image,
        later.image,
        liver_earlier=earlier.liver,
        liver_later=later.liver,
        lesions={"L1": tumour_of(_earlier())},
        rules=RULES,
        treated_later=treated_later,
    )


@cache
def _pair() -> Alignment:
    return _aligned(_earlier(), _later())


def _errors(found: Alignment, motion: Deformation) -> np.ndarray:
    place = found.of_lesion("L1")
    assert place is not None
    assert place.motion is not None
    return np.linalg.norm(place.motion.apply(sphere()) - (motion.from_built(sphere()) + OFFSET), axis=1)


def test_a_bent_and_turned_liver_is_followed_at_the_lesion() -> None:
    found = _pair()
    errors, place = _errors(found, made_motion()), found.of_lesion("L1")
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
    true = made_motion().from_built(found.pieces.places_lps_mm[kept]) + OFFSET
    off = np.linalg.norm(found.pieces.moved_lps_mm[kept] - true, axis=1)
    assert np.mean(off <= found.pieces.error_mm[kept]) > 0.85
    assert np.median(off) < 1.0
    assert found.bend_mm is not None
    assert found.bend_mm > 0.5


def test_the_lesion_moves_rigidly_so_that_no_distance_in_it_changes() -> None:
    place = _pair().of_lesion("L1")
    assert place is not None
    assert place.motion is not None
    one, other = sphere()[:30], sphere()[30:]
    moved = np.linalg.norm(place.motion.apply(one) - place.motion.apply(other), axis=1)
    assert moved == pytest.approx(np.linalg.norm(one - other, axis=1), abs=1e-9)


def test_another_liver_is_refused_in_a_sentence() -> None:
    found = _aligned(_earlier(), look(motion=made_motion(), treated=True, body=9, seed=6))
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
    built = made_motion().to_built(later.image.grid.index_to_lps_mm(index) - OFFSET)
    gone = built[..., 0] < -15
    array = np.where(gone & later.liver, -80, later.image.array).astype(np.int16)
    found = _aligned(_earlier(), Look(replace(later.image, array=array), later.liver & ~gone))
    place = found.of_lesion("L1")
    assert place is not None
    if place.motion is None:
        assert place.reason
    else:
        assert place.error_mm is not None
        assert np.sqrt(np.square(_errors(found, made_motion())).mean()) <= place.error_mm
        assert any("volume" in sentence for sentence in found.findings)


def test_no_liver_drawn_is_said() -> None:
    later = _later()
    found = _aligned(_earlier(), Look(later.image, np.zeros_like(later.liver)))
    place = found.of_lesion("L1")
    assert place is not None
    assert place.motion is None
    assert "no liver is drawn on the later" in place.reason
    assert found.pieces is None
