"""The command line: arguments in, exit code out. No logic lives here, and no heavy import."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import liverimg
from liverimg import cli_options as read
from liverimg.cli_ceus import ceus
from liverimg.cli_listen import listen
from liverimg.cli_options import (
    ClinicalOption,
    ContrastStartOption,
    CriteriaOption,
    EarlierOption,
    OutOption,
    PaneOption,
    PhaseOption,
    StudyArgument,
    TransducerOption,
    TransducersOption,
    UseOption,
)
from liverimg.cli_pacs import pacs
from liverimg.cli_post import post, timeline
from liverimg.cli_publish import publish
from liverimg.cli_results import criteria, export, transducers, validate
from liverimg.cli_study import deidentify, inspect
from liverimg.cli_training import evaluate, train
from liverimg.core.errors import ExitCode, LiverimgError

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


@app.command(epilog=_EXIT_CODES)
def pre(
    study: StudyArgument,
    out: OutOption,
    clinical: ClinicalOption = None,
    own_criteria: CriteriaOption = None,
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
    use: UseOption = None,
    earlier: EarlierOption = None,
    transducer: TransducerOption = None,
    transducers_file: TransducersOption = None,
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the model runs.")] = "auto",
    redo: Annotated[
        str | None,
        typer.Option("--redo", metavar="STAGE", help="Run a stage again; discards corrections made to its outputs."),
    ] = None,
) -> None:
    """Assess a study before ablation: volumes, labels, measurements, suitability and a report."""
    from liverimg.pipeline.recipe import load_recipe
    from liverimg.pipeline.runner import run

    read.check_drawing(model=model, labels=labels, device=device)
    read.keep_apart(study, out)
    steps = (
        load_recipe(recipe)
        .with_settings("ingest", study=study, phases=read.phases(phase), use=read.roles(use), labels=labels)
        .with_settings("segment", labels=labels, model=read.model(model), device=device)
        .with_settings("measure", earlier=read.earlier(earlier), transducer=transducer, transducers=transducers_file)
        .with_settings("assess", clinical=read.clinical(clinical), own=own_criteria)
        .with_settings("publish", study=study)
    )
    with _reporter() as reporter:
        outcomes = run(steps, out, redo=redo, reporter=reporter)
    _say_done(outcomes, out)


@app.command(epilog=_EXIT_CODES)
def ingest(
    study: StudyArgument,
    out: OutOption,
    phase: PhaseOption = None,
    use: UseOption = None,
    contrast_start: ContrastStartOption = None,
    pane: PaneOption = None,
) -> None:
    """Turn a study folder into volumes (NIfTI, CT in HU), ultrasound cines and study.json; needs no model."""
    from liverimg.pipeline.recipe import load_recipe
    from liverimg.pipeline.runner import run

    read.keep_apart(study, out)
    steps = load_recipe("pre_ablation", only=["ingest"]).with_settings(
        "ingest",
        study=study,
        phases=read.phases(phase),
        use=read.roles(use),
        contrast_starts=read.contrast_starts(contrast_start),
        panes=read.panes(pane),
        with_volume=False,
    )
    with _reporter() as reporter:
        outcomes = run(steps, out, reporter=reporter, remember=False)
    _say_done(outcomes, out)


@app.command(epilog=_EXIT_CODES)
def measure(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of an earlier run.")],
    clinical: ClinicalOption = None,
    own_criteria: CriteriaOption = None,
    earlier: EarlierOption = None,
) -> None:
    """Measure, assess and report again, after a label was corrected by hand."""
    from liverimg.pipeline.runner import measure_again

    kept = read.earlier(earlier)
    with _reporter() as reporter:
        outcomes = measure_again(
            out, clinical=read.clinical(clinical), criteria=own_criteria, earlier=kept, reporter=reporter
        )
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


app.command(epilog=_EXIT_CODES)(ceus)
app.command(epilog=_EXIT_CODES)(listen)
app.add_typer(pacs)
app.command(epilog=_EXIT_CODES)(post)
app.command(epilog=_EXIT_CODES)(timeline)
app.command(epilog=_EXIT_CODES)(publish)
app.command(epilog=_EXIT_CODES)(validate)
app.command(epilog=_EXIT_CODES)(criteria)
app.command(epilog=_EXIT_CODES)(transducers)
app.command(epilog=_EXIT_CODES)(export)
app.command(epilog=_EXIT_CODES)(inspect)
app.command(epilog=_EXIT_CODES)(deidentify)
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
