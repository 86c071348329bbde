"""What resampling of uneven slices does to a volume: nothing that the slices themselves have not done before.

Slices far apart sample a ball coarsely, and how much of it they catch depends on where they happen to cut it. No
interpolation that is exact for constants and the same everywhere changes the sum of what was measured; one that guesses
the shape between slices would show anatomy that nobody saw.
"""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from liverimg.core.grid import Grid
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.resample import Regularisation, regularise
from liverimg.dicom.study import read_study

BACKGROUND_HU = 40.0
# Eleven gaps of 2.5 mm, then seven of 5 mm.
DEPTHS_MM = -32.5 + np.cumsum([0, *[2.5] * 11, *[5.0] * 7])
PIXEL_MM = 0.4
SIDE = 80


def weights_mm(depths_mm: np.ndarray) -> np.ndarray:
    """What each slice stands for when the volume between slices is a straight line (trapezoidal rule)."""
    gaps = np.diff(depths_mm)
    return np.concatenate((gaps / 2, [0.0])) + np.concatenate(([0.0], gaps / 2))


def by_closed_form(radius_mm: float, centre_mm: float) -> float:
    """Volume of a ball in ml as these slices see it: circles of known area, added up."""
    areas = np.pi * np.clip(radius_mm**2 - (DEPTHS_MM - centre_mm) ** 2, 0, None)
    return float(areas @ weights_mm(DEPTHS_MM) / 1000)


def true_ml(radius_mm: float) -> float:
    return 4 / 3 * np.pi * radius_mm**3 / 1000


def read_ball(
    folder: Path, build: ModuleType, rules: PhaseRules, *, radius_mm: float, centre_mm: float
) -> tuple[float, float]:
    """Volume in ml and centre along the slices' normal in mm of a ball written on uneven slices and read again."""
    grid = Grid.from_axes(
        (len(DEPTHS_MM), SIDE, SIDE), spacing_mm=(2.5, PIXEL_MM, PIXEL_MM), frame_of_reference_uid="1.2.3"
    )
    away_mm = (np.arange(SIDE) - (SIDE - 1) / 2) * PIXEL_MM
    across = away_mm[:, None] ** 2 + away_mm[None, :] ** 2
    inside = across[None] + ((DEPTHS_MM - centre_mm) ** 2)[:, None, None] < radius_mm**2
    values = np.where(inside, 300, int(BACKGROUND_HU)).astype(np.int16)

    def edit(dataset: Any, k: int) -> None:
        dataset.ImagePositionPatient = ["0", "0", f"{DEPTHS_MM[k]:.2f}"]

    build.write_series(folder, grid=grid, values=values, edit=edit)
    found = read_study(folder, phase_rules=rules)
    assert found.study.series[0].flags == ("derived_from_uneven_slices",)
    volume = load_volume(found.stacks[0])
    share = (volume.array - BACKGROUND_HU) / (300 - BACKGROUND_HU)
    depth = volume.grid.index_to_lps_mm(np.stack([np.arange(volume.grid.shape[0]), *np.zeros((2, share.shape[0]))], 1))
    per_slice = share.sum(axis=(1, 2))
    return float(share.sum() * volume.grid.voxel_ml), float(per_slice @ depth[:, 2] / per_slice.sum())


@pytest.mark.parametrize(("radius_mm", "centre_mm"), [(7.0, 18.0), (7.0, 17.5), (6.0, 0.0), (6.0, -16.0), (12.0, 10.0)])
def test_reading_adds_no_error_of_volume(
    radius_mm: float, centre_mm: float, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    read_ml, read_mm = read_ball(tmp_path, build, rules, radius_mm=radius_mm, centre_mm=centre_mm)
    # Some of it is what square pixels of 0.4 mm make of circles of a few millimetres.
    assert read_ml == pytest.approx(by_closed_form(radius_mm, centre_mm), rel=0.015)
    assert abs(read_mm - centre_mm) < 0.8


def test_where_slices_happen_to_cut_decides_about_a_small_ball() -> None:
    """A ball of 14 mm, its centre moved by steps of half a millimetre through slices 5 mm apart."""
    centres_mm = np.arange(10.0, 20.0, 0.5)
    errors = np.array([by_closed_form(7.0, centre) / true_ml(7.0) - 1 for centre in centres_mm])
    assert by_closed_form(7.0, 18.0) / true_ml(7.0) - 1 == pytest.approx(-0.071, abs=0.001)
    assert errors.min() > -0.075 and errors.max() < 0.065, "what a plain series 5 mm apart does to it, too"
    assert abs(errors.mean()) < 0.002, "right on average: nothing to be corrected by a factor"
    fine = np.array([by_closed_form(6.0, centre) / true_ml(6.0) - 1 for centre in np.arange(-20.0, -12.0, 0.5)])
    assert np.abs(fine).max() < 0.03, "slices 2.5 mm apart catch it within 5 %"


def test_cones_between_slices_would_lose_more() -> None:
    """Shape-based interpolation of circles: the radius runs in a straight line from slice to slice."""
    radii = np.sqrt(np.clip(7.0**2 - (DEPTHS_MM - 18.0) ** 2, 0, None))
    here, there = radii[:-1], radii[1:]
    cones_ml = np.pi / 3 * np.diff(DEPTHS_MM) @ (here**2 + here * there + there**2) / 1000
    assert cones_ml < by_closed_form(7.0, 18.0) < true_ml(7.0)


@pytest.mark.parametrize("uneven", [False, True])
def test_resampling_holds_the_slices_the_result_and_little_else(uneven: bool) -> None:
    """Memory stays under twice the volume where slices must be shifted or interpolated, too."""
    rng = np.random.default_rng(1)
    slices = rng.integers(-1000, 2000, (40, 96, 96)).astype(np.int16)
    depth_mm = np.cumsum([0.0, *[2.5] * 24, *[5.0] * 15]) if uneven else 2.5 * np.arange(40.0)
    shift_px = np.column_stack((0.4 * np.arange(40), np.zeros(40)))
    count = 55 if uneven else 40
    plan = Regularisation(shift_px, depth_mm, 2.5 if uneven else None, (count, 112, 96))
    tracemalloc.start()
    try:
        out = regularise(slices, plan, outside=-1024)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert out.shape == plan.shape and out.dtype == slices.dtype
    planes = 20 * 112 * 96 * 4
    assert peak_bytes < out.nbytes + planes
    assert slices.nbytes + out.nbytes < 2 * out.nbytes
