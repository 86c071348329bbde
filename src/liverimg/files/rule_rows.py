"""The rule language of the criteria tables: TOML rows to core rules, each mistake named in one sentence.

The language is described in ``docs/how-to/add-a-criterion.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from liverimg.core.catalogue import row_of
from liverimg.core.criteria import (
    AllOf,
    AnyOf,
    Compare,
    Count,
    Kind,
    Not,
    Number,
    Over,
    Rule,
    Sum,
    Term,
    WordIs,
)
from liverimg.core.errors import RecordInvalidError
from liverimg.core.vocabulary import Threshold, Vocabulary
from liverimg.files.catalogue import number
from liverimg.files.tables import Table

# Each operator with the number of thresholds that it wants.
OPERATORS = {"<=": 1, "<": 1, ">=": 1, ">": 1, "within": 2, "within_or_gap": 3, "sessions": 3}
_RELATIONS = {"at_most": "<=", "below": "<", "at_least": ">=", "above": ">", "between": "within"}
_NUMBERS = ("quantity", *(over.value for over in Over if over is not Over.EACH))
_TERMS = (*_NUMBERS, "add", "count")
_DEEPEST = 16


@dataclass(frozen=True)
class RuleReader:
    """Reads the rules of one table.

    Attributes:
        vocabulary: What a rule may name.
        where: File and rule, for the sentence of refusal.
        scope: ``lesion`` or ``study``.
        source: Source of thresholds that name none.
        named: Rules of the table that others refer to by name.
        depth: How deep this reader is inside the rule.
    """

    vocabulary: Vocabulary
    where: str
    scope: str
    source: str
    named: Mapping[str, Rule] = field(default_factory=dict)
    depth: int = 0

    def refuse(self, found: str, expected: str) -> RecordInvalidError:
        """The sentence of refusal, to be raised."""
        return RecordInvalidError(f"{self.where} {found}; expected {expected}")

    def rule(self, row: Any) -> Rule:
        """A rule with all its parts.

        Raises:
            RecordInvalidError: A word, a name, a unit or a shape that the language doesn't have.
        """
        if not isinstance(row, Mapping):
            raise self.refuse(
                f"holds {row!r} where a rule belongs", "a table such as { quantity = ..., at_most = ... }"
            )
        if self.depth > _DEEPEST:
            raise self.refuse(f"nests more than {_DEEPEST} rules", "fewer; name parts under [rule]")
        if "all" in row or "any" in row:
            return self._group(row)
        inner = replace(self, depth=self.depth + 1)
        if "not" in row:
            self._only(row, {"not"})
            return Not(inner.rule(row["not"]))
        if "rule" in row:
            self._only(row, {"rule"})
            if row["rule"] not in self.named:
                raise self.refuse(f"refers to the rule {row['rule']!r}", f"one of: {', '.join(self.named) or 'none'}")
            return self.named[row["rule"]]
        if "item" in row:
            return self._word(row)
        return self._compare(row)

    def _group(self, row: Table) -> Rule:
        key = "all" if "all" in row else "any"
        self._only(row, {key, "title"})
        parts = row[key]
        if not isinstance(parts, list) or not parts:
            raise self.refuse(f"has an empty '{key}'", "a list with one rule or more")
        inner = replace(self, depth=self.depth + 1)
        kind = AllOf if key == "all" else AnyOf
        return kind(tuple(inner.rule(part) for part in parts), str(row.get("title", "")))

    def _word(self, row: Table) -> WordIs:
        self._only(row, {"item", "is", "settled_by"})
        item = self.vocabulary.items.get(row["item"])
        if item is None:
            raise self._unknown(row["item"], list(self.vocabulary.items), "a clinical item")
        if item.kind != "word":
            raise self.refuse(f"asks for a word of {item.key}, which is a {item.kind}", "'quantity' instead of 'item'")
        allowed = row.get("is")
        allowed = [allowed] if isinstance(allowed, str) else allowed
        if not isinstance(allowed, list) or not allowed or not set(allowed) <= set(item.words):
            raise self.refuse(f"has is = {row.get('is')!r} for {item.key}", f"some of: {', '.join(item.words)}")
        return WordIs(item.key, tuple(allowed), str(row.get("settled_by", "")))

    def _compare(self, row: Table) -> Compare:
        term = self._term(row)
        own = _term_fields(row)
        relations = [r for r in _RELATIONS if r in row]
        if "operator" in row:
            self._only(row, own | {"operator", "thresholds", "settled_by"})
            operator, thresholds = row["operator"], self._thresholds(row.get("thresholds"), term)
        elif len(relations) == 1:
            self._only(row, own | {relations[0], "unit", "source", "settled_by"})
            operator, thresholds = _RELATIONS[relations[0]], self._short(row, relations[0], term)
        else:
            raise self.refuse(
                "compares with nothing" if not relations else f"has {' and '.join(relations)}",
                f"one of {', '.join(_RELATIONS)}, or operator and thresholds",
            )
        if operator not in OPERATORS or len(thresholds) != OPERATORS[operator]:
            wanted = ", ".join(f"{o} with {n}" for o, n in OPERATORS.items())
            raise self.refuse(f"has the operator {operator!r} with {len(thresholds)} threshold(s)", wanted)
        ordered = [t.value for t in thresholds if t.unit == thresholds[0].unit]
        if operator != "sessions" and ordered != sorted(ordered):
            raise self.refuse(f"has the thresholds {', '.join(f'{v:g}' for v in ordered)}", "the smaller one first")
        return Compare(term, operator, thresholds, str(row.get("settled_by", "")))

    def _thresholds(self, rows: Any, term: Term) -> tuple[Threshold, ...]:
        if not isinstance(rows, list) or not all(isinstance(r, Mapping) for r in rows):
            raise self.refuse(f"has thresholds = {rows!r}", "a list of { value, unit, source }")
        found = []
        for row in rows:
            self._only(row, {"value", "unit", "source"})
            value = number(row.get("value"), f"{self.where} (threshold)")
            found.append(Threshold(value, str(row.get("unit", "1")), str(row.get("source", self.source))))
        self._same_unit(found[:2] if len(found) > 2 else found, term)
        return tuple(found)

    def _short(self, row: Table, relation: str, term: Term) -> tuple[Threshold, ...]:
        given = row[relation]
        values = given if relation == "between" and isinstance(given, list) else [given]
        unit, source = str(row.get("unit", "1")), str(row.get("source", self.source))
        found = [Threshold(number(v, f"{self.where} ({relation})"), unit, source) for v in values]
        self._same_unit(found, term)
        return tuple(found)

    def _same_unit(self, thresholds: list[Threshold], term: Term) -> None:
        for threshold in thresholds:
            if threshold.unit != term.unit:
                raise self.refuse(
                    f"has a threshold in {threshold.unit!r} for a number in {term.unit!r}", f"the unit {term.unit!r}"
                )

    def _term(self, row: Table) -> Term:
        kinds = [k for k in _TERMS if k in row]
        if len(kinds) != 1:
            raise self.refuse(
                f"names {' and '.join(kinds) or 'no number'}: {dict(row)!r}", f"exactly one of {', '.join(_TERMS)}"
            )
        if kinds[0] == "add":
            parts = row["add"]
            if not isinstance(parts, list) or not all(isinstance(p, Mapping) for p in parts) or len(parts) < 2:
                raise self.refuse(f"has add = {parts!r}", "a list of two numbers or more")
            numbers = []
            for part in parts:
                self._only(part, {*_NUMBERS, "per"})
                numbers.append(self._number(part))
            units = {n.unit for n in numbers}
            if len(units) > 1:
                raise self.refuse(f"adds {' and '.join(sorted(units))}", "numbers of one unit; 'per' divides first")
            return Sum(tuple(numbers), units.pop(), str(row.get("title", "sum")))
        if kinds[0] == "count":
            inner = replace(self, scope="lesion", depth=self.depth + 1)
            return Count(inner.rule(row["count"]), str(row.get("title", "number of lesions")))
        return self._number(row)

    def _number(self, row: Table) -> Number:
        kinds = [k for k in _NUMBERS if k in row]
        if len(kinds) != 1:
            raise self.refuse(f"names {' and '.join(kinds) or 'no number'}", f"exactly one of {', '.join(_NUMBERS)}")
        over = Over.EACH if kinds[0] == "quantity" else Over(kinds[0])
        name = row[kinds[0]]
        kind, unit = self._known(name)
        if over is not Over.EACH and kind is not Kind.LESION:
            raise self.refuse(f"takes the {over.value} of {name}", "a quantity of single lesions")
        if over is Over.EACH and kind is Kind.LESION and self.scope != "lesion":
            raise self.refuse(f"asks the whole study for {name}, which each lesion has", "max, min or sum of it")
        per = number(row.get("per", 1.0), f"{self.where} (per)")
        if per <= 0:
            raise self.refuse(f"divides by {per:g}", "a number above 0")
        return Number(name, kind, unit if "per" not in row else "1", over, per)

    def _known(self, name: Any) -> tuple[Kind, str]:
        items, scores = self.vocabulary.items, self.vocabulary.scores
        quantity = row_of(name, self.vocabulary.quantities) if isinstance(name, str) else None
        if quantity is not None:
            return Kind(quantity.scope), quantity.unit
        if name in scores:
            return Kind.SCORE, scores[name].unit
        if name in items and items[name].kind in ("number", "days"):
            return Kind.ITEM, items[name].unit
        if name in items:
            raise self.refuse(f"asks for a number of {name}, which is a {items[name].kind}", "'item' with 'is'")
        known = [*self.vocabulary.quantities, *scores, *items]
        raise self._unknown(name, known, "a quantity, a score or a clinical item")

    def _unknown(self, name: object, known: list[str], what: str) -> RecordInvalidError:
        near = get_close_matches(str(name), known, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return self.refuse(f"names {name!r}, which nobody measures or gives{hint}", what)

    def _only(self, row: Table, known: set[str]) -> None:
        unknown = sorted(set(row) - known)
        if unknown:
            raise self.refuse(f"has {unknown[0]!r}", f"only {', '.join(sorted(known))}")


def _term_fields(row: Table) -> set[str]:
    """The fields that belong to the number of a comparison."""
    return {k for k in _TERMS if k in row} | ({"title"} if "add" in row or "count" in row else {"per"})
