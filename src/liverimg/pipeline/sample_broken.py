"""Folders that no volume may come from, for ``liverimg sample``."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.study import Modality
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.write import SeriesHeader, StudyHeader, uid_from, write_series


def write_broken(folder: Path) -> None:
    """Writes ``broken/``: an empty folder, a single slice, two patients mixed with a cut-off file and a text."""
    broken = folder / "broken"
    for name in ("empty", "single_slice", "mixed"):
        (broken / name).mkdir(parents=True)
    (broken / "empty" / "README.txt").write_text("This folder holds no DICOM, on purpose.\n", encoding="utf-8")
    slices = sorted((folder / "pre_ct" / "S004").iterdir())
    shutil.copyfile(slices[len(slices) // 2], broken / "single_slice" / "I0001.dcm")
    mixed = broken / "mixed"
    for path in slices[10:14]:
        shutil.copyfile(path, mixed / f"a_{path.name}")
    _write_other_patient(mixed)
    cut = slices[20].read_bytes()
    (mixed / "cut_off.dcm").write_bytes(cut[: len(cut) // 3])
    (mixed / "notes.txt").write_text("Not an image.\n", encoding="utf-8")


def _write_other_patient(folder: Path) -> None:
    grid = Grid.from_axes(
        (4, 64, 64),
        spacing_mm=(5, 5, 5),
        origin_lps_mm=(-160, -160, 0),
        frame_of_reference_uid=uid_from("frame", "other"),
    )
    study = StudyHeader("PHANTOM^OTHER", "PHANTOM-OTHER", uid_from("study", "other"), "20260108", "120000")
    series = SeriesHeader(Modality.CT, 1, uid_from("series", "other"), "Abd", "120100")
    write_series(Volume(np.full(grid.shape, 40.0), grid, Quantity.HU), folder / "b", study=study, series=series)
