"""Answers in three states: yes, no, and cannot tell, when noise or motion is as large as what was to be seen."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from liverimg.core.measurement import EvidencePoint, Measurement


class Answer(Enum):
    """Yes, no, or cannot tell, with the likelier of the two."""

    NO = (False,)
    YES = (True,)
    RATHER_NO = (False, True)
    RATHER_YES = (True, False)

    @property
    def likely(self) -> bool:
        """The likelier answer."""
        return bool(self.value[0])

    @property
    def possible(self) -> frozenset[bool]:
        """What is not excluded."""
        return frozenset(self.value)

    @classmethod
    def of(cls, likely: bool, *, certain: bool) -> Answer:
        """A certain or an uncertain answer."""
        if certain:
            return cls.YES if likely else cls.NO
        return cls.RATHER_YES if likely else cls.RATHER_NO


def above(value: float, threshold: float, *, half: float) -> Answer:
    """Whether a value known to plus or minus ``half`` reaches a threshold.

    Yes needs the value to reach it and to differ from zero by more than ``half``: what is seen must be more than
    noise, and a threshold is met by being met. No needs even the upper end to stay below.
    """
    if value >= threshold:
        return Answer.of(True, certain=value > half)
    return Answer.of(False, certain=value + half < threshold)


def between(value: float, least: float, sure: float, *, half: float) -> Answer:
    """Whether a value is there at all, where what lies between two thresholds says nothing.

    Args:
        value: Best estimate.
        least: Below it the answer is no.
        sure: From it on the answer is yes.
        half: Half width of the value's band.
    """
    if value >= sure and value - half >= least:
        return Answer.YES
    if value + half < least:
        return Answer.NO
    return Answer.of(value >= (least + sure) / 2, certain=False)


def state(
    name: str,
    target: str,
    likely: int,
    possible: Iterable[int],
    *,
    method: str,
    points: tuple[EvidencePoint, ...] = (),
    sources: tuple[str, ...] = (),
) -> Measurement:
    """A state as a number: its place in the list of states, the band being the states that are not excluded."""
    known = {likely, *possible}
    return Measurement(name, target, float(likely), "1", float(min(known)), float(max(known)), method, points, sources)
