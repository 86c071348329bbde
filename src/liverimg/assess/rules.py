"""Rules with several parts: each part judged by itself, the whole by three-valued logic."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from liverimg.assess.band import Band, numbers
from liverimg.assess.logic import all_of, any_of, negated
from liverimg.assess.operators import Answer, compare
from liverimg.assess.scores import STUDY
from liverimg.assess.terms import Facts, number_band, sum_band, title_of, why_incomplete
from liverimg.core.assessment import Part, Verdict
from liverimg.core.criteria import AllOf, AnyOf, Compare, Count, Kind, Not, Number, Rule, Sum, Term, WordIs
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.core.vocabulary import Vocabulary

VERDICT_WORDS = {Verdict.MET: "met", Verdict.NOT_MET: "not met", Verdict.UNDETERMINED: "undetermined"}
_STRADDLES = "the band reaches over the threshold"


@dataclass(frozen=True)
class Judgement:
    """A rule's answer and the parts that it rests on."""

    verdict: Verdict
    parts: tuple[Part, ...]

    @property
    def deciding(self) -> tuple[Part, ...]:
        """The parts that the answer rests on: what is open, when it is open."""
        return tuple(part for part in self.parts if part.decides)

    @property
    def settled_by(self) -> str:
        """What would settle an open answer, each way once."""
        if self.verdict is not Verdict.UNDETERMINED:
            return ""
        return "; ".join(dict.fromkeys(part.settled_by for part in self.deciding if part.settled_by))

    @property
    def missing_items(self) -> tuple[str, ...]:
        """Clinical items that would help to settle it, each once."""
        return tuple(dict.fromkeys(item for part in self.deciding for item in part.missing_items))


@dataclass(frozen=True)
class Compared:
    """One comparison, before it is put into words: what was judged, and what it says."""

    band: Band
    answer: Answer
    asks_person: bool

    @property
    def remark(self) -> str:
        """Why it is open: what is missing, what the source leaves out, or that the band straddles."""
        if isinstance(self.band.quantity, NotMeasured):
            return f"{'' if self.asks_person else 'not measured: '}{self.band.quantity.reason}"
        return self.answer.remark or _STRADDLES


def judge(rule: Rule, facts: Facts, *, branch: str = "") -> Judgement:
    """Holds a rule against the facts.

    Args:
        rule: With all its parts.
        facts: What is known.
        branch: Title of the group that the rule stands in.
    """
    if isinstance(rule, AllOf):
        return _group(all_of, rule.rules, facts, rule.title or branch)
    if isinstance(rule, AnyOf):
        return _group(any_of, rule.rules, facts, rule.title or branch)
    if isinstance(rule, Not):
        inner = judge(rule.rule, facts, branch=branch)
        return Judgement(negated(inner.verdict), inner.parts)
    part = _word_part(rule, facts, branch) if isinstance(rule, WordIs) else _compare_part(rule, facts, branch)
    return Judgement(part.verdict, (part,))


def compared(rule: Compare, facts: Facts) -> Compared:
    """The number of a comparison and what the comparison says of it."""
    band = term_band(rule.term, facts)
    asks_person = isinstance(rule.term, Number) and rule.term.kind in (Kind.ITEM, Kind.SCORE)
    return Compared(band, compare(rule.operator, band, rule.thresholds), asks_person)


def term_band(term: Term, facts: Facts) -> Band:
    """What is known of the number that a comparison judges."""
    if isinstance(term, Sum):
        return sum_band(term, facts)
    return number_band(term, facts) if isinstance(term, Number) else _count_band(term, facts)


def term_title(term: Term, vocabulary: Vocabulary) -> str:
    """What that number is called for a reader."""
    return title_of(term, vocabulary) if isinstance(term, Number) else term.title


def word_given(rule: WordIs, facts: Facts) -> tuple[Verdict, str]:
    """What a word says, and the word itself; empty when none was given."""
    word = facts.clinical.words.get(rule.item, "")
    if not word:
        return Verdict.UNDETERMINED, ""
    return (Verdict.MET if word in rule.allowed else Verdict.NOT_MET), word


def _group(
    together: Callable[[Iterable[Verdict]], Verdict], rules: tuple[Rule, ...], facts: Facts, branch: str
) -> Judgement:
    inner = [judge(rule, facts, branch=branch) for rule in rules]
    verdict = together([j.verdict for j in inner])
    parts: list[Part] = []
    for judgement in inner:
        # In both kinds of group the answer rests on the parts that have it themselves.
        rests = judgement.verdict is verdict
        parts += judgement.parts if rests else [replace(part, decides=False) for part in judgement.parts]
    return Judgement(verdict, tuple(parts))


def _compare_part(rule: Compare, facts: Facts, branch: str) -> Part:
    found = compared(rule, facts)
    title, quantity = term_title(rule.term, facts.vocabulary), found.band.quantity
    verdict = found.answer.verdict
    words = VERDICT_WORDS[verdict]
    if verdict is Verdict.UNDETERMINED:
        words += f", {found.remark}"
    elif isinstance(quantity, NotMeasured):
        words += f", although {quantity.reason}"
    return Part(
        statement=f"{title} {numbers(found.band, rule.thresholds)}, asked for {found.answer.rule}: {words}",
        verdict=verdict,
        decides=True,
        branch=branch,
        quantity=None if found.asks_person and found.band.is_unknown else quantity,
        thresholds=rule.thresholds,
        settled_by=_settled(rule.settled_by or found.band.settled_by, verdict),
        missing_items=found.band.missing_items if verdict is Verdict.UNDETERMINED else (),
    )


def _word_part(rule: WordIs, facts: Facts, branch: str) -> Part:
    item = facts.vocabulary.items[rule.item]
    verdict, word = word_given(rule, facts)
    asked = " or ".join(rule.allowed).replace("_", " ")
    said = f"{word.replace('_', ' ')}, asked for {asked}: {VERDICT_WORDS[verdict]}"
    if not word:
        said = f"unknown, asked for {asked}: undetermined, {item.key} was not given"
    return Part(
        statement=f"{item.title} {said}",
        verdict=verdict,
        decides=True,
        branch=branch,
        quantity=None,
        thresholds=(),
        settled_by=_settled(rule.settled_by or item.settled_by, verdict),
        missing_items=() if word else (item.key,),
    )


def _settled(settled_by: str, verdict: Verdict) -> str:
    return settled_by if verdict is Verdict.UNDETERMINED else ""


def _count_band(count: Count, facts: Facts) -> Band:
    """How many lesions keep a rule: at least those that surely do, at most those that may."""
    verdicts = [judge(count.rule, facts.at(lesion)).verdict for lesion in facts.lesions]
    least = float(sum(v is Verdict.MET for v in verdicts))
    most = float(sum(v is not Verdict.NOT_MET for v in verdicts))
    incomplete = why_incomplete(facts)
    if incomplete:
        return Band(least, float("inf"), count.unit, NotMeasured(count.title, STUDY, incomplete))
    names = ", ".join(lesion.id for lesion in facts.lesions) or "no lesion"
    quantity = Measurement(count.title, STUDY, least, count.unit, least, most, f"counted over {names}")
    return Band(least, most, count.unit, quantity)
