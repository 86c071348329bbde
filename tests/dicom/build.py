"""Small DICOM studies to order: correct by default, spoilt by the test that asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, MRImageStorage

from liverimg.core.grid import Grid

ROOT = "1.2.826.0.1.3680043.8.498.5"
STUDY_UID = f"{ROOT}.1"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"

Edit = Callable[[Any, int], None]

PLAIN_GRID = Grid.from_axes(
    (8, 14, 16),
    spacing_mm=(2.5, 0.9, 0.8),
    origin_lps_mm=(-12.5, 40.25, -333.5),
    frame_of_reference_uid=f"{ROOT}.3",
)

# JPEG 2000 encoders want some width.
LARGER_GRID = Grid.from_axes((3, 40, 48), spacing_mm=(2.5, 0.9, 0.8), frame_of_reference_uid=f"{ROOT}.3")


def values_on(grid: Grid, *, seed: int = 0) -> np.ndarray:
    """Different Hounsfield units in every voxel, from -900 to some 1900, so that any mix-up of voxels shows."""
    count = int(np.prod(grid.shape))
    levels = np.random.default_rng(seed).permutation(count) % 2800 - 900
    return levels.reshape(grid.shape).astype(np.int16)


def write_series(
    folder: Path,
    *,
    grid: Grid = PLAIN_GRID,
    values: np.ndarray | None = None,
    series: int = 1,
    first_instance: int = 1,
    modality: str = "CT",
    edit: Edit | None = None,
    names: Sequence[str] | None = None,
    skip: Sequence[int] = (),
    transfer_syntax: str = ExplicitVRLittleEndian,
    description: str = "",
) -> list[Path]:
    """Writes one slice per k; ``edit`` may change each data set before it is saved. Returns the files."""
    values = values_on(grid, seed=series) if values is None else values
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k in range(grid.shape[0]):
        if k in skip:
            continue
        instance = first_instance + k
        dataset = slice_dataset(grid, values[k], k, series=series, instance=instance, modality=modality)
        dataset.SeriesDescription = description
        if edit is not None:
            edit(dataset, k)
        path = folder / (names[k] if names else f"s{series}_{instance:04d}.dcm")
        save(dataset, path, transfer_syntax)
        paths.append(path)
    return paths


def save(dataset: Any, path: Path, transfer_syntax: str = ExplicitVRLittleEndian) -> None:
    """Saves in a transfer syntax, compressing where it asks for that."""
    syntax = UID(transfer_syntax)
    if syntax.is_encapsulated:
        dataset.compress(transfer_syntax, generate_instance_uid=False)
    elif transfer_syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    if transfer_syntax == ExplicitVRBigEndian:
        dcmwrite(path, dataset, implicit_vr=False, little_endian=False, force_encoding=True)
    else:
        dataset.save_as(path, enforce_file_format=True)


def _header(modality: str, sop_class: str, sop_uid: str, series: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = sop_uid
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Modality = modality
    dataset.StudyDate = dataset.AcquisitionDate = "20260101"
    dataset.AcquisitionTime = "100000"
    dataset.PatientName = "PHANTOM^TEST"
    dataset.PatientID = "PHANTOM"
    dataset.StudyInstanceUID = STUDY_UID
    dataset.SeriesInstanceUID = f"{ROOT}.2.{series}"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    return dataset


def slice_dataset(grid: Grid, values: np.ndarray, k: int, *, series: int, instance: int, modality: str) -> FileDataset:
    """One classic CT or MR slice."""
    sop_class = CTImageStorage if modality == "CT" else MRImageStorage
    dataset = _header(modality, sop_class, f"{ROOT}.9.{series}.{instance}", series)
    dataset.InstanceNumber = instance
    dataset.AcquisitionNumber = 1
    dataset.FrameOfReferenceUID = grid.frame_of_reference_uid
    dataset.SliceThickness = round(float(grid.spacing_mm[0]), 6)
    dataset.ImageOrientationPatient = decimals(*grid.directions[2], *grid.directions[1])
    dataset.ImagePositionPatient = decimals(*grid.index_to_lps_mm((k, 0, 0)))
    dataset.PixelSpacing = decimals(grid.spacing_mm[1], grid.spacing_mm[2])
    dataset.Rows, dataset.Columns = values.shape
    if modality == "CT":
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
        dataset.PixelData = (values.astype(np.int32) + 1024).astype("<u2").tobytes()
    else:
        dataset.PixelData = (values.astype(np.int32) + 1024).astype("<u2").tobytes()
    return dataset


def enhanced(
    grid: Grid,
    values: np.ndarray,
    *,
    order: Sequence[int],
    phases: int = 1,
    modality: str = "CT",
    per_frame: Callable[[Dataset, int, int], None] | None = None,
) -> FileDataset:
    """One enhanced multi-frame object; ``order`` says which (phase, slice) number each frame is."""
    dataset = _header(modality, ENHANCED_CT if modality == "CT" else ENHANCED_MR, f"{ROOT}.9.77.1", 77)
    dataset.FrameOfReferenceUID = grid.frame_of_reference_uid
    dataset.NumberOfFrames = len(order)
    dataset.Rows, dataset.Columns = grid.shape[1:]
    shared = Dataset()
    measures = Dataset()
    measures.PixelSpacing = decimals(grid.spacing_mm[1], grid.spacing_mm[2])
    measures.SliceThickness = round(float(grid.spacing_mm[0]), 6)
    shared.PixelMeasuresSequence = Items([measures])
    plane = Dataset()
    plane.ImageOrientationPatient = decimals(*grid.directions[2], *grid.directions[1])
    shared.PlaneOrientationSequence = Items([plane])
    dataset.SharedFunctionalGroupsSequence = Items([shared])
    items, frames = [], []
    for number in order:
        phase, k = divmod(number, grid.shape[0])
        item = Dataset()
        place = Dataset()
        place.ImagePositionPatient = decimals(*grid.index_to_lps_mm((k, 0, 0)))
        item.PlanePositionSequence = Items([place])
        rescale = Dataset()
        # Frames of one object may be scaled differently; so they are here.
        rescale.RescaleSlope, rescale.RescaleIntercept = "1", str(-1024 - k)
        rescale.RescaleType = "HU"
        item.PixelValueTransformationSequence = Items([rescale])
        content = Dataset()
        content.TemporalPositionIndex = phase + 1
        item.FrameContentSequence = Items([content])
        if per_frame is not None:
            per_frame(item, phase, k)
        items.append(item)
        frames.append((values[k].astype(np.int32) + 50 * phase + 1024 + k).astype("<u2"))
    assert phases == 1 + max(order) // grid.shape[0]
    dataset.PerFrameFunctionalGroupsSequence = Items(items)
    dataset.PixelData = np.stack(frames).tobytes()
    return dataset


def decimals(*numbers: float) -> list[str]:
    """DICOM decimal strings of at most 16 characters."""
    texts = []
    for number in numbers:
        digits = 14
        while len(text := f"{float(number) + 0.0:.{digits}g}") > 16:
            digits -= 1
        texts.append(text)
    return texts


def same_in_space(volume: Any, grid: Grid, values: np.ndarray, *, tolerance_mm: float = 0.01) -> None:
    """Asserts that every voxel of ``values`` on ``grid`` lies at the same place in ``volume``, with its value."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    there = volume.grid.lps_mm_to_index(grid.index_to_lps_mm(index))
    nearest = np.rint(there).astype(int)
    apart_mm = np.abs((there - nearest) * volume.grid.spacing_mm).max()
    assert apart_mm < tolerance_mm, f"voxel centres differ by {apart_mm} mm"
    assert (nearest >= 0).all() and (nearest < volume.grid.shape).all()
    np.testing.assert_array_equal(volume.array[tuple(np.moveaxis(nearest, -1, 0))], values)
