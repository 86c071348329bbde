"""The contract of a stage, and the key that says whether its outputs are still true."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import liverimg
from liverimg.workspace import Artefact, Draft, Workspace


class Progress(Protocol):
    """Told how far a stage has come."""

    def __call__(self, fraction: float, /) -> None:
        """Args: ``fraction`` from 0 to 1."""


def _depends_on_nothing(_settings: Any) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Stage:
    """One verb of the pipeline.

    Attributes:
        name: The verb, as recipes and ``--redo`` call it.
        version: Raised when the stage would give other outputs for the same inputs.
        reads: Artefacts it takes from the workspace.
        writes: Artefacts it puts there.
        settings: Its own frozen dataclass; recipes fill it by field name. A field with metadata
            ``{"key": False}`` does not change the outputs.
        run: Does the work: ``run(workspace, draft, settings, progress)``.
        depends_on: Hashes of inputs from outside the workspace, by name.
        editable: Outputs that a person may correct by hand; a correction is kept.
        reads_if_there: Artefacts that it takes where they lie, and does without where they don't.
    """

    name: str
    version: int
    reads: tuple[Artefact, ...]
    writes: tuple[Artefact, ...]
    settings: type[Any]
    run: Callable[[Workspace, Draft, Any, Progress], None]
    depends_on: Callable[[Any], Mapping[str, str]] = _depends_on_nothing
    editable: tuple[Artefact, ...] = ()
    reads_if_there: tuple[Artefact, ...] = ()


def settings_record(settings: Any) -> dict[str, Any]:
    """Settings that decide the outputs, as plain values. Paths are left out: their content is hashed instead."""
    return {
        f.name: _plain(getattr(settings, f.name))
        for f in fields(settings)
        if f.metadata.get("key", True) and not _is_path(getattr(settings, f.name))
    }


def _is_path(value: Any) -> bool:
    """A path, or a choice of paths."""
    return isinstance(value, Path) or (
        isinstance(value, Mapping) and bool(value) and all(isinstance(v, Path) for v in value.values())
    )


def stage_key(stage: Stage, settings: Any, *, reads: Mapping[str, str | None], depends_on: Mapping[str, str]) -> str:
    """Hash of everything that the stage's outputs depend on."""
    parts = {
        "software": liverimg.__version__,
        "stage": stage.name,
        "version": stage.version,
        "settings": settings_record(settings),
        "reads": dict(reads),
        "depends_on": dict(depends_on),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return str(value) if value is not None and not isinstance(value, bool | int | float | str) else value
