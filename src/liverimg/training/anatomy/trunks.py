"""The first, named branches of the hepatic and portal veins, with the variants that people have.

Points are in mm, components (x, y, z) to Left, Posterior, Superior. Shares of variants are rounded
(portal vein: Covey 2004, AJR 183:1055; hepatic veins: textbook figures); they set how often training sees a variant,
nothing is measured with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from liverimg.phantom.vessels import SignedDistance

FloatArray = NDArray[np.float64]

# Where the right, middle and left hepatic vein head from the cava, and how far (mm): Couinaud's planes.
_HEPATIC_HEADS = ((-75.0, 10.0, -45.0), (-25.0, -60.0, -50.0), (45.0, -45.0, -20.0))
# Where each leaves the cava, from its middle: far enough apart that two never count as one root.
_HEPATIC_ROOTS = ((-6.0, 2.0, 0.0), (1.0, -7.0, -4.0), (8.0, 1.0, -2.0))
_ROOT_JITTER_MM = 1.0
_COMMON_TRUNK = (6.0, -16.0, -6.0)
_INFERIOR_RIGHT = (-55.0, 12.0, -12.0)
_INFERIOR_BELOW_MM = 25.0
_COMMON_TRUNK_SHARE = 0.7
_INFERIOR_RIGHT_SHARE = 0.15
_HEPATIC_RADIUS_MM = (3.2, 5.8)
_INFERIOR_RADIUS_MM = (1.8, 3.2)


class PortalVariant(Enum):
    """How the portal trunk divides."""

    STANDARD = "standard"
    TRIFURCATION = "trifurcation"
    POSTERIOR_FIRST = "posterior_first"
    ANTERIOR_FROM_LEFT = "anterior_from_left"


_VARIANT_SHARES = {
    PortalVariant.STANDARD: 0.72,
    PortalVariant.TRIFURCATION: 0.12,
    PortalVariant.POSTERIOR_FIRST: 0.10,
    PortalVariant.ANTERIOR_FROM_LEFT: 0.06,
}


@dataclass(frozen=True)
class Trunks:
    """Given polylines of one tree, and the radius at each of its roots.

    Attributes:
        lines: Shape (n, 3) each, in mm; a line that starts on an earlier one branches off it.
        radius_mm: One per line that is a root, in their order.
    """

    lines: list[FloatArray]
    radius_mm: tuple[float, ...]


def into(start: FloatArray, wish: FloatArray, inside: SignedDistance, *, wall_mm: float = 8.0) -> FloatArray:
    """The furthest point on the way from ``start`` towards ``start + wish`` that lies well in the liver."""
    shares = np.linspace(1.0, 0.15, 18)[:, None]
    points = start + shares * wish
    good = np.flatnonzero(inside(points) < -wall_mm)
    return np.asarray(points[good[0] if len(good) else -1])


def _arched(start: FloatArray, end: FloatArray, rise: float) -> FloatArray:
    middle = 0.5 * (start + end) + np.array([0.0, 0.0, rise * float(np.linalg.norm(end - start))])
    return np.array([start, middle, end])


def hepatic_trunks(
    cava_at_dome: FloatArray, cava_at_hilum: FloatArray, inside: SignedDistance, rng: np.random.Generator
) -> Trunks:
    """Right, middle and left hepatic vein, the last two mostly by one trunk, at times an inferior right vein.

    Args:
        cava_at_dome: Middle of the vena cava where the veins join it.
        cava_at_hilum: Middle of the vena cava at the level of the hilum.
        inside: Signed distance to the liver, negative inside.
        rng: Source of chance.
    """
    lines: list[FloatArray] = []
    radii: list[float] = []
    for number, (head, place) in enumerate(zip(_HEPATIC_HEADS, _HEPATIC_ROOTS, strict=True)):
        root = cava_at_dome + np.asarray(place) + rng.uniform(-_ROOT_JITTER_MM, _ROOT_JITTER_MM, size=3)
        if number == 2 and rng.random() < _COMMON_TRUNK_SHARE:
            # The middle vein begins with the common trunk; the left one leaves it where it ends.
            fork = lines[1][0] + np.asarray(_COMMON_TRUNK) * rng.uniform(0.6, 1.3) + rng.normal(0, 1.5, size=3)
            lines[1] = np.array([lines[1][0], fork, *lines[1][1:]])
            root = fork
            radii[1] *= float(rng.uniform(1.05, 1.25))
        else:
            radii.append(float(rng.uniform(*_HEPATIC_RADIUS_MM)))
        wish = np.asarray(head) * rng.uniform(0.7, 1.2) + rng.normal(0, 10, size=3)
        lines.append(_arched(root, into(root, wish, inside), 0.12))
    if rng.random() < _INFERIOR_RIGHT_SHARE and cava_at_dome[2] - cava_at_hilum[2] > _INFERIOR_BELOW_MM:
        wish = np.asarray(_INFERIOR_RIGHT) * rng.uniform(0.6, 1.1) + rng.normal(0, 6, size=3)
        lines.append(_arched(cava_at_hilum, into(cava_at_hilum, wish, inside), 0.0))
        radii.append(float(rng.uniform(*_INFERIOR_RADIUS_MM)))
    return Trunks(lines, tuple(radii))


def draw_variant(rng: np.random.Generator) -> PortalVariant:
    """A way to divide, as often as people have it."""
    variants = list(_VARIANT_SHARES)
    return variants[int(rng.choice(len(variants), p=list(_VARIANT_SHARES.values())))]


def portal_trunks(
    hilum: FloatArray,
    inside: SignedDistance,
    rng: np.random.Generator,
    *,
    variant: PortalVariant,
    radius_mm: tuple[float, float],
) -> Trunks:
    """Portal trunk, left branch with its umbilical portion, right branch with its anterior and posterior sector.

    Args:
        hilum: Where the trunk divides.
        inside: Signed distance to the liver, negative inside.
        rng: Source of chance.
        variant: How the trunk divides.
        radius_mm: Least and most radius of the trunk.
    """
    below = hilum + rng.normal((22.0, 6.0, -48.0), 7.0)
    main = np.array([below, 0.5 * (below + hilum) + rng.normal(0, 3, size=3), hilum])
    right = into(hilum, rng.normal((-30.0, 5.0, 4.0), 5.0), inside, wall_mm=6.0)
    left = into(hilum, rng.normal((32.0, -20.0, 12.0), 7.0), inside)
    umbilical = into(left, rng.normal((3.0, -28.0, -3.0), 6.0), inside, wall_mm=6.0)
    left_line = np.array([hilum, 0.5 * (hilum + left) + rng.normal(0, 2, size=3), left, umbilical])
    anterior_wish = rng.normal((-22.0, -24.0, 26.0), 7.0)
    posterior_wish = rng.normal((-34.0, 20.0, -6.0), 7.0)
    if variant is PortalVariant.STANDARD:
        anterior, posterior = into(right, anterior_wish, inside), into(right, posterior_wish, inside)
        # The right branch carries on as the anterior one.
        lines = [main, np.array([hilum, right, anterior]), np.array([right, posterior]), left_line]
    else:
        origin = 0.6 * hilum + 0.4 * main[1] if variant is PortalVariant.POSTERIOR_FIRST else hilum
        source = left_line[1] if variant is PortalVariant.ANTERIOR_FROM_LEFT else hilum
        anterior = into(source, anterior_wish + (right - source), inside)
        posterior = into(origin, posterior_wish + (right - origin), inside)
        bend = 0.5 * (source + anterior) + rng.normal(0, 3, size=3)
        lines = [main, left_line, np.array([source, bend, anterior])]
        lines.append(np.array([origin, 0.5 * (origin + posterior) + rng.normal(0, 3, size=3), posterior]))
    return Trunks(lines, (float(rng.uniform(*radius_mm)),))
