"""From a scene to labels and images on any grid.

A voxel's share of a part comes from the part's implicit function: value divided by its change across one voxel
says how far, in voxels, the surface lies from the centre. Tubes can be thinner than a voxel, so their share is
averaged over points inside each voxel. Parts are laid over each other in rising priority.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.phantom.capsules import Box
from liverimg.phantom.contrast import Look
from liverimg.phantom.places import Places
from liverimg.phantom.scene import Part, Scene, Solid, Tissue, Tubes
from liverimg.phantom.solids import Implicit

_MOST_VOXELS_AT_ONCE = 4_000_000
_NOISE_IN_AIR = 0.1


@dataclass(frozen=True, eq=False)
class Layer:
    """One part on a grid: its tissue and how much of each voxel in a box it fills, in 255ths."""

    tissue: Tissue
    box: Box
    share: NDArray[np.uint8] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Layers:
    """A scene on a grid, worked out once and then shown in any phase.

    Attributes:
        grid: Where.
        layers: In rising priority.
        texture: Tissue-independent unevenness of about unit standard deviation, shape ``grid.shape``.
    """

    grid: Grid
    layers: tuple[Layer, ...] = field(repr=False)
    texture: NDArray[np.float32] = field(repr=False)


def labels(scene: Scene, grid: Grid, values: Mapping[Structure, int]) -> LabelMap:
    """Labels by voxel centres.

    Args:
        scene: What is there.
        grid: Any grid.
        values: Value of each structure that is wanted; parts of other structures count as BODY inside the skin,
            and as none when BODY is not wanted either.
    """
    array = np.zeros(grid.shape, dtype=np.uint8)
    places = Places(grid, scene.deformation)
    rest = values.get(Structure.BODY, 0)
    for part in scene.parts:
        value = rest if part.structure is None else values.get(part.structure, rest)
        for box, inside in _inside(part, places):
            array[box][inside] = value
    return LabelMap(array, grid, dict(values))


def layers(scene: Scene, grid: Grid) -> Layers:
    """Works out how much of each voxel each part fills."""
    places = Places(grid, scene.deformation)
    found: list[Layer] = []
    for part in scene.parts:
        shares = _tube_shares(part, places) if isinstance(part, Tubes) else _solid_shares(part, places)
        found += [Layer(part.tissue, box, share) for box, share in shares]
    return Layers(grid, tuple(found), places.texture(seed=scene.seed))


def image(
    layers: Layers,
    looks: Mapping[Tissue, Look],
    *,
    background: float,
    noise: float,
    seed: int,
    quantity: Quantity = Quantity.HU,
    blur_mm: float = 0.6,
    noise_grain_mm: float = 0.9,
) -> Volume:
    """One phase of a scene, float32.

    Args:
        layers: From :func:`layers`.
        looks: How each tissue looks in this phase.
        background: Value of air.
        noise: Standard deviation of the noise.
        seed: Of the noise.
        quantity: What the values mean.
        blur_mm: Standard deviation of the scanner's point spread within the slice.
        noise_grain_mm: Standard deviation of the kernel that correlates neighbouring noise in the slice.
    """
    array = np.full(layers.grid.shape, background, dtype=np.float32)
    for layer in layers.layers:
        look = looks[layer.tissue]
        share = layer.share.astype(np.float32) / np.float32(255)
        value = np.float32(look.mean) + np.float32(look.texture) * layers.texture[layer.box]
        array[layer.box] += share * (value - array[layer.box])
    thickest = int(np.argmax(layers.grid.spacing_mm))
    array = gaussian_filter(array, _in_slice(layers.grid, blur_mm, thickest))
    if noise > 0:
        grain = np.random.default_rng(seed).standard_normal(array.shape, dtype=np.float32)
        grain = gaussian_filter(grain, _in_slice(layers.grid, noise_grain_mm, thickest))
        array += grain * _noise_level(layers) * np.float32(noise / float(grain.std()))
    return Volume(array, layers.grid, quantity)


def _noise_level(layers: Layers) -> NDArray[np.float32]:
    """Noise against that inside the body: air around it is quieter."""
    level = np.full(layers.grid.shape, _NOISE_IN_AIR, dtype=np.float32)
    for layer in layers.layers:
        if layer.tissue is Tissue.SKIN:
            level[layer.box] += layer.share * np.float32((1 - _NOISE_IN_AIR) / 255)
    return level


def _in_slice(grid: Grid, sigma_mm: float, thickest: int) -> list[float]:
    return [0.0 if axis == thickest else sigma_mm / float(grid.spacing_mm[axis]) for axis in range(3)]


def _slabs(box: Box) -> Iterator[Box]:
    """The box in pieces along its first axis, none too big for memory."""
    plane = (box[1].stop - box[1].start) * (box[2].stop - box[2].start)
    step = max(1, _MOST_VOXELS_AT_ONCE // plane)
    for first in range(box[0].start, box[0].stop, step):
        yield slice(first, min(first + step, box[0].stop)), box[1], box[2]


def _inside(part: Part, places: Places) -> Iterator[tuple[Box, NDArray[np.bool_]]]:
    if isinstance(part, Tubes):
        for row, box in places.boxes(*part.capsules.boxes_lps_mm()):
            near = part.capsules.distance_of_row(row, *places.coordinates(box))
            yield box, _cut(near, part.within, places, box) <= 0
        return
    whole = places.box(part.low_lps_mm, part.high_lps_mm)
    if whole is not None:
        for box in _slabs(whole):
            yield box, _value(part.shape, places, box) <= 0


def _value(shape: Implicit, places: Places, box: Box, offset: tuple[float, float, float] = (0, 0, 0)) -> NDArray[Any]:
    size = tuple(s.stop - s.start for s in box)
    return np.broadcast_to(shape(*places.coordinates(box, offset)), size)


def _cut(value: NDArray[Any], within: Implicit | None, places: Places, box: Box) -> NDArray[Any]:
    return value if within is None else np.maximum(value, _value(within, places, box))


def _solid_shares(part: Solid, places: Places) -> Iterator[tuple[Box, NDArray[np.uint8]]]:
    whole = places.box(part.low_lps_mm, part.high_lps_mm, extra_voxels=1)
    if whole is None:
        return
    for box in _slabs(whole):
        # One more slice at each end, so that the change across a voxel is right at the seams.
        before, after = int(box[0].start > 0), int(box[0].stop < places.grid.shape[0])
        wide = (slice(box[0].start - before, box[0].stop + after), box[1], box[2])
        value = _value(part.shape, places, wide)
        change2 = np.zeros(value.shape, dtype=np.float32)
        for axis in range(3):
            if value.shape[axis] > 1:
                change2 += np.gradient(value, axis=axis) ** 2
        share = 0.5 - value / np.sqrt(change2 + np.float32(1e-12))
        share = share[before : share.shape[0] - after]
        yield box, np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def _tube_shares(part: Tubes, places: Places) -> Iterator[tuple[Box, NDArray[np.uint8]]]:
    """Share of each voxel inside the union of all tubes, averaged over up to three points along each edge."""
    tubes = part.capsules
    whole = places.box(*tubes.bounds_lps_mm(), extra_voxels=1)
    if whole is None:
        return
    spacing = places.grid.spacing_mm
    cuts = np.clip(np.ceil(spacing / 2.0), 1, 3).astype(int)
    fine_mm = float(np.sqrt(((spacing / cuts) ** 2).mean()))
    boxes = list(places.boxes(*tubes.boxes_lps_mm(margin_mm=fine_mm + float(spacing.max()) / 2)))
    total = np.zeros([s.stop - s.start for s in whole], dtype=np.float32)
    for index in np.ndindex(*cuts):
        o = (np.array(index) + 0.5) / cuts - 0.5
        offset = (float(o[0]), float(o[1]), float(o[2]))
        best = np.full(total.shape, np.float32(fine_mm))
        for row, box in boxes:
            common = [slice(max(s.start, w.start), min(s.stop, w.stop)) for s, w in zip(box, whole, strict=True)]
            local = [slice(s.start - w.start, s.stop - w.start) for s, w in zip(common, whole, strict=True)]
            target = best[local[0], local[1], local[2]]
            if target.size:
                here = (common[0], common[1], common[2])
                np.minimum(target, tubes.distance_of_row(row, *places.coordinates(here, offset)), out=target)
        if part.within is not None:
            best = np.maximum(best, _value(part.within, places, whole, offset))
        total += np.clip(0.5 - best / fine_mm, 0, 1)
    yield whole, np.rint(total * (255 / np.prod(cuts))).astype(np.uint8)
