"""Contrast phases: what the tags of one volume say, in which order they are believed, and when they disagree.

A disagreement is flagged, and UNKNOWN is an honest answer. All times and words are data.
"""

from __future__ import annotations

from dataclasses import dataclass

from liverimg.core.study import Confidence, Modality, Phase, PhaseEvidence
from liverimg.dicom.codes import Flag
from liverimg.dicom.frame import PhaseTags
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.phase_weight import weigh
from liverimg.dicom.phase_words import ENHANCED, by_words, phases_in_text
from liverimg.dicom.plain_text import plain_text

__all__ = (
    "PhaseDecision",
    "PhaseInput",
    "PhaseRules",
    "decide_phase",
    "decision_from",
    "evidence_of",
    "has_contrast",
    "phase_at",
    "phases_in_text",
    "plain_text",
)

_DAY_S = 86_400.0


@dataclass(frozen=True)
class PhaseInput:
    """What one volume offers to its phase decision.

    Attributes:
        modality: CT or MR.
        tags: From its first slice.
        acquired_s: Earliest acquisition time of its slices, seconds; only the time of day is used.
        before_contrast: Every volume of the study whose tags name contrast was acquired later than this one.
        clock: Which tags the time comes from.
    """

    modality: Modality
    tags: PhaseTags
    acquired_s: float | None
    before_contrast: bool = False
    clock: str = "AcquisitionTime"


@dataclass(frozen=True)
class PhaseDecision:
    """The phase, how sure it is, what speaks for and against it, and what a person should look at."""

    phase: Phase
    evidence: tuple[PhaseEvidence, ...]
    flags: tuple[Flag, ...] = ()
    confidence: Confidence = Confidence.NONE


def decide_phase(given: PhaseInput, rules: PhaseRules, *, override: Phase | None = None) -> PhaseDecision:
    """Names the phase of one volume by its own tags.

    Args:
        given: What the headers say.
        rules: From :meth:`PhaseRules.from_table`.
        override: What the user said; wins over everything.
    """
    evidence, ambiguous = evidence_of(given, rules)
    return decision_from(evidence, rules, ambiguous=ambiguous, override=override)


def evidence_of(given: PhaseInput, rules: PhaseRules) -> tuple[tuple[PhaseEvidence, ...], bool]:
    """All that a volume's own tags say, the most believed first, and whether its description names several phases."""
    named, ambiguous = by_words(given.tags, rules, lambda delay_s: phase_at(delay_s, given, rules))
    found = (
        _by_time(given, rules, named),
        _by_agent_phase(given, rules),
        named,
        _by_agent(given, rules),
        _by_study(given),
    )
    return tuple(item for item in found if item is not None), ambiguous


def decision_from(
    evidence: tuple[PhaseEvidence, ...], rules: PhaseRules, *, ambiguous: bool = False, override: Phase | None = None
) -> PhaseDecision:
    """Weighs evidence and says what a person should look at.

    Args:
        evidence: Of one volume.
        rules: With the weights.
        ambiguous: Whether its description names several phases.
        override: What the user said; wins over everything.
    """
    if override is not None:
        by_user = PhaseEvidence("user", override, "named on the command line")
        return PhaseDecision(override, (by_user, *evidence), (Flag.PHASE_BY_USER,), Confidence.HIGH)
    weighed = weigh(evidence, rules.weighing)
    flags = (*((Flag.PHASE_AMBIGUOUS,) if ambiguous else ()), *((Flag.PHASE_CONFLICT,) if weighed.conflict else ()))
    # What speaks for the answer comes first.
    ordered = sorted(evidence, key=lambda item: item.says is not weighed.phase)
    return PhaseDecision(weighed.phase, tuple(ordered), flags, weighed.confidence)


def injection_delay_s(given: PhaseInput, rules: PhaseRules) -> float | None:
    """Acquisition time minus ContrastBolusStartTime, across midnight too; None when it makes no sense."""
    start_s = given.tags.contrast_start_s
    if given.acquired_s is None or start_s is None:
        return None
    delay_s = (given.acquired_s % _DAY_S - start_s + _DAY_S / 2) % _DAY_S - _DAY_S / 2
    if abs(delay_s) <= rules.copied_start_s:
        # Several makers write the time of the scan there.
        return None
    return delay_s if abs(delay_s) <= rules.longest_delay_s else None


def _by_time(given: PhaseInput, rules: PhaseRules, named: PhaseEvidence | None) -> PhaseEvidence | None:
    delay_s = injection_delay_s(given, rules)
    if delay_s is None:
        return None
    phase = phase_at(delay_s, given, rules)
    near = phase_at(delay_s, given, rules, named=named.says if named else None)
    if phase is None and near is None:
        return None
    when = f"{delay_s:.0f} s after the start of injection"
    detail = when if given.clock == "AcquisitionTime" else f"{when} by {given.clock}"
    if near is Phase.HEPATOBILIARY or phase is None:
        return PhaseEvidence("ContrastBolusStartTime", near or Phase.UNKNOWN, detail)
    # Near a border the description decides; the time does not confirm it, since it would have said otherwise.
    return PhaseEvidence("ContrastBolusStartTime", phase, detail, () if near in (None, phase) else (near,))


def phase_at(delay_s: float, given: PhaseInput, rules: PhaseRules, *, named: Phase | None = None) -> Phase | None:
    """The phase at a time after injection; near a border the one that the description names."""
    windows = rules.windows.get(given.modality, ())
    hepatobiliary = (
        given.modality is Modality.MR
        and delay_s >= rules.hepatobiliary_from_s
        and (named is Phase.HEPATOBILIARY or rules.hepatobiliary_agents.search(given.tags.contrast_agent or ""))
    )
    if hepatobiliary:
        return Phase.HEPATOBILIARY
    for window in windows:
        if window.phase is named and window.from_s - window.slack_s <= delay_s < window.below_s + window.slack_s:
            return named
    return next((w.phase for w in windows if w.from_s <= delay_s < w.below_s), None)


def _by_agent_phase(given: PhaseInput, rules: PhaseRules) -> PhaseEvidence | None:
    word = given.tags.agent_phase
    if not word:
        return None
    detail = f"says {word}"
    phase = rules.agent_phases.get(word)
    if phase is not None:
        allows = (Phase.EARLY_ARTERIAL,) if phase is Phase.ARTERIAL else ()
        return PhaseEvidence("ContrastBolusAgentPhase", phase, detail, allows)
    return PhaseEvidence("ContrastBolusAgentPhase", Phase.UNKNOWN, detail, ENHANCED)


def _by_agent(given: PhaseInput, rules: PhaseRules) -> PhaseEvidence | None:
    agent = given.tags.contrast_agent
    if agent and rules.no_contrast_words.search(agent):
        return PhaseEvidence("ContrastBolusAgent says none", Phase.UNENHANCED, "says that no contrast was given")
    if (agent or given.tags.agent_amount) and injection_delay_s(given, rules) is None:
        # With a start of injection the scan may have come before it.
        liver_specific = given.modality is Modality.MR and (
            not agent or rules.hepatobiliary_agents.search(agent) is not None
        )
        left = tuple(p for p in ENHANCED if liver_specific or p is not Phase.HEPATOBILIARY)
        return PhaseEvidence("ContrastBolusAgent", Phase.UNKNOWN, "names a contrast agent", left)
    return None


def _by_study(given: PhaseInput) -> PhaseEvidence | None:
    """A volume without any contrast tag, earlier than all that carry one, was taken before the injection."""
    if given.before_contrast and not given.tags.contrast_agent and given.tags.contrast_start_s is None:
        detail = "no contrast tag, and earlier than all series that have one"
        return PhaseEvidence("before contrast", Phase.UNENHANCED, detail)
    return None


def has_contrast(tags: PhaseTags, rules: PhaseRules) -> bool:
    """Whether the tags say that contrast was given."""
    agent = tags.contrast_agent
    if agent:
        return rules.no_contrast_words.search(agent) is None
    return tags.contrast_start_s is not None or tags.agent_amount or tags.agent_phase not in ("", "PRE_CONTRAST")
