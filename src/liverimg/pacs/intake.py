"""Taking an object from a peer into the spool: limits while it comes, checks when it is here, then the answer."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from liverimg.pacs.association import Answer, Offer
from liverimg.pacs.commands import Status
from liverimg.pacs.door import IMPLEMENTATION_UID
from liverimg.pacs.identify import NoObjectError, ObjectUids, file_head, identify
from liverimg.pacs.names import is_uid, opaque, short
from liverimg.pacs.settings import MIB
from liverimg.pacs.spool import Spool

logger = logging.getLogger(__name__)

# Room is asked for in pieces of this size, so that the disk's floor holds while many objects come in at once.
_PIECE_BYTES: Final = MIB
# Where the finished file goes: its place, what it says it is, the hash of its bytes. Returns why not, or nothing.
Keep = Callable[[Path, ObjectUids, str], str]


@dataclass(frozen=True)
class Room:
    """What an object may take.

    Attributes:
        most_bytes: Of one object.
        reserve: Asks for so many bytes more; returns why not, or nothing.
        free: Gives them back.
    """

    most_bytes: float
    reserve: Callable[[int], str]
    free: Callable[[int], None]


class FileTaking:
    """An object on its way to a file.

    Args:
        offer: What the peer says it is.
        path: Temporary place, in the file system where it will stay.
        room: Limits.
        keep: Called with the complete, synced file.
    """

    def __init__(self, offer: Offer, path: Path, *, room: Room, keep: Keep) -> None:
        self._offer, self._path, self._room, self._keep = offer, path, room, keep
        self._stream: BinaryIO | None = None
        self._digest = sha256(offer.transfer_syntax.encode())
        self._size = self._reserved = 0
        self._refusal: Answer | None = None
        if not (is_uid(offer.sop_class) and is_uid(offer.sop_instance)):
            self._refusal = Answer(Status.CANNOT_UNDERSTAND, "illegal UID in the command")
            return
        head = file_head(
            sop_class=offer.sop_class,
            sop_instance=offer.sop_instance,
            transfer_syntax=offer.transfer_syntax,
            implementation=IMPLEMENTATION_UID,
        )
        self._open(head)

    def _open(self, head: bytes) -> None:
        if not self._has_room(len(head)):
            return
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._stream = os.fdopen(handle, "wb", buffering=MIB)
            self._stream.write(head)
            self._size = len(head)
        except OSError as error:
            self._fail(error)

    def write(self, piece: memoryview) -> None:
        """The next bytes; after a refusal they go nowhere."""
        if self._refusal is not None or self._stream is None or not self._has_room(len(piece)):
            return
        try:
            self._stream.write(piece)
            self._digest.update(piece)
            self._size += len(piece)
        except OSError as error:
            self._fail(error)

    def finish(self) -> Answer:
        """Success once the object would survive a power cut; see PS3.4 table B.2-1 for the rest."""
        try:
            return self._refusal or self._settle()
        except OSError as error:
            return self._fail(error)
        finally:
            self._release()

    def drop(self) -> None:
        """The peer is gone."""
        self._release()

    def _settle(self) -> Answer:
        assert self._stream is not None
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        try:
            uids = identify(self._path)
        except NoObjectError as error:
            return Answer(Status.CANNOT_UNDERSTAND, str(error))
        if (uids.sop_class, uids.sop_instance) != (self._offer.sop_class, self._offer.sop_instance):
            return Answer(Status.DOES_NOT_MATCH, "command and data set name different objects")
        problem = self._keep(self._path, uids, self._digest.hexdigest())
        return Answer(Status.OUT_OF_RESOURCES, problem) if problem else Answer(Status.SUCCESS)

    def _has_room(self, more: int) -> bool:
        if self._size + more > self._room.most_bytes:
            return self._refuse("the object is too large")
        while self._size + more > self._reserved:
            problem = self._room.reserve(_PIECE_BYTES)
            if problem:
                return self._refuse(problem)
            self._reserved += _PIECE_BYTES
        return True

    def _refuse(self, words: str) -> bool:
        self._refusal = Answer(Status.OUT_OF_RESOURCES, words)
        self._release()
        return False

    def _fail(self, error: OSError) -> Answer:
        logger.error("an object could not be written (%s)", error.strerror or type(error).__name__)
        self._refusal = Answer(Status.OUT_OF_RESOURCES, "it could not be written")
        return self._refusal

    def _release(self) -> None:
        if self._stream is not None:
            try:
                self._stream.close()
            except OSError as error:
                logger.error("an object could not be written (%s)", error.strerror)
            self._stream = None
            self._path.unlink(missing_ok=True)
        self._room.free(self._reserved)
        self._reserved = 0


class SpoolReceiver:
    """Sends every object into a spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._room = Room(spool.quota.instance_mib * MIB, spool.reserve, spool.free)

    def begin(self, offer: Offer) -> FileTaking:
        """See :class:`liverimg.pacs.association.Receiver`."""
        return FileTaking(offer, self._spool.temporary(), room=self._room, keep=self._keep)

    def _keep(self, path: Path, uids: ObjectUids, content: str) -> str:
        key, name = opaque(uids.study), opaque(uids.sop_instance)
        if self._spool.is_ours(key, name):
            logger.info("study %s: a result of ours came back; it starts nothing", short(key))
            return ""
        return self._spool.add(path, key=key, name=name, content=content)
