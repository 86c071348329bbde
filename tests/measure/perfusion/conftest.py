"""One small plane, rendered once: breathing, frames out of plane, a focus at the margin."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from liverimg.core.cine import Cine, Pane
from liverimg.files.tables import read_table
from liverimg.measure.perfusion.plane import PlaneInput
from liverimg.measure.perfusion.result import PlaneResult, assess_plane
from liverimg.measure.perfusion.settings import PerfusionSettings
from liverimg.phantom.ultrasound import ContrastPlane, Display, Focus, Motion, Outline, Wash
from liverimg.phantom.ultrasound_render import Clip, render

OFF_PLANE = (6, 7, 8, 30)


def times_s() -> np.ndarray:
    """Every second for a minute, then every six."""
    return np.concatenate((np.arange(0.0, 60.0), np.arange(60.0, 180.0, 6.0)))


@pytest.fixture(scope="session")
def scene() -> ContrastPlane:
    times = times_s()
    off = np.zeros(len(times))
    off[list(OFF_PLANE)] = 10.0
    depth = np.sin(np.pi * times / 4.3) ** 4
    return ContrastPlane(
        Display(shape=(76, 76), spacing_mm=(1.0, 1.0)), times, Motion(7 * depth, -2 * depth, 1.5 * depth, off),
        zone=Outline((40.0, 2.0), (16.0, 13.0), 20.0), zone_depth_mm=13.0, liver=Wash(4000.0, 12.0, 24.0, 1.0),
        rim=Wash(4600.0, 11.0, 16.0, 1.1), rim_mm=1.2, vessel=Wash(9000.0, 10.0, 11.0, 1.0),
        foci=(Focus((50.0, 10.0), 8.0, Wash(9000.0, 11.0, 11.0, 0.6)),), seed=11,
    )  # fmt: skip


@pytest.fixture(scope="session")
def clip(scene: ContrastPlane) -> Clip:
    return render(scene)


@pytest.fixture(scope="session")
def settings() -> PerfusionSettings:
    return PerfusionSettings.from_table(read_table("ceus"))


@pytest.fixture(scope="session")
def plane_input(scene: ContrastPlane, clip: Clip) -> Callable[..., PlaneInput]:
    """The plane as it is handed over; ``frames`` picks some, other keywords replace fields."""

    def make(frames: slice = slice(None), *, spacing=(1.0, 1.0), contrast=None, b_mode=None, **changes) -> PlaneInput:
        times = scene.times_s[frames]
        shown = clip.contrast[frames] if contrast is None else contrast
        tissue = clip.b_mode[frames] if b_mode is None else b_mode
        given = PlaneInput(
            "P1", Cine(shown, times, spacing, Pane.CONTRAST), Cine(tissue, times, spacing, Pane.B_MODE), True, 60.0,
            ("1.2.3",),
        )  # fmt: skip
        return replace(given, **changes)

    return make


@pytest.fixture(scope="session")
def result(plane_input: Callable[..., PlaneInput], settings: PerfusionSettings) -> PlaneResult:
    return assess_plane(plane_input(), settings=settings)
