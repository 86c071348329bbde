"""Publish: results as DICOM objects that an archive files beside the scan, and as surfaces for planners.

The results hold nobody's name. The objects must, or no archive could file them, so the stage is given the study folder
again; it takes patient and study from there, lays them over the finished objects, and tells them to nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import liverimg
from liverimg.core.assessment import Verdict
from liverimg.core.catalogue import CodedConcept
from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import Structure
from liverimg.core.measurement import MeasurementSet
from liverimg.core.published import Equipment, ObjectStyle
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.source import Source, find_source
from liverimg.dicom.sr_names import SrNames
from liverimg.dicom.stamp import Written, content_moment
from liverimg.dicom.study import read_study as read_study_folder
from liverimg.dicom.write_pdf import write_pdf
from liverimg.dicom.write_rtstruct import write_rtstruct
from liverimg.dicom.write_seg import write_seg
from liverimg.dicom.write_sr import Findings, Segmentation, write_sr
from liverimg.files.catalogue import quantity_rows, unit_codes
from liverimg.files.pdf import NotPrintedError, find_browser, print_page
from liverimg.files.records import Record
from liverimg.files.result_records import assessment_from_record, measurements_from_record
from liverimg.files.tables import Table, read_table, table_hashes
from liverimg.stages.artefacts import read_labels, read_quality, read_study, reference_index
from liverimg.stages.publish_meshes import put_meshes
from liverimg.stages.publish_segments import Published, concepts, published
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace, hash_tree

MANIFEST: Final = "manifest.json"
_TABLE: Final = "dicom_objects"
_ABNORMAL: Final = "abnormality"
# Whose results must be those of the labels that lie there now.
_JUDGED: Final = ("measure", "assess", "report")


@dataclass(frozen=True)
class Settings:
    """What to publish.

    Attributes:
        study: The study folder that the results were made from.
        label_map: Write the SEG as a Label Map Segmentation, which is small and which few viewers read yet.
        pdf: Print the report and wrap it.
    """

    study: Path
    label_map: bool = False
    pdf: bool = True


@dataclass(frozen=True, eq=False)
class _Job:
    """What every object is made from."""

    source: Source
    parts: Published
    measured: MeasurementSet
    table: Table
    equipment: Equipment

    def style(self, kind: str) -> ObjectStyle:
        row = self.table["object"][kind]
        return ObjectStyle(int(row["series_number"]), row["title"], row.get("label", ""))


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Writes ``dicom/`` and ``meshes/``; an object that can't be had is left out, with the reason in the manifest."""
    _refuse_stale(workspace)
    labels = read_labels(workspace)
    measured = measurements_from_record(workspace.record(Artefact.MEASUREMENTS, "measurements"))
    job = _job(workspace, settings, measured)
    progress(0.1)
    objects: dict[str, Written] = {}
    left_out: list[Record] = []

    def attempt(kind: str, make: Any) -> None:
        try:
            objects[kind] = make()
        except (InputRefusedError, NotPrintedError) as refusal:
            left_out.append({"kind": kind, "reason": f"{refusal}."})

    array, segments = job.parts.array, job.parts.segments
    shared: dict[str, Any] = {"equipment": job.equipment}
    attempt(
        "seg",
        lambda: write_seg(array, segments, job.source, style=job.style("seg"), label_map=settings.label_map, **shared),
    )
    progress(0.3)
    segmentation = Segmentation(objects["seg"], segments) if "seg" in objects else None
    attempt("sr", lambda: _sr(workspace, job, segmentation))
    progress(0.4)
    attempt("rtstruct", lambda: write_rtstruct(array, segments, job.source, style=job.style("rtstruct"), **shared))
    progress(0.6)
    if settings.pdf:
        attempt("pdf", lambda: _pdf(workspace, job))
    else:
        left_out.append({"kind": "pdf", "reason": "The report was not wanted as PDF."})
    progress(0.8)
    for kind, written in objects.items():
        draft.path(Artefact.DICOM_OUT, f"{kind}.dcm").write_bytes(written.data)
    draft.put_record_in(Artefact.DICOM_OUT, MANIFEST, "published", _manifest(job, objects, left_out))
    study_uid = read_study(workspace).study_instance_uid
    put_meshes(draft, labels, job.parts, measured, table=job.table, study_uid=study_uid)


def _refuse_stale(workspace: Workspace) -> None:
    """Refuses results that were made from something else than what lies there now.

    Raises:
        InputRefusedError: Labels, measurements or findings have changed since.
    """
    for name in _JUDGED:
        provenance = workspace.provenance(name)
        changed = [
            read for read, was in (provenance.reads if provenance else {}).items()
            if read in STAGE.reads and workspace.hash_of(Artefact(read)) != was
        ]  # fmt: skip
        if changed:
            raise InputRefusedError(
                f"{changed[0]} changed after the stage {name}, so numbers and labels do not belong together; run "
                "'liverimg measure OUT' first, then publish"
            )


def _job(workspace: Workspace, settings: Settings, measured: MeasurementSet) -> _Job:
    table = read_table(_TABLE)
    study = read_study(workspace)
    rules = PhaseRules.from_table(read_table("phases"))
    source = find_source(
        read_study_folder(settings.study, phase_rules=rules),
        study.series[reference_index(workspace)],
        study_instance_uid=study.study_instance_uid,
        patient_check=study.patient_check,
    )
    labels = read_labels(workspace)
    row = table["equipment"]
    return _Job(
        source=source,
        parts=published(
            labels,
            measured,
            read_quality(workspace, labels),
            table=table,
            study_instance_uid=study.study_instance_uid,
        ),
        measured=measured,
        table=table,
        equipment=Equipment(
            row["manufacturer"], row["model"], liverimg.__version__, row["scheme"], row["scheme_name"],
            row["disclaimer"],
        ),
    )  # fmt: skip


def _sr(workspace: Workspace, job: _Job, segmentation: Segmentation | None) -> Written:
    known = concepts(job.table)
    abnormal = {s for s in Structure if job.table["structure"][s.value]["category"] == _ABNORMAL}
    findings = Findings(
        measured=job.measured,
        assessment=assessment_from_record(workspace.record(Artefact.ASSESSMENT, "assessment")),
        notes=(job.equipment.disclaimer, *job.measured.warnings),
        sites={s.value: code for s, code in known.items() if s not in abnormal},
        kinds={s.value: code for s, code in known.items() if s in abnormal},
        procedure=CodedConcept(**job.table["sr"]["procedure"]),
    )
    return write_sr(
        findings,
        job.source,
        names=sr_names(job.table),
        segmentation=segmentation,
        style=job.style("sr"),
        equipment=job.equipment,
    )


def sr_names(table: Table) -> SrNames:
    """What measurements, states and verdicts are called in a report."""
    scheme = table["equipment"]["scheme"]
    return SrNames(
        rows=quantity_rows(),
        units=unit_codes(),
        public=frozenset(table["sr"]["public_names"]),
        scheme=scheme,
        verdicts={Verdict(v): CodedConcept(scheme, **row) for v, row in table["sr"]["verdict"].items()},
    )


def _pdf(workspace: Workspace, job: _Job) -> Written:
    browser = find_browser()
    if browser is None:
        raise InputRefusedError(
            "the report was not printed, because there is no Chromium or Chrome on this machine; install one, or name "
            "it in LIVERIMG_CHROMIUM, or print report.html from any browser"
        )
    date, time = content_moment(job.source)
    seconds = float(job.table["object"]["pdf"]["timeout_s"])
    pdf = print_page(workspace.path(Artefact.REPORT), browser, timeout_s=seconds, moment=f"{date}{time}")
    return write_pdf(pdf, job.source, style=job.style("pdf"), equipment=job.equipment)


def _manifest(job: _Job, objects: Mapping[str, Written], left_out: list[Record]) -> Record:
    """What was written, for programs; it names nobody."""
    return {
        "record": "published",
        "schema_version": "0.1",
        "study_instance_uid": str(job.source.header.StudyInstanceUID),
        "objects": [
            {
                "kind": kind,
                "file": f"{kind}.dcm",
                "sop_class_uid": written.sop_class_uid,
                "sop_instance_uid": written.sop_instance_uid,
                "series_instance_uid": written.series_instance_uid,
                "sha256": sha256(written.data).hexdigest(),
            }
            for kind, written in objects.items()
        ],
        "left_out": left_out,
        "segments": [
            {"number": s.value, "target": s.target, "label": s.label, "tracking_uid": s.tracking_uid}
            for s in job.parts.segments
        ],
        "not_labelled": list(job.parts.empty),
        "resampled": job.source.resampled,
    }


def depends_on(settings: Settings) -> Mapping[str, str]:
    """Content of the study folder, the tables, and which browser prints.

    Raises:
        InputRefusedError: The study folder is not there.
    """
    if not settings.study.is_dir():
        raise InputRefusedError(f"{settings.study} is not a folder; expected the study that the results were made from")
    browser = find_browser() if settings.pdf else None
    return {
        "study": hash_tree(settings.study),
        "browser": "none" if browser is None else browser.version,
        **table_hashes(_TABLE, "quantities", "structures", "measure", "phases"),
    }


STAGE = Stage(
    name="publish",
    version=1,
    reads=(
        Artefact.STUDY,
        Artefact.LABELS,
        Artefact.LABEL_NAMES,
        Artefact.LABEL_QUALITY,
        Artefact.MEASUREMENTS,
        Artefact.ASSESSMENT,
        Artefact.REPORT,
    ),
    writes=(Artefact.DICOM_OUT, Artefact.MESHES),
    settings=Settings,
    run=run,
    depends_on=depends_on,
)
