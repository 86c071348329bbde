"""From header elements to frames: classic single-frame objects, and what both kinds of object share."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import date
from typing import Final

import numpy as np

from liverimg.dicom.codes import Code
from liverimg.dicom.frame import Frame, PhaseTags, PixelBlock, Problem, Triple
from liverimg.dicom.tags import Elements, FileMeta, time_of_day_s

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
_PHILIPS_CREATOR: Final = "PHILIPS MR IMAGING DD 001"

COMMON_TAGS: Final = (
    0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x0008002A,
    0x00080032, 0x00080033, 0x00080060, 0x0008103E, 0x00100010, 0x00100020, 0x00180010, 0x00180050, 0x00180081,
    0x00181030, 0x00181042, 0x00181060, 0x00181210, 0x00189087, 0x00189341, 0x0020000D, 0x0020000E, 0x00200012,
    0x00200013, 0x00200032, 0x00200037, 0x00200052, 0x00200100, 0x00280002, 0x00280004, 0x00280008, 0x00280010,
    0x00280011, 0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280120, 0x00280121, 0x00281052,
    0x00281053, 0x00281054, 0x00282110, 0x20050010, 0x2005100E, 0x52009229, 0x52009230,
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
    return Frame(
        pixels=block,
        number=0,
        sop_instance_uid=elements.code(0x00080018) or meta.sop_instance_uid,
        series_instance_uid=elements.code(0x0020000E),
        modality=elements.code(0x00080060).upper(),
        image_type=image_type,
        frame_of_reference_uid=elements.code(0x00200052) or None,
        thickness_mm=elements.decimal(0x00180050),
        acquisition_number=elements.integer(0x00200012),
        temporal_position=elements.integer(0x00200100),
        acquired_s=acquired_s,
        acquired_at=acquired_at,
        content_s=content_s,
        trigger_ms=elements.decimal(0x00181060),
        instance_number=elements.integer(0x00200013),
        echo_ms=elements.decimal(0x00180081),
        b_value=elements.decimal(0x00189087),
        kernel="\\".join(elements.codes(0x00181210)),
        lossy=elements.code(0x00282110) == "01",
        padding=_padding(elements, signed=block.signed),
        phase_tags=_phase_tags(elements),
    )


def classic_frame(elements: Elements, meta: FileMeta, block: PixelBlock) -> Frame:
    """The one slice of a classic CT or MR object."""
    frame = base_frame(elements, meta, block)
    problem = object_problem(elements, frame)
    if problem is None and block.frames > 1:
        problem = Problem(Code.MULTIFRAME_WITHOUT_GEOMETRY, "holds several frames without a position for each of them")
    frame = with_plane(frame, elements, elements, elements)
    frame = with_rescale(frame, elements)
    return replace(frame, problem=problem or frame_problem(frame, elements))


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


def with_rescale(frame: Frame, elements: Elements) -> Frame:
    """Adds the line from stored value to quantity.

    MR without rescale tags keeps its stored values. Philips MR carries a private scale slope that makes slices
    and series comparable: (stored x slope + intercept) / (slope x scale slope).
    """
    slope, intercept = elements.decimal(0x00281053), elements.decimal(0x00281052)
    assumed = False
    if frame.modality == "MR":
        if 0x00281053 not in elements and 0x00281052 not in elements:
            slope, intercept, assumed = 1.0, 0.0, True
        scale = _philips_scale(elements)
        if scale and slope and intercept is not None:
            slope, intercept = 1.0 / scale, intercept / (slope * scale)
    return replace(
        frame,
        slope=slope,
        intercept=intercept,
        rescale_type=elements.code(0x00281054).upper(),
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
    return _pixel_problem(frame.pixels) or _plane_problem(frame, elements) or _rescale_problem(frame)


def _pixel_problem(block: PixelBlock) -> Problem | None:
    if not (1 <= block.rows <= LARGEST_MATRIX and 1 <= block.columns <= LARGEST_MATRIX) or (
        block.frames > LARGEST_FRAME_COUNT
    ):
        return Problem(
            Code.TOO_LARGE,
            f"claims {block.rows} x {block.columns} pixels in {block.frames} frames, allowed are "
            f"1 to {LARGEST_MATRIX} and at most {LARGEST_FRAME_COUNT} frames",
        )
    if block.bits_allocated not in (8, 16, 32) or not 1 <= block.bits_stored <= block.bits_allocated:
        return Problem(
            Code.PIXEL_FORMAT, f"{block.bits_stored} bits stored in {block.bits_allocated} are not supported"
        )
    if not block.bits_stored - 1 <= block.high_bit < block.bits_allocated:
        return Problem(Code.PIXEL_FORMAT, "HighBit contradicts BitsStored and BitsAllocated")
    needed = block.frame_bytes * block.frames
    if block.length is not None and min(block.length, block.available) < needed:
        return Problem(
            Code.PIXEL_DATA_TRUNCATED,
            f"a file holds {min(block.length, block.available)} of {needed} bytes of pixels",
        )
    if block.length is None and block.available < block.frames:
        return Problem(Code.PIXEL_DATA_TRUNCATED, "a compressed file ends before its pixels")
    return None


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
    return None


def _unit_axes(values: tuple[float, ...]) -> tuple[Triple, Triple] | None:
    """Row and column direction made exactly unit and orthogonal, or None when they are not nearly so."""
    row, column = np.asarray(values[:3]), np.asarray(values[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not all(abs(length - 1) < 1e-3 for length in lengths):
        return None
    row, column = row / lengths[0], column / lengths[1]
    if abs(row @ column) > 1e-3:
        return None
    column = column - (row @ column) * row
    column = column / np.linalg.norm(column)
    return (float(row[0]), float(row[1]), float(row[2])), (float(column[0]), float(column[1]), float(column[2]))


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


def _phase_tags(elements: Elements) -> PhaseTags:
    usage = elements.first_item(0x00189341)
    agent = elements.text(0x00180010)
    if agent is None and usage is not None and usage.code(0x00189344).upper() == "PRE_CONTRAST":
        agent = "PRE_CONTRAST"
    return PhaseTags(
        series_description=elements.text(0x0008103E) or "",
        protocol_name=elements.text(0x00181030) or "",
        contrast_agent=agent,
        contrast_start_s=time_of_day_s(elements.code(0x00181042)),
    )


def _philips_scale(elements: Elements) -> float | None:
    if elements.code(0x20050010).upper() != _PHILIPS_CREATOR:
        return None
    scale = elements.decimal(0x2005100E)
    if scale is None and (raw := elements.raw_bytes(0x2005100E)) and len(raw) == 4:
        scale = float(struct.unpack("<f", raw)[0])
    return scale if scale is not None and scale > 0 else None
