"""Results as a FHIR R4 Bundle: one DiagnosticReport, its Observations, and what they are about.

The groups of measurements are those of the DICOM SR, so both say the same in the same codes. Nothing in the bundle
tells who the patient is: without a reference from outside the subject is a Patient resource that has a name of this
study's own and nothing else. No moment of writing is kept, so the same results give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from liverimg.core.published import Group
from liverimg.files.fhir_elements import Wording, entry, plain, uid_identifier, uri_identifier, urn
from liverimg.files.fhir_observations import Shared, observations
from liverimg.files.records import Record

_STUDY = "study"
_PRETREATMENT = "Pretreatment"


@dataclass(frozen=True)
class ImagedStudy:
    """A study that numbers come from.

    Attributes:
        uid: StudyInstanceUID.
        date: YYYY-MM-DD; None when not known.
        series: SeriesInstanceUID and modality of each series that is known.
    """

    uid: str
    date: str | None
    series: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Maker:
    """What made the results.

    Attributes:
        name: Of the program.
        manufacturer: Of the program.
        parts: Name and version, or hash, of everything that took part.
        disclaimer: What every reader must know.
    """

    name: str
    manufacturer: str
    parts: tuple[tuple[str, str], ...]
    disclaimer: str


@dataclass(frozen=True, eq=False)
class Told:
    """All that a bundle tells.

    Attributes:
        study: That the results are of.
        baseline: The study that it is held against; None without one.
        groups: Measurements and findings, as the DICOM SR has them.
        maker: What made them.
        patient_reference: Whom they are about, as a server knows them; None names nobody.
    """

    study: ImagedStudy
    baseline: ImagedStudy | None
    groups: Sequence[Group]
    maker: Maker
    patient_reference: str | None = None


def results_to_fhir(told: Told, wording: Wording) -> Record:
    """The bundle (R4, type collection).

    Args:
        told: What it tells.
        wording: Codes.
    """
    uid = told.study.uid
    # Both studies of one patient get the same stand-in where the later one is held against the earlier.
    pseudonym = urn((told.baseline or told.study).uid, "patient")
    subject = {"reference": told.patient_reference or pseudonym}
    device = urn(uid, "device", *(text for part in told.maker.parts for text in part))
    bodies = _bodies(told, subject, wording)
    found = list(_observed(told, subject, {"reference": device}, wording))
    report = urn(uid, "report")
    entries = [
        entry(
            report,
            _report(told, subject, [name for name, _ in found], wording) | {"identifier": [uri_identifier(report)]},
        )
    ]
    if told.patient_reference is None:
        entries.append(entry(pseudonym, {"resourceType": "Patient", "identifier": [uri_identifier(pseudonym)]}))
    entries.append(entry(device, _device(told.maker)))
    entries += [entry(urn(s.uid, "study"), _imaging_study(s, subject, wording)) for s in _studies(told)]
    entries += [entry(name, body) for name, body in bodies]
    entries += [entry(name, resource) for name, resource in found]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "identifier": uri_identifier(urn(uid, "bundle")),
        "entry": entries,
    }


def _studies(told: Told) -> tuple[ImagedStudy, ...]:
    return (told.study,) if told.baseline is None else (told.study, told.baseline)


def _report(told: Told, subject: Record, results: list[str], wording: Wording) -> Record:
    row = wording.table["report"]
    notes = [note for group in told.groups if group.target == _STUDY for note in group.notes]
    return {
        "resourceType": "DiagnosticReport",
        "status": row["status"],
        "category": [{"coding": [dict(row["category"])]}],
        "code": {"coding": [dict(row["code"])], "text": row["code"]["display"]},
        "subject": subject,
        **({"effectiveDateTime": told.study.date} if told.study.date else {}),
        "imagingStudy": [{"reference": urn(s.uid, "study")} for s in _studies(told)],
        "result": [{"reference": name} for name in results],
        "conclusion": plain(" ".join(notes or [told.maker.disclaimer])),
    }


def _device(maker: Maker) -> Record:
    return {
        "resourceType": "Device",
        "status": "active",
        "manufacturer": maker.manufacturer,
        "deviceName": [{"name": maker.name, "type": "model-name"}],
        "version": [{"type": {"text": plain(name)}, "value": plain(value)} for name, value in maker.parts],
        "note": [{"text": plain(maker.disclaimer)}],
    }


def _imaging_study(study: ImagedStudy, subject: Record, wording: Wording) -> Record:
    made: Record = {
        "resourceType": "ImagingStudy",
        "identifier": [uid_identifier(study.uid)],
        "status": "available",
        "subject": subject,
    }
    if study.date:
        made["started"] = study.date
    if study.series:
        system = wording.table["system"]["DCM"]
        made["series"] = [
            {"uid": uid, "modality": {"system": system, "code": modality}} for uid, modality in study.series
        ]
    return made


def _bodies(told: Told, subject: Record, wording: Wording) -> Iterator[tuple[str, Record]]:
    """Each lesion, zone and focus, once: what Observations of it have as their focus."""
    seen = set()
    for group in told.groups:
        if group.kind is None or group.tracking_uid in seen:
            continue
        seen.add(group.tracking_uid)
        made: Record = {
            "resourceType": "BodyStructure",
            "identifier": [uid_identifier(group.tracking_uid)],
            "morphology": wording.concept(group.kind),
            "description": plain("; ".join((group.target, *group.notes))),
            "patient": subject,
        }
        if group.site is not None:
            made["location"] = wording.concept(group.site)
        yield urn(told.study.uid, "body", group.tracking_uid), made


def _observed(told: Told, subject: Record, device: Record, wording: Wording) -> Iterator[tuple[str, Record]]:
    for group in told.groups:
        is_before = group.time_point == _PRETREATMENT
        study = told.baseline if is_before and told.baseline is not None else told.study
        elements: dict[str, Any] = {
            "status": wording.table["observation"]["status"],
            "category": [{"coding": [dict(wording.table["observation"]["category"])]}],
            "subject": subject,
            "device": device,
            "derivedFrom": [{"reference": urn(study.uid, "study")}],
        }
        if study.date:
            elements["effectiveDateTime"] = study.date
        if group.kind is not None:
            elements["focus"] = [{"reference": urn(told.study.uid, "body", group.tracking_uid)}]
        if group.site is not None:
            elements["bodySite"] = wording.concept(group.site)
        notes = (str(wording.table["words"]["before"]),) if is_before else ()
        yield from observations(group, Shared(told.study.uid, elements, notes), wording)
