"""Fetching a study by C-GET, or by C-MOVE to a door of our own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import build_context, build_role, evt
from pynetdicom.presentation import PresentationContext

from liverimg.core.errors import PeerError, UsageError
from liverimg.pacs.association import STORAGE_CLASSES, TRANSFER_SYNTAXES, Offer
from liverimg.pacs.dimse import OUT_OF_RESOURCES, PENDING, SUCCESS, associated, code_of, comment_of, find, safely
from liverimg.pacs.door import Door, House
from liverimg.pacs.folder import StudyFolder, gathered
from liverimg.pacs.peer import Peer, Tls, server_context
from liverimg.pacs.retry import PassingError
from liverimg.pacs.wanted import Wanted, wanted_objects

# Study root, PS3.4 section C.6.2.
_GET: Final = UID("1.2.840.10008.5.1.4.1.2.2.3")
_MOVE: Final = UID("1.2.840.10008.5.1.4.1.2.2.2")
_MOST_CONTEXTS: Final = 128
_PLAIN: Final = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
_PACKED: Final = tuple(sorted(TRANSFER_SYNTAXES - {*_PLAIN, "1.2.840.10008.1.2.2"}))


@dataclass(frozen=True)
class OwnDoor:
    """Where a C-MOVE's objects come in.

    Attributes:
        host: Address to listen on.
        port: As the archive has it in its table of AE titles.
        tls: For its connections to us.
    """

    host: str
    port: int
    tls: Tls | None = None


def pull(peer: Peer, wanted: Wanted, out: Path, *, door: OwnDoor | None = None) -> int:
    """Fetches a study into a new folder, a file for each object, a folder for each series.

    Args:
        peer: The archive.
        wanted: Which study.
        out: New or empty folder; complete afterwards, or as before.
        door: Fetch by C-MOVE to here; without it, by C-GET.

    Returns:
        Number of objects.

    Raises:
        PeerError: The archive does not have it, or did not send all of it.
    """
    listed = wanted_objects(peer, wanted, find)[1]
    with gathered(out, study=wanted.study, listed=listed, settings=peer.settings) as folder:
        if door is None:
            safely(peer, lambda: _get(peer, wanted, folder, listed))
        else:
            house = House(
                ae_title=peer.own_title,
                host=door.host,
                port=door.port,
                peers={peer.ae_title: ()},
                tls=None if door.tls is None else server_context(door.tls),
            )
            with Door(house, folder):
                safely(peer, lambda: _move(peer, wanted, folder, listed))
    return len(folder.received)


def _questions(wanted: Wanted) -> Iterator[Dataset]:
    """Identifiers of what to send: the study, or series of it."""
    for uid in wanted.series or ("",):
        asked = Dataset()
        asked.QueryRetrieveLevel = "SERIES" if uid else "STUDY"
        asked.StudyInstanceUID = wanted.study
        if uid:
            asked.SeriesInstanceUID = uid
        yield asked


def _get(peer: Peer, wanted: Wanted, folder: StudyFolder, listed: Mapping[str, str]) -> bool:
    classes = sorted({c for c in listed.values() if c in STORAGE_CLASSES}) or sorted(STORAGE_CLASSES)
    contexts = _contexts(classes)
    roles = [build_role(uid, scp_role=True) for uid in sorted({str(c.abstract_syntax) for c in contexts})]

    def take(event: Any) -> int:
        request, context = event.request, event.context
        offer = Offer(
            peer.ae_title,
            str(request.AffectedSOPClassUID),
            str(request.AffectedSOPInstanceUID),
            str(context.transfer_syntax),
        )
        taking = folder.begin(offer)
        taking.write(memoryview(request.DataSet.getbuffer()))
        return int(taking.finish().status)

    proposed = [build_context(_GET), *contexts]
    with associated(peer, proposed, roles=roles, handlers=[(evt.EVT_C_STORE, take)]) as association:
        for asked in _questions(wanted):
            _judge(association.send_c_get(asked, _GET), peer, "C-GET")
    return _all_came(peer, folder, listed)


def _contexts(classes: Sequence[str]) -> list[PresentationContext]:
    """Uncompressed for every class, and each compressed syntax apart as far as there is room: then nobody unpacks."""
    room = _MOST_CONTEXTS - 1
    contexts = [build_context(uid, list(_PLAIN)) for uid in classes[:room]]
    for syntax in _PACKED:
        contexts += [build_context(uid, syntax) for uid in classes][: room - len(contexts)]
    return contexts


def _move(peer: Peer, wanted: Wanted, folder: StudyFolder, listed: Mapping[str, str]) -> bool:
    with associated(peer, [build_context(_MOVE)]) as association:
        for asked in _questions(wanted):
            _judge(association.send_c_move(asked, peer.own_title, _MOVE), peer, "C-MOVE")
    return _all_came(peer, folder, listed)


def _all_came(peer: Peer, folder: StudyFolder, listed: Mapping[str, str]) -> bool:
    missing = len(set(listed) - set(folder.received))
    if missing:
        raise PassingError(f"{peer.words} sent {len(listed) - missing} of {len(listed)} objects and nothing was kept")
    return True


def _judge(answers: Iterator[tuple[Dataset, Dataset | None]], peer: Peer, service: str) -> None:
    """Follows the answers to the last one; what did not come is seen afterwards, by what lies in the folder."""
    for status, _ in answers:
        code = code_of(status, peer)
        if code in PENDING or code == SUCCESS or 0xB000 <= code < 0xC000:
            continue
        words = f"{peer.words} answers {service} with status {code:04X}H{comment_of(status)}"
        if code == 0xA801:
            raise UsageError(f"{words}: it does not know the AE title {peer.own_title} as a place to send to")
        if code in OUT_OF_RESOURCES:
            raise PassingError(words)
        raise PeerError(words)
