"""A study as it was received: which series became volumes, which did not, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from liverimg.core.cine import Clip
from liverimg.core.grid import Grid


class Modality(StrEnum):
    """DICOM modalities that the pipeline reads."""

    CT = "CT"
    MR = "MR"
    US = "US"


class Phase(StrEnum):
    """Contrast phase of a volume. UNKNOWN is an honest answer."""

    UNENHANCED = "unenhanced"
    EARLY_ARTERIAL = "early_arterial"
    ARTERIAL = "arterial"
    PORTAL_VENOUS = "portal_venous"
    DELAYED = "delayed"
    HEPATOBILIARY = "hepatobiliary"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PhaseEvidence:
    """One observation that speaks for a phase.

    Attributes:
        source: Where it was seen, such as ``ContrastBolusStartTime`` or ``SeriesDescription``.
        says: The phase that it speaks for.
        detail: What was seen, free of identity, such as ``72 s after the start of injection``.
    """

    source: str
    says: Phase
    detail: str


@dataclass(frozen=True)
class Series:
    """One volume's worth of a study.

    Attributes:
        series_instance_uid: DICOM UID. Several volumes may come from one series (phases in one series).
        modality: CT or MR.
        phase: Contrast phase.
        phase_evidence: What the phase rests on; empty for UNKNOWN.
        grid: Where the voxels lie.
        description: SeriesDescription, cleaned of control characters.
        flags: Oddities that were tolerated or corrected, as documented codes.
        sop_instance_uids: One per slice along array axis k, or one for a multi-frame object.
        acquired_at: AcquisitionDateTime of the volume as ``YYYYMMDDHHMMSS``, or None.
    """

    series_instance_uid: str
    modality: Modality
    phase: Phase
    phase_evidence: tuple[PhaseEvidence, ...]
    grid: Grid
    description: str = ""
    flags: tuple[str, ...] = ()
    sop_instance_uids: tuple[str, ...] = ()
    acquired_at: str | None = None


@dataclass(frozen=True)
class Rejected:
    """Something that was not used.

    Attributes:
        what: A series UID, or the name of a file relative to the study folder.
        code: Documented refusal code.
        reason: One sentence for a person.
    """

    what: str
    code: str
    reason: str


@dataclass(frozen=True)
class Study:
    """All that came out of one study folder.

    Attributes:
        study_instance_uid: DICOM UID.
        study_date: ``YYYYMMDD`` or None.
        series: The volumes that can be used.
        rejected: Everything else, with reasons.
        clips: Ultrasound loops and series of stills that can be used.
    """

    study_instance_uid: str
    study_date: str | None
    series: tuple[Series, ...]
    rejected: tuple[Rejected, ...] = field(default_factory=tuple)
    clips: tuple[Clip, ...] = ()
