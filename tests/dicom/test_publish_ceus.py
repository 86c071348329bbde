"""Which frame and which pixels a line of contrast ultrasound goes out with, whatever the clip was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from liverimg.core.cine import Box, Clip, Pane, Picture
from liverimg.core.published import Outlined
from liverimg.files.tables import read_table
from liverimg.stages.publish_ceus import perfusion_groups

TABLE = read_table("dicom_objects")
LOOP = Clip(
    "1.2.1", ("1.2.1.1",), "", (), "20260120100000", stored_frames=10, stored_shape=(60, 120), times_s=None,
    times_detail="", kept_frames=(0, 2, 4, 6),
    pictures=(
        Picture(Pane.B_MODE, (), Box(5, 45, 60, 110), (0.5, 0.25), ""),
        Picture(Pane.CONTRAST, (), Box(5, 45, 10, 60), (0.5, 0.25), ""),
    ),
)  # fmt: skip
STILLS = replace(
    LOOP, series_instance_uid="1.2.2", sop_instance_uids=("1.2.2.1", "1.2.2.2", "1.2.2.3"), stored_frames=3,
    kept_frames=(0, 2),
)  # fmt: skip


def plane(clips: tuple[Clip, ...], reference: int | None, **more: Any) -> dict[str, Any]:
    size = {"name": "ceus_long_diameter", "target": "P1", "value": 20.0, "unit": "mm", "low": 19.0, "high": 21.0,
            "method": "", "evidence_lps_mm": [], "evidence_roles": [], "series_instance_uids": []}  # fmt: skip
    return {
        "id": "P1", "series_instance_uids": [c.series_instance_uid for c in clips], "clock": "a tag",
        "dynamic_range_db": 60.0, "dynamic_range_from": "tag", "pixel_block": 2, "spacing_ji_mm": [0.5, 0.25],
        "frames": {"total": 6, "reference": reference, "rejected": [1]},
        "outline": [[0.0, 0.0], [10.0, 0.0], [10.0, 5.0]],
        "quantities": [size, size | {"target": "P1 liver"}, {"name": "ceus_peak", "target": "P1", "not_measured": "x"}],
        **more,
    }  # fmt: skip


def outlined(row: dict[str, Any], *clips: Clip) -> dict[str, Outlined | None]:
    record = {"planes": [row], "quantities": [], "baseline": None, "warnings": ["known to be biased"]}
    groups = tuple(perfusion_groups(record, list(clips), study_uid="1.2", table=TABLE))
    assert [g.target for g in groups] == ["P1", "P1 liver", "zone", "study"]
    assert len(groups[0].quantities) == 2 and groups[-1].notes[-1] == "known to be biased"
    assert len({g.tracking_uid for g in groups}) == 4
    return {g.target: g.outlined for g in groups}


def test_a_line_lies_in_the_stored_frame_that_it_was_drawn_on() -> None:
    found = outlined(plane((LOOP,), 2), LOOP)
    line = found["P1"]
    assert line is not None and (line.sop_instance_uid, line.frame) == ("1.2.1.1", 5)
    # From the middle of a block of two pixels; 10 mm down are 20 pixels, 5 mm across 20 pixels too.
    assert line.points_ji == ((5.5, 10.5), (25.5, 10.5), (25.5, 30.5))
    assert found["P1 liver"] == Outlined("1.2.1.1", 5), "a region names the frame and draws nothing"
    assert found["zone"] is None


def test_without_calibration_lines_count_pixels() -> None:
    row = plane((LOOP,), 0, spacing_ji_mm=None, pixel_block=1)
    line = outlined(row, LOOP)["P1"]
    assert line is not None and line.points_ji == ((5.0, 10.0), (15.0, 10.0), (15.0, 15.0))


def test_of_stills_and_of_joined_clips_the_right_object_is_named() -> None:
    assert outlined(plane((STILLS,), 1), STILLS)["P1 liver"] == Outlined("1.2.2.3", None)
    joined = plane((LOOP, STILLS), 4)
    assert outlined(joined, STILLS, LOOP)["P1 liver"] == Outlined("1.2.2.1", None)


@pytest.mark.parametrize("more", [{"outline": None}, {"frames": {"total": 6, "reference": None, "rejected": []}}])
def test_without_a_line_nothing_is_drawn(more: dict[str, Any]) -> None:
    found = outlined(plane((LOOP,), 2, **more), LOOP)["P1"]
    assert found is None or not found.points_ji
