"""From stored value to quantity: rescale of every kind, signs, junk bits, padding, units, MR scaling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from tests.dicom.traps.case import Register, hu_of, scene_series, set_stored
from tests.dicom.traps.scene import CENTRE_LPS_MM, GRID, places_mm

trap = Register()


@trap("slope and intercept differ from slice to slice")
def rescale_per_slice(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        slope, intercept = 0.25 * (1 + k % 4), -1024 + 3 * k
        set_stored(dataset, np.rint((hu_of(dataset) - intercept) / slope).astype(np.uint16))
        dataset.RescaleSlope, dataset.RescaleIntercept = str(slope), str(intercept)

    scene_series(folder, edit=edit)


@trap("slope that is no whole number")
def rescale_fraction(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        set_stored(dataset, np.rint((hu_of(dataset) + 1000) / 0.3).astype(np.uint16))
        dataset.RescaleSlope, dataset.RescaleIntercept = "0.3", "-1000"

    scene_series(folder, edit=edit)


@trap("CT without rescale tags", codes=["rescale_missing"], must_flag=True)
def rescale_missing(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        del dataset.RescaleSlope, dataset.RescaleIntercept

    scene_series(folder, edit=edit)


@trap("one slice of CT without rescale tags", codes=["rescale_missing"], must_flag=True)
def rescale_missing_once(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        if k == 12:
            del dataset.RescaleSlope, dataset.RescaleIntercept

    scene_series(folder, edit=edit)


@trap("slope 0", codes=["rescale_invalid"], must_flag=True)
def rescale_zero(folder: Path) -> None:
    scene_series(folder, edit=lambda d, k: setattr(d, "RescaleSlope", "0"))


def _twelve_bits(dataset: Any) -> None:
    dataset.BitsStored, dataset.HighBit = 12, 11


@trap("signed 16-bit values, padding -2000 outside a circle", is_exact=False)
def signed_padding(folder: Path) -> None:
    outside = _outside_circle()

    def edit(dataset: Any, k: int) -> None:
        stored = hu_of(dataset).astype(np.int16)
        stored[outside] = -2000
        set_stored(dataset, stored)
        dataset.RescaleIntercept = "0"
        dataset.add_new(0x00280120, "SS", -2000)

    scene_series(folder, edit=edit)


@trap("signed 12-bit values in 16 bits, upper bits not extended")
def signed_12_bit(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        set_stored(dataset, (hu_of(dataset).astype(np.int16) & 0x0FFF).astype(np.int16))
        dataset.RescaleIntercept = "0"
        _twelve_bits(dataset)

    scene_series(folder, edit=edit)


@trap("unsigned 12-bit values, junk in the upper four bits")
def junk_in_high_bits(folder: Path) -> None:
    junk = (np.random.default_rng(5).integers(0, 16, GRID.shape) << 12).astype(np.uint16)

    def edit(dataset: Any, k: int) -> None:
        set_stored(dataset, (hu_of(dataset) + 1024).astype(np.uint16) | junk[k])
        _twelve_bits(dataset)

    scene_series(folder, edit=edit)


@trap("unsigned, padding 0 outside a circle", is_exact=False)
def unsigned_padding(folder: Path) -> None:
    outside = _outside_circle()

    def edit(dataset: Any, k: int) -> None:
        stored = (hu_of(dataset) + 1024).astype(np.uint16)
        stored[outside] = 0
        set_stored(dataset, stored)
        dataset.add_new(0x00280120, "US", 0)

    scene_series(folder, edit=edit)


@trap("the padding tag names soft tissue", flags=["padding_ignored"])
def padding_tag_lies(folder: Path) -> None:
    scene_series(folder, edit=lambda d, k: d.add_new(0x00280120, "US", 1024 + 100))


@trap("MONOCHROME1: shown inverted, stored as ever")
def monochrome1(folder: Path) -> None:
    scene_series(folder, edit=lambda d, k: setattr(d, "PhotometricInterpretation", "MONOCHROME1"))


@trap("8-bit pixels")
def eight_bits(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        stored = np.rint(hu_of(dataset) / 2).astype(np.uint8)
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        set_stored(dataset, stored)
        dataset.RescaleSlope, dataset.RescaleIntercept = "2", "0"

    scene_series(folder, edit=edit)


@trap("CT in effective atomic numbers", codes=["not_hounsfield"], must_flag=True)
def parametric_rescale_type(folder: Path) -> None:
    scene_series(folder, edit=lambda d, k: setattr(d, "RescaleType", "Z_EFF"))


def _measured_in(code: str, meaning: str) -> Dataset:
    unit = Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = code, "UCUM", meaning
    mapping = Dataset()
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 1.0, -1024.0
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, 4095
    mapping.MeasurementUnitsCodeSequence = Items([unit])
    mapping.LUTLabel = "MAP"
    return mapping


@trap("CT that maps its values to iodine, mg/ml, no RescaleType", codes=["not_hounsfield"], must_flag=True)
def parametric_real_world_units(folder: Path) -> None:
    scene_series(
        folder,
        edit=lambda d, k: setattr(d, "RealWorldValueMappingSequence", Items([_measured_in("mg/cm3", "milligram")])),
    )


@trap("CT that maps its values to Hounsfield units in so many words")
def real_world_hounsfield(folder: Path) -> None:
    scene_series(
        folder,
        edit=lambda d, k: setattr(d, "RealWorldValueMappingSequence", Items([_measured_in("[hnsf'U]", "HU")])),
    )


@trap("MR map in mm2/s", is_signal=True, must_flag=True, flags=["not_magnitude"])
def parametric_mr(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "0", "mm2/s"

    scene_series(folder, modality="MR", edit=edit)


@trap("MR without rescale tags", is_signal=True)
def mr_plain(folder: Path) -> None:
    scene_series(folder, modality="MR")


@trap("Philips MR: display and true scale differ from slice to slice", is_signal=True)
def mr_philips_scaling(folder: Path) -> None:
    """Signal = (stored x RS + RI) / (RS x SS); only the true scale is one for all slices."""

    def edit(dataset: Any, k: int) -> None:
        signal = hu_of(dataset) + 1024.0
        slope, scale = 1.2 + 0.1 * (k % 3), 1.5 + 0.25 * (k % 5)
        set_stored(dataset, np.rint(signal * scale).astype(np.uint16))
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{slope:.6f}", "0"
        dataset.Manufacturer = "Philips Medical Systems"
        dataset.add_new(0x20050010, "LO", "Philips MR Imaging DD 001")
        dataset.add_new(0x2005100E, "FL", scale)

    scene_series(folder, modality="MR", edit=edit)


@trap("MR with slope and intercept of its own for each slice", is_signal=True)
def mr_rescale_per_slice(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        slope = 0.25 * (1 + k % 4)
        set_stored(dataset, np.rint((hu_of(dataset) + 1024) / slope).astype(np.uint16))
        dataset.RescaleSlope, dataset.RescaleIntercept = str(slope), "0"

    scene_series(folder, modality="MR", edit=edit)


def _outside_circle() -> np.ndarray:
    places = places_mm(GRID)[0, ..., :2] - CENTRE_LPS_MM[:2]
    return np.asarray(np.linalg.norm(places, axis=-1) > 25.5)
