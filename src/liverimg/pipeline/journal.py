"""The log: one JSON object a line, in a shape that does not change, and nobody's identity in it.

What is logged is written by ourselves, but it may quote what a person gave: a path may hold a patient's name, and a UID
leads to a study. So paths become ``[path]``, UIDs the beginning of their hash, and of an unforeseen error only its kind
and its place in the program are kept: its words may quote a header.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from logging.handlers import WatchedFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import liverimg
from liverimg.core.errors import ExitCode, LiverimgError

logger = logging.getLogger(__name__)

_PACKAGE: Final = "liverimg"
# As many letters as the listener's keys of studies have, so that both can be searched for.
_HASH_LETTERS: Final = 12
_LEAST_HIDDEN: Final = 3
_LONGEST_CHAIN: Final = 5
INTERRUPTED: Final = 130
_UID: Final = re.compile(r"(?<![\w.])[0-2](?:\.\d+){4,}(?![\w])")
# A scheme's double slash is an address and stays; so does a fraction such as mm/s.
_PATH: Final = re.compile(r"(?<![\w:/.\-])(?:~|\.{1,2})?/[^\s'\",;:|)]+")


class JsonLines(logging.Formatter):
    """A log record as one line of JSON with sorted keys.

    Args:
        hide: Texts that must not be told, such as the paths that were given.
    """

    def __init__(self, hide: Iterable[str] = ()) -> None:
        super().__init__()
        self._hide = tuple(hide)

    def format(self, record: logging.LogRecord) -> str:
        """Time (UTC), level, version, the event and what belongs to it; of a message where it comes from."""
        row: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "version": liverimg.__version__,
            "event": getattr(record, "event", "message"),
        }
        if not hasattr(record, "event"):
            row["from"] = record.name.removeprefix(f"{_PACKAGE}.")
        row |= getattr(record, "told", {})
        message = reduced(record.getMessage(), hide=self._hide)
        if message:
            row["message"] = message
        return json.dumps(row, sort_keys=True, ensure_ascii=False)


class Words(logging.Formatter):
    """A log record as a line for people who watch a terminal; as free of identity as the other."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Time, level and message."""
        return reduced(super().format(record))


@contextmanager
def journal(path: Path, *, hide: Iterable[str] = ()) -> Iterator[None]:
    """Appends this package's log to a file for as long as it is open.

    A file that was moved away by whatever rotates logs is begun anew.

    Args:
        path: The file.
        hide: Texts that must not be told, such as the paths that were given.
    """
    handler = WatchedFileHandler(path, encoding="utf-8")
    handler.setFormatter(JsonLines(hide))
    package = logging.getLogger(_PACKAGE)
    before = package.level
    package.setLevel(logging.INFO)
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(before)
        handler.close()


def tell(event: str, /, *, level: int = logging.INFO, message: str = "", **told: Any) -> None:
    """Logs an event with what belongs to it; values are plain and say nothing of a person."""
    logger.log(level, "%s", message, extra={"event": event, "told": told})


class Span:
    """Logs how a piece of work begins and ends: ``NAME_started``, then ``_done``, ``_refused`` or ``_failed``.

    Args:
        name: Of the events.
        hide: Texts that must not be told, such as the paths that were given.
        **told: What belongs to every event.
    """

    def __init__(self, name: str, /, *, hide: Iterable[str] = (), **told: Any) -> None:
        self._name, self._hide, self._told, self._began_s = name, tuple(hide), told, 0.0

    def __enter__(self) -> Span:
        """The work begins."""
        self._began_s = time.monotonic()
        tell(f"{self._name}_started", **self._told)
        return self

    def add(self, **told: Any) -> None:
        """More that belongs to the events to come."""
        self._told |= told

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The work is through, was refused in one sentence, or broke off."""
        told = self._told | {"duration_s": round(time.monotonic() - self._began_s, 3)}
        if error is None:
            tell(f"{self._name}_done", **({"exit_code": int(ExitCode.DONE)} | told))
        elif isinstance(error, LiverimgError):
            told |= refusal(error)
            message = reduced(str(error), hide=self._hide)
            tell(f"{self._name}_refused", level=logging.WARNING, message=message, **told)
        else:
            tell(f"{self._name}_failed", level=logging.ERROR, **(told | failure(error)))


def failure(error: BaseException) -> dict[str, Any]:
    """Exit code, code, kind and place of an error that is not ours; of the system's own, the system's words too."""
    if isinstance(error, KeyboardInterrupt):
        return {"exit_code": INTERRUPTED, "code": "interrupted"}
    told: dict[str, Any] = {"exit_code": int(ExitCode.INTERNAL), "code": "internal"} | crash(error)
    if isinstance(error, OSError):
        told |= {"code": "system", "reason": error.strerror or ""}
    return told


def refusal(error: LiverimgError) -> dict[str, Any]:
    """Exit code and code of an error of our own: its refusal code where it has one, else its kind in snake case."""
    kind = type(error).__name__.removesuffix("Error")
    code = getattr(error, "code", "") or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()
    return {"exit_code": int(error.exit_code), "code": str(code)}


def crash(error: BaseException) -> dict[str, Any]:
    """Kind and place of an error that nobody foresaw, without its words, which may quote a header."""
    kinds: list[str] = []
    link: BaseException | None = error
    while link is not None and len(kinds) < _LONGEST_CHAIN:
        kinds.append(type(link).__name__)
        link = link.__cause__ or link.__context__
    return {"error": kinds, "where": list(frames(error.__traceback__))}


def frames(trace: TracebackType | None) -> Iterator[str]:
    """Where in the program, outermost first: module file, line and function, without folders of this machine."""
    for frame in traceback.extract_tb(trace):
        yield f"{_own_part(frame.filename)}:{frame.lineno} {frame.name}"


def crash_words(error: BaseException) -> str:
    """What whoever mends it needs of an unforeseen error: the places and the kinds, and not a word of data."""
    told = crash(error)
    lines = ["Traceback (most recent call last), without values, which may tell who a patient is:"]
    lines += [f"  {place}" for place in told["where"]]
    return "\n".join([*lines, " from ".join(told["error"])]) + "\n"


def reduced(text: str, *, hide: Iterable[str] = ()) -> str:
    """A text without paths, UIDs and control characters.

    Args:
        text: Of a log line.
        hide: Texts to take out first, whatever they look like.
    """
    for one in sorted({h for h in hide if len(h) >= _LEAST_HIDDEN}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w\-]){re.escape(one)}(?!\w)", "[path]", text)
    text = _PATH.sub("[path]", text)
    text = _UID.sub(lambda m: f"uid:{sha256(m[0].encode()).hexdigest()[:_HASH_LETTERS]}", text)
    return "".join(c if c.isprintable() else "?" for c in text)


def _own_part(filename: str) -> str:
    """The file from its package on: where a library lies may be a person's home."""
    parts = Path(filename).parts
    for anchor in ("site-packages", "src"):
        if anchor in parts:
            return "/".join(parts[len(parts) - parts[::-1].index(anchor) :])
    return os.path.basename(filename)  # noqa: PTH119
