"""Fixtures that every room uses."""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from pydicom import dcmread

from liverimg.cli import main
from liverimg.core.grid import Grid

REPOSITORY = Path(__file__).resolve().parent.parent

# A busy machine is slow at every example, and a test that passes must pass again: no limits of time, the same examples
# each run. ``--hypothesis-profile=search`` looks for new ones.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("house", settings.get_profile("search"), derandomize=True)
settings.load_profile("house")


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


MakeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MakeOnce:
    """Makes a costly folder once for all processes of a run, and gives each of them a copy of its own."""
    base = tmp_path_factory.getbasetemp()
    place = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def copy_of(name: str, make: Callable[[Path], None]) -> Path:
        whole, draft = place / f"once-{name}", place / f"once-{name}-draft"
        with (place / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                shutil.rmtree(draft, ignore_errors=True)
                make(draft)
                draft.rename(whole)
        return Path(shutil.copytree(whole, tmp_path_factory.mktemp(name) / "out"))

    return copy_of


def succeed(*arguments: object) -> None:
    """Runs a command in this process, for fixtures that outlive a test."""
    before = sys.argv
    sys.argv = ["liverimg", *map(str, arguments)]
    try:
        main()
    except SystemExit as leaving:
        assert not leaving.code, sys.argv
    finally:
        sys.argv = before


@pytest.fixture(scope="session")
def assessed(made_once: MakeOnce, sample: Path, exact_labels: Path) -> Path:
    """The sample study taken through the whole recipe with exact labels; not to be changed by tests."""
    return made_once("assessed", lambda out: succeed("pre", sample / "pre_ct", "--out", out, "--labels", exact_labels))


@pytest.fixture(scope="session")
def assessed_post(made_once: MakeOnce, assessed: Path, sample: Path) -> Path:
    """The sample's study after ablation with exact labels against the one before; not to be changed by tests."""
    labels = sample / "truth" / "post_ct_labels.nii.gz"
    told = ("--baseline", assessed, "--labels", labels, "--treated-on", "2026-01-15=mwa")
    return made_once("assessed_post", lambda out: succeed("post", sample / "post_ct", "--out", out, *told))


@dataclass(frozen=True)
class Slab:
    """A small study of one series, and its exact labels."""

    study: Path
    labels: Path


@pytest.fixture(scope="session")
def slab(tmp_path_factory: pytest.TempPathFactory, sample: Path, exact_labels: Path) -> Slab:
    """The sample's portal venous slices at its tumours: for whatever does not depend on the rest of the body."""
    made = Slab(tmp_path_factory.mktemp("slab"), tmp_path_factory.mktemp("slab_labels") / "drawn.nii.gz")
    image = nibabel.load(exact_labels)
    slices = np.flatnonzero((np.asarray(image.dataobj) == 2).any(axis=(0, 1)))
    part = image.slicer[:, :, slices[0] - 3 : slices[-1] + 4]
    nibabel.save(part, made.labels)
    shutil.copy(exact_labels.with_name("pre_ct_labels.json"), made.labels.with_name("drawn.json"))
    feet, head = ((part.affine @ (0, 0, k, 1))[2] for k in (0, part.shape[2] - 1))
    for path in (sample / "pre_ct" / "S004").iterdir():
        if feet - 0.1 <= dcmread(path, stop_before_pixels=True).ImagePositionPatient[2] <= head + 0.1:
            shutil.copy(path, made.study)
    assert len(list(made.study.iterdir())) == part.shape[2]
    return made


@pytest.fixture(scope="session")
def assessed_slab(made_once: MakeOnce, slab: Slab) -> Path:
    """The slab taken through the whole recipe with exact labels; not to be changed by tests."""
    return made_once("assessed_slab", lambda out: succeed("pre", slab.study, "--out", out, "--labels", slab.labels))
