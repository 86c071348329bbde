"""What :mod:`liverimg.dicom.decode` asks of its child."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liverimg.dicom.frame import PixelBlock


@dataclass(frozen=True)
class Packing:
    """How the samples of a pixel are packed, where that is not one grey value.

    Attributes:
        samples: SamplesPerPixel.
        photometric: PhotometricInterpretation.
        planar: PlanarConfiguration.
        to_rgb: Convert YBR to RGB.
    """

    samples: int = 1
    photometric: str = "MONOCHROME2"
    planar: int = 0
    to_rgb: bool = False


GREY: Final = Packing()


def job(
    block: PixelBlock,
    numbers: Sequence[int],
    packing: Packing,
    compare: Sequence[int],
    frame_bytes: int,
    limit_s: float,
) -> dict[str, Any]:
    """One job as the child reads it: frames ``numbers`` of a file, those of ``compare`` by two decoders."""
    return {
        "path": str(Path(block.path).absolute()),
        "transfer_syntax": block.transfer_syntax,
        "offset": block.offset,
        "rows": block.rows,
        "columns": block.columns,
        "frames": block.frames,
        "bits_allocated": block.bits_allocated,
        "bits_stored": block.bits_stored,
        "signed": block.signed,
        "samples": packing.samples,
        "photometric": packing.photometric,
        "planar": packing.planar,
        "to_rgb": packing.to_rgb,
        "numbers": list(numbers),
        "compare": list(compare),
        "frame_bytes": frame_bytes,
        "limit_s": limit_s,
    }
