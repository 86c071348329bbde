"""What can be said of one treated lesion: margin class, treatment response, success, efficacy, local finding.

Everything here is a proposal from measurements. Where their bands allow several answers all of them are named, and
where the time since treatment is not known nothing is said that depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from liverimg.assess.lesion_evidence import LesionEvidence
from liverimg.core.assessment import Classification, NotApplied
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.core.response import NOT_SEARCHED

SET = "response"
MARGIN_CLASS, LI_RADS = "ablation_margin_class", "li_rads_treatment_response"
SUCCESS, EFFICACY, LOCAL = "technical_success", "technique_efficacy", "local_finding"
NON_RADIATION, RADIATION = "non_radiation", "radiation"
_ACHIEVED = ("achieved", "not achieved")
_LOCAL = ("complete ablation", "residual unablated tumour", "local tumour progression")
_VIABLE, _EQUIVOCAL, _NONVIABLE = "LR-TR Viable", "LR-TR Equivocal", "LR-TR Nonviable"
_NONEVALUABLE, _NONPROGRESSING = "LR-TR Nonevaluable", "LR-TR Nonprogressing"


def margin_class(lesion: LesionEvidence, table: Mapping[str, Any]) -> Classification:
    """A0, A1 or A2 where the margin's band allows one of them only; else those that are possible."""
    rules = table["margin_class"]
    names = (*rules["least_mm"], rules["rest"])
    margin = lesion.margin
    if isinstance(margin, NotMeasured):
        possible: Sequence[str] = names
        statement = f"The margin of {lesion.lesion_id} is unknown: {margin.reason}."
        settled_by = margin.reason
    else:
        best, worst = (_margin_name(mm, rules) for mm in (margin.high, margin.low))
        possible = names[names.index(best) : names.index(worst) + 1]
        statement = f"Smallest margin {_mm(margin)}: {' or '.join(possible)}."
        settled_by = "thinner slices, or studies that can be laid onto each other more exactly"
    source, notes = str(rules["source"]), _proposal(lesion)
    return _answer(MARGIN_CLASS, lesion.lesion_id, str(rules["title"]), possible, statement, source, settled_by, notes)


def treatment_response(lesion: LesionEvidence, table: Mapping[str, Any]) -> Classification:
    """LI-RADS treatment response, proposed."""
    rules, radiation = table["li_rads"], lesion.branch == RADIATION
    if lesion.foci:
        possible, statement = _enhancing(lesion, radiation=radiation)
        settled_by = "an earlier study, to tell whether the enhancing part grew"
    elif lesion.not_evaluable:
        possible, statement = (_NONEVALUABLE,), f"Enhancement can't be read: {lesion.not_evaluable}."
        settled_by = ""
    elif lesion.doubt:
        possible = (_EQUIVOCAL, _NONPROGRESSING if radiation else _VIABLE)
        seen = "was found" if lesion.searched else "is drawn"
        statement = f"No masslike enhancement {seen}, but {lesion.doubt}."
        settled_by = "a reader's look at that place"
    else:
        possible, settled_by = (_NONVIABLE,), ""
        seen = "was found" if lesion.searched else "is drawn"
        statement = f"No masslike enhancement {seen} at the zone: {_left(lesion)}."
    notes = tuple(str(note) for note in rules["notes"]) + _on_foci(lesion)
    if lesion.branch is None:
        notes += ("The kind of treatment was not given: read as treatment without radiation.",)
    source = str(rules["radiation_source" if radiation else "non_radiation_source"])
    return _answer(LI_RADS, lesion.lesion_id, str(rules["title"]), possible, statement, source, settled_by, notes)


def technical_success(lesion: LesionEvidence, table: Mapping[str, Any]) -> Classification | NotApplied:
    """Whether the zone covers the tumour, right after treatment; other times have no such answer."""
    rules = table["terms"][SUCCESS]
    wrong_time = _wrong_time(lesion, table, SUCCESS)
    if wrong_time is not None:
        return wrong_time
    possible = _both(lesion.covered, lesion.complete)
    words = {True: "covers all of the tumour", False: "leaves part of the tumour uncovered", None: "may or may not"}
    margin = f" ({_mm(lesion.margin)})" if isinstance(lesion.margin, Measurement) else ""
    statement = (
        f"The zone {words[lesion.covered]}{' cover all of the tumour' if lesion.covered is None else ''}{margin}"
    )
    statement += f"; {_left(lesion)}."
    return _term(rules, SUCCESS, lesion, possible, statement, table)


def technique_efficacy(lesion: LesionEvidence, table: Mapping[str, Any]) -> Classification | NotApplied:
    """Whether ablation is complete at the time set for it; other times have no such answer."""
    rules = table["terms"][EFFICACY]
    wrong_time = _wrong_time(lesion, table, EFFICACY)
    if wrong_time is not None:
        return wrong_time
    possible = _both(lesion.complete)
    return _term(rules, EFFICACY, lesion, possible, f"{_sentence(_left(lesion))}.", table)


def local_finding(lesion: LesionEvidence, table: Mapping[str, Any]) -> Classification:
    """Complete ablation, residual tumour, or local progression: what enhances at the border, and since when."""
    rules = table["terms"][LOCAL]
    complete, residual, progression = _LOCAL
    first = _first_follow_up(lesion, table)
    if lesion.complete is True:
        possible: Sequence[str] = (complete,)
    elif lesion.complete is None:
        possible = (complete, residual) if first is True else (complete, residual, progression)
    elif first is None:
        possible = (residual, progression)
    else:
        possible = (residual,) if first else (progression,)
    statement = f"{_sentence(_left(lesion))}."
    if lesion.foci and first is None:
        statement += " No earlier study says whether ablation was complete before."
    settled_by = "an earlier contrast-enhanced study after treatment" if lesion.foci else _open(lesion)
    return _answer(
        LOCAL,
        lesion.lesion_id,
        str(rules["title"]),
        possible,
        statement,
        str(table["terms"]["source"]),
        settled_by,
        (str(rules["note"]), *_on_foci(lesion)),
    )


def _margin_name(margin_mm: float, rules: Mapping[str, Any]) -> str:
    for name, row in rules["least_mm"].items():
        if margin_mm > row["value"] or (margin_mm == row["value"] and not row["strict"]):
            return str(name)
    return str(rules["rest"])


def _enhancing(lesion: LesionEvidence, *, radiation: bool) -> tuple[tuple[str, ...], str]:
    names = " and ".join(lesion.foci)
    seen = f"Masslike enhancement at the zone: {names}"
    if not radiation:
        return (_VIABLE,), f"{seen}."
    now, before = lesion.viable, lesion.viable_before
    if isinstance(now, NotMeasured) or isinstance(before, NotMeasured):
        return (_NONPROGRESSING, _VIABLE), f"{seen}; whether it grew is not known."
    words = f"{seen}, {now.value:.0f} mm now and {before.value:.0f} mm before."
    if now.high <= before.low:
        return (_NONPROGRESSING,), words
    return ((_VIABLE,) if now.low > before.high else (_NONPROGRESSING, _VIABLE)), words


def _wrong_time(lesion: LesionEvidence, table: Mapping[str, Any], term: str) -> NotApplied | None:
    rules = table["terms"][term]
    time = lesion.timepoint
    if rules["window"] in time.windows:
        return None
    title, days = str(rules["title"]), table["timepoint"][rules["window"]]["days"]
    if time.days is None:
        reason = "it depends on the time since treatment, which is not known; give --treated-on DATE"
    else:
        reason = (
            f"it is judged {days[0]} to {days[1]} days after treatment, and this study was made {time.days} days after"
        )
    return NotApplied(SET, title, lesion.lesion_id, reason)


def _both(*parts: bool | None) -> tuple[str, ...]:
    """Achieved where all parts hold; the three-valued "and"."""
    yes, no = _ACHIEVED
    if False in parts:
        return (no,)
    return (yes, no) if None in parts else (yes,)


def _first_follow_up(lesion: LesionEvidence, table: Mapping[str, Any]) -> bool | None:
    """Whether ablation was never complete before this study; None when nobody knows."""
    if lesion.complete_before is not None:
        return not lesion.complete_before
    last_day = table["timepoint"][table["terms"][EFFICACY]["window"]]["days"][1]
    days = lesion.timepoint.days
    return True if days is not None and days <= last_day else None


def _left(lesion: LesionEvidence) -> str:
    if lesion.foci:
        return f"enhancing tumour is left: {' and '.join(lesion.foci)}"
    if lesion.not_evaluable:
        return f"whether tumour is left can't be read: {lesion.not_evaluable}"
    if not lesion.searched:
        return NOT_SEARCHED + (f"; {lesion.doubt}" if lesion.doubt else "")
    if lesion.doubt:
        return f"no residual focus was found, but {lesion.doubt}"
    least = lesion.viable.high if isinstance(lesion.viable, Measurement) else 0.0
    return f"no residual focus of {least:g} mm or more was found" if least else "no residual focus was found"


def _proposal(lesion: LesionEvidence) -> tuple[str, ...]:
    """What a reader must know where no person drew what the answer rests on."""
    return (f"Zone and foci were drawn by a {lesion.drawn_by}: a proposal for a reader.",) if lesion.drawn_by else ()


def _on_foci(lesion: LesionEvidence) -> tuple[str, ...]:
    """The same for answers that rest on foci, and that nobody is known to have looked for any."""
    if lesion.drawn_by or lesion.searched or lesion.foci:
        return _proposal(lesion)
    return ("Whether whoever drew the zone looked for living tumour is not known: a reader has to look.",)


def _sentence(words: str) -> str:
    """With a capital at its start; names keep theirs."""
    return words[:1].upper() + words[1:]


def _open(lesion: LesionEvidence) -> str:
    """What would tell whether tumour is left, with the reason why this study does not; empty where it does."""
    why = lesion.not_evaluable or lesion.doubt
    return f"an examination in which living tumour can be told ({why})" if why else ""


def _term(
    rules: Mapping[str, Any],
    category: str,
    lesion: LesionEvidence,
    possible: Sequence[str],
    statement: str,
    table: Mapping[str, Any],
) -> Classification:
    settled_by = _open(lesion) or "a margin whose band lies on one side of 0"
    source, notes = str(table["terms"]["source"]), (str(rules["note"]), *_on_foci(lesion))
    return _answer(category, lesion.lesion_id, str(rules["title"]), possible, statement, source, settled_by, notes)


def _answer(
    category: str,
    target: str,
    title: str,
    possible: Sequence[str],
    statement: str,
    source: str,
    settled_by: str,
    notes: tuple[str, ...] = (),
) -> Classification:
    sure = len(possible) == 1
    return Classification(
        category_id=category,
        criteria_set=SET,
        target=target,
        title=title,
        answer=possible[0] if sure else "",
        possible=tuple(possible),
        statement=statement,
        source=source,
        settled_by="" if sure else settled_by,
        notes=notes,
    )


def _mm(margin: Measurement) -> str:
    return f"{margin.value:.1f} mm ({margin.low:.1f} to {margin.high:.1f})"
