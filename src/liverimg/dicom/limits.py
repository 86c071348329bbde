"""What a file may claim about its pixels before anything is unpacked; the figures stand in ``data/decoding.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    RLELossless,
)

from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.codes import Code
from liverimg.dicom.frame import PixelBlock, Problem

_PACKING = {
    DeflatedExplicitVRLittleEndian: "deflate",
    RLELossless: "rle",
    JPEGBaseline8Bit: "jpeg_transform",
    JPEGExtended12Bit: "jpeg_transform",
    JPEGLossless: "jpeg_lossless",
    JPEGLosslessSV1: "jpeg_lossless",
}
# A fragment is at least an item's head and two bytes (PS3.5 A.4).
_SMALLEST_FRAGMENT_BYTES = 10


@dataclass(frozen=True)
class Limits:
    """Bounds on size, memory and time.

    Attributes:
        largest_side_px: Rows or columns of a frame.
        most_frames: Frames in a file.
        most_file_bytes: Unpacked pixels of a file.
        most_voxels: Voxels of a volume.
        largest_header_bytes: Unpacked bytes of a deflated file before its pixels.
        expansion: Most bytes that one stored byte can become, by packing; 0 where nothing bounds it.
        memory_bytes: What the decoding process may take beyond its start.
        patience_s: Least processor time for a frame or a series.
        slowest_bytes_per_s: Unpacked bytes that add a second to it.
        clock_factor: How many times longer it may take by the clock.
        lossy_levels: Stored levels by which two decoders of a lossy packing may differ.
        lossy_range_share: The same as a part of the range of stored values; the larger one counts.
    """

    largest_side_px: int
    most_frames: int
    most_file_bytes: int
    most_voxels: int
    largest_header_bytes: int
    expansion: dict[str, int]
    memory_bytes: int
    patience_s: float
    slowest_bytes_per_s: float
    clock_factor: float
    lossy_levels: int
    lossy_range_share: float

    def time_s(self, unpacked_bytes: int) -> float:
        """Processor time that unpacking so many bytes may take."""
        return self.patience_s + unpacked_bytes / self.slowest_bytes_per_s


@cache
def shipped_limits() -> Limits:
    """The limits that come with the package."""
    table = tomllib.loads(files("liverimg").joinpath("data", "decoding.toml").read_text(encoding="utf-8"))
    size, process, agreement = table["size"], table["process"], table["agreement"]
    return Limits(
        largest_side_px=size["largest_side_px"],
        most_frames=size["most_frames"],
        most_file_bytes=size["most_file_mib"] << 20,
        most_voxels=size["most_voxels"],
        largest_header_bytes=size["largest_header_mib"] << 20,
        expansion=dict(table["expansion"]),
        memory_bytes=process["memory_mib"] << 20,
        patience_s=float(process["patience_s"]),
        slowest_bytes_per_s=float(process["slowest_mib_per_s"]) * (1 << 20),
        clock_factor=float(process["clock_factor"]),
        lossy_levels=agreement["lossy_levels"],
        lossy_range_share=float(agreement["lossy_range_share"]),
    )


def pixel_problem(block: PixelBlock, limits: Limits | None = None) -> Problem | None:
    """Why the pixels that a header describes cannot be there, or must not be unpacked; None when they may be."""
    limits = limits or shipped_limits()
    side = limits.largest_side_px
    if not (1 <= block.rows <= side and 1 <= block.columns <= side and 1 <= block.frames <= limits.most_frames):
        return Problem(
            Code.TOO_LARGE,
            f"claims {block.rows} x {block.columns} pixels in {block.frames} frames, allowed are "
            f"1 to {side} and at most {limits.most_frames} frames",
        )
    return _format_problem(block) or _size_problem(block, limits)


def _format_problem(block: PixelBlock) -> Problem | None:
    if block.float_bits:
        if block.bits_allocated == block.float_bits:
            return None
        return Problem(Code.PIXEL_FORMAT, f"floating-point pixels of {block.bits_allocated} bits")
    if block.bits_allocated not in (8, 16, 32) or not 1 <= block.bits_stored <= block.bits_allocated:
        return Problem(
            Code.PIXEL_FORMAT, f"{block.bits_stored} bits stored in {block.bits_allocated} are not supported"
        )
    if not block.bits_stored - 1 <= block.high_bit < block.bits_allocated:
        return Problem(Code.PIXEL_FORMAT, "HighBit contradicts BitsStored and BitsAllocated")
    return None


def _size_problem(block: PixelBlock, limits: Limits) -> Problem | None:
    """Holds the claim against the cap, and against what the bytes at hand could become."""
    needed = block.frame_bytes * block.frames
    if needed > limits.most_file_bytes:
        return Problem(
            Code.TOO_LARGE,
            f"claims {needed >> 20} MiB of pixels in one file, at most {limits.most_file_bytes >> 20} are read",
        )
    if block.length is not None and min(block.length, block.available) < needed:
        return Problem(
            Code.PIXEL_DATA_TRUNCATED, f"a file holds {min(block.length, block.available)} of {needed} bytes of pixels"
        )
    if block.length is not None:
        return None
    if block.available < block.frames * _SMALLEST_FRAGMENT_BYTES:
        return Problem(Code.PIXEL_DATA_TRUNCATED, "a compressed file ends before its pixels")
    most = expansion_of(block.transfer_syntax, limits)
    if most and needed > most * block.available:
        return Problem(
            Code.TOO_LARGE,
            f"claims {needed} bytes of pixels, but {block.available} compressed bytes can hold at most "
            f"{most * block.available}: the file is cut off or hostile",
        )
    return None


def expansion_of(transfer_syntax: str, limits: Limits | None = None) -> int:
    """Most bytes that one stored byte can become; 0 where nothing bounds it."""
    return (limits or shipped_limits()).expansion[_PACKING.get(transfer_syntax, "other")]  # type: ignore[call-overload]


def refuse_large_volume(voxels: int, limits: Limits | None = None) -> None:
    """Refuses a volume before memory is taken for it.

    Raises:
        DicomRefusedError: More voxels than any clinical volume has.
    """
    most = (limits or shipped_limits()).most_voxels
    if voxels > most:
        raise DicomRefusedError(Code.TOO_LARGE, f"{voxels:.2e} voxels, at most {most:.2e} are read")
