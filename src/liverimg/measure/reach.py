"""Where a lesion comes nearest to each thing around it that has a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from liverimg.core.boxes import Box
from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray, LabelQuality, Structure
from liverimg.measure.band import direction, quadrature, surface_error_mm
from liverimg.measure.branches import MARK_OF, Branch, NamedTree, PartSource, name_trees
from liverimg.measure.closest import least_distances
from liverimg.measure.dome import DomeSource, dome_of
from liverimg.measure.lattice import Lattice
from liverimg.measure.proximity import (
    MaskSource,
    Nearest,
    OutsideSource,
    Target,
    nearest_in,
    nearest_to,
)
from liverimg.measure.scene import Scene
from liverimg.measure.subject import Body, Subject
from liverimg.measure.trees import Cells

# Asked for in every study; the organs at risk only where somebody looked for them.
_TREES = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT)
_WHEN_KNOWN = (
    Structure.GALLBLADDER,
    Structure.INFERIOR_VENA_CAVA,
    Structure.STOMACH,
    Structure.BOWEL,
    Structure.HEART,
    Structure.KIDNEY,
)
_REGION_PAD = 6


@dataclass(frozen=True, eq=False)
class Around:
    """What all lesions of a study have around them.

    Attributes:
        trees: Vessels and ducts that are drawn, with the names of their branches.
        dome: The liver's surface under lung and heart, or why there is none.
    """

    trees: Mapping[Structure, NamedTree]
    dome: DomeSource | str

    @classmethod
    def of(cls, body: Body) -> Around:
        """Names the branches and finds the dome, once a study."""
        reach_mm = body.settings.nearness.diaphragm_reach_mm
        return cls(name_trees(body), dome_of(body.scene, body.liver, body.quality, reach_mm=reach_mm))


@dataclass(frozen=True, eq=False)
class Place:
    """Where a lesion comes nearest to one thing.

    Attributes:
        name: Of the thing: a structure, a branch, ``liver_capsule`` or ``diaphragm``.
        structure: The label that it is part of, and whose outline's error it shares.
        found: The shortest line.
        branches: Names of the branch at its end, where the whole of a tree was asked for.
        unnamed: The shortest line to parts of the same tree without a name, where a branch was asked for.
    """

    name: str
    structure: Structure
    found: Nearest
    branches: tuple[Branch, ...] = ()
    unnamed: Nearest | None = None


@dataclass(frozen=True)
class Nowhere:
    """Why there is no such line."""

    name: str
    structure: Structure
    reason: str


def places(subject: Subject, body: Body, around: Around) -> list[Place | Nowhere]:
    """The nearest place of every structure and branch, or why it is unknown."""
    found: list[Place | Nowhere] = []
    for structure in _TREES:
        found += _in_tree(structure, subject, body, around.trees.get(structure))
    for structure in _WHEN_KNOWN:
        if body.scene.labels.knows(structure) or structure in subject.quality.not_visible:
            found.append(_organ(structure, subject, body))
    return [*found, _capsule(subject, body), _dome(subject, body, around.dome)]


def unseen(structure: Structure, scene: Scene, quality: LabelQuality) -> str:
    """Why nothing can be said about a structure; empty when it could be seen and was looked for."""
    if structure in quality.not_visible:
        return quality.not_visible[structure]
    if not scene.labels.knows(structure):
        return f"the {_words(structure)} was not looked for, so its distance is unknown"
    return ""


def half_width_mm(place: Place, subject: Subject, body: Body) -> float:
    """Half width of a distance's band: the voxels along the line, and how far both outlines can be trusted."""
    grid = body.scene.grid
    line = direction(place.found.on_lesion, place.found.on_structure)
    return quadrature(
        Lattice.of(grid, body.band_spacing_mm).half_mm(body.settings.bands.distance, line),
        surface_error_mm(subject.quality, Structure.TUMOUR),
        surface_error_mm(subject.quality, place.structure),
    )


def nearest_part(target: Target, scene: Scene, tree: NamedTree, keep: BoolArray) -> Nearest | None:
    """The shortest line to chosen cells of a tree; the cells tell which voxels need a look.

    Args:
        target: The lesion.
        scene: Where both lie.
        tree: The tree.
        keep: Which of its cells count.
    """
    chosen = np.flatnonzero(keep)
    if len(chosen) == 0:
        return None
    points = tree.cells.points_lps_mm[chosen]
    from_centre = np.linalg.norm(points - target.centre, axis=1)
    widest_mm = float(np.linalg.norm(scene.grid.spacing_mm * tree.cells.steps))
    near = from_centre <= from_centre.min() + (target.outer_mm - target.inner_mm) + widest_mm
    gaps, _ = least_distances(target.tree, points[near], widest_mm)
    chosen = chosen[near][gaps <= gaps.min() + widest_mm]
    region = _region(tree.cells, chosen, scene)
    return nearest_in(target, PartSource(scene, tree, keep)(region), region, scene.grid)


def _region(cells: Cells, chosen: np.ndarray, scene: Scene) -> Box:
    index = scene.grid.lps_mm_to_index(cells.points_lps_mm[chosen])
    reach = np.array(cells.steps) + _REGION_PAD
    low = np.clip(np.floor(index.min(axis=0)) - reach, 0, np.array(scene.grid.shape) - 1).astype(int)
    high = np.clip(np.ceil(index.max(axis=0)) + reach + 1, 1, scene.grid.shape).astype(int)
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _in_tree(structure: Structure, subject: Subject, body: Body, tree: NamedTree | None) -> list[Place | Nowhere]:
    names = MARK_OF[structure]
    reason = unseen(structure, body.scene, subject.quality)
    if not reason and tree is None:
        reason = _none_drawn(structure)
    whole = None
    if tree is not None and not reason:
        whole = nearest_part(subject.target, body.scene, tree, tree.chosen(None))
        reason = "" if whole else _none_drawn(structure)
    if reason or whole is None or tree is None:
        return [Nowhere(name, structure, reason) for name in (structure.value, *names)]
    found: list[Place | Nowhere] = [
        Place(structure.value, structure, whole, branches=tree.names_at(_cell_at(tree, whole.on_structure)))
    ]
    if tree.reason:
        words = _words(structure)
        reason = (
            f"branch unknown: the nearest {words} lies {whole.distance_mm:.1f} mm away, its branch can't be told "
            f"because {tree.reason}"
        )
        return found + [Nowhere(name, structure, reason) for name in names]
    unnamed = nearest_part(subject.target, body.scene, tree, tree.chosen(0))
    for branch, mark in names.items():
        part = nearest_part(subject.target, body.scene, tree, tree.chosen(mark))
        if part is None:
            found.append(Nowhere(branch, structure, _none_drawn(branch)))
        else:
            found.append(Place(branch, structure, part, unnamed=unnamed))
    return found


def _cell_at(tree: NamedTree, place_lps_mm: FloatArray) -> int:
    return int(np.argmin(np.linalg.norm(tree.cells.points_lps_mm - place_lps_mm, axis=1)))


def _organ(structure: Structure, subject: Subject, body: Body) -> Place | Nowhere:
    reason = unseen(structure, body.scene, subject.quality)
    if reason:
        return Nowhere(structure, structure, reason)
    found = nearest_to(subject.target, MaskSource(body.scene, structure), body.scene.grid)
    return Place(structure, structure, found) if found else Nowhere(structure, structure, _none_drawn(structure))


def _capsule(subject: Subject, body: Body) -> Place | Nowhere:
    name, liver = "liver_capsule", body.liver
    if liver is None:
        return Nowhere(name, Structure.LIVER, "no liver is drawn, so its surface is unknown")
    if subject.outside:
        return Nowhere(name, Structure.LIVER, "the lesion lies outside the liver")
    source = OutsideSource(liver.mask, liver.box, body.scene.grid.shape)
    found = nearest_to(subject.target, source, body.scene.grid)
    if found is None:
        return Nowhere(name, Structure.LIVER, "the liver fills the image, so its surface is not in view")
    return Place(name, Structure.LIVER, found)


def _dome(subject: Subject, body: Body, dome: DomeSource | str) -> Place | Nowhere:
    name = "diaphragm"
    if isinstance(dome, str):
        return Nowhere(name, Structure.LIVER, dome)
    if subject.outside:
        return Nowhere(name, Structure.LIVER, "the lesion lies outside the liver")
    found = nearest_to(subject.target, dome, body.scene.grid)
    if found is None:
        return Nowhere(name, Structure.LIVER, "no liver surface lies under the lungs as drawn")
    return Place(name, Structure.LIVER, found)


def _none_drawn(thing: str) -> str:
    return f"the {_words(thing)} was looked for and none is drawn: its distance is unknown, not far"


def _words(thing: str) -> str:
    return str(thing).replace("_", " ")
