"""Is this lesion, in this patient, suitable by a published table? Met, not met, or cannot tell."""

from __future__ import annotations

from dataclasses import replace

from liverimg.assess.clinical import Clinical
from liverimg.assess.findings import classification, finding
from liverimg.assess.scores import STUDY
from liverimg.assess.terms import Facts
from liverimg.core.assessment import Assessment, Classification, Finding, NotApplied
from liverimg.core.criteria import AllOf, AnyOf, Count, CriteriaSet, Criterion, Not, Rule, Sum, WordIs
from liverimg.core.measurement import Lesion, MeasurementSet
from liverimg.core.vocabulary import Vocabulary

_LESION = "lesion"
# Where lesions are expected: that a table for other sites does not ask them goes without saying.
_LIVER = "liver"


def assess_eligibility(
    measurements: MeasurementSet, criteria: CriteriaSet, *, clinical: Clinical, vocabulary: Vocabulary
) -> Assessment:
    """Holds every rule and every category of a table against the measurements and the clinical items.

    A rule of scope ``lesion`` is asked of each lesion that lies where the table looks, one of scope ``study`` once. A
    number of the whole study may be given in the clinical file too, such as an ``ascites_depth`` in mm from planning
    ultrasound; it goes before what the images show. The verdict is UNDETERMINED when a number is missing, when its
    95 % band reaches over the threshold, or when the table has no rule for it.

    Args:
        measurements: What was measured, with bands.
        criteria: The table.
        clinical: What a person gave.
        vocabulary: What the names in rules mean.
    """
    vocabulary = replace(vocabulary, items={**vocabulary.items, **{item.key: item for item in criteria.items}})
    placed = [_placed(lesion, clinical) for lesion in measurements.lesions]
    judged = tuple(lesion for lesion in placed if not criteria.sites or lesion.site in criteria.sites)
    elsewhere = [lesion for lesion in placed if lesion not in judged]
    facts = Facts(measurements, clinical, vocabulary, judged)
    findings: list[Finding] = []
    not_applied = [_not_here(lesion, criteria) for lesion in elsewhere if lesion.site != _LIVER]
    for criterion in criteria.criteria:
        if criterion.only_with and not any(clinical.has(item) for item in criterion.only_with):
            not_applied.append(_not_asked(criterion, criteria))
            continue
        targets = _targets(criterion.scope, facts)
        findings += [finding(criterion, at, table=criteria.id, target=name) for name, at in targets]
    classes: list[Classification] = []
    for category in criteria.categories:
        targets = _targets(category.scope, facts)
        classes += [classification(category, at, table=criteria.id, target=name) for name, at in targets]
    not_applied += [NotApplied(criteria.id, title, STUDY, reason) for title, reason in criteria.unsupported]
    return Assessment(tuple(findings), criteria.conflicts, tuple(classes), tuple(not_applied))


def clinical_items(criteria: CriteriaSet, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Keys that the table looks for in the clinical file, each once, in the table's order."""
    keys: list[str] = []
    rules = [c.rule for c in criteria.criteria]
    rules += [choice.rule for category in criteria.categories for choice in category.choices]
    for rule in rules:
        for name in _names(rule):
            if name in vocabulary.scores:
                keys += [name] if name in vocabulary.items else []
                keys += [part.item for part in vocabulary.scores[name].parts]
            elif name in vocabulary.items or name in {item.key for item in criteria.items}:
                keys.append(name)
    return tuple(dict.fromkeys(keys))


def _names(rule: Rule) -> list[str]:
    """Every quantity, item and score that a rule names."""
    if isinstance(rule, AllOf | AnyOf):
        return [name for part in rule.rules for name in _names(part)]
    if isinstance(rule, Not):
        return _names(rule.rule)
    if isinstance(rule, WordIs):
        return [rule.item]
    term = rule.term
    if isinstance(term, Count):
        return _names(term.rule)
    return [number.name for number in (term.terms if isinstance(term, Sum) else (term,))]


def _placed(lesion: Lesion, clinical: Clinical) -> Lesion:
    """The lesion where the reader says that it lies, else where the images show it."""
    return replace(lesion, site=clinical.sites.get(lesion.id, lesion.site))


def _targets(scope: str, facts: Facts) -> list[tuple[str, Facts]]:
    """Whom a rule is asked of; the study answers for lesions when there is none at all."""
    if scope != _LESION:
        return [(STUDY, facts)]
    if not facts.measurements.lesions:
        return [(STUDY, facts)]
    return [(lesion.id, facts.at(lesion)) for lesion in facts.lesions]


def _not_asked(criterion: Criterion, criteria: CriteriaSet) -> NotApplied:
    items = " or ".join(criterion.only_with)
    reason = f"it is asked only when the clinical file gives {items}"
    return NotApplied(criteria.id, criterion.title, STUDY, reason)


def _not_here(lesion: Lesion, criteria: CriteriaSet) -> NotApplied:
    site = lesion.site.replace("_", " ")
    where = " or ".join(site.replace("_", " ") for site in criteria.sites)
    reason = f"the lesion's site is {site}, and this table judges lesions of: {where}"
    return NotApplied(criteria.id, criteria.title, lesion.id, reason)
