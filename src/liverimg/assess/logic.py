"""Three-valued logic (Kleene): what is open stays open unless the other parts decide alone."""

from __future__ import annotations

from collections.abc import Iterable

from liverimg.core.assessment import Verdict

_OPPOSITE = {
    Verdict.MET: Verdict.NOT_MET,
    Verdict.NOT_MET: Verdict.MET,
    Verdict.UNDETERMINED: Verdict.UNDETERMINED,
}


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """MET when every one is, NOT_MET as soon as one is not; MET when there is none."""
    found = set(verdicts)
    if Verdict.NOT_MET in found:
        return Verdict.NOT_MET
    return Verdict.UNDETERMINED if Verdict.UNDETERMINED in found else Verdict.MET


def any_of(verdicts: Iterable[Verdict]) -> Verdict:
    """MET as soon as one is, NOT_MET when none is; NOT_MET when there is none."""
    return negated(all_of(negated(v) for v in verdicts))


def negated(verdict: Verdict) -> Verdict:
    """The opposite; what is open stays open."""
    return _OPPOSITE[verdict]


def three_way(*, certain: bool, excluded: bool) -> Verdict:
    """MET when certain, NOT_MET when excluded, else open."""
    if certain:
        return Verdict.MET
    return Verdict.NOT_MET if excluded else Verdict.UNDETERMINED
