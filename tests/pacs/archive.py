"""An archive made of pynetdicom, in the process of the test: answers what it is told to answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.events import Event
from tests.pacs.conftest import quick

from liverimg.pacs.peer import Peer

_VERIFICATION = "1.2.840.10008.1.1"
_FIND, _MOVE, _GET = (f"1.2.840.10008.5.1.4.1.2.2.{n}" for n in (1, 2, 3))
_UID_KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass
class Shelf:
    """What the archive holds, and how it behaves.

    Attributes:
        objects: What it holds.
        received: What was stored in it.
        store: Gives the status of the n-th C-STORE.
        leave_out: Objects that are listed and not sent.
        find_status: Last status of a question.
        drop: Associations that are aborted when the next object comes.
        move_to: Address by AE title.
        calls: Services that were asked for.
        commands: What C-STORE commands named.
    """

    objects: list[Dataset] = field(default_factory=list)
    received: list[Dataset] = field(default_factory=list)
    store: Callable[[int], int] = lambda _n: 0x0000
    leave_out: set[str] = field(default_factory=set)
    find_status: Callable[[int], int] = lambda _n: 0x0000
    drop: int = 0
    move_to: dict[str, tuple[str, int]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    stores: int = 0
    commands: list[str] = field(default_factory=list)

    def matching(self, asked: Dataset, level: str) -> list[Dataset]:
        """What fits the UIDs of a question, one for each entity of the level."""
        found: dict[str, Dataset] = {}
        for ds in self.objects:
            if all(not asked.get(key) or asked[key].value == ds[key].value for key in _UID_KEYS):
                key = {"STUDY": ds.StudyInstanceUID, "SERIES": ds.SeriesInstanceUID}.get(level, ds.SOPInstanceUID)
                found.setdefault(key, ds)
        return list(found.values())


def _find(event: Event, shelf: Shelf) -> Iterator[tuple[int, Dataset | None]]:
    shelf.calls.append("find")
    asked = event.identifier
    for ds in shelf.matching(asked, asked.QueryRetrieveLevel):
        answer = Dataset()
        for element in asked:
            if element.keyword in ds:
                answer[element.keyword] = ds[element.keyword]
        answer.QueryRetrieveLevel = asked.QueryRetrieveLevel
        yield 0xFF00, answer
    yield shelf.find_status(len(shelf.calls)), None


def _sent(event: Event, shelf: Shelf) -> list[Dataset]:
    return [ds for ds in shelf.matching(event.identifier, "IMAGE") if ds.SOPInstanceUID not in shelf.leave_out]


def _get(event: Event, shelf: Shelf) -> Iterator[Any]:
    shelf.calls.append("get")
    objects = _sent(event, shelf)
    yield len(objects)
    for ds in objects:
        yield 0xFF00, ds


def _move(event: Event, shelf: Shelf) -> Iterator[Any]:
    shelf.calls.append("move")
    place = shelf.move_to.get(event.move_destination)
    if place is None:
        yield None, None
        return
    yield place
    objects = _sent(event, shelf)
    yield len(objects)
    for ds in objects:
        yield 0xFF00, ds


def _store(event: Event, shelf: Shelf) -> int:
    shelf.stores += 1
    shelf.commands.append(str(event.request.AffectedSOPInstanceUID))
    if shelf.drop:
        shelf.drop -= 1
        event.assoc.abort()
        return 0xC000
    status = shelf.store(shelf.stores)
    if status == 0 or 0xB000 <= status < 0xC000:
        shelf.received.append(event.dataset)
    return status


@contextmanager
def archive(shelf: Shelf, *, reject: bool = False, **settings: Any) -> Iterator[Peer]:
    """The archive on loopback."""
    node = AE(ae_title="ARCHIVE")
    for uid in (_VERIFICATION, _FIND, _MOVE, _GET):
        node.add_supported_context(uid)
    for context in StoragePresentationContexts:
        node.add_supported_context(context.abstract_syntax, scu_role=True, scp_role=True)
    for context in StoragePresentationContexts[:100]:
        node.add_requested_context(context.abstract_syntax)
    node.require_calling_aet = ["NOBODY"] if reject else []
    handlers = [
        (evt.EVT_C_FIND, _find, [shelf]), (evt.EVT_C_GET, _get, [shelf]), (evt.EVT_C_MOVE, _move, [shelf]),
        (evt.EVT_C_STORE, _store, [shelf]),
    ]  # fmt: skip
    server = node.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield quick(Peer(host="127.0.0.1", port=server.server_address[1], ae_title="ARCHIVE"), **settings)
    finally:
        server.shutdown()
