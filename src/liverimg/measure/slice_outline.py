"""Sub-pixel outlines of a lesion, slice by slice.

A binary slice leaves its outline open to a good part of a pixel, worst where the outline runs along rows or columns:
there a whole row of pixels is in or out together, and half way between the two is off by up to half a pixel. The
length of that row tells where the outline really is, for a smooth outline leaves the row at a place that depends on
its curvature. So the outline is not smoothed by so many pixels all round, but sought as a curve with two properties:

* it is what local cubics would make of it over ``_STRETCH * sqrt(radius of curvature)`` pixels: within that stretch
  a smooth outline leaves its tangent by about a pixel, so several rows take part, while it still is a parabola
  to one part in the radius. Blunt ends are fitted over few pixels, flat sides over many. The kernels have no second
  moment (the fourth order, in the repeats the sixth), so that an arc does not shrink;
* each pixel centre lies on its own side of it, by at least ``_MARGIN`` of a pixel where the first property allows.

Both are brought about in turn (projections onto convex sets, as in constrained surface nets: Gibson 1998, Whitaker
2000, with a fit that leaves arcs as they are in the place of one that shrinks them).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import find_contours

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.measure.distances import to_other_side_mm

ComplexArray = NDArray[np.complex128]

_STRETCH = 0.9  # standard deviation of a local fit in roots of the radius of curvature, both in pixels
_ARC = 0.3  # and at most this share of the radius: beyond, an arc is no cubic
_WIDTHS = np.concatenate([[0.0, 0.5], 0.7 * 2 ** (np.arange(8) / 2)])  # of the kernels; between two, both are mixed
_LEAST_LOOP = 8.0  # of the kernel's width: a fit may not reach round a whole loop
_MARGIN = 0.1
_TURNS = 8
_PUSH_PIXELS = 2.0  # how far along the outline a pixel on the wrong side takes its neighbourhood along
_FIRST_PIXELS = 0.7  # of the traced outline's smoothing: the least that leaves no steps
_FIRST_KEPT = 0.05  # of the mask's step at the border: keeps single pixels
_NODE_PIXELS = 0.5
_FEWEST_NODES = 16
_SMOOTH_RADIUS = 25.0  # pixels: nodes of larger outlines are set wider, as the root of their radius
_FLATTEST = 1e-3  # 1/pixel
_CURVATURE = 0.6  # width over which curvature is taken, in roots of the loop's mean radius
_BAND_PIXELS = 2.5  # how far from the outline distances are taken to the curve itself
_NEAR_PIXELS = 1.5  # nearer than this, along the normal of the nearest node
_SIDE_KEPT = 0.02  # of a pixel
_BETWEEN = 7  # places between two pixels along each axis where the largest distance is looked for
_APART = 1e4  # pixels between slices in the search tree: no neighbours there


@dataclass(frozen=True, eq=False)
class _Loops:
    """Closed outlines as equally many nodes each, in pixels: ``row + 1j * column``.

    Attributes:
        nodes: Shape (loops, nodes).
        lengths: Of the loops, shape (loops,).
        slices: Which slice each lies in, shape (loops,).
    """

    nodes: ComplexArray
    lengths: FloatArray
    slices: NDArray[np.intp]

    @property
    def step(self) -> FloatArray:
        """Distance between two nodes, shape (loops, 1)."""
        return np.asarray(self.lengths / self.nodes.shape[1])[:, None]

    @property
    def frequency(self) -> FloatArray:
        """Radians per pixel of each Fourier coefficient, shape (loops, nodes)."""
        return np.asarray(2 * np.pi * np.fft.fftfreq(self.nodes.shape[1])[None] / self.step)

    def normals(self) -> ComplexArray:
        """Outward unit normals; loops around holes run the other way, so theirs point into the hole."""
        along = np.roll(self.nodes, -1, axis=1) - np.roll(self.nodes, 1, axis=1)
        largest = self.nodes[int(np.argmax(self.lengths))]
        area = np.sum(largest.real * np.roll(largest.imag, -1) - np.roll(largest.real, -1) * largest.imag)
        return np.asarray(along / np.maximum(np.abs(along), 1e-12) * (-1j * np.sign(area)))

    def tree(self) -> cKDTree:
        """Search tree of the nodes, slices far apart."""
        return cKDTree(_places(self.nodes.ravel(), np.repeat(self.slices, self.nodes.shape[1])))


@dataclass(frozen=True, eq=False)
class _Fits:
    """Which kernels a node is fitted with: ``weights[w]`` of kernel ``w``; in two orders, as Fourier factors."""

    weights: list[FloatArray]
    first: list[FloatArray]
    repeated: list[FloatArray]


def slice_distances(stack: BoolArray, in_plane_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Signed distance to the sub-pixel outline within each slice.

    Args:
        stack: Slices along the first axis, with at least one pixel of background all round.
        in_plane_mm: Spacing of rows and columns.

    Returns:
        Distances in mm, positive inside, in the shape of the stack; zero in slices without any of the mask. And each
        slice's largest distance, which as a rule lies between pixel centres; zero likewise.
    """
    pixel_mm = float(np.sqrt(in_plane_mm.prod()))
    scale = in_plane_mm / pixel_mm
    filled = np.flatnonzero(stack.any(axis=(1, 2)))
    loops = _settled(_traced(stack, filled, scale), stack, filled, scale)
    rough = np.zeros(stack.shape)
    for k in filled.tolist():
        rough[k] = _pixel_distance(stack[k], scale)
    tree = loops.tree()
    near = np.argwhere((np.abs(rough) <= _BAND_PIXELS) & (rough != 0))
    places = near[:, 1] * scale[0] + 1j * near[:, 2] * scale[1]
    away, which = tree.query(_places(places, near[:, 0]), workers=1)
    inside = stack[tuple(near.T)]
    along_normal = -_across(loops, places, which)
    exact = np.where(away < _NEAR_PIXELS, along_normal, np.where(inside, away, -away))
    found = _shifted(rough, near, exact)
    found[tuple(near.T)] = np.where(inside, np.maximum(exact, _SIDE_KEPT), np.minimum(exact, -_SIDE_KEPT))
    deepest = np.zeros(len(stack))
    deepest[filled] = _deepest(found[filled], filled, tree, scale)
    return np.asarray(found * pixel_mm), deepest * pixel_mm


def _deepest(distance: FloatArray, slices: NDArray[np.intp], tree: cKDTree, scale: FloatArray) -> FloatArray:
    """Each slice's largest distance, looked for between the pixels around the largest at a pixel."""
    top = distance.reshape(len(distance), -1).argmax(axis=1)
    rows, columns = np.unravel_index(top, distance.shape[1:])
    offsets = np.linspace(-0.5, 0.5, _BETWEEN)
    at_row = (rows[:, None, None] + offsets[:, None]) * scale[0] + np.zeros(_BETWEEN)
    at_column = (columns[:, None, None] + offsets[None, :]) * scale[1] + np.zeros((_BETWEEN, 1))
    places = np.column_stack([at_row.ravel(), at_column.ravel(), np.repeat(slices, _BETWEEN**2) * _APART])
    away, _ = tree.query(places, workers=1)
    found = away.reshape(len(slices), -1).max(axis=1)
    return np.asarray(np.maximum(found, distance.reshape(len(distance), -1).max(axis=1)))


def _pixel_distance(mask: BoolArray, scale: FloatArray) -> FloatArray:
    return to_other_side_mm(mask, scale).astype(np.float64)


def _shifted(rough: FloatArray, near: NDArray[np.intp], exact: FloatArray) -> FloatArray:
    """Distances between pixel centres less what they are too long by, on average over each side of each slice."""
    found = rough.copy()
    excess = rough[tuple(near.T)] - exact
    for side in (1, -1):
        far = side * rough[tuple(near.T)] > 1
        count = np.bincount(near[far, 0], minlength=len(rough))
        shift = np.bincount(near[far, 0], weights=excess[far], minlength=len(rough)) / np.maximum(count, 1)
        found -= np.where(side * rough > 0, shift[:, None, None], 0.0)
    return found


def _places(nodes: ComplexArray, slices: NDArray[np.intp]) -> FloatArray:
    return np.column_stack([nodes.real, nodes.imag, slices * _APART])


def _across(loops: _Loops, places: ComplexArray, which: NDArray[np.intp]) -> FloatArray:
    """How far places lie outside the outline, along the normal of a node."""
    gap = places - loops.nodes.ravel()[which]
    return np.asarray((gap * np.conj(loops.normals().ravel()[which])).real)


def _traced(stack: BoolArray, filled: NDArray[np.intp], scale: FloatArray) -> _Loops:
    """First outlines, at half height of the slightly smoothed mask.

    A disc's half-height line lies inside it by the smoothing's variance over its diameter; the mask's smoothed image
    less its variance times its Laplacian has no such shift.
    """
    lines: list[ComplexArray] = []
    slices: list[int] = []
    for k in filled.tolist():
        smooth = gaussian_filter(stack[k].astype(float), _FIRST_PIXELS)
        level = smooth - _FIRST_PIXELS**2 * _laplacian(smooth) - 0.5
        kept = np.where(stack[k], np.maximum(level, _FIRST_KEPT), np.minimum(level, -_FIRST_KEPT))
        for line in find_contours(kept, 0.0):  # type: ignore[no-untyped-call]
            if len(line) > 3:
                lines.append(np.asarray(line[:, 0] * scale[0] + 1j * line[:, 1] * scale[1]))
                slices.append(k)
    lengths = np.array([float(np.abs(np.diff(line)).sum()) for line in lines])
    radius = lengths.max() / (2 * np.pi)
    step = _NODE_PIXELS * max(1.0, float(np.sqrt(radius / _SMOOTH_RADIUS)))
    count = max(_FEWEST_NODES, int(np.ceil(lengths.max() / step)))
    nodes = np.stack([_spread(line, count) for line in lines])
    return _Loops(nodes, lengths, np.array(slices))


def _laplacian(plane: FloatArray) -> FloatArray:
    wide = np.pad(plane, 1, mode="edge")
    return np.asarray(wide[2:, 1:-1] + wide[:-2, 1:-1] + wide[1:-1, 2:] + wide[1:-1, :-2] - 4 * plane)


def _spread(line: ComplexArray, count: int) -> ComplexArray:
    """So many nodes at equal distances along a closed line."""
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(line)))])
    at = np.arange(count) * along[-1] / count
    return np.asarray(np.interp(at, along, line.real) + 1j * np.interp(at, along, line.imag))


def _fits(loops: _Loops) -> _Fits:
    """Kernels for each node, from the curvature around it."""
    frequency, radius = loops.frequency, np.maximum(loops.lengths / (2 * np.pi), 1.0)[:, None]
    spread = 0.5 * (np.maximum(1.0, _CURVATURE * np.sqrt(radius)) * frequency) ** 2
    smooth = np.fft.fft(loops.nodes) * np.exp(-spread) * (1 + spread)
    first, second = np.fft.ifft(1j * frequency * smooth), np.fft.ifft(-(frequency**2) * smooth)
    bend = np.abs((np.conj(first) * second).imag) / np.maximum(np.abs(first) ** 3, 1e-9)
    bend = np.maximum(np.fft.ifft(np.fft.fft(bend) * np.exp(-spread)).real, _FLATTEST)
    wanted = np.minimum(_STRETCH / np.sqrt(bend), _ARC / bend)
    wanted = np.minimum(wanted, np.minimum(_WIDTHS[-1], loops.lengths / _LEAST_LOOP)[:, None])
    level = np.interp(wanted, _WIDTHS, np.arange(len(_WIDTHS)))
    fits = _Fits([], [], [])
    for number, width in enumerate(_WIDTHS):
        weight = np.clip(1 - np.abs(level - number), 0, 1)
        if weight.any():
            half = 0.5 * (width * frequency) ** 2
            fits.weights.append(weight)
            fits.first.append(np.exp(-half) * (1 + half))
            fits.repeated.append(np.exp(-half) * (1 + half + half**2 / 2))
    return fits


def _fitted(nodes: ComplexArray, weights: list[FloatArray], kernels: list[FloatArray]) -> ComplexArray:
    transform = np.fft.fft(nodes)
    found = np.zeros_like(nodes)
    for weight, kernel in zip(weights, kernels, strict=True):
        found += weight * np.fft.ifft(transform * kernel)
    return found


def _settled(loops: _Loops, stack: BoolArray, filled: NDArray[np.intp], scale: FloatArray) -> _Loops:
    """Smooth outlines that leave the pixel centres on their sides."""
    fits = _fits(loops)
    loops = replace(loops, nodes=_fitted(loops.nodes, fits.weights, fits.first))
    around = np.zeros_like(stack)
    for k in filled.tolist():
        around[k] = binary_dilation(stack[k]) & ~binary_erosion(stack[k])
    border = np.argwhere(around)
    inside = stack[around]
    places = border[:, 1] * scale[0] + 1j * border[:, 2] * scale[1]
    _, which = loops.tree().query(_places(places, border[:, 0]), workers=1)
    count = loops.nodes.shape[1]
    from_node = loops.step * ((np.arange(count) + count // 2) % count - count // 2)
    bump = np.fft.fft(np.exp(-0.5 * (from_node / _PUSH_PIXELS) ** 2))
    for turn in range(_TURNS):
        outside = _across(loops, places, which)
        wrong = np.where(inside, np.maximum(outside + _MARGIN, 0), np.minimum(outside - _MARGIN, 0))
        if not wrong.any():
            break
        loops = replace(loops, nodes=loops.nodes + _push(wrong, which, bump) * loops.normals())
        if turn < _TURNS - 1:
            loops = replace(loops, nodes=_fitted(loops.nodes, fits.weights, fits.repeated))
    return loops


def _push(wrong: FloatArray, which: NDArray[np.intp], bump: ComplexArray) -> FloatArray:
    """How far each node moves outward: as far as the pixels near it want, the farthest one at a node deciding."""
    wants = np.zeros(bump.shape)
    chosen = np.flatnonzero(wrong)
    chosen = chosen[np.argsort(np.abs(wrong[chosen]), kind="stable")]
    wants.ravel()[which[chosen]] = wrong[chosen]
    total = np.fft.ifft(np.fft.fft(wants) * bump).real
    share = np.fft.ifft(np.fft.fft((wants != 0).astype(float)) * bump).real
    return np.asarray(total / np.maximum(share, 1.0))
