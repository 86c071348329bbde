"""Which cases are learned from and which are kept for validation: never the same patient in both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverimg.core.errors import InputRefusedError, RecordInvalidError
from liverimg.training.data.names import NameTable

NNUNET_SPLITS = "splits_final.json"


@dataclass(frozen=True)
class Split:
    """Names of cases.

    Attributes:
        train: To learn from.
        validation: Never learned from.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]

    def to_text(self) -> str:
        """As JSON, in the form that :func:`read_split` reads."""
        return json.dumps({"train": list(self.train), "val": list(self.validation)}, indent=2) + "\n"


def make_split(cases: Sequence[str], names: NameTable, *, share: float, seed: int) -> Split:
    """Draws a split by patients; the same names, share and seed give the same split on every machine.

    Args:
        cases: Names of all cases.
        names: Tells the patient of a case.
        share: Of the patients that validate, 0 for none.
        seed: Of the draw.

    Raises:
        InputRefusedError: Fewer than two patients.
    """
    patients: dict[str, list[str]] = {}
    for case in sorted(cases):
        patients.setdefault(names.patient_of(case), []).append(case)
    if share == 0:
        return Split(tuple(sorted(cases)), ())
    if len(patients) < 2:
        raise InputRefusedError(
            f"all {len(cases)} cases seem to be of one patient ({next(iter(patients), 'none')!r}), so none is left for "
            "validation; give a pattern 'patient' with --names, or a split with --split"
        )
    order = sorted(patients, key=lambda p: hashlib.sha256(f"{seed}:{p}".encode()).hexdigest())
    count = min(len(order) - 1, max(1, round(share * len(order))))
    kept = {case for patient in order[:count] for case in patients[patient]}
    return Split(tuple(c for c in sorted(cases) if c not in kept), tuple(sorted(kept)))


def read_split(path: Path, cases: Sequence[str], *, fold: int = 0) -> Split:
    """Reads ``{"train": [...], "val": [...]}``, or nnU-Net's ``splits_final.json``, a list of such folds.

    Raises:
        RecordInvalidError: Not of that form.
        InputRefusedError: It names cases that are not there, or one in both parts.
    """
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordInvalidError(f"{path.name} does not exist; expected a JSON file with the split") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordInvalidError(f"{path.name} can't be read as JSON ({type(error).__name__})") from error
    if isinstance(found, list):
        if not 0 <= fold < len(found):
            raise RecordInvalidError(f"{path.name} holds {len(found)} folds; there is no fold {fold}")
        found = found[fold]
    split = Split(*(_names_in(found, key, path) for key in ("train", "val")))
    absent = sorted({*split.train, *split.validation} - set(cases))
    if absent:
        raise InputRefusedError(f"{path.name} names the case {absent[0]!r}, which the data set does not have")
    both = sorted(set(split.train) & set(split.validation))
    if both:
        raise InputRefusedError(f"{path.name} has the case {both[0]!r} in both parts; a case may be in one only")
    if not split.train:
        raise InputRefusedError(f"{path.name} leaves no case to learn from")
    return split


def _names_in(found: Any, key: str, path: Path) -> tuple[str, ...]:
    part = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(part, list) or not all(isinstance(name, str) for name in part):
        raise RecordInvalidError(
            f'{path.name} is no split; expected {{"train": [names], "val": [names]}} or a list of such folds'
        )
    return tuple(sorted(part))


def split_for(
    folder: Path, cases: Sequence[str], names: NameTable, *, given: Path | None, share: float, seed: int
) -> Split:
    """The split to use: the given file, else the data set's own ``splits_final.json``, else a drawn one."""
    if given is not None:
        return read_split(given, cases)
    own = folder / NNUNET_SPLITS
    if own.is_file():
        return read_split(own, cases)
    return make_split(cases, names, share=share, seed=seed)
