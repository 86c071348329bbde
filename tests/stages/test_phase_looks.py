"""Phases after segmentation: the image agrees, contradicts or decides, roles follow, and a person's choice stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liverimg.core.errors import UsageError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.study import Modality, Phase, Role
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.write import SeriesHeader, StudyHeader, uid_from, write_series
from liverimg.files import nifti, records
from liverimg.files.study_records import label_names_to_record
from liverimg.pipeline.recipe import load_recipe
from liverimg.pipeline.runner import run
from liverimg.stages.artefacts import read_study
from liverimg.stages.companions import choose_companions
from liverimg.stages.phase_looks import read_final_study
from liverimg.workspace import Workspace

STUDY = StudyHeader("PHANTOM^BOXES", "PHANTOM-2", uid_from("study", "boxes"), "20260101", "090000")
GRID = Grid.from_axes(
    (36, 50, 60), spacing_mm=(4, 4, 4), origin_lps_mm=(-120, -100, 0), frame_of_reference_uid="1.2.826.0.1.3680043.8.2"
)
BOXES: Mapping[Structure, tuple[slice, slice, slice]] = {
    Structure.LIVER: np.s_[4:32, 6:26, 4:30],
    Structure.AORTA: np.s_[2:34, 32:38, 30:36],
    Structure.PORTAL_VEIN: np.s_[12:24, 28:33, 8:20],
    Structure.SPLEEN: np.s_[6:26, 6:24, 42:56],
}
VALUES = {structure: n for n, structure in enumerate(BOXES, start=1)}
# Liver, aorta, portal vein, spleen.
LOOKS = {
    Phase.UNENHANCED: (58, 42, 40, 47),
    Phase.ARTERIAL: (75, 320, 120, 130),
    Phase.PORTAL_VENOUS: (110, 155, 170, 120),
}
# What each series is, what it is called, and when.
SERIES = (
    (Phase.UNENHANCED, "ABD", "095700"),
    (Phase.PORTAL_VENOUS, "ABD ART", "100035"),
    (Phase.PORTAL_VENOUS, "ABD PV", "100112"),
)


def _image(phase: Phase) -> Volume:
    array = np.full(GRID.shape, -1000, dtype=np.float32)
    array[1:-1, 3:-3, 2:-2] = -80
    for structure, value in zip(BOXES, LOOKS[phase], strict=True):
        array[BOXES[structure]] = value
    return Volume(array, GRID, Quantity.HU)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A study of three series and labels that lie on all of them."""
    folder = tmp_path_factory.mktemp("boxes")
    for number, (phase, words, clock) in enumerate(SERIES, start=1):
        header = SeriesHeader(Modality.CT, number, uid_from("boxes", number), words, clock)
        write_series(_image(phase), folder / "study" / str(number), study=STUDY, series=header, compressed=False)
    array = np.zeros(GRID.shape, dtype=np.uint8)
    for structure, box in BOXES.items():
        array[box] = VALUES[structure]
    labels = LabelMap(array, GRID, VALUES)
    nifti.write_labels(folder / "drawn.nii.gz", labels)
    (folder / "drawn.json").write_text(json.dumps(label_names_to_record(labels)), encoding="utf-8")
    return folder / "study", folder / "drawn.nii.gz"


def _run(given: tuple[Path, Path], out: Path, **ingest: Any) -> Workspace:
    study, labels = given
    recipe = load_recipe("pre_ablation", only=["ingest", "segment"])
    run(recipe.with_settings("ingest", study=study, **ingest).with_settings("segment", labels=labels), out)
    return Workspace(out)


@pytest.fixture(scope="module")
def looked_at(given: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return _run(given, tmp_path_factory.mktemp("out"))


def test_headers_alone(looked_at: Workspace) -> None:
    study = read_study(looked_at)
    assert [s.phase for s in study.series] == [Phase.UNENHANCED, Phase.ARTERIAL, Phase.PORTAL_VENOUS]
    assert [s.number for s in study.series] == [1, 2, 3]


def test_the_image_contradicts_and_agrees(looked_at: Workspace) -> None:
    record = records.load(looked_at.folder / "phases.json")
    assert records.problems(record, "phases") == []
    rows = record["volumes"]
    assert [row["image"]["verdict"] for row in rows] == ["agrees", "contradicts", "agrees"]
    assert rows[1]["by_headers"]["phase"] == "arterial"
    assert rows[1]["phase"] == "portal_venous" and rows[1]["phase_confidence"] == "low"
    assert rows[1]["image"]["values"]["aorta"] == 155.0 and rows[1]["image"]["unit"] == "HU"
    assert "phase_conflict" in rows[1]["flags"]
    assert "volume 2" in record["warnings"][0]


def test_a_reader_is_told(looked_at: Workspace) -> None:
    findings = records.load(looked_at.folder / "label_quality.json")["findings"]
    (found,) = [f for f in findings if f["code"] == "phase_contradicted"]
    assert "Volume 2" in found["sentence"] and "aorta 155 HU" in found["sentence"]


def test_the_final_study(looked_at: Workspace) -> None:
    study = read_final_study(looked_at)
    assert [s.phase for s in study.series] == [Phase.UNENHANCED, Phase.PORTAL_VENOUS, Phase.PORTAL_VENOUS]
    roles = {choice.role: study.series[choice.series].number for choice in study.roles}
    assert roles == {Role.REFERENCE: 3, Role.UNENHANCED: 1, Role.PORTAL_VENOUS: 3}


def test_a_person_names_phase_and_roles(given: tuple[Path, Path], tmp_path: Path) -> None:
    uid = uid_from("boxes", 2)
    workspace = _run(given, tmp_path / "out", phases={uid: Phase.ARTERIAL}, use={"reference": "2", "delayed": "3"})
    study = read_final_study(workspace)
    assert (study.series[1].phase, study.series[1].phase_confidence) == (Phase.ARTERIAL, "high")
    chosen = {choice.role: choice.series for choice in study.roles if choice.by_person}
    assert chosen == {Role.REFERENCE: 1, Role.DELAYED: 2}
    record = records.load(workspace.folder / "study.json")
    assert record["reference_volume"].startswith("volumes/02_")
    assert {r["role"]: r["chosen_by"] for r in record["roles"]}["delayed"] == "person"
    companions = choose_companions(study, 1, phases=(Phase.DELAYED, Phase.UNENHANCED), least_view=0.5)
    assert companions == {Phase.DELAYED: 2, Phase.UNENHANCED: 0}


@pytest.mark.parametrize("use", [{"reference": "9"}, {"best": "1"}])
def test_a_role_for_nothing_is_refused_before_any_work(
    use: dict[str, str], given: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(UsageError):
        _run(given, tmp_path / "out", use=use)
    assert not (tmp_path / "out" / "study.json").exists()
