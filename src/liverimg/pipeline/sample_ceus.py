"""``ceus/`` of the sample: two planes of an ablation zone after an injection, with the exact answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from liverimg.dicom.write import StudyHeader, uid_from
from liverimg.dicom.write_ultrasound import ClipHeader, write_clip
from liverimg.files import records
from liverimg.phantom.ultrasound import ContrastPlane, Display, Focus, Outline, Wash
from liverimg.phantom.ultrasound_random import Conditions, random_plane
from liverimg.phantom.ultrasound_render import render
from liverimg.phantom.ultrasound_truth import truth_record

NAME: Final = "ceus"
_DATE: Final = "20260120"
_DISPLAY: Final = Display(shape=(88, 88), spacing_mm=(0.93, 0.93))
# Half axes of the ablation zone: long, across, and depth, which both planes share.
_ZONE_MM: Final = (22.0, 19.5, 18.0)
_CENTRE_MM: Final = (43.0, 0.0)
_LIVER: Final = Wash(4500.0, 13.0, 28.0, 1.05)
_RIM: Final = Wash(5200.0, 11.5, 17.0, 1.15)
_VESSEL: Final = Wash(11000.0, 11.0, 12.0, 1.05)
_FOCUS: Final = Focus((57.0, 9.0), 8.0, Wash(9500.0, 11.0, 12.0, 0.65))


def ceus_planes(seed: int) -> tuple[ContrastPlane, ...]:
    """The two planes at right angles through the middle of the zone; a focus of living tumour in the first."""
    made = []
    for number, (half, off_mm) in enumerate(((_ZONE_MM[0], _ZONE_MM[1]), (_ZONE_MM[1], _ZONE_MM[0])), start=1):
        drawn = random_plane(seed + number, Conditions(foci=0, irregular=False), display=_DISPLAY)
        zone = Outline(_CENTRE_MM, (half, _ZONE_MM[2]), turn_deg=0.0)
        vessels = tuple(v for v in drawn.vessels if zone.depth_mm(np.linspace(v.start_mm, v.end_mm, 40)).max() < -6)
        made.append(
            replace(
                drawn,
                zone=zone,
                zone_depth_mm=off_mm,
                rim_mm=1.5,
                vessels=vessels,
                foci=(_FOCUS,) if number == 1 else (),
                liver=_LIVER,
                rim=_RIM,
                vessel=_VESSEL,
            )
        )
    return tuple(made)


def write_ceus(folder: Path, *, seed: int) -> None:
    """Writes ``ceus/`` and ``truth/ceus.json``; each plane is a series of one loop, with an injection of its own."""
    planes = ceus_planes(seed)
    study = StudyHeader(
        patient_name="PHANTOM^ABDOMEN",
        patient_id=f"PHANTOM-{seed}",
        study_instance_uid=uid_from("study", seed, NAME),
        study_date=_DATE,
        study_time="094500",
        description="US liver with contrast",
    )
    rows = []
    for number, plane in enumerate(planes, start=1):
        clip = render(plane)
        # Fifteen minutes between the injections: the bubbles of the first are gone.
        start = f"10{15 * (number - 1):02d}00"
        uid = uid_from("series", seed, NAME, number)
        header = ClipHeader(
            number=number,
            series_instance_uid=uid,
            description=f"CEUS plane {number}",
            acquired_at=start,
            contrast_start_time=start,
            contrast_agent="Sulphur hexafluoride microbubbles",
            times_s=plane.times_s,
            spacing_mm=plane.display.spacing_mm,
            dynamic_range_db=plane.display.dynamic_range_db,
        )
        write_clip((clip.contrast, clip.b_mode), folder / NAME / f"plane{number}.dcm", study=study, clip=header)
        rows.append(truth_record(plane) | {"series_instance_uid": uid})
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    (folder / "truth" / f"{NAME}.json").write_text(records.dump(ceus_truth(rows)), encoding="utf-8")


def ceus_truth(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The exact answers of both planes, and the volume of the whole zone as an ellipsoid."""
    return {
        "study": NAME,
        "planes": rows,
        "ellipsoid_volume_ml": float(4 / 3 * np.pi * np.prod(_ZONE_MM) / 1000),
        "zone_diameters_mm": [2 * half for half in _ZONE_MM],
    }
