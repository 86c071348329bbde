"""``liverimg config show``: what the options of a command are when nothing is said, and who says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from liverimg.cli.answer import EXIT_CODES, Answer, add
from liverimg.cli.config import CONFIG_VARIABLE, defaults, settable
from liverimg.core.errors import RecordInvalidError, UsageError

config = typer.Typer(
    name="config", help="Defaults of options: built in, or from a file.", epilog=EXIT_CODES, no_args_is_help=True
)
_BUILT_IN: Final = "built in"
_NOBODY: Final = "must be given"


def show(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMMAND]", help="Such as pre, or pacs find. Without it: what the file sets."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE.toml", envvar=CONFIG_VARIABLE, help="The file whose defaults are looked at."
        ),
    ] = None,
) -> Answer:
    """Show what the options of a command are when the command line does not say, and where each comes from."""
    root = context.find_root().command
    set_by_file = {} if config is None else _of_file(config, root)
    wanted = tuple(command or ())
    rows = [
        row
        for words, one in _leaves(root)
        if words[: len(wanted)] == wanted
        for row in _rows(words, one, set_by_file, everything=bool(wanted))
    ]
    if wanted and not rows:
        known = ", ".join(" ".join(words) for words, _ in _leaves(root))
        raise UsageError(f"there is no command {' '.join(wanted)!r} with options; expected one of: {known}")
    file = None if config is None else str(config)

    def tell() -> None:
        from liverimg.terminal.config import show_defaults

        show_defaults(rows, file)

    return Answer(lambda: {"config": file, "options": rows}, tell)


def _of_file(file: Path, root: Any) -> Mapping[str, Any]:
    from liverimg.files.tables import read_toml

    try:
        return defaults(read_toml(file), root, folder=file.parent, where=file.name)
    except RecordInvalidError as error:
        raise UsageError(f"--config: {error}") from error


def _leaves(group: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command by its words."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, (*above, name))
        else:
            yield (*above, name), command


def _rows(
    words: tuple[str, ...], command: Any, set_by_file: Mapping[str, Any], *, everything: bool
) -> Iterator[dict[str, Any]]:
    """One row for each option that a file may set; those alone that it does set unless everything is wanted."""
    table: Mapping[str, Any] = set_by_file
    for word in words:
        table = table.get(word, {})
    for name, parameter in settable(command).items():
        if parameter.name in table:
            value, source = table[parameter.name], "file"
        elif not everything:
            continue
        else:
            value, source = parameter.default, _NOBODY if parameter.required else _BUILT_IN
        yield {"command": " ".join(words), "option": f"--{name}", "value": _plain(value), "from": source}


def _plain(value: Any) -> Any:
    """As JSON can hold it."""
    return value if value is None or isinstance(value, bool | int | float | str | list) else str(value)


add(config, show)
