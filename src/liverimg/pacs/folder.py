"""A study that is being fetched: gathered beside its place, and put there complete or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pydicom.dataset import Dataset

from liverimg.core.errors import PeerError, WorkspaceError
from liverimg.dicom.tags import PARSER_ERRORS
from liverimg.pacs.association import Offer
from liverimg.pacs.durable import sync
from liverimg.pacs.identify import NoObjectError, ObjectUids, identify
from liverimg.pacs.intake import FileTaking, Room
from liverimg.pacs.settings import MIB, ClientSettings


class StudyFolder:
    """Takes the objects of one study; also a receiver for associations.

    Args:
        folder: Where they gather.
        study: The study's UID; objects of other studies are refused.
        listed: What the archive said it would send, class by object; others are refused, whoever sends them.
        settings: Bounds.
    """

    def __init__(self, folder: Path, *, study: str, listed: Mapping[str, str], settings: ClientSettings) -> None:
        self.folder, self._study, self._listed, self._settings = folder, study, listed, settings
        self._bytes = 0
        self.received: dict[str, str] = {}

    def begin(self, offer: Offer) -> FileTaking:
        """See :class:`liverimg.pacs.association.Receiver`."""
        room = Room(self._settings.most_study_mib * MIB, self._reserve, lambda _size: None)
        return FileTaking(offer, self.folder / f"{uuid4().hex}.part", room=room, keep=self._keep)

    def put(self, dataset: Dataset) -> str:
        """Keeps an object that lies in memory; says why not, or nothing."""
        path = self.folder / f"{uuid4().hex}.part"
        try:
            dataset.save_as(path, enforce_file_format=True)
            with path.open("r+b") as stream:
                stream.write(bytes(128))  # nothing of the preamble that came
            problem = self._reserve(path.stat().st_size) or self._keep(path, identify(path), "")
        except NoObjectError as error:
            problem = str(error)
        except PARSER_ERRORS:
            problem = "an object that can't be written"
        finally:
            path.unlink(missing_ok=True)
        return problem

    def _reserve(self, size: int) -> str:
        if self._bytes + size > self._settings.most_study_mib * MIB:
            return "the study is larger than any real one"
        if shutil.disk_usage(self.folder).free < size:
            return "the disk is full"
        return ""

    def _keep(self, path: Path, uids: ObjectUids, _content: str) -> str:
        if uids.study != self._study:
            return "an object of another study"
        if uids.sop_instance not in self._listed:
            return "an object that was not asked for"
        # Digits and dots, checked where they were read: nothing else becomes a name.
        place = self.folder / uids.series / f"{uids.sop_instance}.dcm"
        place.parent.mkdir(exist_ok=True)
        self._bytes += path.stat().st_size
        path.replace(place)
        self.received[uids.sop_instance] = uids.series
        return ""


@contextmanager
def gathered(out: Path, *, study: str, listed: Mapping[str, str], settings: ClientSettings) -> Iterator[StudyFolder]:
    """A folder to fill, which becomes ``out`` when the block ends without an error.

    Raises:
        WorkspaceError: ``out`` is there already, or can't be made.
    """
    try:
        if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
            raise WorkspaceError(f"{out} is there already and not empty; give --out a new folder")
        out.parent.mkdir(parents=True, exist_ok=True)
        beside = out.parent / f".{out.name}.{uuid4().hex[:8]}.part"
        beside.mkdir(mode=0o700)
    except OSError as error:
        raise WorkspaceError(f"{out} can't be made ({error.strerror}); give --out a place you may write to") from error
    try:
        yield StudyFolder(beside, study=study, listed=listed, settings=settings)
        for path in (*beside.rglob("*"), beside):
            sync(path)
        beside.rename(out)  # onto nothing or an empty folder, in one step
        sync(out.parent)
    except OSError as error:
        raise WorkspaceError(f"{out} can't be written ({error.strerror}); nothing was kept") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def require_complete(received: Mapping[str, str], wanted: Mapping[str, str], *, words: str) -> None:
    """Refuses half a study.

    Args:
        received: Series by object, as it came.
        wanted: Class by object, as the archive lists it.
        words: Who sent it.

    Raises:
        PeerError: Something is missing.
    """
    missing = len(set(wanted) - set(received))
    if missing:
        raise PeerError(
            f"{words} sent {len(wanted) - missing} of {len(wanted)} objects; nothing was kept: try again, or ask "
            f"whether the study is still being stored"
        )
