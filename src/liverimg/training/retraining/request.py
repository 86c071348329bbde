"""What ``liverimg train`` is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverimg.core.errors import RecordInvalidError, UsageError
from liverimg.files.bundled import bundled_folder
from liverimg.files.tables import read_toml
from liverimg.training.retraining.plan import PASSES


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        data: Folder of the data set.
        out: Folder of the new bundle, not there yet.
        start: Bundle to go on from; None begins from chance with the plan of the built-in CT model.
        fresh: Take the networks' plan from ``start``, and begin from chance.
        passes: Which networks.
        steps: Of each pass; None as the settings say.
        minutes: Of all passes together; None for no limit.
        names: TOML file with the meaning of names.
        split: JSON file with the split.
        settings: TOML file like ``pipelines/retrain.toml``; None for that one.
        work: Working folder; None for ``<out>.work``.
        device: ``auto``, ``cpu`` or ``cuda``.
        workers: Processes that make examples.
        seed: Of all chance.
        synthetic: Folder of training maps; None for real images only.
        synthetic_share: Of the examples, when there are maps.
    """

    data: Path
    out: Path
    start: Path | None = None
    fresh: bool = False
    passes: tuple[str, ...] = PASSES
    steps: int | None = None
    minutes: float | None = None
    names: Path | None = None
    split: Path | None = None
    settings: Path | None = None
    work: Path | None = None
    device: str = "auto"
    workers: int = 1
    seed: int = 2026
    synthetic: Path | None = None
    synthetic_share: float = 0.3


def check(request: Request) -> None:
    """Refuses a request that contradicts itself.

    Raises:
        UsageError: It does, or the output is there already.
    """
    if request.out.exists() and (not request.out.is_dir() or any(request.out.iterdir())):
        raise UsageError(f"{request.out} exists already; give --out the name of a new folder")
    if request.out.resolve().is_relative_to(request.data.resolve()):
        raise UsageError(f"--out {request.out} lies inside the data set; choose another place")
    unknown = sorted(set(request.passes) - set(PASSES))
    if unknown or not request.passes:
        raise UsageError(f"there is no pass {unknown}; expected coarse, fine or both")
    if request.fresh and request.start is None:
        raise UsageError("--fresh says to take only the plan of a model; name it with --from")
    if not 0 <= request.synthetic_share < 1:
        raise UsageError(f"--synthetic-share {request.synthetic_share} is not within 0 to below 1")
    if (request.steps is not None and request.steps < 1) or (request.minutes is not None and request.minutes <= 0):
        raise UsageError("--steps and --minutes are above 0")


def read_settings(path: Path | None) -> Mapping[str, Any]:
    """``pipelines/retrain.toml`` or the user's own.

    Raises:
        RecordInvalidError: A table or a setting is missing.
    """
    path = path or bundled_folder("pipelines") / "retrain.toml"
    table = read_toml(path)
    needed = {
        "fit": ("steps", "minutes_share", "learning_rate", "batch"),
        "split": ("validation_share",),
        "augment": (),
    }
    for name, keys in needed.items():
        lacking = [key for key in keys if key not in table.get(name, {})]
        if name not in table or lacking:
            raise RecordInvalidError(f"{path.name} lacks [{name}] {' '.join(lacking)}; compare it with retrain.toml")
    return table
