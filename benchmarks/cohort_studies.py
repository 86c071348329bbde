"""Small phantom studies for the benchmarks of the cohort: one coarse CT series each, its exact labels beside it."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.write import SeriesHeader, StudyHeader, uid_from, write_series
from liverimg.files import nifti, records
from liverimg.files.tables import read_table, structure_styles
from liverimg.phantom import render
from liverimg.phantom.contrast import Contrast
from liverimg.phantom.extent import extent_of
from liverimg.phantom.people import random_scene
from liverimg.phantom.scene import Scene

_ROOM_MM = 10.0


def write_studies(folder: Path, *, person: int, scans: range, voxel_mm: float = 8.0) -> None:
    """Some studies of one person, each with noise and UIDs of its own: ``pPPP_sSSS/dicom`` and ``labels.nii.gz``.

    Args:
        folder: Where; a study that lies there already is left alone.
        person: Seed of the body.
        scans: Numbers of the studies.
        voxel_mm: In the slice and between slices.
    """
    wanted = [(scan, folder / study_name(person, scan)) for scan in scans]
    wanted = [(scan, own) for scan, own in wanted if not (own / "labels.json").is_file()]
    if not wanted:
        return
    scene = random_scene(person)
    layers = render.layers(scene, _grid(scene, voxel_mm))
    values = {structure: style.value for structure, style in structure_styles().items()}
    labels = render.labels(scene, layers.grid, values)
    for scan, own in wanted:
        write_series(_image(layers, seed=1000 * person + scan), own / "dicom" / "S001", **_headers(person, scan))
        nifti.write_labels(own / "labels.nii.gz", labels)
        names = records.dump({s.value: v for s, v in labels.structures.items()})
        (own / "labels.json").write_text(names, encoding="utf-8")


def study_name(person: int, scan: int) -> str:
    """What a study is called."""
    return f"p{person:03d}_s{scan:03d}"


def _image(layers: render.Layers, *, seed: int) -> Volume:
    table = read_table("phantom")
    contrast = Contrast.from_table(table, Modality.CT)
    return render.image(
        layers,
        contrast.looks(Phase.PORTAL_VENOUS),
        background=contrast.background,
        noise=table["ct"]["noise_hu"]["portal_venous"],
        seed=seed,
        quantity=Quantity.HU,
    )


def _headers(person: int, scan: int) -> dict[str, Any]:
    uid = uid_from("study", person, "cohort", scan)
    return {
        "study": StudyHeader("PHANTOM^COHORT", f"PHANTOM-{person}", uid, "20260105", "094500", "CT abdomen"),
        "series": SeriesHeader(
            modality=Modality.CT,
            number=1,
            series_instance_uid=uid_from("series", person, "cohort", scan),
            description="Abd portal venous",
            acquisition_time="100110",
            contrast_agent="Iohexol 350",
            contrast_start_time="100000",
            image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        ),
    }


def _grid(scene: Scene, voxel_mm: float) -> Grid:
    room = extent_of(scene)
    low, high = np.array(room.body_low_xy) - _ROOM_MM, np.array(room.body_high_xy) + _ROOM_MM
    columns, rows = np.ceil((high - low) / voxel_mm).astype(int)
    bottom, top = room.liver_low_z - _ROOM_MM, room.liver_high_z + _ROOM_MM
    return Grid.from_axes(
        (int(np.ceil((top - bottom) / voxel_mm)), int(rows), int(columns)),
        spacing_mm=(voxel_mm,) * 3,
        origin_lps_mm=(*np.round(low, 2), round(bottom, 2)),
        frame_of_reference_uid=uid_from("frame", scene.seed, "cohort"),
    )


def write_manifest(path: Path, folder: Path, *, count: int, people: int = 10) -> None:
    """So many studies of so many people under ``folder``, and the manifest that names them with their labels."""
    scans = -(-count // people)
    for person in range(1, people + 1):
        write_studies(folder, person=person, scans=range(1, scans + 1))
    names = [study_name(person, scan) for scan in range(1, scans + 1) for person in range(1, people + 1)][:count]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("id", "study", "labels"))
        writer.writerows((n, folder / n / "dicom", folder / n / "labels.nii.gz") for n in names)
