"""The commands that talk to archives: ``liverimg pacs echo``, ``find``, ``pull`` and ``push``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from liverimg.cli.answer import Answer, add
from liverimg.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from liverimg.pacs.peer import Peer

_EXIT_CODES = (
    "Exit codes: 0 done, 2 usage, 3 input refused, 4 needs a person (the peer can't be reached, refuses, or did not "
    "take or send everything), 5 internal error."
)

pacs = typer.Typer(
    name="pacs",
    help="Talk to an archive: does it answer, what does it hold, fetch a study, send results.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
)


@dataclass(frozen=True)
class Line:
    """To whom, and how: the options that every command has."""

    peer: Annotated[
        str,
        typer.Argument(metavar="PEER", help="AE_TITLE@HOST:PORT, the URL of a DICOMweb service, or a name of --peers."),
    ]
    peers: Annotated[
        Path | None, typer.Option("--peers", metavar="FILE.toml", help="Named peers with their TLS; see the how-to.")
    ] = None
    aet: Annotated[
        str | None, typer.Option("--aet", metavar="AE_TITLE", help="What we call ourselves.  [default: LIVERIMG]")
    ] = None
    tls: Annotated[
        bool, typer.Option("--tls", help="Encrypt DIMSE; the certificate must be one that the system trusts.")
    ] = False
    tls_ca: Annotated[
        Path | None, typer.Option("--tls-ca", metavar="PEM", help="Who signs the peer's certificate; implies --tls.")
    ] = None
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="PEM", help="Our certificate; implies --tls.")
    ] = None
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="PEM", help="Its key, without a passphrase.")] = (
        None
    )
    tls_name: Annotated[
        str | None,
        typer.Option("--tls-name", metavar="NAME", help="Name in the peer's certificate, if not its address."),
    ] = None
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Longest wait for one answer.")
    ] = None
    attempts: Annotated[
        int | None, typer.Option("--attempts", min=1, help="How often what is safe to repeat is tried.")
    ] = None

    def resolved(self) -> Peer:
        """The peer that is meant.

        Raises:
            UsageError: There is none such, or the options contradict each other.
        """
        from liverimg.pacs.names import require_ae_title
        from liverimg.pacs.peer import Tls, parse_peer, read_peers, with_timeout

        named = read_peers(self.peers) if self.peers is not None else {}
        peer = named[self.peer] if self.peer in named else parse_peer(self.peer)
        if self.aet is not None:
            peer = replace(peer, own_title=require_ae_title(self.aet, what="--aet"))
        if self.tls or self.tls_ca or self.tls_cert or self.tls_key or self.tls_name:
            if self.tls_key is not None and self.tls_cert is None:
                raise UsageError("--tls-key belongs to a certificate; give --tls-cert as well")
            peer = replace(peer, tls=Tls(self.tls_ca, self.tls_cert, self.tls_key, self.tls_name))
        if peer.tls is not None and peer.url.startswith("http://"):
            raise UsageError("TLS was asked for and the URL says http; expected https://...")
        return with_timeout(peer, timeout_s=self.timeout, attempts=self.attempts)


def on_a_line(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Gives a command the options of :class:`Line`: the peer before its own arguments, the rest behind them."""
    shared = list(signature(Line).parameters.values())
    own = [p for p in signature(command).parameters.values() if p.name != "line"]

    def called(**given: Any) -> Answer:
        line = Line(**{p.name: given.pop(p.name) for p in shared})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pydicom says about odd values quotes them
            return command(line=line, **given)

    hints = get_type_hints(Line, include_extras=True) | get_type_hints(command, include_extras=True)
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__annotations__ = hints
    called.__signature__ = Signature(  # type: ignore[attr-defined]
        [p.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[p.name]) for p in (shared[0], *own, *shared[1:])]
    )
    return called


def _command(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Adds a command that talks to a peer."""
    add(pacs, on_a_line(command), epilog=_EXIT_CODES)
    return command


@_command
def echo(
    line: Line,
) -> Answer:
    """Ask whether a peer answers (C-ECHO; with a URL: a QIDO question)."""
    node = line.resolved()
    if node.url:
        from liverimg.pacs import web

        web.echo(node)
    else:
        from liverimg.pacs import dimse

        dimse.echo(node)
    return Answer(lambda: {"answers": True}, lambda: sys.stdout.write(f"{node.words} answers\n"))


@_command
def find(
    line: Line,
    level: Annotated[str, typer.Option("--level", metavar="study|series|image", help="What to list.")] = "study",
    patient_id: Annotated[str | None, typer.Option("--patient-id", help="May hold * and ?.")] = None,
    patient_name: Annotated[
        str | None, typer.Option("--patient-name", help="As FAMILY^GIVEN; may hold * and ?.")
    ] = None,
    date: Annotated[
        str | None, typer.Option("--date", metavar="YYYYMMDD[-YYYYMMDD]", help="Study date, or a range.")
    ] = None,
    accession: Annotated[str | None, typer.Option("--accession", help="Accession number.")] = None,
    modality: Annotated[str | None, typer.Option("--modality", help="Such as CT.")] = None,
    study: Annotated[str | None, typer.Option("--study", metavar="UID", help="StudyInstanceUID.")] = None,
    series: Annotated[str | None, typer.Option("--series", metavar="UID", help="SeriesInstanceUID.")] = None,
) -> Answer:
    """List studies, the series of a study or the images of a series (C-FIND, QIDO-RS)."""
    from liverimg.pacs.query import Level, Query
    from liverimg.terminal.pacs import show_matches

    node = line.resolved()
    if level not in set(Level):
        raise UsageError(f"--level {level!r}: expected one of: {', '.join(v.value for v in Level)}")
    keys = {
        "PatientID": patient_id,
        "PatientName": patient_name,
        "StudyDate": date,
        "AccessionNumber": accession,
        "ModalitiesInStudy" if level == Level.STUDY else "Modality": modality,
        "StudyInstanceUID": study,
        "SeriesInstanceUID": series,
    }
    query = Query(Level(level), {keyword: value for keyword, value in keys.items() if value})
    if node.url:
        from liverimg.pacs import web

        rows = web.find(node, query)
    else:
        from liverimg.pacs import dimse

        rows = dimse.find(node, query)
    is_cut = len(rows) >= node.settings.most_matches
    return Answer(lambda: {"level": level, "matches": rows}, lambda: show_matches(rows, query.level, is_cut=is_cut))


@_command
def pull(
    line: Line,
    study: Annotated[str, typer.Argument(metavar="STUDY_UID", help="StudyInstanceUID, as find shows it.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New folder; complete afterwards, or not there.")],
    series: Annotated[
        list[str] | None,
        typer.Option("--series", metavar="UID", help="Only this series; may be given several times."),
    ] = None,
    move_to: Annotated[
        str | None,
        typer.Option(
            "--move-to",
            metavar="ADDRESS:PORT",
            help="Fetch by C-MOVE: where the archive sends to, as in its own table; without it C-GET is used.",
        ),
    ] = None,
) -> Answer:
    """Fetch a study into a folder (C-GET, C-MOVE, WADO-RS), complete or not at all."""
    from liverimg.pacs.wanted import Wanted

    node = line.resolved()
    wanted = Wanted(study, tuple(series or ()))
    if node.url:
        from liverimg.pacs import web

        if move_to is not None:
            raise UsageError("--move-to is for DIMSE; a DICOMweb service sends its answer on the same line")
        count = web.pull(node, wanted, out)
    else:
        from liverimg.pacs import pull as by_dimse

        count = by_dimse.pull(node, wanted, out, door=_own_door(move_to, node))
    return Answer(
        lambda: {"objects": count, "folder": str(out)}, lambda: sys.stdout.write(f"{count} objects in {out}\n")
    )


@_command
def push(
    line: Line,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with DICOM files, or one file.")],
) -> Answer:
    """Send the DICOM files of a folder (C-STORE, STOW-RS), and say for each what became of it."""
    from liverimg.pacs.parcel import Fate, parcel
    from liverimg.terminal.pacs import show_sent

    node = line.resolved()
    found = parcel(folder)
    if node.url:
        from liverimg.pacs import web

        verdicts = web.push(node, found.ready, folder=folder)
    else:
        from liverimg.pacs import push as by_dimse

        verdicts = by_dimse.push(node, found.ready, folder=folder)
    sent = [
        {"file": v.file, "sop_instance_uid": v.sop_instance, "fate": v.fate.value, "words": v.words} for v in verdicts
    ]
    failed = any(v.fate in (Fate.REFUSED, Fate.NOT_SENT) for v in verdicts)
    return Answer(
        lambda: {"sent": sent, "no_dicom": list(found.left_out)},
        lambda: show_sent(verdicts, found.left_out),
        ExitCode.NEEDS_A_PERSON if failed else ExitCode.DONE,
    )


def _own_door(text: str | None, node: Peer) -> Any:
    """Where a C-MOVE's objects come in; on an encrypted line they come in encrypted."""
    from liverimg.pacs.peer import parse_peer
    from liverimg.pacs.pull import OwnDoor

    if text is None:
        return None
    try:
        place = parse_peer(f"US@{text}")
    except UsageError as error:
        raise UsageError(f"--move-to {text!r}: expected ADDRESS:PORT, an address of this machine") from error
    return OwnDoor(place.host, place.port, node.tls if node.tls is not None and node.tls.certificate else None)
