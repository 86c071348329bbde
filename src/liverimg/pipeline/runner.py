"""Takes a workspace through a recipe: skips what is fresh, keeps what a person corrected, redoes the rest."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import liverimg
from liverimg.core.errors import NeedsPersonError, UsageError
from liverimg.pipeline.journal import Span, journal, reduced
from liverimg.pipeline.recipe import Recipe, Step, recipe_from_record, stage_named
from liverimg.stages.stage import Progress, Stage, settings_record, stage_key
from liverimg.workspace import Artefact, Provenance, Workspace

_RECIPE = "recipe"
_LOG = "log.txt"


class State(StrEnum):
    """What became of a stage in this run."""

    DONE = "done"
    FRESH = "fresh"
    EDITED = "edited"


@dataclass(frozen=True)
class Outcome:
    """What became of one stage.

    Attributes:
        stage: Its name.
        state: Done now, fresh from before, or kept as a person edited it.
        seconds: How long it took.
        note: What the user should be told, or empty.
    """

    stage: str
    state: State
    seconds: float
    note: str = ""


class Reporter(Protocol):
    """Told what happens while a recipe runs; the command line draws bars from it."""

    def stage_started(self, stage: str) -> Progress:
        """Called before a stage does any work; the result is told how far it is."""

    def stage_ended(self, outcome: Outcome) -> None:
        """Called when a stage is through."""


class SilentReporter:
    """Reports to nobody."""

    def stage_started(self, stage: str) -> Progress:  # noqa: ARG002
        """A progress that goes nowhere."""
        return lambda fraction: None  # noqa: ARG005

    def stage_ended(self, outcome: Outcome) -> None:
        """Nothing."""


def run(
    recipe: Recipe,
    out: Path,
    *,
    redo: str | None = None,
    reporter: Reporter | None = None,
    remember: bool = True,
) -> list[Outcome]:
    """Runs a recipe on one study's output folder.

    Args:
        recipe: What to do.
        out: The output folder; made when absent.
        redo: A stage to run again although it is fresh; discards corrections made by hand to its outputs.
        reporter: Whom to tell.
        remember: Whether this is the recipe that :func:`measure_again` should follow later.

    Returns:
        One outcome per stage.

    Raises:
        LiverimgError: One sentence for the user; everything finished before it is kept.
    """
    reporter = reporter or SilentReporter()
    names = [step.stage.name for step in recipe.steps]
    if redo is not None and redo not in names:
        raise UsageError(f"--redo {redo!r}: the recipe {recipe.name} has no such stage; it has: {', '.join(names)}")
    settings = [step.resolved() for step in recipe.steps]
    workspace = Workspace(out)
    outcomes = []
    given = _given_paths(out, settings)
    with workspace.locked(), journal(out / _LOG, hide=given), Span("run", hide=given, recipe=recipe.name, stages=names):
        for step, own_settings in zip(recipe.steps, settings, strict=True):
            with Span("stage", hide=given, stage=step.stage.name) as span:
                outcome = _run_step(workspace, step, own_settings, redo=redo == step.stage.name, reporter=reporter)
                span.add(state=outcome.state.value, **({"note": reduced(outcome.note)} if outcome.note else {}))
            outcomes.append(outcome)
            reporter.stage_ended(outcome)
            if remember:
                workspace.remember(_RECIPE, recipe.to_record())
    return outcomes


def measure_again(
    out: Path,
    *,
    clinical: Mapping[str, Any] | None = None,
    criteria: Sequence[Path] | None = None,
    earlier: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
) -> list[Outcome]:
    """Runs what follows the segmentation once more, after a correction by hand or with other clinical data.

    Args:
        out: The output folder of an earlier run.
        clinical: Clinical items that replace the earlier ones; None keeps those.
        criteria: Tables of the user's own that replace the earlier ones; None keeps those.
        earlier: What is kept of an earlier study (:func:`liverimg.stages.earlier.read_earlier`); None keeps the last.
        reporter: Whom to tell.

    Raises:
        UsageError: The folder holds no earlier run that got as far as labels, or its labels belong to other
            volumes than those that lie there now.
    """
    record = Workspace(out).recall(_RECIPE) if out.is_dir() else None
    if record is None or not Workspace(out).path(Artefact.LABELS).is_file():
        raise UsageError(f"{out} holds no labels to measure; run 'liverimg pre STUDY --out {out}' first")
    _refuse_unfinished(Workspace(out))
    recipe = recipe_from_record(record).only("measure", "assess", "report")
    recipe = recipe.with_settings("assess", clinical=clinical, own=criteria).with_settings("measure", earlier=earlier)
    return run(recipe, out, reporter=reporter, remember=False)


def _refuse_unfinished(workspace: Workspace) -> None:
    """Refuses labels and volumes that do not belong together: a run was cut off between the two."""
    ingest, segment = (stage_named(name) for name in ("ingest", "segment"))
    for stage in (ingest, segment):
        provenance = workspace.provenance(stage.name)
        fixed = [a for a in stage.writes if a not in stage.editable]
        if provenance is None or any(provenance.writes.get(a.value) != workspace.hash_of(a) for a in fixed):
            raise UsageError(
                f"the results of the stage {stage.name} in {workspace.folder} are not whole; run 'liverimg pre' again"
            )
        drawn_from = [a for a in stage.reads if provenance.reads.get(a.value) != workspace.hash_of(a)]
        if drawn_from and not any(workspace.is_edited(a, by=stage.name) for a in stage.editable):
            raise UsageError(
                f"{_names(drawn_from)} changed after the labels were drawn; run 'liverimg pre' again, not 'measure'"
            )


def _run_step(workspace: Workspace, step: Step, settings: object, *, redo: bool, reporter: Reporter) -> Outcome:
    stage = step.stage
    started = time.monotonic()
    reads = {a.value: workspace.hash_of(a) for a in stage.reads}
    missing = [name for name, value in reads.items() if value is None]
    if missing:
        raise UsageError(
            f"the stage {stage.name} needs {missing[0]}, which is not in {workspace.folder}; run the whole recipe first"
        )
    reads |= {a.value: found for a in stage.reads_if_there if (found := workspace.hash_of(a)) is not None}
    depends_on = dict(stage.depends_on(settings))
    key = stage_key(stage, settings, reads=reads, depends_on=depends_on)
    state, note = _state(workspace, stage, key, redo=redo)
    if state is None:
        progress = reporter.stage_started(stage.name)
        with workspace.draft(stage.name) as draft:
            stage.run(workspace, draft, settings, progress)
            provenance = Provenance(
                stage=stage.name,
                version=stage.version,
                key=key,
                reads={name: value or "" for name, value in reads.items()},
                writes={},
                depends_on=depends_on,
                settings=settings_record(settings),
                software={"liverimg": liverimg.__version__, "python": platform.python_version()},
                details={"seconds": round(time.monotonic() - started, 2)},
            )
            draft.commit(provenance)
        state = State.DONE
    return Outcome(stage.name, state, time.monotonic() - started, note)


def _state(workspace: Workspace, stage: Stage, key: str, *, redo: bool) -> tuple[State | None, str]:
    """Whether the stage may be left as it is, and what to say about it; None when it must run."""
    provenance = workspace.provenance(stage.name)
    if provenance is None:
        strange = [a for a in stage.editable if not workspace.is_accounted_for(a, by=stage.name)]
        if strange and not redo:
            raise NeedsPersonError(
                f"nothing says who made {_names(strange)}, which may be a correction by hand; copy it elsewhere if "
                f"it is worth keeping, then make it again with --redo {stage.name}"
            )
        return None, f"{_names(strange)} of unknown origin was discarded" if strange else ""
    changed = [a for a in stage.writes if workspace.hash_of(a) != provenance.writes.get(a.value)]
    edited = [a for a in changed if a in stage.editable and workspace.hash_of(a) is not None]
    if redo:
        return None, f"the corrections made by hand to {_names(edited)} were discarded" if edited else ""
    if edited:
        # The correction stands, but it was made to something else than this run would have drawn.
        since = "" if provenance.key == key else ", although what it was drawn from or with has changed since"
        return State.EDITED, (
            f"{_names(edited)} was corrected by hand and is kept{since}; --redo {stage.name} discards the correction"
        )
    if changed:
        return None, f"{_names(changed)} was changed or removed since and has been made again"
    return (State.FRESH, "") if provenance.key == key else (None, "")


def _names(artefacts: list[Artefact]) -> str:
    return " and ".join(a.value for a in artefacts)


def _given_paths(out: Path, settings: Sequence[Any]) -> list[str]:
    """The paths that somebody gave, which may hold a name: no log tells them."""
    given = [out]
    for one in settings:
        values = (getattr(one, field.name) for field in fields(one))
        given += [value for value in values if isinstance(value, Path)]
    return [text for path in given for text in {str(path), str(path.resolve()), path.name}]
