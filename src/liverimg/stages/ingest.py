"""Ingest: a study folder becomes volumes, and a record of what was not used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from liverimg.core.errors import DicomRefusedError, InputRefusedError, WorkspaceError
from liverimg.core.study import Phase, Rejected, Series, Study
from liverimg.core.volume import Quantity
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.reference import choose_reference
from liverimg.dicom.study import read_study, require_usable
from liverimg.files import nifti, records
from liverimg.files.study_records import study_to_record
from liverimg.files.tables import read_table, table_hashes
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace, hash_tree


@dataclass(frozen=True)
class Settings:
    """What to ingest.

    Attributes:
        study: Folder with the DICOM files of one study.
        phases: Phase of a series as the user knows it, by SeriesInstanceUID; wins over every tag.
        labels: Labels drawn elsewhere: the series that they lie on becomes the reference.
    """

    study: Path
    phases: Mapping[str, Phase] = field(default_factory=dict)
    labels: Path | None = None


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Reads headers, then pixels, and writes one volume per usable series."""
    rules = PhaseRules.from_table(read_table("phases"))
    headers = read_study(settings.study, phase_rules=rules, overrides=settings.phases)
    _refuse_another_study(workspace, headers.study)
    require_usable(headers.study)
    kept: list[Series] = []
    files: list[str] = []
    quantities: list[Quantity] = []
    rejected = list(headers.study.rejected)
    for number, (series, stack) in enumerate(zip(headers.study.series, headers.stacks, strict=True), start=1):
        try:
            volume = load_volume(stack)
        except DicomRefusedError as refusal:
            # What only the pixels show: the series is left out, the study goes on.
            rejected.append(Rejected(series.series_instance_uid, refusal.code, f"{refusal}."))
            continue
        # A name of our own making: nothing that a header says ever reaches a path.
        name = f"{number:02d}_{series.modality.value.lower()}_{series.phase.value}.nii.gz"
        nifti.write_volume(draft.path(Artefact.VOLUMES, name), volume)
        kept.append(replace(series, grid=volume.grid))
        files.append(f"{Artefact.VOLUMES.value}/{name}")
        quantities.append(volume.quantity)
        progress(number / len(headers.stacks))
    rejected.sort(key=lambda r: (r.what, r.code, r.reason))
    study = replace(headers.study, series=tuple(kept), rejected=tuple(rejected))
    require_usable(study)
    reference = study.series.index(choose_reference(_drawn_on(study, settings.labels), rules))
    record = study_to_record(study, files=files, quantities=quantities, reference=reference)
    draft.put_record(Artefact.STUDY, "study", record)


def _drawn_on(study: Study, labels: Path | None) -> Study:
    """The study cut down to the series that the labels lie on; whole without labels, or when they lie on none."""
    if labels is None:
        return study
    grid = nifti.read_grid(labels)
    fitting = tuple(series for series in study.series if series.grid.fits_in_space(grid))
    return replace(study, series=fitting) if fitting else study


def _refuse_another_study(workspace: Workspace, study: Study) -> None:
    path = workspace.path(Artefact.STUDY)
    if path.is_file() and records.load(path).get("study_instance_uid") != study.study_instance_uid:
        raise WorkspaceError(
            f"{workspace.folder} holds the results of another study; give --out a folder of its own for each study"
        )


def depends_on(settings: Settings) -> Mapping[str, str]:
    """Content of the study folder, and where labels from outside lie.

    Raises:
        InputRefusedError: One of them is not there or can't be read.
    """
    if not settings.study.is_dir():
        raise InputRefusedError(f"{settings.study} is not a folder; expected the DICOM files of one study")
    place = {}
    if settings.labels is not None:
        # Their grid alone decides here; another drawing on the same grid asks for no new ingest.
        place["labels_grid"] = records.dump(records.grid_to_record(nifti.read_grid(settings.labels)))
    return {"study": hash_tree(settings.study)} | place | table_hashes("phases")


STAGE = Stage(
    name="ingest",
    version=1,
    reads=(),
    writes=(Artefact.STUDY, Artefact.VOLUMES),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
