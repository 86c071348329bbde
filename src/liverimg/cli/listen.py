"""The command that waits for studies: ``liverimg listen``."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liverimg.cli.answer import Answer
from liverimg.pipeline.options import writable_file

if TYPE_CHECKING:
    from liverimg.pacs.config import ListenConfig


def listen(
    configuration: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", help="Who may send, where to, and what to do with it.")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Read the configuration, say what it means, and leave.")
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log", metavar="FILE", help="Append the log, as JSON lines, to a file instead of standard error."
        ),
    ] = None,
) -> Answer:
    """Receive studies (C-STORE), run a recipe on each complete one, and send the results back."""
    from liverimg.pacs.config import read_config
    from liverimg.pipeline.recipe import load_recipe

    told = read_config(configuration)
    load_recipe(told.recipe, only=["ingest"])
    if check:
        return Answer(lambda: _record(told), lambda: _say(told))
    if log is not None:
        writable_file(log, option="--log")
    from liverimg.pipeline.listening import listen as serve
    from liverimg.pipeline.waiting import Stop

    stop = Stop()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with _logged(log):
        serve(told, stop=stop)
    return Answer(lambda: {"stopped": True}, lambda: None)


def _record(told: ListenConfig) -> dict[str, Any]:
    """What a configuration means, for a program."""
    return {
        "ae_title": told.ae_title,
        "host": told.host,
        "port": told.port,
        "encrypted": told.tls is not None,
        "recipe": Path(told.recipe).stem,
        "peers": sorted(told.peers),
        "results_go_to": None if told.push is None else told.push.words,
        "warnings": list(told.warnings),
    }


def _say(told: ListenConfig) -> None:
    for words in told.warnings:
        sys.stdout.write(f"note: {words}\n")
    lines = "encrypted" if told.tls else "not encrypted"
    sys.stdout.write(
        f"{told.ae_title} on {told.host} port {told.port}, {lines}; recipe {Path(told.recipe).stem}; "
        f"may send: {', '.join(sorted(told.peers))}; results go to: {told.push.words if told.push else 'nobody'}\n"
    )


@contextmanager
def _logged(path: Path | None) -> Iterator[None]:
    """Our own log, and no other's: what libraries say about an object may quote it."""
    from liverimg.pipeline.journal import Words, journal

    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")
    package = logging.getLogger("liverimg")
    package.propagate = False
    if path is not None:
        with journal(path):
            yield
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Words())
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    yield
