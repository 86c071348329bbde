"""Retraining on one's own data: from a folder of labelled cases to a whole, evaluated bundle."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from liverimg.core.errors import RecordInvalidError, UsageError
from liverimg.files.bundled import bundled_folder
from liverimg.files.tables import read_table
from liverimg.segmentation.bundle import resolved_device
from liverimg.training.data.augment import Augmentation
from liverimg.training.data.layouts import DataSet, Source, read_dataset
from liverimg.training.data.names import NameTable
from liverimg.training.data.prepared import prepare
from liverimg.training.data.real_stream import Examples, MixedExamples, NumberedStream, RealExamples
from liverimg.training.data.splits import Split, split_for
from liverimg.training.learning.contract import record_validation
from liverimg.training.learning.curves import curves
from liverimg.training.learning.fit import class_weights_of, either_vein, synthetic_stream
from liverimg.training.learning.fit_state import FitState, borrow_weights, load_state, save_state, save_weights
from liverimg.training.learning.passes import network_for
from liverimg.training.learning.steps import FitSettings, Hidden, Moment, fit, new_state
from liverimg.training.retraining.new_bundle import Made, assemble, write_card
from liverimg.training.retraining.plan import PassPlan, check_passes, plan_pass, read_template
from liverimg.training.retraining.request import Request, check, read_settings
from liverimg.training.retraining.run_folder import claim
from liverimg.training.scoring.evaluation import score_sources
from liverimg.training.scoring.score import summary
from liverimg.training.synthesis.dataset import stored_maps
from liverimg.workspace import hash_file, hash_tree


class Watcher(Protocol):
    """Whoever wants to see how it goes."""

    def stage(self, title: str) -> Callable[[float], None]:
        """Something begins; returns what is told the fraction done."""
        ...

    def moment(self, title: str) -> Callable[[Moment], None]:
        """A pass begins to learn; returns what is told every step."""
        ...

    def note(self, sentence: str) -> None:
        """Something that the user should know."""
        ...


def retrain(request: Request, watcher: Watcher) -> dict[str, Any] | None:
    """Trains, assembles and evaluates a new bundle; a run that was stopped goes on where it was.

    Returns:
        The scores on the validation cases; None when there are none, and the bundle is not evaluated.

    Raises:
        UsageError: The request contradicts itself, or the output is there already.
        InputRefusedError: The data can't be learned from.
        ModelRefusedError: ``start`` is no model that training can go on from.
    """
    check(request)
    device = resolved_device(request.device)
    settings = read_settings(request.settings)
    names = NameTable.built_in() if request.names is None else NameTable.built_in().with_file(request.names)
    goes_on = request.start is not None and not request.fresh
    template = read_template(request.start or bundled_folder("models") / "liver_ct", weights_used=goes_on)
    check_passes(request.passes, template)
    dataset = read_dataset(request.data, names)
    plans = [
        plan_pass(name, template, dataset, names, synthetic=request.synthetic is not None) for name in request.passes
    ]
    share = float(settings["split"]["validation_share"])
    cases = [source.name for source in dataset.sources]
    split = split_for(request.data, cases, names, given=request.split, share=share, seed=request.seed)
    work = request.work or request.out.with_name(request.out.name + ".work")
    claim(work, _identity(request, dataset, split))
    (work / "split.json").write_text(split.to_text(), encoding="utf-8")
    run = _Run(request, dataset, split, settings, work, device, watcher)
    ends = {plan.training.name: run.train(plan) for plan in plans}
    made = Made(
        name=request.out.name,
        steps={name: end.step for name, end in ends.items()},
        seconds={name: end.seconds for name, end in ends.items()},
        seed=request.seed,
        synthetic_share=request.synthetic_share if request.synthetic else 0.0,
        images_sha256=[hash_file(path) for source in run.sources(split.train) for path in source.images],
    )
    part = request.out.with_name(request.out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    assemble(part, template, plans, work, dataset, made)
    scores = None
    if split.validation:
        told = watcher.stage("Evaluating on the validation cases")
        scored = score_sources([part], dataset, run.sources(split.validation), names, device=request.device, tell=told)
        scores = summary(scored[0])
        record_validation(part, scores)
    else:
        watcher.note(f"no case was kept for validation: evaluate {request.out.name} before a recipe can use it")
    write_card(part, plans, split, made, scores)
    part.replace(request.out)
    return scores


def _identity(request: Request, dataset: DataSet, split: Split) -> dict[str, Any]:
    """What must not change when a run goes on; steps, minutes, workers and the device may."""
    return {
        "data set": dataset.name,
        "labels": {str(value): name for value, name in dataset.label_names.items()},
        "split": {"train": list(split.train), "val": list(split.validation)},
        "passes": list(request.passes),
        "start": hash_tree(request.start) if request.start else None,
        "fresh": request.fresh,
        "seed": request.seed,
        "synthetic share": request.synthetic_share if request.synthetic else 0.0,
        "names": hash_file(request.names) if request.names else None,
        "settings": hash_file(request.settings) if request.settings else None,
    }


@dataclass(frozen=True, eq=False)
class _Run:
    """One run's means."""

    request: Request
    dataset: DataSet
    split: Split
    settings: Mapping[str, Any]
    work: Path
    device: torch.device
    watcher: Watcher

    def sources(self, cases: Sequence[str]) -> list[Source]:
        """Files of the named cases."""
        return [self.dataset.source(name) for name in cases]

    def train(self, plan: PassPlan) -> FitState:
        """Trains one pass from where it is; leaves ``<pass>.safetensors`` in the working folder."""
        name = plan.training.name
        settings = self._fit_settings(name)
        torch.manual_seed(settings.seed)
        network = network_for(plan.training).to(self.device)
        if plan.start is not None:
            borrow_weights(network, plan.start)
        before = None
        if plan.start is not None and any(plan.targets.hidden.values()):
            before = deepcopy(network).eval().requires_grad_(False)
        state = new_state(network, settings)
        checkpoint = self.work / f"{name}.checkpoint"
        if checkpoint.exists():
            load_state(state, checkpoint)
            self.watcher.note(f"{name}: goes on from step {state.step}")
        start = state.step * settings.examples_per_step
        stream = NumberedStream(self._examples(plan), start=start)

        def on_save(now: FitState) -> None:
            save_state(now, checkpoint)
            save_weights(now.average, self.work / f"{name}.safetensors")

        shown = self.watcher.moment(name)
        with curves(self.work / "curves" / name) as write:

            def watch(moment: Moment) -> None:
                shown(moment)
                if write is not None:
                    write(moment)

            fit(
                state,
                stream,
                settings,
                class_weights=class_weights_of(plan.training),
                either=either_vein(plan.training),
                choices=plan.targets.choices,
                hidden=Hidden(plan.targets.hidden, before),
                device=self.device,
                on_save=on_save,
                watch=watch,
            )
        return state

    def _examples(self, plan: PassPlan) -> Examples:
        name = plan.training.name
        low, high = read_table("dataset_names")["plausible"]["liver_median_hu"]
        cases = prepare(
            self.dataset,
            self.sources(self.split.train),
            plan.preparation,
            self.work / "cache",
            liver_median_hu=(float(low), float(high)),
            progress=self.watcher.stage(f"Preparing cases for the {name} pass"),
        )
        liver = [v for v, m in self.dataset.labels.items() if m.structures and m.structures[0].value == "liver"]
        real = RealExamples(
            cases=cases,
            targets=plan.targets,
            main_values=tuple(liver),
            patch=plan.patch,
            spacing_mm=plan.preparation.spacing_mm,
            inputs=len(plan.training.inputs),
            how=Augmentation.from_table(self.settings["augment"]),
            seed=self.request.seed,
        )
        if self.request.synthetic is None:
            return real
        folder = self.request.synthetic / name
        maps = stored_maps(folder if folder.is_dir() else self.request.synthetic, "train", plan.training.map_spacing_mm)
        if not maps:
            raise UsageError(
                f"{self.request.synthetic} holds no training maps (train-*.npz) for the {name} pass; make them with "
                "python -m liverimg.training.anatomy.maps"
            )
        made = synthetic_stream(
            plan.training,
            maps,
            seed=self.request.seed,
            start=0,
            patch=plan.patch,
            spacing_mm=plan.preparation.spacing_mm,
        )
        return MixedExamples(real, made, self.request.synthetic_share, self.request.seed)

    def _fit_settings(self, name: str) -> FitSettings:
        table = dict(self.settings["fit"])
        steps, shares = table.pop("steps"), table.pop("minutes_share")
        minutes = self.request.minutes
        if minutes is not None and len(self.request.passes) > 1:
            minutes *= float(shares[name]) / sum(float(shares[p]) for p in self.request.passes)
        asked = self.request.steps
        # With a time limit alone the clock ends the run, however many steps fit in.
        endless = 10**9 if minutes is not None and asked is None else int(steps[name])
        try:
            settings = FitSettings(steps=asked or endless, minutes=minutes, **table)
        except TypeError as error:
            raise RecordInvalidError(f"[fit] of the training settings can't be used: {error}") from error
        return replace(settings, seed=self.request.seed, workers=self.request.workers)
