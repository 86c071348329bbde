"""The stage that draws zones: files that a person may correct."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from liverimg.core.errors import GridMismatchError, InputRefusedError, UsageError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.zones import Zone, ZoneMap
from liverimg.files import nifti
from liverimg.stages.zone_files import put_zones, read_zones
from liverimg.stages.zones import STAGE, Settings
from liverimg.workspace import Artefact, Provenance, Workspace

GRID = Grid.from_axes((6, 8, 8), spacing_mm=(2, 1, 1), frame_of_reference_uid="1.2.3")
LABELS = LabelMap(np.ones(GRID.shape, dtype=np.uint8), GRID, {Structure.LIVER: 1})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[1:4, 1:5, 1:5] = 1
    with workspace.locked(), workspace.draft("zones") as draft:
        put_zones(draft, ZoneMap(array, GRID, (Zone("Z1", 1, ("L1",), "rule", 0.9),), absent={"L2": "none"}))
        draft.commit(Provenance("zones", 1, "key", {}, {}))
    return workspace


def edit(workspace: Workspace, value: int) -> None:
    array = np.array(read_zones(workspace, LABELS).array)
    array[5, 7, 7] = value
    nifti.write_labels(workspace.path(Artefact.ZONES), LabelMap(array, GRID, {}))


def test_both_files_are_kept_when_a_person_corrects_them() -> None:
    assert set(STAGE.editable) == set(STAGE.writes) == {Artefact.ZONES, Artefact.ZONE_NAMES}


def test_what_was_written_is_read(workspace: Workspace) -> None:
    found = read_zones(workspace, LABELS)
    assert found.zones == (Zone("Z1", 1, ("L1",), "rule", 0.9),)
    assert dict(found.absent) == {"L2": "none"}


def test_corrected_voxels_are_a_persons(workspace: Workspace) -> None:
    edit(workspace, 1)
    assert workspace.is_edited(Artefact.ZONES, by="zones")
    assert read_zones(workspace, LABELS).zones[0].origin == "drawn"


def test_voxels_without_a_name_are_refused(workspace: Workspace) -> None:
    edit(workspace, 9)
    with pytest.raises(InputRefusedError, match="value 9"):
        read_zones(workspace, LABELS)


def test_a_row_for_the_lesion_without_a_zone(workspace: Workspace) -> None:
    edit(workspace, 9)
    path = workspace.path(Artefact.ZONE_NAMES)
    record = json.loads(path.read_text(encoding="utf-8"))
    record["zones"].append({"id": "Z2", "value": 9, "lesions": ["L2"]})
    path.write_text(json.dumps(record), encoding="utf-8")
    found = read_zones(workspace, LABELS)
    assert found.zone_of("L2") == Zone("Z2", 9, ("L2",), "drawn", 0.0)
    assert not found.absent


def test_zones_on_another_grid_are_refused(workspace: Workspace) -> None:
    other = Grid.from_axes((6, 8, 8), spacing_mm=(2, 1, 2), frame_of_reference_uid="1.2.3")
    with pytest.raises(GridMismatchError):
        read_zones(workspace, LabelMap(LABELS.array, other, LABELS.structures))


def test_a_method_that_does_not_exist_and_a_model_that_nobody_named_are_refused(tmp_path: Path) -> None:
    assert Settings(tmp_path, by="rule").model is None
    with pytest.raises(UsageError, match="by 'hand'; expected rule or model"):
        Settings(tmp_path, by="hand")
    with pytest.raises(UsageError, match="names none"):
        Settings(tmp_path, by="model")
