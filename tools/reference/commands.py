"""The page of the command line, from the commands themselves."""

import re
from typing import Any

import typer
from tools.reference.note import NOTE

from liverimg.cli import app
from liverimg.core.errors import ExitCode

_EXITS = {
    ExitCode.DONE: "done",
    ExitCode.USAGE: "usage: an option, a setting or a folder",
    ExitCode.INPUT_REFUSED: "input refused: a study, a label file or a model can't be used",
    ExitCode.NEEDS_A_PERSON: "needs a person: a choice or a correction that no setting makes",
    ExitCode.INTERNAL: "internal error: please report what is printed",
}
# What every command understands stands once at the top of the page.
_SHARED = ("as_json", "log", "config")


def commands() -> str:
    """``commands.md``."""
    root: Any = typer.main.get_command(app)
    lines = ["# Commands", NOTE, f"{root.help} `liverimg COMMAND --help` says the same in the terminal.", ""]
    lines += ["| command | does |", "|---|---|"]
    for words, command in _leaves(root, ()):
        lines.append(f"| [`{' '.join(words)}`](#{_anchor(words)}) | {_first_sentence(command)} |")
    shared = _shared_options(root)
    if shared:
        lines += ["", "## Options of every command", "", *_option_table(shared)]
    lines += ["", "## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {int(code)} | {meaning} |" for code, meaning in _EXITS.items()]
    for words, command in _leaves(root, ()):
        lines += ["", *_one(words, command, without={option.name for option in shared})]
    return "\n".join(lines) + "\n"


def _leaves(group: Any, above: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, command in group.commands.items():
        words = (*above, name)
        if not getattr(command, "hidden", False):
            found += _leaves(command, words) if hasattr(command, "commands") else [(words, command)]
    return found


def _shared_options(root: Any) -> list[Any]:
    everywhere = [{p.name: p for p in command.params} for _, command in _leaves(root, ())]
    shared = (name for name in _SHARED if sum(name in params for params in everywhere) > len(everywhere) / 2)
    return [next(params[name] for params in everywhere if name in params) for name in shared]


def _one(words: tuple[str, ...], command: Any, *, without: set[str]) -> list[str]:
    arguments = [p for p in command.params if _is_argument(p) and not p.hidden]
    options = [p for p in command.params if not _is_argument(p) and not p.hidden and p.name not in without]
    wanted = [_required(p) for p in options if p.required]
    call = " ".join(["liverimg", *words, *(_value(p) for p in arguments), *wanted])
    lines = [f"## {' '.join(words)}", "", "```sh", f"{call}{' [OPTIONS]' if len(wanted) < len(options) else ''}", "```"]
    lines += ["", *_paragraphs(command.help)]
    if arguments:
        lines += ["", "| argument | meaning |", "|---|---|"]
        lines += [f"| `{_cell(_value(p))}` | {_cell(p.help)} |" for p in arguments]
    return [*lines, "", *_option_table(options)] if options else lines


def _is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def _value(parameter: Any) -> str:
    """What is written in place of a value; nothing for a flag."""
    if getattr(parameter, "is_flag", False):
        return ""
    word = parameter.metavar or (parameter.name.upper() if _is_argument(parameter) else "VALUE")
    return f"{word} ..." if parameter.multiple or parameter.nargs == -1 else str(word)


def _required(parameter: Any) -> str:
    return f"{parameter.opts[0]} {_value(parameter).removesuffix(' ...')}".strip()


def _option_table(options: list[Any]) -> list[str]:
    return ["| option | default | meaning |", "|---|---|---|", *(_option(p) for p in options)]


def _option(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    value = _value(parameter)
    repeated = (
        " May be given several times." if parameter.multiple and "several times" not in (parameter.help or "") else ""
    )
    shown = f" `{_cell(value.removesuffix(' ...'))}`" if value else ""
    environment = f" From `{parameter.envvar}` when not given." if parameter.envvar else ""
    return f"| {names}{shown} | {_default(parameter)} | {_cell(parameter.help)}{repeated}{environment} |"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    if isinstance(default, bool):
        return "on" if default else "off"
    if default is None or callable(default) or default in ("", (), []):
        return ""
    return f"`{default}`"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ").strip()


def _paragraphs(text: str | None) -> list[str]:
    """A docstring's paragraphs, each on one line, the control characters of help pages left out."""
    blocks = re.split(r"\n\s*\n", (text or "").replace("\b", "").strip())
    return "\n\n".join(" ".join(block.split()) for block in blocks).split("\n")


def _first_sentence(command: Any) -> str:
    first = _paragraphs(command.help)[0]
    return _cell(re.split(r"(?<=\.)\s", first)[0])


def _anchor(words: tuple[str, ...]) -> str:
    return "-".join(words)
