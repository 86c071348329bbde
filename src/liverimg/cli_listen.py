"""The command that waits for studies: ``liverimg listen``."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer


def listen(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", help="Who may send, where to, and what to do with it.")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Read the configuration, say what it means, and leave.")
    ] = False,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Append the log to a file instead of standard error.")
    ] = None,
) -> None:
    """Receive studies (C-STORE), run a recipe on each complete one, and send the results back."""
    from liverimg.cli_options import writable_file
    from liverimg.pacs.config import read_config
    from liverimg.pipeline.recipe import load_recipe

    told = read_config(config)
    load_recipe(told.recipe, only=["ingest"])
    if check:
        for words in told.warnings:
            sys.stdout.write(f"note: {words}\n")
        lines = "encrypted" if told.tls else "not encrypted"
        sys.stdout.write(
            f"{told.ae_title} on {told.host} port {told.port}, {lines}; recipe {Path(told.recipe).stem}; "
            f"may send: {', '.join(sorted(told.peers))}; results go to: {told.push.words if told.push else 'nobody'}\n"
        )
        return
    if log is not None:
        writable_file(log, option="--log")
    _log_to(log)
    from liverimg.pipeline.listening import listen as serve
    from liverimg.pipeline.waiting import Stop

    stop = Stop()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    serve(told, stop=stop)


def _log_to(path: Path | None) -> None:
    """Our own log, and no other's: what libraries say about an object may quote it."""
    handler = logging.StreamHandler(sys.stderr) if path is None else logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    package = logging.getLogger("liverimg")
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    package.propagate = False
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")
