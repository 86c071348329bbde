"""Shaded still pictures of the 3-D view, for print and for browsers without WebGL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.labels import Structure
from liverimg.report.splines import cubic_picture, linear_picture
from liverimg.report.surface3d import Block

# For each look: which standard array axis runs into the picture and whether from its far end, then the axes
# that run down and across and whether each is flipped. Standard axes: 0 Superior, 1 Posterior, 2 Left.
_LOOKS = {
    "front": ((1, False), (0, True), (2, False)),
    "right": ((2, False), (0, True), (1, True)),
    "below": ((0, False), (1, False), (2, False)),
}
LOOKS = tuple(_LOOKS)
_ROOM_PIXELS = 8


def projection(
    made: list[tuple[Structure, str, Block, Mapping[str, Any]]],
    colours: Mapping[Structure, str],
    *,
    look: str,
    pixels: int = 420,
) -> NDArray[np.uint8] | None:
    """Looks at the blocks along a standard axis without perspective.

    Solid structures hide what lies behind them; see-through ones (opacity below 1) are laid over.

    Args:
        made: Blocks from :func:`liverimg.report.surface3d.blocks`; those switched off at first are left out.
        colours: ``#rrggbb`` of each structure.
        look: ``front``, ``right`` or ``below``.
        pixels: Longer side of the picture.

    Returns:
        RGBA on a transparent ground, shape (rows, columns, 4), or None when there is nothing to show.
    """
    chosen = [m for m in made if m[3].get("still", m[3].get("shown", True))]
    if not chosen:
        return None
    frame = _frame(chosen, look, pixels)
    layers = [_layer(block, settings, look, frame) for _, _, block, settings in chosen]
    shades = [_rgb(colours.get(structure, "#9aa4ae")) for structure, _, _, _ in chosen]
    solid = [n for n, m in enumerate(chosen) if m[3]["opacity"] >= 1]
    rows, columns = frame[2]
    picture, alpha = np.zeros((rows, columns, 3)), np.zeros((rows, columns))
    depth = np.full((rows, columns), np.inf)
    for n in solid:
        part, cover, far, shade = layers[n]
        cover = np.where(far < depth[part], cover, 0.0)
        _lay(picture[part], alpha[part], shades[n] * shade[..., None], cover)
        depth[part] = np.where(cover > 0.5, far, depth[part])
    for n in (n for n in range(len(chosen)) if n not in solid):
        part, cover, far, shade = layers[n]
        # Behind a solid surface nothing shines through; in front of it the veil is laid over.
        veil = cover * np.where(far < depth[part], chosen[n][3]["still_opacity"], 0.0)
        _lay(picture[part], alpha[part], shades[n] * shade[..., None], veil)
    colour = picture / np.maximum(alpha, 1e-6)[..., None]
    rgba = np.concatenate([colour, alpha[..., None]], axis=-1)
    return np.asarray(np.clip(rgba * 255 + 0.5, 0, 255)).astype(np.uint8)


Frame = tuple[float, NDArray[np.float64], tuple[int, int]]


def _rgb(colour: str) -> NDArray[np.float64]:
    return np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255


def _lay(
    picture: NDArray[np.float64], alpha: NDArray[np.float64], colour: NDArray[np.float64], cover: NDArray[np.float64]
) -> None:
    # Porter-Duff "over" with premultiplied colour.
    picture *= (1 - cover)[..., None]
    picture += colour * cover[..., None]
    alpha *= 1 - cover
    alpha += cover


def _edges(block: Block, reference: Block) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # Corners of the block in mm along the (shared) grid directions, measured from the reference's first voxel.
    start = (block.grid.origin_lps_mm - reference.grid.origin_lps_mm) @ np.linalg.inv(block.grid.directions)
    return start, start + (np.array(block.grid.shape) - 1) * block.grid.spacing_mm


def _frame(chosen: list[tuple[Structure, str, Block, Mapping[str, Any]]], look: str, pixels: int) -> Any:
    reference = chosen[0][2]
    corners = [_edges(m[2], reference) for m in chosen]
    lower = np.min([c[0] for c in corners], axis=0)
    upper = np.max([c[1] for c in corners], axis=0)
    _, (down, _), (across, _) = _LOOKS[look]
    size = upper - lower
    mm_per_pixel = float(max(size[down], size[across])) / pixels
    shape = (max(int(size[down] / mm_per_pixel), 1), max(int(size[across] / mm_per_pixel), 1))
    return mm_per_pixel, lower, shape, upper, reference


Part = tuple[slice, slice]


def _layer(
    block: Block, settings: Mapping[str, Any], look: str, frame: Any
) -> tuple[Part, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The part of the picture that one block reaches, and its cover (0 to 1), depth in mm and brightness there."""
    mm_per_pixel, lower, (rows, columns), upper, reference = frame
    (into, far_first), (down, down_flip), (across, across_flip) = _LOOKS[look]
    filled = np.transpose(block.filled, (into, down, across))
    if far_first:
        filled = filled[::-1]
    start, _ = _edges(block, reference)
    spacing = block.grid.spacing_mm
    cover, depth = _first_hit(filled, float(settings["level"]))
    depth = depth * spacing[into] + start[into]

    def place(axis: int, flip: bool, count: int) -> NDArray[np.float64]:
        along = (np.arange(count) + 0.5) * mm_per_pixel
        mm = upper[axis] - along if flip else lower[axis] + along
        return np.asarray((mm - start[axis]) / spacing[axis])

    y, x = place(down, down_flip, rows), place(across, across_flip, columns)
    part = (_reached(y, cover.shape[0]), _reached(x, cover.shape[1]))
    strength = linear_picture(cover, y[part[0]], x[part[1]])
    hits = _filled_in(depth, cover > float(settings["level"]))
    smooth = cubic_picture(hits, y[part[0]], x[part[1]]).astype(float)
    slope = np.gradient(ndimage.gaussian_filter(smooth, 1.2), mm_per_pixel)
    facing = np.stack([slope[0], slope[1], np.full_like(smooth, -1.0)])
    facing /= np.linalg.norm(facing, axis=0)
    light = np.array([-0.45, -0.35, -0.82])
    shade = 0.42 + 0.62 * np.clip(np.tensordot(light, facing, axes=1), 0, 1)
    edge = np.clip((strength - settings["level"]) / 0.12 + 0.5, 0, 1)
    return part, np.asarray(edge, dtype=float), smooth, np.asarray(shade, dtype=float)


def _reached(places: NDArray[np.float64], count: int) -> slice:
    """The pixels whose places lie on a block, and as many around them as the smoothing of its depth looks at."""
    on = np.flatnonzero((places >= 0) & (places <= count - 1))
    if not on.size:
        return slice(0, 2)
    return slice(max(int(on[0]) - _ROOM_PIXELS, 0), int(on[-1]) + 1 + _ROOM_PIXELS)


def _first_hit(filled: NDArray[np.float32], level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest filling along each ray, and the depth (in voxels) where the ray first crosses the level."""
    inside = filled > level
    first = inside.argmax(axis=0)
    before = np.maximum(first - 1, 0)
    at = np.take_along_axis(filled, first[None], axis=0)[0].astype(float)
    ahead = np.take_along_axis(filled, before[None], axis=0)[0].astype(float)
    rise = np.where(at > ahead, at - ahead, 1.0)
    part = np.clip((at - level) / rise, 0, 1)
    return filled.max(axis=0).astype(float), first - np.where(first > 0, part, 0.0)


def _filled_in(depth: NDArray[np.float64], hit: NDArray[np.bool_]) -> NDArray[np.float64]:
    # Rays that miss take the depth of the nearest ray that hits, so that shading does not fray at the rim.
    if hit.all() or not hit.any():
        return depth
    rows, columns = ndimage.distance_transform_edt(~hit, return_distances=False, return_indices=True)
    return np.asarray(depth[rows, columns])
