"""The results of contrast ultrasound as plain tables: pixels stay pixels, arbitrary units stay arbitrary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from liverimg.core.measurement import Measured, Measurement, MeasurementSet, NotMeasured
from liverimg.files.records import Record
from liverimg.files.result_records import quantity_from_record
from liverimg.files.result_tables import TIDY_HEADER, Cell, Results, Sheet, about, quantity_row, refused

_DECIMALS: Final = 2
_UNIT: Final = TIDY_HEADER.index("unit")
_UCUM: Final = TIDY_HEADER.index("ucum")
# What a length or an area of a plane without a calibration would have been given in.
_PIXELS: Final = {"mm": ("px", "{pixel}"), "mm2": ("px2", "{pixel2}")}
_SHAPE: Final = ("ceus_non_enhancing_area", "ceus_long_diameter", "ceus_short_diameter")
_PLANES: Final = (
    "plane", "non_enhancing_area", "low", "high", "area_unit", "long_diameter", "low", "high", "short_diameter", "low",
    "high", "length_unit", "foci", "frames", "frames_left_out", "dynamic_range_db", "dynamic_range_from", "clock",
)  # fmt: skip


def perfusion_results(record: Record, study: Record) -> Results:
    """``perfusion.json`` as what tables are made of.

    Args:
        record: ``perfusion.json``.
        study: ``study.json``.
    """
    series = dict.fromkeys(uid for plane in record["planes"] for uid in plane["series_instance_uids"])
    on = {**record["study"], "reference_series_instance_uid": " ".join(series), "modality": "US", "phase": ""}
    labels = {"origin": "rule", "model": None, "sha256": ""}
    return Results(study, on, labels, MeasurementSet((), (), tuple(record["warnings"])))


def perfusion_rows(record: Record, results: Results) -> Sheet:
    """One row per quantity: of each plane, of the curves of its regions, of foci, and of the zone as a whole.

    The kind is ``plane``, ``liver`` or ``rim`` (a region's curve), ``focus`` or ``zone``: numbers of one kind are
    numbers of the same thing.
    """
    rows: list[tuple[Cell, ...]] = []
    for plane in record["planes"]:
        is_calibrated = plane["spacing_ji_mm"] is not None
        for quantity in map(quantity_from_record, plane["quantities"]):
            row = quantity_row(results, quantity, _kind(quantity.target, plane), None)
            rows.append(row if is_calibrated else _in_pixels(row, quantity))
    rows += [quantity_row(results, q, "zone", None) for q in map(quantity_from_record, record["quantities"])]
    return Sheet("quantities", TIDY_HEADER, tuple(rows))


def perfusion_sheets(record: Record, results: Results) -> tuple[Sheet, ...]:
    """Every table of a workbook about contrast ultrasound, the widest use first."""
    told = about(results)
    # What speaks of outlines and places of volumes has nothing to say here.
    kept = tuple(row for row in told.rows if row[0] not in ("contrast phase", "hash of the outlines", "coordinates"))
    units = ("units", "px and px2: pixels of a clip without a calibration; a.u.: echo power of this clip's own gain")
    return (
        Sheet("planes", _PLANES, tuple(_plane(plane) for plane in record["planes"])),
        perfusion_rows(record, results),
        refused(results),
        replace(told, rows=(*kept, units)),
    )


def _kind(target: str, plane: Mapping[str, Any]) -> str:
    """What a quantity of a plane is a quantity of."""
    region = target.removeprefix(str(plane["id"])).strip()
    if not region:
        return "plane"
    return region if region in ("liver", "rim") else "focus"


def _in_pixels(row: Sequence[Cell], quantity: Measured) -> tuple[Cell, ...]:
    """A number that could not be measured would have been one of pixels: nothing here may be taken for millimetres."""
    cells = list(row)
    if isinstance(quantity, NotMeasured) and cells[_UNIT] in _PIXELS:
        cells[_UNIT], cells[_UCUM] = _PIXELS[str(cells[_UNIT])]
    return tuple(cells)


def _plane(plane: Mapping[str, Any]) -> tuple[Cell, ...]:
    found = {q.name: q for q in map(quantity_from_record, plane["quantities"]) if q.target == plane["id"]}
    area, long, short = (_numbers(found.get(name)) for name in _SHAPE)
    square, unit = ("px2", "px") if plane["spacing_ji_mm"] is None else ("mm2", "mm")
    frames, foci = plane["frames"], plane["foci"]
    return (
        plane["id"], *area, square, *long, *short, unit, "not looked for" if foci is None else len(foci),
        frames["total"], len(frames["rejected"]), plane["dynamic_range_db"], plane["dynamic_range_from"],
        plane["clock"],
    )  # fmt: skip


def _numbers(quantity: Measured | None) -> tuple[Cell, ...]:
    if isinstance(quantity, Measurement):
        return tuple(round(n, _DECIMALS) for n in (quantity.value, quantity.low, quantity.high))
    return ("not measured", None, None)
