"""What a stage may leave for the next, and how it came to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Artefact(StrEnum):
    """Everything that a stage may leave for the next, by its place in the folder."""

    STUDY = "study.json"
    VOLUMES = "volumes"
    CINES = "cines"
    LABELS = "labels.nii.gz"
    LABEL_NAMES = "labels.json"
    SEGMENTS = "segments.nii.gz"
    LABEL_QUALITY = "label_quality.json"
    CONFIDENCE = "confidence.nii.gz"
    PHASES = "phases.json"
    MEASUREMENTS = "measurements.json"
    WINDOW = "window.json"
    ASSESSMENT = "assessment.json"
    SESSIONS = "sessions.nii.gz"
    REPORT = "report.html"
    PERFUSION = "perfusion.json"
    PERFUSION_MAPS = "perfusion"
    PERFUSION_REPORT = "perfusion.html"
    ALIGNMENT = "alignment.json"
    ZONES = "zones.nii.gz"
    ZONE_NAMES = "zones.json"
    RESPONSE = "response.json"
    MARGINS = "margins"
    RESPONSE_REPORT = "response.html"
    DICOM_OUT = "dicom"
    MESHES = "meshes"


@dataclass(frozen=True)
class Provenance:
    """How a stage's outputs came to be.

    Attributes:
        stage: Name of the stage.
        version: The stage's own version.
        key: Hash of everything the outputs depend on.
        reads: Hash of each artefact read.
        writes: Hash of each artefact written.
        depends_on: Hash of each input from outside the folder (study, model, criteria).
        settings: The stage's settings, without paths.
        software: Versions that took part.
        details: What else is worth knowing, such as the seconds that it took.
    """

    stage: str
    version: int
    key: str
    reads: Mapping[str, str]
    writes: Mapping[str, str]
    depends_on: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    software: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
