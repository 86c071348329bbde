"""Running a cascade over a volume: the whole view first, then the liver's surroundings more finely."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cc3d
import numpy as np
import torch
from numpy.typing import NDArray

from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.orientation import Orientation
from liverimg.core.volume import Quantity, Volume
from liverimg.segmentation.bundle import Bundle, Pass
from liverimg.segmentation.precision import use_bfloat16
from liverimg.segmentation.resample import Enlarger, resampled

FloatArray = NDArray[np.float32]
Box = tuple[slice, slice, slice]
_IN_LIVER = (
    Structure.LIVER,
    Structure.TUMOUR,
    Structure.HEPATIC_VEIN,
    Structure.PORTAL_VEIN,
    Structure.BILE_DUCT,
)
_FEWEST_SLICES = 3
# The fine pass may move the liver's border only where the coarse pass thinks at least this of liver.
_COARSE_SUPPORT = 0.08


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What the networks drew, before any tidying.

    Attributes:
        labels: On the volume's own grid; every structure of the bundle counts as looked for.
    """

    labels: LabelMap


def segment_volume(volume: Volume, bundle: Bundle, *, progress: Callable[[float], None] | None = None) -> Segmentation:
    """Labels every structure that the bundle knows.

    The array is turned to standard order, resampled to each pass's spacing along its own axes, and the class
    probabilities (not the labels) are interpolated back to the volume's voxels. A view without a liver gives
    labels without one.

    Args:
        volume: CT in HU, any orientation.
        bundle: The model.
        progress: Told the fraction done, 0 to 1.

    Raises:
        InputRefusedError: No HU, NaN or infinite voxels, or a single slice.
    """
    _check(volume, bundle)
    tell = progress or (lambda _: None)
    turn = Orientation.of(volume.grid)
    array, grid = turn.turn(volume.array), turn.turn_grid(volume.grid)
    coarse = bundle.passes[0]
    probability, coarse_grid = _run(coarse, array, grid, bundle, lambda done: tell(0.3 * done))
    labels = _enlarged_labels(probability, coarse, coarse_grid, grid, bundle)
    tell(0.45)
    support = probability[_channel(coarse, Structure.LIVER)]
    for fine in bundle.passes[1:]:
        box = _around_liver(support, coarse_grid, grid, fine.around_mm or 0.0)
        if box is not None:
            view = grid.cropped([s.start for s in box], array[box].shape)
            found, fine_grid = _run(fine, array[box], view, bundle, lambda done: tell(0.45 + 0.4 * done))
            _merge(labels[box], found, fine, fine_grid, view, _gate(support, coarse_grid, grid, box), bundle)
    tell(1.0)
    back = np.ascontiguousarray(turn.turn_back(labels))
    return Segmentation(LabelMap(back, volume.grid, dict(bundle.values)))


def _check(volume: Volume, bundle: Bundle) -> None:
    if volume.quantity is not Quantity.HU:
        raise InputRefusedError(
            f"the volume holds {volume.quantity}, but the model {bundle.name} was made for CT in HU; choose a CT series"
        )
    if min(volume.grid.shape) < _FEWEST_SLICES:
        shape = " x ".join(str(n) for n in volume.grid.shape)
        raise InputRefusedError(f"the volume has {shape} voxels, expected at least 3 slices; choose a whole series")
    if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).all():
        raise InputRefusedError("the volume holds NaN or infinite voxels; export the series again")


def _channel(one: Pass, structure: Structure) -> int:
    return next(c for c, s in one.channels.items() if s is structure)


def _run(
    one: Pass, array: NDArray[np.generic], grid: Grid, bundle: Bundle, tell: Callable[[float], None]
) -> tuple[FloatArray, Grid]:
    """Class probabilities (classes, k, j, i) on the pass's own grid."""
    small_grid = grid.resampled(one.spacing_mm)
    hu = resampled(array, small_grid.shape, small_grid.spacing_mm / grid.spacing_mm)
    low, high = one.window_hu
    scaled = (np.clip(hu, low, high) - low) * np.float32(2 / (high - low)) - 1
    image = torch.from_numpy(np.asarray(scaled, dtype=np.float32))[None, None].to(bundle.device)
    half = use_bfloat16(bundle.device)
    total, done = _window_count(one, small_grid.shape), 0

    def predict(patch: torch.Tensor) -> torch.Tensor:
        nonlocal done
        with torch.autocast(bundle.device.type, torch.bfloat16, enabled=half):
            logits = one.network(patch)
        done += len(patch)
        tell(min(1.0, done / total))
        return torch.softmax(logits.float(), dim=1)

    with torch.inference_mode():
        probability = one.inferer(image, predict)[0].float().cpu().numpy()
    return np.asarray(probability), small_grid


def _window_count(one: Pass, shape: tuple[int, int, int]) -> int:
    """About how many windows the inferer will need; only the progress bar depends on it."""
    patch = np.asarray(getattr(one.inferer, "roi_size", shape), dtype=float)
    step = patch * (1 - float(np.max(getattr(one.inferer, "overlap", 0.0))))
    return int(np.prod(np.ceil(np.maximum(0, np.asarray(shape) - patch) / step) + 1))


def _values(one: Pass, bundle: Bundle) -> NDArray[np.uint8]:
    table = np.zeros(1 + len(one.channels), dtype=np.uint8)
    for channel, structure in one.channels.items():
        table[channel] = bundle.values[structure]
    return table


def _enlarged_labels(probability: FloatArray, one: Pass, small: Grid, grid: Grid, bundle: Bundle) -> NDArray[np.uint8]:
    table = _values(one, bundle)
    enlarger = Enlarger(probability, grid.shape, grid.spacing_mm / small.spacing_mm)
    labels = np.empty(grid.shape, dtype=np.uint8)
    for k in range(grid.shape[0]):
        labels[k] = table[enlarger.slice(k).argmax(axis=0)]
    return labels


def _around_liver(support: FloatArray, small: Grid, grid: Grid, around_mm: float) -> Box | None:
    """The part of ``grid`` around the largest piece that the coarse pass calls liver."""
    liver = support > 0.5
    if not liver.any():
        return None
    largest = cc3d.largest_k(liver, k=1).astype(bool)
    box = []
    for axis in range(3):
        occupied = np.flatnonzero(largest.any(axis=tuple(a for a in range(3) if a != axis)))
        step = small.spacing_mm[axis] / grid.spacing_mm[axis]
        pad = around_mm / grid.spacing_mm[axis]
        start = max(0, int(occupied[0] * step - pad))
        box.append(slice(start, min(grid.shape[axis], int(np.ceil((occupied[-1] + 1) * step + pad)))))
    return box[0], box[1], box[2]


def _gate(support: FloatArray, small: Grid, grid: Grid, box: Box) -> Callable[[int], NDArray[np.bool_]]:
    """For slice k of the box: where the coarse pass gives the liver at least some support."""
    enlarger = Enlarger(support[None], grid.shape, grid.spacing_mm / small.spacing_mm)

    def supported(k: int) -> NDArray[np.bool_]:
        return np.asarray(enlarger.slice(box[0].start + k)[0, box[1], box[2]] > _COARSE_SUPPORT)

    return supported


def _merge(
    labels: NDArray[np.uint8],
    probability: FloatArray,
    one: Pass,
    small: Grid,
    view: Grid,
    gate: Callable[[int], NDArray[np.bool_]],
    bundle: Bundle,
) -> None:
    """Writes the fine pass over the coarse labels of its box, in place.

    Structures that the fine pass knows are its to decide; where it sees none of them, the coarse label stays if
    it is of another structure. The liver and what lies in it need some support from the coarse pass.
    """
    table = _values(one, bundle)
    own = np.zeros(256, dtype=bool)
    own[table[1:]] = True
    needs_support = np.isin(table, [bundle.values[s] for s in _IN_LIVER if s in bundle.values])
    enlarger = Enlarger(probability, view.shape, view.spacing_mm / small.spacing_mm)
    for k in range(view.shape[0]):
        channel = enlarger.slice(k).argmax(axis=0)
        channel[needs_support[channel] & ~gate(k)] = 0
        found = table[channel]
        coarse = np.where(own[labels[k]], np.uint8(0), labels[k])
        labels[k] = np.where(found > 0, found, coarse)
