"""Division into sessions on phantoms: nothing lost, nothing twice, each piece whole and of a session's volume."""

import math

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, label

from liverimg.assess.sessions import SessionRules, count_range, statements, thresholds_of
from liverimg.core.errors import RecordInvalidError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.files.criteria import bundled_criteria
from liverimg.measure.lesions import find_lesions
from liverimg.measure.scene import Scene
from liverimg.measure.sessions import SessionSettings, divide

VEIN, PORTAL, DUCT = Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT
SETTINGS = SessionSettings(5.0, 10.0, 40.0, 0.5, (7.0, 14.0), {VEIN: 10.0, PORTAL: 10.0, DUCT: 10.0})
HIFU = bundled_criteria("hifu_suitability")
RULES = SessionRules(*thresholds_of(HIFU, "hifu.sessions"), *thresholds_of(HIFU, "hifu.between_sessions"))


def grid(turned: bool) -> Grid:
    angle = np.deg2rad(25 if turned else 0)
    across = np.array([[0, 0, 1], [np.sin(angle), np.cos(angle), 0], [np.cos(angle), -np.sin(angle), 0]], dtype=float)
    return Grid.from_axes(
        (48, 90, 100),
        spacing_mm=(2.5, 1.2, 1.1),
        directions=across,
        origin_lps_mm=(-40.0, 10.0, 500.0),
        frame_of_reference_uid="1.2",
    )


def scene(inside, *, turned=False, vein=None, drawn=(VEIN, PORTAL)) -> tuple[Scene, np.ndarray]:
    """Labels from functions of the place relative to the middle of the view, in mm."""
    g = grid(turned)
    index = np.indices(g.shape).reshape(3, -1).T
    places = g.index_to_lps_mm(index).reshape(*g.shape, 3)
    middle = g.index_to_lps_mm((np.array(g.shape) - 1) / 2)
    array = np.ones(g.shape, dtype=np.uint8)
    array[inside(*np.moveaxis(places - middle, -1, 0))] = 2
    if vein is not None:
        array[vein(*np.moveaxis(places - middle, -1, 0))] = 3
    structures = {Structure.LIVER: 1, Structure.TUMOUR: 2} | {s: n for n, s in enumerate(drawn, start=3)}
    return Scene.of(LabelMap(array, g, structures)), middle


def ball(radius):
    return lambda x, y, z: x**2 + y**2 + z**2 <= radius**2


def divided(inside, *, settings=SETTINGS, entry=None, **more):
    made, middle = scene(inside, **more)
    lesion = find_lesions(made.labels, minimum_volume_ml=0.1)[0]
    found = divide(lesion, made, None, settings=settings, entry_lps_mm=None if entry is None else tuple(middle + entry))
    return found, made, lesion


def check(found, settings=SETTINGS):
    """What holds for every division."""
    plan, voxel_ml = found.plan, found.grid.voxel_ml
    assert [p.order for p in plan.pieces] == list(range(1, len(plan.pieces) + 1))
    assert sum(p.volume_ml for p in plan.pieces) + plan.left_over_ml == pytest.approx(plan.treatable_ml, abs=1e-6)
    assert plan.treatable_ml <= plan.target_ml + 1e-9
    for piece in plan.pieces:
        own = found.pieces == piece.order
        assert own.sum() * voxel_ml == pytest.approx(piece.volume_ml)
        assert label(own)[1] == 1, "a piece is one connected part"
        assert piece.within_range == (settings.smallest_ml <= piece.volume_ml <= settings.largest_ml)
        centroid = found.grid.index_to_lps_mm(np.argwhere(own).mean(axis=0))
        assert np.allclose(centroid, piece.centroid_lps_mm, atol=1e-5)
        assert 0 <= piece.share_of_tumour <= 1


NO_KEEP_OUTS = SessionSettings(5.0, 10.0, 40.0, 0.5, (7.0, 14.0), {})


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("radius", [10.0, 16.0, 20.0, 26.0, 33.0, 40.0])
def test_balls_divide_into_as_few_pieces_as_there_can_be(radius, turned):
    found, _, _ = divided(ball(radius), settings=NO_KEEP_OUTS, turned=turned)
    check(found, NO_KEEP_OUTS)
    plan = found.plan
    assert plan.target_ml == pytest.approx(4 / 3 * math.pi * (radius + 5) ** 3 / 1000, rel=0.06)
    assert plan.tumour_ml == pytest.approx(4 / 3 * math.pi * radius**3 / 1000, rel=0.05)
    assert all(p.within_range for p in plan.pieces)
    assert len(plan.pieces) in (math.ceil(plan.target_ml / 40), math.ceil(plan.target_ml / 40) + 1)


@pytest.mark.parametrize("radius", [16.0, 20.0, 30.0])
def test_pieces_are_compact(radius):
    """None reaches much farther than a ball of its volume would: no slabs, no shells."""
    found, _, _ = divided(ball(radius), settings=NO_KEEP_OUTS)
    for piece in found.plan.pieces:
        of_a_ball = (3 * piece.volume_ml * 1000 / (4 * math.pi)) ** (1 / 3)
        assert piece.reach_mm < 2.2 * of_a_ball


SHAPES = {
    "long": lambda x, y, z: (x / 45) ** 2 + (y / 14) ** 2 + (z / 14) ** 2 <= 1,
    "flat": lambda x, y, z: (x / 40) ** 2 + (y / 40) ** 2 + (z / 12) ** 2 <= 1,
    "bent": lambda x, y, z: (np.abs(np.hypot(x, y) - 30) < 8) & (np.abs(z) < 12) & (y > -10),
    "dumb-bell": lambda x, y, z: ((np.abs(x) - 25) ** 2 + y**2 + z**2 <= 18**2) | ((y**2 + z**2 < 25) & (abs(x) < 25)),
}


@pytest.mark.parametrize("shape", list(SHAPES))
def test_awkward_shapes(shape):
    found, _, _ = divided(SHAPES[shape], settings=NO_KEEP_OUTS)
    check(found, NO_KEEP_OUTS)
    assert all(p.within_range for p in found.plan.pieces)


@pytest.mark.parametrize("offset", [0.0, 12.0, 25.0])
@pytest.mark.parametrize("radius", [20.0, 30.0])
def test_keep_outs_are_kept(radius, offset):
    found, made, _ = divided(ball(radius), vein=lambda x, y, z: (x - offset) ** 2 + y**2 < 3**2)
    check(found)
    vein = made.labels.array == 3
    gaps = distance_transform_edt(~vein, sampling=made.grid.spacing_mm)
    box = tuple(slice(s, s + n) for s, n in zip(found.start_kji, found.pieces.shape, strict=True))
    assert gaps[box][found.pieces > 0].min() >= 10.0
    assert found.plan.tumour_kept_out_ml > 0
    by_name = {k.structure: k for k in found.plan.keep_outs}
    assert by_name["hepatic_vein"].removed_ml > 0
    assert by_name["portal_vein"].removed_ml == 0
    assert "none is drawn" in by_name["portal_vein"].unknown
    assert "not looked for" in by_name["bile_duct"].unknown


def test_a_tumour_inside_a_keep_out_has_no_pieces():
    found, _, _ = divided(ball(6.0), vein=lambda x, y, z: x**2 + y**2 < 2**2)
    assert found.plan.pieces == ()
    assert "leave nothing" in found.plan.reason
    assert found.plan.tumour_kept_out_ml == pytest.approx(found.plan.tumour_ml)


def test_a_small_target_is_one_piece_that_says_so():
    found, _, _ = divided(ball(6.0), settings=NO_KEEP_OUTS)
    (piece,) = found.plan.pieces
    assert not piece.within_range
    assert any("outside the volume of a session" in note for note in statements(found.plan, RULES))


def test_the_margin_stays_in_the_liver():
    made, middle = scene(ball(15.0))
    array = made.labels.array.copy()
    index = np.indices(made.grid.shape).reshape(3, -1).T
    right = (made.grid.index_to_lps_mm(index) - middle).reshape(*made.grid.shape, 3)[..., 0]
    array[(right > 10) & (array == 1)] = 0
    cut = Scene.of(LabelMap(array, made.grid, made.labels.structures))
    from liverimg.files.tables import read_table
    from liverimg.measure.liver import liver_body
    from liverimg.measure.settings import MeasureSettings

    lesion = find_lesions(cut.labels, minimum_volume_ml=0.1)[0]
    body = liver_body(cut, apart=(), settings=MeasureSettings.from_table(read_table("measure")))
    inside = divide(lesion, cut, body, settings=NO_KEEP_OUTS)
    anywhere = divide(lesion, cut, None, settings=NO_KEEP_OUTS)
    assert inside.plan.target_ml < anywhere.plan.target_ml
    assert inside.plan.tumour_kept_out_ml == 0


def test_the_deepest_piece_comes_first():
    entry = np.array([60.0, 0.0, 0.0])
    found, _, _ = divided(SHAPES["long"], settings=NO_KEEP_OUTS, entry=entry)
    x = [piece.centroid_lps_mm[0] for piece in found.plan.pieces]
    assert x == sorted(x)
    without, _, _ = divided(SHAPES["long"], settings=NO_KEEP_OUTS)
    z = [piece.centroid_lps_mm[2] for piece in without.plan.pieces]
    assert z == sorted(z, reverse=True)


def test_the_same_scene_gives_the_same_plan():
    one, _, _ = divided(ball(30.0))
    other, _, _ = divided(ball(30.0))
    assert one.plan == other.plan


@pytest.mark.parametrize(
    ("volume_ml", "fewest", "most"),
    [(1.0, 1, 1), (10.0, 1, 1), (10.1, 1, 2), (40.0, 1, 4), (40.1, 2, 5), (65.4, 2, 7), (268.1, 7, 27)],
)
def test_the_range_of_counts(volume_ml, fewest, most):
    assert count_range(volume_ml, RULES) == (fewest, most)


def test_the_conflict_is_printed_when_there_is_one():
    large, _, _ = divided(ball(30.0), settings=NO_KEEP_OUTS)
    said = " ".join(statements(large.plan, RULES))
    assert "Conflict in the source" in said
    assert "7 to 14 days apart" in said
    assert "not a treatment plan" in said
    small, _, _ = divided(ball(8.0), settings=NO_KEEP_OUTS)
    said = " ".join(statements(small.plan, RULES))
    assert "Conflict" not in said
    assert "days apart" not in said


def test_the_numbers_come_from_the_rules():
    assert (RULES.smallest.value, RULES.largest.value, RULES.typical.value) == (10.0, 40.0, 4.0)
    assert (RULES.days_from.value, RULES.days_to.value) == (7.0, 14.0)
    with pytest.raises(RecordInvalidError, match="no rule nope"):
        thresholds_of(HIFU, "nope")
