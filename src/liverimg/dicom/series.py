"""From stacks of slices to the series of a study: kind of image, phase, moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liverimg.core.study import Modality, Phase, Series
from liverimg.dicom.codes import Flag
from liverimg.dicom.headers import safe_uid
from liverimg.dicom.phase import PhaseInput, decide_phase, has_contrast
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.phase_times import Moment, volume_moments
from liverimg.dicom.sequence import decide_kind
from liverimg.dicom.sequence_rules import SequenceRules, shipped_sequence_rules
from liverimg.dicom.stack import Stack
from liverimg.dicom.study_phases import with_study_evidence

_THICKNESS_MM = (0.01, 200.0)  # localisers and cone-beam slabs included


def series_of(
    stacks: Sequence[Stack],
    rules: PhaseRules,
    overrides: Mapping[str, Phase],
    *,
    sequence_rules: SequenceRules | None = None,
) -> tuple[Series, ...]:
    """One series for each stack, in their order.

    Args:
        stacks: The volumes of a study, in order of time.
        rules: Of phases.
        overrides: Phases by SeriesInstanceUID, as the user says.
        sequence_rules: Of kinds of image; those that come with the package when None.
    """
    moments = volume_moments(stacks)
    known = [moment.time_s for moment in moments if moment.time_s is not None]
    series = tuple(
        _series(
            number,
            stacks,
            moments,
            rules,
            overrides,
            sequence_rules or shipped_sequence_rules(),
            min(known, default=0.0),
        )
        for number in range(len(stacks))
    )
    return with_study_evidence(series, rules)


def _series(
    number: int,
    stacks: Sequence[Stack],
    moments: Sequence[Moment],
    rules: PhaseRules,
    overrides: Mapping[str, Phase],
    sequence_rules: SequenceRules,
    zero_s: float,
) -> Series:
    stack, moment = stacks[number], moments[number]
    first = stack.frames[0]
    uid = min(frame.series_instance_uid for frame in stack.frames)
    decision = decide_phase(
        PhaseInput(
            modality=Modality(first.modality),
            tags=first.phase_tags,
            acquired_s=moment.time_s,
            before_contrast=_is_before_contrast(number, stacks, moments, rules),
            clock=moment.clock,
        ),
        rules,
        override=overrides.get(uid),
    )
    kind = decide_kind(first, sequence_rules, sibling_echoes_ms=_sibling_echoes_ms(number, stacks, moments))
    sop_uids = tuple(safe_uid(frame.sop_instance_uid) for frame in stack.frames)
    return Series(
        series_instance_uid=uid,
        modality=Modality(first.modality),
        phase=decision.phase,
        phase_evidence=decision.evidence,
        grid=stack.grid,
        description=first.phase_tags.series_description,
        flags=tuple(sorted(flag.value for flag in {*stack.flags, *decision.flags, *kind.flags})),
        sop_instance_uids=tuple(dict.fromkeys(sop_uids)),
        acquired_at=moment.text,
        phase_confidence=decision.confidence,
        kind=kind.kind,
        kind_evidence=kind.evidence,
        kind_confidence=kind.confidence,
        time_s=None if moment.time_s is None else moment.time_s - zero_s,
        number=number + 1,
        series_number=first.series_number,
        slice_thickness_mm=_believed(first.thickness_mm),
        widest_gap_mm=stack.widest_gap_mm,
    )


def _believed(thickness_mm: float | None) -> float | None:
    """A slice thickness that a scanner can have; None for a tag that is missing or says nonsense."""
    low, high = _THICKNESS_MM
    return thickness_mm if thickness_mm is not None and low <= thickness_mm <= high else None


def _is_before_contrast(number: int, stacks: Sequence[Stack], moments: Sequence[Moment], rules: PhaseRules) -> bool:
    """Whether the tags name no contrast, while every volume acquired with contrast came later.

    Series computed afterwards lose their contrast tags, so they prove nothing.
    """
    own_s = moments[number].time_s
    later_s = [
        moment.time_s
        for stack, moment in zip(stacks, moments, strict=True)
        if has_contrast(stack.frames[0].phase_tags, rules)
    ]
    if Flag.DERIVED_IMAGE in stacks[number].flags or own_s is None or not later_s:
        return False
    return all(time_s is not None and time_s > own_s for time_s in later_s)


def _sibling_echoes_ms(number: int, stacks: Sequence[Stack], moments: Sequence[Moment]) -> tuple[float, ...]:
    """Echo times of volumes of the same series, or acquired at the same time: what a dual-echo sequence leaves."""
    own, first = moments[number], stacks[number].frames[0]
    echoes = []
    for other, (stack, moment) in enumerate(zip(stacks, moments, strict=True)):
        frame = stack.frames[0]
        together = frame.series_instance_uid == first.series_instance_uid or (
            own.time_s is not None and own.time_s == moment.time_s
        )
        if other != number and together and frame.modality == first.modality and frame.echo_ms is not None:
            echoes.append(frame.echo_ms)
    return tuple(sorted(echoes))
