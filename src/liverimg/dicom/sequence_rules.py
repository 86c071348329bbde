"""The rules that kinds of image are told by, read from ``data/sequences.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from liverimg.core.errors import RecordInvalidError
from liverimg.core.study import ImageKind
from liverimg.dicom.phase_rules import pattern_of


@dataclass(frozen=True)
class ParameterRule:
    """Parameters of a sequence, and what they leave possible.

    Attributes:
        kind: What it is likely to be.
        allows: What it may be as well.
        scanning: ScanningSequence, any of these; empty for any.
        echo_from_ms: Least echo time.
        echo_below_ms: Echo time below this.
        repetition_below_ms: Repetition time below this.
        fat_suppressed: Whether fat has to be suppressed.
    """

    kind: ImageKind
    allows: tuple[ImageKind, ...]
    scanning: frozenset[str]
    echo_from_ms: float
    echo_below_ms: float
    repetition_below_ms: float
    fat_suppressed: bool


@dataclass(frozen=True)
class SequenceRules:
    """All rules, from ``data/sequences.toml``.

    Attributes:
        image_type: Kind by value of ImageType, in order.
        contrast: Kind by AcquisitionContrast.
        words: Patterns of descriptions, in order.
        names: Patterns of sequence names, in order.
        parameters: In order.
        shift_hz_per_t: Distance of fat from water.
        echo_tolerance: Share of a period by which an echo may miss in or opposed phase.
    """

    image_type: tuple[tuple[ImageKind, frozenset[str]], ...]
    contrast: Mapping[str, ImageKind]
    words: tuple[tuple[ImageKind, re.Pattern[str]], ...]
    names: tuple[tuple[ImageKind, re.Pattern[str]], ...]
    parameters: tuple[ParameterRule, ...]
    shift_hz_per_t: float
    echo_tolerance: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> SequenceRules:
        """Reads the parsed ``sequences.toml``.

        Raises:
            RecordInvalidError: A key is missing, or a pattern or a kind does not exist.
        """
        try:
            shift = table["chemical_shift"]
            return cls(
                image_type=tuple((ImageKind(r["kind"]), frozenset(r["values"])) for r in table["image_type"]),
                contrast={word: ImageKind(kind) for word, kind in table["tag"]["contrast"].items()},
                words=tuple((ImageKind(r["kind"]), pattern_of(r["patterns"])) for r in table["words"]),
                names=tuple((ImageKind(r["kind"]), pattern_of(r["patterns"])) for r in table["name"]),
                parameters=tuple(_parameters(r) for r in table["parameters"]),
                shift_hz_per_t=float(shift["shift_ppm"]) * float(shift["proton_mhz_per_t"]),
                echo_tolerance=float(shift["tolerance"]),
            )
        except (KeyError, ValueError, TypeError, AttributeError, re.error) as error:
            raise RecordInvalidError(
                f"the sequence rules are not valid ({type(error).__name__}: {error}): compare them with sequences.toml"
            ) from error


def _parameters(row: Mapping[str, Any]) -> ParameterRule:
    return ParameterRule(
        kind=ImageKind(row["kind"]),
        allows=tuple(ImageKind(kind) for kind in row["allows"]),
        scanning=frozenset(row.get("scanning", ())),
        echo_from_ms=float(row.get("echo_from_ms", 0)),
        echo_below_ms=float(row.get("echo_below_ms", "inf")),
        repetition_below_ms=float(row.get("repetition_below_ms", "inf")),
        fat_suppressed=bool(row.get("fat_suppressed", False)),
    )


@cache
def shipped_sequence_rules() -> SequenceRules:
    """The rules that come with the package."""
    text = files("liverimg").joinpath("data", "sequences.toml").read_text(encoding="utf-8")
    return SequenceRules.from_table(tomllib.loads(text))
