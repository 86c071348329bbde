"""What the command line says to programs: one JSON object on standard output, whether it went well or not."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liverimg.pipeline.result import Result


def say(record: Mapping[str, Any]) -> None:
    """One object with sorted keys; equal values give equal text."""
    sys.stdout.write(json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def say_error(*, code: str, exit_code: int, message: str) -> None:
    """What was refused or broke off; the same sentence goes to standard error for people."""
    say({"error": {"code": code, "exit_code": exit_code, "message": message}})


def result_record(result: Result) -> dict[str, Any]:
    """What a run left: where, what became of each stage, and which files are there."""
    paths = result.paths
    return {
        "out": str(result.folder),
        "report": _report(paths),
        "stages": [
            {"stage": o.stage, "state": o.state.value, "seconds": round(o.seconds, 3), "note": o.note}
            for o in result.outcomes
        ],
        "files": {name: str(path) for name, path in paths.items()},
        "warnings": _warnings(result),
    }


def _report(paths: Mapping[str, Path]) -> str | None:
    pages = ("response_report", "perfusion_report", "report")
    return next((str(paths[page]) for page in pages if page in paths), None)


def _warnings(result: Result) -> list[str]:
    """What a reader must know first, from the record that the run ended in."""
    for kind in ("response", "perfusion", "measurements"):
        if kind in result.paths:
            return list(result.record(kind)["warnings"])
    return []
