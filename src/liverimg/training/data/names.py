"""What the names in a data set mean: labels become structures, channels become modality and phase."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from liverimg.core.errors import InputRefusedError, RecordInvalidError
from liverimg.core.labels import Structure
from liverimg.core.study import Modality, Phase
from liverimg.files.tables import read_table, read_toml

_NOTHING, _IGNORE = "background", "ignore"
_UNKNOWN = ("refuse", _NOTHING, _IGNORE)
_KEYS = ("unknown", "patient", "modality", "reference", "labels", "channels")


@dataclass(frozen=True)
class Meaning:
    """What one name of a label stands for.

    Attributes:
        structures: The structure; several where it is one of them and nobody knows which; none for background.
        part: Whether it is only a part of the structure.
        ignored: Whether its voxels count neither way.
    """

    structures: tuple[Structure, ...] = ()
    part: bool = False
    ignored: bool = False


@dataclass(frozen=True)
class NameTable:
    """Everything that is known of names.

    Attributes:
        labels: Meaning of each plain name.
        whole: For a structure, the sets of part names that make it up completely.
        hides_in: Labels that a structure may lie hidden in when it has none of its own, besides the background.
        modalities: Modality of a word in a channel's name.
        phases: Phase of one or two words in a channel's name.
        visits: Pattern of a word that tells the examination and not the patient.
        unknown: What to do with a name that is not here: ``refuse``, ``background`` or ``ignore``.
        patient: Pattern whose first group is the patient's part of a case's name; None for the usual.
        modality: Of all channels, when the user says so.
        reference: Plain name of the channel that the labels were drawn on; None for the first.
    """

    labels: Mapping[str, Meaning]
    whole: Mapping[Structure, tuple[frozenset[str], ...]]
    hides_in: Mapping[Structure, tuple[Structure, ...]]
    modalities: Mapping[str, Modality]
    phases: Mapping[str, Phase]
    visits: re.Pattern[str]
    unknown: str = "refuse"
    patient: re.Pattern[str] | None = None
    modality: Modality | None = None
    reference: str | None = None

    @classmethod
    def built_in(cls) -> NameTable:
        """The table that comes with the program."""
        table = read_table("dataset_names")
        labels = {plain(n): Meaning((Structure(s),)) for s, names in table["structures"].items() for n in names}
        labels |= {plain(n): Meaning(_structures(all_of)) for n, all_of in table["one_of"].items()}
        labels |= {plain(n): Meaning((Structure(s),), part=True) for s, ns in table["part_of"].items() for n in ns}
        labels |= {plain(n): Meaning() for n in table["nothing"]["names"]}
        visits = [*map(re.escape, table["visits"]["words"]), *table["visits"]["patterns"]]
        return cls(
            labels=labels,
            whole={
                Structure(s): tuple(frozenset(map(plain, names)) for names in sets)
                for s, sets in table["whole"].items()
            },
            hides_in={Structure(s): _structures(into) for s, into in table["hides_in"].items()},
            modalities={plain(n): Modality(m) for m, names in table["modalities"].items() for n in names},
            phases={plain(n): Phase(p) for p, names in table["phases"].items() for n in names},
            visits=re.compile("|".join(visits), re.IGNORECASE),
        )

    def with_file(self, path: Path) -> NameTable:
        """The table with the user's names, which win.

        Raises:
            RecordInvalidError: Not TOML, or not of the form that ``docs/how-to/retrain.md`` describes.
        """
        table = read_toml(path)
        stray = sorted(set(table) - set(_KEYS))
        if stray:
            raise RecordInvalidError(f"{path.name} holds {stray[0]!r}; expected only: {', '.join(_KEYS)}")
        unknown = table.get("unknown", self.unknown)
        if unknown not in _UNKNOWN:
            raise RecordInvalidError(f"{path.name} says unknown = {unknown!r}; expected one of {', '.join(_UNKNOWN)}")
        try:
            labels = {plain(n): _meaning(value) for n, value in table.get("labels", {}).items()}
            phases = {plain(n): Phase(value) for n, value in table.get("channels", {}).items()}
            patient = re.compile(table["patient"]) if "patient" in table else self.patient
            modality = Modality(table["modality"]) if "modality" in table else self.modality
        except (ValueError, TypeError, AttributeError, re.error) as error:
            raise RecordInvalidError(f"{path.name} can't be used: {error}; see docs/how-to/retrain.md") from error
        if patient is not None and patient.groups < 1:
            raise RecordInvalidError(f"the pattern 'patient' in {path.name} has no group; put (...) around the patient")
        return replace(
            self,
            labels={**self.labels, **labels},
            phases={**self.phases, **phases},
            unknown=unknown,
            patient=patient,
            modality=modality,
            reference=plain(table["reference"]) if "reference" in table else self.reference,
        )

    def label(self, name: str) -> Meaning:
        """What a label's name means.

        Raises:
            InputRefusedError: The name is unknown, and unknown names are refused.
        """
        found = self.labels.get(plain(name))
        if found is not None:
            return found
        if plain(name) == _IGNORE:
            return Meaning(ignored=True)
        # Our own names in other spellings are in the table already; TotalSegmentator numbers its bones and lobes.
        if self.unknown == "refuse":
            raise InputRefusedError(
                f"the data set has a label {name!r}, which is no name that liverimg knows; say in a file given with "
                f"--names what it is ([labels] {name!r} = one of {', '.join(Structure)}, or background, or ignore), "
                'or unknown = "background" for all such names'
            )
        return Meaning(ignored=self.unknown == _IGNORE)

    def channel_phase(self, name: str) -> Phase | None:
        """The contrast phase that a channel's name tells, if it does."""
        words = plain(name).split()
        candidates = [plain(name), *(" ".join(pair) for pair in pairwise(words)), *words]
        return next((self.phases[c] for c in candidates if c in self.phases), None)

    def channel_modality(self, names: Iterable[str]) -> Modality:
        """The modality of all channels together.

        Raises:
            InputRefusedError: They do not tell, or tell different ones.
        """
        if self.modality is not None:
            return self.modality
        words = {word for name in names for word in plain(name).split()}
        found = {self.modalities[word] for word in words if word in self.modalities}
        if len(found) != 1:
            said = ", ".join(sorted(found)) or "none"
            raise InputRefusedError(
                f"the channel names {', '.join(map(repr, names))} of dataset.json name the modalities: {said}; "
                'expected one of CT and MR; name it there, or with modality = "CT" in a file given with --names'
            )
        return found.pop()

    def patient_of(self, case: str) -> str:
        """The patient's part of a case's name: all of it but phases and visits at its end."""
        if self.patient is not None:
            match = self.patient.search(case)
            return match.group(1) if match else case
        words = re.split(r"[_\-. ]+", case)
        while len(words) > 1 and (words[-1].lower() in self.phases or self.visits.fullmatch(words[-1])):
            words.pop()
        return "_".join(words)


def plain(name: str) -> str:
    """A name in lower case with single blanks for underscores, dots and hyphens."""
    return re.sub(r"[\s_.\-/]+", " ", str(name)).strip().lower()


def _structures(names: Iterable[str]) -> tuple[Structure, ...]:
    return tuple(Structure(name) for name in names)


def _meaning(value: Any) -> Meaning:
    if isinstance(value, list):
        return Meaning(_structures(value))
    if value in (_NOTHING, _IGNORE):
        return Meaning(ignored=value == _IGNORE)
    return Meaning((Structure(value),))
