"""Running a cascade over a volume: the whole view first, then the liver's surroundings more finely."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import cc3d
import numpy as np
import torch
from numpy.typing import NDArray

from liverimg.core.boxes import Box
from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.orientation import Orientation
from liverimg.core.study import Phase
from liverimg.core.volume import Volume, read_only
from liverimg.segmentation.bundle import Bundle, Pass
from liverimg.segmentation.drawing import ByteArray, FloatArray, PassOutput, enlarged_labels, merge, supported_by
from liverimg.segmentation.intensity import UNSEEN, limits, scaled
from liverimg.segmentation.memory import require_memory, told_when_short
from liverimg.segmentation.phases import AlignmentRules, PlacedPhase, averaged_onto, place
from liverimg.segmentation.precision import use_bfloat16
from liverimg.segmentation.resample import resampled

_FEWEST_SLICES = 3


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What the networks drew, before any tidying.

    Attributes:
        labels: On the volume's own grid; every structure of the bundle counts as looked for.
        confidence: Per voxel, the probability of its label in percent, read-only, shape of the volume.
        passes: What each network said, in the order they ran; a pass that found no liver to look around is not there.
        phases: What became of each further phase that was offered.
    """

    labels: LabelMap
    confidence: ByteArray = field(repr=False)
    passes: tuple[PassOutput, ...] = ()
    phases: tuple[PlacedPhase, ...] = ()


@dataclass(frozen=True, eq=False)
class _Image:
    """The reference in standard order."""

    volume: Volume
    array: NDArray[np.generic]
    grid: Grid


def segment_volume(
    volume: Volume,
    bundle: Bundle,
    *,
    others: Mapping[Phase, Volume] | None = None,
    alignment: AlignmentRules | None = None,
    progress: Callable[[float], None] | None = None,
) -> Segmentation:
    """Labels every structure that the bundle knows.

    The array is turned to standard order, resampled to each pass's spacing along its own axes, and the class
    probabilities (not the labels) are interpolated back to the volume's voxels. A view without a liver gives
    labels without one.

    Args:
        volume: The reference, of a quantity that the bundle was made for, any orientation.
        bundle: The model.
        others: Further phases in the same patient coordinates, any grid; those that the bundle can't use are passed
            over.
        alignment: When a further phase may be used; without it each is taken as it lies.
        progress: Told the fraction done, 0 to 1.

    Raises:
        InputRefusedError: Another quantity, NaN or infinite voxels, or fewer than three slices.
        MemoryShortError: It would not fit into the memory that is free.
    """
    phases = {phase: other for phase, other in (others or {}).items() if phase in bundle.phases}
    if problem := _problem(volume, bundle):
        raise InputRefusedError(problem)
    tell = progress or (lambda _: None)
    turn, image = _upright(volume)
    grid = image.grid
    coarse = _run(bundle.passes[0], image, grid, {}, bundle, lambda done: tell(0.3 * done))
    labels, sure = enlarged_labels(coarse, grid, bundle)
    tell(0.4)
    support = coarse.probability[_channel(coarse.one, Structure.LIVER)]
    placed = _placed(phases, coarse, bundle, alignment)
    tell(0.5)
    outputs = [coarse]
    for one in bundle.passes[1:]:
        box = _around_liver(support, coarse.grid, grid, one.around_mm or 0.0)
        if box is not None:
            view = grid.cropped([s.start for s in box], image.array[box].shape)
            fine = _run(one, image, view, placed, bundle, lambda done: tell(0.5 + 0.35 * done), box=box)
            merge(labels[box], sure[box], fine, view, supported_by(support, coarse.grid, grid, box), bundle)
            outputs.append(fine)
    tell(1.0)
    back, confidence = (np.ascontiguousarray(turn.turn_back(array)) for array in (labels, sure))
    return Segmentation(
        LabelMap(back, volume.grid, dict(bundle.values)), read_only(confidence), tuple(outputs), tuple(placed.values())
    )


def _upright(volume: Volume) -> tuple[Orientation, _Image]:
    turn = Orientation.of(volume.grid)
    return turn, _Image(volume, turn.turn(volume.array), turn.turn_grid(volume.grid))


def _problem(volume: Volume, bundle: Bundle) -> str:
    """Why the bundle can't look at the volume; empty when it can."""
    if volume.quantity not in bundle.quantities:
        return (
            f"the volume holds {volume.quantity}, but the model {bundle.name} was made for "
            f"{' and '.join(bundle.quantities)}; choose another series or another model"
        )
    if min(volume.grid.shape) < _FEWEST_SLICES:
        shape = " x ".join(str(n) for n in volume.grid.shape)
        return f"the volume has {shape} voxels, expected at least 3 slices; choose a whole series"
    if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).all():
        return "the volume holds NaN or infinite voxels; export the series again"
    return ""


def _placed(
    phases: Mapping[Phase, Volume], coarse: PassOutput, bundle: Bundle, rules: AlignmentRules | None
) -> dict[Phase, PlacedPhase]:
    """Where the anatomy of the reference lies in each further phase, or why that phase is left out."""
    problems = {phase: _problem(volume, bundle) for phase, volume in phases.items()}
    bad = {phase: PlacedPhase(phase, None, left_out=problem) for phase, problem in problems.items() if problem}
    phases = {phase: volume for phase, volume in phases.items() if phase not in bad}
    if rules is None:
        return bad | {phase: PlacedPhase(phase, volume) for phase, volume in phases.items()}
    liver = _channel(coarse.one, Structure.LIVER)
    if not (coarse.probability[liver] > 0.5).any():
        return bad | {phase: PlacedPhase(phase, None, left_out="the reference shows no liver") for phase in phases}
    found = dict(bad)
    for phase, volume in phases.items():
        _, image = _upright(volume)
        there = _run(coarse.one, image, image.grid, {}, bundle, lambda _: None)
        found[phase] = place(
            phase, volume, (coarse.probability[liver], coarse.grid), (there.probability[liver], there.grid), rules
        )
    return found


def _channel(one: Pass, structure: Structure) -> int:
    return next(c for c, s in one.channels.items() if s is structure)


def _run(
    one: Pass,
    image: _Image,
    view: Grid,
    placed: Mapping[Phase, PlacedPhase],
    bundle: Bundle,
    tell: Callable[[float], None],
    *,
    box: Box = (slice(None), slice(None), slice(None)),
) -> PassOutput:
    """Class probabilities on the pass's own grid, over the part ``box`` of the image, whose grid is ``view``."""
    small = view.resampled(one.spacing_mm)
    require_memory(one, small.shape, bundle.device)
    with told_when_short(one):
        tensor = torch.from_numpy(_stacked(one, image, view, small, placed, box))[None].to(bundle.device)
        half = use_bfloat16(bundle.device)
        total, done = _window_count(one, small.shape), 0

        def predict(patch: torch.Tensor) -> torch.Tensor:
            nonlocal done
            with torch.autocast(bundle.device.type, torch.bfloat16, enabled=half):
                logits = one.network(patch)
            done += len(patch)
            tell(min(1.0, done / total))
            return torch.softmax(logits.float(), dim=1)

        with torch.inference_mode():
            probability = one.inferer(tensor, predict)[0].float().cpu().numpy()
    return PassOutput(one, np.asarray(probability), small)


def _stacked(
    one: Pass, image: _Image, view: Grid, small: Grid, placed: Mapping[Phase, PlacedPhase], box: Box
) -> FloatArray:
    """The input channels: the reference, then each phase that the pass asks for, ``UNSEEN`` where it is missing."""
    stack = np.full((len(one.inputs), *small.shape), UNSEEN, dtype=np.float32)
    # Limits that depend on the image are those of all of it, whatever part of it is looked at.
    reference = resampled(image.array[box], small.shape, small.spacing_mm / view.spacing_mm)
    stack[0] = scaled(reference, *limits(image.volume.array, one.intensity))
    for channel, phase in enumerate(one.phases, start=1):
        other = placed.get(phase)
        if other is not None and other.volume is not None:
            values, seen = averaged_onto(other.volume, small, shift_lps_mm=other.shift_lps_mm)
            stack[channel][seen] = scaled(values[seen], *limits(other.volume.array, one.intensity))
    return stack


def _window_count(one: Pass, shape: tuple[int, int, int]) -> int:
    """About how many windows the inferer will need; only the progress bar depends on it."""
    patch = np.asarray(getattr(one.inferer, "roi_size", shape), dtype=float)
    step = patch * (1 - float(np.max(getattr(one.inferer, "overlap", 0.0))))
    return int(np.prod(np.ceil(np.maximum(0, np.asarray(shape) - patch) / step) + 1))


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
