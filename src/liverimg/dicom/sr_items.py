"""Content items of a structured report (PS3.3 C.17.3): one measurement, one state, one finding, one reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContentSequence,
    GraphicTypeValues3D,
    NumContentItem,
    RelationshipTypeValues,
    Scoord3DContentItem,
    TextContentItem,
)

from liverimg.core import catalogue
from liverimg.core.assessment import Classification, Finding, Verdict
from liverimg.core.measurement import EvidencePoint, Measured, Measurement, NotMeasured
from liverimg.core.published import Statement
from liverimg.dicom.sr_names import SrNames
from liverimg.dicom.stamp import label_text, plain

_DECIMALS: Final = 4
_COMMENT: Final = CodedConcept("121106", "DCM", "Comment")
_EQUIVALENT: Final = CodedConcept("121050", "DCM", "Equivalent Meaning of Concept Name")
_SOURCE: Final = CodedConcept("121112", "DCM", "Source of Measurement")
_BEFORE: Final = "_before"
_ABOVE: Final = CodedConcept("371886008", "SCT", "+, range of upper measurement uncertainty")
_BELOW: Final = CodedConcept("371885007", "SCT", "-, range of lower measurement uncertainty")


def concept(code: catalogue.CodedConcept) -> CodedConcept:
    """A code as highdicom writes it: LongCodeValue where it is longer than 16 characters."""
    return CodedConcept(plain(code.value), code.scheme, label_text(code.meaning))


def measured_items(
    quantities: Sequence[Measured], names: SrNames, *, of_lesion: bool, frame_of_reference_uid: str | None = None
) -> list[Any]:
    """Numbers with their bands and places, states as codes, and why a quantity has no number (TID 1501 and TID 300).

    Args:
        quantities: What was measured.
        names: Codes.
        of_lesion: Whether quantities carry the public codes that name sizes of a lesion.
        frame_of_reference_uid: The space that evidence lies in; None leaves the places out.
    """
    items: list[Any] = []
    for quantity in quantities:
        name, public = names.quantity(quantity.name, of_lesion=of_lesion)
        if isinstance(quantity, NotMeasured):
            items.append(text_item(concept(name), f"Not measured: {quantity.reason}"))
        elif names.states(quantity.name):
            code, possible = names.state(quantity)
            comment = "; ".join(part for part in (possible, quantity.method) if part)
            items.append(_code_item(concept(name), concept(code), comment))
        else:
            number = _number(quantity, concept(name), public, names)
            if frame_of_reference_uid is not None:
                number.ContentSequence.extend(_places(quantity.evidence, names, frame_of_reference_uid))
            items.append(number)
    return items


def _number(measured: Measurement, name: CodedConcept, public: catalogue.CodedConcept | None, names: SrNames) -> Any:
    unit = concept(names.unit(measured.unit))
    item = NumContentItem(
        name=name, value=_rounded(measured.value), unit=unit, relationship_type=RelationshipTypeValues.CONTAINS
    )
    properties = RelationshipTypeValues.HAS_PROPERTIES
    inner: list[Any] = []
    if public is not None:
        inner.append(_meaning(public))
    for end, apart in ((_ABOVE, measured.high - measured.value), (_BELOW, measured.value - measured.low)):
        inner.append(NumContentItem(name=end, value=_rounded(apart), unit=unit, relationship_type=properties))
    if measured.method:
        inner.append(_comment(measured.method))
    item.ContentSequence = ContentSequence(inner)
    return item


def _places(evidence: Sequence[EvidencePoint], names: SrNames, frame_of_reference_uid: str) -> list[Any]:
    """Where a number was measured (TID 320), each place with its role; none that lies in the study before treatment."""
    made = []
    for place in evidence:
        if place.role.endswith(_BEFORE):
            continue
        item = Scoord3DContentItem(
            name=_SOURCE,
            graphic_type=GraphicTypeValues3D.POINT,
            graphic_data=np.array([place.lps_mm]),
            frame_of_reference_uid=frame_of_reference_uid,
            relationship_type=RelationshipTypeValues.INFERRED_FROM,
        )
        item.ContentSequence = ContentSequence([_meaning(names.own(place.role, place.role.replace("_", " ")))])
        made.append(item)
    return made


def _meaning(code: catalogue.CodedConcept) -> Any:
    return CodeContentItem(
        name=_EQUIVALENT, value=concept(code), relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD
    )


def _rounded(value: float) -> float:
    # As measurements.json has it; adding 0.0 turns -0.0 into 0.0.
    return round(float(value), _DECIMALS) + 0.0


def finding_items(findings: Sequence[Finding], classes: Sequence[Classification], names: SrNames) -> list[Any]:
    """What the criteria say: the verdict as a code, the sentence with the number and its source as a comment."""
    items: list[Any] = []
    for finding in findings:
        comment = f"{finding.statement} Source: {finding.source}"
        if finding.settled_by and finding.verdict is Verdict.UNDETERMINED:
            comment += f" Settled by: {finding.settled_by}"
        name = concept(names.own(finding.criterion_id, finding.title))
        items.append(_code_item(name, concept(names.verdicts[finding.verdict]), comment))
    for one in classes:
        name = concept(names.own(one.category_id, one.title))
        code = (
            names.own(f"{one.category_id}={one.answer}", f"{one.title}: {one.answer}")
            if one.answer
            else names.verdicts[Verdict.UNDETERMINED]
        )
        items.append(_code_item(name, concept(code), f"{one.statement} Source: {one.source}"))
    return items


def text_item(name: CodedConcept, text: str) -> Any:
    """A sentence under a name."""
    return TextContentItem(name=name, value=_sentence(text), relationship_type=RelationshipTypeValues.CONTAINS)


def statement_items(statements: Sequence[Statement]) -> list[Any]:
    """What was found, as codes where there is one, else as sentences."""
    return [
        text_item(concept(one.name), one.text)
        if one.value is None
        else _code_item(concept(one.name), concept(one.value), one.text)
        for one in statements
    ]


def note_items(notes: Sequence[str]) -> list[Any]:
    """Sentences that stand under no name of their own."""
    return [text_item(_COMMENT, note) for note in notes if note.strip()]


def _code_item(name: CodedConcept, value: CodedConcept, comment: str) -> Any:
    item = CodeContentItem(name=name, value=value, relationship_type=RelationshipTypeValues.CONTAINS)
    if comment:
        item.ContentSequence = ContentSequence([_comment(comment)])
    return item


def _comment(text: str) -> Any:
    return TextContentItem(
        name=_COMMENT, value=_sentence(text), relationship_type=RelationshipTypeValues.HAS_PROPERTIES
    )


def _sentence(text: str) -> str:
    return plain(text) or "-"
