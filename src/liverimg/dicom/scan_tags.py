"""What the header says of contrast agent and MR sequence: the tags that phases and kinds of image are told by."""

from __future__ import annotations

from typing import Final

from liverimg.dicom.frame import PhaseTags, SequenceTags
from liverimg.dicom.tags import Elements, time_of_day_s

_AGENT: Final = 0x00180010
_AGENT_SEQUENCE: Final = 0x00180012
_AGENT_USE: Final = 0x00189341
_AGENT_PHASE: Final = 0x00189344
_AMOUNTS: Final = (0x00181041, 0x00181044)
_CODE_MEANING: Final = 0x00080104
# Siemens, GE and Philips keep the b-value in private elements of classic files: (creator, element).
_PRIVATE_B_VALUES: Final = (
    (0x00190010, "SIEMENS MR HEADER", 0x0019100C),
    (0x00430010, "GEMS_PARM_01", 0x00431039),
    (0x20010010, "PHILIPS IMAGING DD 001", 0x20011003),
)
# GE adds this to b-values that it stores with their direction.
_GE_OFFSET: Final = 1_000_000_000
_LARGEST_B_VALUE: Final = 20_000

SCAN_TAGS: Final = (
    _AGENT, _AGENT_SEQUENCE, _AGENT_USE, *_AMOUNTS, 0x0008103E, 0x00181030, 0x00181042,
    0x00089209, 0x00180020, 0x00180021, 0x00180022, 0x00180024, 0x00180080, 0x00180082, 0x00180087, 0x00180091,
    0x00181314, 0x00189005, 0x00189008, 0x00200011, *(tag for rule in _PRIVATE_B_VALUES for tag in rule[::2]),
)  # fmt: skip


def phase_tags(elements: Elements) -> PhaseTags:
    """The tags that speak for a contrast phase."""
    usage = elements.first_item(_AGENT_USE)
    agent_phase = agent_phase_of(usage)
    agent = elements.text(_AGENT)
    if not agent and (coded := elements.first_item(_AGENT_SEQUENCE)) is not None:
        agent = coded.text(_CODE_MEANING) or agent
    if agent is None and agent_phase == "PRE_CONTRAST":
        agent = agent_phase
    return PhaseTags(
        series_description=elements.text(0x0008103E) or "",
        protocol_name=elements.text(0x00181030) or "",
        contrast_agent=agent,
        contrast_start_s=time_of_day_s(elements.code(0x00181042)),
        agent_phase=agent_phase,
        agent_amount=any((elements.decimal(tag) or 0) > 0 for tag in _AMOUNTS),
    )


def agent_phase_of(usage: Elements | None) -> str:
    """ContrastBolusAgentPhase of an item of the usage sequence; "" without one, and for what is no word."""
    word = "" if usage is None else usage.code(_AGENT_PHASE).upper()[:16]
    return word if word.replace("_", "").isalpha() else ""


def sequence_tags(elements: Elements) -> SequenceTags:
    """How an MR image was made, from the object's own elements."""
    name = elements.code(0x00180024) or elements.code(0x00189005)
    return SequenceTags(
        # Two or a few letters each (PS3.3 C.8.3.1.1.1); anything else is not passed on.
        scanning=tuple(c for c in elements.codes(0x00180020) or elements.codes(0x00189008) if c.isalpha())[:4],
        variant=elements.codes(0x00180021),
        options=elements.codes(0x00180022),
        name=name[:64].casefold(),
        contrast=elements.code(0x00089209).upper()[:16],
        repetition_ms=elements.decimal(0x00180080),
        inversion_ms=elements.decimal(0x00180082),
        flip_deg=elements.decimal(0x00181314),
        echo_train=elements.integer(0x00180091),
        field_t=field_in_tesla(elements.decimal(0x00180087)),
    )


def field_in_tesla(value: float | None) -> float | None:
    """MagneticFieldStrength; some scanners write gauss."""
    if value is None or value <= 0:
        return None
    return value / 10_000 if value > 100 else value


def private_b_value(elements: Elements) -> float | None:
    """The b-value where only the maker's own element holds it, in s/mm2."""
    for creator, name, tag in _PRIVATE_B_VALUES:
        if tag not in elements or not elements.code(creator).upper().startswith(name):
            continue
        value = elements.decimal(tag)
        if value is None:
            continue
        value = value - _GE_OFFSET if value >= _GE_OFFSET else value
        if 0 <= value <= _LARGEST_B_VALUE:
            return value
    return None
