"""What a server may give away and take in, by name: a request for anything else finds nothing, and is never a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """What goes back over the wire.

    Attributes:
        body: Its bytes.
        kind: Media type.
        tag: Tells this state of it from a later one; empty where nobody asks.
    """

    body: bytes = field(repr=False)
    kind: str
    tag: str = ""


@dataclass(frozen=True)
class Kept:
    """Something that the page may send to be kept.

    Attributes:
        most_bytes: The longest that is read at all.
        keep: Takes the bytes and the tag of the state that they were made from; gives what to say to the page.
    """

    most_bytes: int
    keep: Callable[[bytes, str], Answer]


@dataclass(frozen=True)
class Site:
    """All that a server knows.

    Attributes:
        gives: Makes the answer to each name when it is asked for; ``""`` is the page itself.
        keeps: What may be sent, by name.
        policy: Content security policy of every answer.
    """

    gives: Mapping[str, Callable[[], Answer]]
    keeps: Mapping[str, Kept]
    policy: str
