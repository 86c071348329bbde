"""Records: what is written is what is read, and the schema notices what is wrong."""

import json
from pathlib import Path

import jsonschema
import pytest

from liverimg.core.assessment import Assessment, Classification, Finding, NotApplied, Part, Verdict
from liverimg.core.errors import RecordInvalidError
from liverimg.core.labels import LabelQuality, Structure
from liverimg.core.measurement import EvidencePoint, Lesion, Measurement, MeasurementSet, NotMeasured
from liverimg.core.sessions import KeepOut, SessionPiece, SessionPlan
from liverimg.core.vocabulary import Threshold
from liverimg.files import records
from liverimg.files.bundled import package_data
from liverimg.files.result_records import (
    assessment_from_record,
    assessment_to_record,
    measurements_from_record,
    measurements_to_record,
)
from liverimg.files.study_records import (
    label_names_from_record,
    quality_from_record,
    quality_to_record,
)
from liverimg.files.tables import structure_styles

STUDY = {
    "study_instance_uid": "1.2.3",
    "study_date": "20260101",
    "reference_series_instance_uid": "1.2.3.4",
    "reference_volume": "volumes/01_ct_portal_venous.nii.gz",
    "modality": "CT",
    "phase": "portal_venous",
    "spacing_kji_mm": [2.5, 0.8, 0.7],
}
LABELS = {"origin": "model", "model": "liver_ct 0.1.0", "sha256": "0" * 64}
SET = MeasurementSet(
    lesions=(
        Lesion(
            "L1",
            (1.0, 2.0, 3.0),
            (
                Measurement(
                    "axial_long_diameter",
                    "L1",
                    31.25,
                    "mm",
                    29.5,
                    33.0,
                    "contour",
                    (EvidencePoint("start", (0.0, 1.0, 2.0)), EvidencePoint("end", (31.25, 1.0, 2.0))),
                    ("1.2.3.4",),
                ),
                NotMeasured("distance_to_bile_duct", "L1", "no bile duct was seen: unknown, not far"),
            ),
        ),
    ),
    organs=(Measurement("liver_volume", "liver", 1500.0, "ml", 1450.0, 1550.0, "voxels"),),
    warnings=("a warning",),
)


def test_measurements_survive_the_round_trip() -> None:
    record = measurements_to_record(SET, study=STUDY, labels=LABELS)
    assert records.problems(record, "measurements") == []
    assert measurements_from_record(json.loads(records.dump(record))) == SET


def test_equal_records_give_equal_text() -> None:
    record = measurements_to_record(SET, study=STUDY, labels=LABELS)
    backwards = dict(reversed(list(record.items())))
    assert records.dump(record) == records.dump(backwards)


@pytest.mark.parametrize(
    "damage",
    [
        lambda r: r.pop("study"),
        lambda r: r["lesions"][0]["quantities"][0].pop("high"),
        lambda r: r["lesions"][0]["quantities"][0].update(unit="furlong"),
        lambda r: r["lesions"][0]["quantities"][0].update(value=None),
        lambda r: r["lesions"][0]["quantities"][1].update(value=0.0),
        lambda r: r.update(patient_name="Doe"),
    ],
)
def test_the_schema_notices(damage: object) -> None:
    record = measurements_to_record(SET, study=STUDY, labels=LABELS)
    damage(record)
    assert records.problems(record, "measurements")
    with pytest.raises(RecordInvalidError, match="schema"):
        records.check(record, "measurements", "measurements.json")


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_broken_json_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "measurements.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RecordInvalidError, match=r"measurements\.json"):
        records.load(path)


def test_quality_survives_the_round_trip() -> None:
    quality = LabelQuality(
        "external_model",
        surface_error_mm={Structure.LIVER: 2.5},
        surface_error_assumed=True,
        lesion_error_mm={"L1": 1.5},
        not_visible={Structure.BILE_DUCT: "not seen"},
        incomplete={Structure.AORTA: "cut"},
        notes=("a",),
        model="m 1",
    )
    record = quality_to_record(quality)
    assert records.problems(record, "label_quality") == []
    assert quality_from_record(record) == quality


def test_lesions_numbered_apart_are_recognised() -> None:
    structures, lesions = label_names_from_record({"liver": 1, "tumour": 2, "tumour_dome": 201})
    assert structures == {Structure.LIVER: 1, Structure.TUMOUR: 2}
    assert lesions == {"dome": 201}


def test_every_structure_has_a_row_and_a_value_of_its_own() -> None:
    styles = structure_styles()
    assert set(styles) == set(Structure)
    assert len({s.value for s in styles.values()}) == len(styles)
    assert {s: styles[s].value for s in list(Structure)[:5]} == {
        Structure.LIVER: 1,
        Structure.TUMOUR: 2,
        Structure.HEPATIC_VEIN: 3,
        Structure.PORTAL_VEIN: 4,
        Structure.BILE_DUCT: 5,
    }


def test_an_assessment_survives_the_round_trip() -> None:
    number = Measurement("volume", "L1", 20.0, "ml", 19.0, 21.0, "voxels")
    limit = Threshold(40.0, "ml", "page")
    open_part = Part("s", Verdict.UNDETERMINED, True, "b", None, (limit,), "a scan", ("inr",))
    closed = Part("s", Verdict.MET, False, "", number, ())
    finding = Finding(
        "a.b",
        "a",
        "L1",
        "T",
        Verdict.UNDETERMINED,
        "S.",
        number,
        (limit,),
        "src",
        "scan",
        ("n",),
        (open_part, closed),
        ("inr",),
    )
    pieces = (SessionPiece(1, 20.0, (1.0, 2.0, 3.0), 19.5, 0.5, True),)
    plan = SessionPlan(
        "L1",
        5.0,
        20.0,
        60.0,
        2.0,
        50.0,
        0.1,
        (KeepOut("bile_duct", 10.0, 0.0, "unknown"),),
        pieces,
        (10.0, 40.0),
        (7.0, 14.0),
    )
    found = Assessment(
        (finding,),
        ("conflict",),
        (Classification("a.c", "a", "study", "T", "", ("x", "y"), "S.", "src", "scan", (), (closed,), ("inr",)),),
        (NotApplied("a", "T", "L2", "elsewhere"),),
        (plan,),
    )
    record = assessment_to_record(found, study=STUDY, criteria=[])
    assert records.problems(record, "assessment") == []
    assert assessment_from_record(json.loads(records.dump(record))) == found


SCHEMAS = sorted(package_data("schema").glob("*.schema.json"))


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_each_schema_is_a_schema(path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))


def test_every_kind_has_a_schema() -> None:
    assert {f"{kind}.schema.json" for kind in records.KINDS} <= {path.name for path in SCHEMAS}


def test_what_was_right_once_is_known_and_what_is_wrong_stays_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    record = measurements_to_record(SET, study=STUDY, labels=LABELS)
    records.check(record, "measurements", "measurements.json")
    wrong = json.loads(json.dumps(record)) | {"lesions": "none"}
    for _ in range(2):
        with pytest.raises(RecordInvalidError, match="does not keep the measurements schema"):
            records.check(wrong, "measurements", "measurements.json")
    with pytest.raises(RecordInvalidError, match="does not keep the study schema"):
        records.check(record, "study", "study.json")
    monkeypatch.setattr(records, "problems", lambda *_: ["asked again"])
    records.check(json.loads(records.dump(record)), "measurements", "measurements.json")
