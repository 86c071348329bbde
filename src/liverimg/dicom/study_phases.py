"""Phases by all that a study says: each volume's own evidence, the order of acquisitions, what was acquired together.

The same weighing serves twice: on headers alone, and again when images have been looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from liverimg.core.study import Confidence, ImageKind, Modality, Phase, PhaseEvidence, Series
from liverimg.dicom.codes import Flag
from liverimg.dicom.injection import Timed, misnamed, phases_by_order, rising_phases
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.phase_weight import possible, weigh
from liverimg.dicom.sequence import PHASED

_ORDER: Final = "order of acquisitions"
_TOGETHER: Final = "same acquisition"
_KIND: Final = "kind of image"
_NUMBERS: Final = "order of series numbers"
_ONLY: Final = "only arterial acquisition"
_EARLY: Final = (Phase.EARLY_ARTERIAL,)
_FROM_STUDY: Final = (_ORDER, _TOGETHER, _KIND, _NUMBERS, _ONLY)
_FEWEST_NUMBERED: Final = 3
_OUT_OF_ORDER: Final = ", out of order"
_WORDS: Final = ("SeriesDescription", "ProtocolName")
# So many phases left open by the order of the study are still worth saying.
_MOST_LEFT_OPEN: Final = 3


@dataclass(frozen=True)
class _Own:
    """A volume with what it says of itself alone, by tags and by image."""

    evidence: tuple[PhaseEvidence, ...]
    phase: Phase
    confidence: Confidence
    takes_part: bool


def with_study_evidence(
    series: Sequence[Series], rules: PhaseRules, *, images: Mapping[int, PhaseEvidence] | None = None
) -> tuple[Series, ...]:
    """The series with phases, confidence and flags by all evidence together.

    Args:
        series: With their own evidence; evidence from the study that they carry already is made anew.
        rules: Weights and usual times.
        images: What each image shows, by index.
    """
    own = [_own(one, (images or {}).get(n), rules) for n, one in enumerate(series)]
    extra: list[list[PhaseEvidence]] = [[] for _ in series]
    for modality in (Modality.CT, Modality.MR):
        members = [n for n, one in enumerate(series) if one.modality is modality and own[n].takes_part]
        if not members:
            continue
        if not _clock_is_plausible([series[n] for n in members], [own[n] for n in members]):
            for n, item in _by_series_number(members, series, own):
                extra[n].append(item)
            continue
        for n in _misnamed(members, series, own, modality, rules):
            own[n] = _weighed(_doubted(own[n].evidence), rules)
        for n, item in _by_order(members, series, own, modality, rules):
            extra[n].append(item)
        for n, item in _by_acquisition(members, series, own, rules):
            extra[n].append(item)
        if (only := _only_arterial(members, own, extra)) is not None:
            extra[only].append(PhaseEvidence(_ONLY, Phase.ARTERIAL, "no other acquisition may be arterial", _EARLY))
    return tuple(
        _decided(one, own[n], (*own[n].evidence, *extra[n]), rules) if own[n].evidence or extra[n] else _nameless(one)
        for n, one in enumerate(series)
    )


def _own(series: Series, image: PhaseEvidence | None, rules: PhaseRules) -> _Own:
    kept = tuple(
        replace(e, source=e.source.removesuffix(_OUT_OF_ORDER))
        for e in series.phase_evidence
        if e.source not in (*_FROM_STUDY, "image")
    )
    own = _weighed(kept if image is None else (*kept, image), rules)
    by_person = any(e.source == "user" for e in kept)
    # Scanners that make their dynamic series with Dixon send it as water images.
    named_water = series.kind is ImageKind.DIXON_WATER and own.confidence in (Confidence.HIGH, Confidence.MODERATE)
    if by_person or named_water or series.kind in PHASED:
        return own
    words = series.kind.value.replace("_", " ")
    detail = f"{words}: contrast phases are told on CT and T1-weighted images"
    return _Own((PhaseEvidence(_KIND, Phase.UNKNOWN, detail),), Phase.UNKNOWN, Confidence.NONE, takes_part=False)


def _weighed(evidence: tuple[PhaseEvidence, ...], rules: PhaseRules) -> _Own:
    weighed = weigh(evidence, rules.weighing)
    return _Own(evidence, weighed.phase, weighed.confidence, takes_part=True)


def _doubted(evidence: tuple[PhaseEvidence, ...]) -> tuple[PhaseEvidence, ...]:
    """The same with descriptions that are hardly believed."""
    return tuple(replace(e, source=f"{e.source}{_OUT_OF_ORDER}") if e.source in _WORDS else e for e in evidence)


def _misnamed(
    members: Sequence[int], series: Sequence[Series], own: Sequence[_Own], modality: Modality, rules: PhaseRules
) -> list[int]:
    """Volumes that bear a description which no start of injection reconciles with the rest of the study."""
    timed = [n for n in members if series[n].time_s is not None]
    wrong = misnamed(_timed(timed, series, own), modality, rules.order)
    return [n for place, n in enumerate(timed) if place in wrong and any(e.source in _WORDS for e in own[n].evidence)]


def _is_anchor(own: _Own) -> bool:
    """Whether anything but a doubted description names the phase."""
    return any(e.says is own.phase and not e.source.endswith(_OUT_OF_ORDER) for e in own.evidence)


def _timed(numbers: Sequence[int], series: Sequence[Series], own: Sequence[_Own]) -> list[Timed]:
    return [
        Timed(
            time_s=series[n].time_s or 0.0,
            allowed=possible(e for e in own[n].evidence if not e.source.startswith(_WORDS)) or frozenset(Phase),
            named=own[n].phase if _is_anchor(own[n]) else Phase.UNKNOWN,
            usable=Flag.DERIVED_IMAGE not in series[n].flags,
            also=tuple(p for e in own[n].evidence if e.says is own[n].phase for p in e.allows),
        )
        for n in numbers
    ]


def _clock_is_plausible(series: Sequence[Series], own: Sequence[_Own]) -> bool:
    """Whether times may be those of scans: files without identity often carry one time for all."""
    phases_at: dict[float, set[Phase]] = {}
    for one, said in zip(series, own, strict=True):
        if one.time_s is not None and said.phase is not Phase.UNKNOWN:
            phases_at.setdefault(round(one.time_s), set()).add(said.phase)
    known = {one.time_s for one in series if one.time_s is not None}
    return len(known) > 1 and all(len(phases) == 1 for phases in phases_at.values())


def _by_order(
    members: Sequence[int], series: Sequence[Series], own: Sequence[_Own], modality: Modality, rules: PhaseRules
) -> list[tuple[int, PhaseEvidence]]:
    timed = [n for n in members if series[n].time_s is not None]
    volumes = _timed(timed, series, own)
    found = []
    for index, phases in phases_by_order(volumes, modality, rules.order).items():
        number = timed[index]
        if phases == {Phase.EARLY_ARTERIAL} and own[number].phase is Phase.ARTERIAL:
            # Pauses alone don't tell early from late; what the volume says of itself does.
            continue
        if len(phases) == 1:
            (phase,) = phases
            detail = _place_in_order(number, timed, series)
            found.append((number, PhaseEvidence(_ORDER, phase, detail)))
        elif len(phases) <= _MOST_LEFT_OPEN:
            ordered = tuple(p for p in Phase if p in phases)
            words = " or ".join(p.value.replace("_", " ") for p in ordered)
            detail = f"{_place_in_order(number, timed, series)}: {words}"
            found.append((number, PhaseEvidence(_ORDER, Phase.UNKNOWN, detail, ordered)))
    return found


def _by_series_number(
    members: Sequence[int], series: Sequence[Series], own: Sequence[_Own]
) -> list[tuple[int, PhaseEvidence]]:
    """Without times: phases that follow each other as the series' numbers do, each volume another one."""
    usable = [n for n in members if Flag.DERIVED_IMAGE not in series[n].flags]
    numbers = [series[n].series_number for n in usable]
    if len(usable) < _FEWEST_NUMBERED or None in numbers or len(set(numbers)) < len(numbers):
        return []
    usable.sort(key=lambda n: series[n].series_number or 0)
    open_to = [possible(own[n].evidence) or frozenset((own[n].phase,)) for n in usable]
    if not rising_phases(open_to):
        return []
    found = []
    for place, n in enumerate(usable):
        # What the volume says of itself is left out, so that it can't confirm itself.
        free = [*open_to[:place], frozenset(Phase) - {Phase.UNKNOWN}, *open_to[place + 1 :]]
        phases = tuple(p for p in Phase if p in rising_phases(free)[place])
        words = " or ".join(p.value.replace("_", " ") for p in phases)
        detail = f"series {place + 1} of {len(usable)} by number: {words}"
        if len(phases) == 1:
            found.append((n, PhaseEvidence(_NUMBERS, phases[0], detail)))
        elif len(phases) <= _MOST_LEFT_OPEN:
            found.append((n, PhaseEvidence(_NUMBERS, Phase.UNKNOWN, detail, phases)))
    return found


def _only_arterial(members: Sequence[int], own: Sequence[_Own], extra: Sequence[Sequence[PhaseEvidence]]) -> int | None:
    """The one volume of a study that can be nothing but arterial, early or late: radiologists then say arterial."""
    arterial = {Phase.EARLY_ARTERIAL, Phase.ARTERIAL}
    may_be = [n for n in members if arterial & possible((*own[n].evidence, *extra[n]))]
    sure = [n for n in may_be if possible((*own[n].evidence, *extra[n])) == arterial]
    return sure[0] if len(sure) == 1 and len(may_be) == 1 and own[sure[0]].phase is Phase.UNKNOWN else None


def _place_in_order(number: int, timed: Sequence[int], series: Sequence[Series]) -> str:
    times = sorted({round(series[n].time_s or 0.0) for n in timed})
    own = round(series[number].time_s or 0.0)
    place = times.index(own)
    since = f", {own - times[place - 1]} s after the one before" if place > 0 else ""
    return f"acquisition {place + 1} of {len(times)}{since}"


def _by_acquisition(
    members: Sequence[int], series: Sequence[Series], own: Sequence[_Own], rules: PhaseRules
) -> list[tuple[int, PhaseEvidence]]:
    """A second reconstruction of a scan shows the phase of the first."""
    found = []
    for n in members:
        time_s = series[n].time_s
        if time_s is None or own[n].phase is not Phase.UNKNOWN:
            continue
        together = [
            m
            for m in members
            if m != n
            and (other_s := series[m].time_s) is not None
            and abs(other_s - time_s) <= rules.order.same_acquisition_s
            and own[m].confidence in (Confidence.HIGH, Confidence.MODERATE)
        ]
        phases = {own[m].phase for m in together}
        if len(phases) == 1:
            detail = f"acquired together with volume {series[together[0]].number}"
            found.append((n, PhaseEvidence(_TOGETHER, phases.pop(), detail)))
    return found


def _decided(series: Series, own: _Own, evidence: tuple[PhaseEvidence, ...], rules: PhaseRules) -> Series:
    flags = {flag for flag in series.flags if flag != Flag.PHASE_CONFLICT}
    if not own.takes_part:
        flags.discard(Flag.PHASE_AMBIGUOUS)
        return replace(
            series,
            phase=Phase.UNKNOWN,
            phase_evidence=evidence,
            phase_confidence=Confidence.NONE,
            flags=tuple(sorted(flags)),
        )
    weighed = weigh(evidence, rules.weighing)
    if weighed.conflict:
        flags.add(Flag.PHASE_CONFLICT.value)
    kind = series.kind
    if kind is ImageKind.DIXON_WATER:
        kind = ImageKind.T1_DYNAMIC
    return replace(
        series,
        phase=weighed.phase,
        phase_evidence=tuple(sorted(evidence, key=lambda e: (e.source != "user", e.says is not weighed.phase))),
        phase_confidence=weighed.confidence,
        kind=kind,
        flags=tuple(sorted(flags)),
    )


def _nameless(series: Series) -> Series:
    return replace(series, phase=Phase.UNKNOWN, phase_evidence=(), phase_confidence=Confidence.NONE)


def conflict_sentences(series: Sequence[Series]) -> tuple[str, ...]:
    """One sentence for each volume whose sources disagree."""
    sentences = []
    for one in series:
        if Flag.PHASE_CONFLICT not in one.flags:
            continue
        says = "; ".join(f"{e.source} ({e.detail}): {_words(e)}" for e in one.phase_evidence)
        taken = f"taken for {one.phase.value.replace('_', ' ')}" if one.phase is not Phase.UNKNOWN else "left unknown"
        sentences.append(
            f"Sources disagree about the phase of volume {one.number} ({one.modality.value}), {taken} with "
            f"{one.phase_confidence.value} confidence: {says}. Give it with --phase SERIES_UID=NAME if you know it."
        )
    return tuple(sentences)


def _words(evidence: PhaseEvidence) -> str:
    if evidence.says is not Phase.UNKNOWN:
        return evidence.says.value.replace("_", " ")
    if not evidence.allows:
        return "no contrast phase"
    if Phase.UNENHANCED not in evidence.allows and len(evidence.allows) > _MOST_LEFT_OPEN:
        return "not unenhanced"
    return " or ".join(phase.value.replace("_", " ") for phase in evidence.allows)
