"""Fixtures that every room uses."""

from pathlib import Path

import numpy as np
import pytest

from liverimg.core.grid import Grid

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real scans and label maps that are not part of the repository; skips where they are absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the evaluation data folder ../shared/data is not on this machine")
    return folder


@pytest.fixture
def awkward_grid() -> Grid:
    """Oblique, anisotropic, left-handed and off-origin: the grid on which sloppy geometry shows."""
    tilt = np.deg2rad(20)
    turn = np.deg2rad(-35)
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]],
    )
    about_z = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]],
    )
    axes_kji = np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]], dtype=float) @ (about_x @ about_z).T
    return Grid.from_axes(
        (24, 40, 36),
        spacing_mm=(2.5, 0.8, 0.7),
        directions=axes_kji,
        origin_lps_mm=(-31.5, 117.25, 642.125),
        frame_of_reference_uid="1.2.826.0.1.3680043.8.498.1",
    )
