"""One example for the zone network: a treated piece of liver as scanners show it, and its zone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.core.study import Phase
from liverimg.core.volume import Quantity
from liverimg.core.zone_view import ZoneView
from liverimg.training.synthesis.warp import NoiseBank
from liverimg.training.zones.anatomy import Anatomy, draw_anatomy
from liverimg.training.zones.looks import ZoneLook, draw_ct_look, draw_mr_look

FloatArray = NDArray[np.float32]

SPACING_MM = 1.5
_GRAIN, _BUMPS, _WAVES = 1, 3, 4
_CT_SHARE = 0.6
_PRESENT = (0.7, 0.8, 0.9, 0.5)
_PHASES = (Phase.UNENHANCED, Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED)
_NOISE_HU = (2.0, 14.0)
_NOISE_SHARE = (0.01, 0.06)
_SLICE_MM = (0.7, 5.5)
_LEVEL_ERROR_HU = 2.0
_LEVEL_ERROR_SHARE = 0.03


@dataclass(frozen=True, eq=False)
class Example:
    """What the network is shown and should draw.

    Attributes:
        view: The crop.
        zone: Share of each voxel that is zone.
        slice_mm: Of its thickest phase.
        inside: Names of what lies in the zone.
    """

    view: ZoneView
    zone: FloatArray = field(repr=False)
    slice_mm: float
    inside: tuple[str, ...]


@dataclass(frozen=True)
class _Scan:
    """How one phase was taken.

    Attributes:
        slice_mm: Thickness and distance of its slices.
        along: Axis across the slices.
        blur_mm: Standard deviation of the point spread.
        noise: Standard deviation of a slice's values at the crop's spacing.
        colour_mm: Standard deviation of what noise of neighbouring voxels share.
        shift_mm: How far it lies astray.
    """

    slice_mm: float
    along: int
    blur_mm: float
    noise: float
    colour_mm: float
    shift_mm: tuple[float, float, float]


def make_example(seed: int, number: int, size: int, bank: NoiseBank) -> Example:
    """The example of that number; the same seed, number and size give the same.

    Args:
        seed: Of the whole run.
        number: Of the example.
        size: Voxels of the crop along each axis.
        bank: Random fields.
    """
    rng = np.random.default_rng((seed, number, size))
    is_ct = bool(rng.random() < _CT_SHARE)
    anatomy = draw_anatomy(size, SPACING_MM, bank, rng)
    look = draw_ct_look(rng) if is_ct else draw_mr_look(rng)
    there = [bool(rng.random() < share) for share in _PRESENT]
    if not any(there[1:]):
        there[2] = True
    thin = float(np.exp(rng.uniform(*np.log(_SLICE_MM))))
    thick = thin if rng.random() < 0.6 else float(rng.uniform(thin, max(thin, 5.0)))
    along = 0 if rng.random() < 0.85 else 1
    noise = rng.uniform(*_NOISE_HU) if is_ct else rng.uniform(*_NOISE_SHARE) * float(look.values["liver"][0])
    grid = Grid.from_axes((size,) * 3, spacing_mm=(SPACING_MM,) * 3, origin_lps_mm=(0.0, 0.0, 0.0))
    doubt_mm = float(rng.uniform(0, 1.2))
    grain = _grain(anatomy, bank, rng)
    coil = np.exp(bank.piece(grid.shape, _WAVES, rng) * np.float32(0 if is_ct else rng.uniform(0, 0.15)))
    values, levels, slices = {}, {}, []
    for slot in np.flatnonzero(there):
        shift = rng.normal(0, doubt_mm, 3) if slot != 2 else np.zeros(3)
        scan = _Scan(
            slice_mm=thin if rng.random() < 0.5 else thick,
            along=along,
            blur_mm=float(rng.uniform(0.4, 1.0)),
            noise=float(noise * rng.uniform(0.8, 1.25)),
            colour_mm=float(rng.uniform(0.3, 1.2)),
            shift_mm=(float(shift[0]), float(shift[1]), float(shift[2])),
        )
        phase = Phase.HEPATOBILIARY if slot == 3 and look.late_is_hepatobiliary else _PHASES[slot]
        values[phase] = _scanned(_painted(anatomy, look, int(slot), grain) * coil, scan, rng)
        level = float(look.values["liver"][slot])
        levels[phase] = level + rng.normal(0, _LEVEL_ERROR_HU) if is_ct else level * rng.normal(1, _LEVEL_ERROR_SHARE)
        slices.append(scan.slice_mm)
    view = ZoneView(
        grid,
        Quantity.HU if is_ct else Quantity.MR_SIGNAL,
        values,
        levels,
        _outlined(anatomy, bank, rng),
        anatomy.place_mm,
    )
    return Example(view, anatomy.zone, max(slices), anatomy.inside)


def _grain(anatomy: Anatomy, bank: NoiseBank, rng: np.random.Generator) -> FloatArray:
    """Texture that all phases share."""
    shape = (anatomy.zone.shape[0], anatomy.zone.shape[1], anatomy.zone.shape[2])
    fine, coarse = bank.piece(shape, _GRAIN, rng), bank.piece(shape, _BUMPS, rng)
    return np.asarray(np.float32(0.7) * fine + np.float32(rng.uniform(0, 1)) * coarse)


def _painted(anatomy: Anatomy, look: ZoneLook, slot: int, grain: FloatArray) -> FloatArray:
    """The matter's values at one phase, before any scanner."""
    out = np.full(anatomy.zone.shape, look.values["liver"][slot], dtype=np.float32)
    if slot == 1:
        out += np.float32(look.perfusion) * anatomy.perfusion
    for name, share in anatomy.layers:
        out += share * (look.values[name][slot] - out)
    return np.asarray(out + np.float32(look.texture) * grain)


def _outlined(anatomy: Anatomy, bank: NoiseBank, rng: np.random.Generator) -> BoolArray:
    """The liver as somebody outlined it, a little off."""
    shape = (anatomy.zone.shape[0], anatomy.zone.shape[1], anatomy.zone.shape[2])
    off = bank.piece(shape, _BUMPS, rng) * np.float32(rng.uniform(0, 1.5)) + np.float32(rng.normal(0, 0.7))
    return np.asarray(anatomy.liver_mm + off < 0)


def _scanned(values: FloatArray, scan: _Scan, rng: np.random.Generator) -> FloatArray:
    """Blur, displacement, slices and noise; back on the crop's voxels as resampling leaves it."""
    size = values.shape[0]
    centres = np.asarray((np.arange(size) - (size - 1) / 2) * SPACING_MM, dtype=np.float64)
    order = [scan.along, *(axis for axis in range(3) if axis != scan.along)]
    out = np.transpose(values, order)
    out = _along(out, _spread(centres + scan.shift_mm[order[1]], centres, scan.blur_mm, 0), 1)
    out = _along(out, _spread(centres + scan.shift_mm[order[2]], centres, scan.blur_mm, 0), 2)
    count = int(np.ceil(size * SPACING_MM / scan.slice_mm)) + 2
    first = rng.uniform(-0.5, 0.5) - (count - 1) / 2
    slices = np.asarray((np.arange(count) + first) * scan.slice_mm, dtype=np.float64)
    out = _along(out, _spread(slices + scan.shift_mm[order[0]], centres, scan.blur_mm, scan.slice_mm), 0)
    out = out + _noise((count, size, size), centres, scan, rng)
    out = _along(out, _between(centres, slices, max(scan.slice_mm, SPACING_MM)), 0)
    return np.ascontiguousarray(np.transpose(out, np.argsort(order)))


def _noise(
    shape: tuple[int, int, int], centres: NDArray[np.float64], scan: _Scan, rng: np.random.Generator
) -> FloatArray:
    white = rng.standard_normal(shape, dtype=np.float32)
    mix = _spread(centres, centres, scan.colour_mm, 0)
    found = _along(_along(white, mix, 1), mix, 2)
    return np.asarray(found * np.float32(scan.noise / max(float(found.std()), 1e-6)))


def _along(values: FloatArray, matrix: FloatArray, axis: int) -> FloatArray:
    return np.asarray(np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis))


def _spread(at: NDArray[np.float64], centres: NDArray[np.float64], sigma_mm: float, slab_mm: float) -> FloatArray:
    """Rows that read a blurred value at each place, shape (len(at), len(centres))."""
    away = np.abs(at[:, None] - centres[None, :])
    # A slab blurred by a Gaussian, near enough: flat within, falling off outside.
    beyond = np.maximum(away - slab_mm / 2, 0)
    width = np.hypot(sigma_mm, SPACING_MM / 3)
    weights = np.exp(-0.5 * (beyond / width) ** 2) + 1e-9
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _between(at: NDArray[np.float64], slices: NDArray[np.float64], reach_mm: float) -> FloatArray:
    """Rows that interpolate linearly between slices, or average thinner ones."""
    weights = np.maximum(0, 1 - np.abs(at[:, None] - slices[None, :]) / reach_mm) + 1e-9
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
