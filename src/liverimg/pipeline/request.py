"""One study as it is asked for, by whatever door: which recipe, and which options go to which stage.

The command line, the Python interface and the listener all end here, so an option means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liverimg.core.errors import UsageError
from liverimg.pipeline import options as read
from liverimg.pipeline.recipe import Recipe, load_recipe
from liverimg.pipeline.runner import Outcome, Reporter, run


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        study: Folder with the DICOM files of one study.
        out: Folder for the results.
        recipe: Name of one that is built in, or a TOML file.
        options: Those of ``OPTIONS`` that were given, by name; None counts as not given.
        redo: A stage to run again although it is fresh.
        only: Cut the recipe down to these stages; empty for all.
    """

    study: Path
    out: Path
    recipe: str | Path = "pre_ablation"
    options: Mapping[str, Any] = field(default_factory=dict)
    redo: str | None = None
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Option:
    """Where an option goes.

    Attributes:
        stages: That take it; a recipe without any of them refuses the option.
        setting: What the stages call it.
        read: From what was given to what the stages take.
        also: Stages that get it too when they are there.
    """

    stages: tuple[str, ...]
    setting: str
    read: Callable[[Any], Any] = lambda given: given
    also: tuple[str, ...] = ()


OPTIONS: Mapping[str, _Option] = {
    "labels": _Option(("segment",), "labels", read.path, also=("ingest",)),
    "model": _Option(("segment",), "model", read.model),
    "device": _Option(("segment",), "device", also=("zones",)),
    "phase": _Option(("ingest",), "phases", read.phases),
    "use": _Option(("ingest",), "use", read.roles),
    "contrast_start": _Option(("ingest",), "contrast_starts", read.contrast_starts),
    "pane": _Option(("ingest",), "panes", read.panes),
    "with_volume": _Option(("ingest",), "with_volume"),
    "earlier": _Option(("measure",), "earlier", read.earlier),
    "transducer": _Option(("measure",), "transducer"),
    "transducers": _Option(("measure",), "transducers", read.path),
    "clinical": _Option(("assess",), "clinical", read.clinical),
    "criteria": _Option(("assess",), "own", read.own_criteria),
    "baseline": _Option(("register", "zones", "response", "response_report", "ceus"), "baseline", read.path),
    "zones_by": _Option(("zones",), "by"),
    "treated_on": _Option(("response",), "treatments", read.treatments),
    "target": _Option(("ceus",), "target"),
    "plane": _Option(("ceus",), "planes", read.planes),
    "dynamic_range": _Option(("ceus",), "dynamic_range_db"),
}
_ANY_DEVICE = "auto"


def run_request(request: Request, *, reporter: Reporter | None = None) -> list[Outcome]:
    """Runs the recipe on the study.

    Raises:
        UsageError: Options that contradict each other, or that the recipe has no use for.
        LiverimgError: What a stage refuses.
    """
    given = {name: value for name, value in request.options.items() if value is not None}
    _check(request, given)
    steps = load_recipe(request.recipe, only=request.only or None)
    steps = _configured(steps, request, given)
    _check_baseline(steps, given)
    # Only what 'measure' can take up again is worth remembering.
    remember = "measure" in _stages(steps)
    return run(steps, request.out, redo=request.redo, reporter=reporter, remember=remember)


def _check(request: Request, given: Mapping[str, Any]) -> None:
    """Refuses what no recipe could do."""
    unknown = sorted(set(given) - set(OPTIONS))
    if unknown:
        raise UsageError(f"there is no option {unknown[0]!r}; expected one of: {', '.join(OPTIONS)}")
    read.check_drawing(model=given.get("model"), labels=given.get("labels"), device=given.get("device", _ANY_DEVICE))
    read.keep_apart(request.study, request.out)
    baseline = read.path(given.get("baseline"))
    if "target" in given and baseline is None:
        raise UsageError("--target names a lesion of the baseline; give --baseline too")
    if baseline is not None and baseline.resolve() == request.out.resolve():
        raise UsageError("--baseline and --out are the same folder; give each study a folder of its own")


def _configured(steps: Recipe, request: Request, given: Mapping[str, Any]) -> Recipe:
    """The recipe with every option where it belongs."""
    there = _stages(steps)
    for name, value in given.items():
        option = OPTIONS[name]
        if not there.intersection(option.stages):
            if name == "device":
                continue  # where nothing is drawn, any will do
            raise UsageError(
                f"the recipe {steps.name} has no use for --{name.replace('_', '-')}: it has no stage "
                f"{' or '.join(option.stages)}; leave the option out, or choose another recipe"
            )
        found = option.read(value)
        for stage in (*option.stages, *option.also):
            steps = steps.with_settings(stage, **{option.setting: found})
    for stage in ("ingest", "publish"):
        steps = steps.with_settings(stage, study=request.study)
    return steps


def _check_baseline(steps: Recipe, given: Mapping[str, Any]) -> None:
    """Refuses, before any work is done, a recipe for a study after treatment without the one before."""
    if "register" not in _stages(steps):
        return
    from liverimg.stages.baseline import check_finished

    baseline = read.path(given.get("baseline"))
    if baseline is None:
        raise UsageError(
            f"the recipe {steps.name} holds a study against the one before treatment; give --baseline PRE_OUT, the "
            "output folder of a finished 'liverimg pre'"
        )
    check_finished(baseline)


def _stages(steps: Recipe) -> set[str]:
    return {step.stage.name for step in steps.steps}
