"""What the options of a run mean, from the command line or from Python: a reader each, or one sentence of refusal.

An option that gives something a name (``--phase SERIES_UID=NAME``) is a list of such texts on the command line and may
be a mapping in Python; both go through the same reader and are refused in the same words.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liverimg.core.errors import UsageError

if TYPE_CHECKING:
    from liverimg.core.response import Treatment
    from liverimg.core.study import Phase

PathLike = str | os.PathLike[str]
Named = Mapping[str, Any] | Iterable[str]
_LONGEST_START_S = 86_400


def keep_apart(study: Path, out: Path) -> None:
    """Refuses results that would lie among the input.

    Raises:
        UsageError: ``out`` is the study folder or lies in it.
    """
    if out.resolve().is_relative_to(study.resolve()):
        raise UsageError(
            f"--out {out} lies inside the study folder; results would be read as input: choose another place"
        )


def check_drawing(*, model: PathLike | None, labels: PathLike | None, device: str) -> None:
    """Refuses two makers of the labels, and a device that torch does not know here.

    Raises:
        UsageError: Either.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {device!r}: expected auto, cpu or cuda")
    if model is not None and labels is not None:
        raise UsageError("--model and --labels both say who draws; give one of them")


def writable_file(path: Path, *, option: str) -> None:
    """Refuses a place where no file can be written, before any work is done.

    Raises:
        UsageError: It is a folder, or its folder is not there.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{option} {path}: expected the name of a file in a folder that is there")


def phases(given: Named | None) -> dict[str, Phase] | None:
    """Phases by SeriesInstanceUID, from ``SERIES_UID=NAME``; None without any.

    Raises:
        UsageError: No series, no such phase, or two phases for one series.
    """
    from liverimg.core.study import Phase

    named: dict[str, Phase] = {}
    for option in _texts(given):
        uid, _, name = option.partition("=")
        if not uid or name not in set(Phase):
            raise UsageError(
                f"--phase {option!r}: expected SERIES_UID=NAME with one of: {', '.join(p.value for p in Phase)}"
            )
        if named.setdefault(uid, Phase(name)) != name:
            raise UsageError(f"--phase gives series {uid} two phases, {named[uid]} and {name}; give one")
    return named or None


def roles(given: Named | None) -> dict[str, str] | None:
    """Volumes by role, from ``ROLE=NUMBER|SERIES_UID``; None without any.

    Raises:
        UsageError: No such role, no volume, or two volumes for one role.
    """
    from liverimg.core.study import Role

    named: dict[str, str] = {}
    for option in _texts(given):
        role, _, which = option.partition("=")
        if not which or role not in set(Role):
            raise UsageError(
                f"--use {option!r}: expected ROLE=NUMBER or ROLE=SERIES_UID with one of: "
                f"{', '.join(r.value for r in Role)}"
            )
        if named.setdefault(role, which) != which:
            raise UsageError(f"--use gives the role {role} to {named[role]} and to {which}; give one")
    return named or None


def model(given: PathLike | None) -> str | Path | None:
    """A folder that is there as a path; anything else as the recipe would name it."""
    if given is None or isinstance(given, str):
        return Path(given) if given is not None and Path(given).is_dir() else given
    return Path(given)


def contrast_starts(given: Named | None) -> dict[str, float] | None:
    """Start of injection by SeriesInstanceUID, from ``SERIES_UID=SECONDS``; None without any.

    Raises:
        UsageError: No series, no number, or a day and more.
    """
    starts: dict[str, float] = {}
    for option in _texts(given):
        uid, _, seconds = option.partition("=")
        try:
            starts[uid] = float(seconds)
        except ValueError:
            starts[uid] = float("nan")
        if not uid or not abs(starts[uid]) < _LONGEST_START_S:
            raise UsageError(f"--contrast-start {option!r}: expected SERIES_UID=SECONDS, less than a day")
    return starts or None


def panes(given: Named | None) -> dict[str, str] | None:
    """Places of the contrast picture by SeriesInstanceUID, from ``SERIES_UID=PLACE``; None without any.

    Raises:
        UsageError: No series, or no such place.
    """
    places: dict[str, str] = {}
    for option in _texts(given):
        uid, _, place = option.partition("=")
        if not uid or place not in ("left", "right", "whole", "none"):
            raise UsageError(f"--pane {option!r}: expected SERIES_UID=left, right, whole or none")
        places[uid] = place
    return places or None


def planes(given: Named | None) -> dict[str, str] | None:
    """Plane names by SeriesInstanceUID, from ``SERIES_UID=NAME``; None without any.

    Raises:
        UsageError: No series or no name.
    """
    named: dict[str, str] = {}
    for option in _texts(given):
        uid, _, name = option.partition("=")
        if not uid or not name:
            raise UsageError(f"--plane {option!r}: expected SERIES_UID=NAME, the same name for clips of one plane")
        named[uid] = name
    return named or None


def treatments(given: Iterable[str | date | Treatment] | str | date | None) -> list[dict[str, Any]] | None:
    """``DATE[=KIND]`` as settings of the stage; None without any.

    Raises:
        UsageError: A kind is empty. What is no date or no known kind is refused by the stage.
    """
    rows = []
    for option in [given] if isinstance(given, str | date) else given or []:
        if isinstance(option, str):
            day, equals, kind = option.partition("=")
            if equals and not kind:
                raise UsageError(f"--treated-on {option!r}: expected DATE or DATE=KIND, such as 2026-01-31=hifu")
            rows.append({"date": day, "kind": kind or None})
        elif isinstance(option, date):
            rows.append({"date": option.isoformat(), "kind": None})
        else:
            rows.append({"date": option.day.isoformat(), "kind": option.kind})
    return rows or None


def clinical(given: PathLike | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The tables of a clinical file, or such tables as they are; None without any."""
    from liverimg.files.tables import read_toml

    return given if given is None or isinstance(given, Mapping) else read_toml(Path(given))


def own_criteria(given: Sequence[PathLike] | PathLike | None) -> list[Path] | None:
    """Files with rules of the user's own; None without any."""
    if given is None:
        return None
    return [Path(one) for one in ([given] if isinstance(given, str | os.PathLike) else given)] or None


def earlier(out: PathLike | None) -> dict[str, Any] | None:
    """What growth needs of an earlier study's results; None without any.

    Raises:
        UsageError: There are no measurements in the folder.
    """
    if out is None:
        return None
    from liverimg.stages.earlier import read_earlier

    return read_earlier(Path(out))


def path(given: PathLike | None) -> Path | None:
    """A path; None for none."""
    return None if given is None else Path(given)


def _texts(given: Named | None) -> list[str]:
    """``KEY=VALUE`` texts, whichever way they were given."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, Mapping):
        return [f"{key}={value}" for key, value in given.items()]
    return list(given or [])
