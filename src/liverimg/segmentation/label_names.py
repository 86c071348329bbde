"""What names and codes mean that other programs give to structures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from liverimg.core.drawing import Drawing
from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import Structure

IGNORE = "ignore"
UNDECIDED = "undecided"
_SIDES = frozenset(("left", "right", "l", "r", "lt", "rt"))


@dataclass(frozen=True)
class NameRules:
    """What names and codes mean.

    Attributes:
        names: Meaning (a structure, ``ignore`` or ``undecided``) of each plain name.
        patterns: The same for names with a ``*``.
        codes: The same for ``SCHEME:VALUE``.
        tumour_regions: Codes of the organ in which an abnormality is a tumour of ours.
        partial: Plain names that stand for part of a structure, with what that means.
        undecided_note: What to say of names that fit several structures.
        made_by: Plain names that give away the program, by program.
        priority: Structures in the order in which they count where outlines overlap.
    """

    names: Mapping[str, str]
    patterns: tuple[tuple[str, str], ...]
    codes: Mapping[str, str]
    tumour_regions: frozenset[str]
    partial: Mapping[str, str]
    undecided_note: str
    made_by: Mapping[str, frozenset[str]]
    priority: tuple[Structure, ...]

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, sct: Mapping[Structure, str]) -> NameRules:
        """From ``label_names.toml``.

        Args:
            table: The table.
            sct: SNOMED CT code of each structure, from ``structures.toml``.
        """
        rows = {str(Structure(name)): row for name, row in table["structures"].items()}
        rows |= {IGNORE: table["left_out"], UNDECIDED: table["undecided"]}
        said = {plain(name): meaning for meaning, row in rows.items() for name in row["names"]}
        said |= {plain(structure): structure.value for structure in Structure}
        codes = {str(code): meaning for meaning, row in rows.items() for code in row.get("codes", ())}
        codes |= {f"SCT:{code}": structure.value for structure, code in sct.items()}
        return cls(
            names={name: meaning for name, meaning in said.items() if "*" not in name},
            patterns=tuple((name, meaning) for name, meaning in said.items() if "*" in name),
            codes=codes,
            tumour_regions=frozenset(map(str, rows[Structure.TUMOUR]["regions"])),
            partial={plain(name): str(reason) for name, reason in table["partial"].items()},
            undecided_note=str(table["undecided"]["note"]),
            made_by={program: frozenset(map(plain, names)) for program, names in table["made_by"].items()},
            priority=tuple(Structure(name) for name in table["priority"]),
        )

    def with_own(self, own: Mapping[str, Any], file_name: str) -> NameRules:
        """The rules with the user's own names, which win over everything.

        Raises:
            InputRefusedError: A meaning is no structure.
        """
        known = {*(s.value for s in Structure), IGNORE}
        for name, meaning in own.items():
            if meaning not in known:
                raise InputRefusedError(
                    f"{file_name} says that {name!r} is {meaning!r}; expected one of: {', '.join(sorted(known))}"
                )
        return replace(self, names={**self.names, **{_own(name): str(meaning) for name, meaning in own.items()}})

    def by_name(self, name: str) -> str | None:
        """What a name means, or None when nobody knows."""
        if _own(name) in self.names:
            return self.names[_own(name)]
        for candidate in spellings(name):
            if candidate in self.names:
                return self.names[candidate]
            for pattern, meaning in self.patterns:
                if fnmatchcase(candidate, pattern):
                    return meaning
        return None

    def wants(self, name: str) -> bool:
        """Whether something of that name is worth reading: all that is not known to be left out."""
        return self.by_name(name) != IGNORE


def plain(name: str) -> str:
    """A name in lower case, with single blanks for all that is no letter, digit or star."""
    return re.sub(r"[^\w*]+|_+", " ", name).strip().casefold()


def _own(name: str) -> str:
    # The user's spelling is kept apart from ours: "1" and "Lesion 1" mean what the user says, letter for letter.
    return f"={name.strip().casefold()}"


def spellings(name: str) -> Iterable[str]:
    """A plain name as it is, without its side, without the number at its end, and without both."""
    whole = plain(name)
    sideless = " ".join(word for word in whole.split() if word not in _SIDES)
    for spelling in (whole, sideless):
        yield spelling
    for spelling in (whole, sideless):
        yield re.sub(r"\s*\d+$", "", spelling)


def number_in(name: str) -> int | None:
    """The number at the end of a name, if there is one."""
    match = re.search(r"(\d{1,3})$", plain(name))
    return int(match[1]) if match else None


def meaning_of(drawing: Drawing, rules: NameRules) -> str | None:
    """What a drawing is: a structure, ``ignore``, ``undecided``, or None when nobody knows.

    Raises:
        InputRefusedError: Its code and its name say different things.
    """
    by_name = rules.by_name(drawing.name)
    coded = [rules.codes[code] for code in drawing.codes if code in rules.codes]
    by_code = coded[0] if coded else None
    if by_code == Structure.TUMOUR and drawing.region_codes and rules.tumour_regions.isdisjoint(drawing.region_codes):
        return IGNORE
    if by_code is None or _own(drawing.name) in rules.names:
        return by_name
    if by_name is None or by_code in (by_name, UNDECIDED):
        return by_name or by_code
    if by_name == UNDECIDED:
        return by_code
    raise InputRefusedError(
        f"{drawing.name!r} is coded as {by_code} but its name means {by_name}, expected one meaning; say which with a "
        "line in a names.toml beside the file"
    )
