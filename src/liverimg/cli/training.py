"""The commands for those who train models: ``liverimg train`` and ``liverimg evaluate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from liverimg.cli.answer import Answer
from liverimg.core.errors import UsageError

DeviceOption = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the networks run.")]
NamesOption = Annotated[
    Path | None, typer.Option("--names", metavar="FILE.toml", help="What the names of labels and channels mean.")
]
SplitOption = Annotated[
    Path | None,
    typer.Option(
        "--split", metavar="FILE.json", help='{"train": [...], "val": [...]}, or nnU-Net\'s splits_final.json.'
    ),
]
_PASSES = {"both": ("coarse", "fine"), "coarse": ("coarse",), "fine": ("fine",)}


def train(
    data: Annotated[Path, typer.Option("--data", metavar="FOLDER", help="Data set in the MSD or nnU-Net v2 layout.")],
    out: Annotated[Path, typer.Option("--out", metavar="NEW_MODEL", help="Folder for the new model, not there yet.")],
    start: Annotated[
        Path | None, typer.Option("--from", metavar="MODEL", help="Go on from this model; else from chance.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Take only the plan of --from, not its weights.")] = False,
    passes: Annotated[str, typer.Option("--pass", metavar="coarse|fine|both", help="Which networks.")] = "both",
    steps: Annotated[int | None, typer.Option("--steps", help="Steps of each network.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="Time for all networks together.")] = None,
    names: NamesOption = None,
    split: SplitOption = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", metavar="FILE.toml", help="Like pipelines/retrain.toml, changed.")
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(
            "--work", metavar="FOLDER", help="For checkpoints and prepared images; NEW_MODEL.work if not given."
        ),
    ] = None,
    device: DeviceOption = "auto",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that prepare examples.")] = 1,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of the split, the examples and the first weights.")
    ] = 2026,
    synthetic: Annotated[
        Path | None, typer.Option("--synthetic", metavar="MAPS", help="Mix in made images from these training maps.")
    ] = None,
    synthetic_share: Annotated[
        float, typer.Option("--synthetic-share", help="Of the examples, when there are maps.")
    ] = 0.3,
) -> Answer:
    """Retrain a model on labelled cases of your own; a run that was stopped goes on when the command is repeated."""
    from liverimg.terminal.training import TrainingWatcher, show_trained
    from liverimg.training.retraining.request import Request
    from liverimg.training.retraining.retrain import retrain

    if passes not in _PASSES:
        raise UsageError(f"--pass {passes!r}: expected coarse, fine or both")
    request = Request(
        data=data,
        out=out,
        start=start,
        fresh=fresh,
        passes=_PASSES[passes],
        steps=steps,
        minutes=minutes,
        names=names,
        split=split,
        settings=settings,
        work=work,
        device=device,
        workers=workers,
        seed=seed,
        synthetic=synthetic,
        synthetic_share=synthetic_share,
    )
    with TrainingWatcher() as watcher:
        scores = retrain(request, watcher)
    return Answer(
        lambda: {"model": str(out), "scores": scores},
        lambda: show_trained(scores, out),
    )


def evaluate(
    bundle: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of the model.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE.json", help="For the scores.")],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="Labelled cases in the MSD or nnU-Net v2 layout.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="OTHER_MODEL", help="Score this model beside it and compare.")
    ] = None,
    cases: Annotated[int | None, typer.Option("--cases", help="At most so many cases.")] = None,
    names: NamesOption = None,
    split: SplitOption = None,
    device: DeviceOption = "auto",
    record: Annotated[bool, typer.Option("--record", help="Write the scores into the model's contract.")] = False,
    promote: Annotated[
        Path | None,
        typer.Option(
            "--promote", metavar="RECIPE.toml", help="Make it the recipe's model if no measurement gets worse."
        ),
    ] = None,
    maps: Annotated[
        Path | None, typer.Option("--maps", metavar="FOLDER", help="Made images instead of data: body maps, val-*.npz.")
    ] = None,
    fine: Annotated[
        Path | None, typer.Option("--fine", metavar="FOLDER", help="Fine maps that belong to --maps.")
    ] = None,
    phantoms: Annotated[int, typer.Option("--phantoms", min=0, help="Analytic phantoms instead of data.")] = 0,
) -> Answer:
    """Score a model on labelled cases: overlap, surfaces, lesions, and the error of the measurements that follow."""
    from liverimg.terminal.training import TrainingWatcher, show_scores
    from liverimg.training.scoring.evaluation import Request, refuse_unless_passed
    from liverimg.training.scoring.evaluation import evaluate as run

    request = Request(
        bundle=bundle,
        out=out,
        data=data,
        against=against,
        cases=cases,
        names=names,
        split=split,
        device=device,
        record=record,
        promote=promote,
        maps=maps,
        fine=fine,
        phantoms=phantoms,
    )
    with TrainingWatcher() as watcher:
        found = run(request, tell=watcher.stage("Scoring"), note=watcher.note)

    def show() -> None:
        show_scores(found.record)
        sys.stdout.write(f"{out}\n")

    def settle() -> None:
        if promote is not None:
            refuse_unless_passed(found, promote)

    return Answer(lambda: found.record, show, last=settle)
