"""The program ``liverimg``: its commands in the order of the help, and how whatever goes wrong leaves it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

import liverimg
from liverimg.cli.answer import EXIT_CODES, add, given_paths, wants_json
from liverimg.cli.ceus import ceus
from liverimg.cli.cohort import cohort
from liverimg.cli.listen import listen
from liverimg.cli.pacs import pacs
from liverimg.cli.post import post, timeline
from liverimg.cli.publish import publish
from liverimg.cli.results import criteria, export, transducers, validate
from liverimg.cli.run import ingest, measure, pre
from liverimg.cli.sample import sample
from liverimg.cli.show_config import config
from liverimg.cli.study import deidentify, inspect
from liverimg.cli.training import evaluate, train
from liverimg.cli.view import view
from liverimg.core.errors import ExitCode, LiverimgError

if TYPE_CHECKING:
    from types import TracebackType

_PROGRAM = "liverimg"
app = typer.Typer(
    name=_PROGRAM,
    help="Pre- and post-ablation assessment of liver tumours: DICOM in; labels, measurements and a report out.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

# In the order of the help.
_COMMANDS: tuple[Callable[..., Any], ...] = (
    pre,
    ingest,
    measure,
    sample,
    ceus,
    cohort,
    listen,
    post,
    timeline,
    view,
    publish,
    validate,
    criteria,
    transducers,
    export,
    inspect,
    deidentify,
    train,
    evaluate,
)
for command in _COMMANDS:
    add(app, command)
app.add_typer(pacs)
app.add_typer(config)

# A wrong command line, as typer says it; the class has no public name of its own.
_WRONG_COMMAND: Any = typer.BadParameter.__mro__[2]
_INTERRUPTED = 130


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"liverimg {liverimg.__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Options of every command."""


def _leave(exit_code: int, message: str, *, code: str) -> None:
    """The last word: one sentence for people, the same as an object for programs."""
    sys.stderr.write(f"liverimg: {message}\n")
    if wants_json():
        from liverimg.terminal.as_json import say_error

        say_error(code=code, exit_code=exit_code, message=message)
    sys.stderr.flush()


def _internal_error(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """What nobody foresaw: where it happened for whoever mends it, one sentence for the user, exit code 5.

    The error's own words are left out, here as in the log: they may quote what a header says of a person.
    """
    from liverimg.pipeline.journal import crash_words

    sys.stderr.write(crash_words(error))
    message = "internal error; what was finished is kept. Please report the lines above."
    _leave(int(ExitCode.INTERNAL), message, code="internal")
    os._exit(int(ExitCode.INTERNAL))


def _run() -> int:
    """The command; its exit code."""
    # Not app(): that would put typer's own hook for unforeseen errors in place of ours.
    whole = typer.main.get_command(app)
    if not wants_json():
        whole(prog_name=_PROGRAM)
        return int(ExitCode.DONE)
    try:
        left_by = whole(prog_name=_PROGRAM, standalone_mode=False)
    except _WRONG_COMMAND as error:
        _leave(int(ExitCode.USAGE), error.format_message(), code="usage")
        return int(ExitCode.USAGE)
    return left_by if isinstance(left_by, int) else int(ExitCode.DONE)


def main() -> None:
    """Entry point: every error the program raises on purpose leaves as one sentence and its exit code."""
    sys.excepthook = _internal_error
    try:
        sys.exit(_run())
    except LiverimgError as error:
        from liverimg.pipeline.journal import refusal

        told = refusal(error)
        _leave(told["exit_code"], str(error), code=told["code"])
        sys.exit(told["exit_code"])
    except OSError as error:
        # A full disk, a folder that was taken away: not ours to mend, but ours to say in one sentence. A file that
        # nobody named here may be called after a patient.
        place = str(error.filename) if str(error.filename) in set(given_paths()) else "the system"
        _leave(int(ExitCode.INTERNAL), f"{error.strerror or type(error).__name__}: {place}", code="system")
        sys.exit(int(ExitCode.INTERNAL))
    except KeyboardInterrupt:
        _leave(_INTERRUPTED, "interrupted; what was finished is kept", code="interrupted")
        sys.exit(_INTERRUPTED)
