"""Fixtures that every room uses."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from liverimg.cli import main
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


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def liverimg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., Said]:
    """Runs a command as the shell would, and returns its exit code and words."""

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["liverimg", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


@pytest.fixture(scope="session")
def sample() -> Path:
    """The committed synthetic studies."""
    return REPOSITORY / "sample_dicom"


@pytest.fixture(scope="session")
def exact_labels(sample: Path) -> Path:
    """The exact masks of the sample's reference series."""
    return sample / "truth" / "pre_ct_labels.nii.gz"


@pytest.fixture(scope="session")
def assessed(tmp_path_factory: pytest.TempPathFactory, sample: Path, exact_labels: Path) -> Path:
    """The sample study taken through the whole recipe with exact labels; not to be changed by tests."""
    out = tmp_path_factory.mktemp("assessed") / "out"
    before = sys.argv
    sys.argv = ["liverimg", "pre", str(sample / "pre_ct"), "--out", str(out), "--labels", str(exact_labels)]
    try:
        main()
    except SystemExit as leaving:
        assert not leaving.code, "the sample study runs through"
    finally:
        sys.argv = before
    return out
