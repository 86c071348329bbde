"""The command line: arguments in, exit code out. No logic lives here, and no heavy import."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import liverimg
from liverimg.cli_training import evaluate, train
from liverimg.core.errors import ExitCode, LiverimgError, UsageError

if TYPE_CHECKING:
    from types import TracebackType

    from liverimg.pipeline.runner import Outcome

_EXIT_CODES = (
    "Exit codes: 0 done, 2 usage, 3 input refused, 4 needs a person, 5 internal error. "
    "Research use only: not a medical device."
)

app = typer.Typer(
    name="liverimg",
    help="Pre- and post-ablation assessment of liver tumours: DICOM in; labels, measurements and a report out.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

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


@app.command(epilog=_EXIT_CODES)
def pre(
    study: StudyArgument,
    out: OutOption,
    clinical: ClinicalOption = None,
    recipe: Annotated[
        str,
        typer.Option("--recipe", metavar="FILE", help="Recipe: a TOML file, or the name of one that is built in."),
    ] = "pre_ablation",
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="PATH",
            help="Labels drawn elsewhere, used instead of a model: NIfTI, NRRD, DICOM SEG, RTSTRUCT, a mask folder.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME|PATH",
            help="Model instead of the recipe's: a folder with a MONAI bundle, totalsegmentator, or nnunet:MODEL.",
        ),
    ] = None,
    phase: PhaseOption = None,
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the model runs.")] = "auto",
    redo: Annotated[
        str | None,
        typer.Option("--redo", metavar="STAGE", help="Run a stage again; discards corrections made to its outputs."),
    ] = None,
) -> None:
    """Assess a study before ablation: volumes, labels, measurements, suitability and a report."""
    from liverimg.pipeline.recipe import load_recipe
    from liverimg.pipeline.runner import run

    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {device!r}: expected auto, cpu or cuda")
    if model is not None and labels is not None:
        raise UsageError("--model and --labels both say who draws; give one of them")
    _keep_apart(study, out)
    steps = (
        load_recipe(recipe)
        .with_settings("ingest", study=study, phases=_phases(phase), labels=labels)
        .with_settings("segment", labels=labels, model=_model(model), device=device)
        .with_settings("assess", clinical=_clinical(clinical))
    )
    with _reporter() as reporter:
        outcomes = run(steps, out, redo=redo, reporter=reporter)
    _say_done(outcomes, out)


@app.command(epilog=_EXIT_CODES)
def ingest(
    study: StudyArgument,
    out: OutOption,
    phase: PhaseOption = None,
    contrast_start: ContrastStartOption = None,
    pane: PaneOption = None,
) -> None:
    """Turn a study folder into volumes (NIfTI, CT in HU), ultrasound cines and study.json; needs no model."""
    from liverimg.pipeline.recipe import load_recipe
    from liverimg.pipeline.runner import run

    _keep_apart(study, out)
    steps = load_recipe("pre_ablation", only=["ingest"]).with_settings(
        "ingest",
        study=study,
        phases=_phases(phase),
        contrast_starts=_contrast_starts(contrast_start),
        panes=_panes(pane),
        with_volume=False,
    )
    with _reporter() as reporter:
        outcomes = run(steps, out, reporter=reporter, remember=False)
    _say_done(outcomes, out)


@app.command(epilog=_EXIT_CODES)
def inspect(
    study: StudyArgument,
    phase: PhaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show what a study folder holds: each series, its phase, and what is not used and why. Reads headers only."""
    from liverimg.stages.inspection import inspect_study

    record = inspect_study(study, phases=_phases(phase) or {})
    if as_json:
        sys.stdout.write(json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    else:
        from liverimg.terminal import show_inspection

        show_inspection(record)


@app.command(epilog=_EXIT_CODES)
def deidentify(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New or empty folder for the cleaned files.")],
    keep_dates: Annotated[
        str, typer.Option("--keep-dates", metavar="shifted|removed", help="What becomes of dates and times.")
    ] = "shifted",
    keep_uids: Annotated[
        str,
        typer.Option("--keep-uids", metavar="mapped|replaced", help="The same UIDs in every run of one salt, or new."),
    ] = "mapped",
    salt_file: Annotated[
        Path | None,
        typer.Option("--salt-file", metavar="FILE", help="Secret that pseudonyms come from; made when absent."),
    ] = None,
    patient_id: Annotated[str | None, typer.Option("--patient-id", metavar="NEW", help="New patient ID.")] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", metavar="FILE", help="Write old names beside new ones; readable by you only."),
    ] = None,
    accept_burned_in: Annotated[
        bool, typer.Option("--accept-burned-in", help="Pass on pictures that may show writing. Look at them first.")
    ] = False,
) -> None:
    """Copy a study without identity (DICOM PS3.15 Annex E), ultrasound masked outside its pictures."""
    from liverimg.stages.deidentification import Request, deidentify
    from liverimg.terminal import show_deidentified

    _keep_apart(study, out)
    request = Request(study, out, keep_dates, keep_uids, salt_file, patient_id, mapping, accept_burned_in)
    with _reporter() as reporter:
        manifest = deidentify(request, progress=reporter.stage_started("deidentify"))
    show_deidentified(manifest, out)


@app.command(epilog=_EXIT_CODES)
def measure(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of an earlier run.")],
    clinical: ClinicalOption = None,
) -> None:
    """Measure, assess and report again, after a label was corrected by hand."""
    from liverimg.pipeline.runner import measure_again

    with _reporter() as reporter:
        outcomes = measure_again(out, clinical=_clinical(clinical), reporter=reporter)
    _say_done(outcomes, out)


@app.command(epilog=_EXIT_CODES)
def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder to write the studies into.")],
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Another patient than the sample that is built in.")
    ] = None,
) -> None:
    """Write synthetic DICOM studies of an analytic phantom, with the exact answers beside them."""
    from liverimg.pipeline.sample import write_sample

    with _reporter() as reporter:
        write_sample(folder, seed=seed, progress=reporter.stage_started("sample"))
    sys.stdout.write(f"{folder}\n")


@app.command(epilog=_EXIT_CODES)
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="A record that liverimg wrote, or one like it.")],
) -> None:
    """Hold a JSON record against its published schema."""
    from liverimg.files import records

    record = records.load(file)
    kind = records.kind_of(record, file.name)
    found = records.problems(record, kind)
    for line in found:
        sys.stderr.write(f"{file.name}: {line}\n")
    if found:
        raise typer.Exit(ExitCode.INPUT_REFUSED)
    sys.stdout.write(f"{file.name} keeps the {kind} schema\n")


app.command(epilog=_EXIT_CODES)(train)
app.command(epilog=_EXIT_CODES)(evaluate)


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


def _keep_apart(study: Path, out: Path) -> None:
    if out.resolve().is_relative_to(study.resolve()):
        raise UsageError(
            f"--out {out} lies inside the study folder; results would be read as input: choose another place"
        )


def _phases(given: list[str] | None) -> dict[str, Any] | None:
    """``SERIES_UID=NAME`` options as a mapping to phases."""
    from liverimg.core.study import Phase

    if not given:
        return None
    phases: dict[str, Phase] = {}
    for option in given:
        uid, _, name = option.partition("=")
        if not uid or name not in set(Phase):
            raise UsageError(
                f"--phase {option!r}: expected SERIES_UID=NAME with one of: {', '.join(p.value for p in Phase)}"
            )
        if phases.setdefault(uid, Phase(name)) != name:
            raise UsageError(f"--phase gives series {uid} two phases, {phases[uid]} and {name}; give one")
    return phases


def _model(given: str | None) -> str | Path | None:
    """A folder that is there as a path; anything else as the recipe would name it."""
    return Path(given) if given is not None and Path(given).is_dir() else given


def _contrast_starts(given: list[str] | None) -> dict[str, float] | None:
    """``SERIES_UID=SECONDS`` options."""
    starts: dict[str, float] = {}
    for option in given or []:
        uid, _, seconds = option.partition("=")
        try:
            starts[uid] = float(seconds)
        except ValueError:
            starts[uid] = float("nan")
        if not uid or not abs(starts[uid]) < 86400:
            raise UsageError(f"--contrast-start {option!r}: expected SERIES_UID=SECONDS, less than a day")
    return starts or None


def _panes(given: list[str] | None) -> dict[str, str] | None:
    """``SERIES_UID=PLACE`` options."""
    panes: dict[str, str] = {}
    for option in given or []:
        uid, _, place = option.partition("=")
        if not uid or place not in ("left", "right", "whole", "none"):
            raise UsageError(f"--pane {option!r}: expected SERIES_UID=left, right, whole or none")
        panes[uid] = place
    return panes or None


def _clinical(path: Path | None) -> dict[str, Any] | None:
    from liverimg.files.tables import read_toml

    return read_toml(path) if path is not None else None


def _reporter() -> Any:
    from liverimg.terminal import TerminalReporter

    return TerminalReporter()


def _say_done(outcomes: list[Outcome], out: Path) -> None:
    from liverimg.terminal import show_outcomes

    show_outcomes(outcomes, out)


def _internal_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nobody foresaw: the traceback for whoever mends it, one sentence for the user, exit code 5."""
    traceback.print_exception(kind, error, trace)
    sys.stderr.write("liverimg: internal error; what was finished is kept. Please report the lines above.\n")
    sys.stderr.flush()
    os._exit(int(ExitCode.INTERNAL))


def main() -> None:
    """Entry point: every error the program raises on purpose leaves as one sentence and its exit code."""
    sys.excepthook = _internal_error
    try:
        # Not app(): that would put typer's own hook for unforeseen errors in place of ours.
        typer.main.get_command(app)()
    except LiverimgError as error:
        sys.stderr.write(f"liverimg: {error}\n")
        sys.exit(int(error.exit_code))
    except OSError as error:
        # A full disk, a folder that was taken away: not ours to mend, but ours to say in one sentence.
        sys.stderr.write(f"liverimg: {error.strerror or error}: {error.filename or 'the system'}\n")
        sys.exit(int(ExitCode.INTERNAL))
    except KeyboardInterrupt:
        sys.stderr.write("liverimg: interrupted; what was finished is kept\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
