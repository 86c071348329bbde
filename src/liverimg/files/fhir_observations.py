"""Numbers, states, reasons, verdicts and classes as FHIR R4 Observations.

A number's 95 % band stands in two components. A reference range would say what is normal, a range in place of the value
would lose the best estimate, and an extension is something that a reader may ignore without knowing it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from liverimg.core.assessment import Classification, Finding, Verdict
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.published import Group, Statement
from liverimg.files.fhir_elements import Wording, plain, urn
from liverimg.files.records import Record


@dataclass(frozen=True, eq=False)
class Shared:
    """What all Observations of a group have in common.

    Attributes:
        study_uid: Of the study that the results are of.
        elements: Subject, study, device, date, place: R4 elements as they stand.
        notes: Sentences that belong to each of them.
    """

    study_uid: str
    elements: Mapping[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()


def observations(group: Group, shared: Shared, wording: Wording) -> Iterator[tuple[str, Record]]:
    """Each thing that a group says, with its name.

    Args:
        group: Measurements and findings of one thing.
        shared: What its Observations have in common.
        wording: Codes.
    """
    measured: dict[tuple[str, str], str] = {}
    for quantity in group.quantities:
        name = urn(shared.study_uid, group.target, "quantity", quantity.target, quantity.name)
        measured[quantity.target, quantity.name] = name
        yield name, _put(shared, **_measured(quantity, wording, of_lesion=group.lesion_codes))
    for number, statement in enumerate(group.statements):
        name = urn(shared.study_uid, group.target, "statement", statement.name.value, str(number))
        yield name, _put(shared, **_stated(statement, wording))
    for finding in group.findings:
        name = urn(shared.study_uid, group.target, "finding", finding.criteria_set, finding.criterion_id)
        judged = () if finding.quantity is None else (finding.quantity.target, finding.quantity.name)
        yield name, _put(shared, **_finding(finding, wording), rests_on=measured.get(judged))  # type: ignore[arg-type]
    for found in group.classifications:
        name = urn(shared.study_uid, group.target, "class", found.criteria_set, found.category_id)
        yield name, _put(shared, **_class(found, wording))


def _put(
    shared: Shared, *, code: Record, value: Record, notes: tuple[str, ...] = (), rests_on: str | None = None
) -> Record:
    """One Observation: what it is, what was found, and what all of its group share."""
    made = {"resourceType": "Observation", **shared.elements, "code": code, **value}
    if rests_on is not None:
        made["derivedFrom"] = [*made.get("derivedFrom", ()), {"reference": rests_on}]
    said = [{"text": plain(note)} for note in (*notes, *shared.notes) if note.strip()]
    return made | ({"note": said} if said else {})


def _measured(quantity: Measured, wording: Wording, *, of_lesion: bool) -> dict[str, Any]:
    name, public = wording.names.quantity(quantity.name, of_lesion=of_lesion)
    # Our own name always stands beside a public one: two numbers of a lesion may share a public code, never ours.
    own, _ = wording.names.quantity(quantity.name, of_lesion=False)
    codes = dict.fromkeys(one for one in (name, public, own) if one is not None)
    code = wording.concept(*codes, text=own.meaning)
    if isinstance(quantity, NotMeasured):
        return {"code": code, "value": {"dataAbsentReason": _absent(quantity.reason, wording)}}
    method = {"method": {"text": plain(quantity.method)}} if quantity.method else {}
    if wording.names.states(quantity.name):
        state, possible = wording.names.state(quantity)
        return {
            "code": code,
            "value": {"valueCodeableConcept": wording.concept(state)} | method,
            "notes": (possible,) if possible else (),
        }
    return {"code": code, "value": _number(quantity, wording) | method}


def _number(quantity: Measurement, wording: Wording) -> Record:
    ends = ((wording.table["band"]["low"], quantity.low), (wording.table["band"]["high"], quantity.high))
    return {
        "valueQuantity": wording.quantity(quantity.value, quantity.unit),
        "component": [
            {"code": wording.concept(wording.own(row)), "valueQuantity": wording.quantity(end, quantity.unit)}
            for row, end in ends
        ],
    }


def _absent(reason: str, wording: Wording) -> Record:
    row = wording.table["absent"]
    return {"coding": [{key: row[key] for key in ("system", "code", "display")}], "text": plain(reason)}


def _stated(statement: Statement, wording: Wording) -> dict[str, Any]:
    code = wording.concept(statement.name)
    if statement.value is None:
        return {"code": code, "value": {"valueString": plain(statement.text)}}
    return {
        "code": code,
        "value": {"valueCodeableConcept": wording.concept(statement.value)},
        "notes": (statement.text,),
    }


def _finding(finding: Finding, wording: Wording) -> dict[str, Any]:
    settled_by = finding.settled_by if finding.verdict is Verdict.UNDETERMINED else ""
    return {
        "code": wording.concept(wording.names.own(finding.criterion_id, finding.title)),
        "value": {
            "valueCodeableConcept": wording.concept(wording.names.verdicts[finding.verdict]),
            "method": {"text": plain(f"Source: {finding.source}")},
        },
        "notes": (finding.statement, f"Settled by: {settled_by}" if settled_by else "", *finding.notes),
    }


def _class(found: Classification, wording: Wording) -> dict[str, Any]:
    names = wording.names
    answer = (
        names.own(f"{found.category_id}={found.answer}", f"{found.title}: {found.answer}")
        if found.answer
        else names.verdicts[Verdict.UNDETERMINED]
    )
    value: Record = {
        "valueCodeableConcept": wording.concept(answer),
        "method": {"text": plain(f"Source: {found.source}")},
    }
    if not found.answer and found.possible:
        value["component"] = [
            {
                "code": wording.concept(wording.own(wording.table["possible"])),
                "valueCodeableConcept": wording.concept(
                    names.own(f"{found.category_id}={one}", f"{found.title}: {one}")
                ),
            }
            for one in found.possible
        ]
    settled_by = "" if found.answer else found.settled_by
    return {
        "code": wording.concept(names.own(found.category_id, found.title)),
        "value": value,
        "notes": (found.statement, f"Settled by: {settled_by}" if settled_by else "", *found.notes),
    }
