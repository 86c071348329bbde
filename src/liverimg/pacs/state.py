"""What became of a received study."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class State:
    """What became of a study, as far as it got; kept in ``state.json``.

    Attributes:
        objects: Fingerprint of the set that the rest refers to.
        ended: ``done``, ``refused`` (by the recipe, for good) or ``gave_up``; empty while a run is due or on.
        starts: Runs of this set that were begun.
        exit_code: Of the last one that ended.
        words: Its last sentence.
        results: What the last run made and is to be sent: opaque names of objects, with their contents'.
        sent: Those that the archive has taken.
        made: Opaque names of every object that we ever made for the study.
        ended_at_s: Wall clock.
    """

    objects: str = ""
    ended: str = ""
    starts: int = 0
    exit_code: int | None = None
    words: str = ""
    results: tuple[str, ...] = ()
    sent: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    ended_at_s: float = 0.0

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> State:
        """From JSON; what we don't know is left out."""
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in record.items() if k in known}
        return cls(**values)
