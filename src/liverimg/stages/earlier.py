"""An earlier study of the same patient, for growth: what is kept of its results."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from liverimg.core.errors import UsageError
from liverimg.core.measurement import Lesion, MeasurementSet
from liverimg.files.result_records import measurements_from_record, quantity_from_record, quantity_to_record
from liverimg.measure.growth import NEEDED_OF_LESION, NEEDED_OF_STUDY, Earlier
from liverimg.stages.artefacts import frame_of_reference, reference_record
from liverimg.workspace import Artefact, Workspace


def read_earlier(out: Path) -> dict[str, Any]:
    """What growth needs of an earlier run's output folder, as plain values and without its path.

    Args:
        out: The folder that ``liverimg pre`` wrote for the earlier study.

    Raises:
        UsageError: There are no measurements in it.
        RecordInvalidError: They are broken.
    """
    workspace = Workspace(out)
    if not workspace.path(Artefact.MEASUREMENTS).is_file():
        raise UsageError(
            f"--earlier {out}: expected the output folder of an earlier study with a measurements.json in it; run "
            "'liverimg pre' on that study first"
        )
    record = workspace.record(Artefact.MEASUREMENTS, "measurements")
    measured = measurements_from_record(record)
    return {
        "study_instance_uid": record["study"]["study_instance_uid"],
        "study_date": record["study"]["study_date"],
        "frame_of_reference_uid": frame_of_reference(workspace),
        "lesions": [
            {
                "id": lesion.id,
                "centroid_lps_mm": list(lesion.centroid_lps_mm),
                "quantities": [quantity_to_record(lesion.quantity(name)) for name in NEEDED_OF_LESION],
            }
            for lesion in measured.lesions
        ],
        "organs": [quantity_to_record(q) for q in measured.organs if q.name in NEEDED_OF_STUDY],
    }


def earlier_of(kept: Mapping[str, Any], workspace: Workspace) -> Earlier:
    """The earlier study beside the one in the workspace.

    Raises:
        UsageError: Both are one study, or the "earlier" one is the later.
    """
    study = reference_record(workspace)
    if kept["study_instance_uid"] == study["study_instance_uid"]:
        raise UsageError("--earlier names the results of this very study; give those of an earlier one")
    then, now = _date(kept["study_date"]), _date(study["study_date"])
    days = (now - then).days if then is not None and now is not None else None
    if days is not None and days < 0:
        raise UsageError(f"--earlier names a study that was made {-days} days after this one; exchange the two")
    frame = frame_of_reference(workspace)
    lesions = tuple(
        Lesion(
            lesion["id"],
            tuple(lesion["centroid_lps_mm"]),
            tuple(quantity_from_record(q) for q in lesion["quantities"]),
        )
        for lesion in kept["lesions"]
    )
    organs = tuple(quantity_from_record(q) for q in kept["organs"])
    return Earlier(MeasurementSet(lesions, organs), days, frame is not None and frame == kept["frame_of_reference_uid"])


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
