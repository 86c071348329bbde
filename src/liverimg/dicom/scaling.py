"""Real world values: what a header says stored values mean besides its rescale tags (PS3.3 C.7.6.16.2.11)."""

from __future__ import annotations

from typing import Final

from liverimg.dicom.tags import Elements

# What MR signal calls its unit; anything else is a map.
NO_UNIT: Final = frozenset(("", "US", "NORMALIZED", "UNSPECIFIED", "1", "HU"))
# UCUM's code of the Hounsfield unit, and the one that is often written instead.
_HOUNSFIELD: Final = frozenset(("[hnsf'U]", "[HNSF'U]", "HU"))

Line = tuple[float, float]


def unit_of(mapping: Elements | None) -> str:
    """Code of MeasurementUnitsCodeSequence; "" without one."""
    coded = None if mapping is None else mapping.first_item(0x004008EA)
    return "" if coded is None else coded.code(0x00080100)


def real_world_line(
    mapping: Elements | None, modality: str, rescale: tuple[float | None, float | None]
) -> tuple[float | None, float | None]:
    """Slope and intercept to use, given those of the rescale tags.

    A map in a physical unit (MR: diffusion in mm2/s, relaxation in ms) is scaled by the line that defines the unit;
    the rescale tags may lead to another one. CT without rescale tags is in Hounsfield units when the mapping says so.
    A mapping by a table, or to no unit, changes nothing.
    """
    if mapping is None:
        return rescale
    slope, intercept = mapping.decimal(0x00409225), mapping.decimal(0x00409224)
    if not slope or intercept is None:
        return rescale
    unit = unit_of(mapping)
    if modality == "MR" and unit not in NO_UNIT:
        return slope, intercept
    if modality == "CT" and unit in _HOUNSFIELD and rescale == (None, None):
        return slope, intercept
    return rescale
