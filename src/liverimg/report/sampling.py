"""Values of a volume at places that lie on no lattice of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.grid import FloatArray, Grid
from liverimg.report.splines import CUBIC, cubic_picture, taps
from liverimg.report.window_view import Camera

_FINE_ENOUGH = 0.5  # of a voxel, from one place of a picture's plane to the next
_WORTH_IT = 1.3
_AROUND = 4
_STILL = 1e-6  # of a voxel: what moves by less over a whole picture does not move


@dataclass(frozen=True, eq=False)
class Lattice:
    """Places in rows and columns on a plane through a volume, by the volume's fractional voxel indices.

    Attributes:
        first_kji: The upper left place.
        down_kji: From one row to the next.
        right_kji: From one column to the next.
        shape: Rows and columns.
    """

    first_kji: FloatArray
    down_kji: FloatArray
    right_kji: FloatArray
    shape: tuple[int, int]

    @classmethod
    def of(cls, camera: Camera, grid: Grid, *, pixel_mm: float) -> Lattice:
        """The middles of a picture's pixels, on the plane nearest to the eye."""
        rows, columns = (max(round(size / pixel_mm), 2) for size in (camera.height_mm, camera.width_mm))
        inverse = np.linalg.inv(grid.affine[:3, :3])
        first = camera.corner_lps_mm + pixel_mm / 2 * (camera.right + camera.down)
        down, right = (inverse @ (pixel_mm * way) for way in (camera.down, camera.right))
        return cls(grid.lps_mm_to_index(first), down, right, (rows, columns))

    def indices(self) -> FloatArray:
        """All places, shape (3, rows, columns)."""
        rows, columns = self.shape
        along = self.down_kji[:, None] * np.arange(rows) + self.first_kji[:, None]
        return np.asarray(along[:, :, None] + (self.right_kji[:, None] * np.arange(columns))[:, None, :])

    def corners(self) -> FloatArray:
        """The four outermost places, shape (4, 3)."""
        rows, columns = self.shape
        ends = [(r, c) for r in (0, rows - 1) for c in (0, columns - 1)]
        return np.array([self.first_kji + r * self.down_kji + c * self.right_kji for r, c in ends])

    def coarser(self, factors: FloatArray, around: int) -> Lattice:
        """The same area with places so many times farther apart, and some more places all around."""
        ways = [self.down_kji * factors[0], self.right_kji * factors[1]]
        first = self.first_kji - 0.5 * (self.down_kji + self.right_kji) + (0.5 - around) * (ways[0] + ways[1])
        rows, columns = (int(np.ceil(n / f)) + 2 * around for n, f in zip(self.shape, factors, strict=True))
        return Lattice(first, ways[0], ways[1], (rows, columns))

    def part(self, start: tuple[int, int], stop: tuple[int, int]) -> Lattice:
        """Rows and columns from ``start`` up to, not including, ``stop``."""
        first = self.first_kji + start[0] * self.down_kji + start[1] * self.right_kji
        return replace(self, first_kji=first, shape=(stop[0] - start[0], stop[1] - start[1]))

    def where(self, shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """First row and column, and those beyond the last, between which places may lie inside a block of voxels.

        The plane cuts the block in a polygon; its corners lie on edges of the block.
        """
        turn = np.stack([self.down_kji, self.right_kji, np.cross(self.down_kji, self.right_kji)], axis=1)
        ends = np.array(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij")).reshape(3, 8).T
        placed = np.linalg.solve(turn, (ends - self.first_kji).T).T
        a, b = placed[_EDGES[:, 0]], placed[_EDGES[:, 1]]
        crossed = (a[:, 2] <= 0) != (b[:, 2] <= 0)
        if not crossed.any():
            return None
        a, b = a[crossed], b[crossed]
        met = (a + (a[:, 2] / (a[:, 2] - b[:, 2]))[:, None] * (b - a))[:, :2]
        low, high = np.floor(met.min(axis=0)).astype(int), np.ceil(met.max(axis=0)).astype(int) + 1
        return (int(low[0]), int(low[1])), (int(high[0]), int(high[1]))


# Corners of a block in the order of ``meshgrid``: those that differ in one place are joined by an edge.
_EDGES = np.array([(a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit])


def sampled_on(array: NDArray[Any], lattice: Lattice, *, order: int, outside: float) -> NDArray[np.float32]:
    """Values of a volume on a plane, shape (rows, columns); :func:`sampled` for places in rows and columns.

    Where rows and columns run along the volume's axes, its slices are interpolated along one axis after the other,
    which gives the same values for a fraction of the work.

    Args:
        array: In array order (k, j, i).
        lattice: Where.
        order: Of the spline: 1 linear, 3 cubic.
        outside: What places beyond the volume have.
    """
    part, low = _around(array, lattice.corners().T, order)
    own = replace(lattice, first_kji=lattice.first_kji - low)
    axes = _axes(own)
    if part.dtype == bool:
        part = part.view(np.uint8)
    if axes is None:
        bent = ndimage.spline_filter(part, order, output=np.float32) if order == CUBIC else part
        return _mapped(bent, own.indices(), order=order, outside=outside)
    row, column = axes
    still = 3 - row - column
    rows, columns = (np.arange(n) for n in own.shape)
    places = {
        row: own.first_kji[row] + rows * own.down_kji[row],
        column: own.first_kji[column] + columns * own.right_kji[column],
        still: own.first_kji[still : still + 1],
    }
    inside = {axis: (x >= 0) & (x <= part.shape[axis] - 1) for axis, x in places.items()}
    if not inside[still][0]:
        return np.full(own.shape, outside, dtype=np.float32)
    weights = {axis: taps(x, part.shape[axis], order=order) for axis, x in places.items()}
    slabs = np.transpose(part, (still, row, column))
    if order == CUBIC:
        slabs = ndimage.spline_filter1d(slabs, order, axis=0, output=np.float32)
    slab = np.tensordot(weights[still].data, slabs[weights[still].indices].astype(np.float32), axes=1)
    if order == CUBIC:  # of one slice in place of all
        slab = ndimage.spline_filter(slab, order, output=np.float32)
    values = (weights[column] @ (weights[row] @ slab).T).T
    return np.where(inside[row][:, None] & inside[column], values, np.float32(outside))


def pictured(array: NDArray[Any], lattice: Lattice, *, outside: float) -> NDArray[np.float32]:
    """:func:`sampled_on` by cubic splines, for a picture of pixels finer than voxels.

    On an oblique plane that does not leave the volume, places half a voxel apart are sampled and a cubic spline is laid
    through them. What lies between differs from the volume's own spline by far less than a voxel from its neighbour:
    on CT by a grey level of 256 at most.

    Args:
        array: In array order (k, j, i).
        lattice: Where.
        outside: What places beyond the volume have.
    """
    steps = np.linalg.norm([lattice.down_kji, lattice.right_kji], axis=1)
    factors = np.maximum(_FINE_ENOUGH / steps, 1.0)
    coarse = lattice.coarser(factors, _AROUND)
    within = (coarse.corners() >= 0).all() and (coarse.corners() <= np.array(array.shape) - 1).all()
    if _axes(lattice) is not None or factors.max() < _WORTH_IT or not within:
        return sampled_on(array, lattice, order=CUBIC, outside=outside)
    values = sampled_on(array, coarse, order=CUBIC, outside=outside)
    rows, columns = (
        _AROUND + (np.arange(count) + 0.5) / factor - 0.5 for count, factor in zip(lattice.shape, factors, strict=True)
    )
    return cubic_picture(values, rows, columns)


def sampled(array: NDArray[Any], index: FloatArray, *, order: int, outside: float) -> NDArray[Any]:
    """Values of a volume at places given by index; only the part around them is touched.

    Args:
        array: In array order (k, j, i).
        index: Fractional voxel indices, shape (3, ...).
        order: Of the spline: 0 nearest, 1 linear, 3 cubic.
        outside: What places beyond the volume have.

    Returns:
        Shape of ``index`` without its first axis; single precision, or the array's own kind for nearest values.
    """
    part, low = _around(array, index.reshape(3, -1), order)
    inner = index - low.reshape(3, *([1] * (index.ndim - 1)))
    if part.dtype == bool:
        part = part.view(np.uint8)
    if order == CUBIC:
        part = ndimage.spline_filter(part, order, output=np.float32)
    return _mapped(part, inner, order=order, outside=outside)


def _around(array: NDArray[Any], places: FloatArray, order: int) -> tuple[NDArray[Any], NDArray[np.int_]]:
    """The block of a volume that values at places depend on, and the index of its first voxel."""
    shape = np.array(array.shape)
    reach = 1 if order < CUBIC else 6  # a cubic spline's coefficients fade within some voxels
    low = np.clip(np.floor(places.min(axis=1)).astype(int) - reach, 0, shape - 1)
    high = np.clip(np.ceil(places.max(axis=1)).astype(int) + 1 + reach, low + 1, shape)
    return array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], low


def _mapped(part: NDArray[Any], inner: FloatArray, *, order: int, outside: float) -> NDArray[Any]:
    kind = np.float32 if order else part.dtype
    found = ndimage.map_coordinates(
        part, inner, order=order, output=kind, mode="constant", cval=outside, prefilter=False
    )
    return np.asarray(found)


def _axes(lattice: Lattice) -> tuple[int, int] | None:
    """Which axis of the volume runs along the rows' order and which along the columns'; None for oblique planes."""
    rows, columns = lattice.shape
    down = np.flatnonzero(np.abs(lattice.down_kji) * rows > _STILL)
    right = np.flatnonzero(np.abs(lattice.right_kji) * columns > _STILL)
    if len(down) != 1 or len(right) != 1 or down[0] == right[0]:
        return None
    return int(down[0]), int(right[0])
