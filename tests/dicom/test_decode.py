"""Compressed pixels are decoded elsewhere: right, or refused; a crash, a hang or greed ends one series."""

from __future__ import annotations

import os
import signal
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from liverimg.core.errors import DicomRefusedError
from liverimg.dicom import decode, decode_worker
from liverimg.dicom.codestream import claimed_size
from liverimg.dicom.decode import Decoder
from liverimg.dicom.decode_job import Packing
from liverimg.dicom.frame import PixelBlock
from liverimg.dicom.headers import read_file, read_folder
from liverimg.dicom.limits import shipped_limits
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study


def packed_block(build: ModuleType, folder: Path, syntax: str = JPEG2000Lossless) -> tuple[PixelBlock, np.ndarray]:
    """One compressed slice, and its stored values."""
    path = build.write_series(folder, grid=build.LARGER_GRID, transfer_syntax=syntax)[0]
    return read_file(path)[0][0].pixels, build.values_on(build.LARGER_GRID, seed=1)[0] + 1024


def code_of(decoder: Decoder, block: PixelBlock, **options: Any) -> str:
    with pytest.raises(DicomRefusedError) as refusal:
        list(decoder.frames(block, [0], **options))
    return str(refusal.value.code)


@pytest.fixture(scope="module")
def decoder() -> Any:
    """One child for the whole module, as for a study."""
    with Decoder() as one:
        yield one


def job_of(block: PixelBlock) -> dict[str, Any]:
    return {
        "transfer_syntax": block.transfer_syntax, "rows": block.rows, "columns": block.columns, "samples": 1,
        "photometric": "MONOCHROME2", "planar": 0, "bits_allocated": block.bits_allocated, "to_rgb": False,
        "bits_stored": block.bits_stored, "signed": block.signed,
    }  # fmt: skip


def first_frame(block: PixelBlock) -> bytes:
    with block.path.open("rb") as stream:
        stream.seek(block.offset)
        return next(generate_frames(stream, number_of_frames=block.frames))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.name)
def test_two_decoders_read_the_same(syntax: UID, tmp_path: Path, build: ModuleType, decoder: Decoder) -> None:
    block, truth = packed_block(build, tmp_path, syntax)
    first = decode_worker._by_pydicom(job_of(block), first_frame(block))
    second = decode_worker._by_simpleitk(job_of(block), first_frame(block))
    np.testing.assert_array_equal(first, truth)
    np.testing.assert_array_equal(second, truth)
    (values,) = (values.copy() for values in decoder.frames(block, [0], compare=[0]))
    np.testing.assert_array_equal(values, truth)
    assert values.dtype == np.uint16


def test_lossless_jpeg_needs_no_plugin(
    tmp_path: Path, build: ModuleType, rules: PhaseRules, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What old archives hold most, and no freely licensed plugin of pydicom reads."""
    values = build.values_on(build.LARGER_GRID)
    for path in build.write_series(tmp_path, grid=build.LARGER_GRID, values=values):
        writer = SimpleITK.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        reader = SimpleITK.ImageFileReader()
        reader.SetFileName(str(path))
        header = dcmread(path)
        stored = np.frombuffer(header.PixelData, "<u2").reshape(1, header.Rows, header.Columns)
        writer.SetImageIO("GDCMImageIO")
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.SetFileName(str(tmp_path / "packed.dcm"))
        writer.Execute(SimpleITK.GetImageFromArray(stored))
        packed = dcmread(tmp_path / "packed.dcm")
        assert packed.file_meta.TransferSyntaxUID == JPEGLosslessSV1
        header.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        header.PixelData = packed.PixelData
        header["PixelData"].is_undefined_length = True
        header.save_as(path)
        (tmp_path / "packed.dcm").unlink()
    monkeypatch.setattr(decode_worker, "_PLUGINS", ())
    (stack,) = read_study(tmp_path, phase_rules=rules).stacks
    np.testing.assert_array_equal(load_volume(stack).array, values)
    block = stack.frames[0].pixels
    assert decode_worker._by_pydicom(job_of(block), first_frame(block)) is None
    alone = decode_worker._by_simpleitk(job_of(block), first_frame(block))
    np.testing.assert_array_equal(alone, values[0] + 1024)


@pytest.mark.parametrize(
    "name",
    ["JPEG-lossy.dcm", "JPGExtended.dcm", "JPEG2000.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm",
     "MR_small_RLE.dcm", "J2K_pixelrep_mismatch.dcm", "693_J2KI.dcm", "JPEGLSNearLossless_16.dcm"],
)  # fmt: skip
def test_files_of_other_makers(name: str, decoder: Decoder) -> None:
    """Real files in every packing, the lossy 12-bit JPEG among them: decoded, and by two decoders alike."""
    path = Path(str(get_testdata_file(name, download=False)))
    (frame, *_), _ = read_file(path)
    for values in decoder.frames(frame.pixels, [0], compare=[0]):
        assert values.shape == (frame.pixels.rows, frame.pixels.columns)
        assert np.ptp(values) > 10
        if name.startswith("MR_small"):
            plain = dcmread(str(get_testdata_file("MR_small.dcm", download=False))).pixel_array
            np.testing.assert_array_equal(values.view("i2"), plain)


def test_colour_frames_come_with_their_samples(decoder: Decoder) -> None:
    path = Path(str(get_testdata_file("SC_rgb_rle_2frame.dcm", download=False)))
    (frame, *_), _ = read_file(path)
    found = [v.copy() for v in decoder.frames(frame.pixels, [0, 1], packing=Packing(samples=3, photometric="RGB"))]
    np.testing.assert_array_equal(np.stack(found), dcmread(path).pixel_array)


def test_frames_of_one_file_are_picked(tmp_path: Path, build: ModuleType, decoder: Decoder) -> None:
    values = build.values_on(build.LARGER_GRID)
    dataset = build.enhanced(build.LARGER_GRID, values, order=[2, 0, 1])
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(values.shape)
    for name, syntax in (("rle", RLELossless), ("deflated", DeflatedExplicitVRLittleEndian)):
        build.save(deepcopy(dataset), tmp_path / name, syntax)
        block = read_file(tmp_path / name)[0][0].pixels
        picked = [v.copy() for v in decoder.frames(block, [2, 0])]
        np.testing.assert_array_equal(picked, stored[[0, 2]])


def several_frames(build: ModuleType, path: Path) -> tuple[PixelBlock, np.ndarray]:
    """A compressed file of three frames, and their stored values."""
    values = build.values_on(build.LARGER_GRID)[:3]
    dataset = build.enhanced(build.LARGER_GRID, values, order=[0, 1, 2])
    stored = np.frombuffer(dataset.PixelData, "<u2").reshape(values.shape)
    build.save(dataset, path, RLELossless)
    return read_file(path)[0][0].pixels, stored


def end_child(decoder: Decoder, number: signal.Signals) -> int:
    """Sends a signal to the child, which is dead when this returns; gives its process id."""
    child = decoder._process
    assert child is not None
    child.send_signal(number)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    return child.pid


def test_a_crash_ends_one_series_only(tmp_path: Path, build: ModuleType) -> None:
    block, truth = several_frames(build, tmp_path / "three")
    with Decoder() as fragile:
        assert fragile._process is None
        frames = fragile.frames(block, [0, 1, 2])
        np.testing.assert_array_equal(next(frames), truth[0])
        gone = end_child(fragile, signal.SIGSEGV)
        with pytest.raises(DicomRefusedError) as refusal:
            next(frames)
        assert refusal.value.code == "decoder_crashed"
        np.testing.assert_array_equal([v.copy() for v in fragile.frames(block, [0, 1, 2])], truth)
        assert fragile._process is not None and fragile._process.pid != gone


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_child_that_is_killed_once_is_started_again(tmp_path: Path, build: ModuleType, at: int) -> None:
    """As the system does when memory is short: nothing is wrong with the file, and no frame comes twice."""
    block, truth = several_frames(build, tmp_path / "three")
    with Decoder() as unlucky:
        unlucky.begin_series(truth.nbytes)
        found = []
        for n, values in enumerate(unlucky.frames(block, [0, 1, 2], compare=[0, 2])):
            found.append(values.copy())
            if n == at:
                end_child(unlucky, signal.SIGKILL)
        np.testing.assert_array_equal(found, truth)


def test_a_child_that_is_killed_again_is_the_files_fault(tmp_path: Path, build: ModuleType) -> None:
    block, truth = several_frames(build, tmp_path / "three")
    with Decoder() as doomed:
        frames = doomed.frames(block, [0, 1, 2])
        for n in (0, 1):
            np.testing.assert_array_equal(next(frames), truth[n])
            end_child(doomed, signal.SIGKILL)
        with pytest.raises(DicomRefusedError, match="killed twice") as refusal:
            next(frames)
        assert refusal.value.code == "decoder_crashed"
        assert doomed._process is None


def test_what_a_killed_child_spent_still_counts(tmp_path: Path, build: ModuleType) -> None:
    """Else a file that gets its decoders killed would have the time of several series."""
    block, truth = several_frames(build, tmp_path / "three")
    with Decoder() as slow:
        slow.begin_series(truth.nbytes)
        frames = slow.frames(block, [0, 1, 2])
        next(frames)
        slow._series_from_s -= 1000.0  # as if the first frame had taken so long
        end_child(slow, signal.SIGKILL)
        next(frames)
        assert slow._spent_s() - slow._series_from_s >= 1000.0


def test_a_hang_is_ended(tmp_path: Path, build: ModuleType) -> None:
    block, _ = packed_block(build, tmp_path)
    with Decoder(replace(shipped_limits(), patience_s=0.2, clock_factor=1.0)) as impatient:
        impatient._start()
        child = impatient._process
        assert child is not None
        child.send_signal(signal.SIGSTOP)
        assert code_of(impatient, block) == "decoding_limit"
        assert child.returncode == -signal.SIGKILL


def test_a_start_that_fails_leaves_nothing_behind(
    tmp_path: Path, build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of the first child must not be taken for one of the next."""
    block, truth = packed_block(build, tmp_path)
    with Decoder(replace(shipped_limits(), clock_factor=1.0)) as one:
        monkeypatch.setattr(decode, "_START_S", 0.0)
        assert code_of(one, block) == "decoding_limit"
        assert one._process is None
        monkeypatch.undo()
        for values in one.frames(block, [0]):
            np.testing.assert_array_equal(values, truth)


def test_starting_is_no_part_of_a_series(tmp_path: Path, build: ModuleType) -> None:
    block, truth = packed_block(build, tmp_path)
    with Decoder() as one:
        one.begin_series(0)
        one._series_limit_s = 0.0
        one._start()
        one.begin_series(block.rows * block.columns * 2)
        for values in one.frames(block, [0]):
            np.testing.assert_array_equal(values, truth)


def test_processor_time_is_bounded(tmp_path: Path, build: ModuleType) -> None:
    """A million empty fragments keep a child busy that would answer in the end."""
    path = build.write_series(tmp_path, grid=build.LARGER_GRID, transfer_syntax=RLELossless)[0]
    data = path.read_bytes()
    at = data.index(b"\xfe\xff\x00\xe0", data.index(b"\xe0\x7f\x10\x00") + 20)
    path.write_bytes(data[:at] + b"\xfe\xff\x00\xe0\0\0\0\0" * 2_000_000 + data[at:])
    block = read_file(path)[0][0].pixels
    with Decoder(replace(shipped_limits(), patience_s=0.3)) as busy:
        assert code_of(busy, block) == "decoding_limit"
    good, truth = packed_block(build, tmp_path / "good")
    with Decoder(replace(shipped_limits(), slowest_bytes_per_s=1e12)) as series:
        series.begin_series(0)
        series._series_limit_s = 0.3
        with pytest.raises(DicomRefusedError) as refusal:
            list(series.frames(block, [0]))
        assert refusal.value.code == "decoding_limit"
        series.begin_series(0)
        for values in series.frames(good, [0]):
            np.testing.assert_array_equal(values, truth)


def test_memory_is_bounded(tmp_path: Path, build: ModuleType) -> None:
    """A blank frame packs into a few bytes whatever its size, so nothing but the limit stops it."""
    path = build.write_series(tmp_path, grid=build.LARGER_GRID)[0]
    dataset = dcmread(path)
    dataset.Rows = dataset.Columns = 2048
    dataset.PixelData = bytes(2048 * 2048 * 2)
    build.save(dataset, path, JPEG2000Lossless)
    assert path.stat().st_size < 20_000
    block = read_file(path)[0][0].pixels
    with Decoder(replace(shipped_limits(), memory_bytes=12 << 20)) as poor:
        assert code_of(poor, block) in ("decoding_limit", "decoding_failed")
        child = poor._process
        small, truth = packed_block(build, tmp_path / "small")
        for values in poor.frames(small, [0]):
            np.testing.assert_array_equal(values, truth)
        assert poor._process is child, "a refusal leaves the child alive"


def test_decoders_that_disagree_are_not_believed(
    tmp_path: Path, build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, truth = packed_block(build, tmp_path)
    job = job_of(block)
    assert not decode_worker._differ(job, truth, truth)
    other = truth.copy()
    other[5, 5] += 1
    assert decode_worker._differ(job, truth, other)
    lossy = job | {"transfer_syntax": "1.2.840.10008.1.2.4.51", "bits_stored": 12}
    assert not decode_worker._differ(lossy, truth, other)
    other[5, 5] += 20
    assert decode_worker._differ(lossy, truth, other)
    monkeypatch.setattr(decode_worker, "_by_simpleitk", lambda job, frame: other)
    with pytest.raises(decode_worker._RefusalError, match="disagree"):
        decode_worker._decode(job, first_frame(block), compare=True)


def test_a_code_stream_larger_than_its_header_is_refused(tmp_path: Path, build: ModuleType, decoder: Decoder) -> None:
    for syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless):
        path = build.write_series(tmp_path, grid=build.LARGER_GRID, transfer_syntax=syntax)[0]
        if syntax != RLELossless:
            assert claimed_size(first_frame(read_file(path)[0][0].pixels)) == (40, 48)
        block = replace(read_file(path)[0][0].pixels, rows=24)
        assert code_of(decoder, block) == "decoding_failed"


def test_frames_that_are_not_there(tmp_path: Path, build: ModuleType, rules: PhaseRules, decoder: Decoder) -> None:
    block, _ = packed_block(build, tmp_path)
    with pytest.raises(DicomRefusedError) as refusal:
        list(decoder.frames(replace(block, frames=3), [0, 1, 2]))
    assert refusal.value.code in ("pixel_data_truncated", "decoding_failed")
    block.path.unlink()
    assert code_of(decoder, block) == "pixel_data_truncated"


def test_the_child_imports_nothing_from_the_current_folder(
    tmp_path: Path, build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, truth = packed_block(build, tmp_path)
    for name in ("numpy.py", "json.py", "liverimg.py", "pydicom.py"):
        (tmp_path / name).write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    with Decoder() as safe:
        for values in safe.frames(block, [0]):
            np.testing.assert_array_equal(values, truth)


def test_nothing_is_left_behind(tmp_path: Path, build: ModuleType) -> None:
    block, _ = packed_block(build, tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Decoder() as one:
        list(one.frames(block, [0]))
        child = one._process
    assert child is not None and child.returncode is not None
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_an_encapsulated_lie_is_refused(tmp_path: Path, build: ModuleType, decoder: Decoder) -> None:
    """Fragments under a transfer syntax that has none."""
    path = build.write_series(tmp_path, grid=build.LARGER_GRID, transfer_syntax=RLELossless)[0]
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.1\0"))
    (frame,) = read_folder(tmp_path).frames[:1]
    assert frame.pixels.transfer_syntax == ExplicitVRLittleEndian
    assert frame.pixels.length is None
    assert code_of(decoder, frame.pixels) == "decoding_failed"
    assert encapsulate([b"ab"])[:4] == b"\xfe\xff\x00\xe0"
