"""What a stored object says it is: four UIDs from its header, read with no more of the file than that takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_partial
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import UID

from liverimg.dicom.tags import PARSER_ERRORS
from liverimg.pacs.names import is_uid

_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_LONGEST_VALUE_BYTES: Final = 256
_WANTED: Final[list[BaseTag | int]] = [BaseTag(tag) for tag in (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES)]


@dataclass(frozen=True)
class ObjectUids:
    """Who an object is."""

    sop_class: str
    sop_instance: str
    study: str
    series: str


class NoObjectError(Exception):
    """The bytes are no DICOM object that belongs to a study; the words never quote them."""


def identify(path: Path) -> ObjectUids:
    """Reads the UIDs of a DICOM file.

    Raises:
        NoObjectError: They are missing, illegal, or the header can't be read.
        OSError: The file can't.
    """
    with path.open("rb") as stream:
        return identify_stream(stream)


def identify_stream(stream: BinaryIO) -> ObjectUids:
    """See :func:`identify`."""
    try:
        header = read_partial(stream, stop_when=_is_behind, force=True, specific_tags=_WANTED)
    except PARSER_ERRORS as error:
        raise NoObjectError("its header can't be read") from error
    values = [_uid(header, tag) for tag in _WANTED]
    if not all(is_uid(value) for value in values):
        raise NoObjectError("it lacks the UID of its study, its series or itself, or that is no UID")
    return ObjectUids(*values)


def read_head(path: Path) -> tuple[str, str]:
    """Transfer syntax and MediaStorageSOPInstanceUID of a DICOM file.

    Raises:
        NoObjectError: It does not say.
    """
    try:
        with path.open("rb") as stream:
            header = read_partial(stream, stop_when=lambda tag, *_: True, force=False)  # noqa: ARG005
        return str(header.file_meta.TransferSyntaxUID), str(header.file_meta.get("MediaStorageSOPInstanceUID", ""))
    except PARSER_ERRORS as error:
        raise NoObjectError("it is no DICOM file") from error


def file_head(*, sop_class: str, sop_instance: str, transfer_syntax: str, implementation: str) -> bytes:
    """An empty preamble and the file meta information (PS3.10 section 7.1) for a data set that follows as it came."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance)
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = UID(implementation)
    stream = DicomBytesIO()
    stream.write(bytes(128) + b"DICM")
    write_file_meta_info(stream, meta)
    return stream.getvalue()


def _is_behind(tag: BaseTag, _vr: str | None, length: int) -> bool:
    # A UID of gigabytes is left unread, and so missing.
    return int(tag) > _SERIES or (tag in _WANTED and length > _LONGEST_VALUE_BYTES)


def _uid(header: Dataset, tag: int) -> str:
    """From the bytes as they lie there: pydicom's conversion would warn about an odd value, and quote it."""
    value = header.get_item(tag).value if tag in header else b""
    return value.decode("ascii", "replace").strip(" \0") if isinstance(value, bytes) else ""
