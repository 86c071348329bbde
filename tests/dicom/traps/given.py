"""Trap folders that lie ready with a ``truth.json``, as cases of the same judge."""

from __future__ import annotations

import json
from pathlib import Path

from tests.dicom.traps.case import INTERPOLATED_MM, Case, leave
from tests.dicom.traps.scene import Blob, Scene

VOLUME_SHARE = 0.15
ANY_CODE = frozenset(("any",))


def given_cases(folder: Path) -> dict[str, Case]:
    """The cases of a folder with a ``truth.json``; nothing is written, the folders are there."""
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    blobs = tuple(Blob(tuple(b["centre_lps_mm"]), b["radius_mm"], b["hu"]) for b in truth["blobs"])
    scene = Scene(blobs, truth["background_hu"], 0.0, phase_in_blobs=True)
    cases = {}
    for name, told in truth["cases"].items():
        may_refuse = told["want"] == "flag"
        cases[name] = Case(
            name, told["note"], leave,
            phases=tuple(range(told["volumes"])), codes=ANY_CODE if may_refuse else frozenset(),
            must_flag=may_refuse, scene=scene, tolerance_mm=INTERPOLATED_MM, volume_share=VOLUME_SHARE,
        )  # fmt: skip
    return cases
