"""Contrast phases: what the tags say, in which order they are believed, and when they disagree.

Order of belief: the user, the time after injection, the words of the description, the contrast agent, the other
series of the study. A disagreement is flagged, and UNKNOWN is an honest answer. All times and words are data.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liverimg.core.errors import RecordInvalidError
from liverimg.core.study import Modality, Phase, PhaseEvidence
from liverimg.dicom.codes import Flag
from liverimg.dicom.frame import PhaseTags

_DAY_S = 86_400.0


@dataclass(frozen=True)
class TimeWindow:
    """Times after the start of injection at which a phase is the likely one.

    Attributes:
        phase: The phase.
        from_s: First second that speaks for it.
        below_s: First second that no longer does.
        slack_s: So far outside the window a description that names this phase is still no contradiction.
    """

    phase: Phase
    from_s: float
    below_s: float
    slack_s: float


@dataclass(frozen=True)
class WordRule:
    """A pattern in a description, and what it means. Earlier rules consume what they match."""

    phase: Phase
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class PhaseRules:
    """All rules, from ``data/phases.toml``.

    Attributes:
        windows: By modality.
        words: In order of application.
        several_phases: Descriptions that name more than one phase.
        minutes_or_seconds: Pattern with groups ``value`` and ``unit`` for a delay named in a description.
        no_contrast_words: ContrastBolusAgent that says that there was none.
        hepatobiliary_agents: Agents that the liver cells take up.
        hepatobiliary_from_s: Time from which such an agent shows the hepatobiliary phase.
        longest_delay_s: A contrast start further away belongs to something else.
        reference: Phases by modality, the best for segmentation first.
        unsuitable_words: Descriptions that make a volume a worse reference.
        other_mr_words: Descriptions of MR images that are not dynamic T1.
        enough_extent_mm: Extent along the slices that covers a liver.
    """

    windows: Mapping[Modality, tuple[TimeWindow, ...]]
    words: tuple[WordRule, ...]
    several_phases: re.Pattern[str]
    minutes_or_seconds: re.Pattern[str]
    no_contrast_words: re.Pattern[str]
    hepatobiliary_agents: re.Pattern[str]
    hepatobiliary_from_s: float
    longest_delay_s: float
    reference: Mapping[Modality, tuple[Phase, ...]]
    unsuitable_words: re.Pattern[str]
    other_mr_words: re.Pattern[str]
    enough_extent_mm: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> PhaseRules:
        """Reads the parsed ``phases.toml``.

        Raises:
            RecordInvalidError: A key is missing, or a pattern or a phase does not exist.
        """
        try:
            return cls(
                windows={Modality(m): tuple(_window(w) for w in rows) for m, rows in table["timing"].items()},
                words=tuple(
                    WordRule(Phase(rule["phase"]), _pattern(rule["patterns"])) for rule in table["description"]
                ),
                several_phases=_pattern(table["several_phases"]["patterns"]),
                minutes_or_seconds=_pattern([table["delay_in_description"]["pattern"]]),
                no_contrast_words=_pattern(table["agent"]["none"]),
                hepatobiliary_agents=_pattern(table["agent"]["hepatobiliary"]),
                hepatobiliary_from_s=float(table["agent"]["hepatobiliary_from_s"]["value"]),
                longest_delay_s=float(table["agent"]["longest_delay_s"]["value"]),
                reference={
                    Modality(m): tuple(Phase(p) for p in phases) for m, phases in table["reference"]["order"].items()
                },
                unsuitable_words=_pattern(table["reference"]["unsuitable"]),
                other_mr_words=_pattern(table["reference"]["other_mr"]),
                enough_extent_mm=float(table["reference"]["enough_extent_mm"]["value"]),
            )
        except (KeyError, ValueError, TypeError, AttributeError, re.error) as error:
            raise RecordInvalidError(
                f"the phase rules are not valid ({type(error).__name__}: {error}): compare them with phases.toml"
            ) from error


@dataclass(frozen=True)
class PhaseInput:
    """What one volume offers to its phase decision.

    Attributes:
        modality: CT or MR.
        tags: From its first slice.
        acquired_s: Earliest acquisition time of its slices, seconds; only the time of day is used.
        before_contrast: Every volume of the study whose tags name contrast was acquired later than this one.
    """

    modality: Modality
    tags: PhaseTags
    acquired_s: float | None
    before_contrast: bool = False


@dataclass(frozen=True)
class PhaseDecision:
    """The phase, what speaks for and against it, and what a person should look at."""

    phase: Phase
    evidence: tuple[PhaseEvidence, ...]
    flags: tuple[Flag, ...] = ()


def decide_phase(given: PhaseInput, rules: PhaseRules, *, override: Phase | None = None) -> PhaseDecision:
    """Names the phase of one volume.

    Args:
        given: What the headers say.
        rules: From :meth:`PhaseRules.from_table`.
        override: What the user said; wins over everything.
    """
    named, ambiguous = _by_words(given, rules)
    evidence = [
        item
        for item in (
            _by_time(given, rules, named.says if named else None),
            named,
            _by_agent(given, rules),
            _by_study(given),
        )
        if item is not None
    ]
    flags: list[Flag] = [Flag.PHASE_AMBIGUOUS] if ambiguous else []
    if len({item.says for item in evidence}) > 1 or _contrast_contradicts(given, rules, evidence):
        flags.append(Flag.PHASE_CONFLICT)
    if override is not None:
        by_user = PhaseEvidence("user", override, "named on the command line")
        return PhaseDecision(override, (by_user, *evidence), (Flag.PHASE_BY_USER,))
    phase = evidence[0].says if evidence else Phase.UNKNOWN
    return PhaseDecision(phase, tuple(evidence), tuple(flags))


def injection_delay_s(given: PhaseInput, rules: PhaseRules) -> float | None:
    """Acquisition time minus ContrastBolusStartTime, across midnight too; None when it makes no sense."""
    start_s = given.tags.contrast_start_s
    if given.acquired_s is None or start_s is None:
        return None
    delay_s = (given.acquired_s % _DAY_S - start_s + _DAY_S / 2) % _DAY_S - _DAY_S / 2
    return delay_s if abs(delay_s) <= rules.longest_delay_s else None


def _by_time(given: PhaseInput, rules: PhaseRules, named: Phase | None) -> PhaseEvidence | None:
    delay_s = injection_delay_s(given, rules)
    if delay_s is None:
        return None
    phase = phase_at(delay_s, given, rules, named=named)
    if phase is None:
        return None
    return PhaseEvidence("ContrastBolusStartTime", phase, f"{delay_s:.0f} s after the start of injection")


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


def _by_words(given: PhaseInput, rules: PhaseRules) -> tuple[PhaseEvidence | None, bool]:
    """What the series' description says; the protocol's name counts only when that says nothing."""
    ambiguous = False
    for source, text in (
        ("SeriesDescription", given.tags.series_description),
        ("ProtocolName", given.tags.protocol_name),
    ):
        if rules.several_phases.search(plain_text(text)):
            ambiguous = ambiguous or source == "SeriesDescription"
            break
        found = phases_in_text(text, rules)
        if not found and (delay_s := _delay_in_text(text, rules)) is not None:
            phase = phase_at(delay_s, given, rules)
            if phase is not None:
                return PhaseEvidence(source, phase, f"names a delay of {delay_s:.0f} s"), False
        if len(found) == 1:
            ((phase, word),) = found.items()
            return PhaseEvidence(source, phase, f'contains "{word}"'), False
        if len(found) > 1 and source == "SeriesDescription":
            ambiguous = True
            break
    return None, ambiguous


def phases_in_text(text: str, rules: PhaseRules) -> dict[Phase, str]:
    """The phases that a description names, each with the word that names it."""
    rest = plain_text(text)
    found: dict[Phase, str] = {}
    for rule in rules.words:
        match = rule.pattern.search(rest)
        if match is not None:
            found.setdefault(rule.phase, match.group().strip())
            rest = rule.pattern.sub(" | ", rest)
    return found


def plain_text(text: str) -> str:
    """Lower case, without accents on Latin letters; other scripts are left whole."""
    return _without_accents(text.casefold())


def _without_accents(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(c for c in apart if not "\u0300" <= c <= "\u036f"))


def _delay_in_text(text: str, rules: PhaseRules) -> float | None:
    matches = list(rules.minutes_or_seconds.finditer(plain_text(text)))
    if len(matches) != 1:
        return None
    minutes = matches[0]["unit"].startswith(("m", "分"))
    return float(matches[0]["value"]) * (60 if minutes else 1)


def _by_agent(given: PhaseInput, rules: PhaseRules) -> PhaseEvidence | None:
    agent = given.tags.contrast_agent
    if agent and rules.no_contrast_words.search(agent):
        return PhaseEvidence("ContrastBolusAgent", Phase.UNENHANCED, "says that no contrast was given")
    return None


def _by_study(given: PhaseInput) -> PhaseEvidence | None:
    """A volume without any contrast tag, earlier than all that carry one, was taken before the injection."""
    if given.before_contrast and not given.tags.contrast_agent and given.tags.contrast_start_s is None:
        detail = "no contrast tag, and earlier than all series that have one"
        return PhaseEvidence("ContrastBolusAgent", Phase.UNENHANCED, detail)
    return None


def has_contrast(tags: PhaseTags, rules: PhaseRules) -> bool:
    """Whether the tags say that contrast was given."""
    agent = tags.contrast_agent
    if agent:
        return rules.no_contrast_words.search(agent) is None
    return tags.contrast_start_s is not None


def _contrast_contradicts(given: PhaseInput, rules: PhaseRules, evidence: Sequence[PhaseEvidence]) -> bool:
    """Called unenhanced, but an agent is on record and no time says that it came later."""
    if not evidence or not given.tags.contrast_agent or injection_delay_s(given, rules) is not None:
        return False
    return evidence[0].says is Phase.UNENHANCED and has_contrast(given.tags, rules)


def _window(row: Mapping[str, Any]) -> TimeWindow:
    return TimeWindow(Phase(row["phase"]), float(row["from_s"]), float(row["below_s"]), float(row["slack_s"]))


def _pattern(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{_without_accents(p)})" for p in patterns), re.IGNORECASE)
