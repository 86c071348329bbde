"""Writing in pixels: what around ultrasound pictures is blackened, what is refused, what hides in the bytes.

Regions say where the pictures of an ultrasound frame are; everything else is painted black. A region is a rectangle
and a picture mostly a sector, so there is room for writing in its corners: inside a rectangle only what moves (in a
loop) or the large lit shapes (in a still) stay, and bright marks that stand still in a loop go. Writing over the
tissue of a still is not looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.encoders.base import get_encoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID, RLELossless
from scipy import ndimage
from skimage.morphology import convex_hull_image

from liverimg.core.cine import Box
from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.codes import Code
from liverimg.dicom.decode import Decoder
from liverimg.dicom.tags import PARSER_ERRORS
from liverimg.dicom.ultrasound_header import UltrasoundHeader
from liverimg.dicom.ultrasound_pixels import load_frames, luma_of, read_stored
from liverimg.dicom.ultrasound_regions import region_box

Mask = NDArray[np.bool_]

# Kinds of regions that hold a picture or a trace: two-dimensional, M-mode, spectral, wave form; not graphics.
_PICTURES: Final = frozenset((1, 2, 3, 4))
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
_SAMPLED_FRAMES: Final = 64
_FEWEST_MOVING_FRAMES: Final = 8
_LIT: Final = 20
# Shapes at least this part of the largest one are pictures; smaller ones are traces, scales, writing.
_PICTURE_SHARE: Final = 0.2
# Less of a rectangle moving than this is a frozen clip: then the lit shapes count.
_MOVING_SHARE: Final = 0.05
_RIM_PX: Final = 2


def burned_in_problem(dataset: Dataset, rules: Mapping[str, Any], *, has_regions: bool) -> str | None:
    """Why the pixels may show the patient's name, or None.

    Args:
        dataset: With pixels.
        rules: Table ``burned_in`` of ``deidentify.toml``.
        has_regions: Regions say where its pictures are, and everything else is blackened.
    """
    said = str(dataset.get("BurnedInAnnotation", "")).upper()
    modality = str(dataset.get("Modality", "")).upper()
    image_type = {str(v).strip().upper() for v in dataset.get("ImageType", None) or ()}
    sop_class = str(dataset.get("SOPClassUID", ""))
    problem = None
    if has_regions:
        return None
    if said == "YES":
        problem = "the file says that writing is burned into its pixels"
    elif f"{sop_class}.".startswith(f"{_SECONDARY_CAPTURE}.") or "ConversionType" in dataset:
        problem = "a secondary capture, such as a screenshot or a scanned page"
    elif image_type & set(rules["screen_words"]) and modality != "RTDOSE":
        problem = "a dose report, a protocol page or another picture of a screen"
    elif modality in rules["plain_modalities"]:
        if int(dataset.get("SamplesPerPixel", 1) or 1) > 1:
            problem = "a colour picture among grey images, as captured screens are"
    elif said != "NO":
        problem = "an image of a kind that often shows writing, and no region says where its picture is"
    return problem


def mask_ultrasound(header: UltrasoundHeader, dataset: Dataset, rules: Mapping[str, Any]) -> int:
    """Blackens everything but the pictures, in place; the pixels come out uncompressed or as RLE.

    Args:
        header: Of the file.
        dataset: Of the same file; its pixel elements are replaced.
        rules: Table ``burned_in`` of ``deidentify.toml``.

    Returns:
        Number of pixels of a frame that were painted black.

    Raises:
        DicomRefusedError: The pixels can't be decoded, or no region of the file fits its image.
    """
    boxes = picture_regions(header)
    if not boxes:
        raise DicomRefusedError(Code.BURNED_IN_TEXT, "an ultrasound image whose regions do not fit its pixels")
    grey = load_frames([header]).grey
    keep = picture_mask(grey, boxes, rules)
    block = header.frame.pixels
    colour = header.samples == 3
    black = _black(header)
    frames = []
    with Decoder() as decoder:
        for stored in read_stored(header, range(block.frames), decoder, to_rgb=colour):
            frame = stored.copy()
            frame[~keep] = black
            frames.append(_packed(frame, dataset, colour, compress=UID(block.transfer_syntax).is_encapsulated))
    _replace_pixels(dataset, frames, colour, compress=UID(block.transfer_syntax).is_encapsulated)
    return int((~keep).sum())


def picture_regions(header: UltrasoundHeader) -> tuple[Box, ...]:
    """Rectangles that hold pictures or traces; none when one of them lies outside the image."""
    shape = (header.frame.pixels.rows, header.frame.pixels.columns)
    boxes = [region_box(region, shape) for region in header.regions if region.spatial_format in _PICTURES]
    return tuple(box for box in boxes if box is not None) if all(box is not None for box in boxes) else ()


def picture_mask(grey: NDArray[np.uint8], boxes: Sequence[Box], rules: Mapping[str, Any]) -> Mask:
    """Pixels that may stay: the pictures' own shapes inside their rectangles, without marks that stand still in a loop.

    Args:
        grey: Shape (t, j, i).
        boxes: Of the regions.
        rules: Table ``burned_in`` of ``deidentify.toml``.
    """
    picked = np.unique(np.linspace(0, len(grey) - 1, min(len(grey), _SAMPLED_FRAMES)).round().astype(int))
    some = grey[picked]
    lowest, highest = some.min(axis=0), some.max(axis=0)
    change = highest.astype(np.int16) - lowest
    keep = np.zeros(grey.shape[1:], dtype=bool)
    for box in boxes:
        part = np.zeros(box.shape, dtype=bool)
        moving = change[box.slices] > rules["moving_levels"]
        is_loop = len(picked) >= _FEWEST_MOVING_FRAMES and moving.mean() >= _MOVING_SHARE
        for shape in _large_shapes(moving if is_loop else highest[box.slices] > _LIT):
            part |= shape
        if is_loop:
            part &= ~_marks(change[box.slices], lowest[box.slices], rules)
        keep[box.slices] |= part
    return keep


def _large_shapes(lit: Mask) -> Iterator[Mask]:
    """The convex hull of every large connected shape; letters and ticks are opened away first."""
    solid = ndimage.binary_opening(ndimage.binary_closing(lit, iterations=2), iterations=3)
    pieces, count = ndimage.label(solid)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    for number in np.flatnonzero(sizes >= _PICTURE_SHARE * sizes.max()) + 1 if count else ():
        yield ndimage.binary_dilation(_hull(pieces == number), iterations=_RIM_PX)


def _hull(piece: Mask) -> Mask:
    hull: Mask = convex_hull_image(piece)  # type: ignore[no-untyped-call]
    return hull


def _marks(change: NDArray[np.int16], lowest: NDArray[np.uint8], rules: Mapping[str, Any]) -> Mask:
    """Bright pixels that never change in a loop: letters, ticks and callipers, not tissue."""
    still = (change <= rules["still_levels"]) & (lowest >= rules["bright_levels"])
    return np.asarray(ndimage.binary_dilation(still, iterations=_RIM_PX))


def _black(header: UltrasoundHeader) -> int:
    """The stored value that is shown black."""
    if header.colour_space == "MONOCHROME1":
        return int((1 << header.frame.pixels.bits_stored) - 1)
    if header.colour_space != "PALETTE COLOR":
        return 0
    palette = dcmread(header.path, stop_before_pixels=True)
    entries = 1 << min(header.frame.pixels.bits_stored, 16)
    shown = apply_color_lut(np.arange(entries, dtype=np.uint16 if entries > 256 else np.uint8), palette)
    return int(luma_of(np.asarray(shown >> 8 if shown.dtype == np.uint16 else shown, dtype=np.uint8)).argmin())


def _packed(frame: NDArray[Any], dataset: Dataset, colour: bool, *, compress: bool) -> bytes:
    if not compress:
        return frame.tobytes()
    return bytes(
        get_encoder(RLELossless).encode(
            np.ascontiguousarray(frame),
            rows=frame.shape[0],
            columns=frame.shape[1],
            samples_per_pixel=3 if colour else 1,
            number_of_frames=1,
            photometric_interpretation="RGB" if colour else str(dataset.PhotometricInterpretation),
            planar_configuration=0,
            bits_allocated=int(dataset.BitsAllocated),
            bits_stored=int(dataset.BitsStored),
            pixel_representation=0,
        )
    )


def _replace_pixels(dataset: Dataset, frames: list[bytes], colour: bool, *, compress: bool) -> None:
    if colour:
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            delattr(dataset, keyword)
    data = encapsulate(frames) if compress else b"".join(frames)
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if compress or int(dataset.BitsAllocated) == 8 else "OW"
    dataset["PixelData"].is_undefined_length = compress
    if compress:
        dataset.file_meta.TransferSyntaxUID = RLELossless


# ---- what hides in the bytes ----


def clean_pixel_bytes(dataset: Dataset) -> None:
    """Removes what rides along with pixels: comments of a codestream, bytes after the last frame, overlay bits.

    Raises:
        DicomRefusedError: Compressed pixels that are not stored as frames.
    """
    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID", "1.2.840.10008.1.2.1")))
    if "PixelData" not in dataset:
        return
    if syntax.is_encapsulated:
        count = int(dataset.get("NumberOfFrames", 1) or 1)
        try:
            frames = [_without_comments(f) for f in generate_frames(dataset.PixelData, number_of_frames=count)]
        except (*PARSER_ERRORS, RuntimeError) as error:
            raise DicomRefusedError(Code.DECODING_FAILED, "compressed pixels that are not stored as frames") from error
        for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
            if keyword in dataset:
                delattr(dataset, keyword)
        dataset.PixelData = encapsulate(frames)
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
        return
    dataset.PixelData = _without_hidden_bits(dataset, _without_tail(dataset))


def _without_tail(dataset: Dataset) -> bytes:
    samples = 2 if str(dataset.get("PhotometricInterpretation", "")).endswith("_422") else dataset.SamplesPerPixel
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    bits = dataset.Rows * dataset.Columns * samples * frames * dataset.BitsAllocated
    data = bytes(dataset.PixelData)[: (bits + 7) // 8]
    return data + b"\0" * (len(data) % 2)


def _without_hidden_bits(dataset: Dataset, data: bytes) -> bytes:
    """Clears stored bits beside the value when an old overlay plane may lie in them (PS3.3 C.9.2)."""
    planes = [tag for tag in dataset.keys() if tag.group & 0xFF00 == 0x6000 and tag.element == 0x0102]  # noqa: SIM118
    allocated, stored, high = dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit
    if not planes or allocated not in (8, 16) or stored >= allocated:
        return data
    big = str(dataset.file_meta.TransferSyntaxUID) == "1.2.840.10008.1.2.2"
    values = np.frombuffer(data, f"{'>' if big else '<'}u{allocated // 8}")
    mask = ((1 << stored) - 1) << (high + 1 - stored)
    return bytes((values & values.dtype.type(mask)).tobytes())


def _without_comments(frame: bytes) -> bytes:
    """A JPEG, JPEG-LS or JPEG 2000 codestream without its comment and application segments.

    JFIF (APP0) and Adobe (APP14) stay, as colours depend on them; other packings come back as they are.
    """
    jpeg_2000 = frame[:4] == b"\xff\x4f\xff\x51"
    if not jpeg_2000 and frame[:3] != b"\xff\xd8\xff":
        return frame
    last = 0x90 if jpeg_2000 else 0xDA  # the first tile, the first scan: what follows is picture
    kept, at = bytearray(frame[:2]), 2
    while at + 4 <= len(frame) and frame[at] == 0xFF and frame[at + 1] != last:
        marker = frame[at + 1]
        length = 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
        segment = frame[at : at + length]
        comment = marker == (0x64 if jpeg_2000 else 0xFE)
        application = not jpeg_2000 and 0xE0 <= marker <= 0xEF
        if application and marker == 0xE0:
            segment = _only_jfif(segment)
        elif application and marker == 0xEE:
            segment = segment if segment[4:9] == b"Adobe" and len(segment) <= 16 else b""
        elif application:
            # APP8 SPIFF and HP's colour transform of JPEG-LS are kept: their values are read as pixels.
            segment = segment if marker == 0xE8 and segment[4:8] in (b"mrfx", b"SPIF") and len(segment) <= 36 else b""
        if not comment:
            kept += segment
        at += length
    return bytes(kept + frame[at:])


def _only_jfif(segment: bytes) -> bytes:
    """The head of JFIF, its thumbnail left out."""
    if segment[4:9] != b"JFIF\0" or len(segment) < 18:
        return b""
    return b"\xff\xe0\x00\x10" + segment[4:16] + b"\0\0"
