"""Stored values become Hounsfield units exactly, in every packing, or the volume is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from liverimg.core.errors import DicomRefusedError
from liverimg.core.volume import Quantity
from liverimg.dicom import limits
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study


def load(folder: Path, rules: PhaseRules) -> Any:
    (stack,) = read_study(folder, phase_rules=rules).stacks
    return load_volume(stack)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=lambda uid: uid.name,
)  # fmt: skip
def test_transfer_syntaxes(syntax: Any, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    grid = build.LARGER_GRID
    build.write_series(tmp_path / "plain", grid=grid)
    build.write_series(tmp_path / "packed", grid=grid, transfer_syntax=syntax)
    volume = load(tmp_path / "packed", rules)
    build.same_in_space(volume, grid, build.values_on(grid, seed=1))
    assert volume.array.tobytes() == load(tmp_path / "plain", rules).array.tobytes()
    plain, packed = (read_study(tmp_path / n, phase_rules=rules).study.series[0] for n in ("plain", "packed"))
    assert (plain.flags, plain.sop_instance_uids) == (packed.flags, packed.sop_instance_uids)


def test_signed_values_survive_lossless_compression(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    values = build.values_on(build.LARGER_GRID)

    def signed(dataset: Any, k: int) -> None:
        dataset.PixelRepresentation = 1
        dataset.RescaleIntercept = "0"
        dataset.PixelData = values[k].astype("<i2").tobytes()

    for syntax in (RLELossless, JPEG2000Lossless):
        folder = tmp_path / syntax.name
        build.write_series(folder, grid=build.LARGER_GRID, values=values, edit=signed, transfer_syntax=syntax)
        np.testing.assert_array_equal(load(folder, rules).array, values)


def test_no_preamble(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    for path in build.write_series(tmp_path, transfer_syntax=ImplicitVRLittleEndian):
        data = path.read_bytes()
        meta_length = int.from_bytes(data[140:144], "little")
        path.write_bytes(data[144 + meta_length :])
    np.testing.assert_array_equal(load(tmp_path, rules).array, build.values_on(build.PLAIN_GRID, seed=1))


def test_whole_numbers_are_int16(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path)
    volume = load(tmp_path, rules)
    assert volume.array.dtype == np.int16
    assert volume.quantity is Quantity.HU
    assert not volume.array.flags.writeable


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    slopes=st.lists(st.sampled_from([1, 2, -1, 0.5, 1.25, 0.1]), min_size=8, max_size=8),
    intercepts=st.lists(st.sampled_from([-1024, -1000, 0, -1024.5]), min_size=8, max_size=8),
    signed=st.booleans(),
    bits=st.sampled_from([12, 13, 16]),
    seed=st.integers(0, 99),
)
def test_rescale_of_each_slice(
    slopes: Any, intercepts: Any, signed: bool, bits: int, seed: int, tmp_path_factory: Any, build: ModuleType,
    rules: PhaseRules,
) -> None:  # fmt: skip
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    stored = np.random.default_rng(seed).integers(low, high, build.PLAIN_GRID.shape)

    def edit(dataset: Any, k: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = str(slopes[k]), str(intercepts[k])
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.PixelRepresentation = int(signed)
        dataset.PixelData = stored[k].astype("<i2" if signed else "<u2").tobytes()

    folder = tmp_path_factory.mktemp("rescale")
    build.write_series(folder, edit=edit)
    volume = load(folder, rules)
    truth = stored * np.reshape(slopes, (-1, 1, 1)) + np.reshape(intercepts, (-1, 1, 1)).astype(float)
    np.testing.assert_allclose(volume.array, np.maximum(truth, -1024), rtol=1e-6)
    if volume.array.dtype == np.int16:
        np.testing.assert_array_equal(volume.array, np.maximum(truth, -1024))


@pytest.mark.parametrize("signed", [False, True])
def test_garbage_in_the_unused_bits_is_cut_off(
    signed: bool, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    rng = np.random.default_rng(1)
    stored = (
        rng.integers(-2048, 2048, build.PLAIN_GRID.shape) if signed else rng.integers(0, 4096, build.PLAIN_GRID.shape)
    )

    def edit(dataset: Any, k: int) -> None:
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, int(signed)
        garbage = rng.integers(0, 16, stored[k].shape) << 12
        dataset.PixelData = ((stored[k] & 0xFFF) | garbage).astype("<u2").tobytes()

    build.write_series(tmp_path, edit=edit)
    np.testing.assert_array_equal(load(tmp_path, rules).array, np.maximum(stored - 1024, -1024))


def test_high_bit_above_the_stored_bits(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    values = build.values_on(build.PLAIN_GRID)

    def edit(dataset: Any, k: int) -> None:
        dataset.BitsStored, dataset.HighBit = 12, 15
        dataset.PixelData = ((values[k].astype(int) + 1024) << 4).astype("<u2").tobytes()

    build.write_series(tmp_path, values=values, edit=edit)
    np.testing.assert_array_equal(load(tmp_path, rules).array, values)


def test_monochrome1_is_not_inverted(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path, edit=lambda d, k: setattr(d, "PhotometricInterpretation", "MONOCHROME1"))
    np.testing.assert_array_equal(load(tmp_path, rules).array, build.values_on(build.PLAIN_GRID, seed=1))


def padded(build: ModuleType, padding: int, *, last: int | None = None) -> Any:
    def edit(dataset: Any, k: int) -> None:
        stored = np.frombuffer(dataset.PixelData, "<u2").astype("<i2")
        dataset.PixelRepresentation, dataset.RescaleIntercept = 1, "0"
        stored = (stored - 1024).reshape(14, 16).copy()
        stored[0] = padding
        stored[1] = padding if last is None else last
        dataset.PixelData = stored.astype("<i2").tobytes()
        dataset.PixelPaddingValue = padding
        if last is not None:
            dataset.PixelPaddingRangeLimit = last

    return edit


def test_padding_becomes_air(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path, edit=padded(build, -2000, last=-1900))
    array = load(tmp_path, rules).array
    assert (array[:, :2] == -1024).all()
    np.testing.assert_array_equal(array[:, 2:], build.values_on(build.PLAIN_GRID, seed=1)[:, 2:])


def test_padding_value_among_tissue_is_ignored(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """A wrong tag must not punch holes of air into soft tissue."""
    build.write_series(tmp_path, edit=padded(build, 60))
    found = read_study(tmp_path, phase_rules=rules)
    assert found.study.series[0].flags == ("padding_ignored",)
    assert (load_volume(found.stacks[0]).array[:, :2] == 60).all()


def test_mr_keeps_stored_values_and_applies_its_scale(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    values = build.values_on(build.PLAIN_GRID)
    build.write_series(tmp_path / "plain", values=values, modality="MR")
    volume = load(tmp_path / "plain", rules)
    assert volume.quantity is Quantity.MR_SIGNAL
    np.testing.assert_array_equal(volume.array, values.astype(int) + 1024)

    def philips(dataset: Any, k: int) -> None:
        slope, intercept, scale = 0.5 + k, 3.0, 0.004 * (1 + k)
        dataset.RescaleSlope, dataset.RescaleIntercept = str(slope), str(intercept)
        block = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0E, "FL", scale)

    build.write_series(tmp_path / "philips", values=values, modality="MR", edit=philips)
    scaled = load(tmp_path / "philips", rules).array
    k = np.arange(8).reshape(-1, 1, 1)
    stored = values.astype(float) + 1024
    expected = (stored * (0.5 + k) + 3.0) / ((0.5 + k) * 0.004 * (1 + k))
    np.testing.assert_allclose(scaled, expected, rtol=1e-5)


def test_mr_scaled_on_some_slices_only_is_refused(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        if k > 3:
            dataset.RescaleSlope, dataset.RescaleIntercept = "2", "0"

    build.write_series(tmp_path, modality="MR", edit=edit)
    assert [e.code for e in read_study(tmp_path, phase_rules=rules).study.rejected] == ["rescale_missing"]


def test_files_that_vanish_are_refused(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    path = build.write_series(tmp_path)[5]
    (stack,) = read_study(tmp_path, phase_rules=rules).stacks
    path.unlink()
    with pytest.raises(DicomRefusedError, match="no longer"):
        load_volume(stack)


@pytest.mark.parametrize("keep", [0.3, 0.999])
def test_truncated_pixels_are_refused(keep: float, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    path = build.write_series(tmp_path)[5]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 448 + int(448 * keep)])
    found = read_study(tmp_path, phase_rules=rules)
    assert [entry.code for entry in found.study.rejected] == ["pixel_data_truncated"]


def test_pixels_that_vanish_after_indexing_are_refused(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    path = build.write_series(tmp_path)[5]
    (stack,) = read_study(tmp_path, phase_rules=rules).stacks
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DicomRefusedError) as refusal:
        load_volume(stack)
    assert refusal.value.code == "pixel_data_truncated"


@pytest.mark.parametrize("where", ["lower half", "whole"])
def test_a_zeroed_slice_is_refused(where: str, tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    def edit(dataset: Any, k: int) -> None:
        if k == 4:
            start = len(dataset.PixelData) // 2 if where == "lower half" else 0
            dataset.PixelData = dataset.PixelData[:start] + bytes(len(dataset.PixelData) - start)

    build.write_series(tmp_path, edit=edit)
    (stack,) = read_study(tmp_path, phase_rules=rules).stacks
    with pytest.raises(DicomRefusedError) as refusal:
        load_volume(stack)
    assert refusal.value.code == "pixel_data_zero_tail"


def test_empty_slices_at_the_ends_and_air_below_the_table_are_no_fault(
    tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    values = build.values_on(build.PLAIN_GRID)
    values[0] = values[7] = -1024
    values[:, 10:] = -1024
    build.write_series(tmp_path, values=values)
    np.testing.assert_array_equal(load(tmp_path, rules).array, values)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.name)
@pytest.mark.parametrize("damage", ["beginning overwritten", "cut in the middle", "cut near the end"])
def test_damaged_compressed_pixels_are_refused(
    damage: str, syntax: Any, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    path = build.write_series(tmp_path, grid=build.LARGER_GRID, transfer_syntax=syntax)[1]
    data = path.read_bytes()
    start = data.index(b"\xfe\xff\x00\xe0", data.index(b"\xe0\x7f\x10\x00") + 24)
    if damage == "beginning overwritten":
        data = data[: start + 8] + b"\x55" * 64 + data[start + 72 :]
    else:
        data = data[: (start + len(data)) // 2] if damage == "cut in the middle" else data[:-40]
    path.write_bytes(data)
    (stack,) = read_study(tmp_path, phase_rules=rules).stacks
    with pytest.raises(DicomRefusedError) as refusal:
        load_volume(stack)
    assert refusal.value.code in ("decoding_failed", "pixel_data_truncated")


def test_sizes_beyond_any_image_are_refused_before_decoding(
    tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.Rows = dataset.Columns = 65535

    build.write_series(tmp_path, edit=edit)
    assert [e.code for e in read_study(tmp_path, phase_rules=rules).study.rejected] == ["too_large"]


def test_a_volume_of_too_many_voxels_is_refused(
    tmp_path: Path, build: ModuleType, rules: PhaseRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.write_series(tmp_path)
    small = replace(limits.shipped_limits(), most_voxels=100)
    monkeypatch.setattr(limits, "shipped_limits", lambda: small)
    with pytest.raises(DicomRefusedError, match="voxels"):
        load(tmp_path, rules)
