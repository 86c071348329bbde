"""Recipes: which stages, in which order, with which settings. Data, in TOML."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from liverimg.core.errors import UsageError
from liverimg.files.bundled import bundled_folder
from liverimg.files.tables import read_toml
from liverimg.segmentation.tools import names_a_tool
from liverimg.stages.stage import Stage, settings_record

STAGE_NAMES = (
    "ingest",
    "segment",
    "measure",
    "assess",
    "report",
    "ceus",
    "ceus_report",
    "register",
    "zones",
    "response",
    "response_report",
    "publish",
)


@dataclass(frozen=True)
class Step:
    """One stage with its settings as the recipe gives them, not yet turned into the stage's dataclass."""

    stage: Stage
    settings: Mapping[str, Any]

    def resolved(self) -> Any:
        """The stage's own settings dataclass.

        Raises:
            UsageError: A setting is unknown, missing or of the wrong kind.
        """
        known = {f.name for f in fields(self.stage.settings)}
        unknown = sorted(set(self.settings) - known)
        if unknown:
            raise UsageError(
                f"the stage {self.stage.name} has no setting {unknown[0]!r}; it has: {', '.join(sorted(known))}"
            )
        hints = get_type_hints(self.stage.settings)
        values = {name: _fit(value, hints[name], f"{self.stage.name}.{name}") for name, value in self.settings.items()}
        try:
            return self.stage.settings(**values)
        except TypeError as error:
            raise UsageError(f"the stage {self.stage.name} lacks a setting ({error}); add it to the recipe") from error


@dataclass(frozen=True)
class Recipe:
    """An ordered list of steps.

    Attributes:
        name: As results call it.
        title: For readers.
        steps: The stages, in the order they run.
    """

    name: str
    title: str
    steps: tuple[Step, ...]

    def with_settings(self, stage: str, **settings: Any) -> Recipe:
        """The recipe with some settings of one stage replaced; None leaves a setting as it is."""
        given = {name: value for name, value in settings.items() if value is not None}
        steps = tuple(
            replace(step, settings={**step.settings, **given}) if step.stage.name == stage else step
            for step in self.steps
        )
        return replace(self, steps=steps)

    def to_record(self) -> dict[str, Any]:
        """The recipe as plain values, without paths: those may carry a patient's name."""
        return {
            "name": self.name,
            "title": self.title,
            "stages": [step.stage.name for step in self.steps],
            "settings": {step.stage.name: settings_record(step.resolved()) for step in self.steps},
        }

    def only(self, *names: str) -> Recipe:
        """The recipe cut down to some of its stages."""
        return replace(self, steps=tuple(s for s in self.steps if s.stage.name in names))


def load_recipe(name_or_path: str | Path, *, only: Sequence[str] | None = None) -> Recipe:
    """Reads a recipe: one that comes with the program, by name, or a TOML file.

    Args:
        name_or_path: A name without suffix, or a path that ends in ``.toml``.
        only: Keep these stages alone; the libraries of the others are not even imported.

    Raises:
        UsageError: No such recipe, or it asks for a stage that does not exist.
        RecordInvalidError: Not TOML.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = bundled_folder("pipelines") / f"{name_or_path}.toml"
        if not path.is_file():
            raise UsageError(f"there is no recipe called {str(name_or_path)!r}; found: {', '.join(recipe_names())}")
    table = read_toml(path)
    names = table.get("stages")
    if not isinstance(names, list) or not names:
        raise UsageError(f"{path.name} is not a recipe: it wants a list 'stages' of {', '.join(STAGE_NAMES)}")
    settings = table.get("settings", {})
    if not isinstance(settings, dict) or not all(isinstance(own, dict) for own in settings.values()):
        raise UsageError(f"{path.name} has settings that are no table; expected [settings.STAGE] with one line each")
    stray = sorted(set(settings) - set(names))
    if stray:
        raise UsageError(f"{path.name} has settings for {stray[0]!r}, which is not among its stages")
    return Recipe(
        name=str(table.get("name", path.stem)),
        title=str(table.get("title", path.stem)),
        steps=tuple(Step(stage_named(name), settings.get(name, {})) for name in names if only is None or name in only),
    )


def recipe_from_record(record: Mapping[str, Any]) -> Recipe:
    """The inverse of :meth:`Recipe.to_record`, for the stages whose settings hold no paths."""
    return Recipe(
        name=record["name"],
        title=record["title"],
        steps=tuple(Step(stage_named(name), record["settings"][name]) for name in record["stages"]),
    )


def recipe_names() -> list[str]:
    """Recipes that come with the program."""
    # retrain.toml lies beside them: settings of a training run, no stages of a study.
    return sorted(p.stem for p in bundled_folder("pipelines").glob("*.toml") if "stages" in read_toml(p))


def stage_named(name: str) -> Stage:
    """The stage of that name; its libraries are imported only now.

    Raises:
        UsageError: There is none.
    """
    if name not in STAGE_NAMES:
        raise UsageError(f"there is no stage called {name!r}; expected one of: {', '.join(STAGE_NAMES)}")
    stage: Stage = import_module(f"liverimg.stages.{name}").STAGE
    return stage


def _fit(value: Any, kind: Any, where: str) -> Any:
    """A TOML value as the type that the settings dataclass declares."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if value is None and type(None) in kinds:
        return None
    for one in (k for k in kinds if k is not type(None)):
        origin = getattr(one, "__origin__", one)
        convert = _CONVERSIONS.get(origin)
        if convert is None:
            return value
        fitted = convert(value)
        if origin is Mapping and fitted is not None and get_args(one)[1:] == (Path,):
            fitted = {key: _fit(each, Path, f"{where}.{key}") for key, each in fitted.items()}
        if fitted is not None:
            return fitted
    raise UsageError(f"the setting {where} is {value!r}; expected {getattr(kind, '__name__', kind)}")


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) <= sys.float_info.max else None


_CONVERSIONS: Mapping[Any, Callable[[Any], Any]] = {
    float: _number,
    Mapping: lambda v: v if isinstance(v, Mapping) else None,
    int: lambda v: v if isinstance(v, int) and not isinstance(v, bool) else None,
    str: lambda v: v if isinstance(v, str) else None,
    bool: lambda v: v if isinstance(v, bool) else None,
    tuple: lambda v: tuple(v) if isinstance(v, list | tuple) else None,
    Path: lambda v: v if isinstance(v, Path) else _bundled_or_path(v),
}


def _bundled_or_path(value: Any) -> Path | None:
    """A path; a bare name means one of the models that come with the program, or another program that segments."""
    if not isinstance(value, str):
        return None
    return Path(value) if "/" in value or names_a_tool(value) else bundled_folder("models") / value
