"""Reading data sets as the field lays them out: Medical Segmentation Decathlon (MSD) and nnU-Net v2.

MSD: ``dataset.json`` with ``modality``, ``labels`` (value to name) and ``training`` (pairs of files).
nnU-Net v2: ``dataset.json`` with ``channel_names``, ``labels`` (name to value, or to the values of a region) and
``file_ending``; ``imagesTr/CASE_0000.nii.gz`` for each channel and ``labelsTr/CASE.nii.gz``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import GridMismatchError, InputRefusedError
from liverimg.core.labels import Structure
from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.files import nifti, records
from liverimg.training.data.names import Meaning, NameTable, plain

_ENDINGS = (".nii.gz", ".nii")
_LABEL_VALUES = 256
_NAMED_AT_MOST = 3


@dataclass(frozen=True)
class Source:
    """The files of one case.

    Attributes:
        name: As the data set calls it.
        images: One file per channel.
        label: Label values on the images' grid.
    """

    name: str
    images: tuple[Path, ...]
    label: Path


@dataclass(frozen=True, eq=False)
class DataSet:
    """A folder of cases, its names understood.

    Attributes:
        name: As ``dataset.json`` says, or the folder's.
        sources: The cases, by name.
        modality: Of all channels.
        reference: Number of the channel that the labels were drawn on.
        phases: Contrast phase of each channel, where its name tells.
        labels: Meaning of each label value, 0 included.
        label_names: Name of each label value, as given.
        complete: Structures whose parts are all labelled.
    """

    name: str
    sources: tuple[Source, ...]
    modality: Modality
    reference: int
    phases: tuple[Phase | None, ...]
    labels: Mapping[int, Meaning]
    label_names: Mapping[int, str]
    complete: frozenset[Structure] = frozenset()

    def source(self, name: str) -> Source:
        """The case of that name."""
        return next(s for s in self.sources if s.name == name)


@dataclass(frozen=True, eq=False)
class LoadedCase:
    """One case in memory.

    Attributes:
        name: As the data set calls it.
        reference: The image that the labels were drawn on.
        others: Further phases, on the same grid.
        values: Label values of the data set, on the same grid.
    """

    name: str
    reference: Volume
    others: Mapping[Phase, Volume]
    values: NDArray[np.uint8]


def read_dataset(folder: Path, names: NameTable) -> DataSet:
    """Reads what a data set says of itself; no image is opened.

    Args:
        folder: With ``dataset.json``, ``imagesTr`` and ``labelsTr``.
        names: What names mean.

    Raises:
        InputRefusedError: No data set, files missing, names that nobody knows.
        RecordInvalidError: ``dataset.json`` is broken.
    """
    path = folder / "dataset.json"
    if not path.is_file():
        raise InputRefusedError(
            f"{folder.name} holds no dataset.json; expected one data set in the MSD or nnU-Net layout "
            "(dataset.json, imagesTr, labelsTr): give its folder itself"
        )
    record = records.load(path)
    try:
        if "channel_names" in record or "file_ending" in record:
            channels, values, sources = _nnunet(folder, record)
        elif "modality" in record and "training" in record:
            channels, values, sources = _msd(folder, record)
        else:
            raise InputRefusedError(
                f"the dataset.json in {folder.name} has neither 'channel_names' (nnU-Net v2) nor 'modality' and "
                "'training' (MSD); expected one of these layouts"
            )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputRefusedError(
            f"the dataset.json in {folder.name} is not as expected ({type(error).__name__}: {error}); compare it with "
            "docs/how-to/retrain.md"
        ) from error
    _check_files(folder, sources, record.get("numTraining"))
    reference = _reference_channel(channels, names)
    present = {plain(name) for name in values.values()}
    return DataSet(
        name=str(record.get("name", folder.name)),
        sources=tuple(sorted(sources, key=lambda s: s.name)),
        modality=names.channel_modality(channels),
        reference=reference,
        phases=tuple(names.channel_phase(c) for c in channels),
        labels={0: Meaning()} | {value: names.label(name) for value, name in values.items() if value != 0},
        label_names=values,
        complete=frozenset(s for s, sets in names.whole.items() if any(parts <= present for parts in sets)),
    )


def load_case(dataset: DataSet, source: Source) -> LoadedCase:
    """Reads the images and labels of one case.

    Raises:
        InputRefusedError: Unreadable, four-dimensional, NaN voxels, or label values that have no name.
        GridMismatchError: The files of the case lie on different grids.
    """
    quantity = Quantity.HU if dataset.modality is Modality.CT else Quantity.MR_SIGNAL
    volumes = [_read_image(path, quantity) for path in source.images]
    reference = volumes[dataset.reference]
    for path, volume in zip(source.images, volumes, strict=True):
        if not volume.grid.fits_in_space(reference.grid):
            raise GridMismatchError(
                f"{path.name} lies on another grid than {source.images[dataset.reference].name}; resample the "
                "channels of a case onto one grid first"
            )
    values = nifti.read_labels(source.label, {}, lesions={}, on=reference.grid).array
    used = np.flatnonzero(np.bincount(values.reshape(-1), minlength=_LABEL_VALUES))
    nameless = [int(v) for v in used if int(v) not in dataset.labels]
    if nameless:
        raise InputRefusedError(
            f"{source.label.name} holds the label value {nameless[0]}, which dataset.json does not name; expected only "
            f"{', '.join(map(str, sorted(dataset.labels)))}"
        )
    others = {
        phase: volume
        for number, (phase, volume) in enumerate(zip(dataset.phases, volumes, strict=True))
        if phase is not None and number != dataset.reference
    }
    return LoadedCase(source.name, reference, others, values)


def _read_image(path: Path, quantity: Quantity) -> Volume:
    try:
        volume = nifti.read_volume(path, quantity)
    except InputRefusedError as error:
        if "dimensions" not in str(error):
            raise
        raise InputRefusedError(
            f"{error}; a case with several channels wants one file for each (CASE_0000.nii.gz, CASE_0001.nii.gz), as "
            "in the nnU-Net layout"
        ) from error
    array = volume.array
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputRefusedError(f"{path.name} holds NaN or infinite voxels; export it again")
        array = array.astype(np.float32)
    return Volume(array, volume.grid, quantity)


_Parsed = tuple[list[str], dict[int, str], list[Source]]


def _nnunet(folder: Path, record: Mapping[str, Any]) -> _Parsed:
    ending = str(record.get("file_ending", ".nii.gz"))
    if ending not in _ENDINGS:
        raise InputRefusedError(
            f"the data set {folder.name} holds {ending!r} files; expected {' or '.join(_ENDINGS)}: convert them first"
        )
    named = record["channel_names"] if "channel_names" in record else record["modality"]
    channels = [str(named[str(n)]) for n in range(len(named))]
    values = _smallest_regions(record["labels"])
    listed = record.get("dataset")
    if isinstance(listed, Mapping):
        sources = [
            Source(str(case), tuple(_inside(folder, p) for p in entry["images"]), _inside(folder, entry["label"]))
            for case, entry in listed.items()
        ]
        return channels, values, sources
    labels = sorted(p for p in (folder / "labelsTr").glob(f"*{ending}") if not p.name.startswith("."))
    sources = []
    for label in labels:
        case = label.name.removesuffix(ending)
        images = tuple(folder / "imagesTr" / f"{case}_{n:04d}{ending}" for n in range(len(channels)))
        sources.append(Source(case, images, label))
    return channels, values, sources


def _smallest_regions(labels: Mapping[str, Any]) -> dict[int, str]:
    """The name of each value: of the regions that contain it, the one with the fewest values."""
    regions = {name: set(_integers(value)) for name, value in labels.items()}
    found: dict[int, str] = {}
    for value in sorted(set().union(*regions.values())):
        around = sorted((len(values), name) for name, values in regions.items() if value in values)
        if len(around) > 1 and around[0][0] == around[1][0]:
            raise InputRefusedError(
                f"the labels {around[0][1]!r} and {around[1][1]!r} of dataset.json both mean value {value}; expected "
                "regions that lie within each other"
            )
        found[value] = around[0][1]
    return found


def _integers(value: Any) -> list[int]:
    numbers = value if isinstance(value, list | tuple) else [value]
    found = [int(n) for n in numbers]
    if not found or min(found) < 0 or max(found) >= _LABEL_VALUES:
        raise ValueError(f"label values {numbers} are not within 0 to {_LABEL_VALUES - 1}")
    return found


def _msd(folder: Path, record: Mapping[str, Any]) -> _Parsed:
    channels = [str(record["modality"][str(n)]) for n in range(len(record["modality"]))]
    values = {_integers(value)[0]: str(name) for value, name in record["labels"].items()}
    sources = []
    for entry in record["training"]:
        image, label = _inside(folder, entry["image"]), _inside(folder, entry["label"])
        name = label.name
        for ending in _ENDINGS:
            name = name.removesuffix(ending)
        sources.append(Source(name, (image,), label))
    if len(channels) > 1 and sources:
        raise InputRefusedError(
            f"the data set {folder.name} keeps {len(channels)} channels in one four-dimensional file, as MSD does; "
            "convert it to the nnU-Net layout (nnUNetv2_convert_MSD_dataset), which has one file for each"
        )
    return channels, values, sources


def _inside(folder: Path, relative: str) -> Path:
    path = folder / relative
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputRefusedError(f"dataset.json names {relative!r}, which lies outside of the data set's folder")
    return path


def _check_files(folder: Path, sources: list[Source], said: Any) -> None:
    if not sources:
        raise InputRefusedError(f"the data set {folder.name} has no training cases; expected labels in labelsTr")
    doubled = sorted({s.name for s in sources if sum(o.name == s.name for o in sources) > 1})
    if doubled:
        raise InputRefusedError(f"dataset.json names the case {doubled[0]!r} more than once; expected each once")
    missing = [p.name for s in sources for p in (*s.images, s.label) if not p.is_file()]
    if missing:
        more = f" and {len(missing) - _NAMED_AT_MOST} more" if len(missing) > _NAMED_AT_MOST else ""
        raise InputRefusedError(
            f"the data set {folder.name} lacks {', '.join(missing[:_NAMED_AT_MOST])}{more}; expected every file that "
            "dataset.json and labelsTr speak of"
        )
    if isinstance(said, int) and said != len(sources):
        raise InputRefusedError(
            f"dataset.json of {folder.name} says {said} training cases, but there are {len(sources)}; correct "
            "numTraining or add what is missing"
        )


def _reference_channel(channels: list[str], names: NameTable) -> int:
    if names.reference is None:
        return 0
    known = [plain(c) for c in channels]
    if names.reference not in known:
        raise InputRefusedError(
            f"no channel is called {names.reference!r}, which --names gives as the reference; found: "
            f"{', '.join(channels)}"
        )
    return known.index(names.reference)
