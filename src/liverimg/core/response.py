"""What a study after treatment says of each lesion: covered, left over, not treated, new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from liverimg.core.assessment import Classification, NotApplied
from liverimg.core.measurement import Measured, Point, find
from liverimg.core.motion import RigidMotion

# Said wherever the absence of residual tumour rests on outlines that were given, and on no search of the program's.
NOT_SEARCHED = "no residual focus is drawn, and the program did not search for any"


class Fate(StrEnum):
    """What became of a lesion of the baseline.

    TREATED: a zone was made for it. PERHAPS_TREATED: what lies at its place as a zone does may be dead tissue that it
    had before. UNTREATED: no zone lies on it and a person drew a tumour where it lay. NOT_FOUND: no zone, and no tumour
    or one that a model drew, which proves nothing. UNKNOWN: where it lies now is not known.
    """

    TREATED = "treated"
    PERHAPS_TREATED = "perhaps_treated"
    UNTREATED = "untreated"
    NOT_FOUND = "not_found"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Treatment:
    """One treatment, as a person gave it.

    Attributes:
        day: When.
        kind: A key of ``treatments.toml``; None when not given.
    """

    day: date
    kind: str | None = None


@dataclass(frozen=True)
class Timepoint:
    """When a study was made, counted from the last treatment before it.

    Attributes:
        days: Since that treatment; None when either date is not known.
        windows: Ids of the windows of ``response.toml`` that this day lies in.
        statement: One sentence.
        bias: What is known to be wrong with images of this time; empty where nothing is.
    """

    days: int | None
    windows: tuple[str, ...]
    statement: str
    bias: str = ""


@dataclass(frozen=True)
class Spot:
    """A place that a treatment might aim at again.

    Attributes:
        now_lps_mm: In the study after treatment.
        before_lps_mm: In the baseline; None when not known.
        direction: From the lesion's centre, in words, such as ``to the head and the right``.
        segments: Couinaud segments that it may lie in, the likeliest first; empty when not known.
        vessel: Name of the nearest vessel; empty when none is drawn.
        vessel_distance: Distance from the place to that vessel's surface.
        note: What could not be told, one sentence; empty otherwise.
    """

    now_lps_mm: Point
    before_lps_mm: Point | None
    direction: str
    segments: tuple[int, ...]
    vessel: str
    vessel_distance: Measured
    note: str = ""


@dataclass(frozen=True)
class Part:
    """A zone, a residual focus, or a tumour that may be new, with what was measured of it.

    Attributes:
        id: ``Z1``, ``R1``, ``N1``, ... or a reader's own name.
        tracking_uid: The same in every later study.
        origin: ``drawn``, ``model`` or ``rule``.
        centroid_lps_mm: In the study after treatment.
        quantities: What was measured of it, or why not.
        lesions: Lesions of the baseline that it belongs to, or may belong to.
        zone: The zone that a focus lies at; empty for zones and new tumours.
        spot: Where it lies, in words; None for zones.
        local: Of a tumour that may be new: whether it lies so near ``zone`` that it may be a rest or a progression of
            what was treated there. False for all others.
        notes: What a reader must know.
    """

    id: str
    tracking_uid: str
    origin: str
    centroid_lps_mm: Point
    quantities: tuple[Measured, ...]
    lesions: tuple[str, ...] = ()
    zone: str = ""
    spot: Spot | None = None
    local: bool = False
    notes: tuple[str, ...] = ()

    def quantity(self, name: str) -> Measured:
        """The quantity of that name; NotMeasured when nobody asked for it."""
        return find(self.quantities, name, target=self.id)


@dataclass(frozen=True, eq=False)
class LesionResponse:
    """One lesion of the baseline, after treatment.

    Attributes:
        id: Its name in the baseline.
        tracking_uid: The same in every study.
        fate: What became of it.
        statement: One sentence for a person.
        before_lps_mm: Its centre in the baseline.
        now_lps_mm: Where that lies now; None when its motion is not known.
        motion: From the baseline into this study; None when it could not be found.
        motion_error_mm: 95 % bound of its error; None without a motion.
        zone: The zone that was made for it; empty without one.
        foci: Residual foci that may be a rest of it.
        baseline: What was measured of it before.
        quantities: What was measured now.
        thinnest: Where the margin is smallest; None without a margin.
        classifications: Margin class, treatment response and terms, each as far as the bands allow.
        not_applied: What was not asked of it, and why.
    """

    id: str
    tracking_uid: str
    fate: Fate
    statement: str
    before_lps_mm: Point
    now_lps_mm: Point | None
    motion: RigidMotion | None
    motion_error_mm: float | None
    zone: str
    foci: tuple[str, ...]
    baseline: tuple[Measured, ...]
    quantities: tuple[Measured, ...]
    thinnest: Spot | None = None
    classifications: tuple[Classification, ...] = ()
    not_applied: tuple[NotApplied, ...] = ()

    def quantity(self, name: str) -> Measured:
        """What was measured now under that name; NotMeasured when nobody asked for it."""
        return find(self.quantities, name, target=self.id)

    def before(self, name: str) -> Measured:
        """What was measured in the baseline under that name; NotMeasured when nobody asked for it."""
        return find(self.baseline, name, target=self.id)


@dataclass(frozen=True)
class CriterionResponse:
    """The response of a study by one criterion.

    Attributes:
        id: Of the criterion, such as ``mrecist``.
        targets: The target lesions.
        left_out: Lesions that are no targets by this criterion, each with the reason.
        baseline: Sum over the targets before treatment.
        nadir: The smallest sum so far, the baseline's included.
        current: The sum now.
        target: Response of the targets by themselves.
        overall: With new lesions and all others.
    """

    id: str
    targets: tuple[str, ...]
    left_out: Mapping[str, str]
    baseline: Measured
    nadir: Measured
    current: Measured
    target: Classification
    overall: Classification


@dataclass(frozen=True, eq=False)
class StudyResponse:
    """All that a study after treatment says.

    Attributes:
        treatments: As a person gave them, in order.
        timepoint: When the study was made.
        lesions: Of the baseline.
        zones: What does not enhance.
        foci: What still enhances at a zone's border.
        candidates: Tumours that belong to no lesion of the baseline and to no zone: they may be new.
        new_lesion: Whether there is a new lesion away from all zones; None where only a model looked, or nobody.
        criteria: Response of the study by each criterion.
        not_applied: Criteria that were not asked, and why.
        warnings: What a reader must know before using any of it.
    """

    treatments: tuple[Treatment, ...]
    timepoint: Timepoint
    lesions: tuple[LesionResponse, ...]
    zones: tuple[Part, ...]
    foci: tuple[Part, ...]
    candidates: tuple[Part, ...]
    new_lesion: bool | None = None
    criteria: tuple[CriterionResponse, ...] = ()
    not_applied: tuple[NotApplied, ...] = ()
    warnings: tuple[str, ...] = ()
