"""The same study under other names, in another order, packed otherwise: the same ``study.json``, byte for byte."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from tests.dicom.traps.files import recompress

from liverimg.core.grid import Grid
from liverimg.stages.ingest import STAGE, Settings
from liverimg.workspace import Artefact, Workspace

GRID = Grid.from_axes(
    (6, 40, 48), spacing_mm=(2.5, 0.9, 0.8), origin_lps_mm=(-12.5, 40.25, -333.5), frame_of_reference_uid="1.2.3"
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, build: ModuleType) -> Path:
    """Two phases in one series, one of them tilted; a coronal MR; a copy; a gap; a damaged file; strangers."""
    folder = tmp_path_factory.mktemp("invariant") / "study"

    def phase_of(number: int) -> Callable[[Any, int], None]:
        def edit(dataset: Any, k: int) -> None:
            dataset.AcquisitionNumber = 1 + number
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", f"PHASE{number}"]
            place = GRID.index_to_lps_mm((k, 0, 0)) + np.array((0, 0.7 * k * number, 0))
            dataset.ImagePositionPatient = build.decimals(*place)

        return edit

    for number in (0, 1):
        build.write_series(folder, grid=GRID, first_instance=1 + 10 * number, edit=phase_of(number))
    side = Grid.from_axes((5, 40, 48), spacing_mm=(3, 1, 1), directions=[[0, 1, 0], [0, 0, -1], [1, 0, 0]])
    paths = build.write_series(folder, grid=side, series=2, modality="MR", description="t1 vibe", edit=_no_frame)
    (folder / "copy").write_bytes(paths[1].read_bytes())
    build.write_series(folder, grid=GRID, series=3, skip=(3,))
    (folder / "cut").write_bytes(paths[2].read_bytes()[:500])
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    return folder


def _no_frame(dataset: Any, k: int) -> None:
    del dataset.FrameOfReferenceUID


def ingested(folder: Path, out: Path) -> bytes:
    """``study.json`` as the stage writes it."""
    workspace = Workspace(out)
    with workspace.draft(STAGE.name) as draft:
        STAGE.run(workspace, draft, Settings(study=folder), lambda fraction: None)
        return draft.path(Artefact.STUDY).read_bytes()


@pytest.fixture(scope="module")
def said(study: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return ingested(study, tmp_path_factory.mktemp("plain"))


def test_the_study_says_something(said: bytes) -> None:
    """Else its bytes would prove nothing."""
    record = json.loads(said)
    assert [volume["modality"] for volume in record["volumes"]] == ["CT", "CT", "MR"]
    flags = [flag for volume in record["volumes"] for flag in volume["flags"]]
    assert {"derived_from_tilt", "duplicates_dropped", "no_frame_of_reference"} <= set(flags)
    assert [entry["code"] for entry in record["rejected"]] == ["not_dicom", "missing_slices", "unreadable"]


def _shuffled(source: Path, to: Path) -> None:
    to.mkdir()
    paths = list(source.iterdir())
    random.Random(1).shuffle(paths)
    for path in paths:
        shutil.copy(path, to / path.name)


def _renamed(source: Path, to: Path) -> None:
    to.mkdir()
    for number, path in enumerate(sorted(source.iterdir())):
        shutil.copy(path, to / f"{(number * 7919) % 1009:04d} ünïcödé '{path.suffix}")


def _nested(source: Path, to: Path) -> None:
    for number, path in enumerate(sorted(source.iterdir(), reverse=True)):
        there = to / "abc"[number % 3] / str(number % 5)
        there.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, there / f"{number}")


@pytest.mark.parametrize("change", [_shuffled, _renamed, _nested])
def test_names_and_order_of_files_change_nothing(change: Any, study: Path, said: bytes, tmp_path: Path) -> None:
    change(study, tmp_path / "study")
    assert ingested(tmp_path / "study", tmp_path / "out") == said


@pytest.mark.parametrize(
    "transfer_syntax",
    [
        RLELossless, DeflatedExplicitVRLittleEndian, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless,
        ImplicitVRLittleEndian, "a different one for each file",
    ],
)  # fmt: skip
def test_packing_changes_nothing(transfer_syntax: str, study: Path, said: bytes, tmp_path: Path) -> None:
    shutil.copytree(study, tmp_path / "study")
    each = (RLELossless, DeflatedExplicitVRLittleEndian, JPEGLSLossless, ImplicitVRLittleEndian)
    for number, path in enumerate(sorted((tmp_path / "study").iterdir())):
        if path.name not in ("cut", "notes.txt"):
            recompress(path, each[number % len(each)] if transfer_syntax.startswith("a ") else transfer_syntax)
    assert ingested(tmp_path / "study", tmp_path / "out") == said
