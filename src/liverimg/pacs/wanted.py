"""What to fetch, and what the archive lists of it: a study is complete when all of that is here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from liverimg.core.errors import PeerError
from liverimg.pacs.names import is_uid, require_uid
from liverimg.pacs.peer import Peer
from liverimg.pacs.query import Level, Query, Row


@dataclass(frozen=True)
class Wanted:
    """What to fetch.

    Attributes:
        study: StudyInstanceUID.
        series: Only these; empty means all.
    """

    study: str
    series: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what is no UID.

        Raises:
            UsageError: See above.
        """
        for uid, what in ((self.study, "the study"), *((s, "a series") for s in self.series)):
            require_uid(uid, what=what)


def wanted_objects(
    peer: Peer, wanted: Wanted, ask: Callable[[Peer, Query], list[Row]]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Series, and SOP class by object, of everything that should come.

    Args:
        peer: The archive.
        wanted: Which study.
        ask: How to put a question to it.

    Raises:
        PeerError: It lists nothing, something illegal, or more than any real series has.
    """
    series = wanted.series or tuple(
        str(r.get("series_instance_uid", ""))
        for r in ask(peer, Query(Level.SERIES, {"StudyInstanceUID": wanted.study}))
    )
    listed: dict[str, str] = {}
    for uid in series:
        if not is_uid(uid):
            raise PeerError(f"{peer.words} names a series that is no UID; it can't be fetched")
        rows = ask(peer, Query(Level.IMAGE, {"StudyInstanceUID": wanted.study, "SeriesInstanceUID": uid}))
        if len(rows) >= peer.settings.most_matches:
            raise PeerError(f"{peer.words} lists {len(rows)} objects in a series or more; that is more than we ask for")
        listed |= {str(r["sop_instance_uid"]): str(r.get("sop_class_uid", "")) for r in rows if "sop_instance_uid" in r}
    if len(listed) > peer.settings.most_instances:
        raise PeerError(f"{peer.words} lists {len(listed)} objects in that study, more than any real one has")
    if not listed:
        raise PeerError(f"{peer.words} lists no objects for that study; check the UID with liverimg pacs find")
    return series, listed
