"""Pieces of a liver looked for in a later examination, each by itself, by the edges in and around it.

Edges are compared by the squared cosine between normalised gradients, as in
:mod:`liverimg.registration.translation`; here the later image has been laid onto the earlier one once, so that the
gradients of both are worked out once for all pieces. How wide the peak of the agreement is along each direction says
how well a piece is placed: along a straight vessel hardly, across it well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.core.rows import filled

Image = NDArray[np.float32]
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@dataclass(frozen=True)
class PieceRules:
    """A part of ``registration.toml``; its entries say what each is and where it comes from."""

    radius_mm: float
    step_mm: float
    most_mm: float
    edge_share: float
    least_filled: float
    least_agreement: float
    doubtful_share: float

    @classmethod
    def from_table(cls, rows: Mapping[str, Any]) -> PieceRules:
        """Reads one part of the table, such as ``coarse_pieces``."""
        return filled(cls, rows, "registration pieces")


@dataclass(frozen=True, eq=False)
class FoundPieces:
    """Pieces that were found.

    Attributes:
        places_lps_mm: Middles of their edges in the earlier examination, shape (n, 3): a piece with a vessel at one
            side tells how the vessel moved, not how its middle did.
        shifts_mm: Where they lie in the laid-on later image, less where they lie in the earlier, shape (n, 3).
        spread_mm2: How far other shifts agree nearly as well: second moments, shape (n, 3, 3).
        agreement: 0 to 1, shape (n,).
        tried: How many were looked for.
    """

    places_lps_mm: FloatArray = field(repr=False)
    shifts_mm: FloatArray = field(repr=False)
    spread_mm2: FloatArray = field(repr=False)
    agreement: FloatArray = field(repr=False)
    tried: int


@dataclass(frozen=True, eq=False)
class _Edges:
    """Outer products of normalised gradients, six channels, and their squared length."""

    products: Image
    energy: Image

    def around(self, centre: NDArray[np.int_], reach: int) -> _Edges:
        """Those in a cube of so many voxels around a middle; none beyond the image."""
        return _Edges(_around(self.products, centre, reach), _around(self.energy, centre, reach))


def _around(array: NDArray[Any], centre: NDArray[np.int_], reach: int) -> NDArray[Any]:
    """A cube of the last three axes, with zeros where it leaves the array."""
    low, high = centre - reach, centre + reach + 1
    size = np.array(array.shape[-3:])
    k, j, i = (slice(max(int(a), 0), int(b)) for a, b in zip(low, high, strict=True))
    part = array[..., k, j, i]
    beyond = [(max(-int(a), 0), max(int(b - n), 0)) for a, b, n in zip(low, high, size, strict=True)]
    return np.pad(part, [(0, 0)] * (array.ndim - 3) + beyond) if np.any(beyond) else part


def find_pieces(
    earlier: Image, later: Image, grid: Grid, *, region: BoolArray, rules: PieceRules, places: FloatArray | None = None
) -> FoundPieces:
    """Looks for every piece on a lattice over a region.

    Args:
        earlier: Image on cubes; NaN where it does not reach.
        later: The later image laid onto the same cubes by what is known of the motion so far; NaN likewise.
        grid: Of both, along the patient's axes.
        region: Voxels of the earlier image whose look may be compared.
        rules: Sizes and limits.
        places: Middles to look at instead of a lattice, shape (n, 3).
    """
    spacing = float(grid.spacing_mm[0])
    radius, most = round(rules.radius_mm / spacing), round(rules.most_mm / spacing)
    half = radius + most
    ball = _ball(radius)
    one, other = _edges(earlier, grid, region, rules), _edges(later, grid, region & np.isfinite(later), rules)
    centres = _lattice(region, rules.step_mm / spacing) if places is None else _nearest(grid, places)
    index, shifts, spreads, agreements = [], [], [], []
    for centre in centres:
        window = _around(region, centre, radius) * ball
        if window.sum() < rules.least_filled * ball.sum():
            continue
        own = one.around(centre, radius)
        share = _agreement(own, other.around(centre, half), window)
        found = _peak(share, most, rules)
        if found is not None:
            index.append(centre + _middle_of(window * own.energy) - radius)
            shifts.append(found[0])
            spreads.append(found[1])
            agreements.append(found[2])
    count = len(index)
    to_lps = grid.affine[:3, :3]
    return FoundPieces(
        grid.index_to_lps_mm(np.array(index).reshape(count, 3)),
        np.array(shifts).reshape(count, 3) @ to_lps.T,
        to_lps @ np.array(spreads).reshape(count, 3, 3) @ to_lps.T,
        np.array(agreements),
        len(centres),
    )


def _nearest(grid: Grid, places: FloatArray) -> NDArray[np.int_]:
    index = np.rint(grid.lps_mm_to_index(places)).astype(int)
    return np.asarray(np.clip(index, 0, np.array(grid.shape) - 1))


def _lattice(region: BoolArray, step: float) -> NDArray[np.int_]:
    """Middles in the region, every second plane moved by half a step."""
    first = np.arange(step / 2, max(region.shape), step)
    points = []
    for n, k in enumerate(first):
        offset = (n % 2) * step / 2
        j, i = np.meshgrid(first + offset, first + offset, indexing="ij")
        points.append(np.stack([np.full(j.size, k), j.ravel(), i.ravel()], axis=1))
    index = np.rint(np.concatenate(points)).astype(int)
    index = index[(index < np.array(region.shape)).all(axis=1)]
    return np.asarray(index[region[tuple(index.T)]])


def _edges(image: Image, grid: Grid, region: BoolArray, rules: PieceRules) -> _Edges:
    gradient = np.array([np.gradient(image, float(s), axis=axis) for axis, s in enumerate(grid.spacing_mm)])
    gradient[:, ~np.isfinite(gradient).all(axis=0)] = 0
    length2 = np.einsum("akji,akji->kji", gradient, gradient)
    usual = float(np.median(length2[region])) * rules.edge_share**2 if region.any() else 0.0
    gradient /= np.sqrt(length2 + np.float32(max(usual, 1e-6)))
    products = np.empty((len(_PAIRS), *image.shape), dtype=np.float32)
    for n, (a, b) in enumerate(_PAIRS):
        np.multiply(gradient[a], gradient[b], out=products[n])
        if a != b:
            products[n] *= np.float32(np.sqrt(2))
    energy = np.square(length2 / (length2 + np.float32(max(usual, 1e-6))))
    return _Edges(products, energy.astype(np.float32))


def _ball(radius: int) -> Image:
    steps = np.arange(-radius, radius + 1)
    away2 = sum(np.square(s) for s in np.ix_(steps, steps, steps))
    return np.asarray(away2 <= (radius + 0.5) ** 2, dtype=np.float32)


def _agreement(one: _Edges, other: _Edges, window: Image) -> Image:
    """Normalised correlation of the products for every shift, shape (2 * most + 1,) * 3."""
    shape = other.energy.shape
    size = [fft.next_fast_len(n, real=True) for n in shape]
    masked = fft.rfftn(np.concatenate([window * one.products, window[None]]), size, axes=(1, 2, 3))
    np.conj(masked, out=masked)
    there = fft.rfftn(np.concatenate([other.products, other.energy[None]]), size, axes=(1, 2, 3))
    total = np.einsum("ckji,ckji->kji", masked[:-1], there[:-1])
    both = fft.irfftn(np.stack([total, masked[-1] * there[-1]]), size, axes=(1, 2, 3))
    keep = tuple(slice(0, n - w + 1) for n, w in zip(shape, window.shape, strict=True))
    found, energy = both[(0, *keep)], both[(1, *keep)]
    here = float((window * one.energy).sum())
    return np.asarray(found / np.sqrt(max(here, 1e-9) * np.maximum(energy, 1e-2 * max(here, 1e-9))))


def _middle_of(weight: Image) -> FloatArray:
    """Centre of mass, in voxels."""
    sums = [weight.sum(axis=tuple(b for b in range(3) if b != a), dtype=float) for a in range(3)]
    return np.array([float((s * np.arange(len(s))).sum() / max(s.sum(), 1e-9)) for s in sums])


def _peak(share: Image, most: int, rules: PieceRules) -> tuple[FloatArray, FloatArray, float] | None:
    """Shift in voxels, second moments of the shifts nearly as good, and agreement; None where the best is no peak."""
    best = np.unravel_index(int(np.argmax(share)), share.shape)
    top = float(share[best])
    if top < rules.least_agreement or any(b in (0, 2 * most) for b in best):
        return None
    usual = float(np.median(share))
    weight = np.exp((share - top) / max(rules.doubtful_share * (top - usual), 1e-6)).astype(float)
    weight[weight < 1e-3] = 0
    total = weight.sum()
    at = np.argwhere(weight > 0)
    vertex = np.array(best) - most + np.array([_vertex(share, best, a) for a in range(3)])
    arms = at - most - vertex
    spread = (arms * weight[tuple(at.T)][:, None]).T @ arms / total
    return vertex, spread, top


def _vertex(share: Image, best: tuple[np.intp, ...], axis: int) -> float:
    """Place of the maximum between voxels, by a parabola through three."""
    before, after = list(best), list(best)
    before[axis] -= 1
    after[axis] += 1
    low, middle, high = (float(share[tuple(i)]) for i in (before, best, after))
    bend = low - 2 * middle + high
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (low - high) / bend, -0.5, 0.5))
