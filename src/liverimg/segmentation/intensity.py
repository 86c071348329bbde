"""From a scanner's values to what a network sees: one rule for training and for use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

UNSEEN = -1.0
"""What a network sees where there is no image: outside the view, and in the place of a phase that is missing."""

_KINDS = ("window", "percentiles")


@dataclass(frozen=True)
class Intensity:
    """How values are brought to -1..1.

    Attributes:
        kind: ``window``: ``low`` and ``high`` are values of the image (CT: HU). ``percentiles``: they are
            percentiles of the image's values above zero, for images without a unit (MR).
        low: Becomes -1, and so does what lies below.
        high: Becomes 1, and so does what lies above.
    """

    kind: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"the intensity rule {self.kind!r} is unknown; expected one of {', '.join(_KINDS)}")
        if not self.low < self.high:
            raise ValueError(f"the intensity rule runs from {self.low} to {self.high}; expected low < high")

    @classmethod
    def from_contract(cls, entry: Mapping[str, Any]) -> Intensity:
        """From one pass of a bundle's contract: ``intensity``, or ``window_hu`` as in contract 1."""
        if "intensity" in entry:
            rule = entry["intensity"]
            return cls(str(rule["kind"]), float(rule["low"]), float(rule["high"]))
        low, high = entry["window_hu"]
        return cls("window", float(low), float(high))


def limits(array: NDArray[Any], intensity: Intensity) -> tuple[float, float]:
    """The values that become -1 and 1; an image without a value above zero keeps the range 0 to 1.

    For ``percentiles`` the whole image is meant, so take the limits before cutting a box out of it.
    """
    if intensity.kind == "window":
        return intensity.low, intensity.high
    positive = array[array > 0]
    if positive.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(positive, (intensity.low, intensity.high))
    return float(low), float(high) if high > low else float(low) + 1.0


def scaled(array: NDArray[Any], low: float, high: float) -> FloatArray:
    """Clips to ``low`` .. ``high`` and scales to -1..1."""
    return np.asarray((np.clip(array, low, high) - low) * np.float32(2 / (high - low)) - 1, dtype=np.float32)


def to_network(array: NDArray[Any], intensity: Intensity) -> FloatArray:
    """A whole image as the network sees it, same shape, -1..1."""
    return scaled(array, *limits(array, intensity))
