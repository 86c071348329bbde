"""Transducers out of tables, and window maps to JSON and back."""

from pathlib import Path

import numpy as np
import pytest

from liverimg.core.errors import RecordInvalidError
from liverimg.core.window import Beam, Fan, PathPiece, WindowMap
from liverimg.files import records
from liverimg.files.transducers import choose_transducer, read_transducers
from liverimg.files.window_records import windows_from_record, windows_to_record

STUDY = {
    "study_instance_uid": "1.2",
    "study_date": None,
    "reference_series_instance_uid": "1.2.3",
    "reference_volume": "volumes/a.nii.gz",
    "modality": "CT",
    "phase": "portal_venous",
    "spacing_kji_mm": [3.0, 1.0, 1.0],
}
OWN = """
[mine]
title = "Mine"
aperture_mm = 100
focal_length_mm = 120
opening_mm = 0
frequency_mhz = 1
standoff_mm = 5
azimuth_deg = [-30, 90]
elevation_deg = [-20, 20]
source = "own choice"
"""


def test_every_shipped_transducer_names_its_source():
    found = read_transducers()
    assert found
    for device in found.values():
        assert device.source.strip() and 0 < device.half_angle < np.pi / 2
    assert choose_transducer(None) == next(iter(found.values()))


def test_a_table_of_one_s_own(tmp_path: Path):
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    device = choose_transducer("mine", path)
    assert device.azimuth_deg == (-30.0, 90.0)
    assert device.reach_mm == 115
    with pytest.raises(RecordInvalidError, match="no transducer called 'jc_150'"):
        choose_transducer("jc_150", path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("aperture_mm = 100", "aperture_mm = 260"), "smaller than twice"),
        (("aperture_mm = 100", ""), "fully"),
        (("aperture_mm = 100", 'aperture_mm = "wide"'), "a number"),
        (("azimuth_deg = [-30, 90]", "azimuth_deg = [90, -30]"), "rising pairs"),
        (("azimuth_deg = [-30, 90]", "azimuth_deg = [90]"), "transducer 'mine'"),
        (('title = "Mine"', 'title = ""'), "not empty"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, change, says):
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace(*change))
    with pytest.raises(RecordInvalidError, match=says):
        read_transducers(path)


def window(beam: bool = True) -> WindowMap:
    points = np.arange(12, dtype=float).reshape(4, 3)
    fan = Fan(np.array([1.0, 0, 0]), points[:2], points[1:3], points[2:], ("", "bone"))
    found = Beam(1, points[1], np.array([0, -1.0, 0]), points[0], (PathPiece("fat", 0.0, 12.5),), (fan, fan))
    return WindowMap(
        lesion="L1",
        targets_lps_mm=points[:1],
        entries_lps_mm=points,
        depth_mm=np.array([40.0, 41, 42, 43]),
        blocked_percent=np.array([0.0, 10, 20, 100]),
        blocked_by_percent={c: np.zeros(4) for c in ("bone", "gas", "lung")},
        avoided_percent=np.zeros(4),
        unseen_percent=np.zeros(4),
        fits=np.array([True, True, False, True]),
        usable=np.array([True, False, False, False]),
        beam=found if beam else None,
    )


def test_maps_survive_json():
    device = choose_transducer(None)
    record = windows_to_record([window(), window(beam=False)], device, study=STUDY)
    records.check(record, "window", "window.json")
    (one, other), again = windows_from_record(record)
    assert again == device
    assert other.beam is None and one.beam is not None
    assert one.beam.path == (PathPiece("fat", 0.0, 12.5),)
    assert one.beam.fans[0].blocked_by == ("", "bone")
    for name in ("entries_lps_mm", "depth_mm", "blocked_percent", "fits", "usable"):
        assert np.array_equal(getattr(one, name), getattr(window(), name)), name


def test_columns_of_unequal_length_are_refused():
    record = windows_to_record([window()], choose_transducer(None), study=STUDY)
    record["lesions"][0]["entries"]["depth_mm"].pop()
    with pytest.raises(RecordInvalidError, match="3 numbers for 4 entries"):
        windows_from_record(record)
