"""Files made to take memory or time are refused with a code, and take neither."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

# Reads every folder named on the command line as ingest does, and tells codes and the peak of memory above its start.
_READ = """
import json, resource, sys
from pathlib import Path
from liverimg.core.errors import InputRefusedError
from liverimg.dicom.decode import Decoder
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study
from liverimg.files.tables import read_table

def peak_mib():
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) >> 10

rules = PhaseRules.from_table(read_table("phases"))
start, said = peak_mib(), {}
for name in sys.argv[1:]:
    try:
        found = read_study(Path(name), phase_rules=rules)
        codes = [entry.code for entry in found.study.rejected]
        with Decoder() as decoder:
            for stack in found.stacks:
                try:
                    codes.append(str(load_volume(stack, decoder=decoder).array.shape))
                except InputRefusedError as refusal:
                    codes.append(refusal.code)
    except InputRefusedError as refusal:
        codes = [str(refusal)]
    said[Path(name).name] = codes
print(json.dumps({"codes": said, "grown_mib": peak_mib() - start}))
"""


def spoil(paths: list[Path], edit: Callable[[Any], None]) -> None:
    for path in paths:
        dataset = dcmread(path)
        edit(dataset)
        dataset.save_as(path)


def replace_in(paths: list[Path], edit: Callable[[bytes], bytes]) -> None:
    for path in paths:
        path.write_bytes(edit(path.read_bytes()))


CHUNK = 1 << 24
FOUR_GIB = (1 << 32) - CHUNK
ROWS = b"\x28\x00\x10\x00US\x02\x00"


@cache
def zeros_block() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(bytes(CHUNK)) + packer.flush(zlib.Z_FULL_FLUSH)


def deflated_bomb(header: bytes, zeros: int) -> bytes:
    """A deflate stream of ``header`` and so many zeros; made without making them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = packer.compress(header) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush nothing refers back, so that the same block may follow itself.
    return start + zeros_block() * (zeros // CHUNK) + packer.flush()


def test_the_bomb_is_what_it_says() -> None:
    unpacked = zlib.decompress(deflated_bomb(b"head", 2 * CHUNK), -zlib.MAX_WBITS)
    assert unpacked[:4] == b"head"
    assert len(unpacked) == 4 + 2 * CHUNK
    assert not np.frombuffer(unpacked[4:], "u1").any()


def bombed(build: ModuleType, folder: Path, edit: Callable[[bytes], bytes]) -> None:
    """A deflated series, its data set edited, four gibibytes of zeros behind it."""
    for path in build.write_series(folder, transfer_syntax=DeflatedExplicitVRLittleEndian):
        data = path.read_bytes()
        start = 144 + int.from_bytes(data[140:144], "little")
        header = zlib.decompress(data[start:], -zlib.MAX_WBITS)
        path.write_bytes(data[:start] + deflated_bomb(edit(header), FOUR_GIB))
        assert path.stat().st_size < 5 << 20


def bomb_before_pixels(build: ModuleType, folder: Path) -> None:
    private = b"\x29\x00\x10\x10OB\0\0" + struct.pack("<I", FOUR_GIB)
    bombed(build, folder, lambda header: header[: header.index(b"\x28\x00\x02\x00")] + private)


def bomb_as_pixels(build: ModuleType, folder: Path) -> None:
    def edit(header: bytes) -> bytes:
        claim = header[: header.rindex(b"\xe0\x7f\x10\x00") + 8] + struct.pack("<I", FOUR_GIB)
        return claim.replace(ROWS + b"\x0e\x00", ROWS + b"\x00\x20")

    bombed(build, folder, edit)


def bomb_behind_pixels(build: ModuleType, folder: Path) -> None:
    bombed(build, folder, lambda header: header)


def rle_bomb(frames: int) -> Callable[[ModuleType, Path], None]:
    """784 bytes that claim 1.8 GB."""

    def make(build: ModuleType, folder: Path) -> None:
        def edit(dataset: Any) -> None:
            dataset.Rows = dataset.Columns = 8000
            if frames > 1:
                dataset.NumberOfFrames = frames
            frame = struct.pack("<16I", 2, 64, 400, *[0] * 13) + b"\x81\0" * 360
            dataset.PixelData = encapsulate([frame] * frames)
            dataset.file_meta.TransferSyntaxUID = RLELossless
            dataset["PixelData"].is_undefined_length = True

        spoil(build.write_series(folder), edit)

    return make


def code_stream_bomb(syntax: str) -> Callable[[ModuleType, Path], None]:
    """The DICOM header is modest, the code stream asks for 60,000 x 60,000."""

    def edit(packed: bytes) -> bytes:
        data, huge = bytearray(packed), struct.pack(">I", 60_000)
        if syntax == JPEG2000Lossless:
            at = data.index(b"\xff\x4f\xff\x51")
            data[at + 8 : at + 16] = data[at + 24 : at + 32] = huge * 2
        else:
            at = data.index(b"\xff\xf7")
            data[at + 5 : at + 9] = huge[2:] * 2
        return bytes(data)

    return lambda build, folder: replace_in(
        build.write_series(folder, grid=build.LARGER_GRID, transfer_syntax=syntax), edit
    )


def matrix_bomb(build: ModuleType, folder: Path) -> None:
    def edit(dataset: Any) -> None:
        dataset.Rows = dataset.Columns = 65535
        dataset.PixelData = bytes(128)

    spoil(build.write_series(folder), edit)


def tall_bomb(build: ModuleType, folder: Path) -> None:
    replace_in(build.write_series(folder), lambda data: data.replace(ROWS + b"\x0e\x00", ROWS + b"\x00\x20"))


def frames_bomb(build: ModuleType, folder: Path) -> None:
    spoil(build.write_series(folder), lambda dataset: setattr(dataset, "NumberOfFrames", "2000000"))


def enhanced_frames_bomb(build: ModuleType, folder: Path) -> None:
    folder.mkdir()
    dataset = build.enhanced(build.PLAIN_GRID, build.values_on(build.PLAIN_GRID), order=range(8))
    dataset.NumberOfFrames = "2000000"
    build.save(dataset, folder / "one")


def long_element(vr: bytes, length: int) -> Callable[[ModuleType, Path], None]:
    element = b"\x21\x00\x10\x10" + vr + b"\0\0" + struct.pack("<I", length)
    return lambda build, folder: replace_in(build.write_series(folder), lambda data: before_samples(data, element))


def before_samples(data: bytes, element: bytes) -> bytes:
    at = data.index(b"\x28\x00\x02\x00US")
    return data[:at] + element + data[at:]


def nested(depth: int, *, defined: bool) -> Callable[[ModuleType, Path], None]:
    nest = b""
    for _ in range(depth):
        if defined:
            item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(nest)) + nest
            nest = b"\x08\x00\x15\x11SQ\0\0" + struct.pack("<I", len(item)) + item
        else:
            start = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
            nest = start + nest + b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    return lambda build, folder: replace_in(build.write_series(folder), lambda data: before_samples(data, nest))


def fragments_bomb(build: ModuleType, folder: Path) -> None:
    def edit(data: bytes) -> bytes:
        at = data.index(b"\xfe\xff\x00\xe0", data.index(b"\xe0\x7f\x10\x00") + 20)
        return data[:at] + b"\xfe\xff\x00\xe0\0\0\0\0" * 1_000_000 + data[at:]

    replace_in(build.write_series(folder, grid=build.LARGER_GRID, transfer_syntax=RLELossless), edit)


WHOLE = "(8, 14, 16)"
NOTHING = "nothing readable"
# How each is made, and what may become of it. What nobody asks for is stepped over, and does no harm.
BOMBS: dict[str, tuple[Callable[[ModuleType, Path], None], set[str]]] = {
    "deflate_before": (bomb_before_pixels, {NOTHING}),
    "deflate_as_pixels": (bomb_as_pixels, {"pixel_data_zero_tail"}),
    "deflate_behind": (bomb_behind_pixels, {WHOLE}),
    "rle": (rle_bomb(1), {"too_large"}),
    "rle_frames": (rle_bomb(14), {"too_large", "multiframe_without_geometry"}),
    "jpegls": (code_stream_bomb(JPEGLSLossless), {"decoding_failed"}),
    "jpeg2000": (code_stream_bomb(JPEG2000Lossless), {"decoding_failed"}),
    "matrix": (matrix_bomb, {"too_large"}),
    "tall": (tall_bomb, {"pixel_data_truncated"}),
    "frames": (frames_bomb, {"too_large", "multiframe_without_geometry"}),
    "enhanced_frames": (enhanced_frames_bomb, {"too_large", "multiframe_without_geometry"}),
    "nested": (nested(3000, defined=False), {WHOLE, NOTHING}),
    "nested_defined": (nested(3000, defined=True), {WHOLE, NOTHING}),
    "fragments": (fragments_bomb, {"decoding_failed"}),
} | {
    f"{vr.decode()}_{length:x}": (long_element(vr, length), {WHOLE, NOTHING, "no_image", "unreadable"})
    for vr in (b"OB", b"UN", b"SQ", b"UT")
    for length in (0xFFFFFFFE, 0x80000000)
}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory, build: ModuleType) -> dict[str, Any]:
    """What became of every bomb, and how much memory all of them took."""
    place = tmp_path_factory.mktemp("bombs")
    for name, (make, _) in BOMBS.items():
        make(build, place / name)
    command = [sys.executable, "-c", _READ, *(str(place / name) for name in BOMBS)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    result: dict[str, Any] = json.loads(said.stdout)
    return result


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(name: str, read: dict[str, Any]) -> None:
    found = [NOTHING if "readable DICOM" in word else word for word in read["codes"][name]]
    assert found and set(found) <= BOMBS[name][1]


def test_no_bomb_takes_memory(read: dict[str, Any]) -> None:
    # Among them they claim 50 GB. A decoding process with its libraries is counted whole.
    assert read["grown_mib"] < 400
