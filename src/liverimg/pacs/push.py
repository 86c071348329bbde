"""Sending the DICOM files of a folder by C-STORE, with a verdict for each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pynetdicom import build_context
from pynetdicom.association import Association

from liverimg.dicom.tags import PARSER_ERRORS
from liverimg.pacs.dimse import OUT_OF_RESOURCES, SUCCESS, WARNINGS, NoServiceError, associated, comment_of
from liverimg.pacs.parcel import Fate, Ready, Sent, sent
from liverimg.pacs.peer import Peer
from liverimg.pacs.retry import PassingError, tried

_MOST_CONTEXTS: Final = 128
_NOT_TAKEN: Final = "the peer does not take this kind of object in this transfer syntax"
_IMPLICIT: Final = "1.2.840.10008.1.2"
_PLAIN: Final = (_IMPLICIT, "1.2.840.10008.1.2.1")


def push(peer: Peer, ready: Sequence[Ready], *, folder: Path) -> list[Sent]:
    """Sends files; those that got no final answer are sent again, as storing an object twice is storing it once.

    Args:
        peer: Where to.
        ready: The files.
        folder: For their names in the result.

    Returns:
        One for each file, in the order given. Nothing is raised for a file that was not taken.

    Raises:
        PeerError: The peer does not let us in.
    """
    verdicts: dict[Path, Sent] = {}
    last: dict[Path, Sent] = {}

    def once() -> bool:
        pending = [file for file in ready if file.path not in verdicts]
        for group in _groups(pending):
            try:
                _send_group(peer, group, folder, verdicts, last)
            except NoServiceError:
                verdicts.update((file.path, sent(file, folder, Fate.REFUSED, _NOT_TAKEN)) for file in group)
        return len(verdicts) == len(ready)

    words = tried(once, peer.settings)
    for file in ready:
        if file.path not in verdicts:
            verdicts[file.path] = last.get(file.path) or sent(file, folder, Fate.NOT_SENT, words)
    return [verdicts[file.path] for file in ready]


def _groups(files: Sequence[Ready]) -> Iterator[list[Ready]]:
    """Files whose contexts fit into one association."""
    group: list[Ready] = []
    pairs: set[tuple[str, str]] = set()
    for file in files:
        needed = pairs | _pairs(file)
        if len(needed) > _MOST_CONTEXTS:
            yield group
            group, needed = [], _pairs(file)
        group.append(file)
        pairs = needed
    if group:
        yield group


def _pairs(file: Ready) -> set[tuple[str, str]]:
    """Its own transfer syntax; and the one that everybody must take (PS3.5 section 10.1), where that loses nothing."""
    pairs = {(file.sop_class, file.transfer_syntax)}
    return pairs | ({(file.sop_class, _IMPLICIT)} if file.transfer_syntax in _PLAIN else set())


def _send_group(
    peer: Peer, group: Sequence[Ready], folder: Path, verdicts: dict[Path, Sent], last: dict[Path, Sent]
) -> None:
    pairs = sorted(set[tuple[str, str]]().union(*(_pairs(file) for file in group)))
    with associated(peer, [build_context(uid, syntax) for uid, syntax in pairs]) as association:
        accepted = {(str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts}
        for file in group:
            if not _pairs(file) & accepted:
                verdicts[file.path] = sent(file, folder, Fate.REFUSED, _NOT_TAKEN)
                continue
            # What the head says would become the command, and a wrong command with the right object is refused.
            as_it_is = file.head_agrees and (file.sop_class, file.transfer_syntax) in accepted
            verdict = _send(association, file, folder, as_it_is=as_it_is)
            if verdict is None:
                raise PassingError(f"{peer.words} broke off, or did not answer within {peer.settings.answer_s:g} s")
            (last if verdict.fate is Fate.NOT_SENT else verdicts)[file.path] = verdict


def _send(association: Association, file: Ready, folder: Path, *, as_it_is: bool) -> Sent | None:
    """One C-STORE; None when no answer came, ``not_sent`` when the peer has no room now."""
    try:
        status = association.send_c_store(file.path if as_it_is else dcmread(file.path))
    except PARSER_ERRORS:
        return None if not association.is_established else sent(file, folder, Fate.REFUSED, "it can't be read")
    code = status.get("Status")
    if code is None:
        return None
    words = "" if code == SUCCESS else f"{code:04X}H{comment_of(status)}"
    if code == SUCCESS:
        return sent(file, folder, Fate.STORED, words)
    if code in WARNINGS:
        return sent(file, folder, Fate.STORED_WITH_WARNING, words)
    return sent(file, folder, Fate.NOT_SENT if code in OUT_OF_RESOURCES else Fate.REFUSED, words)
