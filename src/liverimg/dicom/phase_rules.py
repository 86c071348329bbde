"""The rules that phases are told by, read from ``data/phases.toml``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liverimg.core.errors import RecordInvalidError
from liverimg.core.study import Modality, Phase, Role
from liverimg.dicom.plain_text import without_accents


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
    slack_s: float = 0.0


@dataclass(frozen=True)
class WordRule:
    """A pattern in a description, and what it means. Earlier rules consume what they match.

    Attributes:
        phase: What it names.
        pattern: To be found in plain text.
        allows: Phases that people call by the same word.
    """

    phase: Phase
    pattern: re.Pattern[str]
    allows: tuple[Phase, ...] = ()


@dataclass(frozen=True)
class Source:
    """How much a source of evidence counts, and which others it is not independent of."""

    family: str
    weight: float


@dataclass(frozen=True)
class Weighing:
    """Weights by source, and from which weight on a source is strong."""

    sources: Mapping[str, Source]
    strong_from: float

    def source(self, name: str) -> Source:
        """Family and weight of a source; one that no rule knows is a family of its own and counts nothing."""
        return self.sources.get(name, Source(name, 0.0))

    def is_strong(self, name: str) -> bool:
        """Whether this source is a strong one."""
        return self.source(name).weight >= self.strong_from


@dataclass(frozen=True)
class OrderRules:
    """How an imagined start of injection is judged; see ``phases.toml``.

    Attributes:
        usual: When phases are usually taken, by modality.
        in_window: Points for a volume in a usual window.
        excluded: Points for a volume in a phase that its own tags exclude; negative.
        as_named: Points for a volume where its name says.
        another_phase: Points for each phase that is shown.
        enough_phases: So many different phases after contrast speak without a name.
        same_acquisition_s: Acquisitions nearer than this are one.
    """

    usual: Mapping[Modality, tuple[TimeWindow, ...]]
    in_window: float
    excluded: float
    as_named: float
    another_phase: float
    enough_phases: int
    same_acquisition_s: float


@dataclass(frozen=True)
class PhaseRules:
    """All rules, from ``data/phases.toml``.

    Attributes:
        windows: By modality.
        copied_start_s: A start of injection this near to the acquisition says nothing.
        words: In order of application.
        several_phases: Descriptions that name more than one phase.
        enhanced_words: Descriptions that say that contrast was given, not when.
        minutes_or_seconds: Pattern with groups ``value`` and ``unit`` for a delay named in a description.
        no_contrast_words: ContrastBolusAgent that says that there was none.
        hepatobiliary_agents: Agents that the liver cells take up.
        hepatobiliary_from_s: Time from which such an agent shows the hepatobiliary phase.
        longest_delay_s: A contrast start further away belongs to something else.
        agent_phases: What ContrastBolusAgentPhase names.
        weighing: How much each source counts.
        order: How the order of acquisitions is read.
        reference: Phases by modality, the best for segmentation first.
        roles: Phases that may serve a role, best first.
        unsuitable_words: Descriptions that make a volume a worse reference.
        enough_extent_mm: Extent along the slices that covers a liver.
    """

    windows: Mapping[Modality, tuple[TimeWindow, ...]]
    copied_start_s: float
    words: tuple[WordRule, ...]
    several_phases: re.Pattern[str]
    enhanced_words: re.Pattern[str]
    minutes_or_seconds: re.Pattern[str]
    no_contrast_words: re.Pattern[str]
    hepatobiliary_agents: re.Pattern[str]
    hepatobiliary_from_s: float
    longest_delay_s: float
    agent_phases: Mapping[str, Phase]
    weighing: Weighing
    order: OrderRules
    reference: Mapping[Modality, tuple[Phase, ...]]
    roles: Mapping[Role, tuple[Phase, ...]]
    unsuitable_words: re.Pattern[str]
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
                copied_start_s=float(table["timing_rules"]["copied_start_s"]["value"]),
                words=tuple(_word_rule(rule) for rule in table["description"]),
                several_phases=pattern_of(table["several_phases"]["patterns"]),
                enhanced_words=pattern_of(table["enhanced_words"]["patterns"]),
                minutes_or_seconds=pattern_of([table["delay_in_description"]["pattern"]]),
                no_contrast_words=pattern_of(table["agent"]["none"]),
                hepatobiliary_agents=pattern_of(table["agent"]["hepatobiliary"]),
                hepatobiliary_from_s=float(table["agent"]["hepatobiliary_from_s"]["value"]),
                longest_delay_s=float(table["agent"]["longest_delay_s"]["value"]),
                agent_phases={word: Phase(phase) for word, phase in table["agent_phase"].items()},
                weighing=_weighing(table["weighing"]),
                order=_order(table["order"], table["usual"]),
                reference={
                    Modality(m): tuple(Phase(p) for p in phases) for m, phases in table["reference"]["order"].items()
                },
                roles={Role(r): tuple(Phase(p) for p in phases) for r, phases in table["roles"].items()},
                unsuitable_words=pattern_of(table["reference"]["unsuitable"]),
                enough_extent_mm=float(table["reference"]["enough_extent_mm"]["value"]),
            )
        except (KeyError, ValueError, TypeError, AttributeError, re.error) as error:
            raise RecordInvalidError(
                f"the phase rules are not valid ({type(error).__name__}: {error}): compare them with phases.toml"
            ) from error


def _window(row: Mapping[str, Any]) -> TimeWindow:
    return TimeWindow(Phase(row["phase"]), float(row["from_s"]), float(row["below_s"]), float(row["slack_s"]))


def _word_rule(row: Mapping[str, Any]) -> WordRule:
    return WordRule(Phase(row["phase"]), pattern_of(row["patterns"]), tuple(Phase(p) for p in row.get("allows", ())))


def _weighing(table: Mapping[str, Any]) -> Weighing:
    sources = {
        name: Source(str(row["family"]), float(row["weight"])) for row in table["sources"] for name in row["names"]
    }
    return Weighing(sources, float(table["strong_from"]))


def _order(table: Mapping[str, Any], usual: Mapping[str, Any]) -> OrderRules:
    windows = {
        Modality(m): tuple(TimeWindow(Phase(p), float(ends[0]), float(ends[1])) for p, ends in rows.items())
        for m, rows in usual.items()
        if m != "source"
    }
    return OrderRules(
        usual=windows,
        in_window=float(table["in_window"]),
        excluded=float(table["excluded"]),
        as_named=float(table["as_named"]),
        another_phase=float(table["another_phase"]),
        enough_phases=int(table["enough_phases"]),
        same_acquisition_s=float(table["same_acquisition_s"]),
    )


def pattern_of(patterns: Sequence[str]) -> re.Pattern[str]:
    """One pattern that matches where any of them does, in plain text."""
    return re.compile("|".join(f"(?:{without_accents(p)})" for p in patterns), re.IGNORECASE)
