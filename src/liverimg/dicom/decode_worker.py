"""The child of :mod:`liverimg.dicom.decode`: decodes frames for it, one after the other, within limits.

Usage: ``python -m liverimg.dicom.decode_child REPLIES MEMORY LIMIT``: a pipe to answer on, shared memory for the
values, bytes that may be taken. Jobs come as lines of JSON on standard input. Never started by hand.
"""

from __future__ import annotations

import io
import json
import logging
import mmap
import os
import resource
import signal
import sys
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder

from liverimg.dicom.codestream import claimed_size, is_ended
from liverimg.dicom.file_meta import read_meta
from liverimg.dicom.limits import shipped_limits
from liverimg.dicom.tags import PARSER_ERRORS

Job = Mapping[str, Any]

# Preferred first. GDCM is left out: it is the second decoder, by way of SimpleITK. So is pydicom's own for RLE, which
# cuts off or fills up what has another length.
_PLUGINS: Final = ("pyjpegls", "pylibjpeg", "pillow")
_DECODER_ERRORS: Final = (*PARSER_ERRORS, RuntimeError)
_LOSSLESS: Final = frozenset((
    uid.RLELossless, uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEG2000Lossless,
    uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL,
))  # fmt: skip
# What the second decoder may read alone. Of the others it fills up what is missing.
_SECOND_ALONE: Final = frozenset((
    uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1,
))  # fmt: skip
# PixelData of unknown length, VR OB, and what ends its sequence of fragments.
_PIXEL_ELEMENT: Final = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
_SEQUENCE_END: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
_HEAD_BYTES: Final = 1 << 16
_CHUNK_BYTES: Final = 1 << 18
_LARGEST_FILE_BYTES: Final = 1 << 30


class _RefusalError(Exception):
    """A frame that is not decoded; the word is one that the parent knows."""


def main(replies: int, memory: int, limit_bytes: int) -> None:
    """Answers jobs until standard input ends."""
    _set_limits(limit_bytes)
    logging.disable()
    warnings.simplefilter("ignore")
    os.write(replies, b'{"ready": true}\n')
    while line := sys.stdin.buffer.readline():
        job = json.loads(line)
        try:
            _answer(job, replies, memory)
        except MemoryError:
            os.write(replies, b'{"refused": "memory"}\n')
        except _RefusalError as refusal:
            os.write(replies, json.dumps({"refused": str(refusal)}).encode("ascii") + b"\n")
        except OSError:
            os.write(replies, b'{"refused": "cut"}\n')


def _set_limits(limit_bytes: int) -> None:
    """Limits address space to what is taken now and so much more; a crash leaves no core file."""
    with open("/proc/self/statm", encoding="ascii") as stream:  # noqa: PTH123 - a file of the kernel
        taken_bytes = int(stream.read().split()[0]) * mmap.PAGESIZE
    resource.setrlimit(resource.RLIMIT_AS, (taken_bytes + limit_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(job: Job, replies: int, memory: int) -> None:
    shape = (job["rows"], job["columns"]) + ((job["samples"],) if job["samples"] > 1 else ())
    dtype = np.dtype(f"u{job['bits_allocated'] // 8}")
    with mmap.mmap(memory, job["frame_bytes"]) as shared:
        source = _inflated(job) if job["transfer_syntax"] == uid.DeflatedExplicitVRLittleEndian else _decoded(job)
        _alarm(job)
        for values in source:
            if values.shape != shape:
                raise _RefusalError("size")
            if values.dtype.itemsize != dtype.itemsize:
                values = values.astype(f"{values.dtype.kind}{dtype.itemsize}")  # noqa: PLW2901 - the same values
            shared[:] = np.ascontiguousarray(values).tobytes()
            os.write(replies, b'{"frame": true}\n')
            signal.alarm(0)
            if not sys.stdin.buffer.readline():
                sys.exit()
            _alarm(job)
        signal.alarm(0)


def _alarm(job: Job) -> None:
    """Should the parent be gone when time is up, nobody else would end a decoder that hangs."""
    signal.alarm(int(job["limit_s"]) + 5)


def _inflated(job: Job) -> Iterator[NDArray[Any]]:
    """Frames of a deflated file (PS3.5 A.5); no byte more is unpacked than they need."""
    dtype = f"<u{job['bits_allocated'] // 8}"
    shape = (job["rows"], job["columns"]) + ((job["samples"],) if job["samples"] > 1 else ())
    with Path(job["path"]).open("rb") as stream:
        stream.seek(read_meta(stream.read(_HEAD_BYTES)).dataset_offset)
        unpacked = _Inflater(stream)
        unpacked.skip(job["offset"])
        at = 0
        for number in job["numbers"]:
            unpacked.skip((number - at) * job["frame_bytes"])
            frame = unpacked.take(job["frame_bytes"])
            at = number + 1
            yield np.frombuffer(frame, dtype=dtype).reshape(shape)


class _Inflater:
    """Unpacks a deflated stream piece by piece."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def take(self, count: int) -> bytearray:
        taken = bytearray()
        while len(taken) < count:
            taken += self._piece(count - len(taken))
        return taken

    def skip(self, count: int) -> None:
        while count > 0:
            count -= len(self._piece(count))

    def _piece(self, most: int) -> bytes:
        while True:
            packed = self._inflater.unconsumed_tail or self._stream.read(_CHUNK_BYTES)
            piece = self._inflater.decompress(packed, min(most, _CHUNK_BYTES))
            if piece:
                return piece
            if self._inflater.eof or not packed:
                raise _RefusalError("cut")


def _decoded(job: Job) -> Iterator[NDArray[Any]]:
    wanted = set(job["numbers"])
    with Path(job["path"]).open("rb") as stream:
        stream.seek(job["offset"])
        try:
            for number, frame in enumerate(generate_frames(stream, number_of_frames=job["frames"])):
                if number in wanted:
                    wanted.discard(number)
                    yield _decode(job, frame, compare=number in job["compare"])
                if not wanted:
                    return
        except _DECODER_ERRORS as error:
            if isinstance(error, MemoryError):
                raise
            raise _RefusalError("undecodable") from error
    raise _RefusalError("cut")


def _decode(job: Job, frame: bytes, *, compare: bool) -> NDArray[Any]:
    """One frame by the first decoder that manages, held against another one where that is asked for."""
    if not uid.UID(job["transfer_syntax"]).is_encapsulated:
        raise _RefusalError("undecodable")
    claimed = claimed_size(frame)
    if claimed is not None and claimed != (job["rows"], job["columns"]):
        raise _RefusalError("size")
    if claimed is not None and not is_ended(frame):
        raise _RefusalError("cut")
    first = _by_pydicom(job, frame)
    if first is not None and not compare:
        return first
    second = _by_simpleitk(job, frame) if job["samples"] == 1 else None
    if first is None:
        if second is None or job["transfer_syntax"] not in _SECOND_ALONE:
            raise _RefusalError("undecodable")
        return second
    if second is not None and _differ(job, first, second):
        raise _RefusalError("disagree")
    return first


def _by_pydicom(job: Job, frame: bytes) -> NDArray[Any] | None:
    """By pydicom's plugins in turn; None when every one of them fails."""
    try:
        decoder = get_decoder(job["transfer_syntax"])
    except NotImplementedError:
        return None
    options = {
        "rows": job["rows"], "columns": job["columns"], "number_of_frames": 1, "samples_per_pixel": job["samples"],
        "photometric_interpretation": job["photometric"], "planar_configuration": job["planar"],
        "bits_allocated": job["bits_allocated"], "bits_stored": job["bits_stored"],
        "pixel_representation": int(job["signed"]), "pixel_keyword": "PixelData",
    }  # fmt: skip
    packed = encapsulate([frame])
    for plugin in _PLUGINS:
        if plugin in decoder.available_plugins:
            try:
                values, _ = decoder.as_array(packed, index=0, raw=not job["to_rgb"], decoding_plugin=plugin, **options)
            except MemoryError:
                raise
            except BaseException as error:
                # A plugin written in Rust panics past every ordinary exception.
                if not isinstance(error, _DECODER_ERRORS) and type(error).__module__ != "pyo3_runtime":
                    raise
                continue
            return np.asarray(values)
    return None


def _by_simpleitk(job: Job, frame: bytes) -> NDArray[Any] | None:
    """By SimpleITK (GDCM), out of a file of our own that holds this frame and no rescale; None when it fails."""
    import SimpleITK  # slow to import, and seldom needed

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame"
        path.write_bytes(_file_of(job, frame))
        try:
            # No other reader of its many is to try its luck on a stranger's bytes; asking them all costs time, too.
            image = SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO")
        except RuntimeError:
            return None
    values = SimpleITK.GetArrayFromImage(image)
    if values.dtype.kind not in "iu" or values.size != job["rows"] * job["columns"]:
        return None
    return np.asarray(values.reshape(job["rows"], job["columns"]))


def _file_of(job: Job, frame: bytes) -> bytes:
    """A DICOM file that holds one frame (PS3.5 A.4)."""
    head = _head_of(
        job["transfer_syntax"], job["rows"], job["columns"], job["bits_allocated"], job["bits_stored"], job["signed"]
    )
    return head + _PIXEL_ELEMENT + bytes(encapsulate([frame])) + _SEQUENCE_END


@lru_cache(maxsize=4)
def _head_of(syntax: str, rows: int, columns: int, bits_allocated: int, bits_stored: int, signed: bool) -> bytes:
    """The same for all frames of a series: everything before the pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = uid.UID("2.25.1")
    meta.TransferSyntaxUID = uid.UID(syntax)
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored = bits_allocated, bits_stored
    dataset.HighBit, dataset.PixelRepresentation = bits_stored - 1, int(signed)
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _differ(job: Job, first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Whether two decoders read different values: at all where the packing is lossless, else by more than rounding."""
    if first.shape != second.shape:
        return True
    mask = (1 << job["bits_stored"]) - 1
    if job["transfer_syntax"] in _LOSSLESS:
        return not np.array_equal(first.astype(np.int64) & mask, second.astype(np.int64) & mask)
    limits = shipped_limits()
    most = max(limits.lossy_levels, limits.lossy_range_share * mask)
    return bool(np.abs(first.astype(np.int64) - second.astype(np.int64)).max() > most)
