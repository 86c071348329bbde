"""The working folder of a training run: checkpoints, prepared cases, curves and the split. Never in a repository."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liverimg.core.errors import UsageError

_RECORD = "run.json"


def claim(folder: Path, what: Mapping[str, Any]) -> None:
    """Makes the folder, or takes up the run that lies in it.

    Args:
        folder: The working folder.
        what: All that makes this run this run; a run with another record is not continued.

    Raises:
        UsageError: The folder lies in a Git checkout, or holds another run.
    """
    refuse_repository(folder)
    record = folder / _RECORD
    text = json.dumps(what, indent=2, sort_keys=True) + "\n"
    if record.is_file():
        before = record.read_text(encoding="utf-8")
        if before != text:
            raise UsageError(
                f"{folder} holds another run ({_difference(before, what)}); give --work another folder, or delete this "
                "one to begin anew"
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty and holds no training run; give --work a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(text, encoding="utf-8")


def refuse_repository(folder: Path) -> None:
    """Patients' images and what is made of them do not belong under version control."""
    resolved = folder.resolve()
    for parent in (resolved, *resolved.parents):
        if (parent / ".git").exists():
            raise UsageError(
                f"the working folder {folder} lies in the Git checkout {parent}, and patients' images would be kept "
                "there; give --work a folder elsewhere"
            )


def _difference(before: str, what: Mapping[str, Any]) -> str:
    try:
        old = json.loads(before)
    except ValueError:
        return "its record is damaged"
    names = sorted(set(old) | set(what)) if isinstance(old, dict) else []
    other = [name for name in names if json.dumps(old.get(name)) != json.dumps(what.get(name))]
    return f"with another {', '.join(other)}" if other else "with another record"
