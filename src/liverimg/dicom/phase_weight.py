"""Weighing evidence about a phase: what speaks for each one, what against, and how sure the answer is.

Sources of one family depend on each other (a description is copied from its protocol), so only the heaviest of a
family counts. The scale of confidence is our own; ``docs/explanation/phases.md`` explains it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from liverimg.core.study import Confidence, Phase, PhaseEvidence
from liverimg.dicom.phase_rules import Weighing

# A source that leaves several phases possible speaks half for each of them.
_HALF = 0.5


@dataclass(frozen=True)
class Weighed:
    """The outcome.

    Attributes:
        phase: UNKNOWN when nothing names one, or when more speaks against every one than for it.
        confidence: How sure.
        conflict: Whether a source speaks against the phase, or against each that others name.
    """

    phase: Phase
    confidence: Confidence
    conflict: bool


def weigh(evidence: Sequence[PhaseEvidence], weighing: Weighing) -> Weighed:
    """Weighs all that is known of one volume's phase.

    Args:
        evidence: From any sources.
        weighing: How much each counts.
    """
    if any(weighing.source(e.source).family == "person" for e in evidence):
        said = next(e for e in evidence if weighing.source(e.source).family == "person")
        return Weighed(said.says, Confidence.HIGH, conflict=False)
    candidates: list[Phase] = list(dict.fromkeys(e.says for e in evidence if e.says is not Phase.UNKNOWN))
    if not candidates:
        only = _only_one_left(evidence, weighing)
        candidates = [] if only is None else [only]
    if not candidates:
        return Weighed(Phase.UNKNOWN, Confidence.NONE, conflict=_exclude_each_other(evidence))
    # Of equal ones the first, so the order of the evidence breaks ties.
    best = max(candidates, key=lambda p: _support(p, evidence, weighing) - _against(p, evidence, weighing))
    against = _against(best, evidence, weighing)
    if _support(best, evidence, weighing) < against:
        return Weighed(Phase.UNKNOWN, Confidence.NONE, conflict=True)
    return Weighed(best, _confidence(best, evidence, weighing), conflict=against > 0)


def possible(evidence: Iterable[PhaseEvidence]) -> frozenset[Phase]:
    """Phases that none of the evidence speaks against."""
    left = frozenset(Phase) - {Phase.UNKNOWN}
    for item in evidence:
        left &= _open_to(item)
    return left


def _open_to(item: PhaseEvidence) -> frozenset[Phase]:
    return frozenset((item.says, *item.allows)) - {Phase.UNKNOWN}


def _only_one_left(evidence: Sequence[PhaseEvidence], weighing: Weighing) -> Phase | None:
    """What several sources leave possible together, though none of them names it."""
    left = possible(evidence)
    families = {weighing.source(e.source).family for e in evidence}
    return next(iter(left)) if len(left) == 1 and len(families) > 1 else None


def _exclude_each_other(evidence: Sequence[PhaseEvidence]) -> bool:
    return bool(evidence) and not possible(evidence)


def _support(phase: Phase, evidence: Sequence[PhaseEvidence], weighing: Weighing) -> float:
    by_family: dict[str, float] = {}
    for item in evidence:
        source = weighing.source(item.source)
        # A word that people use for two phases speaks for the other one too, less so.
        left_open = phase in item.allows and (item.says is Phase.UNKNOWN or source.family == "words")
        share = 1.0 if item.says is phase else _HALF if left_open else 0.0
        by_family[source.family] = max(by_family.get(source.family, 0.0), share * source.weight)
    return sum(by_family.values())


def _against(phase: Phase, evidence: Sequence[PhaseEvidence], weighing: Weighing) -> float:
    by_family: dict[str, float] = {}
    for item in evidence:
        source = weighing.source(item.source)
        if phase not in _open_to(item):
            by_family[source.family] = max(by_family.get(source.family, 0.0), source.weight)
    return sum(by_family.values())


def _confidence(phase: Phase, evidence: Sequence[PhaseEvidence], weighing: Weighing) -> Confidence:
    strong = {weighing.source(e.source).family for e in evidence if e.says is phase and weighing.is_strong(e.source)}
    against = [e.source for e in evidence if phase not in _open_to(e)]
    level = min(len(strong), 2)
    if any(weighing.is_strong(source) for source in against):
        # Two independent strong sources still outweigh one that dissents, but never beyond doubt.
        level = 1 if len(strong) > 1 and len({weighing.source(s).family for s in against}) == 1 else 0
    elif against:
        level = max(level - 1, 0)
    return (Confidence.LOW, Confidence.MODERATE, Confidence.HIGH)[level]
