"""One association from its acceptance to its end, as storage and verification provider, in a thread of its own.

A data set goes to the receiver piece by piece as it arrives: nobody's object lies in memory, and one that is too large
stops costing anything where the limit is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from pydicom.uid import UID_dictionary  # type: ignore[attr-defined]  # public in all but its list

from liverimg.pacs import upper_layer as ul
from liverimg.pacs.commands import (
    C_CANCEL,
    C_ECHO,
    C_STORE,
    LONGEST_COMMAND_BYTES,
    VERIFICATION,
    Command,
    Status,
    answer,
    read_command,
)
from liverimg.pacs.upper_layer import Kind, ProtocolError, Request
from liverimg.pacs.wire import LAST_WORD_S, LineEndedError, Wire

# What ingest reads (docs/explanation/ingest.md). Deflated is left out: finding out what such an object is
# means unpacking it, and nobody needs it inside a hospital.
TRANSFER_SYNTAXES: Final = frozenset(
    f"1.2.840.10008.1.2{suffix}"
    for suffix in (
        "", ".1", ".2", ".5", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81", ".4.90", ".4.91",
    )
)  # fmt: skip
STORAGE_CLASSES: Final = frozenset(
    uid
    for uid, (name, kind, *_) in UID_dictionary.items()
    if kind == "SOP Class" and "Storage" in name and "Commitment" not in name and "Directory" not in name
)
KNOWN: Final = STORAGE_CLASSES | {VERIFICATION}


@dataclass(frozen=True)
class Offer:
    """What a peer is about to send."""

    calling: str
    sop_class: str
    sop_instance: str
    transfer_syntax: str


@dataclass(frozen=True)
class Answer:
    """What became of it; the comment goes to the peer and never quotes what it sent."""

    status: Status
    comment: str = ""


class Taking(Protocol):
    """An object on its way in."""

    def write(self, piece: memoryview) -> None:
        """The next bytes of its data set."""

    def finish(self) -> Answer:
        """All of it is here. Success may only be said of what would survive a power cut."""

    def drop(self) -> None:
        """The rest will not come."""


class Receiver(Protocol):
    """Where objects go."""

    def begin(self, offer: Offer) -> Taking:
        """Called before the first byte of a data set."""


def choose(request: Request) -> dict[int, str]:
    """The transfer syntax for every context that we take: the first that the peer names and we read."""
    chosen: dict[int, str] = {}
    for context in request.contexts:
        if context.abstract_syntax not in KNOWN:
            continue
        read = [syntax for syntax in context.transfer_syntaxes if syntax in TRANSFER_SYNTAXES]
        if read:
            chosen[context.number] = read[0]
    return chosen


@dataclass
class Tally:
    """What happened in an association."""

    stored: int = 0
    refused: dict[str, int] = field(default_factory=dict)


class Association:
    """An accepted association.

    Args:
        wire: The connection.
        request: How it was asked for.
        chosen: Transfer syntax by number of context.
        receiver: Where objects go.
        pdu_bytes: Longest PDU that is taken.
        idle_s: Longest silence.
    """

    def __init__(
        self,
        wire: Wire,
        request: Request,
        chosen: Mapping[int, str],
        *,
        receiver: Receiver,
        pdu_bytes: int,
        idle_s: float,
    ) -> None:
        self._wire, self._request, self._chosen = wire, request, chosen
        self._receiver, self._idle_s = receiver, idle_s
        self._classes = {context.number: context.abstract_syntax for context in request.contexts}
        self._room = memoryview(bytearray(pdu_bytes))
        self._command = bytearray()
        self._current: tuple[int, Command] | None = None
        self._taking: Taking | None = None
        self._refusal = Answer(Status.SUCCESS)
        self.tally = Tally()

    def serve(self) -> None:
        """Until the peer releases it.

        Raises:
            LineEndedError: It ended otherwise.
            ProtocolError: The peer does not keep the protocol; an abort was sent.
        """
        try:
            while True:
                kind, body = self._wire.read_pdu(self._room, most=len(self._room), within_s=self._idle_s)
                if kind == Kind.DATA:
                    for fragment in ul.fragments(body):
                        self._take(fragment)
                elif kind == Kind.RELEASE_RQ:
                    self._wire.send(ul.release_answer(), within_s=self._idle_s)
                    self._wire.linger(within_s=LAST_WORD_S)
                    return
                elif kind == Kind.ABORT:
                    raise LineEndedError("the peer aborted")
                else:
                    raise ProtocolError("a PDU that has no place here", ul.UNEXPECTED_PDU)
        except ProtocolError as error:
            self._wire.send(ul.abort(error.reason), within_s=self._idle_s)
            self._wire.linger(within_s=LAST_WORD_S)
            raise
        finally:
            if self._taking is not None:
                self._taking.drop()
                self._taking = None

    def _take(self, fragment: ul.Fragment) -> None:
        if fragment.context not in self._chosen:
            raise ProtocolError("data in a context that was not agreed upon", ul.INVALID_PARAMETER)
        if fragment.is_command:
            self._take_command(fragment)
            return
        if self._current is None or self._current[0] != fragment.context:
            raise ProtocolError("data without a command", ul.UNEXPECTED_PDU)
        if self._taking is not None:
            self._taking.write(fragment.value)
        if fragment.is_last:
            self._finish()

    def _take_command(self, fragment: ul.Fragment) -> None:
        if self._current is not None:
            raise ProtocolError("a command where data should be", ul.UNEXPECTED_PDU)
        if len(self._command) + len(fragment.value) > LONGEST_COMMAND_BYTES:
            raise ProtocolError("a command longer than any real one", ul.INVALID_PARAMETER)
        self._command += fragment.value
        if not fragment.is_last:
            return
        command = read_command(bytes(self._command))
        self._command.clear()
        self._current = (fragment.context, command)
        self._refusal = self._verdict(fragment.context, command)
        if command.has_data:
            if command.field == C_STORE and self._refusal.status is Status.SUCCESS:
                self._taking = self._receiver.begin(
                    Offer(
                        self._request.calling,
                        command.sop_class,
                        command.sop_instance,
                        self._chosen[fragment.context],
                    )
                )
        else:
            self._finish()

    def _verdict(self, context: int, command: Command) -> Answer:
        """What can be said of a command before its data come."""
        if command.field == C_ECHO:
            return Answer(Status.SUCCESS)
        if command.field != C_STORE:
            return Answer(Status.UNRECOGNISED_OPERATION)
        if not command.has_data:
            return Answer(Status.CANNOT_UNDERSTAND, "no data set")
        if command.sop_class != self._classes[context] or command.sop_class not in STORAGE_CLASSES:
            return Answer(Status.CLASS_NOT_SUPPORTED, "another SOP class than agreed upon")
        return Answer(Status.SUCCESS)

    def _finish(self) -> None:
        """The message is complete: do what it asks, and answer."""
        assert self._current is not None
        context, command = self._current
        result = self._refusal
        if self._taking is not None:
            taking, self._taking = self._taking, None
            result = taking.finish()
        self._current = None
        if command.field == C_STORE:
            if result.status is Status.SUCCESS:
                self.tally.stored += 1
            else:
                self.tally.refused[result.comment] = self.tally.refused.get(result.comment, 0) + 1
        if command.is_request and command.field != C_CANCEL:
            body = answer(command, result.status, result.comment)
            pdus = ul.data(context, body, most_pdu_bytes=self._request.most_pdu_bytes)
            self._wire.send(pdus, within_s=self._idle_s)
