"""The DICOM files of a folder that go to an archive together, and what it says to each of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.dicom.headers import files_below
from liverimg.pacs.identify import NoObjectError, identify, read_head


class Fate(StrEnum):
    """What became of a file."""

    STORED = "stored"
    STORED_WITH_WARNING = "stored_with_warning"
    REFUSED = "refused"
    NOT_SENT = "not_sent"


@dataclass(frozen=True)
class Ready:
    """A DICOM file that can be sent.

    Attributes:
        path: Where it lies.
        sop_class: SOPClassUID.
        sop_instance: SOPInstanceUID.
        study: StudyInstanceUID.
        transfer_syntax: How it is encoded.
        head_agrees: Whether the file's head names the object that is in it; some tools change only one of them.
    """

    path: Path
    sop_class: str
    sop_instance: str
    study: str
    transfer_syntax: str
    head_agrees: bool


@dataclass(frozen=True)
class Sent:
    """A file, and what the peer said to it.

    Attributes:
        file: Its name within the folder.
        sop_instance: Its SOPInstanceUID.
        fate: What became of it.
        words: Status and comment of the peer, or why it was not sent.
    """

    file: str
    sop_instance: str
    fate: Fate
    words: str = ""


@dataclass(frozen=True)
class Parcel:
    """The files of a folder."""

    ready: tuple[Ready, ...]
    left_out: tuple[str, ...]


def parcel(folder: Path) -> Parcel:
    """What of a folder, or which single file, can be sent; links are not followed.

    Raises:
        UsageError: There is no such folder.
        InputRefusedError: Nothing in it is a DICOM object.
    """
    if not folder.exists():
        raise UsageError(f"{folder} does not exist; give a folder with DICOM files")
    ready, left_out = [], []
    for path in files_below(folder) if folder.is_dir() else [folder]:
        try:
            if path.is_symlink() or not path.is_file():
                raise NoObjectError("no file")
            (syntax, named), uids = read_head(path), identify(path)
        except NoObjectError:
            left_out.append(str(path.relative_to(folder)) if folder.is_dir() else path.name)
            continue
        agrees = named == uids.sop_instance
        ready.append(Ready(path, uids.sop_class, uids.sop_instance, uids.study, syntax, agrees))
    if not ready:
        raise InputRefusedError(f"{folder} holds no DICOM object; nothing to send")
    return Parcel(tuple(ready), tuple(left_out))


def sent(file: Ready, folder: Path, fate: Fate, words: str = "") -> Sent:
    """A verdict on a file of a folder."""
    name = str(file.path.relative_to(folder)) if folder.is_dir() else file.path.name
    return Sent(name, file.sop_instance, fate, words)
