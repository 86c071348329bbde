"""Rules in one line of plain words, for listings and docs."""

from __future__ import annotations

from liverimg.core.criteria import AllOf, AnyOf, Compare, Count, Not, Number, Over, Rule, Sum, Term, WordIs
from liverimg.core.vocabulary import Threshold

_SIGNS = {"<=": "<=", "<": "<", ">=": ">=", ">": ">"}


def rule_text(rule: Rule) -> str:
    """A rule as ``max(axial_long_diameter) <= 50 mm and portal_vein_thrombus is absent``."""
    if isinstance(rule, AllOf | AnyOf):
        if len(rule.rules) == 1:
            return rule_text(rule.rules[0])
        word = " and " if isinstance(rule, AllOf) else " or "
        return word.join(_inner(part) for part in rule.rules)
    if isinstance(rule, Not):
        return f"not {_inner(rule.rule)}"
    if isinstance(rule, WordIs):
        return f"{rule.item} is {' or '.join(rule.allowed)}"
    return f"{term_text(rule.term)} {_relation(rule)}"


def term_text(term: Term) -> str:
    """The number that a comparison judges."""
    if isinstance(term, Count):
        return f"number of lesions with {_inner(term.rule)}"
    if isinstance(term, Sum):
        return " + ".join(_number(number) for number in term.terms)
    return _number(term)


def rule_thresholds(rule: Rule) -> tuple[Threshold, ...]:
    """Every threshold of a rule, in its order."""
    if isinstance(rule, AllOf | AnyOf):
        return tuple(t for part in rule.rules for t in rule_thresholds(part))
    if isinstance(rule, Not):
        return rule_thresholds(rule.rule)
    if isinstance(rule, WordIs):
        return ()
    inner = rule_thresholds(rule.term.rule) if isinstance(rule.term, Count) else ()
    return (*inner, *rule.thresholds)


def _inner(rule: Rule) -> str:
    text = rule_text(rule)
    return f"({text})" if isinstance(rule, AllOf | AnyOf) and len(rule.rules) > 1 else text


def _number(number: Number) -> str:
    text = number.name if number.over is Over.EACH else f"{number.over.value}({number.name})"
    return text if number.per == 1 else f"{text}/{number.per:g}"


def _relation(rule: Compare) -> str:
    limits = [_limit(t) for t in rule.thresholds]
    if rule.operator in _SIGNS:
        return f"{_SIGNS[rule.operator]} {limits[0]}"
    if rule.operator == "within":
        return f"= {limits[0]}" if limits[0] == limits[1] else f"from {limits[0]} to {limits[1]}"
    if rule.operator == "within_or_gap":
        return f"from {limits[0]} to {limits[1]} (refused below {limits[0]} and above {limits[2]}; no rule between)"
    return f"at {limits[0]} to {limits[1]} per session makes at most {limits[2]} sessions"


def _limit(threshold: Threshold) -> str:
    unit = "" if threshold.unit == "1" else f" {threshold.unit}"
    return f"{threshold.value:g}{unit}"
