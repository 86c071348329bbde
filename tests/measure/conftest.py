"""Fixtures of the measurement tests."""

import tomllib
from importlib.resources import files

import pytest

from liverimg.measure.settings import MeasureSettings


@pytest.fixture(scope="session")
def settings() -> MeasureSettings:
    """The settings that ship with the package."""
    return MeasureSettings.from_table(tomllib.loads((files("liverimg") / "data/measure.toml").read_text()))
