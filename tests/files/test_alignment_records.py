"""An alignment keeps its values through its record, and a broken record is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from liverimg.core.alignment import Alignment, Pieces, PlaceMotion
from liverimg.core.errors import RecordInvalidError
from liverimg.core.motion import RigidMotion
from liverimg.files import records
from liverimg.files.alignment_records import alignment_from_record, alignment_to_record
from liverimg.phantom.solids import rotation

STUDY = {
    "study_instance_uid": "1.2.3",
    "study_date": "20260105",
    "reference_series_instance_uid": "1.2.3.4",
    "reference_volume": "volumes/03_ct_portal_venous.nii.gz",
    "modality": "CT",
    "phase": "portal_venous",
    "spacing_kji_mm": [3.0, 0.9, 0.9],
}


def _alignment() -> Alignment:
    motion = RigidMotion(rotation(about_x_deg=3.3, about_y_deg=-2.0, about_z_deg=7.0), np.array((4.0, -3.5, 12.25)))
    places = np.arange(12.0).reshape(4, 3)
    pieces = Pieces(places, places + 1.0, places + 1.25, np.array((True, True, False, True)), np.full(4, 1.5))
    lesions = (
        PlaceMotion("L1", (1.0, 2.0, 3.0), motion, 1.25, "", 20, 24),
        PlaceMotion("L2", (1.0, 2.0, 3.0), None, None, "too little of the liver is in view", 2, 30),
    )
    liver = PlaceMotion("liver", (0.0, 0.0, 0.0), motion, 4.5, "", 200, 240)
    return Alignment(liver, lesions, ("The liver bent.",), ("portal_venous", "arterial"), pieces, 1.75)


def _record() -> dict:
    return alignment_to_record(_alignment(), earlier=STUDY, later=STUDY)


def test_what_is_written_is_read_back() -> None:
    record = _record()
    records.check(record, "alignment", "alignment.json")
    found, before = alignment_from_record(record), _alignment()
    assert alignment_to_record(found, earlier=STUDY, later=STUDY) == record
    assert found.matched == before.matched
    assert found.lesions[0].motion is not None
    assert before.lesions[0].motion is not None
    assert found.lesions[0].motion.matrix == pytest.approx(before.lesions[0].motion.matrix, abs=1e-9)
    assert found.lesions[1].motion is None
    assert found.lesions[1].reason == "too little of the liver is in view"
    assert found.pieces is not None
    assert found.pieces.agrees.tolist() == [True, True, False, True]
    assert found.pieces.residual_mm == pytest.approx(np.full(4, 0.25 * np.sqrt(3)))


def test_a_matrix_that_scales_is_refused() -> None:
    record = copy.deepcopy(_record())
    record["lesions"][0]["motion"]["matrix"][0][0] = 2.0
    with pytest.raises(RecordInvalidError, match="rigid motion"):
        alignment_from_record(record)


def test_columns_of_unequal_length_are_refused() -> None:
    record = copy.deepcopy(_record())
    record["pieces"]["error_mm"].pop()
    with pytest.raises(RecordInvalidError, match="error_mm"):
        alignment_from_record(record)
