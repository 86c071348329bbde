"""From header elements to frames: classic single-frame objects, and what both kinds of object share."""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from datetime import date
from functools import lru_cache
from hashlib import sha256
from typing import Final

from liverimg.dicom.codes import Code
from liverimg.dicom.file_meta import FileMeta
from liverimg.dicom.frame import Frame, PixelBlock, Problem, SequenceTags, Triple
from liverimg.dicom.limits import pixel_problem
from liverimg.dicom.scaling import real_world_line, unit_of
from liverimg.dicom.scan_tags import SCAN_TAGS, phase_tags, private_b_value, sequence_tags
from liverimg.dicom.tags import Elements, time_of_day_s

# Larger than any CT or MR matrix in clinical use; what claims to be larger is damaged or hostile.
LARGEST_MATRIX: Final = 8192
LARGEST_FRAME_COUNT: Final = 20_000

_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_LOCALISER: Final = frozenset(("LOCALIZER", "LOCALISER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM"))
_PROJECTION: Final = frozenset((
    "PROJECTION IMAGE", "MIP", "MAX_IP", "MINIP", "MIN_IP", "MNIP", "MPVR", "VRT", "VOLREN", "VOLUME_RENDER",
    "MAXIMUM INTENSITY PROJECTION", "PJN",
))  # fmt: skip
_HOUNSFIELD: Final = frozenset(("HU", "HU_MOD", "US", ""))
_HOUNSFIELD_UNITS: Final = frozenset(("[HNSF'U]", "HU", "1", ""))
_PHILIPS_CREATOR: Final = "PHILIPS MR IMAGING DD 001"

COMMON_TAGS: Final = (
    0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x0008002A,
    0x00080032, 0x00080033, 0x00080060, 0x00100010, 0x00100020, 0x00180050, 0x00180081,
    0x00181060, 0x00181210, 0x00189087, 0x0020000D, 0x0020000E, 0x00200012,
    0x00200013, 0x00200032, 0x00200037, 0x00200052, 0x00200100, 0x00280002, 0x00280004, 0x00280008, 0x00280010,
    0x00280011, 0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280120, 0x00280121, 0x00281052,
    0x00281053, 0x00281054, 0x00282110, 0x00409096, 0x20050010, 0x2005100E, 0x52009229, 0x52009230,
    *SCAN_TAGS,
)  # fmt: skip


def pixel_block(elements: Elements, *, block: PixelBlock) -> PixelBlock:
    """Fills the description of stored values into a block that already knows where its bytes are."""
    bits_allocated = elements.integer(0x00280100) or 0
    bits_stored = elements.integer(0x00280101) or bits_allocated
    high_bit = elements.integer(0x00280102)
    return replace(
        block,
        rows=elements.integer(0x00280010) or 0,
        columns=elements.integer(0x00280011) or 0,
        frames=elements.integer(0x00280008) or 1,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=bits_stored - 1 if high_bit is None else high_bit,
        signed=elements.integer(0x00280103) == 1,
    )


def base_frame(elements: Elements, meta: FileMeta, block: PixelBlock) -> Frame:
    """What every frame of a file has in common."""
    acquired_s, acquired_at = _moment(elements, 0x0008002A, 0x00080022, 0x00080032)
    content_s, _ = _moment(elements, 0, 0x00080023, 0x00080033)
    image_type = elements.codes(0x00080008)
    b_value = elements.decimal(0x00189087)
    is_mr = elements.code(0x00080060).upper() == "MR"
    return Frame(
        pixels=block,
        number=0,
        sop_instance_uid=elements.code(0x00080018) or meta.sop_instance_uid,
        series_instance_uid=elements.code(0x0020000E),
        modality=elements.code(0x00080060).upper(),
        image_type=image_type,
        frame_of_reference_uid=_legal_uid(elements.code(0x00200052)) or None,
        thickness_mm=elements.decimal(0x00180050),
        acquisition_number=elements.integer(0x00200012),
        temporal_position=elements.integer(0x00200100),
        acquired_s=acquired_s,
        acquired_at=acquired_at,
        content_s=content_s,
        trigger_ms=elements.decimal(0x00181060),
        instance_number=elements.integer(0x00200013),
        echo_ms=elements.decimal(0x00180081),
        b_value=b_value if b_value is not None or not is_mr else private_b_value(elements),
        kernel="\\".join(elements.codes(0x00181210)),
        lossy=elements.code(0x00282110) == "01",
        padding=_padding(elements, signed=block.signed),
        phase_tags=phase_tags(elements),
        sequence=sequence_tags(elements) if is_mr else SequenceTags(),
        series_number=elements.integer(0x00200011),
    )


def classic_frame(elements: Elements, meta: FileMeta, block: PixelBlock) -> Frame:
    """The one slice of a classic CT or MR object."""
    frame = base_frame(elements, meta, block)
    problem = object_problem(elements, frame)
    if problem is None and block.frames > 1:
        problem = Problem(Code.MULTIFRAME_WITHOUT_GEOMETRY, "holds several frames without a position for each of them")
    frame = with_rescale(with_plane(frame, elements, elements, elements), elements)
    problem = problem or frame_problem(frame, elements)
    return frame if problem is None else replace(frame, problem=problem)


def _legal_uid(value: str) -> str:
    """A UID as it is; another one derived from it where it is none, so that equal ones stay equal."""
    if len(value) <= 64 and not value.strip("0123456789."):
        return value
    return f"2.25.{int.from_bytes(sha256(value.encode('utf-8', 'replace')).digest()[:16], 'big')}"


def with_plane(frame: Frame, position: Elements, orientation: Elements, measures: Elements) -> Frame:
    """Adds position, axes and pixel spacing, each read from its own item."""
    axes = orientation.decimals(0x00200037, 6)
    rows = _unit_axes(axes) if axes else None
    place = position.decimals(0x00200032, 3)
    spacing = measures.decimals(0x00280030, 2)
    if spacing is not None and min(spacing) <= 0:
        spacing = None
    return replace(
        frame,
        position_lps_mm=None if place is None else (place[0], place[1], place[2]),
        row_lps=None if rows is None else rows[0],
        column_lps=None if rows is None else rows[1],
        spacing_mm=None if spacing is None else (spacing[0], spacing[1]),
    )


def with_rescale(
    frame: Frame, elements: Elements, *, private: Elements | None = None, mapping: Elements | None = None
) -> Frame:
    """Adds the line from stored value to quantity.

    Args:
        frame: What it belongs to.
        elements: Where rescale slope and intercept are.
        private: Where the maker's scale is; the same unless given.
        mapping: The item that maps stored values to a unit; the first one of ``elements`` unless given.

    MR without rescale tags keeps its stored values. Philips MR carries a private scale slope that makes slices
    and series comparable: (stored x slope + intercept) / (slope x scale slope).
    """
    slope, intercept = elements.decimal(0x00281053), elements.decimal(0x00281052)
    assumed = False
    if frame.modality == "MR":
        if 0x00281053 not in elements and 0x00281052 not in elements:
            slope, intercept, assumed = 1.0, 0.0, True
        scale = _philips_scale(private or elements)
        if scale and slope and intercept is not None:
            slope, intercept = 1.0 / scale, intercept / (slope * scale)
    mapping = mapping or elements.first_item(0x00409096)
    slope, intercept = real_world_line(mapping, frame.modality, (slope, intercept))
    return replace(
        frame,
        slope=slope,
        intercept=intercept,
        rescale_type=elements.code(0x00281054).upper(),
        unit=unit_of(mapping),
        rescale_assumed=assumed,
    )


def object_problem(elements: Elements, frame: Frame) -> Problem | None:
    """Why a whole object is no slice of a volume: another modality, a picture of a picture, a projection."""
    if frame.modality not in ("CT", "MR"):
        shown = frame.modality[:16] if frame.modality.isalnum() else "none"
        return Problem(Code.MODALITY_NOT_SUPPORTED, f"modality {shown}, only CT and MR become volumes")
    if elements.code(0x00080016).startswith(_SECONDARY_CAPTURE):
        return Problem(Code.SECONDARY_CAPTURE, "a secondary capture is a picture, not a measured slice")
    if (elements.integer(0x00280002) or 1) != 1 or elements.code(0x00280004) not in (
        "MONOCHROME1", "MONOCHROME2", "",
    ):  # fmt: skip
        return Problem(Code.COLOUR, "colour pixels cannot be turned into Hounsfield units or MR signal")
    return image_type_problem(frame.image_type)


def image_type_problem(image_type: tuple[str, ...]) -> Problem | None:
    """Localisers and projections, by ImageType."""
    if _LOCALISER.intersection(image_type):
        return Problem(Code.LOCALISER, "a localiser shows the patient in projection or in a few planning planes")
    if _PROJECTION.intersection(image_type):
        return Problem(Code.PROJECTION, "a projection merges many depths into one picture")
    return None


def frame_problem(frame: Frame, elements: Elements) -> Problem | None:
    """Why a slice, and with it the volume it belongs to, cannot be used."""
    return pixel_problem(frame.pixels) or _plane_problem(frame, elements) or _rescale_problem(frame)


def _plane_problem(frame: Frame, elements: Elements) -> Problem | None:
    if frame.position_lps_mm is None:
        return Problem(Code.POSITION_MISSING, "a slice has no readable ImagePositionPatient")
    if frame.row_lps is None:
        return Problem(Code.ORIENTATION_INVALID, "a slice has no ImageOrientationPatient of two unit vectors")
    if frame.spacing_mm is None:
        if 0x00280030 in elements:
            return Problem(Code.PIXEL_SPACING_INVALID, "PixelSpacing is not two positive numbers with a decimal point")
        return Problem(Code.PIXEL_SPACING_MISSING, "PixelSpacing is missing, and no other tag gives it in the patient")
    return None


def _rescale_problem(frame: Frame) -> Problem | None:
    if frame.slope is None or frame.intercept is None:
        return Problem(Code.RESCALE_MISSING, "no readable rescale slope and intercept, so values have no unit")
    if frame.slope == 0:
        return Problem(Code.RESCALE_INVALID, "RescaleSlope is 0, which turns every pixel into one value")
    if frame.modality == "CT" and frame.rescale_type not in _HOUNSFIELD:
        return Problem(Code.NOT_HOUNSFIELD, "RescaleType says that the values are not Hounsfield units")
    if frame.modality == "CT" and frame.unit.upper() not in _HOUNSFIELD_UNITS:
        return Problem(Code.NOT_HOUNSFIELD, "the header maps the values to another unit than Hounsfield's")
    return None


@lru_cache(maxsize=1024)
def _unit_axes(values: tuple[float, ...]) -> tuple[Triple, Triple] | None:
    """Row and column direction made exactly unit, or None when they are not nearly unit and at right angles.

    A right angle that decimals have rounded stays as the header says it: nothing is turned.
    """
    row, column = values[:3], values[3:]
    lengths = math.hypot(*row), math.hypot(*column)
    if not all(abs(length - 1) < 1e-3 for length in lengths):
        return None
    if abs(sum(r * c for r, c in zip(row, column, strict=True))) > 1e-3:
        return None
    (x, y, z), (u, v, w) = row, column
    return (
        (x / lengths[0], y / lengths[0], z / lengths[0]),
        (u / lengths[1], v / lengths[1], w / lengths[1]),
    )


@lru_cache(maxsize=4096)
def moment(date_text: str, time_text: str) -> tuple[float | None, str | None]:
    """Date and time as seconds since year 1 and as ``YYYYMMDDHHMMSS``."""
    seconds = time_of_day_s(time_text)
    if seconds is None:
        return None, None
    try:
        day = date(int(date_text[:4]), int(date_text[4:6]), int(date_text[6:8])).toordinal()
    except ValueError:
        return seconds, None
    whole = int(seconds)
    clock = f"{whole // 3600:02d}{whole // 60 % 60:02d}{whole % 60:02d}"
    return day * 86400.0 + seconds, date_text[:8] + clock


def _moment(elements: Elements, both: int, day: int, clock: int) -> tuple[float | None, str | None]:
    joined = elements.code(both) if both else ""
    if len(joined) >= 14:
        seconds, text = moment(joined[:8], joined[8:].partition("+")[0].partition("-")[0])
        if text is not None:
            return seconds, text
    date_text = next((d for tag in (day, 0x00080021, 0x00080020) if (d := elements.code(tag))), "")
    return moment(date_text, elements.code(clock))


def _padding(elements: Elements, *, signed: bool) -> tuple[int, int] | None:
    first = elements.raw_integer(0x00280120, signed=signed)
    if first is None:
        return None
    last = elements.raw_integer(0x00280121, signed=signed)
    return (first, first) if last is None else (min(first, last), max(first, last))


def _philips_scale(elements: Elements) -> float | None:
    if elements.code(0x20050010).upper() != _PHILIPS_CREATOR:
        return None
    scale = elements.decimal(0x2005100E)
    if scale is None and (raw := elements.raw_bytes(0x2005100E)) and len(raw) == 4:
        scale = float(struct.unpack("<f", raw)[0])
    return scale if scale is not None and scale > 0 else None
