"""May a new model take an old one's place? Only when the measurements that follow are shown not to get worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from liverimg.core.errors import UsageError
from liverimg.training.scoring.metrics import SizeTally
from liverimg.training.scoring.score import CaseScore

_ROUND = 4


@dataclass(frozen=True)
class GateRules:
    """The rule, from ``gate.toml``.

    Attributes:
        largest_growth: Per measurement, how much its mean error may grow at most.
        confidence: One-sided, that the growth lies below that.
        resamples: Of the cases, for the interval.
        seed: Of the resampling.
        least_cases: Fewer decide nothing.
        must_be_decided: At least one of these measurements needs enough cases.
        largest_fall: Of any share of things found.
        largest_false_growth: Of false lesions per case.
    """

    largest_growth: Mapping[str, float]
    confidence: float
    resamples: int
    seed: int
    least_cases: int
    must_be_decided: tuple[str, ...]
    largest_fall: float
    largest_false_growth: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> GateRules:
        """From ``gate.toml``."""
        rule, detection = table["rule"], table["detection"]
        return cls(
            largest_growth={name: float(row["largest_growth"]) for name, row in table["measurements"].items()},
            confidence=float(rule["confidence"]),
            resamples=int(rule["resamples"]),
            seed=int(rule["seed"]),
            least_cases=int(rule["least_cases"]),
            must_be_decided=tuple(rule["must_be_decided"]),
            largest_fall=float(detection["largest_fall"]),
            largest_false_growth=float(detection["largest_growth_of_false_lesions_per_case"]),
        )


@dataclass(frozen=True)
class Check:
    """One comparison of the new model with the old one.

    Attributes:
        what: In words.
        old: The old model's figure.
        new: The new one's.
        limit: What the growth of an error, or the fall of a share, may be at most.
        bound: How much it may have grown (an error) or fell (a share); None when too few cases tell.
        cases: How many cases it rests on.
        verdict: ``holds``, ``grew`` or ``undecided``.
    """

    what: str
    old: float | None
    new: float | None
    limit: float
    bound: float | None
    cases: int
    verdict: str


@dataclass(frozen=True)
class Verdict:
    """Whether the new model may take the old one's place.

    Attributes:
        passes: It may.
        checks: What that rests on.
        reasons: Why not, one sentence each.
    """

    passes: bool
    checks: tuple[Check, ...]
    reasons: tuple[str, ...]


def judge(old: Sequence[CaseScore], new: Sequence[CaseScore], rules: GateRules) -> Verdict:
    """Compares two models over the same cases.

    Args:
        old: Scores of the model in use.
        new: Scores of the candidate, of the same cases in the same order.
        rules: The rule.

    Raises:
        UsageError: The cases are not the same.
    """
    if [s.case for s in old] != [s.case for s in new]:
        raise UsageError("the two models were scored on different cases; score both on the same data")
    checks = [
        *(_measurement_check(name, limit, old, new, rules) for name, limit in rules.largest_growth.items()),
        *_detection_checks(old, new, rules),
    ]
    reasons = [f"{c.what} got worse: {_said(c)}" for c in checks if c.verdict == "grew"]
    if len(old) < rules.least_cases:
        reasons.append(f"{len(old)} cases are too few, expected at least {rules.least_cases}")
    decided = {c.what for c in checks if c.verdict != "undecided"}
    wanted = [_error_words(name) for name in rules.must_be_decided]
    if not decided.intersection(wanted):
        reasons.append(f"too few cases have a lesion that both models measure, so nothing is known of: {wanted[0]}")
    return Verdict(not reasons, tuple(checks), tuple(reasons))


def _said(check: Check) -> str:
    bound = "unknown" if check.bound is None else f"{check.bound:+.2f}"
    return f"from {check.old} to {check.new}, by up to {bound} where {check.limit:g} is allowed"


def _error_words(name: str) -> str:
    return f"error of {name.replace('_', ' ')}"


def _measurement_check(
    name: str, limit: float, old: Sequence[CaseScore], new: Sequence[CaseScore], rules: GateRules
) -> Check:
    pairs = [_paired_errors(a, b, name) for a, b in zip(old, new, strict=True)]
    pairs = [p for p in pairs if len(p)]
    what = _error_words(name)
    if len(pairs) < rules.least_cases:
        return Check(what, None, None, limit, None, len(pairs), "undecided")
    means = np.array([p.mean(axis=0) for p in pairs])
    bound = upper_bound(means[:, 1] - means[:, 0], rules)
    before, after = (round(float(v), _ROUND) for v in means.mean(axis=0))
    return Check(what, before, after, limit, round(bound, _ROUND), len(pairs), "holds" if bound < limit else "grew")


def _paired_errors(old: CaseScore, new: CaseScore, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Errors (lesions, 2) of the lesions that both models measure; what one misses is a matter of detection."""
    before = {e.lesion: e.error for e in old.measurements if e.quantity == name}
    after = {e.lesion: e.error for e in new.measurements if e.quantity == name}
    rows = [(before[x], after[x]) for x in sorted(before) if before[x] is not None and after.get(x) is not None]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def upper_bound(changes: np.ndarray[Any, np.dtype[np.float64]], rules: GateRules) -> float:
    """Upper end of the one-sided bootstrap interval of the mean change, by resampling cases (Efron's percentiles)."""
    rng = np.random.default_rng(rules.seed)
    drawn = rng.integers(len(changes), size=(rules.resamples, len(changes)))
    return float(np.percentile(changes[drawn].mean(axis=1), 100 * rules.confidence))


def _detection_checks(old: Sequence[CaseScore], new: Sequence[CaseScore], rules: GateRules) -> list[Check]:
    checks = []
    for name in dict.fromkeys(n for s in old for n in s.structures):
        there = [(a, b) for a, b in zip(old, new, strict=True) if name in a.structures]
        there = [(a, b) for a, b in there if a.structures[name].truth_ml > 0]
        if there:
            shares = [
                sum(name in s.structures and s.structures[name].dice > 0 for s in side) / len(there)
                for side in zip(*there, strict=True)
            ]
            checks.append(_share(f"cases in which {name.replace('_', ' ')} is found", shares, len(there), rules))
    for size in dict.fromkeys(size for s in old for size in s.lesion_sizes or {}):
        tallies = [_added(side, size) for side in (old, new)]
        if tallies[0].present:
            shares = [t.found / t.present for t in tallies]
            checks.append(_share(f"recall of lesions of {size}", shares, tallies[0].present, rules))
    for name in rules.largest_growth:
        counts = [_measured(side, name) for side in (old, new)]
        if counts[0]:
            shares = [sum(one) / max(1, len(one)) for one in counts]
            words = f"lesions whose {name.replace('_', ' ')} can be measured"
            checks.append(_share(words, shares, len(counts[0]), rules))
    counted = [(a, b) for a, b in zip(old, new, strict=True) if a.lesion_sizes and b.lesion_sizes]
    if counted:
        before, after = (_false_per_case(side) for side in zip(*counted, strict=True))
        grew = after - before
        verdict = "grew" if grew > rules.largest_false_growth else "holds"
        limit = rules.largest_false_growth
        row = [round(v, _ROUND) for v in (before, after, grew)]
        checks.append(Check("false lesions per case", row[0], row[1], limit, row[2], len(counted), verdict))
    return checks


def _measured(scores: Sequence[CaseScore], name: str) -> list[bool]:
    """For each true lesion that has the quantity, whether the model's labels have it too."""
    return [e.error is not None for s in scores for e in s.measurements if e.quantity == name]


def _share(what: str, shares: Sequence[float], count: int, rules: GateRules) -> Check:
    fall = shares[0] - shares[1]
    verdict = "grew" if fall > rules.largest_fall + 1e-9 else "holds"
    old, new, fell = (round(v, _ROUND) for v in (*shares, fall))
    return Check(what, old, new, rules.largest_fall, fell, count, verdict)


def _added(scores: Sequence[CaseScore], size: str) -> SizeTally:
    rows = [s.lesion_sizes[size] for s in scores if s.lesion_sizes]
    return SizeTally(sum(r.present for r in rows), sum(r.found for r in rows))


def _false_per_case(scores: Sequence[CaseScore]) -> float:
    return sum(t.false_calls for s in scores for t in (s.lesion_sizes or {}).values()) / len(scores)
