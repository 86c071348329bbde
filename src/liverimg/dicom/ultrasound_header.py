"""What the headers of ultrasound files say beyond what all images share: regions, frame times, colour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.uid import DeflatedExplicitVRLittleEndian

from liverimg.core.cine import Region
from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.codes import Code
from liverimg.dicom.file_meta import inflate, read_meta
from liverimg.dicom.frame import Frame
from liverimg.dicom.limits import pixel_problem
from liverimg.dicom.tags import PARSER_ERRORS, Elements, quiet

_READ_STEPS_BYTES: Final = (1 << 18, 1 << 24, 512 << 20)
_TAGS: Final = (
    0x00080005, 0x00080016, 0x00082144, 0x00180040, 0x00180072, 0x00181063, 0x00181065, 0x00185030, 0x00186011,
    0x00280002, 0x00280004, 0x00280006, 0x00286020, 0x00286022,
)  # fmt: skip
# US and US Multi-frame Image Storage, and the two that they replaced.
_CLASSES: Final = frozenset((
    "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.3",
))  # fmt: skip
_ENHANCED: Final = "1.2.840.10008.5.1.4.1.1.6.2"
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
# Transfer syntaxes that hold a film instead of frames: MPEG-2, MPEG-4, HEVC (PS3.5 section 10).
_FILMS: Final = tuple(f"1.2.840.10008.1.2.4.10{n}" for n in range(9))
COLOUR_SPACES: Final = frozenset((
    "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422",
    "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT",
))  # fmt: skip
# A cine of this many bytes is minutes long at full size; more does not fit beside its decoder.
LARGEST_CINE_BYTES: Final = 6 << 30


@dataclass(frozen=True)
class TimingTags:
    """The tags that give the interval between frames; None where absent or unreadable.

    Attributes:
        vector_ms: FrameTimeVector, one increment per frame.
        vector_present: The tag is there, readable or not.
        frame_time_ms: FrameTime.
        cine_rate: CineRate in frames per second.
        display_rate: RecommendedDisplayFrameRate in frames per second.
        duration_s: EffectiveDuration.
    """

    vector_ms: tuple[float, ...] | None = None
    vector_present: bool = False
    frame_time_ms: float | None = None
    cine_rate: float | None = None
    display_rate: float | None = None
    duration_s: float | None = None


@dataclass(frozen=True)
class UltrasoundHeader:
    """One ultrasound file.

    Attributes:
        frame: What every image has: UIDs, times, place and format of the pixels, description, contrast tags.
        samples: SamplesPerPixel.
        colour_space: PhotometricInterpretation.
        regions: SequenceOfUltrasoundRegions.
        timing: Of a loop.
        frames_of_interest: Index from 0 and lower-case description of marked frames (PS3.3 C.7.6.9).
        dynamic_range_db: DynamicRange (0018,5030): retired from the standard, still written; None when it is absent.
    """

    frame: Frame
    samples: int
    colour_space: str
    regions: tuple[Region, ...]
    timing: TimingTags
    frames_of_interest: tuple[tuple[int, str], ...] = ()
    dynamic_range_db: float | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self.frame.pixels.path


def read_ultrasound_header(frame: Frame) -> UltrasoundHeader:
    """Reads the rest of one file's header.

    Args:
        frame: From :func:`liverimg.dicom.headers.read_folder`.

    Raises:
        DicomRefusedError: No ultrasound image of a kind that can be read, or a damaged header.
    """
    try:
        with quiet():
            elements = _elements(frame.pixels.path)
            sop_class = elements.code(0x00080016)
            _refuse_class(sop_class, frame)
            header = UltrasoundHeader(
                frame=frame,
                samples=elements.integer(0x00280002) or 1,
                colour_space=elements.code(0x00280004).upper(),
                regions=tuple(_region(item) for item in elements.items(0x00186011)),
                timing=_timing(elements, frame.pixels.frames),
                frames_of_interest=_frames_of_interest(elements),
                dynamic_range_db=_positive(elements, 0x00185030),
            )
    except PARSER_ERRORS as error:
        raise DicomRefusedError(Code.UNREADABLE, "an ultrasound file whose header is damaged") from error
    _refuse_pixels(header)
    return header


def _elements(path: Path) -> Elements:
    """The wanted elements, with as much of the file in memory as it takes to reach the pixels."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        data = stream.read(_READ_STEPS_BYTES[0])
        meta = read_meta(data)
        if meta.transfer_syntax == DeflatedExplicitVRLittleEndian:
            stream.seek(meta.dataset_offset)
            return Elements.parse(inflate(stream.read(_READ_STEPS_BYTES[-1])), meta, _TAGS, offset=0)
        for limit in _READ_STEPS_BYTES:
            data += stream.read(max(0, limit - len(data)))
            whole = len(data) >= size
            try:
                elements = Elements.parse(data, meta, _TAGS, offset=meta.dataset_offset)
            except PARSER_ERRORS:
                if whole:
                    raise
                continue
            if whole or elements.stopped_at + 12 <= len(data):
                return elements
    raise ValueError("the header is larger than any real one")


def _refuse_class(sop_class: str, frame: Frame) -> None:
    if sop_class == _ENHANCED:
        raise DicomRefusedError(
            Code.ENHANCED_ULTRASOUND, "an enhanced ultrasound volume: its planes lie in space and make no cine"
        )
    if sop_class == _SECONDARY_CAPTURE or sop_class.startswith(f"{_SECONDARY_CAPTURE}."):
        raise DicomRefusedError(Code.SECONDARY_CAPTURE, "a secondary capture is a picture, not a measured image")
    if sop_class not in _CLASSES:
        raise DicomRefusedError(
            Code.MODALITY_NOT_SUPPORTED, "an ultrasound object that is neither an image nor a multi-frame image"
        )
    if frame.pixels.transfer_syntax.startswith(_FILMS):
        raise DicomRefusedError(
            Code.VIDEO, "an ultrasound loop stored as a film (MPEG): its frames are estimates of one another"
        )


def _refuse_pixels(header: UltrasoundHeader) -> None:
    block = header.frame.pixels
    colours = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1}.get(header.colour_space, 3)
    if header.colour_space not in COLOUR_SPACES or header.samples != colours:
        raise DicomRefusedError(Code.PIXEL_FORMAT, "a colour space that does not exist or contradicts its samples")
    if block.bits_allocated not in (8, 16) or block.signed or not 1 <= block.bits_stored <= block.bits_allocated:
        raise DicomRefusedError(Code.PIXEL_FORMAT, "ultrasound pixels are unsigned, of 8 or 16 bits")
    size = block.rows * block.columns * block.frames * block.bits_allocated // 8
    problem = pixel_problem(block)
    if problem is not None:
        raise DicomRefusedError(problem.code, problem.reason)
    if size > LARGEST_CINE_BYTES:
        raise DicomRefusedError(
            Code.TOO_LARGE, f"claims {block.frames} frames of {block.rows} x {block.columns} pixels"
        )
    # 4:2:2 stores two samples a pixel (PS3.3 C.7.6.3.1.2).
    samples = 2 if header.colour_space.endswith("_422") else header.samples
    needed = size * samples
    if block.length is not None and min(block.length, block.available) < needed:
        raise DicomRefusedError(
            Code.PIXEL_DATA_TRUNCATED, f"holds {min(block.length, block.available)} of {needed} bytes of pixels"
        )


def _region(item: Elements) -> Region:
    x0, y0, x1, y1 = (item.integer(tag) for tag in (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E))
    delta_x, delta_y = item.decimal(0x0018602C), item.decimal(0x0018602E)
    return Region(
        spatial_format=item.integer(0x00186012) or 0,
        data_type=item.integer(0x00186014) or 0,
        flags=item.integer(0x00186016) or 0,
        corners_xy=(x0 or 0, y0 or 0, x1 or 0, y1 or 0),
        units_xy=(item.integer(0x00186024) or 0, item.integer(0x00186026) or 0),
        deltas_xy=None if delta_x is None or delta_y is None else (delta_x, delta_y),
    )


def _positive(elements: Elements, tag: int) -> float | None:
    value = elements.decimal(tag)
    return value if value is not None and value > 0 else None


def _timing(elements: Elements, frames: int) -> TimingTags:
    return TimingTags(
        vector_ms=elements.decimals(0x00181065, frames),
        vector_present=bool(elements.raw_bytes(0x00181065)),
        frame_time_ms=_positive(elements, 0x00181063),
        cine_rate=_positive(elements, 0x00180040),
        display_rate=_positive(elements, 0x00082144),
        duration_s=_positive(elements, 0x00180072),
    )


def _frames_of_interest(elements: Elements) -> tuple[tuple[int, str], ...]:
    words = (elements.text(0x00286022) or "").casefold().split("\\")
    parsed = elements.decimals(0x00286020, len(words)) if 0x00286020 in elements else None
    if parsed is None:
        return ()
    return tuple((int(number) - 1, word.strip()) for number, word in zip(parsed, words, strict=True) if number >= 1)
