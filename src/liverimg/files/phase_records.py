"""``phases.json``: the phases of a study by headers, order and image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from liverimg.core.study import Confidence, ImageKind, Phase, Series, Study
from liverimg.files.records import Record
from liverimg.files.study_records import (
    SCHEMA_VERSION,
    evidence_from_record,
    evidence_to_record,
    role_from_record,
    role_to_record,
)


class Verdict(StrEnum):
    """What the image says of the phase that the headers name."""

    AGREES = "agrees"
    ALLOWS = "allows"
    CONTRADICTS = "contradicts"
    DECIDES = "decides"
    NARROWS = "narrows"
    SILENT = "silent"


@dataclass(frozen=True)
class ImageRow:
    """What was seen in one image.

    Attributes:
        verdict: Against the headers.
        values: Median of each organ's core.
        unit: ``HU`` or ``signal``.
        detail: In words.
    """

    verdict: Verdict
    values: Mapping[str, float]
    unit: str
    detail: str


def phases_to_record(before: Study, after: Study, *, files: Sequence[str], images: Sequence[ImageRow]) -> Record:
    """A study's phases as ``phases.json``.

    Args:
        before: As ingested.
        after: The same series, with phases by all evidence, roles and warnings.
        files: Path of each series' volume.
        images: What each image showed.
    """
    return {
        "record": "phases",
        "schema_version": SCHEMA_VERSION,
        "study_instance_uid": after.study_instance_uid,
        "volumes": [
            _row(one, other, file, image)
            for one, other, file, image in zip(before.series, after.series, files, images, strict=True)
        ],
        "roles": [role_to_record(choice, after, files) for choice in after.roles],
        "warnings": list(after.warnings),
    }


def _row(before: Series, after: Series, file: str, image: ImageRow) -> Record:
    return {
        "file": file,
        "number": after.number,
        "series_instance_uid": after.series_instance_uid,
        "kind": after.kind.value,
        "by_headers": {"phase": before.phase.value, "confidence": before.phase_confidence.value},
        "phase": after.phase.value,
        "phase_confidence": after.phase_confidence.value,
        "phase_evidence": evidence_to_record(after.phase_evidence),
        "flags": list(after.flags),
        "image": {
            "verdict": image.verdict.value,
            "values": {name: round(value, 1) for name, value in image.values.items()},
            "unit": image.unit,
            "detail": image.detail,
        },
    }


def with_phases(study: Study, record: Mapping[str, Any]) -> Study:
    """A study with the phases, roles and warnings of its ``phases.json``."""
    rows = record["volumes"]
    series = tuple(
        replace(
            one,
            phase=Phase(row["phase"]),
            phase_confidence=Confidence(row["phase_confidence"]),
            phase_evidence=tuple(evidence_from_record(e) for e in row["phase_evidence"]),
            kind=ImageKind(row["kind"]),
            flags=tuple(row["flags"]),
        )
        for one, row in zip(study.series, rows, strict=True)
    )
    roles = tuple(role_from_record(row, rows) for row in record["roles"])
    return replace(study, series=series, roles=roles, warnings=tuple(record["warnings"]))
