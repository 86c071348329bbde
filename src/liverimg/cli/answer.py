"""What every command has in common: ``--json``, ``--log`` and ``--config``, and how it answers.

A command returns an :class:`Answer`: what to show to a person and what to say to a program. Printing, the log and the
exit code are done here, once for all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from liverimg.cli.config import ConfigOption, command_words
from liverimg.core.errors import ExitCode
from liverimg.pipeline.options import writable_file

EXIT_CODES = (
    "Exit codes: 0 done, 2 usage, 3 input refused, 4 needs a person, 5 internal error. "
    "Research use only: not a medical device."
)
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object instead of words, also for what is refused.")
]
LogOption = Annotated[
    Path | None, typer.Option("--log", metavar="FILE", help="Append what happens, as JSON lines without identity.")
]
_SHARED: Mapping[str, tuple[Any, Any]] = {
    "as_json": (JsonOption, False),
    "log": (LogOption, None),
    "config": (ConfigOption, None),
}
_CONTEXT = "liverimg_context"


@dataclass(frozen=True)
class Answer:
    """What a command says when it is through.

    Attributes:
        record: For a program; one object.
        show: Prints it for a person.
        exit_code: How the command leaves.
        last: Done at the very end, and may refuse; a program is then told the refusal alone.
    """

    record: Callable[[], Mapping[str, Any]]
    show: Callable[[], object]
    exit_code: ExitCode = ExitCode.DONE
    last: Callable[[], object] = lambda: None


@dataclass
class _Spoken:
    """Whether this process was asked for JSON, for errors that come after the options were read."""

    json: bool = False


_spoken = _Spoken()


def wants_json() -> bool:
    """Whether errors are to be told to a program: a wrong command line never gets as far as its options."""
    return _spoken.json or "--json" in sys.argv[1:]


def add(app: typer.Typer, command: Callable[..., Any], *, epilog: str = EXIT_CODES) -> None:
    """Gives an application a command with the options that all have.

    Args:
        app: Where it belongs.
        command: Returns an :class:`Answer`, or None when it printed by itself; ``--json`` is then its own business.
        epilog: Below its help.
    """
    app.command(epilog=epilog)(answering(command))


def answering(command: Callable[..., Any]) -> Callable[..., None]:
    """The command with ``--json``, ``--log`` and ``--config``; one that it declares by itself stays its own."""
    own = signature(command).parameters
    hints = get_type_hints(command, include_extras=True)
    # A command that asks for the context by itself gets the one there is.
    asks = next((name for name, hint in hints.items() if hint is typer.Context), None)
    shared = {name: default for name, (_, default) in _SHARED.items() if name not in own}

    def called(**given: Any) -> None:
        context: typer.Context = given[asks] if asks else given.pop(_CONTEXT)
        told = {name: given.pop(name) for name in shared}
        _spoken.json = bool(told.get("as_json"))
        with ExitStack() as stack:
            span = _log(stack, told.get("log"), " ".join(command_words(context)))
            answer = command(**given)
            code = answer.exit_code if isinstance(answer, Answer) else ExitCode.DONE
            if isinstance(answer, Answer):
                _print(answer, as_json=_spoken.json)
            if span is not None:
                span.add(exit_code=int(code))
        if code:
            raise typer.Exit(int(code))

    extra = [Parameter(n, Parameter.KEYWORD_ONLY, default=d, annotation=_SHARED[n][0]) for n, d in shared.items()]
    context = [] if asks else [Parameter(_CONTEXT, Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    mine = [p.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[p.name]) for p in own.values()]
    called.__name__, called.__doc__, called.__module__ = command.__name__, command.__doc__, command.__module__
    called.__annotations__ = {p.name: p.annotation for p in (*context, *mine, *extra)}
    called.__signature__ = Signature([*context, *mine, *extra])  # type: ignore[attr-defined]
    return called


def _print(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        from liverimg.terminal.as_json import say

        answer.last()
        say(answer.record())
    else:
        answer.show()
        sys.stdout.flush()
        answer.last()


def _log(stack: ExitStack, log: Path | None, command: str) -> Any:
    """Opens the log that was asked for, and tells it how the command begins and ends."""
    if log is None:
        return None
    from liverimg.pipeline.journal import Span, journal

    writable_file(log, option="--log")
    hide = list(given_paths())
    stack.enter_context(journal(log, hide=hide))
    return stack.enter_context(Span("command", command=command, hide=hide))


def given_paths() -> Iterator[str]:
    """Words of the command line that are paths, and what else they may be called: they may hold a name."""
    for word in sys.argv[1:]:
        for part in {word, word.partition("=")[2]}:
            if part and not part.startswith("-") and ("/" in part or Path(part).exists()):
                yield from (part, str(Path(part).resolve()), Path(part).name)
