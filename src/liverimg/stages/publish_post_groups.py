"""What a structured report says after treatment: lesions, margins, zones, foci, tumours that may be new, the study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from liverimg.assess.treated import MARGIN_CLASS
from liverimg.core.assessment import NotApplied
from liverimg.core.catalogue import CodedConcept
from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.published import Group, SegmentName, Statement
from liverimg.core.response import LesionResponse, Part, Spot, StudyResponse
from liverimg.core.tracking import tracking_uid
from liverimg.files.tables import Table, read_table
from liverimg.stages.publish_content import SEG, SEG_BEFORE, concepts, own

_STUDY: Final = "study"
# What measurements.json says of a lesion of another organ.
_OUTSIDE: Final = "the lesion lies outside the liver"
_BEFORE, _AFTER = "Pretreatment", "Posttreatment"


@dataclass(frozen=True, eq=False)
class _Words:
    """Codes, and what lies in the liver."""

    table: Table
    in_liver: Mapping[str, bool]

    def name(self, key: str) -> CodedConcept:
        """One of our own names."""
        return own(self.table, key, str(self.table["sr"]["name"][key]))

    def say(self, key: str, text: str) -> tuple[Statement, ...]:
        """A sentence under one of our own names; nothing for no sentence."""
        return (Statement(self.name(key), None, text),) if text else ()

    def answer(self, key: str, value: str, text: str = "") -> Statement:
        """A code under one of our own names."""
        meaning = self.table["sr"]["answer"][key][value]
        return Statement(self.name(key), own(self.table, f"{key}={value}", str(meaning)), text)

    def site(self, target: str, baseline: Sequence[Measured] = ()) -> CodedConcept | None:
        """The liver, unless a target's voxels or the baseline say that it lies outside."""
        outside = any(isinstance(q, NotMeasured) and q.reason == _OUTSIDE for q in baseline)
        return None if outside or not self.in_liver.get(target, True) else concepts(self.table)[Structure.LIVER]


def response_groups(
    response: StudyResponse, *, notes: Sequence[str], in_liver: Mapping[str, bool], study_uid: str, table: Table
) -> tuple[Group, ...]:
    """Everything that ``response.json`` holds.

    Args:
        response: What was found.
        notes: What a reader must know first.
        in_liver: Whether a lesion, zone or focus lies in the liver, where that is known.
        study_uid: StudyInstanceUID of the study after treatment.
        table: ``dicom_objects.toml``.
    """
    words = _Words(table, in_liver)
    groups: list[Group] = []
    for lesion in response.lesions:
        groups += _lesion(lesion, words)
    groups += [_part(part, words, kind=Structure.ABLATION_ZONE) for part in response.zones]
    groups += [_part(part, words, kind=Structure.TUMOUR) for part in (*response.foci, *response.candidates)]
    return (*groups, _study(response, words, notes=notes, uid=tracking_uid(study_uid, _STUDY)))


def _lesion(lesion: LesionResponse, words: _Words) -> Iterator[Group]:
    """The lesion now, its margin where a zone was made for it, and the lesion as it was before treatment."""
    kind = concepts(words.table)[Structure.TUMOUR]
    margin = [q for q in lesion.quantities if _is_margin(q, words.table)] if lesion.zone else []
    rest = tuple(q for q in lesion.quantities if q not in margin)
    of_margin = tuple(c for c in lesion.classifications if c.category_id == MARGIN_CLASS)
    segment = SegmentName(SEG_BEFORE if lesion.zone else SEG, lesion.id)
    foci = tuple((words.name("focus_segment"), SegmentName(SEG, name)) for name in lesion.foci)
    yield Group(
        target=lesion.id,
        tracking_uid=lesion.tracking_uid,
        quantities=rest,
        kind=kind,
        site=words.site(lesion.id, lesion.baseline),
        segment=segment,
        beside=foci,
        lesion_codes=True,
        time_point=_AFTER,
        statements=(words.answer("fate", lesion.fate.value, lesion.statement), *_not_asked(lesion.not_applied, words)),
        classifications=tuple(c for c in lesion.classifications if c not in of_margin),
    )
    if lesion.zone:
        yield Group(
            target=f"{lesion.id} margin",
            tracking_uid=lesion.tracking_uid,
            quantities=(*margin, *_registration(lesion), *_vessel(lesion.thinnest)),
            kind=words.name("ablation_margin"),
            site=words.site(lesion.id, lesion.baseline),
            segment=segment,
            beside=((words.name("ablation_zone_segment"), SegmentName(SEG, lesion.zone)),),
            time_point=_AFTER,
            statements=_spot(lesion.thinnest, words),
            classifications=of_margin,
        )
    yield Group(
        target=f"{lesion.id} before treatment",
        tracking_uid=lesion.tracking_uid,
        quantities=lesion.baseline,
        kind=kind,
        site=words.site(lesion.id, lesion.baseline),
        lesion_codes=True,
        has_places=False,
        time_point=_BEFORE,
    )


def _is_margin(quantity: Measured, table: Table) -> bool:
    return any(fnmatchcase(quantity.name, pattern) for pattern in table["sr"]["margin_quantities"])


def _registration(lesion: LesionResponse) -> tuple[Measured, ...]:
    """How far the lesion may have been laid beside its place: a bound, not a best estimate."""
    error_mm = lesion.motion_error_mm
    if error_mm is None:
        return ()
    words = "95 % bound of the error with which the lesion was laid onto this study; it is in every margin's band"
    return (Measurement("registration_error", lesion.id, error_mm, "mm", 0.0, error_mm, words),)


def _vessel(spot: Spot | None) -> tuple[Measured, ...]:
    return (spot.vessel_distance,) if spot is not None and spot.vessel else ()


def _spot(spot: Spot | None, words: _Words) -> tuple[Statement, ...]:
    """Where a place lies, in words and codes; its coordinates stand with the number that was measured there."""
    if spot is None:
        return ()
    segments = [
        Statement(words.name("place_in_segment"), CodedConcept(**words.table["couinaud"][str(n)]))
        for n in spot.segments
    ]
    where = " ".join(f"{c:.1f}" for c in spot.now_lps_mm)
    return (
        *words.say("place_direction", f"{spot.direction} from the lesion's centre; LPS {where} mm"),
        *segments,
        *words.say("place_nearest_vessel", spot.vessel.replace("_", " ")),
        *words.say("place_note", spot.note),
    )


def _part(part: Part, words: _Words, *, kind: Structure) -> Group:
    belongs = words.say("made_for" if kind is Structure.ABLATION_ZONE else "may_belong_to", ", ".join(part.lesions))
    zone = ((words.name("ablation_zone_segment"), SegmentName(SEG, part.zone)),) if part.zone else ()
    return Group(
        target=part.id,
        tracking_uid=part.tracking_uid,
        quantities=(*part.quantities, *_vessel(part.spot)),
        kind=concepts(words.table)[kind],
        site=words.site(part.id),
        segment=SegmentName(SEG, part.id),
        beside=zone,
        lesion_codes=True,
        time_point=_AFTER,
        statements=(words.answer("drawn_by", part.origin), *belongs, *_spot(part.spot, words)),
        notes=part.notes,
    )


def _study(response: StudyResponse, words: _Words, *, notes: Sequence[str], uid: str) -> Group:
    time, criteria = response.timepoint, response.criteria
    kinds = read_table("response")["treatment"]
    treatments = [
        words.say("treatment", t.day.isoformat() + (f": {kinds[t.kind]['title']}" if t.kind else "; kind not given"))
        for t in response.treatments
    ]
    new = {True: "yes", False: "no", None: "unknown"}[response.new_lesion]
    days = () if time.days is None else (_days(time.days, time.statement),)
    sums = tuple(q for c in criteria for q in (c.baseline, c.nadir, c.current))
    return Group(
        target=_STUDY,
        tracking_uid=uid,
        quantities=(*days, *sums),
        time_point=_AFTER,
        statements=(
            *(statement for found in treatments for statement in found),
            *words.say("timepoint", time.statement),
            words.answer("new_lesion", new),
            *(
                statement
                for c in criteria
                for name, why in c.left_out.items()
                for statement in words.say("no_target", f"{c.overall.title}: {name}: {why}")
            ),
            *_not_asked(response.not_applied, words),
        ),
        classifications=tuple(found for c in criteria for found in (c.target, c.overall)),
        notes=tuple(notes),
    )


def _days(days: int, statement: str) -> Measurement:
    return Measurement("days_since_treatment", _STUDY, float(days), "d", float(days), float(days), statement)


def _not_asked(rows: Sequence[NotApplied], words: _Words) -> tuple[Statement, ...]:
    return tuple(s for row in rows for s in words.say("not_asked", f"{row.title}: {row.reason}"))
