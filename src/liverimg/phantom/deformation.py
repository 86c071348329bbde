"""How a body lies differently at a later examination: a known rigid motion and a known smooth one.

Places of the later examination are taken back to the body as it was built by ``to_built``: first the rigid
motion, then the smooth displacement, both in closed form. The way forward is the exact inverse, found by
iteration: the displacement changes slowly enough for it to contract.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Push:
    """A Gaussian displacement: ``vector_mm`` at the centre, fading over ``spread_mm``."""

    centre_lps_mm: tuple[float, float, float]
    vector_mm: tuple[float, float, float]
    spread_mm: float


@dataclass(frozen=True)
class StillBall:
    """A ball that moves rigidly: the smooth displacement is exactly zero inside, whole beyond ``fade_mm``."""

    centre_lps_mm: tuple[float, float, float]
    radius_mm: float
    fade_mm: float


@dataclass(frozen=True)
class Squeeze:
    """Tissue drawn together around a centre, as an ablation zone shrinks.

    Attributes:
        centre_lps_mm: In the body as built.
        share: How much shorter distances are near the centre, 0 to 1.
        spread_mm: Standard deviation over which it fades; most displacement is at this distance.
    """

    centre_lps_mm: tuple[float, float, float]
    share: float
    spread_mm: float


@dataclass(frozen=True, eq=False)
class Deformation:
    """A rigid motion followed by pushes that leave some balls still.

    Attributes:
        rotation: 3 x 3, from the later examination to the body as built, about ``pivot_lps_mm``.
        shift_mm: Added after the rotation, shape (3,).
        pivot_lps_mm: Centre of the rotation, shape (3,).
        pushes: The smooth part.
        still: Where the smooth part vanishes, so that distances there are kept.
        squeezes: Where tissue has shrunk; balls that are still don't stop that.
    """

    rotation: FloatArray = field(repr=False)
    shift_mm: FloatArray
    pivot_lps_mm: FloatArray
    pushes: tuple[Push, ...]
    still: tuple[StillBall, ...] = ()
    squeezes: tuple[Squeeze, ...] = ()

    @property
    def rigid(self) -> FloatArray:
        """The rigid part as a 4 x 4 matrix, later examination to body as built (before the pushes)."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation
        matrix[:3, 3] = self.pivot_lps_mm + self.shift_mm - self.rotation @ self.pivot_lps_mm
        return matrix

    @property
    def most_mm(self) -> float:
        """Upper bound of the smooth displacement."""
        # A squeeze is strongest at its spread: spread * exp(-1/2).
        squeezed = sum(s.share / (1 - s.share) * s.spread_mm * np.exp(-0.5) for s in self.squeezes)
        return float(sum(np.linalg.norm(p.vector_mm) for p in self.pushes) + squeezed)

    @cached_property
    def steepness(self) -> float:
        """Estimate from above of how much the smooth displacement changes per millimetre; below 1 it can be undone."""
        axis = np.arange(-250.0, 251.0, 10.0)
        field_mm = self.displacement(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1))
        change2 = sum(((np.diff(field_mm, axis=a) / 10.0) ** 2).sum(axis=-1).max() for a in range(3))
        return float(1.3 * np.sqrt(change2))

    def displacement(self, points: ArrayLike) -> FloatArray:
        """Smooth displacement at points (..., 3) that have already been moved rigidly, shape (..., 3)."""
        at = np.asarray(points)
        x, y, z = at[..., 0], at[..., 1], at[..., 2]
        total = [np.zeros(at.shape[:-1], dtype=np.result_type(at, np.float32)) for _ in range(3)]
        for push in self.pushes:
            a, b, c = push.centre_lps_mm
            strength = np.exp(((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / (-2 * push.spread_mm**2))
            for axis in range(3):
                total[axis] += strength * push.vector_mm[axis]
        share = np.ones_like(total[0])
        for ball in self.still:
            a, b, c = ball.centre_lps_mm
            away = np.sqrt((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2)
            t = np.clip((away - ball.radius_mm) / ball.fade_mm, 0, 1)
            share *= t * t * (3 - 2 * t)
        total = [component * share for component in total]
        for squeeze in self.squeezes:
            a, b, c = squeeze.centre_lps_mm
            away2 = (x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2
            # Seen from the shrunk tissue, places were further out.
            wider = squeeze.share / (1 - squeeze.share) * np.exp(away2 / (-2 * squeeze.spread_mm**2))
            for axis, part in enumerate((x - a, y - b, z - c)):
                total[axis] = total[axis] + wider * part
        return np.stack(total, axis=-1)

    def to_built(self, points: ArrayLike) -> FloatArray:
        """Takes places of the later examination, shape (..., 3), to the body as it was built."""
        at = np.asarray(points)
        matrix = self.rigid.astype(at.dtype if at.dtype.kind == "f" else float)
        moved = at @ matrix[:3, :3].T + matrix[:3, 3]
        return np.asarray(moved + self.displacement(moved))

    def from_built(self, points: ArrayLike, *, tolerance_mm: float = 1e-9) -> FloatArray:
        """The inverse of :meth:`to_built`."""
        target = np.asarray(points, dtype=float)
        moved = target - self.displacement(target)
        for _ in range(200):
            better = target - self.displacement(moved)
            change = float(np.abs(better - moved).max(initial=0))
            moved = better
            if change < tolerance_mm:
                break
        matrix = self.rigid
        return np.asarray((moved - matrix[:3, 3]) @ matrix[:3, :3])
