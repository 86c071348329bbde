"""The small parts that FHIR R4 resources are made of: codes, numbers, references, texts."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from liverimg.core.catalogue import CodedConcept
from liverimg.core.coded_names import CodedNames
from liverimg.files.records import Record

_DECIMALS = 4
_URI_SYSTEM = "urn:ietf:rfc3986"
_UID_SYSTEM = "urn:dicom:uid"


@dataclass(frozen=True, eq=False)
class Wording:
    """How things are called: our names and codes, and what FHIR calls their schemes.

    Attributes:
        names: Codes of quantities, units, states and verdicts.
        table: ``fhir.toml``.
    """

    names: CodedNames
    table: Mapping[str, Any] = field(repr=False)

    def coding(self, concept: CodedConcept) -> Record:
        """A code of any scheme (R4 datatypes, Coding)."""
        return {
            "system": self.table["system"][concept.scheme],
            "code": plain(concept.value),
            "display": plain(concept.meaning),
        }

    def concept(self, *concepts: CodedConcept, text: str = "") -> Record:
        """What something is called: its codes, and the words for people."""
        return {"coding": [self.coding(one) for one in concepts], "text": plain(text or concepts[0].meaning)}

    def quantity(self, value: float, unit: str) -> Record:
        """A number with its unit in UCUM."""
        code = self.names.unit(unit).value
        # As measurements.json has it; adding 0.0 turns -0.0 into 0.0.
        number = round(float(value), _DECIMALS) + 0.0
        return {"value": number, "unit": unit, "system": self.table["system"]["UCUM"], "code": code}

    def own(self, row: Mapping[str, str]) -> CodedConcept:
        """A concept of our own scheme, from a row with ``value`` and ``meaning``."""
        return self.names.own(row["value"], row["meaning"])


def urn(*parts: str) -> str:
    """The name of a resource, worked out from what it is about: the same results give the same names."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, chr(0).join(('liverimg fhir', *parts)))}"


def uri_identifier(name: str) -> Record:
    """A URI as an identifier."""
    return {"system": _URI_SYSTEM, "value": name}


def uid_identifier(uid: str) -> Record:
    """A DICOM UID as an identifier (R4 ImagingStudy, section on identifiers)."""
    return {"system": _UID_SYSTEM, "value": f"urn:oid:{uid}"}


def plain(text: str) -> str:
    """One line without control characters, lone surrogates and double blanks; never empty, as FHIR asks."""
    visible = "".join(c if unicodedata.category(c) not in ("Cc", "Cs", "Cf") else " " for c in text)
    return " ".join(visible.split()) or "-"


def entry(name: str, resource: Record) -> Record:
    """One resource of a Bundle."""
    return {"fullUrl": name, "resource": resource}
