"""What ``liverimg publish`` shows: what was written, and what was left out and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_KINDS = {
    "seg": "Segmentation (DICOM SEG)",
    "seg_before": "Tumours before treatment (DICOM SEG)",
    "sr": "Measurements (Comprehensive 3D SR)",
    "rtstruct": "Outlines (RT Structure Set)",
    "pdf": "Report (Encapsulated PDF)",
}


def show_published(out: Path) -> None:
    """One line an object; names nobody."""
    console = Console(highlight=False)
    manifest: dict[str, Any] = json.loads((out / "dicom" / "manifest.json").read_text(encoding="utf-8"))
    surfaces: dict[str, Any] = json.loads((out / "meshes" / "index.json").read_text(encoding="utf-8"))
    table = Table(title="Published", title_justify="left")
    for heading in ("", "File", "Size"):
        table.add_column(heading, justify="right" if heading == "Size" else "left")
    for one in manifest["objects"]:
        path = out / "dicom" / one["file"]
        table.add_row(_KINDS[one["kind"]], Text(f"dicom/{one['file']}"), f"{path.stat().st_size / 1e6:.2f} MB")
    count = len(surfaces["surfaces"])
    if count:
        size = sum(p.stat().st_size for p in (out / "meshes").iterdir())
        table.add_row(f"{count} surfaces (STL, GLB)", Text("meshes/"), f"{size / 1e6:.2f} MB")
    console.print(table)
    for one in manifest["left_out"]:
        console.print(Text(f"left out: {_KINDS[one['kind']]}: {one['reason']}"))
    if manifest["resampled"]:
        console.print(Text("note: the labels lie on resampled planes; the segmentation carries their own geometry"))
    console.print(Text(f"results: {out}"))
    console.print(Text("note: these objects carry the patient's name and number; handle them as the scan itself"))
