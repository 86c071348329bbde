"""Branches by name: right on trees with known names, and no name wherever it can't be told."""

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.core.orientation import Orientation
from liverimg.measure.branches import MARK_OF, Branch, name_trees
from liverimg.measure.nearness import measure_nearness
from liverimg.measure.reach import Around
from liverimg.measure.subject import Body, Subject

from .shapes import Capsule, Ellipsoid, centres

EXTERNAL = LabelQuality("external")
CODES = {
    Structure.LIVER: 1,
    Structure.TUMOUR: 2,
    Structure.HEPATIC_VEIN: 3,
    Structure.PORTAL_VEIN: 4,
    Structure.BILE_DUCT: 5,
    Structure.INFERIOR_VENA_CAVA: 7,
    Structure.LUNG: 14,
}
GRID = Grid.from_axes((70, 90, 110), spacing_mm=(2.2, 1.7, 1.7), origin_lps_mm=(-105.0, -80.0, -80.0))
LIVER = Ellipsoid(np.array([-15.0, -5.0, 0.0]), np.array([80.0, 62.0, 58.0]), np.eye(3))
TUMOUR = Ellipsoid(np.array([-62.0, -10.0, 8.0]), np.full(3, 8.0), np.eye(3))

# A portal vein and three hepatic veins, each branch as lines with its radius.
FORK = (-12.0, 5.0, -16.0)
PORTAL = {
    Branch.PORTAL_TRUNK: [((0.0, 10.0, -78.0), FORK, 6.5)],
    Branch.RIGHT_PORTAL: [
        (FORK, (-38.0, 5.0, -14.0), 5.0),
        ((-38.0, 5.0, -14.0), (-60.0, -22.0, 5.0), 3.5),
        ((-38.0, 5.0, -14.0), (-66.0, 24.0, -18.0), 3.5),
    ],
    Branch.LEFT_PORTAL: [
        (FORK, (14.0, -14.0, -6.0), 4.5),
        ((14.0, -14.0, -6.0), (36.0, -28.0, 2.0), 3.0),
        ((14.0, -14.0, -6.0), (8.0, -40.0, -4.0), 2.8),
    ],
}
MOUTH = (-8.0, 24.0, 44.0)
HEPATIC = {
    Branch.RIGHT_HEPATIC: [
        ((-16.0, 24.0, 42.0), (-55.0, 28.0, 18.0), 4.5),
        ((-55.0, 28.0, 18.0), (-76.0, 8.0, -6.0), 3.0),
    ],
    Branch.MIDDLE_HEPATIC: [
        ((-12.0, 17.0, 44.0), (-30.0, -20.0, 24.0), 4.5),
        ((-30.0, -20.0, 24.0), (-38.0, -42.0, 4.0), 3.0),
    ],
    Branch.LEFT_HEPATIC: [
        ((-4.0, 16.0, 44.0), (12.0, -14.0, 26.0), 4.0),
        ((12.0, -14.0, 26.0), (38.0, -26.0, 18.0), 3.0),
    ],
}
CAVA = Capsule(np.array([-8.0, 28.0, -80.0]), np.array([-8.0, 26.0, 75.0]), 10.0)
DUCT = [((-18.0, 2.0, -66.0), (-20.0, -1.0, -12.0), 2.6), ((-20.0, -1.0, -12.0), (-44.0, -6.0, -8.0), 2.2)]


def painted(array, lines, value):
    points = centres(GRID)
    for start, end, radius in lines:
        array[Capsule(np.array(start), np.array(end), radius).holds(points)] = value


@pytest.fixture(scope="module")
def array():
    points = centres(GRID)
    out = np.zeros(GRID.shape, np.uint8)
    out[LIVER.holds(points)] = 1
    out[(points[..., 2] > 52) & (out == 0)] = 14
    out[CAVA.holds(points)] = 7
    for lines in HEPATIC.values():
        painted(out, lines, 3)
    for lines in PORTAL.values():
        painted(out, lines, 4)
    painted(out, DUCT, 5)
    out[TUMOUR.holds(points)] = 2
    return out


def body_of(array, settings, grid=GRID, codes=CODES, quality=EXTERNAL):
    return Body.of(LabelMap(array, grid, codes), quality, settings=settings)


def rows_of(array, settings, **more):
    body = body_of(array, settings, **more)
    rows = measure_nearness(Subject.of(body.lesions[0], body), body, Around.of(body))
    return {row.name: row for row in rows}


def named_at(tree, place):
    cell = int(np.argmin(np.linalg.norm(tree.cells.points_lps_mm - np.array(place), axis=1)))
    return tree.names_at(cell)


@pytest.mark.parametrize(("structure", "lines"), [(Structure.PORTAL_VEIN, PORTAL), (Structure.HEPATIC_VEIN, HEPATIC)])
def test_branches_get_their_names(array, settings, structure, lines):
    tree = name_trees(body_of(array, settings))[structure]
    assert tree.reason == ""
    for branch, parts in lines.items():
        for start, end, _ in parts:
            middle = 0.35 * np.array(start) + 0.65 * np.array(end)
            assert named_at(tree, middle) == (branch,), (branch, middle)


def test_ducts_are_told_apart_by_the_liver(array, settings):
    tree = name_trees(body_of(array, settings))[Structure.BILE_DUCT]
    assert named_at(tree, DUCT[0][0]) == (Branch.EXTRAHEPATIC_DUCT,)
    assert named_at(tree, DUCT[1][1]) == (Branch.INTRAHEPATIC_DUCT,)


def test_distances_are_to_the_branch_of_that_name(array, settings):
    rows = rows_of(array, settings)
    for branch, parts in {**PORTAL, **HEPATIC}.items():
        truth = min(float(Capsule(np.array(a), np.array(b), r).gap(TUMOUR.centre[None])[0]) for a, b, r in parts) - 8
        row = rows[f"distance_to_{branch}"]
        assert isinstance(row, Measurement), row
        # Where a branch begins is a convention, and a common trunk belongs to both veins.
        assert row.value == pytest.approx(truth, abs=1.2 if truth < 30 else 10.0), branch
    assert "right portal branch" in rows["distance_to_portal_vein"].method
    assert rows["distance_to_portal_vein"].value == rows["distance_to_right_portal_branch"].value


def test_flips_and_permutations_change_nothing(array, settings):
    turn = Orientation((2, 0, 1), (True, False, True))
    one = rows_of(array, settings)
    other = rows_of(np.ascontiguousarray(turn.turn(array)), settings, grid=turn.turn_grid(GRID))
    assert one.keys() == other.keys()
    for name, row in one.items():
        if isinstance(row, Measurement):
            assert other[name].value == pytest.approx(row.value, abs=2e-5), name
        else:
            assert other[name] == row


def unknown(rows, branches, words):
    for branch in branches:
        row = rows[f"distance_to_{branch}"]
        assert isinstance(row, NotMeasured), row
        assert "branch unknown" in row.reason and words in row.reason, row.reason


def test_a_portal_vein_without_its_stem_has_no_branches(array, settings):
    cut = array.copy()
    cut[(cut == 4) & (centres(GRID)[..., 2] < -12)] = 1
    rows = rows_of(cut, settings)
    unknown(rows, PORTAL, "stem")
    assert isinstance(rows["distance_to_portal_vein"], Measurement)


def test_a_tree_in_pieces_has_no_branches(array, settings):
    points = centres(GRID)
    broken = array.copy()
    gap = np.linalg.norm(points - np.array(FORK), axis=-1)
    broken[(broken == 4) & (gap > 8) & (gap < 20) & (points[..., 2] > -20)] = 1
    unknown(rows_of(broken, settings), PORTAL, "pieces")


def test_without_a_right_branch_nothing_is_called_left(array, settings):
    half = array.copy()
    half[(half == 4) & (centres(GRID)[..., 0] < -20)] = 1
    tree = name_trees(body_of(half, settings))[Structure.PORTAL_VEIN]
    assert tree.reason
    assert not tree.marks.any()


BRIDGE = [((-66.0, 24.0, -18.0), (-72.0, 14.0, -10.0), 1.2), ((-72.0, 14.0, -10.0), (-76.0, 8.0, -6.0), 1.5)]


def test_a_hepatic_vein_drawn_into_the_portal_tree_gets_none_of_its_names(array, settings):
    """The right hepatic vein hangs on a right portal twig: the way to it is narrow and grows wide again."""
    merged = array.copy()
    painted(merged, HEPATIC[Branch.RIGHT_HEPATIC] + BRIDGE, 4)
    tree = name_trees(body_of(merged, settings))[Structure.PORTAL_VEIN]
    assert tree.reason == ""
    assert named_at(tree, (-36.0, 26.0, 30.0)) == ()
    assert named_at(tree, (-55.0, 28.0, 18.0)) == ()
    for branch, place in ((Branch.RIGHT_PORTAL, (-30.0, 5.0, -14.6)), (Branch.LEFT_PORTAL, (6.0, -8.0, -9.0))):
        assert named_at(tree, place) == (branch,)


def test_two_trees_under_one_label_have_no_branches(array, settings):
    merged = np.where(array == 3, 4, array).astype(np.uint8)
    painted(merged, BRIDGE, 4)
    left_bridge = [((36.0, -28.0, 2.0), (38.0, -27.0, 12.0), 1.2), ((38.0, -27.0, 12.0), (38.0, -26.0, 18.0), 1.5)]
    painted(merged, left_bridge, 4)
    middle_bridge = [((-60.0, -22.0, 5.0), (-48.0, -34.0, 5.0), 1.2), ((-48.0, -34.0, 5.0), (-38.0, -42.0, 4.0), 1.5)]
    painted(merged, middle_bridge, 4)
    tree = name_trees(body_of(merged, settings))[Structure.PORTAL_VEIN]
    wrong = [
        branch
        for parts in HEPATIC.values()
        for start, end, _ in parts
        for branch in named_at(tree, 0.35 * np.array(start) + 0.65 * np.array(end))
    ]
    assert wrong == []


def test_a_stem_above_the_tree_is_no_portal_stem(array, settings):
    """Only hepatic veins under the portal label, with a thick stump that leaves the liver at the top."""
    wrong = np.where(array == 4, 1, array)
    wrong = np.where(wrong == 3, 4, wrong).astype(np.uint8)
    painted(wrong, [((-16.0, 24.0, 42.0), (-10.0, 30.0, 74.0), 6.0)], 4)
    tree = name_trees(body_of(wrong, settings))[Structure.PORTAL_VEIN]
    assert tree.reason and not tree.marks.any()


def test_hepatic_veins_want_the_vena_cava(array, settings):
    bare = np.where(array == 7, 0, array).astype(np.uint8)
    unknown(rows_of(bare, settings), HEPATIC, "vena cava")


def test_two_hepatic_veins_are_not_named(array, settings):
    points = centres(GRID)
    two = array.copy()
    two[(two == 3) & (points[..., 0] > -9.5)] = 1  # the left one is not drawn
    tree = name_trees(body_of(two, settings))[Structure.HEPATIC_VEIN]
    assert tree.reason
    assert not tree.marks.any()


def test_ducts_that_are_not_seen_are_expected_beside_the_portal_branches(array, settings):
    reason = "the ducts are not widened"
    rows = rows_of(array, settings, quality=LabelQuality("model", not_visible={Structure.BILE_DUCT: reason}))
    for name in ("bile_duct", "extrahepatic_bile_duct", "intrahepatic_bile_duct"):
        row = rows[f"distance_to_{name}"]
        assert isinstance(row, NotMeasured)
        assert row.reason.startswith(reason) and "portal branches" in row.reason


def test_a_detached_piece_lowers_the_band_of_every_branch(array, settings):
    plain = rows_of(array, settings)
    loose = array.copy()
    beside = Capsule(np.array([-78.0, -22.0, 10.0]), np.array([-78.0, 2.0, 10.0]), 2.2)
    loose[beside.holds(centres(GRID)) & (loose == 1)] = 4
    rows = rows_of(loose, settings)
    name = "distance_to_left_portal_branch"
    assert rows[name].value == pytest.approx(plain[name].value, abs=0.1)
    assert rows[name].low < 10 < plain[name].low
    assert "can't be told lies nearer" in rows[name].method


def test_the_dome_is_the_liver_under_the_lung(array, settings):
    row = rows_of(array, settings)["distance_to_diaphragm"]
    surface = centres(GRID)[(np.abs(LIVER.holds(centres(GRID)).astype(float)) > 0) & (centres(GRID)[..., 2] > 40)]
    assert isinstance(row, Measurement)
    assert 20 < row.value < float(np.linalg.norm(surface - TUMOUR.centre, axis=-1).min()) + 5
    assert "lung or heart" in row.method
    no_lung = {s: v for s, v in CODES.items() if s is not Structure.LUNG}
    bare = np.where(array == 14, 0, array).astype(np.uint8)
    assert "lungs were not looked for" in rows_of(bare, settings, codes=no_lung)["distance_to_diaphragm"].reason
    assert "unknown, not far" in rows_of(bare, settings)["distance_to_diaphragm"].reason


def test_marks_have_one_bit_each():
    for marks in MARK_OF.values():
        assert sorted(marks.values()) == [2**n for n in range(len(marks))] or sum(marks.values()) == 3
