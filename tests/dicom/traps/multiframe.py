"""Enhanced multi-frame CT and MR: shuffled frames, phases, tilt, scaling of each frame's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from tests.dicom import build
from tests.dicom.traps.case import INTERPOLATED_MM, Register, name_maker, scene_values
from tests.dicom.traps.order import tilt_mm
from tests.dicom.traps.scene import GRID

trap = Register()
SLICES = GRID.shape[0]
PerFrame = Callable[[Any, int, int], None]


def _shuffled(count: int) -> list[int]:
    return [int(n) for n in np.random.default_rng(7).permutation(count)]


def _write(
    folder: Path,
    *,
    phases: int = 1,
    order: list[int] | None = None,
    modality: str = "CT",
    per_frame: PerFrame | None = None,
    edit: Callable[[Any], None] | None = None,
    shift_mm: np.ndarray | None = None,
    name: str = "one.dcm",
    phase: int = 0,
    own_rescale: bool = False,
) -> None:
    def each(item: Any, number: int, k: int) -> None:
        if shift_mm is not None:
            place = GRID.index_to_lps_mm((k, 0, 0)) + shift_mm[k]
            item.PlanePositionSequence[0].ImagePositionPatient = build.decimals(*place)
        content = item.FrameContentSequence[0]
        content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", 1 + k, [1, 1 + k]
        if per_frame is not None:
            per_frame(item, number, k)

    values = scene_values(shift_mm=shift_mm, phase=phase).astype(np.int16)
    order = _shuffled(SLICES * phases) if order is None else order
    dataset = build.enhanced(GRID, values, order=order, phases=phases, modality=modality, per_frame=each)
    name_maker(dataset)
    dataset.InstanceNumber = 1
    if not own_rescale:
        _share_rescale(dataset)
    if edit is not None:
        edit(dataset)
    folder.mkdir(parents=True, exist_ok=True)
    build.save(dataset, folder / name)


def _share_rescale(dataset: Any) -> None:
    """One rescale for all frames, in the shared groups; the builder gives each frame its own."""
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(-1, *GRID.shape[1:]).copy()
    for number, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        stored[number] -= np.uint16(-1024 - int(item.PixelValueTransformationSequence[0].RescaleIntercept))
        del item.PixelValueTransformationSequence
    rescale = Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = "1", "-1024", "HU"
    dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = Items([rescale])
    dataset.PixelData = stored.tobytes()


@trap("enhanced CT, frames in order of place")
def enhanced_ct_in_order(folder: Path) -> None:
    _write(folder, order=list(range(SLICES)))


@trap("enhanced CT, frames in random order")
def enhanced_ct(folder: Path) -> None:
    _write(folder)


@trap("enhanced CT, each frame with a rescale of its own")
def enhanced_rescale_per_frame(folder: Path) -> None:
    _write(folder, own_rescale=True, order=list(range(SLICES)))


@trap("enhanced MR, frames in random order")
def enhanced_mr(folder: Path) -> None:
    _write(folder, modality="MR")


@trap("enhanced CT without rescale", codes=["rescale_missing"], must_flag=True)
def enhanced_rescale_missing(folder: Path) -> None:
    _write(
        folder, own_rescale=True, per_frame=lambda item, phase, k: item.__delattr__("PixelValueTransformationSequence")
    )


@trap("enhanced CT without positions", codes=["position_missing"], must_flag=True)
def enhanced_positions_missing(folder: Path) -> None:
    _write(folder, per_frame=lambda item, phase, k: item.__delattr__("PlanePositionSequence"))


@trap("enhanced CT with a frame absent in the middle", codes=["missing_slices"], must_flag=True)
def enhanced_missing_frame(folder: Path) -> None:
    _write(folder, order=[n for n in range(SLICES) if n != 12])


@trap("enhanced CT, gantry tilted by 18 degrees, with its tag", tolerance_mm=INTERPOLATED_MM,
      flags=["derived_from_tilt"])  # fmt: skip
def enhanced_tilt(folder: Path) -> None:
    def tag(dataset: Any) -> None:
        details = Dataset()
        details.GantryDetectorTilt = 18.0
        dataset.SharedFunctionalGroupsSequence[0].CTAcquisitionDetailsSequence = Items([details])

    _write(folder, shift_mm=tilt_mm(18), edit=tag)


@trap("enhanced CT, gantry tilted by -15 degrees, no tag", tolerance_mm=INTERPOLATED_MM, flags=["derived_from_tilt"])
def enhanced_tilt_without_tag(folder: Path) -> None:
    _write(folder, shift_mm=tilt_mm(-15))


def _content(item: Any) -> Any:
    content = item.FrameContentSequence[0]
    if "TemporalPositionIndex" in content:
        del content.TemporalPositionIndex
    return content


def temporal_position_index(item: Any, phase: int, k: int) -> None:
    _content(item).TemporalPositionIndex = 1 + phase


def frame_acquisition_number(item: Any, phase: int, k: int) -> None:
    _content(item).FrameAcquisitionNumber = 3 + phase


def frame_acquisition_date_time(item: Any, phase: int, k: int) -> None:
    _content(item).FrameAcquisitionDateTime = f"202601011000{10 + 35 * phase:02d}.{k:06d}"


def frame_reference_date_time(item: Any, phase: int, k: int) -> None:
    _content(item).FrameReferenceDateTime = f"202601011000{10 + 35 * phase:02d}.{k:06d}"


def temporal_position_time_offset(item: Any, phase: int, k: int) -> None:
    _content(item)
    offset = Dataset()
    offset.TemporalPositionTimeOffset = 35.0 * phase
    item.TemporalPositionSequence = Items([offset])


def trigger_delay(item: Any, phase: int, k: int) -> None:
    _content(item)
    trigger = Dataset()
    trigger.NominalCardiacTriggerDelayTime = 1000.0 + 20000 * phase + k
    item.CardiacSynchronizationSequence = Items([trigger])


def dimension_index(item: Any, phase: int, k: int) -> None:
    """Nothing but DimensionIndexValues: (stack, slice, phase)."""
    _content(item).DimensionIndexValues = [1, 1 + k, 1 + phase]


WAYS: tuple[PerFrame, ...] = (
    temporal_position_index, frame_acquisition_number, frame_acquisition_date_time, frame_reference_date_time,
    temporal_position_time_offset, trigger_delay, dimension_index,
)  # fmt: skip

for _tell in WAYS:
    trap.add(
        f"enhanced_two_phases_{_tell.__name__}",
        f"enhanced CT holding two phases, told apart by {_tell.__name__.replace('_', ' ')}",
        lambda folder, tell=_tell: _write(folder, phases=2, per_frame=tell, edit=_without_times),
        phases=(0, 1),
        flags=["split_by_tag"],
    )


def _without_times(dataset: Any) -> None:
    del dataset.AcquisitionTime, dataset.AcquisitionDate


@trap("enhanced CT holding two phases in frame order, no tag", phases=(0, 1), flags=["split_by_order"])
def enhanced_two_phases_frame_order(folder: Path) -> None:
    _write(
        folder, phases=2, order=list(range(2 * SLICES)), edit=_without_times,
        per_frame=lambda item, phase, k: item.__delattr__("FrameContentSequence"),
    )  # fmt: skip


@trap("enhanced CT holding two phases, the second five slices shorter", phases=(0, 1), flags=["split_by_tag"])
def enhanced_unequal_phases(folder: Path) -> None:
    order = [n for n in _shuffled(2 * SLICES) if n not in range(SLICES, SLICES + 5)]
    _write(folder, phases=2, order=order, per_frame=temporal_position_index)


@trap("two enhanced CT under one series UID, a phase each, no tag tells them apart", phases=(0, 1),
      flags=["split_by_tag"])  # fmt: skip
def enhanced_object_a_phase(folder: Path) -> None:
    for phase in (0, 1):

        def edit(dataset: Any, phase: int = phase) -> None:
            _without_times(dataset)
            dataset.InstanceNumber = 1 + phase
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{build.ROOT}.9.77.{1 + phase}"

        _write(folder, phase=phase, edit=edit, name=f"{phase}.dcm", per_frame=lambda item, phase, k: _content(item))


@trap("one volume over two enhanced CT objects (a concatenation)")
def enhanced_concatenation(folder: Path) -> None:
    for part, order in enumerate((list(range(13)), list(range(13, SLICES)))):

        def edit(dataset: Any, part: int = part) -> None:
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{build.ROOT}.9.77.{1 + part}"
            dataset.ConcatenationUID, dataset.InConcatenationNumber = f"{build.ROOT}.77", 1 + part

        _write(folder, order=order, edit=edit, name=f"{part}.dcm")


@trap("enhanced CT with one description too few", codes=["multiframe_without_geometry"], must_flag=True)
def enhanced_description_missing(folder: Path) -> None:
    def edit(dataset: Any) -> None:
        del dataset.PerFrameFunctionalGroupsSequence[3]

    _write(folder, edit=edit)


@trap("several frames in a classic CT object", codes=["multiframe_without_geometry"], must_flag=True)
def multiframe_without_geometry(folder: Path) -> None:
    def edit(dataset: Any) -> None:
        del dataset.PerFrameFunctionalGroupsSequence, dataset.SharedFunctionalGroupsSequence
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"

    _write(folder, edit=edit)


@trap("Philips enhanced MR: the true scale is in each frame's private item", is_signal=True)
def enhanced_mr_philips_scaling(folder: Path) -> None:
    def per_frame(item: Any, phase: int, k: int) -> None:
        slope, scale = 1.2 + 0.1 * (k % 3), 1.5 + 0.25 * (k % 5)
        rescale = item.PixelValueTransformationSequence[0]
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = f"{slope:.6f}", "0", "US"
        private = Dataset()
        private.add_new(0x20050010, "LO", "Philips MR Imaging DD 001")
        private.add_new(0x2005100E, "FL", scale)
        item.add_new(0x20050014, "LO", "Philips MR Imaging DD 005")
        item.add_new(0x2005140F, "SQ", Items([private]))

    def edit(dataset: Any) -> None:
        # The builder stores signal + k in frame order; scale each frame by its own factor.
        stored = np.frombuffer(dataset.PixelData, "<u2").reshape(SLICES, *GRID.shape[1:]).astype(float)
        for frame, k in zip(stored, range(SLICES), strict=True):
            frame[...] = np.rint((frame - k) * (1.5 + 0.25 * (k % 5)))
        dataset.PixelData = stored.astype("<u2").tobytes()

    _write(folder, modality="MR", order=list(range(SLICES)), per_frame=per_frame, edit=edit, own_rescale=True)
