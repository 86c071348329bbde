"""A small patient before and after treatment: balls with known margins, written as finished workspaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from liverimg.core.alignment import Alignment, PlaceMotion
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Lesion, Measurement
from liverimg.core.motion import RigidMotion
from liverimg.core.study import ImageKind, Modality, Phase, PhaseEvidence, Series, Study
from liverimg.core.volume import Quantity, Volume
from liverimg.core.zones import Focus, Zone, ZoneMap
from liverimg.files import nifti
from liverimg.files.alignment_records import alignment_to_record
from liverimg.files.phase_records import ImageRow, Verdict, phases_to_record
from liverimg.files.result_records import measurements_to_record
from liverimg.files.study_records import study_to_record
from liverimg.files.tables import read_table
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.survey import survey
from liverimg.stages import response
from liverimg.stages.artefacts import put_labels, reference_record
from liverimg.stages.zone_files import put_zones
from liverimg.workspace import Artefact, Draft, Provenance, Workspace

SHAPE, SPACING_MM = (46, 84, 84), (2.0, 1.25, 1.25)
VALUES = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.HEPATIC_VEIN: 3, Structure.ABLATION_ZONE: 19}
LIVER_MM = 40.0
CENTRES = {"L1": (-14.0, 4.0, 2.0), "L2": (14.0, -12.0, -6.0), "L3": (10.0, 18.0, 12.0)}
RADII = {"L1": 10.0, "L2": 7.0, "L3": 6.0}
BEFORE_UID, AFTER_UID = "1.2.826.0.1.3680043.8.498.71", "1.2.826.0.1.3680043.8.498.72"
_TURN = np.deg2rad(8.0)
MOTION = RigidMotion(
    np.array([[np.cos(_TURN), -np.sin(_TURN), 0.0], [np.sin(_TURN), np.cos(_TURN), 0.0], [0.0, 0.0, 1.0]]),
    np.array([3.0, -2.0, 4.0]),
)


def grid_of(uid: str) -> Grid:
    """The study's grid, with the isocentre in its middle."""
    origin = -(np.array(SHAPE) - 1) / 2 * np.array(SPACING_MM)
    return Grid.from_axes(SHAPE, spacing_mm=SPACING_MM, origin_lps_mm=origin[::-1], frame_of_reference_uid=f"{uid}.9")


def places(grid: Grid) -> np.ndarray:
    """Voxel centres, LPS mm."""
    return grid.index_to_lps_mm(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1))


def ball(grid: Grid, centre: Any, radius_mm: float) -> np.ndarray:
    """Voxels within a ball."""
    return np.linalg.norm(places(grid) - np.asarray(centre, dtype=float), axis=-1) <= radius_mm


@dataclass(frozen=True)
class After:
    """What the study after treatment shows.

    Attributes:
        zones: Radius and offset (in the later frame) of the zone around each treated lesion.
        foci: Radius and offset from the lesion's place of a residual focus at its zone.
        tumours: Radius and place (in the later frame) of tumours drawn as such.
        untreated: Lesions that are still there, with their radius now.
        origin: Of the labels.
        motion: Lesions whose motion is known.
        error_mm: Of the motions.
        knows_tumour: Whether tumour was looked for.
        foci_unknown: Why foci could not be looked for, by zone.
        smallest_focus_mm: As of the map.
        zone_origin: Who drew the zones.
        zone_error_mm: Of their outlines.
        perhaps_older: Whether they may be dead tissue from before.
        arterial: Whether the study has an arterial phase beside the portal venous one.
    """

    zones: Mapping[str, tuple[float, tuple[float, float, float]]] = field(default_factory=dict)
    foci: Mapping[str, tuple[float, tuple[float, float, float]]] = field(default_factory=dict)
    tumours: tuple[tuple[float, tuple[float, float, float]], ...] = ()
    untreated: Mapping[str, float] = field(default_factory=dict)
    origin: str = "external"
    motion: tuple[str, ...] = tuple(CENTRES)
    error_mm: float = 0.5
    knows_tumour: bool = True
    foci_unknown: Mapping[str, str] = field(default_factory=dict)
    smallest_focus_mm: float | None = None
    zone_origin: str = "drawn"
    zone_error_mm: float = 0.0
    perhaps_older: bool = False
    arterial: bool = True


def now(lesion: str) -> np.ndarray:
    """Where a lesion's centre lies after treatment."""
    return MOTION.apply(np.array(CENTRES[lesion]))


def make_before(
    folder: Path,
    *,
    uid: str = BEFORE_UID,
    day: str = "20260105",
    patient: str | None = "abcd",
    viable: bool = False,
) -> Path:
    """The baseline, with three lesions and a hepatic vein, as ``liverimg pre`` leaves it.

    ``viable``: as if the lesions had been seen to take up contrast all over.
    """
    grid = grid_of(uid)
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[ball(grid, (0, 0, 0), LIVER_MM)] = VALUES[Structure.LIVER]
    x, y, _ = np.moveaxis(places(grid), -1, 0)
    array[(np.hypot(x - 2.0, y - 6.0) <= 3.0) & (array == 1)] = VALUES[Structure.HEPATIC_VEIN]
    for name, centre in CENTRES.items():
        array[ball(grid, centre, RADII[name])] = VALUES[Structure.TUMOUR]
    labels = LabelMap(array, grid, {s: v for s, v in VALUES.items() if s is not Structure.ABLATION_ZONE})
    quality = LabelQuality("external")
    workspace = _study(folder, grid, labels, quality, uid=uid, day=day, patient=patient)
    series = workspace.record(Artefact.STUDY, "study")["volumes"][0]["series_instance_uid"]
    measured = survey(
        None, labels, quality, settings=MeasureSettings.from_table(read_table("measure")), sources=(series,)
    )
    if viable:
        measured = replace(measured, lesions=tuple(_all_viable(lesion) for lesion in measured.lesions))
    drawn = {"origin": "external", "model": None, "sha256": workspace.hash_of(Artefact.LABELS)}
    with workspace.draft("measure") as draft:
        record = measurements_to_record(measured, study=reference_record(workspace), labels=drawn)
        draft.put_record(Artefact.MEASUREMENTS, "measurements", record)
        _commit(draft)
    return folder


def make_after(
    folder: Path, after: After, *, uid: str = AFTER_UID, day: str = "20260216", patient: str | None = "abcd"
) -> Path:
    """The study after treatment, laid onto the baseline and with its zones, before the response is made."""
    grid = grid_of(uid)
    array = np.zeros(SHAPE, dtype=np.uint8)
    array[ball(grid, MOTION.apply(np.zeros(3)), LIVER_MM)] = VALUES[Structure.LIVER]
    for name, radius in after.untreated.items():
        array[ball(grid, now(name), radius)] = VALUES[Structure.TUMOUR]
    for radius, place in after.tumours:
        array[ball(grid, place, radius)] = VALUES[Structure.TUMOUR]
    zones, zone_map = _zones(grid, after)
    array[(zone_map > 0) & (zone_map < 100)] = VALUES[Structure.ABLATION_ZONE]
    array[zone_map >= 100] = VALUES[Structure.TUMOUR]
    known = {s: v for s, v in VALUES.items() if after.knows_tumour or s is not Structure.TUMOUR}
    labels = LabelMap(array, grid, known)
    quality = LabelQuality(after.origin)
    phases = (Phase.PORTAL_VENOUS, *((Phase.ARTERIAL,) if after.arterial else ()))
    workspace = _study(folder, grid, labels, quality, uid=uid, day=day, patient=patient, phases=phases)
    with workspace.draft("zones") as draft:
        put_zones(draft, zones)
        _commit(draft)
    row = reference_record(workspace)
    with workspace.draft("register") as draft:
        draft.put_record(
            Artefact.ALIGNMENT, "alignment", alignment_to_record(_alignment(after), earlier=row, later=row)
        )
        _commit(draft)
    return folder


def respond(folder: Path, baseline: Path, *, treated_on: str | None = "2026-01-20", kind: str | None = "hifu") -> dict:
    """Runs the stage on a study after treatment, and returns ``response.json``."""
    workspace = Workspace(folder)
    rows = () if treated_on is None else ({"date": treated_on, "kind": kind},)
    settings = response.Settings(baseline, rows)
    with workspace.draft("response") as draft:
        response.run(workspace, draft, settings, lambda _: None)
        _commit(draft)
    return workspace.record(Artefact.RESPONSE, "response")


def _zones(grid: Grid, after: After) -> tuple[ZoneMap, np.ndarray]:
    array = np.zeros(SHAPE, dtype=np.uint8)
    zones, foci = [], []
    for n, (name, (radius, offset)) in enumerate(after.zones.items(), start=1):
        array[ball(grid, now(name) + offset, radius)] = n
        zones.append(
            Zone(f"Z{n}", n, (name,), after.zone_origin, after.zone_error_mm, perhaps_older=after.perhaps_older)
        )
    for n, (name, (radius, offset)) in enumerate(after.foci.items(), start=1):
        home = next(z for z in zones if name in z.lesions)
        array[ball(grid, now(name) + offset, radius)] = 100 + n
        foci.append(Focus(f"R{n}", 100 + n, home.id, (name,), after.zone_origin, ("arterial",)))
    absent = {name: "nothing without enhancement lies on it" for name in CENTRES if name not in after.zones}
    unknown = {z.id: after.foci_unknown[z.id] for z in zones if z.id in after.foci_unknown}
    return ZoneMap(array, grid, tuple(zones), tuple(foci), absent, unknown, after.smallest_focus_mm), array


def _alignment(after: After) -> Alignment:
    liver = PlaceMotion("liver", (0.0, 0.0, 0.0), MOTION, 4.0)
    lesions = tuple(
        PlaceMotion(name, CENTRES[name], MOTION, after.error_mm)
        if name in after.motion
        else PlaceMotion(name, CENTRES[name], None, None, "too little of the liver around it was found again")
        for name in CENTRES
    )
    return Alignment(liver, lesions)


def _study(
    folder: Path,
    grid: Grid,
    labels: LabelMap,
    quality: LabelQuality,
    *,
    uid: str,
    day: str,
    patient: str | None,
    phases: tuple[Phase, ...] = (Phase.PORTAL_VENOUS,),
) -> Workspace:
    """A study of one volume for each phase, the first of which is the reference."""
    folder.mkdir(parents=True, exist_ok=True)
    series = tuple(
        Series(
            f"{uid}.{n}",
            Modality.CT,
            phase,
            (PhaseEvidence("test", phase, "given"),),
            grid,
            kind=ImageKind.CT,
            number=n,
        )
        for n, phase in enumerate(phases, start=1)
    )
    study = Study(uid, day, series, patient_check=patient)
    workspace = Workspace(folder)
    files = [f"volumes/{n:02d}_ct_{phase.value}.nii.gz" for n, phase in enumerate(phases, start=1)]
    with workspace.draft("ingest") as draft:
        image = Volume(np.where(labels.array > 0, 90, -900).astype(np.float32), grid, Quantity.HU)
        for file in files:
            nifti.write_volume(draft.path(Artefact.VOLUMES, Path(file).name), image)
        record = study_to_record(study, files=files, quantities=[Quantity.HU] * len(files), reference=0)
        draft.put_record(Artefact.STUDY, "study", record)
        _commit(draft)
    with workspace.draft("segment") as draft:
        put_labels(draft, labels, quality)
        looks = phases_to_record(study, replace(study), files=files, images=[_silent()] * len(files))
        draft.put_record(Artefact.PHASES, "phases", looks)
        _commit(draft)
    return workspace


def _all_viable(lesion: Lesion) -> Lesion:
    long = next(q for q in lesion.quantities if q.name == "axial_long_diameter")
    assert isinstance(long, Measurement)
    return replace(lesion, quantities=(*lesion.quantities, replace(long, name="viable_diameter")))


def _silent() -> ImageRow:
    return ImageRow(Verdict.SILENT, {}, "HU", "made by hand")


def _commit(draft: Draft) -> None:
    draft.commit(Provenance(stage=draft.stage, version=1, key="made by hand", reads={}, writes={}))
