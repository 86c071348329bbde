"""A vessel label as a tree: which place hangs on which, seen from a root.

The voxels of the label are pooled into cells of about 2.8 mm, neighbouring cells are linked, and each link costs its
length over the square of the vessel's radius there, as its resistance to a steady stream would grow. The cheapest
paths from the root (Dijkstra 1959) then run along the middle of the thick vessels, so the tree of all paths is the
vessels' own tree, without the spurs and loops of a thinned skeleton: the idea of TEASAR (Sato 2000). Every voxel
belongs to a cell, and every cell knows the way back to the root.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from liverimg.core.boxes import Box
from liverimg.core.grid import FloatArray
from liverimg.core.labels import Structure
from liverimg.measure.scene import Scene

IntArray = NDArray[np.int64]

CELL_MM = 2.8
NO_PARENT = -1
_LEAST_STEP_MM = 0.001  # no path is free
_LEAST_RADIUS_MM = 0.3  # a cell with hardly a voxel in it must not cost beyond all others
_HALF_OF_NEIGHBOURS = tuple(
    (a, b, c) for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1) if (a, b, c) > (0, 0, 0)
)


@dataclass(frozen=True, eq=False)
class Cells:
    """The voxels of a label, pooled.

    Attributes:
        points_lps_mm: Mean place of each cell's voxels, shape (n, 3).
        volume_mm3: Of the voxels in each cell.
        radius_mm: Inscribed radius at each cell, to about half a cell.
        links: Pairs of neighbouring cells, shape (m, 2).
        piece: Number of the connected piece that each cell belongs to, 0 for the largest.
        number: Cell that each cell position of the box holds, -1 for none.
        box: The label's box in the scene.
        steps: Voxels per cell along each axis.
    """

    points_lps_mm: FloatArray = field(repr=False)
    volume_mm3: FloatArray = field(repr=False)
    radius_mm: FloatArray = field(repr=False)
    links: IntArray = field(repr=False)
    piece: IntArray = field(repr=False)
    number: IntArray = field(repr=False)
    box: Box
    steps: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.points_lps_mm)

    def of_voxels(self, index_kji: IntArray) -> IntArray:
        """Cell of each voxel of the scene, shape (n, 3) to (n,); -1 where the box or the label ends."""
        start = np.array([b.start for b in self.box])
        at = (index_kji - start) // np.array(self.steps)
        inside = ((at >= 0) & (at < self.number.shape)).all(axis=1)
        found = np.full(len(at), -1, dtype=np.int64)
        found[inside] = self.number[tuple(at[inside].T)]
        return found

    def in_region(self, region: Box) -> IntArray:
        """Cell of every voxel of a region of the scene; -1 where there is none."""
        axes = []
        for r, b, s, n in zip(region, self.box, self.steps, self.number.shape, strict=True):
            at = (np.arange(r.start, r.stop) - b.start) // s
            axes.append(np.where((at >= 0) & (at < n), at, n))
        padded = np.pad(self.number, ((0, 1),) * 3, constant_values=-1)
        return np.asarray(padded[np.ix_(*axes)])


def cells_of(scene: Scene, structure: Structure) -> Cells | None:
    """Pools a structure's voxels; None when it has none."""
    box = scene.box(structure)
    if box is None:
        return None
    mask = scene.mask(box, structure)
    spacing = scene.grid.spacing_mm
    k, j, i = (max(1, round(CELL_MM / float(s))) for s in spacing)
    steps = np.array((k, j, i))
    shape = tuple(int(n) for n in -(-np.array(mask.shape) // steps))
    index = np.stack(np.unravel_index(np.flatnonzero(mask), mask.shape), axis=1)
    at = np.ravel_multi_index(tuple((index // steps).T), shape)
    count = np.bincount(at, minlength=int(np.prod(shape)))
    held = np.flatnonzero(count)
    number = np.full(len(count), -1, dtype=np.int64)
    number[held] = np.arange(len(held))
    mine = number[at]
    sums = [np.bincount(mine, weights=index[:, a] + box[a].start) for a in range(3)]
    points = scene.grid.index_to_lps_mm(np.stack(sums, axis=1) / count[held, None])
    number = number.reshape(shape)
    links = _links(number, held, shape)
    return Cells(
        points_lps_mm=np.asarray(points),
        volume_mm3=np.asarray(count[held] * (scene.grid.voxel_ml * 1000), dtype=float),
        radius_mm=_radius_mm(number, held, spacing * steps),
        links=links,
        piece=_pieces(links, count[held]),
        number=number,
        box=box,
        steps=(k, j, i),
    )


def _links(number: IntArray, held: IntArray, shape: tuple[int, ...]) -> IntArray:
    padded = np.pad(number, 1, constant_values=-1)
    at = np.stack(np.unravel_index(held, shape), axis=1) + 1
    pairs = []
    for step in _HALF_OF_NEIGHBOURS:
        other = padded[tuple((at + step).T)]
        found = np.flatnonzero(other >= 0)
        pairs.append(np.stack([found, other[found]], axis=1))
    return np.concatenate(pairs)


def _radius_mm(number: IntArray, held: IntArray, cell_mm: FloatArray) -> FloatArray:
    inside = edt.edt(np.ascontiguousarray(np.pad(number >= 0, 1)), anisotropy=tuple(float(s) for s in cell_mm))
    # The distance runs to the centre of the next cell outside, half a cell beyond the surface.
    return np.asarray(inside[1:-1, 1:-1, 1:-1].reshape(-1)[held] - cell_mm.min() / 2, dtype=float)


def pieces(cells: Cells, chosen: IntArray) -> IntArray:
    """Number of the connected piece that each of the chosen cells belongs to, 0 for the one with most cells."""
    among = np.full(len(cells), -1, dtype=np.int64)
    among[chosen] = np.arange(len(chosen))
    links = among[cells.links]
    return _pieces(links[(links >= 0).all(axis=1)], np.ones(len(chosen), dtype=np.int64))


def _pieces(links: IntArray, weight: IntArray) -> IntArray:
    graph = csr_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(len(weight), len(weight)))
    _, piece = connected_components(graph, directed=False)
    order = np.argsort(-np.bincount(piece, weights=weight), kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return np.asarray(rank[piece])


@dataclass(frozen=True, eq=False)
class Tree:
    """The cheapest way from a root to each cell.

    Attributes:
        cells: What the tree is made of.
        parent: Next cell on the way to the root; -1 for roots and for cells that no root reaches.
        path_mm: Length of the way from the root; infinite where there is none.
        order: Cells that a root reaches, parents before children.
    """

    cells: Cells
    parent: IntArray = field(repr=False)
    path_mm: FloatArray = field(repr=False)
    order: IntArray = field(repr=False)

    def downstream(self, weight: FloatArray) -> FloatArray:
        """Sum of the weights of each cell and all cells beyond it; weights of shape (n,) or (n, c)."""
        total = np.array(weight, dtype=float)
        parent = self.parent
        for node in self.order[::-1].tolist():
            up = parent[node]
            if up >= 0:
                total[up] += total[node]
        return total

    def way_to(self, cell: int) -> IntArray:
        """Cells from the root to this one."""
        way = [cell]
        while self.parent[way[-1]] >= 0:
            way.append(int(self.parent[way[-1]]))
        return np.array(way[::-1], dtype=np.int64)

    def crossings(self, level_mm: float, *, slab_mm: float) -> list[IntArray]:
        """First cells beyond a path length, those of one vessel together: neighbours within a slab are of one.

        In a wide vessel the cheapest paths may run side by side; they come together here.
        """
        ahead = np.flatnonzero((self.path_mm > level_mm) & (self.path_mm <= level_mm + slab_mm))
        if len(ahead) == 0:
            return []
        part = pieces(self.cells, ahead)
        up = self.parent[ahead]
        first = (up >= 0) & (self.path_mm[np.maximum(up, 0)] <= level_mm)
        return [ahead[first & (part == n)] for n in range(int(part.max()) + 1) if (first & (part == n)).any()]

    def inherited(self, given: dict[int, int]) -> IntArray:
        """A value for each cell: its own where one is given, else its parent's; 0 where nobody has one."""
        values = np.zeros(len(self.cells), dtype=np.int64)
        parent = self.parent
        for node in self.order.tolist():
            up = parent[node]
            values[node] = given[node] if node in given else (values[up] if up >= 0 else 0)
        return values


def grown(cells: Cells, roots: IntArray) -> Tree:
    """The tree of the cheapest paths from any of the roots."""
    a, b = cells.links[:, 0], cells.links[:, 1]
    length = np.linalg.norm(cells.points_lps_mm[a] - cells.points_lps_mm[b], axis=1)
    radius = np.minimum(cells.radius_mm[a], cells.radius_mm[b])
    cost = np.maximum(length, _LEAST_STEP_MM) / np.maximum(radius, _LEAST_RADIUS_MM) ** 2
    graph = csr_array((cost, (a, b)), shape=(len(cells), len(cells)))
    far, before, _ = dijkstra(graph, directed=False, indices=roots, return_predecessors=True, min_only=True)
    parent = np.where(before >= 0, before, NO_PARENT).astype(np.int64)
    reached = np.flatnonzero(np.isfinite(far))
    order = reached[np.argsort(far[reached], kind="stable")]
    path = np.full(len(cells), np.inf)
    step = np.linalg.norm(cells.points_lps_mm - cells.points_lps_mm[np.maximum(parent, 0)], axis=1)
    for node in order.tolist():
        path[node] = 0.0 if parent[node] < 0 else path[parent[node]] + step[node]
    return Tree(cells, parent, path, order)
