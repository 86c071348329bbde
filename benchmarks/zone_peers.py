"""Plain ways to draw a zone, for ``zone_truth.py``: a fixed threshold, Otsu's, and SimpleITK's region growing.

All are given more than our rule: the true liver with its zones filled, the true place of the lesion, one portal venous
image, and a mild smoothing that helps them.
"""

from __future__ import annotations

from collections.abc import Callable

import cc3d
import numpy as np
import SimpleITK
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu

from liverimg.core.grid import Grid

FIXED_HU = 60.0
_SIGMA_MM = 1.0

Peer = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def fixed(values: np.ndarray, liver: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Below 60 HU, the largest component that meets the lesion's place."""
    return _largest((values < FIXED_HU) & liver, place)


def otsu(values: np.ndarray, liver: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Below Otsu's threshold of the liver's values, likewise."""
    return _largest((values < threshold_otsu(values[liver])) & liver, place)


def connected_threshold(values: np.ndarray, liver: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Grown from the lesion's middle up to half-way between its value there and the liver's."""
    seed = _seed(place)
    upper = (float(values[seed]) + float(np.median(values[liver]))) / 2
    grown = SimpleITK.ConnectedThreshold(_image(values), [_index(seed)], lower=-2000.0, upper=upper)
    return SimpleITK.GetArrayFromImage(grown).astype(bool) & liver


def confidence_connected(values: np.ndarray, liver: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Grown from the lesion's middle to what lies within 2.5 standard deviations of what was grown before."""
    grown = SimpleITK.ConfidenceConnected(
        _image(values), [_index(_seed(place))], numberOfIterations=4, multiplier=2.5, initialNeighborhoodRadius=2
    )
    return SimpleITK.GetArrayFromImage(grown).astype(bool) & liver


PEERS: dict[str, Peer] = {
    "fixed threshold (60 HU)": fixed,
    "Otsu (scikit-image)": otsu,
    "ConnectedThreshold (SimpleITK)": connected_threshold,
    "ConfidenceConnected (SimpleITK)": confidence_connected,
}


def smoothed(values: np.ndarray, grid: Grid) -> np.ndarray:
    """What the peers are given."""
    return gaussian_filter(values, _SIGMA_MM / grid.spacing_mm)


def _largest(mask: np.ndarray, place: np.ndarray) -> np.ndarray:
    parts = cc3d.connected_components(mask, connectivity=6)
    met = np.unique(parts[place & mask])
    if not len(met):
        return np.zeros_like(mask)
    sizes = np.bincount(parts.ravel())
    return parts == max(met, key=lambda number: sizes[number])


def _seed(place: np.ndarray) -> tuple[int, ...]:
    return tuple(round(v) for v in np.argwhere(place).mean(axis=0))


def _image(values: np.ndarray) -> SimpleITK.Image:
    return SimpleITK.GetImageFromArray(values.astype(np.float32))


def _index(seed: tuple[int, ...]) -> tuple[int, ...]:
    return seed[::-1]
