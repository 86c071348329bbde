"""What descriptions say of a phase, in whatever language the site writes them."""

from __future__ import annotations

from collections.abc import Callable

from liverimg.core.study import Phase, PhaseEvidence
from liverimg.dicom.frame import PhaseTags
from liverimg.dicom.phase_rules import PhaseRules, WordRule
from liverimg.dicom.plain_text import plain_text

ENHANCED = tuple(phase for phase in Phase if phase not in (Phase.UNENHANCED, Phase.UNKNOWN))


def by_words(
    tags: PhaseTags, rules: PhaseRules, phase_after: Callable[[float], Phase | None]
) -> tuple[PhaseEvidence | None, bool]:
    """What the series' description says; the protocol's name counts only when that says nothing.

    Args:
        tags: With description and protocol.
        rules: Words.
        phase_after: Which phase a delay in seconds means.

    Returns:
        Evidence, if there is any, and whether the description names more than one phase.
    """
    for source, text in (("SeriesDescription", tags.series_description), ("ProtocolName", tags.protocol_name)):
        if rules.several_phases.search(plain_text(text)):
            return None, source == "SeriesDescription"
        found = _rules_in(text, rules)
        if len(found) > 1:
            return None, source == "SeriesDescription"
        if found:
            ((phase, (word, rule)),) = found.items()
            return PhaseEvidence(source, phase, f'contains "{word}"', rule.allows), False
        if (delay_s := _delay_in_text(text, rules)) is not None and (named := phase_after(delay_s)) is not None:
            return PhaseEvidence(source, named, f"names a delay of {delay_s:.0f} s"), False
        if (match := rules.enhanced_words.search(plain_text(text))) is not None:
            detail = f'contains "{match.group().strip()}": contrast was given'
            return PhaseEvidence(source, Phase.UNKNOWN, detail, ENHANCED), False
    return None, False


def phases_in_text(text: str, rules: PhaseRules) -> dict[Phase, str]:
    """The phases that a description names, each with the word that names it."""
    return {phase: word for phase, (word, _) in _rules_in(text, rules).items()}


def _rules_in(text: str, rules: PhaseRules) -> dict[Phase, tuple[str, WordRule]]:
    rest = plain_text(text)
    found: dict[Phase, tuple[str, WordRule]] = {}
    for rule in rules.words:
        match = rule.pattern.search(rest)
        if match is not None:
            found.setdefault(rule.phase, (match.group().strip(), rule))
            rest = rule.pattern.sub(" | ", rest)
    return found


def _delay_in_text(text: str, rules: PhaseRules) -> float | None:
    matches = list(rules.minutes_or_seconds.finditer(plain_text(text)))
    if len(matches) != 1:
        return None
    minutes = matches[0]["unit"].startswith(("m", "分"))
    return float(matches[0]["value"]) * (60 if minutes else 1)
