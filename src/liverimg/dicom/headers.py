"""From a folder to frames: which files are DICOM, what their headers say, what was left out.

Only tags are read, never pixels, except that a file's length is held against what its header promises.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, Final

from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from liverimg.core.errors import DicomRefusedError, InputRefusedError
from liverimg.dicom.classic import COMMON_TAGS, classic_frame, pixel_block
from liverimg.dicom.codes import Code
from liverimg.dicom.enhanced import enhanced_frames, is_enhanced
from liverimg.dicom.file_meta import FileMeta, inflate_start, looks_like_dicom, read_meta
from liverimg.dicom.frame import Frame, PixelBlock, Progress
from liverimg.dicom.limits import expansion_of, shipped_limits
from liverimg.dicom.tags import PARSER_ERRORS, Elements, quiet

# Most headers fit into the first; an enhanced header of thousands of frames needs the last.
_READ_STEPS_BYTES: Final = (1 << 16, 1 << 22, 512 << 20)
_DICOMDIR_CLASS: Final = "1.2.840.10008.1.3.10"
# CT and MR, classic, enhanced and legacy converted: what never comes without pixels.
_IMAGE_CLASSES: Final = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4")
)


@dataclass(frozen=True)
class Identity:
    """Whose study a file belongs to; compared while reading, never stored or shown."""

    study_instance_uid: str
    study_date: str | None
    patient_id: str = field(repr=False)
    patient_name: str = field(repr=False)


@dataclass(frozen=True)
class LeftOut:
    """A file that yields no frame."""

    what: str
    code: Code
    reason: str


@dataclass(frozen=True)
class FolderHeaders:
    """Everything that the headers of one folder say, in an order that does not depend on file names."""

    frames: tuple[Frame, ...]
    identities: tuple[Identity, ...]
    left_out: tuple[LeftOut, ...]


def files_below(folder: Path) -> Iterator[Path]:
    """Regular files below a folder, sorted; symbolic links are not followed, so nothing outside is read."""
    pending = [folder]
    while pending:
        try:
            entries = sorted(os.scandir(pending.pop()), key=lambda entry: entry.name)
        except OSError as error:
            raise InputRefusedError(
                f"a folder of the study cannot be read ({error.strerror}): check its permissions"
            ) from error
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(Path(entry.path))
            else:
                yield Path(entry.path)


def read_folder(folder: Path, *, progress: Progress | None = None) -> FolderHeaders:
    """Reads all headers below ``folder``.

    Args:
        folder: A study as it came from a CD, a PACS export or a download.
        progress: Called with (files done, files in all).
    """
    with quiet():
        return _read_folder(folder, progress)


def _read_folder(folder: Path, progress: Progress | None) -> FolderHeaders:
    paths = sorted(files_below(folder))
    frames: list[Frame] = []
    identities: set[Identity] = set()
    left_out: list[LeftOut] = []
    for done, path in enumerate(paths):
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode) or path.name.upper() == "DICOMDIR":
                raise DicomRefusedError(Code.NOT_DICOM, "a link, a device or a directory of files")
            found, identity = read_file(path)
            frames += found
            identities.add(identity)
        except _NoImageError as found_nothing:
            identities.add(found_nothing.identity)
            left_out.append(LeftOut(found_nothing.what, Code.NO_IMAGE, str(found_nothing)))
        except DicomRefusedError as refusal:
            left_out.append(LeftOut(_name_by_content(path, refusal), Code(refusal.code), str(refusal)))
        if progress is not None:
            progress(done + 1, len(paths))
    frames = _in_order(frames)
    people = sorted(identities, key=lambda i: (i.study_instance_uid, i.study_date or "", i.patient_id))
    return FolderHeaders(tuple(frames), tuple(people), tuple(left_out))


def _name_by_content(path: Path, refusal: DicomRefusedError) -> str:
    """Names a damaged file by what it holds: exports name folders and files after patients, and names change."""
    if refusal.code == Code.NOT_DICOM:
        return "a foreign file"
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return f"file of {os.fstat(stream.fileno()).st_size} bytes, SHA-256 {digest[:16]}"
    except OSError:
        return "a file that cannot be read"


def _in_order(frames: list[Frame]) -> list[Frame]:
    """Frames in an order that rests on nothing but their headers, copies among them too."""

    def identity(frame: Frame) -> tuple[str, str, int]:
        return frame.series_instance_uid, frame.sop_instance_uid, frame.number

    ordered: list[Frame] = []
    for _, same in groupby(sorted(frames, key=identity), key=identity):
        alike = list(same)
        if len(alike) > 1:
            nowhere = alike[0].pixels
            alike.sort(key=lambda frame: repr(replace(frame, pixels=nowhere)))
        ordered += alike
    return ordered


class _NoImageError(Exception):
    """A readable DICOM object without pixels: a report, a presentation state, raw data."""

    def __init__(self, what: str, identity: Identity) -> None:
        super().__init__("an object without pixels, such as a report, a presentation state or raw data")
        self.what = what
        self.identity = identity


def read_file(path: Path) -> tuple[tuple[Frame, ...], Identity]:
    """Reads one file's header into its frames.

    Raises:
        DicomRefusedError: It is no DICOM, or cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as stream:
            size = os.fstat(stream.fileno()).st_size
            head = stream.read(_READ_STEPS_BYTES[0])
            if not looks_like_dicom(head):
                raise DicomRefusedError(Code.NOT_DICOM, "not a DICOM file")
            meta = read_meta(head)
            data, elements = _parse(stream, head, meta, size)
            block = _locate_pixels(path, data, elements, meta, size)
        return _frames(elements, meta, block)
    except PARSER_ERRORS as error:
        raise DicomRefusedError(Code.UNREADABLE, "a DICOM file whose header is damaged") from error


def _parse(stream: BinaryIO, head: bytes, meta: FileMeta, size: int) -> tuple[bytes, Elements]:
    """Parses with as much of the file in memory as it takes to reach the pixel data."""
    deflated = meta.transfer_syntax == DeflatedExplicitVRLittleEndian
    steps = (*_READ_STEPS_BYTES[:-1], shipped_limits().largest_header_bytes) if deflated else _READ_STEPS_BYTES
    data, whole = head, len(head) >= size
    for limit in steps:
        if deflated:
            stream.seek(meta.dataset_offset)
            data, whole = inflate_start(stream.read(limit), limit)
            whole = whole and meta.dataset_offset + limit >= size
        elif limit > len(data) and not whole:
            data += stream.read(limit - len(data))
            whole = len(data) >= size
        try:
            elements = Elements.parse(data, meta, COMMON_TAGS, offset=0 if deflated else meta.dataset_offset)
        except PARSER_ERRORS:
            if whole:
                raise
            continue
        if whole or _pixel_tag(data, elements.stopped_at, meta) is not None:
            return data, elements
    raise DicomRefusedError(Code.TOO_LARGE, "a header larger than any real one")


def _pixel_tag(data: bytes, at: int, meta: FileMeta) -> int | None:
    order = meta.byte_order
    if len(data) < at + 12:
        return None
    tag = int.from_bytes(data[at : at + 2], order) << 16 | int.from_bytes(data[at + 2 : at + 4], order)
    return tag if tag >> 16 == 0x7FE0 else None


def _locate_pixels(path: Path, data: bytes, elements: Elements, meta: FileMeta, size: int) -> PixelBlock | None:
    """Where the pixel block starts and how long it claims and proves to be; None without one."""
    at = elements.stopped_at
    tag = _pixel_tag(data, at, meta)
    if tag is None:
        return None
    order = meta.byte_order
    offset, length_at = (at + 8, at + 4) if meta.is_implicit else (at + 12, at + 8)
    length = int.from_bytes(data[length_at : length_at + 4], order)
    # How much a deflated file holds shows only when it is unpacked; it cannot be more than this.
    deflated = meta.transfer_syntax == DeflatedExplicitVRLittleEndian
    total = expansion_of(meta.transfer_syntax) * size if deflated else size
    compressed = length == 0xFFFFFFFF or (
        bool(meta.transfer_syntax) and UID(meta.transfer_syntax).is_compressed and not deflated
    )
    return PixelBlock(
        path=path,
        transfer_syntax=meta.transfer_syntax,
        rows=0, columns=0, frames=1, bits_allocated=16, bits_stored=16, high_bit=15, signed=False,
        offset=offset,
        length=None if compressed else length,
        available=max(0, total - offset),
        float_bits={0x7FE00008: 32, 0x7FE00009: 64}.get(tag, 0),
    )  # fmt: skip


def _frames(elements: Elements, meta: FileMeta, block: PixelBlock | None) -> tuple[tuple[Frame, ...], Identity]:
    if elements.code(0x00080016) == _DICOMDIR_CLASS:
        raise DicomRefusedError(Code.NOT_DICOM, "a directory of DICOM files, not an image")
    study_date = elements.code(0x00080020)
    identity = Identity(
        study_instance_uid=elements.code(0x0020000D),
        study_date=study_date if len(study_date) == 8 and study_date.isdigit() else None,
        patient_id=(elements.text(0x00100020) or "").casefold(),
        patient_name=" ".join((elements.text(0x00100010) or "").replace("^", " ").split()).casefold(),
    )
    if block is None:
        modality = elements.code(0x00080060)
        if not modality and not elements.code(0x00080016) and not meta.sop_instance_uid:
            raise DicomRefusedError(Code.UNREADABLE, "a DICOM file that ends before it says what it is")
        if elements.code(0x00080016) in _IMAGE_CLASSES:
            raise DicomRefusedError(Code.UNREADABLE, "an image that ends before its pixels")
        raise _NoImageError(safe_uid(elements.code(0x0020000E)) or "objects without a series", identity)
    block = pixel_block(elements, block=block)
    if is_enhanced(elements):
        return enhanced_frames(elements, meta, block), identity
    return (classic_frame(elements, meta, block),), identity


def safe_uid(value: str) -> str:
    """A UID's legal characters only, at most 64: anything else is hostile or damaged."""
    return "".join(c for c in value if c in "0123456789.")[:64]
