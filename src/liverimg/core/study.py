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
    """Contrast phase of a volume; ARTERIAL is the late arterial one. UNKNOWN is an honest answer."""

    UNENHANCED = "unenhanced"
    EARLY_ARTERIAL = "early_arterial"
    ARTERIAL = "arterial"
    PORTAL_VENOUS = "portal_venous"
    DELAYED = "delayed"
    HEPATOBILIARY = "hepatobiliary"
    UNKNOWN = "unknown"


class ImageKind(StrEnum):
    """What a volume's values show. Only CT and T1_DYNAMIC, and what nobody could name, may have a contrast phase."""

    CT = "ct"
    CT_DERIVED = "ct_derived"
    T1_DYNAMIC = "t1_dynamic"
    T1 = "t1"
    T2 = "t2"
    DWI = "dwi"
    ADC = "adc"
    IN_PHASE = "in_phase"
    OPPOSED_PHASE = "opposed_phase"
    DIXON_WATER = "dixon_water"
    DIXON_FAT = "dixon_fat"
    MRCP = "mrcp"
    SUBTRACTION = "subtraction"
    OTHER = "other"
    UNKNOWN = "unknown"


class Role(StrEnum):
    """What a series is used for. REFERENCE is what labels and measurements refer to."""

    REFERENCE = "reference"
    UNENHANCED = "unenhanced"
    ARTERIAL = "arterial"
    PORTAL_VENOUS = "portal_venous"
    DELAYED = "delayed"
    HEPATOBILIARY = "hepatobiliary"


class Confidence(StrEnum):
    """How sure a phase or a kind is; our own scale, ``docs/explanation/phases.md`` explains it.

    HIGH: a person said so, or two strong sources that don't depend on each other agree and none disagrees.
    MODERATE: one strong source, none disagrees. LOW: weak sources alone, or sources disagree. NONE: unknown.
    """

    HIGH = "high"
    MODERATE = "moderate"
    LOW = "low"
    NONE = "none"


@dataclass(frozen=True)
class PhaseEvidence:
    """One observation about a phase.

    Attributes:
        source: Where it was seen, such as ``ContrastBolusStartTime`` or ``SeriesDescription``.
        says: The phase that it speaks for; UNKNOWN when it only narrows the choice.
        detail: What was seen, free of identity, such as ``72 s after the start of injection``.
        allows: Further phases that it does not speak against.
    """

    source: str
    says: Phase
    detail: str
    allows: tuple[Phase, ...] = ()


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
        phase_confidence: How sure the phase is.
        kind: What the values show: CT, T1-weighted dynamic, T2, diffusion, ...
        kind_evidence: What the kind rests on, one short sentence each.
        kind_confidence: How sure the kind is.
        time_s: When the volume was acquired, in seconds from the study's first volume; None when no tag says.
        series_number: SeriesNumber, as consoles show it; None without one.
        slice_thickness_mm: SliceThickness; None when no tag says.
        widest_gap_mm: Widest distance between two acquired slices where the volume was resampled from unevenly spaced
            ones; None where they were even.
        number: Its place in the list of the study's volumes as the headers give it, from 1: what ``--use`` and the
            volume's file name call it. 0 when it comes from elsewhere.
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
    phase_confidence: Confidence = Confidence.NONE
    kind: ImageKind = ImageKind.UNKNOWN
    kind_evidence: tuple[str, ...] = ()
    kind_confidence: Confidence = Confidence.NONE
    time_s: float | None = None
    number: int = 0
    series_number: int | None = None
    slice_thickness_mm: float | None = None
    widest_gap_mm: float | None = None


@dataclass(frozen=True)
class RoleChoice:
    """Which volume of a study serves a role.

    Attributes:
        role: The role.
        series: Index into :attr:`Study.series`.
        by_person: Whether a person chose it; else the rules did.
        reason: Why, one sentence.
    """

    role: Role
    series: int
    by_person: bool
    reason: str


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
        roles: Which volume serves which role, at most one for each; a role that none can serve is absent.
        warnings: What a person should look at, one sentence each.
        patient_check: Sixteen bits of a hash of PatientID, as four hexadecimal digits, or None without one: enough to
            notice that two studies are of different patients, too few to find a patient by.
    """

    study_instance_uid: str
    study_date: str | None
    series: tuple[Series, ...]
    rejected: tuple[Rejected, ...] = field(default_factory=tuple)
    clips: tuple[Clip, ...] = ()
    roles: tuple[RoleChoice, ...] = ()
    warnings: tuple[str, ...] = ()
    patient_check: str | None = None
