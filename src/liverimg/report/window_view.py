"""The body seen from one side, as if skin were frosted glass: ribs, liver and tumour shine through it.

An orthographic camera with rays through coarse blocks. Nothing is measured on these pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.report.splines import linear_lines
from liverimg.report.surface3d import Block

FloatArray = NDArray[np.float64]

_DEPTH_STEP_MM = 2.0
_LIGHT = np.array([-0.35, -0.5, -0.79])  # across, down, into the picture
_AMBIENT, _DIFFUSE = 0.5, 0.55
_EDGE_SOFTNESS = 0.12
_ROOM_PIXELS = 6
_STILL = 1e-6  # of a voxel: what moves by less over a whole picture does not move


@dataclass(frozen=True, eq=False)
class Camera:
    """Where a picture looks from.

    Attributes:
        right: Unit vector to the right of the picture, LPS.
        down: Unit vector down the picture, LPS.
        corner_lps_mm: The picture's upper left corner, in the plane nearest to the eye.
        width_mm: Size of what is shown.
        height_mm: Size of what is shown.
        depth_mm: How far the picture looks.
    """

    right: FloatArray
    down: FloatArray
    corner_lps_mm: FloatArray = field(repr=False)
    width_mm: float
    height_mm: float
    depth_mm: float

    @classmethod
    def around(cls, points_lps_mm: FloatArray, *, right: Sequence[float], down: Sequence[float]) -> Camera:
        """A camera that sees all of the points."""
        across, fall = np.asarray(right, dtype=float), np.asarray(down, dtype=float)
        axes = np.stack([across, fall, np.cross(across, fall)])
        seen = axes @ points_lps_mm.T
        low, high = seen.min(axis=1), seen.max(axis=1)
        size = high - low
        return cls(across, fall, low @ axes, float(size[0]), float(size[1]), float(size[2]))

    @property
    def into(self) -> FloatArray:
        """Unit vector into the picture."""
        return np.asarray(np.cross(self.right, self.down))

    def place(self, points_lps_mm: FloatArray) -> FloatArray:
        """x, y in mm from the upper left corner and depth in mm of points, shape (..., 3)."""
        axes = np.stack([self.right, self.down, self.into])
        return np.asarray((np.asarray(points_lps_mm) - self.corner_lps_mm) @ axes.T)

    def lps_mm(self, depth_mm: FloatArray, mm_per_pixel: float) -> FloatArray:
        """Where the pixels of a depth picture lie, shape (rows, columns, 3)."""
        rows, columns = depth_mm.shape
        y, x = np.meshgrid(
            (np.arange(rows) + 0.5) * mm_per_pixel, (np.arange(columns) + 0.5) * mm_per_pixel, indexing="ij"
        )
        return np.asarray(
            self.corner_lps_mm + x[..., None] * self.right + y[..., None] * self.down + depth_mm[..., None] * self.into
        )


@dataclass(frozen=True, eq=False)
class Layer:
    """What one block looks like: how much of each pixel it covers, how deep it lies, how bright it is."""

    cover: FloatArray
    depth_mm: FloatArray
    shade: FloatArray


def seen(block: Block, camera: Camera, *, level: float, mm_per_pixel: float, enlarged: int) -> Layer:
    """Looks at a block.

    Args:
        block: How much of each coarse voxel is filled.
        camera: From where.
        level: Filled share at which its surface runs.
        mm_per_pixel: Size of the pixels that rays are sent through.
        enlarged: How many pixels of the picture stand for one of these, along each side.
    """
    rows = max(2, round(camera.height_mm / mm_per_pixel))
    columns = max(2, round(camera.width_mm / mm_per_pixel))
    steps = max(2, round(camera.depth_mm / _DEPTH_STEP_MM))
    # Output axes: into, down, right.
    axes = np.stack([camera.into * _DEPTH_STEP_MM, camera.down * mm_per_pixel, camera.right * mm_per_pixel], axis=1)
    first = camera.corner_lps_mm + axes.sum(axis=1) / 2
    turn = np.linalg.inv(block.grid.affine[:3, :3]) @ axes
    start = block.grid.lps_mm_to_index(first)
    whole = Layer(*(np.full((rows * enlarged, columns * enlarged), value) for value in (0.0, 0.0, 1.0)))
    part = _reached(block.filled.shape, turn, start, (steps, rows, columns))
    if part is None:
        return whole
    low, high = part
    turned = turned_block(block.filled, turn, start + turn @ low, high - low)
    cover = turned.max(axis=0).astype(float)
    depth = (low[0] + _first(turned, level) + 0.5) * _DEPTH_STEP_MM
    depth = _filled_in(depth, cover > level)
    cover, depth = (ndimage.zoom(a, enlarged, order=1, grid_mode=True, mode="nearest") for a in (cover, depth))
    depth = ndimage.gaussian_filter(depth, 0.6 * enlarged)
    slope = np.gradient(depth, mm_per_pixel / enlarged)
    normal = np.stack([slope[1], slope[0], np.full_like(depth, -1.0)])
    normal /= np.linalg.norm(normal, axis=0)
    shade = _AMBIENT + _DIFFUSE * np.clip(np.tensordot(_LIGHT, normal, axes=1), 0, 1)
    box = tuple(slice(int(a) * enlarged, int(b) * enlarged) for a, b in zip(low[1:], high[1:], strict=True))
    whole.cover[box] = np.clip((cover - level) / _EDGE_SOFTNESS + 0.5, 0, 1)
    whole.depth_mm[box], whole.shade[box] = depth, shade
    return whole


def _reached(
    shape: tuple[int, ...], turn: FloatArray, start: FloatArray, size: tuple[int, int, int]
) -> tuple[NDArray[np.int_], NDArray[np.int_]] | None:
    """First steps, rows and columns of a picture that a block reaches, and those beyond the last; None for none."""
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij")).reshape(3, 8)
    met = np.linalg.solve(turn, ends - start[:, None])
    room = np.array([1, _ROOM_PIXELS, _ROOM_PIXELS])  # a step in front of it, and what the smoothing of depth looks at
    low = np.clip(np.floor(met.min(axis=1)).astype(int) - room, 0, size)
    high = np.clip(np.ceil(met.max(axis=1)).astype(int) + 1 + room, 0, size)
    return (low, high) if (high > low).all() else None


def turned_block(
    filled: NDArray[np.float32], turn: FloatArray, start: FloatArray, size: NDArray[np.int_]
) -> NDArray[np.float32]:
    """A block on other axes by linear interpolation; nothing beyond it.

    Where the new axes are the old ones in another order, one is interpolated after the other.

    Args:
        filled: The block.
        turn: Steps along the new axes, in voxels: one column each.
        start: Fractional index of the first new voxel.
        size: Of the new block.
    """
    moved = np.abs(turn) * size > _STILL
    if not (moved.sum(axis=0) == 1).all() or not (moved.sum(axis=1) == 1).all():
        return np.asarray(
            ndimage.affine_transform(filled, turn, offset=start, output_shape=tuple(int(n) for n in size), order=1)
        )
    old = moved.argmax(axis=0)  # of each new axis
    found = np.transpose(filled, old)
    for new in range(3):
        places = start[old[new]] + np.arange(size[new]) * turn[old[new], new]
        found = np.moveaxis(linear_lines(np.moveaxis(found, new, 0), places), 0, new)
    return np.asarray(found)


def _first(turned: NDArray[np.float32], level: float) -> FloatArray:
    """The step, with its part, at which each ray first meets the level."""
    inside = turned > level
    first = inside.argmax(axis=0)
    before = np.maximum(first - 1, 0)
    at = np.take_along_axis(turned, first[None], axis=0)[0].astype(float)
    ahead = np.take_along_axis(turned, before[None], axis=0)[0].astype(float)
    rise = np.where(at > ahead, at - ahead, 1.0)
    return np.asarray(first - np.where(first > 0, np.clip((at - level) / rise, 0, 1), 0.0))


def _filled_in(depth: FloatArray, hit: NDArray[np.bool_]) -> FloatArray:
    if hit.all() or not hit.any():
        return depth
    rows, columns = ndimage.distance_transform_edt(~hit, return_distances=False, return_indices=True)
    return np.asarray(depth[rows, columns])


class Canvas:
    """A picture that layers are laid on, the farthest first; premultiplied colour."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._colour = np.zeros((*shape, 3))
        self._alpha = np.zeros(shape)

    def lay(self, colour: FloatArray, shade: FloatArray, cover: FloatArray) -> None:
        """Lays a shaded colour over what is there, as far as it covers."""
        veil = cover[..., None]
        self._colour = np.clip(colour * shade[..., None], 0, 1) * veil + self._colour * (1 - veil)
        self._alpha = cover + self._alpha * (1 - cover)

    def rgba(self) -> NDArray[np.uint8]:
        """The picture on a transparent ground."""
        colour = self._colour / np.maximum(self._alpha, 1e-6)[..., None]
        picture = np.concatenate([colour, self._alpha[..., None]], axis=-1)
        return np.asarray(np.clip(picture * 255 + 0.5, 0, 255)).astype(np.uint8)
