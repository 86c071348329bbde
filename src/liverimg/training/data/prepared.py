"""Cases of a data set at a pass's spacing, kept on disk between runs: NumPy arrays and JSON, never a pickle.

What is kept are pixels of patients, so the folder lies outside of any version control
(:func:`liverimg.training.retraining.run_folder.claim`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import LIVER_CONTENTS, Structure
from liverimg.core.orientation import Orientation
from liverimg.core.study import Modality
from liverimg.segmentation.intensity import UNSEEN, Intensity, limits
from liverimg.segmentation.resample import resampled
from liverimg.training.data.layouts import DataSet, LoadedCase, Source, load_case
from liverimg.workspace import hash_file

_VERSION = 1
# Network values are kept as 16-bit whole numbers: -8 to 8 in steps of 1/4096, which is far below any noise.
_STEPS = 4096
_LARGEST = 32767
_PLACES_PER_VALUE = 4000

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Preparation:
    """What a pass wants of its cases.

    Attributes:
        spacing_mm: Isotropic.
        intensity: How values are brought to -1..1.
        inputs: ``reference`` and names of phases, in the order of the network's input channels.
        around_mm: How far around the labelled liver the case is kept; None for all of it.
    """

    spacing_mm: float
    intensity: Intensity
    inputs: tuple[str, ...]
    around_mm: float | None


@dataclass(frozen=True, eq=False)
class Prepared:
    """One case, ready to cut patches from; arrays are mapped from disk, not read.

    Attributes:
        name: Of the case.
        image: Network values times ``1 / scale``, unclipped, shape (inputs there, k, j, i), int16.
        values: Label values of the data set.
        there: Numbers of the inputs that the case has, in the order of ``image``.
        places: For each label value, up to a few thousand indices (k, j, i) of voxels that carry it.
    """

    name: str
    image: NDArray[np.int16]
    values: NDArray[np.uint8]
    there: tuple[int, ...]
    places: Mapping[int, NDArray[np.int32]]

    @property
    def shape(self) -> Shape:
        """Of the case, (k, j, i)."""
        k, j, i = self.values.shape
        return k, j, i


def to_network_values(stored: NDArray[np.int16]) -> NDArray[np.float32]:
    """Stored whole numbers as network values; -1..1 is what the network sees, the rest is still to be clipped."""
    return np.asarray(stored, dtype=np.float32) * np.float32(1 / _STEPS)


def prepare(
    dataset: DataSet,
    sources: Sequence[Source],
    preparation: Preparation,
    cache: Path,
    *,
    liver_median_hu: tuple[float, float],
    progress: Callable[[float], None],
) -> list[Prepared]:
    """Prepares every case that is not in the cache yet, and opens all.

    Args:
        dataset: What the files mean.
        sources: The cases.
        preparation: What the pass wants.
        cache: Folder for the arrays.
        liver_median_hu: Range that the median of a CT's liver has to lie in.
        progress: Told the fraction done.

    Raises:
        InputRefusedError: A file that can't be used, or a CT that does not hold Hounsfield units.
    """
    found = []
    for number, source in enumerate(sources):
        folder = cache / _key(dataset, source, preparation)
        if not (folder / "case.json").is_file():
            case = load_case(dataset, source)
            check_hounsfield(dataset, case, liver_median_hu)
            _store(case, dataset, preparation, folder)
        found.append(_open(folder, source.name))
        progress((number + 1) / len(sources))
    return found


def check_hounsfield(dataset: DataSet, case: LoadedCase, liver_median_hu: tuple[float, float]) -> None:
    """Refuses a CT whose labelled liver is as bright as no liver is."""
    if dataset.modality is not Modality.CT:
        return
    liver = [v for v, m in dataset.labels.items() if m.structures == (Structure.LIVER,)]
    inside = np.isin(case.values, liver)
    if not inside.any():
        return
    median = float(np.median(case.reference.array[inside]))
    low, high = liver_median_hu
    if not low <= median <= high:
        raise InputRefusedError(
            f"the liver of case {case.name} has a median of {median:.0f}, expected {low:.0f} to {high:.0f} HU; give "
            "the CT in Hounsfield units, not normalised, and check that the label lies on the liver"
        )


def _key(dataset: DataSet, source: Source, preparation: Preparation) -> str:
    """Of the files' content and of all that the stored arrays depend on."""
    what = {
        "version": _VERSION,
        "files": [hash_file(path) for path in (*source.images, source.label)],
        "phases": [None if p is None else p.value for p in dataset.phases],
        "reference": dataset.reference,
        "modality": dataset.modality.value,
        "liver": _anatomy(dataset),
        "preparation": repr(preparation),
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def _anatomy(dataset: DataSet) -> list[int]:
    """Label values that the surroundings of the liver are cut out around."""
    wanted = set(LIVER_CONTENTS)
    liver = [v for v, m in dataset.labels.items() if wanted.intersection(m.structures)]
    return liver or [v for v, m in dataset.labels.items() if m.structures]


def _store(case: LoadedCase, dataset: DataSet, preparation: Preparation, folder: Path) -> None:
    turn = Orientation.of(case.reference.grid)
    grid = turn.turn_grid(case.reference.grid)
    small = grid.resampled(preparation.spacing_mm)
    ratio = small.spacing_mm / grid.spacing_mm
    values = _resampled_values(turn.turn(case.values), small.shape, ratio)
    box = _box(values, _anatomy(dataset), preparation)
    volumes = {"reference": case.reference} | {phase.value: volume for phase, volume in case.others.items()}
    there = [n for n, name in enumerate(preparation.inputs) if name in volumes]
    image = np.empty((len(there), *(s.stop - s.start for s in box)), dtype=np.int16)
    for row, number in enumerate(there):
        volume = volumes[preparation.inputs[number]]
        low, high = limits(volume.array, preparation.intensity)
        fine = resampled(turn.turn(volume.array), small.shape, ratio)[box]
        scaled = (fine - low) * (2 / (high - low)) + UNSEEN
        image[row] = np.clip(np.rint(scaled * _STEPS), -_LARGEST, _LARGEST)
    part = folder.with_name(folder.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    np.save(part / "image.npy", image, allow_pickle=False)
    np.save(part / "values.npy", values[box], allow_pickle=False)
    np.savez(part / "places.npz", allow_pickle=False, **_places(values[box]))
    (part / "case.json").write_text(json.dumps({"there": there}) + "\n", encoding="utf-8")
    part.replace(folder)


def _resampled_values(values: NDArray[np.uint8], shape: Shape, ratio: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The value that covers most of each new voxel."""
    best = np.zeros(shape, dtype=np.float32)
    found = np.zeros(shape, dtype=np.uint8)
    for value in np.flatnonzero(np.bincount(values.reshape(-1), minlength=256)):
        share = resampled(values == value, shape, ratio)
        better = share > best
        found[better] = value
        np.maximum(best, share, out=best)
    return found


def _box(values: NDArray[np.uint8], anatomy: Sequence[int], preparation: Preparation) -> tuple[slice, slice, slice]:
    k, j, i = (slice(0, n) for n in values.shape)
    inside = np.isin(values, anatomy)
    if preparation.around_mm is None or not inside.any():
        return k, j, i
    pad = int(np.ceil(preparation.around_mm / preparation.spacing_mm))
    box = []
    for axis, count in enumerate(values.shape):
        hit = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(max(0, int(hit[0]) - pad), min(count, int(hit[-1]) + 1 + pad)))
    return box[0], box[1], box[2]


def _places(values: NDArray[np.uint8]) -> dict[str, NDArray[np.int32]]:
    """Evenly spread voxels of each value, the same in every run."""
    found = {}
    for value in np.flatnonzero(np.bincount(values.reshape(-1), minlength=256)):
        flat = np.flatnonzero(values.reshape(-1) == value)
        chosen = flat[np.linspace(0, len(flat) - 1, min(len(flat), _PLACES_PER_VALUE)).astype(np.int64)]
        found[str(value)] = np.column_stack(np.unravel_index(chosen, values.shape)).astype(np.int32)
    return found


def _open(folder: Path, name: str) -> Prepared:
    try:
        with np.load(folder / "places.npz", allow_pickle=False) as stored:
            places = {int(value): stored[value] for value in stored.files}
        return Prepared(
            name=name,
            image=np.load(folder / "image.npy", mmap_mode="r", allow_pickle=False),
            values=np.load(folder / "values.npy", mmap_mode="r", allow_pickle=False),
            there=tuple(json.loads((folder / "case.json").read_text(encoding="utf-8"))["there"]),
            places=places,
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputRefusedError(
            f"the prepared arrays of case {name} are damaged ({type(error).__name__}); delete the cache folder and "
            "start again"
        ) from error
