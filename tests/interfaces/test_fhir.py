"""The FHIR bundle: valid R4, nothing of the records lost or added, nobody named, the same bytes each time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from tests.stages.treated_world import After, make_after, make_before, respond

import liverimg as package
from liverimg.files.tables import read_table

OWN = read_table("fhir")["system"]["99LIVERIMG"]
VALUES = ("valueQuantity", "valueCodeableConcept", "valueString", "dataAbsentReason")
Row = dict[str, Any]


def resources(bundle: Row, kind: str) -> dict[str, Row]:
    return {e["fullUrl"]: e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind}


def own_code(concept: Row) -> str:
    (code,) = [c["code"] for c in concept["coding"] if c["system"] == OWN]
    return str(code)


def references(node: Any) -> list[str]:
    """Every reference below a node, whatever element it is in."""
    if isinstance(node, dict):
        own = [node["reference"]] if isinstance(node.get("reference"), str) else []
        return own + [r for value in node.values() for r in references(value)]
    return [r for value in node for r in references(value)] if isinstance(node, list) else []


@pytest.fixture(scope="module")
def before(assessed: Path) -> Row:
    """The bundle of the sample before treatment."""
    return package.to_fhir(assessed)


@pytest.fixture(scope="module")
def treated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study after treatment: one lesion covered, one with a focus, one not treated."""
    place = tmp_path_factory.mktemp("treated")
    make_before(place / "pre")
    after = After(
        zones={"L1": (14.0, (0, 0, 0)), "L2": (7.0, (3.0, 0, 0))},
        foci={"L2": (3.0, (-6.0, 0, 0))},
        untreated={"L3": 6.0},
    )
    respond(make_after(place / "post", after), place / "pre")
    return place / "post"


@pytest.fixture(scope="module", params=["before", "after"])
def bundle(request: pytest.FixtureRequest) -> Row:
    """Both kinds of results."""
    if request.param == "before":
        return request.getfixturevalue("before")
    return package.to_fhir(request.getfixturevalue("treated"))


def test_it_is_valid_r4_and_holds_together(bundle: Row) -> None:
    Bundle.model_validate(bundle)
    names = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(names)) == len(names)
    assert set(references(bundle)) <= set(names), "every reference leads to a resource of the bundle"
    (report,) = resources(bundle, "DiagnosticReport").values()
    observations = resources(bundle, "Observation")
    assert [row["reference"] for row in report["result"]] == list(observations)
    assert report["status"] == "preliminary"
    for one in observations.values():
        assert one["status"] == "preliminary"
        assert sum(value in one for value in VALUES) == 1
        assert own_code(one["code"])
        if "valueQuantity" in one:
            low, high = (part["valueQuantity"] for part in one["component"])
            assert [own_code(part["code"]) for part in one["component"]] == ["band_low", "band_high"]
            assert low["value"] <= one["valueQuantity"]["value"] <= high["value"]
            assert {low["code"], high["code"]} == {one["valueQuantity"]["code"]}


def test_every_number_state_reason_and_verdict_is_there_once(assessed: Path, before: Row) -> None:
    """Counted and compared by a walk of its own over the records, not by what made the bundle."""
    measured = json.loads((assessed / "measurements.json").read_text())
    judged = json.loads((assessed / "assessment.json").read_text())
    bodies = {name: body["description"] for name, body in resources(before, "BodyStructure").items()}
    states = {name for name, row in read_table("quantities")["quantity"].items() if "states" in row}

    def lesion(one: Row) -> str:
        return bodies[one["focus"][0]["reference"]] if "focus" in one else ""

    told = list(resources(before, "Observation").values())
    by_name: dict[tuple[str, str], list[Row]] = {}
    for one in told:
        by_name.setdefault((lesion(one), own_code(one["code"])), []).append(one)
    for row in measured["lesions"]:
        for quantity in row["quantities"]:
            (one,) = by_name[row["id"], quantity["name"]]
            if "not_measured" in quantity:
                assert one["dataAbsentReason"]["text"] == " ".join(quantity["not_measured"].split())
            elif quantity["name"] not in states:
                ends = [part["valueQuantity"]["value"] for part in one["component"]]
                assert [one["valueQuantity"]["value"], *ends] == [quantity[k] for k in ("value", "low", "high")]
                assert one["method"]["text"] == " ".join(quantity["method"].split())
    verdicts = Counter(
        (own_code(one["code"]), own_code(one["valueCodeableConcept"])) for one in told if "valueCodeableConcept" in one
    )
    table = read_table("dicom_objects")["sr"]["verdict"]
    targets = {row["id"] for row in measured["lesions"]} | {q["target"] for q in measured["organs"]} | {"study"}
    for finding in judged["findings"]:
        assert finding["target"] in targets
        assert verdicts[finding["criterion_id"], table[finding["verdict"]]["value"]] > 0
    asked = Counter(f["criterion_id"] for f in judged["findings"])
    found = Counter(code for code, _ in verdicts.elements() if code in asked)
    assert found == asked
    count = sum(len(row["quantities"]) for row in measured["lesions"]) + len(measured["organs"])
    assert len(told) == count + len(judged["findings"]) + len(judged["classifications"])


def test_codes_and_units_are_those_of_the_structured_report(before: Row) -> None:
    by_text = {one["code"]["text"]: one for one in resources(before, "Observation").values()}
    long_axis = by_text["Long diameter, axial"]
    assert long_axis["code"]["coding"][0] == {
        "system": "http://snomed.info/sct", "code": "103339001", "display": "Long axis",
    }  # fmt: skip
    assert by_text["Volume"]["code"]["coding"][0]["system"] == "urn:oid:1.2.840.10008.2.16.13"
    assert by_text["Volume"]["valueQuantity"]["code"] == "mL"
    (study,) = resources(before, "ImagingStudy").values()
    assert study["identifier"][0]["value"].startswith("urn:oid:1.2.826.")
    (device,) = resources(before, "Device").values()
    versions = {row["type"]["text"]: row["value"] for row in device["version"]}
    assert versions["liverimg"] == package.__version__
    assert len(versions["labels sha256"]) == 64


def test_after_treatment_both_studies_are_named_and_told_apart(treated: Path) -> None:
    bundle = package.to_fhir(treated)
    after, before = resources(bundle, "ImagingStudy")
    observations = resources(bundle, "Observation").values()
    origins = Counter(one["derivedFrom"][0]["reference"] for one in observations)
    assert set(origins) == {after, before}
    dates = {one["derivedFrom"][0]["reference"]: one["effectiveDateTime"] for one in observations}
    assert dates == {after: "2026-02-16", before: "2026-01-05"}
    codes = {own_code(one["code"]) for one in observations}
    assert {"minimal_ablation_margin", "fate", "new_lesion"} <= codes
    subject = {one["subject"]["reference"] for one in observations}
    assert subject == set(resources(bundle, "Patient"))


def test_the_same_results_give_the_same_bytes(assessed: Path, tmp_path: Path, liverimg: Callable[..., Any]) -> None:
    for name in ("one.json", "two.json"):
        said = liverimg("export", assessed, "--fhir", tmp_path / name)
        assert said.code == 0, said.err
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert liverimg("validate", tmp_path / "one.json").code == 0


def test_the_subject_is_nobody_unless_a_reference_is_given(assessed: Path, before: Row) -> None:
    (patient,) = resources(before, "Patient").values()
    assert set(patient) == {"resourceType", "identifier"}
    named = package.to_fhir(assessed, patient_reference="Patient/123")
    assert not resources(named, "Patient")
    assert {one["subject"]["reference"] for one in resources(named, "Observation").values()} == {"Patient/123"}
    Bundle.model_validate(named)
    for wrong in ("123", "Patient/", "Patient/a b", "Group/1", "javascript:alert(1)"):
        with pytest.raises(package.UsageError, match="patient-reference"):
            package.to_fhir(assessed, patient_reference=wrong)
