"""One lesion of the baseline after treatment: what became of it, in numbers and in terms."""

from __future__ import annotations

import numpy as np

from liverimg.assess.lesion_evidence import LesionEvidence
from liverimg.assess.treated import (
    local_finding,
    margin_class,
    technical_success,
    technique_efficacy,
    treatment_response,
)
from liverimg.core.assessment import Classification, NotApplied
from liverimg.core.labels import LabelQuality, Structure
from liverimg.core.measurement import Lesion, Measured, Measurement, NotMeasured, Point, find
from liverimg.core.response import NOT_SEARCHED, Fate, LesionResponse
from liverimg.core.study import Phase
from liverimg.core.tracking import tracking_uid
from liverimg.core.zones import Zone
from liverimg.measure.band import point
from liverimg.measure.enhancement import measure_enhancement
from liverimg.measure.oil import measure_oil
from liverimg.measure.region import Region
from liverimg.measure.size import SIZE_NAMES, measure_size
from liverimg.measure.treatment.cover import MINIMUM, NPV_RATIO, VOLUME_RATIO, Cover, measure_cover
from liverimg.measure.treatment.match import joined, moved_body
from liverimg.measure.treatment.parts import NON_ENHANCING, Drawn, measure_part, subject_of
from liverimg.measure.treatment.rest import Looked, measure_rest
from liverimg.stages.response_inputs import Inputs

_ABLATION = "ablation"
_OF_MARGIN = (MINIMUM, "ablation_margin_median", "uncovered_tumour_volume", NPV_RATIO, VOLUME_RATIO)
_VIABLE = ("viable_diameter", "viable_area", "viable_volume")
_ARTERIAL = {Phase.EARLY_ARTERIAL, Phase.ARTERIAL}
_KEPT = (*_VIABLE, "viable_share", "arterial_hyperenhancement", "washout", "enhancing_capsule")


def lesion_response(lesion: Lesion, given: Inputs) -> tuple[LesionResponse, Cover | None]:
    """What became of a lesion, and its margins for pictures where there are any."""
    zone = given.zones.zone_of(lesion.id)
    fate = fate_of(lesion.id, zone, given)
    cover = None
    if zone is not None and zone.id in given.parts:
        cover = _cover(lesion.id, given.parts[zone.id], given)
        quantities = (*cover.quantities, *_treated(lesion.id, zone, cover, given))
    else:
        zone, quantities = None, _not_treated(lesion.id, fate, given)
    carried = given.carried[lesion.id]
    foci = () if zone is None else tuple(drawn.part.id for drawn in foci_of(lesion.id, zone, given))
    answers, not_applied = _answers(lesion, quantities, zone, foci, given)
    found = LesionResponse(
        id=lesion.id,
        tracking_uid=tracking_uid(
            given.baseline.study.study_instance_uid, lesion.id, centroid_lps_mm=lesion.centroid_lps_mm
        ),
        fate=fate,
        statement=_statement(lesion.id, fate, zone, quantities, given),
        before_lps_mm=lesion.centroid_lps_mm,
        now_lps_mm=_moved(lesion.centroid_lps_mm, lesion.id, given),
        motion=None if carried is None else carried.motion,
        motion_error_mm=None if carried is None else carried.error_mm,
        zone="" if zone is None else zone.id,
        foci=foci,
        baseline=lesion.quantities,
        quantities=quantities,
        thinnest=None if cover is None else cover.thinnest,
        classifications=answers,
        not_applied=not_applied,
    )
    return found, cover


def fate_of(name: str, zone: Zone | None, given: Inputs) -> Fate:
    """What became of a lesion of the baseline."""
    if zone is not None and zone.id in given.parts:
        return Fate.PERHAPS_TREATED if zone.perhaps_older else Fate.TREATED
    if given.carried.get(name) is None:
        return Fate.UNKNOWN
    # A model takes zones for tumours: only a person's outline says that the tumour is still there.
    return Fate.UNTREATED if name in given.matched.of_lesion and given.by_person else Fate.NOT_FOUND


def foci_of(name: str, zone: Zone, given: Inputs) -> list[Drawn]:
    """The foci at a zone that may be a rest of a lesion."""
    return [
        given.parts[focus.id]
        for focus in given.zones.foci_of(zone)
        if focus.id in given.parts and (not focus.lesions or name in focus.lesions)
    ]


def is_ablation(given: Inputs) -> bool:
    """Whether the treatment leaves a zone in the tumour's place; taken for granted when its kind was not given."""
    return given.kind is None or given.table["treatment"][given.kind]["group"] == _ABLATION


def _cover(name: str, drawn: Drawn, given: Inputs) -> Cover:
    carried = given.carried[name]
    volume = find(measure_part(drawn, given.later), NON_ENHANCING, target=drawn.part.id)
    if carried is None:
        reason = f"where {name} lies in this study is not known: {given.why_not_placed(name)}"
        return Cover(tuple(NotMeasured(quantity, name, reason) for quantity in _OF_MARGIN))
    assert isinstance(drawn.part, Zone)
    return measure_cover(
        name,
        given.before,
        zone=drawn.subject.surface,
        zone_error_mm=drawn.part.error_mm,
        zone_ml=volume,
        carried=carried,
        settings=given.margins,
        sources=given.sources,
    )


def _treated(name: str, zone: Zone, cover: Cover, given: Inputs) -> tuple[Measured, ...]:
    """What is left alive, the size where that still says something, and retained oil."""
    foci = foci_of(name, zone, given)
    doubt = doubt_of(name, cover.quantities, given)
    found = [*measure_rest(name, foci, looked_for(zone, given), uncovered=doubt, body=given.later)]
    if is_ablation(given):
        sure = "may have been" if zone.perhaps_older else "was"
        reason = f"it {sure} ablated: the zone in its place has another size than the tumour"
        found += [NotMeasured(size, name, reason) for size in SIZE_NAMES[:2]]
    else:
        pieces = [given.parts[zone.id].subject.lesion, *(f.subject.lesion for f in foci)]
        pieces += [given.matched.of_lesion[name]] if name in given.matched.of_lesion else []
        found += measure_size(subject_of(joined(pieces, name), _quality(given, zone)), given.later)
    if any(t.kind and given.table["treatment"][t.kind].get("oil", False) for t in given.treatments):
        found += _oil(name, given)
    return tuple(found)


def looked_for(zone: Zone, given: Inputs) -> Looked:
    """How the foci of a zone were looked for."""
    zones = given.zones
    if zone.id in zones.foci_unknown:
        return Looked(zones.foci_unknown[zone.id])
    if zone.origin == "rule" and zones.smallest_focus_mm is None:
        return Looked("residual foci were not looked for")
    if not {series.phase for series in given.study.series} & _ARTERIAL:
        return Looked("the study has no series known to be arterial, and living tumour may show in no other")
    if zones.smallest_focus_mm is None:
        return Looked("", float(given.table["smallest_drawn_focus"]["value"]), searched=False)
    return Looked("", zones.smallest_focus_mm)


def doubt_of(name: str, quantities: tuple[Measured, ...], given: Inputs) -> str:
    """Why no residual focus proves nothing: tumour that the zone does not reach; empty where there is no such doubt."""
    margin = find(quantities, MINIMUM, target=name)
    if isinstance(margin, Measurement) and margin.high < 0:
        return f"part of the tumour lies outside the zone, by {-margin.value:.1f} mm ({-margin.high:.1f} at least)"
    if name in given.matched.of_lesion:
        return "a tumour is drawn where it lay, apart from the zone"
    return ""


def _doubt(name: str, zone: Zone, quantities: tuple[Measured, ...], given: Inputs) -> str:
    """Why nothing enhancing proves nothing, the zone's own doubt among it."""
    if zone.perhaps_older:
        return f"{zone.id} reaches nowhere beyond the place of the tumour and may be dead tissue that it had before"
    return doubt_of(name, quantities, given)


def _not_treated(name: str, fate: Fate, given: Inputs) -> tuple[Measured, ...]:
    if fate is not Fate.UNTREATED:
        reason = given.why_not_placed(name) or f"{_no_tumour(name, given)}; that proves nothing"
        return tuple(NotMeasured(quantity, name, reason) for quantity in (*SIZE_NAMES, *_VIABLE))
    subject = subject_of(given.matched.of_lesion[name], given.quality)
    sizes = measure_size(subject, given.later)
    enhancement = [q for q in measure_enhancement(subject, given.later_in_phases) if q.name in _KEPT]
    return (*sizes, *enhancement)


def _oil(name: str, given: Inputs) -> tuple[Measured, ...]:
    carried, body = given.carried[name], given.later_in_phases
    place = None if carried is None else moved_body(given.before.subjects[name].surface, carried, body.scene.grid, name)
    if place is None:
        reason = given.why_not_placed(name) or "this study does not show its place"
        return tuple(NotMeasured(q, name, reason) for q in ("iodised_oil_share", "iodised_oil_retention"))
    subject = subject_of(place, _moved_quality(name, given))
    return tuple(measure_oil(subject, body, Region.of(subject, body)))


def _moved_quality(name: str, given: Inputs) -> LabelQuality:
    carried = given.carried[name]
    error = given.before.subjects[name].quality.surface_error_mm.get(Structure.TUMOUR, 0.0)
    moved = 0.0 if carried is None else carried.error_mm
    return LabelQuality("moved", {Structure.TUMOUR: error + moved})


def _quality(given: Inputs, zone: Zone) -> LabelQuality:
    return LabelQuality(zone.origin, {Structure.TUMOUR: zone.error_mm, **given.quality.surface_error_mm})


def _answers(
    lesion: Lesion, quantities: tuple[Measured, ...], zone: Zone | None, foci: tuple[str, ...], given: Inputs
) -> tuple[tuple[Classification, ...], tuple[NotApplied, ...]]:
    if zone is None:
        return (), ()
    branch = None if given.kind is None else str(given.table["treatment"][given.kind]["li_rads"])
    evidence = LesionEvidence(
        lesion_id=lesion.id,
        margin=find(quantities, MINIMUM, target=lesion.id),
        viable=find(quantities, _VIABLE[0], target=lesion.id),
        viable_before=lesion.quantity(_VIABLE[0]),
        foci=foci,
        not_evaluable="" if foci else looked_for(zone, given).why_not,
        doubt=_doubt(lesion.id, zone, quantities, given),
        timepoint=given.timepoint,
        branch=branch,
        searched=looked_for(zone, given).searched,
        drawn_by="" if zone.origin == "drawn" else zone.origin,
    )
    asked = (
        margin_class(evidence, given.table),
        treatment_response(evidence, given.table),
        local_finding(evidence, given.table),
        technical_success(evidence, given.table),
        technique_efficacy(evidence, given.table),
    )
    answers = tuple(a for a in asked if isinstance(a, Classification))
    return answers, tuple(a for a in asked if isinstance(a, NotApplied))


def _moved(place: Point, name: str, given: Inputs) -> Point | None:
    carried = given.carried[name]
    return None if carried is None else point(carried.motion.apply(np.array(place)))


def _statement(name: str, fate: Fate, zone: Zone | None, quantities: tuple[Measured, ...], given: Inputs) -> str:
    if zone is not None:
        margin = find(quantities, MINIMUM, target=name)
        foci = len(foci_of(name, zone, given))
        least = "unknown" if isinstance(margin, NotMeasured) else _mm(margin)
        left = f"{foci} residual foc{'us' if foci == 1 else 'i'}" if foci else _none_left(looked_for(zone, given))
        if zone.perhaps_older:
            return (
                f"{name} may have been treated: {zone.id} does not enhance, but reaches nowhere beyond the tumour's "
                f"place and may be dead tissue that it had before; as a zone, smallest margin {least}; {left}."
            )
        return f"{name} was treated: zone {zone.id}, smallest margin {least}; {left}."
    why = given.zones.absent.get(name, "no zone lies on it")
    if fate is Fate.UNKNOWN:
        return f"What became of {name} is not known: {given.why_not_placed(name)}."
    if fate is Fate.UNTREATED:
        return f"{name} has no ablation zone ({why}) and a tumour is drawn where it lay: it was not treated."
    return f"{name} has no ablation zone ({why}), and {_no_tumour(name, given)}; a reader has to look."


def _none_left(looked: Looked) -> str:
    return looked.why_not or ("no residual focus found" if looked.searched else NOT_SEARCHED)


def _no_tumour(name: str, given: Inputs) -> str:
    if name in given.matched.of_lesion:
        return "the tumour where it lay was drawn by a model, which may take an ablation zone for one"
    return "no tumour is drawn where it lay"


def _mm(margin: Measurement) -> str:
    return f"{margin.value:.1f} mm ({margin.low:.1f} to {margin.high:.1f})"
