"""What is kept of an earlier study's output folder, and which folders are refused."""

import json

import pytest

from liverimg.core.errors import UsageError
from liverimg.core.measurement import Lesion, Measurement, MeasurementSet
from liverimg.files.result_records import measurements_to_record
from liverimg.measure.growth import NEEDED_OF_LESION
from liverimg.stages import earlier
from liverimg.stages.earlier import earlier_of, read_earlier
from liverimg.workspace import Workspace

NOW = {"study_instance_uid": "1.2.3", "study_date": "2026-05-01"}


def kept(uid="1.2.2", date="2026-01-01", frame="1.9"):
    size = Measurement("axial_long_diameter", "L1", 20.0, "mm", 19.0, 21.0, "drawn")
    record = measurements_to_record(MeasurementSet((Lesion("L1", (1.0, 2.0, 3.0), (size,)),), ()), study={}, labels={})
    return {
        "study_instance_uid": uid,
        "study_date": date,
        "frame_of_reference_uid": frame,
        "lesions": [
            {key: record["lesions"][0][key] for key in ("id", "centroid_lps_mm", "quantities")},
        ],
        "organs": [],
    }


@pytest.fixture
def workspace(monkeypatch, tmp_path):
    monkeypatch.setattr(earlier, "reference_record", lambda _workspace: NOW)
    monkeypatch.setattr(earlier, "frame_of_reference", lambda _workspace: "1.9")
    return Workspace(tmp_path)


def test_days_frame_and_sizes_come_back(workspace):
    found = earlier_of(json.loads(json.dumps(kept())), workspace)
    assert found.days == 120
    assert found.same_frame
    (lesion,) = found.measured.lesions
    assert lesion.quantity("axial_long_diameter").value == 20.0
    assert lesion.centroid_lps_mm == (1.0, 2.0, 3.0)


def test_another_or_no_frame_of_reference_is_not_the_same(workspace, monkeypatch):
    assert not earlier_of(kept(frame="1.8"), workspace).same_frame
    monkeypatch.setattr(earlier, "frame_of_reference", lambda _workspace: None)
    assert not earlier_of(kept(frame=None), workspace).same_frame


def test_a_missing_date_leaves_the_time_unknown(workspace):
    assert earlier_of(kept(date=None), workspace).days is None


@pytest.mark.parametrize(
    ("given", "words"), [({"uid": "1.2.3"}, "this very study"), ({"date": "2026-06-01"}, "31 days after")]
)
def test_the_same_or_a_later_study_is_refused(workspace, given, words):
    with pytest.raises(UsageError, match=words):
        earlier_of(kept(**given), workspace)


def test_a_folder_without_measurements_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(UsageError, match=r"expected the output folder of an earlier study"):
        read_earlier(tmp_path)


def test_only_what_growth_needs_is_kept():
    assert set(NEEDED_OF_LESION) == {"axial_long_diameter", "volume", "couinaud_segment"}
