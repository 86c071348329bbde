"""Which pictures a frame holds, and which of them shows contrast.

Regions say where pictures lie when there are any. Where one rectangle, or none, holds a dual display, the pixels
are asked: two like shapes beside each other that differ in tint, level or behaviour over time. A single fan with
a shadow down its middle is no dual display, because its halves mirror each other instead of repeating.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.cine import Box, Pane
from liverimg.dicom.ultrasound_pixels import Frames

# Grey levels above black, or of change over time, that count as picture.
_LIT: Final = 10.0
_MOVING: Final = 1.5
# The cut of a dual display lies in this middle part of the picture.
_MIDDLE: Final = (0.38, 0.62)
# The two halves' outlines repeat each other this well (Dice), and better than they mirror each other, unless both.
_REPEATS: Final = 0.8
_TIMES_LOOKED_AT: Final = 48
_FEWEST_FRAMES_OVER_TIME: Final = 8
# Smallest side of a picture.
_SMALLEST_PX: Final = 16


@dataclass(frozen=True, eq=False)
class Summary:
    """A clip boiled down for looking at its layout; levels of 255.

    Attributes:
        mean: Over time, shape (j, i).
        deviation: Over time, shape (j, i).
        tint: Mean distance from grey, shape (j, i); zero for grey files.
        over_time: Some frames, evenly spread, shape (n, j, i).
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    tint: NDArray[np.float32]
    over_time: NDArray[np.uint8]

    @property
    def lit(self) -> NDArray[np.bool_]:
        """Pixels that are ever more than black."""
        return np.asarray((self.mean > _LIT) | (self.deviation > _MOVING))


def summarise(frames: Frames) -> Summary:
    """Mean, spread and tint of a clip, from a sample of its frames."""
    total = len(frames.grey)
    picked = np.unique(np.linspace(0, total - 1, min(total, _TIMES_LOOKED_AT)).round().astype(int))
    over_time = frames.grey[picked]
    as_float = over_time.astype(np.float32)
    if frames.colour is None:
        tint = np.zeros(over_time.shape[1:], dtype=np.float32)
    else:
        levels = frames.colour.astype(np.float32)
        tint = np.abs(levels - levels.mean(axis=-1, keepdims=True)).max(axis=-1).mean(axis=0)
    return Summary(as_float.mean(axis=0), as_float.std(axis=0), tint, over_time)


def split_by_content(summary: Summary, box: Box, *, limits: Mapping[str, Any]) -> tuple[Box, Box] | None:
    """The two pictures of a dual display inside ``box``, or None when it holds one.

    Args:
        summary: Of the clip.
        box: Where to look.
        limits: Table ``panes`` of ``ultrasound.toml``.
    """
    lit = summary.lit[box.slices]
    columns = np.flatnonzero(lit.mean(axis=0) > 0)
    if len(columns) < 2 * _SMALLEST_PX:
        return None
    first, last = int(columns[0]), int(columns[-1]) + 1
    width = last - first
    middle = range(first + int(_MIDDLE[0] * width), first + int(_MIDDLE[1] * width))
    profile = np.convolve(lit.mean(axis=0), np.ones(3) / 3, mode="same")
    dark = int(np.mean([c for c in middle if profile[c] <= profile[middle.start : middle.stop].min() + 1e-6]))
    tint = summary.tint[box.slices].mean(axis=0)
    step = np.abs(_step(tint, middle, reach=max(4, width // 8)))
    changing = middle[int(step.argmax())]
    for cut in dict.fromkeys((dark, changing, first + width // 2)):
        halves = _halves(lit, first, cut, last, box)
        if halves is None:
            continue
        left, right = halves
        if _repeats(summary.lit[left.slices], summary.lit[right.slices]) and _differ(summary, left, right, limits):
            return left, right
    return None


def _step(values: NDArray[np.floating[Any]], middle: range, *, reach: int) -> NDArray[np.float64]:
    sums = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    at = np.asarray(middle)
    before, after = np.maximum(at - reach, 0), np.minimum(at + reach, len(values))
    return np.asarray((sums[after] - sums[at]) / (after - at) - (sums[at] - sums[before]) / (at - before))


def _halves(lit: NDArray[np.bool_], first: int, cut: int, last: int, box: Box) -> tuple[Box, Box] | None:
    found = []
    for begin, end in ((first, cut), (cut, last)):
        part = lit[:, begin:end]
        rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
        if len(rows) < _SMALLEST_PX or len(columns) < _SMALLEST_PX:
            return None
        top, left = box.top + int(rows[0]), box.left + begin + int(columns[0])
        bottom, right = box.top + int(rows[-1]) + 1, box.left + begin + int(columns[-1]) + 1
        found.append(Box(top, bottom, left, right))
    left_box, right_box = found
    return left_box, right_box


def _repeats(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> bool:
    """Whether the right outline is the left one again, and not merely its mirror image."""
    rows, columns = (max(a, b) for a, b in zip(left.shape, right.shape, strict=True))
    if min(left.shape[1], right.shape[1]) < 0.75 * columns:
        return False
    outlines = []
    for half in (left, right):
        filled = np.zeros((rows, columns), dtype=bool)
        filled[: half.shape[0], : half.shape[1]] = ndimage.binary_closing(half, iterations=3) | half
        outlines.append(filled)
    repeated = _dice(outlines[0], outlines[1])
    mirrored = _dice(outlines[0], np.fliplr(outlines[1]))
    return repeated >= _REPEATS and repeated >= mirrored - 0.1


def _dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    both = int(first.sum() + second.sum())
    return 2 * int((first & second).sum()) / both if both else 0.0


def _differ(summary: Summary, left: Box, right: Box, limits: Mapping[str, Any]) -> bool:
    """Whether something tells the halves apart that would not tell apart the halves of one picture."""
    a, b = (_look(summary, box) for box in (left, right))
    return bool(
        abs(a.tint - b.tint) >= limits["tint_levels"]
        or min(a.early, b.early) <= limits["dark_part"] * max(a.early, b.early)
        or _rises_more(a, b, limits)
        or _rises_more(b, a, limits)
    )


@dataclass(frozen=True)
class Look:
    """What tells contrast from B-mode: mean levels over the lit part of a picture.

    Attributes:
        tint: Distance from grey.
        early: Level in the first tenth of the clip.
        rise: Highest level of the smoothed curve above the early one; 0 for stills and short clips.
    """

    tint: float
    early: float
    rise: float


def _look(summary: Summary, box: Box) -> Look:
    lit = summary.lit[box.slices]
    if not lit.any():
        return Look(0.0, 0.0, 0.0)
    part = summary.over_time[(slice(None), *box.slices)]
    curve = part[:, lit].mean(axis=1, dtype=np.float64)
    early = float(curve[: max(1, len(curve) // 10)].mean())
    if len(curve) < _FEWEST_FRAMES_OVER_TIME:
        return Look(float(summary.tint[box.slices][lit].mean()), early, 0.0)
    smooth = ndimage.uniform_filter1d(curve, 5, mode="nearest")
    return Look(float(summary.tint[box.slices][lit].mean()), early, max(0.0, float(smooth.max()) - early))


def _rises_more(one: Look, other: Look, limits: Mapping[str, Any]) -> bool:
    return bool(one.rise >= limits["tint_levels"] and one.rise >= limits["dynamics_ratio"] * max(other.rise, 1.0))


@dataclass(frozen=True)
class Named:
    """What a picture shows and why."""

    pane: Pane
    evidence: tuple[str, ...]


def name_pair(summary: Summary, left: Box, right: Box, *, limits: Mapping[str, Any]) -> tuple[Named, Named]:
    """Which of two pictures shows contrast: tint, a dark start and a rise each have one vote.

    Contrast modes are shown in a tint while B-mode stays grey, they suppress tissue before the agent arrives, and
    they brighten when it does.
    """
    a, b = (_look(summary, box) for box in (left, right))
    for_left, for_right = _votes(a, b, limits), _votes(b, a, limits)
    if len(for_left) == len(for_right):
        why = "tint, level before contrast and change over time do not tell the two pictures apart"
        return (Named(Pane.UNKNOWN, (why,)),) * 2
    left_wins = len(for_left) > len(for_right)
    votes = tuple(for_left if left_wins else for_right)
    against = for_right if left_wins else for_left
    doubt = tuple(f"against it: {vote}" for vote in against)
    contrast = Named(Pane.CONTRAST, votes + doubt)
    other = Named(Pane.B_MODE, ("the other picture shows contrast",))
    return (contrast, other) if left_wins else (other, contrast)


def _votes(one: Look, other: Look, limits: Mapping[str, Any]) -> list[str]:
    votes = []
    if one.tint - other.tint >= limits["tint_levels"]:
        votes.append(f"tinted ({one.tint:.0f} levels from grey, the other {other.tint:.0f})")
    if one.early <= limits["dark_part"] * other.early and one.early <= limits["dark_level"]:
        votes.append(f"dark at the start (level {one.early:.0f}, the other {other.early:.0f})")
    if _rises_more(one, other, limits):
        votes.append(f"brightens (by {one.rise:.0f} levels, the other by {other.rise:.0f})")
    return votes


def name_single(summary: Summary, box: Box, *, has_agent: bool, limits: Mapping[str, Any]) -> Named:
    """What the only picture shows; two signs of contrast are asked for, as nothing stands beside it to compare."""
    look = _look(summary, box)
    signs = []
    if has_agent:
        signs.append("ContrastBolusAgent names an agent")
    if look.tint >= limits["tint_levels"]:
        signs.append(f"tinted ({look.tint:.0f} levels from grey)")
    rises = look.rise >= max(limits["tint_levels"], limits["dynamics_ratio"] * look.early)
    if rises:
        signs.append(f"brightens from level {look.early:.0f} by {look.rise:.0f}")
    if len(signs) >= 2:
        return Named(Pane.CONTRAST, tuple(signs))
    if signs:
        return Named(Pane.UNKNOWN, (*signs, "one sign alone names no contrast picture"))
    if look.early > limits["dark_level"] / 2 and len(summary.over_time) >= _FEWEST_FRAMES_OVER_TIME:
        return Named(
            Pane.B_MODE, (f"grey, tissue from the start (level {look.early:.0f}), no agent named, no rise over time",)
        )
    return Named(Pane.UNKNOWN, ("grey, no agent named, too dark or too few frames to tell",))
