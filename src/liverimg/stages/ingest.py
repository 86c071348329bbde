"""Ingest: a study folder becomes volumes, and a record of what was not used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from liverimg.core.errors import DicomRefusedError, InputRefusedError, UsageError, WorkspaceError
from liverimg.core.study import Phase, Rejected, Role, Series, Study
from liverimg.core.volume import Quantity
from liverimg.dicom.decode import Decoder
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.reference import choose_reference, chosen_by_person, with_roles
from liverimg.dicom.study import read_study, require_usable
from liverimg.files import nifti, records
from liverimg.files.study_records import study_to_record
from liverimg.files.tables import read_table, table_hashes
from liverimg.stages.cines import load_clips, put_clips, ultrasound_rules
from liverimg.stages.label_sources import place_hash, series_drawn_on
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace, hash_tree


@dataclass(frozen=True)
class Settings:
    """What to ingest.

    Attributes:
        study: Folder with the DICOM files of one study.
        phases: Phase of a series as the user knows it, by SeriesInstanceUID; wins over every tag.
        use: Which volume serves a role (reference, unenhanced, arterial, portal_venous, delayed, hepatobiliary), by its
            number or its SeriesInstanceUID; wins over the rules.
        labels: Labels drawn elsewhere: the series that they lie on becomes the reference.
        contrast_starts: Start of injection in seconds after a clip's first frame, by SeriesInstanceUID.
        panes: Which picture of a clip shows contrast (left, right, whole, none), by SeriesInstanceUID.
        with_volume: Refuse a study without a CT or MR volume, before anything is written.
    """

    study: Path
    phases: Mapping[str, Phase] = field(default_factory=dict)
    use: Mapping[str, str] = field(default_factory=dict)
    labels: Path | None = None
    contrast_starts: Mapping[str, float] = field(default_factory=dict)
    panes: Mapping[str, str] = field(default_factory=dict)
    with_volume: bool = field(default=True, metadata={"key": False})


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Reads headers, then pixels, and writes one volume per usable series and one cine per ultrasound picture."""
    rules = PhaseRules.from_table(read_table("phases"))
    headers = read_study(
        settings.study, phase_rules=rules, overrides=settings.phases, ultrasound_rules=ultrasound_rules()
    )
    _refuse_another_study(workspace, headers.study)
    require_usable(headers.study, with_volume=settings.with_volume)
    chosen_by_person(headers.study, settings.use)
    _refuse_unknown_clips(headers.study, {**settings.contrast_starts, **settings.panes})
    # There even when empty: what lies downstream then says that there is no volume, not that ingest never ran.
    draft.path(Artefact.VOLUMES).mkdir()
    kept: list[Series] = []
    files: list[str] = []
    quantities: list[Quantity] = []
    rejected = list(headers.study.rejected)
    with Decoder() as decoder:
        for done, (series, stack) in enumerate(zip(headers.study.series, headers.stacks, strict=True), start=1):
            try:
                volume = load_volume(stack, decoder=decoder)
            except DicomRefusedError as refusal:
                # What only the pixels show: the series is left out, the study goes on.
                rejected.append(Rejected(series.series_instance_uid, refusal.code, f"{refusal}."))
                continue
            # A name of our own making: nothing that a header says ever reaches a path.
            name = f"{series.number:02d}_{series.modality.value.lower()}_{series.phase.value}.nii.gz"
            nifti.write_volume(draft.path(Artefact.VOLUMES, name), volume)
            kept.append(replace(series, grid=volume.grid))
            files.append(f"{Artefact.VOLUMES.value}/{name}")
            quantities.append(volume.quantity)
            progress(done / len(headers.stacks))
    if not settings.with_volume:
        # There even when empty, for the same reason.
        draft.path(Artefact.CINES).mkdir(exist_ok=True)
    loaded, refused = load_clips(headers.clips, contrast_starts_s=settings.contrast_starts, panes=settings.panes)
    rejected = sorted((*rejected, *refused), key=lambda r: (r.what, r.code, r.reason))
    study = replace(
        headers.study, series=tuple(kept), rejected=tuple(rejected), clips=tuple(entry.clip for entry in loaded)
    )
    require_usable(study, with_volume=settings.with_volume)
    study, reference = _with_roles(study, settings, rules)
    record = study_to_record(
        study, files=files, quantities=quantities, reference=reference, cines=put_clips(draft, loaded)
    )
    draft.put_record(Artefact.STUDY, "study", record)


def _with_roles(study: Study, settings: Settings, rules: PhaseRules) -> tuple[Study, int | None]:
    """The study with its roles, and the index of its reference; None without a volume."""
    chosen = chosen_by_person(study, settings.use)
    if not study.series:
        return with_roles(study, rules, reference=None), None
    fitting = _drawn_on(study, settings.labels)
    wanted = chosen.get(Role.REFERENCE)
    if wanted is not None and study.series[wanted] not in fitting.series:
        raise UsageError(
            f"volume {study.series[wanted].number} was given the role reference, but the labels were drawn on another "
            "series: leave the role out, or give labels that lie on that volume"
        )
    reference = study.series[wanted] if wanted is not None else choose_reference(fitting, rules)
    return with_roles(study, rules, reference=reference, chosen=chosen), study.series.index(reference)


def _refuse_unknown_clips(study: Study, named: Mapping[str, object]) -> None:
    known = {clip.series_instance_uid for clip in study.clips}
    if unknown := sorted(set(named) - known):
        raise UsageError(
            f"--contrast-start or --pane names series {unknown[0]!r}, which holds no ultrasound clip of this study; "
            "inspect the study for its series UIDs"
        )


def _drawn_on(study: Study, labels: Path | None) -> Study:
    """The study cut down to the series that the labels were drawn on; whole without labels, or when none tells."""
    return study if labels is None else series_drawn_on(study, labels)


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
        # Their place alone decides here; another drawing in the same place asks for no new ingest.
        place["labels_place"] = place_hash(settings.labels)
    return {"study": hash_tree(settings.study)} | place | table_hashes("phases", "sequences", "ultrasound", "decoding")


STAGE = Stage(
    name="ingest",
    version=3,
    reads=(),
    writes=(Artefact.STUDY, Artefact.VOLUMES, Artefact.CINES),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
