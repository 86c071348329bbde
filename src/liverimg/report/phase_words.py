"""The phase of a series in words, with what it rests on."""

from __future__ import annotations

from dataclasses import dataclass

from liverimg.core.study import Phase, Series
from liverimg.report.text import Strings, say

_IMAGE = "image"


@dataclass(frozen=True)
class PhaseWords:
    """A phase for a reader.

    Attributes:
        name: The phase.
        basis: How sure it is and what it rests on; the same for a phase that nothing tells.
    """

    name: str
    basis: str


def phase_words(series: Series, strings: Strings) -> PhaseWords:
    """The phase that all evidence gives, with the evidence that speaks for it.

    What the image shows goes last: it is the longest. Evidence against the phase stands with the series, further down.
    """
    name = say(strings, f"phase.{series.phase}")
    speaking = [e for e in series.phase_evidence if e.says is series.phase]
    if series.phase is Phase.UNKNOWN or not speaking:
        return PhaseWords(name, say(strings, "header.phase_unsettled"))
    ordered = sorted(speaking, key=lambda e: e.source == _IMAGE)
    rows = [
        say(
            strings,
            "header.phase_image" if e.source == _IMAGE else "header.phase_tag",
            source=e.source,
            detail=e.detail,
        )
        for e in ordered
    ]
    sure = say(strings, f"confidence.{series.phase_confidence}")
    return PhaseWords(name, say(strings, "header.phase_settled", confidence=sure, evidence="; ".join(rows)))
