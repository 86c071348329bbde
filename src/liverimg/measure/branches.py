"""Vessels and ducts by name: which branch each voxel belongs to, or why that can't be told.

A reader follows the vessels, and so does this: the portal vein comes from outside the liver, and where its left
branch leaves is the bifurcation (``portal_branches``); the hepatic veins are the three subtrees whose blood reaches
the vena cava, in the order of their angles around it (``hepatic_branches``); a duct is intrahepatic where it lies in
the liver. Each rule has conditions, and where one fails there is no name: a wrong name is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from liverimg.core.boxes import Box
from liverimg.core.labels import BoolArray, Structure
from liverimg.measure import hepatic_branches, portal_branches
from liverimg.measure.portal_branches import Marks
from liverimg.measure.scene import Scene
from liverimg.measure.subject import Body
from liverimg.measure.supply import believed, liver_places
from liverimg.measure.trees import Cells, IntArray, cells_of


class Branch(StrEnum):
    """Parts of a tree that have a name of their own."""

    PORTAL_TRUNK = "portal_trunk"
    RIGHT_PORTAL = "right_portal_branch"
    LEFT_PORTAL = "left_portal_branch"
    RIGHT_HEPATIC = "right_hepatic_vein"
    MIDDLE_HEPATIC = "middle_hepatic_vein"
    LEFT_HEPATIC = "left_hepatic_vein"
    EXTRAHEPATIC_DUCT = "extrahepatic_bile_duct"
    INTRAHEPATIC_DUCT = "intrahepatic_bile_duct"


_OUTSIDE, _INSIDE = 1, 2
MARK_OF: Mapping[Structure, Mapping[Branch, int]] = MappingProxyType(
    {
        Structure.PORTAL_VEIN: {
            Branch.PORTAL_TRUNK: portal_branches.TRUNK,
            Branch.RIGHT_PORTAL: portal_branches.RIGHT,
            Branch.LEFT_PORTAL: portal_branches.LEFT,
        },
        Structure.HEPATIC_VEIN: {
            Branch.RIGHT_HEPATIC: hepatic_branches.RIGHT,
            Branch.MIDDLE_HEPATIC: hepatic_branches.MIDDLE,
            Branch.LEFT_HEPATIC: hepatic_branches.LEFT,
        },
        Structure.BILE_DUCT: {Branch.EXTRAHEPATIC_DUCT: _OUTSIDE, Branch.INTRAHEPATIC_DUCT: _INSIDE},
    }
)


@dataclass(frozen=True, eq=False)
class NamedTree:
    """A tree's cells with their marks.

    Attributes:
        structure: Which tree.
        cells: Its voxels, pooled; what is asked of the tree is asked of these first.
        marks: Bits of :data:`MARK_OF`; 0 for cells without a name. A common trunk carries several.
        reason: Why no cell has a name; empty when some have.
    """

    structure: Structure
    cells: Cells
    marks: IntArray = field(repr=False)
    reason: str

    def chosen(self, mark: int | None) -> BoolArray:
        """Cells with a mark; those without any for 0, all for None."""
        if mark is None:
            return np.ones(len(self.cells), dtype=bool)
        return np.asarray(self.marks == 0 if mark == 0 else (self.marks & mark) > 0)

    def names_at(self, cell: int) -> tuple[Branch, ...]:
        """The names of a cell."""
        return tuple(b for b, mark in MARK_OF[self.structure].items() if self.marks[cell] & mark)


class PartSource:
    """Mask of part of a tree in any region of the scene."""

    def __init__(self, scene: Scene, tree: NamedTree, keep: BoolArray) -> None:
        self._scene, self._tree = scene, tree
        self._keep = np.append(keep, False)  # cell number -1 keeps nothing

    def __call__(self, region: Box) -> BoolArray:
        """The mask in the region."""
        mask = self._scene.mask(region, self._tree.structure)
        return np.asarray(mask & self._keep[self._tree.cells.in_region(region)])


def name_trees(body: Body) -> Mapping[Structure, NamedTree]:
    """The trees that are drawn, each cell with the names that it can be given.

    A tree whose quality says that parts of it may be missing is named all the same: what is drawn hangs together
    or it gets no name.
    """
    found: dict[Structure, NamedTree] = {}
    for structure in MARK_OF:
        cells = cells_of(body.scene, structure)
        if cells is None:
            continue
        marks = _marks(structure, cells, body)
        found[structure] = NamedTree(structure, cells, marks.values, marks.reason)
    return found


def _marks(structure: Structure, cells: Cells, body: Body) -> Marks:
    if body.liver is None:
        return Marks(np.zeros(len(cells), dtype=np.int64), "no liver is drawn around it")
    inside = _inside(cells, body)
    if structure is Structure.BILE_DUCT:
        return Marks(np.where(inside, _INSIDE, _OUTSIDE), "")
    rules = body.settings.branches
    if structure is Structure.PORTAL_VEIN:
        marks = portal_branches.mark_portal(cells, inside, rules)
    else:
        marks = hepatic_branches.mark_hepatic(cells, inside, cells_of(body.scene, Structure.INFERIOR_VENA_CAVA), rules)
    return believed(marks, cells, structure, liver_places(body.liver), rules.supply)


def _inside(cells: Cells, body: Body) -> BoolArray:
    """Which cells have their middle in the liver of anatomy."""
    liver = body.liver
    inside = np.zeros(len(cells), dtype=bool)
    if liver is None:
        return inside
    start = np.array([b.start for b in liver.box])
    index = np.rint(body.scene.grid.lps_mm_to_index(cells.points_lps_mm)).astype(int) - start
    held = ((index >= 0) & (index < liver.mask.shape)).all(axis=1)
    inside[held] = liver.mask[tuple(index[held].T)]
    return inside
