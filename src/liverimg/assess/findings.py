"""Findings and classifications: a rule's answer in words that a planner can check."""

from __future__ import annotations

from dataclasses import dataclass

from liverimg.assess.band import numbers
from liverimg.assess.rules import Judgement, compared, judge, word_given
from liverimg.assess.terms import Facts
from liverimg.core.assessment import Classification, Finding, Part, Verdict
from liverimg.core.criteria import Category, Choice, Compare, Criterion, WordIs
from liverimg.core.measurement import Measured, NotMeasured
from liverimg.core.vocabulary import Threshold

_SUPPLY = "supply it in the file given with --clinical"


@dataclass(frozen=True)
class _Said:
    """What a finding says, before it is put together."""

    verdict: Verdict
    statement: str
    quantity: Measured | None = None
    thresholds: tuple[Threshold, ...] = ()
    settled_by: str = ""
    parts: tuple[Part, ...] = ()
    missing_items: tuple[str, ...] = ()


def finding(criterion: Criterion, facts: Facts, *, table: str, target: str) -> Finding:
    """One rule applied to one target.

    Args:
        criterion: The rule.
        facts: What is known, with the lesion at hand for rules of scope ``lesion``.
        table: Id of the criteria table.
        target: Lesion id, or ``study``.
    """
    rule = criterion.rule
    if isinstance(rule, Compare):
        said = _compared(criterion, rule, facts)
    elif isinstance(rule, WordIs):
        said = _word(criterion, rule, facts)
    else:
        said = _composed(criterion, judge(rule, facts))
    return Finding(
        criterion_id=criterion.id,
        criteria_set=table,
        target=target,
        title=criterion.title,
        verdict=said.verdict,
        statement=said.statement,
        quantity=said.quantity,
        thresholds=said.thresholds,
        source=criterion.source,
        settled_by=said.settled_by if said.verdict is Verdict.UNDETERMINED else "",
        notes=criterion.notes,
        parts=said.parts,
        missing_items=said.missing_items,
    )


def classification(category: Category, facts: Facts, *, table: str, target: str) -> Classification:
    """The first choice whose rule is met; every choice that is not excluded when that is open."""
    possible: list[Choice] = []
    parts: list[Part] = []
    settled_by: list[str] = []
    settled = False
    for choice in category.choices:
        found = judge(choice.rule, facts, branch=choice.title)
        if found.verdict is not Verdict.NOT_MET:
            possible.append(choice)
            parts += found.deciding
            settled_by.append(found.settled_by)
        settled = found.verdict is Verdict.MET
        if settled:
            break
    answer = possible[0].name if settled and len(possible) == 1 else ""
    titles = [choice.title for choice in possible]
    if answer:
        statement = f"{category.title}: {titles[0]}, because {_together(tuple(parts))}."
    elif titles:
        statement = f"{category.title}: undetermined, still possible: {' or '.join(titles)}; {_open(tuple(parts))}."
    else:
        statement = f"{category.title}: none of its classes fits."
    return Classification(
        category_id=category.id,
        criteria_set=table,
        target=target,
        title=category.title,
        answer=answer,
        possible=tuple(choice.name for choice in possible),
        statement=statement,
        source=category.source,
        settled_by="" if answer or not titles else (category.settled_by or _once(settled_by)),
        notes=category.notes,
        parts=tuple(parts),
        missing_items=() if answer else tuple(dict.fromkeys(item for part in parts for item in part.missing_items)),
    )


def _compared(criterion: Criterion, rule: Compare, facts: Facts) -> _Said:
    found = compared(rule, facts)
    quantity, verdict, band = found.band.quantity, found.answer.verdict, found.band
    settled_by = criterion.settled_by or rule.settled_by or band.settled_by
    if isinstance(quantity, NotMeasured) and verdict is Verdict.UNDETERMINED:
        known = "" if band.is_unknown else f" ({numbers(band, rule.thresholds)})"
        why = found.remark if not found.asks_person else f"{found.remark}; {_SUPPLY}"
        statement = f"{criterion.title}: undetermined{known}, {why}."
        shown = None if found.asks_person and band.is_unknown else quantity
        return _Said(verdict, statement, shown, rule.thresholds, settled_by, (), band.missing_items)
    although = f", although {quantity.reason}" if isinstance(quantity, NotMeasured) else ""
    follows = _consequence(criterion, verdict, found.remark)
    number = numbers(band, rule.thresholds)
    statement = f"{criterion.title}: {number}{although}; the rule asks for {found.answer.rule}: {follows}."
    return _Said(verdict, statement, quantity, rule.thresholds, settled_by)


def _word(criterion: Criterion, rule: WordIs, facts: Facts) -> _Said:
    verdict, word = word_given(rule, facts)
    item = facts.vocabulary.items[rule.item]
    settled_by = criterion.settled_by or rule.settled_by or item.settled_by
    if not word:
        statement = f"{criterion.title}: undetermined, {rule.item} was not given; {_SUPPLY}."
        return _Said(verdict, statement, settled_by=settled_by, missing_items=(rule.item,))
    accepted = " or ".join(rule.allowed).replace("_", " ")
    follows = _consequence(criterion, verdict, "")
    return _Said(verdict, f"{criterion.title}: {word.replace('_', ' ')}; the rule accepts {accepted}: {follows}.")


def _composed(criterion: Criterion, found: Judgement) -> _Said:
    if found.verdict is Verdict.UNDETERMINED:
        statement = f"{criterion.title}: undetermined, {_open(found.deciding)}."
        settled_by = found.settled_by or criterion.settled_by
        return _Said(found.verdict, statement, None, (), settled_by, found.parts, found.missing_items)
    follows = _consequence(criterion, found.verdict, "")
    statement = f"{criterion.title}: {follows}, because {_together(found.deciding)}."
    return _Said(found.verdict, statement, parts=found.parts)


def _open(parts: tuple[Part, ...]) -> str:
    """What is open: what nobody gave in one list, then each number that can't tell."""
    items = dict.fromkeys(item for part in parts for item in part.missing_items if part.quantity is None)
    said = [f"not given: {', '.join(items)}"] if items else []
    others = tuple(
        p for p in parts if p.verdict is Verdict.UNDETERMINED and not (p.missing_items and p.quantity is None)
    )
    return "; ".join([*said, *([_together(others)] if others else [])])


def _consequence(criterion: Criterion, verdict: Verdict, why_open: str) -> str:
    if verdict is Verdict.UNDETERMINED:
        return f"undetermined, {why_open}"
    words, meaning = ("met", criterion.when_met) if verdict is Verdict.MET else ("not met", criterion.when_not_met)
    return f"{words}, {meaning}" if meaning else words


def _together(parts: tuple[Part, ...]) -> str:
    return "; ".join(dict.fromkeys(part.statement for part in parts))


def _once(texts: list[str]) -> str:
    return "; ".join(dict.fromkeys(piece for text in texts for piece in text.split("; ") if piece))
