"""What stored values mean beyond rescale tags: floating-point pixels and real world values."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study


def load(folder: Path, rules: PhaseRules) -> Any:
    (stack,) = read_study(folder, phase_rules=rules).stacks
    return load_volume(stack)


def codes(folder: Path, rules: PhaseRules) -> list[str]:
    return [entry.code for entry in read_study(folder, phase_rules=rules).study.rejected]


def mapped(unit: str, slope: float, intercept: float, *, drop: tuple[str, ...] = ()) -> Any:
    """Adds a real world value mapping, and takes tags away."""

    def edit(dataset: Any, k: int) -> None:
        code, item = Dataset(), Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
        item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, 65535
        item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
        item.MeasurementUnitsCodeSequence = Sequence([code])
        dataset.RealWorldValueMappingSequence = Sequence([item])
        for keyword in drop:
            if keyword in dataset:
                delattr(dataset, keyword)

    return edit


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_diffusion_map_is_in_its_unit(syntax: str, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    edit = mapped("mm2/s", 1e-6, 2e-6)
    build.write_series(tmp_path, modality="MR", edit=edit, transfer_syntax=syntax)
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert "not_magnitude" in series.flags
    stored = build.values_on(build.PLAIN_GRID, seed=1).astype(float) + 1024
    np.testing.assert_allclose(load(tmp_path, rules).array, stored * 1e-6 + 2e-6, rtol=1e-5)


def test_a_mapping_to_no_unit_changes_nothing(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path, modality="MR", edit=mapped("1", 7.0, 9.0))
    np.testing.assert_array_equal(load(tmp_path, rules).array, build.values_on(build.PLAIN_GRID, seed=1) + 1024)


def test_ct_without_rescale_is_hounsfield_only_when_the_mapping_says_so(
    tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    without = ("RescaleSlope", "RescaleIntercept")
    build.write_series(tmp_path / "hu", edit=mapped("[hnsf'U]", 1.0, -1024.0, drop=without))
    np.testing.assert_array_equal(load(tmp_path / "hu", rules).array, build.values_on(build.PLAIN_GRID, seed=1))
    build.write_series(tmp_path / "other", edit=mapped("mg/ml", 1.0, -1024.0, drop=without))
    assert codes(tmp_path / "other", rules) == ["rescale_missing"]
    # Where both are there, the rescale tags keep their meaning.
    build.write_series(tmp_path / "both", edit=mapped("[hnsf'U]", 2.0, 0.0))
    np.testing.assert_array_equal(load(tmp_path / "both", rules).array, build.values_on(build.PLAIN_GRID, seed=1))


def floating(build: ModuleType, dtype: str, *, spoil: float | None = None) -> Any:
    def edit(dataset: Any, k: int) -> None:
        plane = np.frombuffer(dataset.PixelData, "<u2").astype(dtype).reshape(14, 16) / 8
        if spoil is not None and k == 3:
            plane[2, 5] = spoil
        del dataset.PixelData
        for keyword in ("BitsStored", "HighBit", "PixelRepresentation"):
            delattr(dataset, keyword)
        dataset.BitsAllocated = plane.dtype.itemsize * 8
        setattr(dataset, "FloatPixelData" if dtype == "<f4" else "DoubleFloatPixelData", plane.tobytes())

    return edit


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_floating_point_pixels(
    dtype: str, syntax: str, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:  # fmt: skip
    build.write_series(tmp_path, modality="MR", edit=floating(build, dtype), transfer_syntax=syntax)
    volume = load(tmp_path, rules)
    assert volume.array.dtype == np.float32
    truth = (build.values_on(build.PLAIN_GRID, seed=1).astype(float) + 1024) / 8
    np.testing.assert_allclose(volume.array, truth, rtol=1e-7)


def test_not_a_number_is_not_measured_and_infinity_is_refused(
    tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    build.write_series(tmp_path / "nan", modality="MR", edit=floating(build, "<f4", spoil=np.nan))
    volume = load(tmp_path / "nan", rules)
    assert np.isfinite(volume.array).all()
    assert np.sort(volume.array.ravel())[0] == 0
    build.write_series(tmp_path / "inf", modality="MR", edit=floating(build, "<f4", spoil=np.inf))
    with pytest.raises(DicomRefusedError) as refusal:
        load(tmp_path / "inf", rules)
    assert refusal.value.code == "pixel_format"


def test_floating_point_ct_without_a_unit_is_refused(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        floating(build, "<f4")(dataset, k)
        del dataset.RescaleSlope, dataset.RescaleIntercept

    build.write_series(tmp_path, edit=edit)
    assert codes(tmp_path, rules) == ["rescale_missing"]
