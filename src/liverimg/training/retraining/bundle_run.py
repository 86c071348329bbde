"""What a bundle's ``train.json`` and ``evaluate.json`` call, for ``python -m monai.bundle run``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch

from liverimg.core.errors import LiverimgError, UsageError
from liverimg.segmentation.bundle import resolved_device
from liverimg.training.learning.fit import run as fit_synthetic
from liverimg.training.learning.passes import read_pass
from liverimg.training.learning.steps import FitSettings, Moment
from liverimg.training.retraining import request
from liverimg.training.retraining.plan import PASSES
from liverimg.training.retraining.retrain import retrain
from liverimg.training.scoring import evaluation
from liverimg.training.synthesis.dataset import stored_maps

_Number = TypeVar("_Number", int, float)
_REPORT_EVERY = 50
_STEPS = 20000
_NOTHING = (None, "null", "None", "")


class Lines:
    """Says on standard error how it goes, a line now and then."""

    def stage(self, title: str) -> Callable[[float], None]:
        """Says that something begins."""
        self.note(title)
        return lambda _: None

    def moment(self, title: str) -> Callable[[Moment], None]:
        """Says the loss every fifty steps."""

        def show(now: Moment) -> None:
            if now.step % _REPORT_EVERY == 0:
                self.note(f"{title}: step {now.step}, loss {now.loss:.3f}, {now.fraction:.0%} done")

        return show

    def note(self, sentence: str) -> None:
        """Says a sentence."""
        sys.stderr.write(f"{sentence}\n")


def train(**options: Any) -> None:
    """Trains on labelled cases where ``data`` is given, else on made images alone; ends with one sentence on error.

    Args:
        **options: The values of ``train.json``.
    """
    _ending_in_a_sentence(_train, options)


def evaluate(**options: Any) -> None:
    """Scores the bundle; ends with one sentence on error.

    Args:
        **options: The values of ``evaluate.json``.
    """
    _ending_in_a_sentence(_evaluate, options)


def _ending_in_a_sentence(work: Callable[[Mapping[str, Any]], None], options: Mapping[str, Any]) -> None:
    try:
        # MONAI's command line hands null over as a word.
        work({name: None if value in _NOTHING else value for name, value in options.items()})
    except LiverimgError as error:
        sys.stderr.write(f"liverimg: {error}\n")
        raise SystemExit(int(error.exit_code)) from error


def _train(options: Mapping[str, Any]) -> None:
    wanted = str(options.get("pass_name", "both"))
    passes = PASSES if wanted == "both" else (wanted,)
    if options.get("data") is None:
        _train_on_made_images(options, passes)
        return
    retrain(
        request.Request(
            data=Path(options["data"]),
            out=Path(options["out"]),
            start=_path(options, "bundle_root"),
            fresh=bool(options.get("fresh", False)),
            passes=passes,
            steps=_number(options, "steps", int),
            minutes=_number(options, "minutes", float),
            names=_path(options, "names"),
            split=_path(options, "split"),
            settings=_path(options, "settings"),
            work=_path(options, "work"),
            device=str(options.get("device", "auto")),
            workers=int(options.get("workers", 1)),
            seed=int(options.get("seed", 2026)),
            synthetic=_path(options, "synthetic"),
            synthetic_share=float(options.get("synthetic_share", 0.3)),
        ),
        Lines(),
    )


def _train_on_made_images(options: Mapping[str, Any], passes: tuple[str, ...]) -> None:
    out, root, folder = Path(options["out"]), Path(options["bundle_root"]), _path(options, "maps")
    if folder is None or not folder.is_dir():
        raise UsageError(
            f"there is nothing to learn from: give --data FOLDER with labelled cases, or --maps FOLDER with training "
            f"maps (found no folder {folder}; python -m liverimg.training.anatomy.maps makes them)"
        )
    out.mkdir(parents=True, exist_ok=True)
    minutes = _number(options, "minutes", float)
    settings = FitSettings(
        steps=_number(options, "steps", int) or _STEPS,
        minutes=None if minutes is None else minutes / len(passes),
        seed=int(options.get("seed", 2026)),
        workers=int(options.get("workers", 1)),
    )
    device: torch.device = resolved_device(str(options.get("device", "auto")))
    lines = Lines()
    for name in passes:
        training = read_pass(root, name)
        own = folder / name if (folder / name).is_dir() else folder
        maps = stored_maps(own, "train", training.map_spacing_mm)
        if not maps:
            raise UsageError(
                f"{own} holds no training maps (train-*.npz); make them with python -m liverimg.training.anatomy.maps"
            )
        fit_synthetic(training, maps, out, settings, device, watch=lines.moment(name))


def _evaluate(options: Mapping[str, Any]) -> None:
    lines = Lines()
    found = evaluation.evaluate(
        evaluation.Request(
            bundle=Path(options["bundle_root"]),
            out=Path(options["out"]),
            data=_path(options, "data"),
            against=_path(options, "against"),
            cases=_number(options, "cases", int),
            names=_path(options, "names"),
            split=_path(options, "split"),
            device=str(options.get("device", "auto")),
            maps=_path(options, "maps"),
            fine=_path(options, "fine"),
            phantoms=0 if options.get("data") or options.get("maps") else int(options.get("phantoms") or 0),
        ),
        tell=lines.stage("Scoring"),
        note=lines.note,
    )
    liver = found.summaries[0]["liver_with_contents_dice"]
    lines.note(f"liver with contents: Dice {liver}; all scores: {options['out']}")


def _number(options: Mapping[str, Any], name: str, kind: Callable[[Any], _Number]) -> _Number | None:
    value = options.get(name)
    try:
        return None if value is None else kind(value)
    except (TypeError, ValueError):
        raise UsageError(f"{name} is {value!r}; expected a number, or null") from None


def _path(options: Mapping[str, Any], name: str) -> Path | None:
    value = options.get(name)
    return None if value is None else Path(str(value))
