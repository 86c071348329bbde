"""``zones.json``: there and back, and what a person may change in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from liverimg.core.errors import RecordInvalidError
from liverimg.core.grid import Grid
from liverimg.core.zones import Focus, Zone, ZoneMap
from liverimg.files import records
from liverimg.files.zone_records import zones_from_record, zones_to_record

GRID = Grid.from_axes((6, 8, 8), spacing_mm=(2, 1, 1), frame_of_reference_uid="1.2.3")


def drawn() -> ZoneMap:
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[1:4, 1:5, 1:5] = 1
    array[4:6, 6:8, 6:8] = 2
    array[1, 5, 1:3] = 101
    zones = (
        Zone("Z1", 1, ("L1", "L2"), "rule", 0.9, ("Gas inside it.",)),
        Zone("Z2", 2, ("L3",), "rule", 1.1, perhaps_older=True),
    )
    return ZoneMap(
        array,
        GRID,
        zones,
        (Focus("R1", 101, "Z1", ("L1",), "rule", ("arterial",)),),
        absent={"L4": "nothing lies at its place"},
        foci_unknown={"Z2": "no arterial phase"},
        smallest_focus_mm=5.0,
    )


def back(change: Callable[[dict[str, Any], np.ndarray], None] | None = None) -> ZoneMap:
    record, array = zones_to_record(drawn()), np.array(drawn().array)
    if change is not None:
        change(record, array)
    records.check(record, "zones", "zones.json")
    return zones_from_record(record, array, GRID)


def test_there_and_back() -> None:
    before, after = drawn(), back()
    assert after.zones == before.zones
    assert after.foci == before.foci
    assert dict(after.absent) == dict(before.absent)
    assert dict(after.foci_unknown) == dict(before.foci_unknown)
    assert after.smallest_focus_mm == before.smallest_focus_mm
    assert np.array_equal(after.array, before.array)


def test_whoever_draws_a_zone_anew_knows_that_it_is_one() -> None:
    def enlarge(_: dict[str, Any], array: np.ndarray) -> None:
        array[4:6, 5, 6:8] = 2

    assert not back(enlarge).zones[1].perhaps_older


def test_changed_voxels_make_a_part_drawn() -> None:
    def enlarge(_: dict[str, Any], array: np.ndarray) -> None:
        array[5, 1:5, 1:5] = 1

    after = back(enlarge)
    assert [(zone.origin, zone.error_mm) for zone in after.zones] == [("drawn", 0.0), ("rule", 1.1)]
    assert after.foci[0].origin == "rule"


def test_rename_keeps_the_origin_and_lesions_may_be_given() -> None:
    def rename(record: dict[str, Any], _: np.ndarray) -> None:
        record["zones"][1] |= {"id": "near-vein", "lesions": ["L4"]}
        record["foci_unknown"] = {}

    after = back(rename)
    assert after.zones[1].id == "near-vein"
    assert after.zones[1].origin == "rule"
    assert after.zone_of("L4") is not None
    assert set(after.absent) == {"L3"}


def test_deleted_row_takes_its_voxels_and_leaves_its_lesion_absent() -> None:
    def delete(record: dict[str, Any], _: np.ndarray) -> None:
        del record["zones"][1]

    after = back(delete)
    assert not (after.array == 2).any()
    assert set(after.absent) == {"L3", "L4"}
    assert not after.foci_unknown


def test_erased_voxels_remove_the_zone_and_its_foci() -> None:
    def erase(_: dict[str, Any], array: np.ndarray) -> None:
        array[array == 1] = 0

    after = back(erase)
    assert [zone.id for zone in after.zones] == ["Z2"]
    assert not after.foci
    assert not (after.array == 101).any()
    assert "by hand" in after.absent["L1"]


def test_new_zone_by_hand_is_drawn() -> None:
    def add(record: dict[str, Any], array: np.ndarray) -> None:
        array[0, 0, 0] = 7
        record["zones"].append({"id": "Z3", "value": 7, "lesions": ["L4"]})

    after = back(add)
    assert after.zones[2] == Zone("Z3", 7, ("L4",), "drawn", 0.0)
    assert not after.absent


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda r: r["zones"][1].update(value=1), "value 1"),
        (lambda r: r["zones"][1].update(id="Z1"), "id Z1"),
        (lambda r: r["zones"][1].update(lesions=["L1"]), "lesion L1"),
        (lambda r: r["foci"][0].update(zone="Z9"), "zone Z9"),
    ],
)
def test_contradictions_are_refused(change: Callable[[dict[str, Any]], None], word: str) -> None:
    with pytest.raises(RecordInvalidError, match=word):
        back(lambda record, _: change(record))


def test_schema_refuses_what_is_no_row() -> None:
    record = zones_to_record(drawn())
    del record["zones"][0]["lesions"]
    with pytest.raises(RecordInvalidError, match="lesions"):
        records.check(record, "zones", "zones.json")
