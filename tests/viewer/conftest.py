"""A finished study made by hand, small and on a grid on which sloppy geometry shows; and the same after an ablation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.chromium import Browser, chromium, find_chromium

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.measurement import EvidencePoint, Lesion, Measurement, MeasurementSet
from liverimg.core.response import Fate, LesionResponse, Part, StudyResponse, Timepoint
from liverimg.core.study import Modality, Phase, Series, Study
from liverimg.core.volume import Quantity, Volume
from liverimg.core.zones import Focus, Zone, ZoneMap
from liverimg.files import nifti, records
from liverimg.files.response_records import response_to_record
from liverimg.files.result_records import measurements_to_record
from liverimg.files.study_records import label_names_to_record, study_to_record
from liverimg.files.zone_records import zones_to_record
from liverimg.stages.artefacts import reference_record
from liverimg.workspace import Artefact, Workspace

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>{{ 7*7 }}"
FRAME = "1.2.826.0.1.3680043.8.498.1"
CODES = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.HEPATIC_VEIN: 3, Structure.BODY: 23}
# LPS mm and radius: one lesion in the patient's right, high up and in front; a smaller one in the left, low and behind.
LESIONS = {"L1": ((-40.0, -18.0, 25.0), 13.0), "L2": ((22.0, 16.0, -20.0), 8.0)}


def tilted_grid(frame: str, shape: tuple[int, int, int] = (44, 60, 68)) -> Grid:
    """Oblique, anisotropic, left-handed, its middle at the origin."""
    tilt, turn = np.deg2rad(14), np.deg2rad(-22)
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    axes = np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]], dtype=float) @ (about_x @ about_z).T
    spacing = np.array([3.5, 2.6, 2.4]) * (44, 60, 68) / np.array(shape)
    whole = Grid.from_axes(shape, spacing_mm=spacing, directions=axes, frame_of_reference_uid=frame)
    return Grid.from_axes(
        shape,
        spacing_mm=spacing,
        directions=axes,
        origin_lps_mm=-whole.centre_lps_mm,
        frame_of_reference_uid=frame,
    )


def painted(grid: Grid, offset_hu: float = 0.0) -> tuple[Volume, LabelMap]:
    """A body with a liver, a vein and two lesions of different darkness."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(grid.index_to_lps_mm(index), -1, 0)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    values = np.full(grid.shape, -1000.0)
    for where, label, hu in (
        ((x / 78) ** 2 + (y / 70) ** 2 + (z / 90) ** 2 < 1, 23, 20),
        ((x / 66) ** 2 + (y / 52) ** 2 + (z / 52) ** 2 < 1, 1, 105),
        (((y - 2) ** 2 + (z - 2) ** 2 < 30) & (np.abs(x) < 50), 3, 170),
    ):
        labels[where], values[where] = label, hu + offset_hu
    for n, ((cx, cy, cz), radius) in enumerate(LESIONS.values()):
        where = (x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 < radius**2
        labels[where], values[where] = 2, 50 + 17 * n + offset_hu
    return Volume(values.astype(np.int16), grid, Quantity.HU), LabelMap(labels, grid, CODES)


def _lesion(name: str) -> Lesion:
    (x, y, z), radius = LESIONS[name]
    ends = (EvidencePoint("start", (x - radius, y, z)), EvidencePoint("end", (x + radius, y, z)))
    long = Measurement("axial_long_diameter", name, 2 * radius, "mm", 2 * radius - 1, 2 * radius + 1, "by hand", ends)
    return Lesion(name, (x, y, z), (long,))


def write_study(folder: Path, *, description: str = "Abdomen PV") -> Path:
    """A workspace as ``liverimg pre`` leaves it, as far as the viewer looks."""
    folder.mkdir(parents=True)
    (folder / "volumes").mkdir()
    (folder / "provenance").mkdir()
    reference, labels = painted(tilted_grid(FRAME))
    other, _ = painted(tilted_grid(FRAME, (22, 40, 34)), offset_hu=-40)
    apart, _ = painted(tilted_grid("1.2.3.4"), offset_hu=-80)
    files = [f"volumes/{n:02d}.nii.gz" for n in (1, 2, 3)]
    series = tuple(
        Series(f"1.2.3.{n}", Modality.CT, phase, (), volume.grid, description)
        for n, (volume, phase) in enumerate(
            ((other, Phase.ARTERIAL), (reference, Phase.PORTAL_VENOUS), (apart, Phase.UNENHANCED)), start=1
        )
    )
    for file, volume in zip(files, (other, reference, apart), strict=True):
        nifti.write_volume(folder / file, volume)
    nifti.write_labels(folder / "labels.nii.gz", labels)
    study = Study("1.2.3", "20260312", series, ())
    record = study_to_record(study, files=files, quantities=[Quantity.HU] * 3, reference=1)
    put(folder, Artefact.STUDY, "study", record)
    put(folder, Artefact.LABEL_NAMES, "labels", label_names_to_record(labels))
    workspace = Workspace(folder)
    drawn = {"origin": "external", "model": None, "sha256": workspace.hash_of(Artefact.LABELS)}
    measured = MeasurementSet(tuple(_lesion(name) for name in LESIONS), (), ())
    found = measurements_to_record(measured, study=reference_record(workspace), labels=drawn)
    put(folder, Artefact.MEASUREMENTS, "measurements", found)
    return folder


def put(folder: Path, artefact: Artefact, kind: str, record: dict[str, Any]) -> None:
    """Writes a record that keeps its schema."""
    records.check(record, kind, artefact.value)
    (folder / artefact.value).write_text(records.dump(record), encoding="utf-8")


def with_zones(folder: Path) -> Path:
    """The same study after an ablation: a zone around L1 with a focus in its rim, in place of the measurements."""
    grid = tilted_grid(FRAME)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    place = np.array(LESIONS["L1"][0])
    x, y, z = np.moveaxis(grid.index_to_lps_mm(index) - place, -1, 0)
    array = np.zeros(grid.shape, np.uint8)
    array[x**2 + y**2 + z**2 < 18**2] = 1
    array[(x - 16) ** 2 + y**2 + z**2 < 5**2] = 101
    zones = ZoneMap(array, grid, (Zone("Z1", 1, ("L1",), "drawn", 0.0),), (Focus("R1", 101, "Z1", ("L1",), "drawn"),))
    nifti.write_label_values(folder / "zones.nii.gz", array, grid)
    put(folder, Artefact.ZONE_NAMES, "zones", zones_to_record(zones))
    centre = LESIONS["L1"][0]
    lesion = LesionResponse(
        "L1", "2.25.1", Fate.TREATED, "L1 was treated: zone Z1.", centre, centre, None, None, "Z1", ("R1",), (), ()
    )
    response = StudyResponse(
        treatments=(),
        timepoint=Timepoint(None, (), "The day of treatment is not known."),
        lesions=(lesion,),
        zones=(Part("Z1", "2.25.2", "drawn", centre, (), ("L1",)),),
        foci=(Part("R1", "2.25.3", "drawn", (centre[0] + 16, centre[1], centre[2]), (), ("L1",), "Z1"),),
        candidates=(),
    )
    workspace = Workspace(folder)
    hashes = {"sha256": workspace.hash_of(Artefact.LABELS), "zones_sha256": workspace.hash_of(Artefact.ZONES)}
    record = response_to_record(
        response,
        study=reference_record(workspace),
        baseline={"study_instance_uid": "1.2.9", "study_date": None, "same_patient": None, "days": None},
        labels={"origin": "external", "model": None, "baseline_sha256": "0" * 64, **hashes},
        margin_files={},
    )
    put(folder, Artefact.RESPONSE, "response", record)
    workspace.path(Artefact.MEASUREMENTS).unlink()
    return folder


@pytest.fixture
def studied(tmp_path: Path) -> Path:
    """A study that a test may change."""
    return write_study(tmp_path / "out")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all pages of this room."""
    with chromium(find_chromium()) as started:
        yield started
