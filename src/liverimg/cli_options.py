"""Options that several commands share, and what their texts mean: a reader each, or one sentence of refusal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liverimg.core.errors import UsageError

if TYPE_CHECKING:
    from liverimg.core.study import Phase

StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder with the DICOM files of one study.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="OUT", help="Folder for the results of this one study.")]
PhaseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--phase",
        metavar="SERIES_UID=NAME",
        help="Contrast phase of a series as you know it; may be given several times.",
    ),
]
UseOption = Annotated[
    list[str] | None,
    typer.Option(
        "--use",
        metavar="ROLE=NUMBER|SERIES_UID",
        help="Volume for a role (reference, unenhanced, arterial, portal_venous, delayed, hepatobiliary), by the "
        "number that inspect shows or its series UID; may be given several times.",
    ),
]
ContrastStartOption = Annotated[
    list[str] | None,
    typer.Option(
        "--contrast-start",
        metavar="SERIES_UID=SECONDS",
        help="Ultrasound: start of injection after a clip's first frame; may be given several times.",
    ),
]
PaneOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pane",
        metavar="SERIES_UID=left|right|whole|none",
        help="Ultrasound: which picture of a clip shows contrast; may be given several times.",
    ),
]
ClinicalOption = Annotated[
    Path | None,
    typer.Option("--clinical", metavar="FILE", help="TOML file with clinical data (Child-Pugh score, INR, ...)."),
]
EarlierOption = Annotated[
    Path | None,
    typer.Option(
        "--earlier", metavar="OUT", help="Output folder of an earlier study of the same patient, to tell growth."
    ),
]
CriteriaOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--criteria",
        metavar="FILE.toml",
        help="Rules of your own beside those that come with liverimg; may be given several times.",
    ),
]
TransducerOption = Annotated[
    str | None,
    typer.Option(
        "--transducer", metavar="NAME", help="Transducer for the acoustic window; liverimg transducers lists them."
    ),
]
TransducersOption = Annotated[
    Path | None,
    typer.Option("--transducers", metavar="FILE.toml", help="Transducers of your own instead of those built in."),
]
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


def check_drawing(*, model: str | Path | None, labels: Path | None, device: str) -> None:
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


def phases(given: list[str] | None) -> dict[str, Phase] | None:
    """``SERIES_UID=NAME`` options as phases by series; None without any.

    Raises:
        UsageError: No series, no such phase, or two phases for one series.
    """
    from liverimg.core.study import Phase

    if not given:
        return None
    named: dict[str, Phase] = {}
    for option in given:
        uid, _, name = option.partition("=")
        if not uid or name not in set(Phase):
            raise UsageError(
                f"--phase {option!r}: expected SERIES_UID=NAME with one of: {', '.join(p.value for p in Phase)}"
            )
        if named.setdefault(uid, Phase(name)) != name:
            raise UsageError(f"--phase gives series {uid} two phases, {named[uid]} and {name}; give one")
    return named


def roles(given: list[str] | None) -> dict[str, str] | None:
    """``ROLE=NUMBER|SERIES_UID`` options as volumes by role; None without any.

    Raises:
        UsageError: No such role, no volume, or two volumes for one role.
    """
    from liverimg.core.study import Role

    named: dict[str, str] = {}
    for option in given or []:
        role, _, which = option.partition("=")
        if not which or role not in set(Role):
            raise UsageError(
                f"--use {option!r}: expected ROLE=NUMBER or ROLE=SERIES_UID with one of: "
                f"{', '.join(r.value for r in Role)}"
            )
        if named.setdefault(role, which) != which:
            raise UsageError(f"--use gives the role {role} to {named[role]} and to {which}; give one")
    return named or None


def model(given: str | None) -> str | Path | None:
    """A folder that is there as a path; anything else as the recipe would name it."""
    return Path(given) if given is not None and Path(given).is_dir() else given


def contrast_starts(given: list[str] | None) -> dict[str, float] | None:
    """``SERIES_UID=SECONDS`` options as seconds by series; None without any.

    Raises:
        UsageError: No series, no number, or a day and more.
    """
    starts: dict[str, float] = {}
    for option in given or []:
        uid, _, seconds = option.partition("=")
        try:
            starts[uid] = float(seconds)
        except ValueError:
            starts[uid] = float("nan")
        if not uid or not abs(starts[uid]) < _LONGEST_START_S:
            raise UsageError(f"--contrast-start {option!r}: expected SERIES_UID=SECONDS, less than a day")
    return starts or None


def panes(given: list[str] | None) -> dict[str, str] | None:
    """``SERIES_UID=PLACE`` options as places by series; None without any.

    Raises:
        UsageError: No series, or no such place.
    """
    places: dict[str, str] = {}
    for option in given or []:
        uid, _, place = option.partition("=")
        if not uid or place not in ("left", "right", "whole", "none"):
            raise UsageError(f"--pane {option!r}: expected SERIES_UID=left, right, whole or none")
        places[uid] = place
    return places or None


def clinical(path: Path | None) -> dict[str, Any] | None:
    """The tables of a clinical file; None without one."""
    from liverimg.files.tables import read_toml

    return read_toml(path) if path is not None else None


def earlier(out: Path | None) -> dict[str, Any] | None:
    """What growth needs of an earlier study's results; None without any.

    Raises:
        UsageError: There are no measurements in the folder.
    """
    if out is None:
        return None
    from liverimg.stages.earlier import read_earlier

    return read_earlier(out)
