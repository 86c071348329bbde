"""``--config FILE.toml``: defaults for the options of each command, in the names of the options.

    [pre]
    device = "cpu"
    criteria = ["our_rules.toml"]

    [pacs.find]
    peers = "peers.toml"

The command line wins. A name that no option has is refused, for every command of the file and not only for the one that
is run: what is not read is not left to be believed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from liverimg.core.errors import RecordInvalidError, UsageError

# What a file can't set: what makes no sense as a habit, or names the file itself.
_NEVER = frozenset(("config", "help", "version", "show_completion", "install_completion"))
CONFIG_VARIABLE = "LIVERIMG_CONFIG"
_NAMES_OR_PATHS = frozenset(("recipe", "model"))


def _read(context: typer.Context, path: Path | None) -> Path | None:
    """Takes the file's table of this command as the defaults of its options."""
    if path is None or context.resilient_parsing:
        return path
    from liverimg.files.tables import read_toml

    try:
        tables = defaults(read_toml(path), context.find_root().command, folder=path.parent, where=path.name)
    except RecordInvalidError as error:
        raise UsageError(f"--config: {error}") from error
    for word in command_words(context):
        tables = tables.get(word, {})
    context.default_map = {**(context.default_map or {}), **tables}
    return path


def command_words(context: typer.Context) -> list[str]:
    """What the command is called by, below the program's own name."""
    words: list[str] = []
    level: Any = context
    while level.parent is not None:
        words.insert(0, str(level.info_name))
        level = level.parent
    return words


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        envvar=CONFIG_VARIABLE,
        is_eager=True,
        callback=_read,
        help="Defaults for the options of each command; the command line wins.",
    ),
]


def defaults(table: Mapping[str, Any], command: Any, *, folder: Path, where: str) -> dict[str, Any]:
    """A configuration as the command line's own defaults, by name of command and parameter.

    Args:
        table: The file's content, or a part of it.
        command: The command that it belongs to: a group or one of its commands.
        folder: Of the file; paths in it are relative to that.
        where: The file, and the table in it, for sentences.

    Raises:
        UsageError: A name that no command or option has, or a value of the wrong kind.
    """
    commands: Mapping[str, Any] = getattr(command, "commands", {})
    if not commands:
        return dict(_options(table, command, folder=folder, where=where))
    found = {}
    for name, content in table.items():
        if name not in commands:
            raise UsageError(f"{where} has {name!r}, which is no command; {_expected(name, commands)}")
        if not isinstance(content, Mapping):
            raise UsageError(f"{where} has a value for {name!r}; expected a table [{name}] with options of the command")
        found[name] = defaults(content, commands[name], folder=folder, where=f"{where} [{name}]")
    return found


def settable(command: Any) -> dict[str, Any]:
    """Options of a command that a file may set, by their names without the dashes."""
    return {
        text.removeprefix("--"): parameter
        for parameter in command.params
        for text in (*parameter.opts, *parameter.secondary_opts)
        if text.startswith("--") and not text.startswith("--no-") and parameter.name not in _NEVER
    }


def _options(table: Mapping[str, Any], command: Any, *, folder: Path, where: str) -> Iterator[tuple[str, Any]]:
    known = settable(command)
    paths = _paths(command)
    for name, value in table.items():
        if name not in known:
            raise UsageError(f"{where} has {name!r}, which is no option of the command; {_expected(name, known)}")
        option = known[name]
        yield option.name, _value(value, option, folder if option.name in paths else None, where=f"{where} {name}")


def _paths(command: Any) -> frozenset[str]:
    """Parameters that are paths, by the command's own signature; and those that are a name or a path."""
    hints = {name: str(one.annotation) for name, one in signature(command.callback).parameters.items()}
    return _NAMES_OR_PATHS.union(name for name, hint in hints.items() if "Path" in hint)


def _value(value: Any, option: Any, folder: Path | None, *, where: str) -> Any:
    """A value as the option takes it; a path is relative to the folder of the file that names it."""
    is_flag, is_list = bool(getattr(option, "is_flag", False)), bool(getattr(option, "multiple", False))
    if is_flag != isinstance(value, bool):
        raise UsageError(f"{where} is {value!r}; expected {'true or false' if is_flag else 'no true or false'}")
    if is_list != isinstance(value, list):
        raise UsageError(f"{where} is {value!r}; expected {'a list [...]' if is_list else 'one value'}")
    if is_list:
        return [_one(each, option, folder, where=where) for each in value]
    return value if is_flag else _one(value, option, folder, where=where)


def _one(value: Any, option: Any, folder: Path | None, *, where: str) -> str:
    if isinstance(value, bool | Mapping | list) or not isinstance(value, str | int | float | date):
        raise UsageError(f"{where} holds {value!r}; expected a text or a number")
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str) or folder is None:
        return str(value)
    # A recipe or a model is a name unless there is such a file beside ours.
    is_name = option.name in _NAMES_OR_PATHS and not (folder / value).exists()
    return value if is_name else str(folder / value)


def _expected(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name.replace("_", "-"), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"expected one of: {', '.join(sorted(known))}"
