"""What measurements, states and verdicts are called in a report for other programs: codes, from tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from liverimg.core.assessment import Verdict
from liverimg.core.catalogue import CodedConcept, QuantityRow, row_of
from liverimg.core.measurement import Measurement

_ONE: str = "1"


@dataclass(frozen=True, eq=False)
class CodedNames:
    """Names for everything that a report holds.

    Attributes:
        rows: What is known of each quantity, from ``quantities.toml``.
        units: UCUM code of each unit.
        public: Quantities of a lesion whose own name is their public code.
        scheme: Designator of our own coding scheme.
        verdicts: Code of each verdict of a criterion.
    """

    rows: Mapping[str, QuantityRow] = field(repr=False)
    units: Mapping[str, str]
    public: frozenset[str]
    scheme: str
    verdicts: Mapping[Verdict, CodedConcept]

    def quantity(self, name: str, *, of_lesion: bool) -> tuple[CodedConcept, CodedConcept | None]:
        """The name of a quantity, and a public code that means about the same where the name is our own."""
        row = row_of(name, self.rows)
        public = None if row is None else row.code
        if public is not None and of_lesion and name in self.public:
            return public, None
        own = CodedConcept(self.scheme, name, name.replace("_", " ") if row is None else row.title)
        return own, public if public is not None and public.scheme != self.scheme else None

    def unit(self, unit: str) -> CodedConcept:
        """The UCUM code of a unit."""
        return CodedConcept("UCUM", self.units.get(unit, unit), "no units" if unit == _ONE else unit)

    def states(self, name: str) -> tuple[str, ...]:
        """The words for the values of a quantity that is a state; empty for any other."""
        row = row_of(name, self.rows)
        return () if row is None else row.states

    def state(self, measured: Measurement) -> tuple[CodedConcept, str]:
        """The code of a state, and in words which states are not excluded where the band leaves more than one."""
        words = self.states(measured.name)
        low, high = round(measured.low), round(measured.high)
        if low == high:
            index = round(measured.value)
            return CodedConcept(self.scheme, f"{measured.name}:{index}", words[index]), ""
        possible = " or ".join(words[low : high + 1])
        return self.verdicts[
            Verdict.UNDETERMINED
        ], f"possible: {possible}; best estimate: {words[round(measured.value)]}"

    def own(self, value: str, meaning: str) -> CodedConcept:
        """A concept of our own scheme."""
        return CodedConcept(self.scheme, value, meaning)
