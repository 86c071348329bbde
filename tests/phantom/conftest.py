"""One built scene for all phantom tests: building it takes a second, and it never changes."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from liverimg.phantom.people import ablations_for, random_scene, sample_scene
from liverimg.phantom.scene import Scene
from liverimg.phantom.treated import follow_up_position, treated


@pytest.fixture(scope="session")
def scene() -> Scene:
    return sample_scene()


@pytest.fixture(scope="session")
def treated_scene(scene: Scene) -> Scene:
    ablations = ablations_for(scene)
    return treated(scene, ablations, deformation=follow_up_position(ablations))


@pytest.fixture(scope="session")
def strangers() -> list[Scene]:
    return [random_scene(seed) for seed in (3, 17)]


@pytest.fixture(scope="session")
def phantom_table(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "src/liverimg/data/phantom.toml").read_text(encoding="utf-8"))
