"""Where the voxels of a training patch come from: random rotation, scale, shear and bending."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Bending:
    """How strongly a patient is bent.

    Attributes:
        rotation_deg: Standard deviation about each axis.
        log_scale: Standard deviation of the logarithm of the common scale.
        log_stretch: Standard deviation of the logarithm of each axis's own scale.
        shear: Standard deviation.
        elastic_mm: Largest standard deviation of the elastic part.
        control: Control points of the elastic part along each axis.
    """

    rotation_deg: float = 5.0
    log_scale: float = 0.10
    log_stretch: float = 0.05
    shear: float = 0.03
    elastic_mm: float = 5.0
    control: int = 7


def patch_coordinates(
    centre: NDArray[np.float64],
    shape: Shape,
    *,
    spacing_mm: NDArray[np.float64],
    map_spacing_mm: float,
    bending: Bending,
    rng: np.random.Generator,
) -> FloatArray:
    """Map indices (3, k, j, i) of every voxel of a randomly bent patch.

    Args:
        centre: Map index (k, j, i) that the patch's middle comes from.
        shape: Of the patch.
        spacing_mm: Of the patch, per axis.
        map_spacing_mm: Of the map.
        bending: How strongly.
        rng: Source of chance.
    """
    matrix = _random_matrix(bending, rng) * (spacing_mm / map_spacing_mm)
    axes = [np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in shape]
    out = np.empty((3, *shape), dtype=np.float32)
    strength = rng.uniform(0, bending.elastic_mm) / map_spacing_mm
    bumps = torch.from_numpy(rng.normal(0, strength, size=(1, 3, *[bending.control] * 3)).astype(np.float32))
    bent = torch.nn.functional.interpolate(bumps, size=shape, mode="trilinear", align_corners=True)[0].numpy()
    for axis in range(3):
        row = matrix[axis].astype(np.float32)
        out[axis] = (
            (axes[0] * row[0])[:, None, None]
            + (axes[1] * row[1])[None, :, None]
            + (axes[2] * row[2] + np.float32(centre[axis]))[None, None, :]
        )
        out[axis] += bent[axis]
    return out


def _random_matrix(bending: Bending, rng: np.random.Generator) -> NDArray[np.float64]:
    matrix = np.eye(3)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        angle = np.deg2rad(rng.normal(0, bending.rotation_deg))
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    shear = np.eye(3) + np.triu(rng.normal(0, bending.shear, size=(3, 3)), 1)
    scale = np.exp(rng.normal(0, bending.log_scale) + rng.normal(0, bending.log_stretch, size=3))
    return np.asarray(matrix @ shear * scale)


def gather(labels: NDArray[np.uint8], where: FloatArray, *, outside: int) -> NDArray[np.uint8]:
    """The nearest label at each coordinate, ``outside`` where the map ends."""
    index = np.rint(where).astype(np.int32)
    inside = np.ones(where.shape[1:], dtype=bool)
    for axis in range(3):
        inside &= (index[axis] >= 0) & (index[axis] < labels.shape[axis])
        np.clip(index[axis], 0, labels.shape[axis] - 1, out=index[axis])
    flat = (index[0] * labels.shape[1] + index[1]) * labels.shape[2] + index[2]
    out = labels.reshape(-1)[flat]
    out[~inside] = outside
    return np.asarray(out)


class NoiseBank:
    """Smooth random fields of unit variance, made once; a patch takes a random piece at no cost."""

    def __init__(self, seed: int, *, size: int = 128, sigmas: tuple[float, ...] = (0.6, 1.2, 2.5, 5.0, 10.0)) -> None:
        rng = np.random.default_rng(seed)
        self.sigmas = sigmas
        self._size = size
        frequency = np.meshgrid(*[np.fft.fftfreq(size)] * 2, np.fft.rfftfreq(size), indexing="ij", sparse=True)
        radius2 = sum(f**2 for f in frequency)
        self._fields = []
        for sigma in sigmas:
            white = rng.standard_normal((size, size, size)).astype(np.float32)
            kept = np.fft.rfftn(white) * np.exp(-2 * (np.pi * sigma) ** 2 * radius2)
            smooth = np.fft.irfftn(kept, s=white.shape, axes=(0, 1, 2))
            self._fields.append((smooth / smooth.std()).astype(np.float32))

    def piece(self, shape: Shape, scale: int, rng: np.random.Generator) -> FloatArray:
        """A random, randomly mirrored piece of the field with ``sigmas[scale]``; the fields are periodic."""
        found = self._fields[scale]
        for axis, count in enumerate(shape):
            start = int(rng.integers(self._size))
            index = (start + np.arange(count) * (1 if rng.random() < 0.5 else -1)) % self._size
            found = np.take(found, index, axis=axis)
        return np.asarray(found)
