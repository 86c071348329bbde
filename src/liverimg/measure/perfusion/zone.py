"""The non-enhancing area of one plane: found as a dark place in an enhancing liver, outlined at half the level around.

The line runs where enhancement is half way between the inside and the liver just outside, seen along the line: a
blurred straight edge passes its true place at that level, whatever the blur. A curved edge is drawn inwards by the
blur; the area it takes is pi times the variance of the blur, and is given back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.measure.perfusion.aligned import Aligned
from liverimg.measure.perfusion.enhancement import PhaseMap
from liverimg.measure.perfusion.outline import Outline, filled, outline_at
from liverimg.measure.perfusion.settings import ZoneSettings

FloatArray = NDArray[np.float64]

_HALF: Final = 0.5
_ROUNDS: Final = 4


@dataclass(frozen=True, eq=False)
class Zone:
    """A non-enhancing area.

    Attributes:
        outline: Its line, in the unit of the pitch.
        mask: Its pixels.
        share: Enhancement as a share of the liver just outside, shape (j, i): 0 none, 1 like the liver.
        contrast: How many standard deviations of the noise lie between the threshold and nothing.
    """

    outline: Outline
    mask: NDArray[np.bool_] = field(repr=False)
    share: FloatArray = field(repr=False)
    contrast: float


def liver_level(phase: PhaseMap) -> float:
    """Enhancement of the liver: the median of what enhances by more than half of it."""
    values = phase.mean[phase.seen]
    level = float(np.percentile(values, 60)) if values.size else 0.0
    for _ in range(_ROUNDS):
        above = values[values > _HALF * level]
        level = float(np.median(above)) if above.size else 0.0
    return level


def find_place(phase: PhaseMap, aligned: Aligned, *, settings: ZoneSettings) -> NDArray[np.bool_] | str:
    """Pixels of the largest dark place that lies inside the picture, or why none stands out."""
    level = liver_level(phase)
    guard = settings.least_contrast * phase.noise
    if level <= 0 or guard >= _HALF:
        return "enhancement does not stand out from the noise of speckle: more frames or more contrast are needed"
    around = _around(phase, phase.mean > _HALF * level, aligned, settings.wide)
    dark = phase.seen & (phase.mean < _HALF * around)
    rows, columns = aligned.pixels(settings.opening)
    dark = ndimage.binary_opening(dark, disc(rows, columns))
    border = phase.seen & ~ndimage.binary_erosion(phase.seen, iterations=2)
    labels, count = ndimage.label(dark)
    least = np.pi / 4 * settings.least_diameter**2 * np.prod(aligned.pixels(1.0))
    sizes: list[tuple[float, int]] = []
    cut = 0
    for n in range(1, count + 1):
        piece = labels == n
        if piece.sum() < least:
            continue
        edge = piece & ~ndimage.binary_erosion(piece)
        if (edge & ndimage.binary_dilation(border, iterations=2)).sum() > settings.most_border_share * edge.sum():
            cut += 1
            continue
        sizes.append((float(piece.sum()), n))
    if not sizes:
        where = f"; {cut} dark place(s) reach the edge of the picture" if cut else ""
        return f"no non-enhancing area of at least {settings.least_diameter:g} mm lies inside the picture{where}"
    sizes.sort(reverse=True)
    if len(sizes) > 1 and sizes[1][0] > settings.rival_share * sizes[0][0]:
        return (
            f"{len(sizes)} non-enhancing areas of similar size lie in the picture, and nothing says which was treated"
        )
    return np.asarray(labels == sizes[0][1])


def outline_zone(
    phase: PhaseMap, place: NDArray[np.bool_], aligned: Aligned, *, settings: ZoneSettings, level: float = _HALF
) -> Zone | str:
    """The line around a dark place at a share of the enhancement just outside.

    Args:
        phase: Enhancement.
        place: Pixels of the dark place, roughly.
        aligned: For pitch and filter units.
        settings: Limits.
        level: Share of the way from the inside to the liver outside.
    """
    mask = place
    for _ in range(_ROUNDS):
        found = _share(phase, mask, aligned, settings)
        if found is None:
            return "no enhancing liver lies around the dark place"
        share = found
        centre = np.array(ndimage.center_of_mass(place)) * np.array(aligned.pitch)
        line = outline_at(np.where(phase.seen, share, 1.0), level, pitch=aligned.pitch, around=centre)
        if line is None:
            return "the dark place has no closed outline: it runs into another one, or to the edge of the picture"
        outline = line
        mask = filled(outline, mask.shape, pitch=aligned.pitch)
        if not mask.any():
            return "the dark place is too small for an outline"
    inside = float(np.std(share[ndimage.binary_erosion(mask, iterations=2)])) if mask.sum() > 50 else phase.noise
    return Zone(outline, mask, share, _HALF / max(inside, 1e-6))


def given_back(outline: Outline, aligned: Aligned, *, smooth: float, blur: float) -> Outline:
    """The line with the area that blur took from a closed curve: pi times its variance (Gauss-Bonnet)."""
    variance = (smooth**2 + blur**2) * aligned.unit**2
    return outline.grown(float(np.pi * variance))


def _share(phase: PhaseMap, mask: NDArray[np.bool_], aligned: Aligned, settings: ZoneSettings) -> FloatArray | None:
    """Enhancement on the way from the inside (0) to the liver just outside the mask (1)."""
    outside = ndimage.distance_transform_edt(~mask, sampling=[1 / n for n in aligned.pixels(1.0)])
    inside = ndimage.distance_transform_edt(mask, sampling=[1 / n for n in aligned.pixels(1.0)])
    ring = phase.seen & (outside >= settings.ring_from) & (outside <= settings.ring_to)
    core = inside >= min(settings.ring_from, 0.5 * float(inside.max()))
    if not ring.any() or not core.any():
        return None
    level = smoothed_at(phase.mean, ring, aligned.pixels(settings.ring_smooth))
    low = float(np.median(phase.mean[core]))
    return np.asarray((phase.mean - low) / np.maximum(level - low, 1e-9))


def _around(phase: PhaseMap, bright: NDArray[np.bool_], aligned: Aligned, wide: float) -> FloatArray:
    """Level of the enhancing liver around each place."""
    return smoothed_at(phase.mean, bright & phase.seen, aligned.pixels(wide))


def smoothed_at(values: FloatArray, where: NDArray[np.bool_], sigma: tuple[float, float]) -> FloatArray:
    """Weighted mean of the values at some places, everywhere: near ones count most."""
    share = ndimage.gaussian_filter(where.astype(float), sigma)
    mean = ndimage.gaussian_filter(np.where(where, values, 0.0), sigma) / np.maximum(share, 1e-12)
    far = share < 1e-9
    if far.any():
        mean[far] = float(values[where].mean()) if where.any() else 0.0
    return np.asarray(mean)


def disc(rows: float, columns: float) -> NDArray[np.bool_]:
    """A disc of so many rows and columns across its radius, for openings."""
    reach = int(np.ceil(rows)), int(np.ceil(columns))
    down, across = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    return np.asarray((down / max(rows, 0.5)) ** 2 + (across / max(columns, 0.5)) ** 2 <= 1)
