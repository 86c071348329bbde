"""Four blobs at known places, of known size and density: the analytic truth that every trap folder holds.

The density is a closed-form function of the place in the patient (LPS mm), so a reader is judged by where things
are in millimetres, never by the order of its array.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from liverimg.core.grid import Grid

SECOND_PHASE_HU = 50.0
# MR signal of the same scene: no negative values.
SIGNAL_OFFSET = 1024.0


@dataclass(frozen=True)
class Blob:
    """A ball."""

    centre_lps_mm: tuple[float, float, float]
    radius_mm: float
    hu: float


@dataclass(frozen=True)
class Scene:
    """Balls in a plain; each fades linearly over ``edge_mm``, so that a sampled volume is near the closed form.

    A later phase is brighter: everywhere, or, with ``phase_in_blobs``, in the balls only.
    """

    blobs: tuple[Blob, ...]
    background_hu: float
    edge_mm: float
    phase_in_blobs: bool = False

    @property
    def centre_lps_mm(self) -> np.ndarray:
        return np.mean([blob.centre_lps_mm for blob in self.blobs], axis=0)

    def volume_ml(self, blob: Blob) -> float:
        """Integral of a faded ball: 4/3 pi (r^3 + r w^2 / 4) for an edge of width w."""
        return float(4 / 3 * np.pi * (blob.radius_mm**3 + blob.radius_mm * self.edge_mm**2 / 4) / 1000)


CENTRE_LPS_MM = np.array((21.5, -34.25, 310.0))
# No symmetry: every flip or swap of axes puts a blob where another one, or none, belongs.
SCENE = Scene(
    tuple(
        Blob(tuple(float(v) for v in CENTRE_LPS_MM + place), radius_mm, hu)  # type: ignore[arg-type]
        for place, radius_mm, hu in (
            ((13, -2, 1), 7, 100), ((1, 14, -4), 6.5, 200), ((-2, 1, 19), 7, 300), ((-11, -12, -15), 6, 400),
        )
    ),
    background_hu=40.0,
    edge_mm=2.0,
)  # fmt: skip

GRID = Grid.from_axes(
    (26, 56, 60),
    spacing_mm=(2.5, 1.0, 0.9),
    origin_lps_mm=CENTRE_LPS_MM - (0.9 * 29.5, 1.0 * 27.5, 2.5 * 12.5),
    frame_of_reference_uid="1.2.826.0.1.3680043.8.498.5.3",
)


def grid_along(directions: Any, *, spacing_mm: Any = (2.5, 1.0, 0.9), shape: Any = (26, 56, 60)) -> Grid:
    """A grid around the scene's centre with its own axes (k, j, i)."""
    away = (np.asarray(shape) - 1) / 2 * np.asarray(spacing_mm) @ np.asarray(directions, dtype=float)
    return Grid.from_axes(
        shape,
        spacing_mm=spacing_mm,
        directions=directions,
        origin_lps_mm=CENTRE_LPS_MM - away,
        frame_of_reference_uid=GRID.frame_of_reference_uid,
    )


def density_hu(lps_mm: np.ndarray) -> np.ndarray:
    """The scene's Hounsfield units at places of shape (..., 3)."""
    out = np.full(lps_mm.shape[:-1], SCENE.background_hu)
    for blob in SCENE.blobs:
        away_mm = np.linalg.norm(lps_mm - blob.centre_lps_mm, axis=-1)
        share = np.clip((blob.radius_mm - away_mm) / SCENE.edge_mm + 0.5, 0, 1)
        out += (blob.hu - SCENE.background_hu) * share
    return out


def places_mm(grid: Grid, shift_mm: np.ndarray | None = None) -> np.ndarray:
    """LPS mm of every voxel; ``shift_mm`` (n, 3) moves whole slices."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    lps_mm = grid.index_to_lps_mm(index)
    return lps_mm if shift_mm is None else lps_mm + shift_mm[:, None, None, :]


@dataclass(frozen=True)
class Seen:
    """How far one volume is from the truth.

    Attributes:
        blobs: How many of the four lie wholly inside.
        centroid_mm: Largest distance of a blob's centroid from its true centre.
        volume_share: Largest relative error of a blob's volume.
        hu: Largest error of a blob's inner or the background value, phase offset removed.
        added_hu: Which phase it is: what was added to all values.
    """

    blobs: int
    centroid_mm: float
    volume_share: float
    hu: float
    added_hu: float

    def is_right(
        self, *, centroid_mm: float, volume_share: float = 0.05, hu: float = 2.0, least_blobs: int = 3
    ) -> bool:
        return (
            self.blobs >= least_blobs
            and self.centroid_mm <= centroid_mm
            and self.volume_share <= volume_share
            and self.hu <= hu
        )


def look_at(array: np.ndarray, grid: Grid, *, is_signal: bool = False, scene: Scene = SCENE) -> Seen:
    """Measures the blobs of a volume, by place in millimetres alone.

    Args:
        array: Hounsfield units, or MR signal.
        grid: Where the reader says that the voxels lie.
        is_signal: MR: the scene's density plus SIGNAL_OFFSET.
        scene: What truly is there.
    """
    values = np.asarray(array, dtype=np.float64) - (SIGNAL_OFFSET if is_signal else 0)
    background = _background(values, grid, scene)
    added = background - scene.background_hu
    if scene.phase_in_blobs:
        added = _added_in_blobs(values, grid, scene)
        background = scene.background_hu
    seen = [_blob(values - background, grid, blob, blob.hu + added - background, scene) for blob in scene.blobs]
    inside = [one for one in seen if one is not None]
    if not inside:
        return Seen(0, np.inf, np.inf, np.inf, added)
    return Seen(len(inside), *(float(max(column)) for column in zip(*inside, strict=True)), added)


def _added_in_blobs(values: np.ndarray, grid: Grid, scene: Scene) -> float:
    """Median of what the balls' centres are brighter than they should be; NaN when none lies inside."""
    centres = np.array([blob.centre_lps_mm for blob in scene.blobs])
    index = np.rint(grid.lps_mm_to_index(centres)).astype(int)
    inside = ((index >= 0) & (index < values.shape)).all(axis=1)
    added = [values[tuple(i)] - b.hu for i, b, ok in zip(index, scene.blobs, inside, strict=True) if ok]
    return float(np.median(added)) if added else float("nan")


@cache
def _plain_places_mm(scene: Scene) -> np.ndarray:
    """Places of plain background, away from the corners, where tilted slices leave air, and from the blobs."""
    centre = scene.centre_lps_mm
    places = centre + np.random.default_rng(0).uniform(-20, 20, (600, 3))
    plain = np.linalg.norm(places - centre, axis=-1) < 20
    for blob in scene.blobs:
        plain &= np.linalg.norm(places - blob.centre_lps_mm, axis=-1) > blob.radius_mm + 4
    return np.asarray(places[plain])


def _background(values: np.ndarray, grid: Grid, scene: Scene) -> float:
    """Median value at plain places that lie inside; NaN when none does."""
    index = np.rint(grid.lps_mm_to_index(_plain_places_mm(scene))).astype(int)
    index = index[((index >= 0) & (index < values.shape)).all(axis=1)]
    return float(np.median(values[tuple(index.T)])) if len(index) else float("nan")


def _blob(
    values: np.ndarray, grid: Grid, blob: Blob, height_hu: float, scene: Scene
) -> tuple[float, float, float] | None:
    """Centroid, volume and density errors of one ball that stands ``height_hu`` above a background of 0."""
    centre = grid.lps_mm_to_index(blob.centre_lps_mm)
    room_mm = np.minimum(centre, np.asarray(grid.shape) - 1 - centre) * grid.spacing_mm
    if room_mm.min() < blob.radius_mm + scene.edge_mm / 2:
        return None  # a phase that stops short cuts this blob
    reach = (blob.radius_mm + 3) / grid.spacing_mm * 1.5 + 1
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach) + 1, values.shape).astype(int)
    values = values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    lps_mm = places_mm(grid.cropped(low, values.shape))
    away_mm = np.linalg.norm(lps_mm - blob.centre_lps_mm, axis=-1)
    near, core = away_mm < blob.radius_mm + 3, away_mm < 0.5 * blob.radius_mm
    # Air beside tilted slices, and padding, are no part of a ball.
    share = np.clip(values[near] / height_hu, 0, 1)
    total = share.sum()
    if not core.any() or not np.isfinite(total) or total <= 0:
        return np.inf, np.inf, np.inf
    centroid = (lps_mm[near] * share[:, None]).sum(axis=0) / total
    apart_mm = float(np.linalg.norm(centroid - blob.centre_lps_mm))
    error = abs(total * grid.voxel_ml / scene.volume_ml(blob) - 1)
    return apart_mm, float(error), float(abs(np.median(values[core]) - height_hu))
