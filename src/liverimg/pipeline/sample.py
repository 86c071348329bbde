"""``liverimg sample``: studies of a digital abdomen as DICOM folders, with the exact answers beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from liverimg.core.errors import UsageError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.write import SeriesHeader, StudyHeader, uid_from, write_series
from liverimg.files import nifti, records
from liverimg.files.tables import read_table, structure_styles
from liverimg.phantom import margins, render, truth
from liverimg.phantom.contrast import Contrast
from liverimg.phantom.extent import Extent, extent_of
from liverimg.phantom.people import ablations_for, random_scene, sample_scene
from liverimg.phantom.scene import Scene
from liverimg.phantom.treated import follow_up_position, treated
from liverimg.pipeline.sample_broken import write_broken
from liverimg.pipeline.sample_ceus import write_ceus
from liverimg.pipeline.sample_plan import STUDIES, PlannedSeries, PlannedStudy, scan_grid

Progress = Callable[[float], None]

_AGENT = {Modality.CT: "Iohexol 350", Modality.MR: "Gadoxetate disodium"}
NAMES = (*(study.name for study in STUDIES), "ceus")
_INJECTION_S = 10 * 3600
_BEFORE_INJECTION_S = 90
_README = """\
# Synthetic studies of a digital abdomen

No patient: an analytic body of implicit solids and tapered capsules, scanned by arithmetic. Everything here was
written by one command, and is written again (the same bytes on the same machine and libraries) by:

    liverimg sample DIR{option}

| folder | what it holds |
|---|---|
| `pre_ct/` | CT before treatment: unenhanced, arterial, portal venous, delayed, and a scout that no volume comes from |
| `post_ct/` | CT after ablation: arterial and portal venous; the patient lies and breathes differently |
| `mr/` | T1 MR with gadoxetate before treatment: unenhanced, arterial, portal venous, hepatobiliary |
| `ceus/` | contrast ultrasound after ablation: two planes at right angles, breathing, a focus of living tumour; JPEG |
| `broken/` | to be refused: `empty`, `single_slice`, `mixed` (two patients, a cut-off file, a text file) |
| `truth/` | exact answers as JSON; exact labels on the portal venous (MR: hepatobiliary) series, with their names |

CT and MR are JPEG-LS, lossless. Every PatientName starts with PHANTOM. Tumours:

{tumours}

In `truth/*.json` lengths are mm, volumes ml, places LPS mm at that examination. A distance of null means that the
body bends between the two structures, so that there is no exact answer. Ablation margins are exact: around each
zone the body moves rigidly. Of contrast ultrasound the area and diameters are those of what enhances in no phase; times
count from the injection, and echo power has arbitrary units.

Licence: Apache-2.0, as the code; nobody's data went into it. Biases: one body, no anatomy but what its formulas say,
no artefacts but noise. A figure reached here says that the program is consistent, and nothing about patients.
"""


def write_sample(
    folder: Path, *, seed: int | None = None, only: str | None = None, progress: Progress | None = None
) -> None:
    """Writes four studies, three broken ones and the exact answers.

    Args:
        folder: New or empty.
        seed: Another patient than the one that is built in.
        only: One of :data:`NAMES`, with its answers; None writes all, and the broken ones.
        progress: Told the share of the work that is done.

    Raises:
        UsageError: The folder holds something already, or nothing is called ``only``.
    """
    if only is not None and only not in NAMES:
        raise UsageError(f"the sample has no study {only!r}; expected one of: {', '.join(NAMES)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("the sample folder holds something already; name a new or an empty one")
    tell = progress or (lambda _: None)
    scene = sample_scene() if seed is None else random_scene(seed)
    ablations = ablations_for(scene)
    after = treated(scene, ablations, deformation=follow_up_position(ablations))
    studies = [study for study in STUDIES if only in (None, study.name)]
    steps = sum(len(s.series) for s in studies) + len(studies) + 1
    done = 0
    for study in studies:
        shown = after if study.name == "post_ct" else scene
        room = extent_of(shown)
        for slice_mm in sorted({planned.slice_mm for planned in study.series}):
            grid = scan_grid(shown, room, study, slice_mm)
            layers = render.layers(shown, grid)
            for planned in study.series:
                if planned.slice_mm == slice_mm:
                    _write_planned(folder / study.name, shown, layers, study, planned)
                    done += 1
                    tell(done / steps)
        if study.scout:
            _write_scout(folder / study.name, shown, room, study)
        _write_truth(folder / "truth", shown, room, study)
        done += 1
        tell(done / steps)
    if only in (None, "ceus"):
        write_ceus(folder, seed=scene.seed)
    tell(1.0)
    if only is None:
        write_broken(folder)
        (folder / "README.md").write_text(_readme(scene, seed), encoding="utf-8")


def _readme(scene: Scene, seed: int | None) -> str:
    tumours = "\n".join(
        f"- {t.id}, {t.kind}: axial {t.axial_long_diameter_mm:.1f} x {t.axial_short_diameter_mm:.1f} mm, "
        f"{t.volume_ml:.2f} ml, {t.depth_near_mm:.1f} mm under the skin"
        for t in truth.scene_truth(scene)
    )
    return _README.format(option="" if seed is None else f" --seed {seed}", tumours=tumours)


def exact_labels(scene: Scene, grid: Grid) -> LabelMap:
    """Every structure on a grid, with the values of ``data/structures.toml``."""
    values = {structure: style.value for structure, style in structure_styles().items()}
    return render.labels(scene, grid, values)


def _study_header(scene: Scene, study: PlannedStudy) -> StudyHeader:
    return StudyHeader(
        patient_name="PHANTOM^ABDOMEN",
        patient_id=f"PHANTOM-{scene.seed}",
        study_instance_uid=uid_from("study", scene.seed, study.name),
        study_date=study.date,
        study_time="094500",
        description=f"{study.modality.value} abdomen",
    )


def _series_header(scene: Scene, study: PlannedStudy, planned: PlannedSeries, time_s: float | None) -> SeriesHeader:
    at_s = _INJECTION_S + (-_BEFORE_INJECTION_S if time_s is None else time_s)
    kind = "Abd" if study.modality is Modality.CT else "T1 3D GRE fs"
    words = planned.phase.value.replace("_", " ")
    return SeriesHeader(
        modality=study.modality,
        number=planned.number,
        series_instance_uid=uid_from("series", scene.seed, study.name, planned.number),
        description=f"{kind} {words} {planned.slice_mm:.1f}",
        acquisition_time=_clock(at_s),
        contrast_agent="" if time_s is None else _AGENT[study.modality],
        contrast_start_time="" if time_s is None else _clock(_INJECTION_S),
        image_type=("ORIGINAL", "PRIMARY", "AXIAL" if study.modality is Modality.CT else "OTHER"),
    )


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02d}{whole // 60 % 60:02d}{whole % 60:02d}"


def _contrast(modality: Modality) -> tuple[Contrast, Mapping[str, float]]:
    table = read_table("phantom")
    own = table[modality.value.lower()]
    return Contrast.from_table(table, modality), own["noise_hu" if modality is Modality.CT else "noise_signal"]


def _write_planned(
    folder: Path, scene: Scene, layers: render.Layers, study: PlannedStudy, planned: PlannedSeries
) -> None:
    contrast, noise = _contrast(study.modality)
    volume = render.image(
        layers,
        contrast.looks(planned.phase),
        background=contrast.background,
        noise=noise[planned.phase.value],
        seed=scene.seed + planned.number,
        quantity=Quantity.HU if study.modality is Modality.CT else Quantity.MR_SIGNAL,
    )
    header = _series_header(scene, study, planned, contrast.phase_times_s[planned.phase])
    write_series(volume, folder / f"S{planned.number:03d}", study=_study_header(scene, study), series=header)


def _write_scout(folder: Path, scene: Scene, room: Extent, study: PlannedStudy) -> None:
    """One coronal projection, as a scanner's localiser: its ImageType says that it is no slice."""
    contrast, _ = _contrast(Modality.CT)
    axial = scan_grid(scene, room, study, 3.0)
    thin = Grid.from_axes(
        (axial.shape[0], 96, 96),
        spacing_mm=(3.0, 4 * axial.spacing_mm[1], 4 * axial.spacing_mm[2]),
        origin_lps_mm=axial.origin_lps_mm,
        frame_of_reference_uid=axial.frame_of_reference_uid,
    )
    volume = render.image(
        render.layers(scene, thin),
        contrast.looks(Phase.UNENHANCED),
        background=contrast.background,
        noise=0,
        seed=scene.seed,
    )
    shadow = np.asarray(volume.array).mean(axis=1)[::-1]
    grid = Grid.from_axes(
        (1, thin.shape[0], thin.shape[2]),
        spacing_mm=(1.0, 3.0, thin.spacing_mm[2]),
        directions=((0, 1, 0), (0, 0, -1), (1, 0, 0)),
        origin_lps_mm=thin.index_to_lps_mm((thin.shape[0] - 1, thin.shape[1] / 2, 0)),
        frame_of_reference_uid=thin.frame_of_reference_uid,
    )
    header = SeriesHeader(
        modality=Modality.CT,
        number=1,
        series_instance_uid=uid_from("series", scene.seed, study.name, 1),
        description="Scout",
        acquisition_time=_clock(_INJECTION_S - 300),
        image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"),
        more={"RescaleType": "US"},  # a projection's values are no Hounsfield units (PS3.3 C.8.2.1.1.2)
    )
    scout = Volume(shadow[None].astype(np.float32), grid, Quantity.HU)
    write_series(scout, folder / "S001", study=_study_header(scene, study), series=header)


def _write_truth(folder: Path, scene: Scene, room: Extent, study: PlannedStudy) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    slice_mm = next(s.slice_mm for s in study.series if s.phase is study.reference)
    labels = exact_labels(scene, scan_grid(scene, room, study, slice_mm))
    nifti.write_labels(folder / f"{study.name}_labels.nii.gz", labels)
    # Before treatment nobody has looked for an ablation zone; all else was looked for, and may be absent.
    looked_for = {
        s.value: v for s, v in labels.structures.items() if s is not Structure.ABLATION_ZONE or scene.ablations
    }
    (folder / f"{study.name}_labels.json").write_text(records.dump(looked_for), encoding="utf-8")
    (folder / f"{study.name}.json").write_text(records.dump(truth_record(scene, study)), encoding="utf-8")


def truth_record(scene: Scene, study: PlannedStudy) -> dict[str, Any]:
    """The exact answers about one study; lengths in mm, places in LPS mm at the examination."""
    record: dict[str, Any] = {
        "study": study.name,
        "seed": scene.seed,
        "labels_on_series": uid_from("series", scene.seed, study.name, _reference_number(study)),
        "liver": asdict(truth.liver_truth(scene)),
        "lesions": [asdict(t) for t in truth.scene_truth(scene)],
    }
    if scene.ablations:
        record["ablations"] = [asdict(margins.ablation_truth(scene, a)) for a in scene.ablations]
    if scene.deformation is not None:
        moved = scene.deformation
        record["deformation"] = {
            "to_built_rigid": moved.rigid.tolist(),
            "pushes": [asdict(p) for p in moved.pushes],
            "still": [asdict(b) for b in moved.still],
        }
    return record


def _reference_number(study: PlannedStudy) -> int:
    return next(s.number for s in study.series if s.phase is study.reference)
