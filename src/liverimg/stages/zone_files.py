"""Ablation zones into a draft, and out of a workspace again after a person may have corrected them."""

from __future__ import annotations

from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap
from liverimg.core.zones import ZoneMap
from liverimg.files import nifti
from liverimg.files.zone_records import zones_from_record, zones_to_record
from liverimg.workspace import Artefact, Draft, Workspace


def put_zones(draft: Draft, zones: ZoneMap) -> None:
    """Writes the zones and their names."""
    nifti.write_labels(draft.path(Artefact.ZONES), LabelMap(zones.array, zones.grid, {}))
    draft.put_record(Artefact.ZONE_NAMES, "zones", zones_to_record(zones))


def read_zones(workspace: Workspace, labels: LabelMap) -> ZoneMap:
    """The zones as they lie there now, corrected by hand or not, on the labels' grid; kept.

    Raises:
        InputRefusedError: Unreadable, or values that are no whole numbers from 0 to 255.
        GridMismatchError: The zones lie on another grid than the reference series.
        RecordInvalidError: Their names contradict each other.
    """
    files = [workspace.path(a) for a in (Artefact.ZONES, Artefact.ZONE_NAMES, Artefact.STUDY)]
    return workspace.kept.get("zones", files, lambda: _read(workspace, labels.grid))


def _read(workspace: Workspace, grid: Grid) -> ZoneMap:
    drawn = nifti.read_labels(workspace.path(Artefact.ZONES), {}, lesions={}, on=grid)
    record = workspace.record(Artefact.ZONE_NAMES, "zones")
    found = zones_from_record(record, drawn.array, grid)
    lost = set(drawn.boxes) - {int(row["value"]) for row in (*record["zones"], *record["foci"])}
    removed = {int(value) for value in record.get("drawn_sha256", {})}
    if lost - removed:
        raise InputRefusedError(
            f"zones.nii.gz holds the value {min(lost - removed)}, which zones.json gives no name; add a row for it "
            "with id, value and lesions"
        )
    return found
