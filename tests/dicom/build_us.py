"""Small ultrasound clips to order: two fans side by side, every way of storing colour, time and scale."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

ROOT = "1.2.826.0.1.3680043.8.498.7"
US_LOOP = "1.2.840.10008.5.1.4.1.1.3.1"
US_STILL = "1.2.840.10008.5.1.4.1.1.6.1"
PANE_SHAPE = (60, 72)
TINT = np.array([1.25, 0.98, 0.3])


def fan(shape: tuple[int, int] = PANE_SHAPE) -> np.ndarray:
    """A sector: True inside."""
    j, i = np.indices(shape)
    across, down = i - (shape[1] - 1) / 2, j + 12.0
    angle, depth = np.arctan2(across, down), np.hypot(across, down)
    return (np.abs(angle) < 0.5) & (depth > 14) & (depth < shape[0] + 8)


def arrival_curve(times_s: np.ndarray, *, at_s: float, rise_s: float = 4.0, level: float = 110.0) -> np.ndarray:
    """Mean grey level of contrast: nothing, then a rise that slows down."""
    after = np.clip(times_s - at_s, 0, None)
    return level * (1 - np.exp(-after / rise_s))


def speckle(frames: int, level: np.ndarray | float, *, seed: int, shape: tuple[int, int] = PANE_SHAPE) -> np.ndarray:
    """Moving speckle in a fan at a mean level per frame; black outside; shape (t, j, i)."""
    rng = np.random.default_rng(seed)
    levels = np.broadcast_to(np.asarray(level, dtype=float), (frames,))[:, None, None]
    noise = rng.rayleigh(0.8, (frames, *shape))
    return (np.clip(levels * noise, 0, 255) * fan(shape)).round().astype(np.uint8)


def tinted(grey: np.ndarray) -> np.ndarray:
    """Grey levels in the brown that contrast modes are shown in; luma unchanged to about one level."""
    weights = np.array([0.299, 0.587, 0.114])
    colour = grey[..., None] * 0.8 * (TINT / (TINT @ weights))
    return np.clip(colour, 0, 255).round().astype(np.uint8)


def dual(
    times_s: np.ndarray, *, at_s: float = 6.0, contrast_left: bool = True, gap: int = 8, in_colour: bool = True
) -> np.ndarray:
    """A dual display, RGB, shape (t, j, i, 3): contrast that arrives at ``at_s`` beside B-mode."""
    count = len(times_s)
    contrast = speckle(count, 6 + arrival_curve(times_s, at_s=at_s), seed=1)
    b_mode = speckle(count, 85, seed=2)
    contrast_rgb = tinted(contrast) if in_colour else np.repeat(contrast[..., None], 3, axis=-1)
    b_mode_rgb = np.repeat(b_mode[..., None], 3, axis=-1)
    between = np.zeros((count, PANE_SHAPE[0], gap, 3), dtype=np.uint8)
    pair = (contrast_rgb, between, b_mode_rgb) if contrast_left else (b_mode_rgb, between, contrast_rgb)
    return np.concatenate(pair, axis=2)


def region(box: Sequence[int], *, delta: Sequence[float] = (0.05, 0.05), **other: int) -> Dataset:
    """One item of SequenceOfUltrasoundRegions; ``box`` is Min X0, Min Y0, Max X1, Max Y1."""
    item = Dataset()
    item.RegionSpatialFormat = other.get("spatial_format", 1)
    item.RegionDataType = other.get("data_type", 1)
    item.RegionFlags = 0
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = other.get("units", 3)
    item.PhysicalDeltaX, item.PhysicalDeltaY = (float(d) for d in delta)
    return item


def dataset(frames: int, rows: int, columns: int, *, series: int = 1, instance: int = 1) -> FileDataset:
    """An ultrasound header without pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = US_LOOP if frames > 1 else US_STILL
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.9.{series}.{instance}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    made.Modality = "US"
    made.ImageType = ["ORIGINAL", "PRIMARY", "", "0001"]
    made.PatientName, made.PatientID = "PHANTOM^TEST", "PHANTOM"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2.{series}"
    made.StudyDate = "20260101"
    made.InstanceNumber = instance
    made.Rows, made.Columns = rows, columns
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation, made.SamplesPerPixel = 7, 0, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    if frames > 1:
        made.NumberOfFrames = frames
    return made


def put_pixels(made: FileDataset, rgb: np.ndarray, colour_space: str = "RGB", planar: int = 0) -> None:
    """Stores frames (t, j, i, 3) in a colour space; grey ones take the first channel."""
    made.PhotometricInterpretation = colour_space
    if colour_space.startswith("MONOCHROME"):
        grey = rgb[..., 0]
        _set(made, 255 - grey if colour_space == "MONOCHROME1" else grey)
        return
    if colour_space == "PALETTE COLOR":
        _palette(made, rgb)
        return
    made.SamplesPerPixel, made.PlanarConfiguration = 3, planar
    if colour_space == "JPEG":
        made.PhotometricInterpretation = "YBR_FULL_422"
        made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        made.PixelData = encapsulate([_jpeg(frame) for frame in rgb])
        made["PixelData"].is_undefined_length = True
        made.LossyImageCompression = "01"
        return
    stored = rgb if colour_space == "RGB" else convert_color_space(rgb, "RGB", "YBR_FULL")
    if colour_space == "YBR_FULL_422":
        luma, chroma = stored[..., 0], stored[..., 1:]
        pairs = np.stack([luma[..., ::2], luma[..., 1::2], chroma[..., ::2, 0], chroma[..., ::2, 1]], axis=-1)
        _set(made, pairs)
    else:
        _set(made, np.moveaxis(stored, -1, 1) if planar else stored)


def _set(made: FileDataset, stored: np.ndarray) -> None:
    data = np.ascontiguousarray(stored).tobytes()
    made.PixelData = data + b"\0" * (len(data) % 2)
    made["PixelData"].VR = "OB"


def _jpeg(frame: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=95, subsampling="4:2:2")
    return stream.getvalue()


def _palette(made: FileDataset, rgb: np.ndarray) -> None:
    """At most 256 colours, listed in an order that has nothing to do with their brightness."""
    colours, index = np.unique(rgb.reshape(-1, 3), axis=0, return_inverse=True)
    order = np.random.default_rng(3).permutation(len(colours))
    place = np.argsort(order)
    _set(made, place[index].reshape(rgb.shape[:-1]).astype(np.uint8))
    table = np.zeros((256, 3), dtype=np.uint16)
    table[: len(colours)] = colours[order].astype(np.uint16) << 8
    for channel, name in enumerate(("Red", "Green", "Blue")):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(made, f"{name}PaletteColorLookupTableData", np.ascontiguousarray(table[:, channel]).tobytes())


def write_loop(
    folder: Path,
    rgb: np.ndarray,
    *,
    colour_space: str = "RGB",
    planar: int = 0,
    series: int = 1,
    regions: Sequence[Dataset] = (),
    tags: Mapping[str, Any] | None = None,
    edit: Callable[[FileDataset], None] | None = None,
) -> Path:
    """Writes one multi-frame object; ``tags`` by keyword."""
    folder.mkdir(parents=True, exist_ok=True)
    made = dataset(len(rgb), rgb.shape[1], rgb.shape[2], series=series)
    put_pixels(made, rgb, colour_space, planar)
    return _finish(made, folder / f"loop{series}", regions, {"FrameTime": "100"} if tags is None else tags, edit)


def write_still(
    folder: Path,
    rgb: np.ndarray,
    instance: int,
    *,
    series: int = 1,
    regions: Sequence[Dataset] = (),
    tags: Mapping[str, Any] | None = None,
) -> Path:
    """Writes one single-frame object; ``rgb`` has shape (j, i, 3)."""
    folder.mkdir(parents=True, exist_ok=True)
    made = dataset(1, rgb.shape[0], rgb.shape[1], series=series, instance=instance)
    put_pixels(made, rgb[None])
    return _finish(made, folder / f"still{series}_{instance}", regions, tags or {}, None)


def _finish(
    made: FileDataset,
    path: Path,
    regions: Sequence[Dataset],
    tags: Mapping[str, Any],
    edit: Callable[[FileDataset], None] | None,
) -> Path:
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    if regions:
        made.SequenceOfUltrasoundRegions = list(regions)
    if edit is not None:
        edit(made)
    made.save_as(path, enforce_file_format=True)
    return path
