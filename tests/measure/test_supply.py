"""A tree whose branches leave much of the liver out gets no names: its branches could be taken for each other."""

from __future__ import annotations

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.files.tables import read_table
from liverimg.measure.hepatic_branches import LEFT as LEFT_VEIN
from liverimg.measure.hepatic_branches import MIDDLE, RIGHT
from liverimg.measure.liver import LiverBody
from liverimg.measure.portal_branches import LEFT, TRUNK, Marks
from liverimg.measure.portal_branches import RIGHT as RIGHT_BRANCH
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.supply import believed, liver_places
from liverimg.measure.trees import Cells

RULES = MeasureSettings.from_table(read_table("measure")).branches.supply
GRID = Grid.from_axes((28, 36, 54), spacing_mm=(3.0, 3.0, 3.0), origin_lps_mm=(-81.0, -54.0, -42.0))
WHOLE = (slice(0, 28), slice(0, 36), slice(0, 54))
LIVER = liver_places(LiverBody(np.ones(GRID.shape, dtype=bool), GRID, WHOLE, touches_image_edge=False))


def tree(*lines: tuple[tuple[float, float, float], tuple[float, float, float], int]) -> tuple[Cells, Marks]:
    """Cells every 3 mm along lines, each line with its mark."""
    points, marks = [], []
    for start, end, mark in lines:
        count = int(np.linalg.norm(np.subtract(end, start)) / 3) + 2
        points.append(np.linspace(start, end, count))
        marks += [mark] * count
    places = np.concatenate(points)
    count = len(places)
    nothing = np.zeros((1, 1, 1), dtype=np.int64)
    cells = Cells(
        places, np.ones(count), np.ones(count), np.zeros((0, 2), dtype=np.int64), np.zeros(count, dtype=np.int64),
        nothing, (slice(0, 1),) * 3, (1, 1, 1),
    )  # fmt: skip
    return cells, Marks(np.array(marks, dtype=np.int64), "")


STEM = ((-10.0, 0.0, -50.0), (-10.0, 0.0, -10.0), TRUNK)
TO_THE_RIGHT = [
    ((-10.0, 0.0, -10.0), (-60.0, 30.0, 0.0), RIGHT_BRANCH),
    ((-10.0, 0.0, -10.0), (-60.0, -30.0, 20.0), RIGHT_BRANCH),
]
TO_THE_LEFT = [
    ((-10.0, 0.0, -10.0), (68.0, -25.0, 10.0), LEFT),
    ((-10.0, 0.0, -10.0), (60.0, 30.0, 20.0), LEFT),
]


def names(*lines: tuple[tuple[float, float, float], tuple[float, float, float], int], of: Structure) -> Marks:
    cells, marks = tree(*lines)
    return believed(marks, cells, of, LIVER, RULES)


def test_places_fill_the_liver_evenly() -> None:
    assert np.allclose(LIVER.mean(axis=0), GRID.centre_lps_mm, atol=3.0)
    # One place for every cube of 6 mm.
    assert len(LIVER) == pytest.approx(np.prod(GRID.shape) / 8, rel=0.05)


def test_a_whole_portal_tree_keeps_its_names() -> None:
    found = names(STEM, *TO_THE_RIGHT, *TO_THE_LEFT, of=Structure.PORTAL_VEIN)
    assert found.reason == ""
    assert set(found.values) == {TRUNK, RIGHT_BRANCH, LEFT}


def test_a_branch_of_the_right_liver_is_not_called_left() -> None:
    """The true left branch is not drawn; what lies furthest to the left of the rest ends near the middle."""
    wrong = [((-10.0, 0.0, -10.0), (45.0, -25.0, 0.0), LEFT), ((-10.0, 0.0, -10.0), (45.0, 30.0, 0.0), LEFT)]
    found = names(STEM, *TO_THE_RIGHT, *wrong, of=Structure.PORTAL_VEIN)
    assert "further to the left than what would be the left portal branch" in found.reason
    assert not found.values.any()


def test_a_tree_of_which_most_is_missing_has_no_names() -> None:
    found = names(STEM, ((-10.0, 0.0, -10.0), (10.0, 0.0, 0.0), LEFT), of=Structure.PORTAL_VEIN)
    assert "% of the liver lies more than 40 mm from all that could be named" in found.reason
    assert not found.values.any()


def veins(*ends: tuple[tuple[float, float, float], int]) -> Marks:
    """Hepatic veins as lines from the cava to their tips."""
    return names(*(((-10.0, 40.0, 30.0), end, mark) for end, mark in ends), of=Structure.HEPATIC_VEIN)


def test_hepatic_veins_are_not_each_called_by_the_next_ones_name() -> None:
    right, middle, left, leftmost = (-60.0, 0.0, 0.0), (-10.0, -45.0, 0.0), (68.0, -30.0, 0.0), (72.0, 10.0, 0.0)
    assert veins((right, RIGHT), (middle, MIDDLE), (left, LEFT_VEIN)).reason == ""
    wrong = veins((right, RIGHT), (middle, RIGHT), (left, MIDDLE), (leftmost, LEFT_VEIN))
    assert "as far to the left as a left one" in wrong.reason


def test_what_has_no_names_keeps_its_own_reason() -> None:
    cells, marks = tree(STEM)
    given = Marks(np.zeros_like(marks.values), "its stem is not drawn")
    assert believed(given, cells, Structure.PORTAL_VEIN, LIVER, RULES) is given
