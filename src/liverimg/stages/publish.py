"""Publish: results as DICOM objects that an archive files beside the scan, and as surfaces for planners.

The results hold nobody's name. The objects must, or no archive could file them, so the stage is given the study folder
again; it takes patient and study from there, lays them over the finished objects, and tells them to nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

import liverimg
from liverimg.core.catalogue import CodedConcept
from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.core.published import Equipment, ObjectStyle
from liverimg.dicom.sr_groups import Segmentation
from liverimg.dicom.stamp import Written, content_moment
from liverimg.dicom.write_pdf import write_pdf
from liverimg.dicom.write_rtstruct import write_rtstruct
from liverimg.dicom.write_seg import write_seg
from liverimg.dicom.write_sr import write_sr
from liverimg.files.pdf import NotPrintedError, find_browser, print_page
from liverimg.files.records import Record
from liverimg.files.tables import Table, read_table, table_hashes
from liverimg.stages.publish_ceus import CEUS
from liverimg.stages.publish_content import SEG, Content, Results, sr_names
from liverimg.stages.publish_meshes import put_meshes
from liverimg.stages.publish_post import POST
from liverimg.stages.publish_pre import PRE
from liverimg.stages.stage import Progress, Stage
from liverimg.workspace import Artefact, Draft, Workspace, hash_tree

MANIFEST: Final = "manifest.json"
_TABLE: Final = "dicom_objects"
# What tells most goes first: a study after treatment may have been measured by itself too.
RESULTS: Final = (POST, PRE, CEUS)


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


@dataclass(eq=False)
class _Job:
    """What every object is made from, and what became of each."""

    results: Results
    content: Content
    table: Table
    settings: Settings
    equipment: Equipment
    objects: dict[str, Written] = field(default_factory=dict)
    left_out: list[Record] = field(default_factory=list)

    def style(self, kind: str) -> ObjectStyle:
        row = self.table["object"][kind] | self.table["results"][self.results.name].get(kind, {})
        return ObjectStyle(int(row["series_number"]), row["title"], row.get("label", ""))

    def attempt(self, kind: str, make: Callable[[], Written]) -> None:
        """Makes an object; one that can't be had is left out, and the reason kept."""
        try:
            self.objects[kind] = make()
        except (InputRefusedError, NotPrintedError) as refusal:
            self.left_out.append({"kind": kind, "reason": f"{refusal}."})


def run(workspace: Workspace, draft: Draft, settings: Settings, progress: Progress) -> None:
    """Writes ``dicom/`` and ``meshes/``; an object that can't be had is left out, with the reason in the manifest."""
    results = results_in(workspace)
    _refuse_stale(workspace, results)
    table = read_table(_TABLE)
    job = _Job(results, results.read(workspace, settings.study, table), table, settings, _equipment(table))
    progress(0.1)
    _put_segmentations(job)
    progress(0.3)
    job.attempt("sr", lambda: _sr(job))
    progress(0.4)
    _put_outlines(job)
    progress(0.6)
    if settings.pdf:
        job.attempt("pdf", lambda: _pdf(workspace, job))
    else:
        job.left_out.append({"kind": "pdf", "reason": "The report was not wanted as PDF."})
    job.left_out += [{"kind": kind, "reason": reason} for kind, reason in job.content.left_out.items()]
    progress(0.8)
    for kind, written in job.objects.items():
        draft.path(Artefact.DICOM_OUT, f"{kind}.dcm").write_bytes(written.data)
    draft.put_record_in(Artefact.DICOM_OUT, MANIFEST, "published", _manifest(job))
    put_meshes(draft, job.content.surfaces, frame_of_reference_uid=job.content.scan.frame_of_reference_uid)


def results_in(workspace: Workspace) -> Results:
    """The results that a folder holds.

    Raises:
        UsageError: None that can be published.
    """
    for results in RESULTS:
        if workspace.path(results.record).is_file():
            return results
    names = " or ".join(results.record.value for results in RESULTS)
    raise UsageError(
        f"{workspace.folder} holds no results to publish, expected {names}; run 'liverimg pre', 'post' or 'ceus' first"
    )


def _refuse_stale(workspace: Workspace, results: Results) -> None:
    """Refuses results that were made from something else than what lies there now.

    Raises:
        InputRefusedError: Labels, zones, measurements or findings have changed since.
    """
    for name in results.made_by:
        provenance = workspace.provenance(name)
        changed = [
            read for read, was in (provenance.reads if provenance else {}).items()
            if Artefact(read) in (*STAGE.reads, *STAGE.reads_if_there) and workspace.hash_of(Artefact(read)) != was
        ]  # fmt: skip
        if changed:
            raise InputRefusedError(
                f"{changed[0]} changed after the stage {name}, so numbers and labels do not belong together; run "
                f"'{results.again}' first, then publish"
            )


def _equipment(table: Table) -> Equipment:
    row = table["equipment"]
    return Equipment(
        row["manufacturer"], row["model"], liverimg.__version__, row["scheme"], row["scheme_name"], row["disclaimer"]
    )


def _put_segmentations(job: _Job) -> None:
    source = job.content.source
    for kind, layer in job.content.layers.items():
        if source is not None and (layer.segments or kind == SEG):
            job.attempt(
                kind,
                lambda kind=kind, layer=layer: write_seg(  # type: ignore[misc]
                    layer.array,
                    layer.segments,
                    source,
                    style=job.style(kind),
                    equipment=job.equipment,
                    label_map=job.settings.label_map,
                ),
            )


def _put_outlines(job: _Job) -> None:
    source, layers = job.content.source, tuple(job.content.layers.values())
    if source is not None:
        style = job.style("rtstruct")
        job.attempt(
            "rtstruct",
            lambda: write_rtstruct(
                layers[0].array, layers[0].segments, source, style=style, equipment=job.equipment, beside=layers[1:]
            ),
        )


def _sr(job: _Job) -> Written:
    made = {
        kind: Segmentation(job.objects[kind], layer.segments)
        for kind, layer in job.content.layers.items()
        if kind in job.objects
    }
    return write_sr(
        job.content.groups,
        job.content.scan,
        procedure=CodedConcept(**job.table["sr"]["procedure"]),
        names=sr_names(job.table),
        segmentations=made,
        style=job.style("sr"),
        equipment=job.equipment,
    )


def _pdf(workspace: Workspace, job: _Job) -> Written:
    browser = find_browser()
    if browser is None:
        raise InputRefusedError(
            "the report was not printed, because there is no Chromium or Chrome on this machine; install one, or name "
            f"it in LIVERIMG_CHROMIUM, or print {job.results.page.value} from any browser"
        )
    date, time = content_moment(job.content.scan)
    seconds = float(job.table["object"]["pdf"]["timeout_s"])
    pdf = print_page(workspace.path(job.results.page), browser, timeout_s=seconds, moment=f"{date}{time}")
    return write_pdf(pdf, job.content.scan, style=job.style("pdf"), equipment=job.equipment)


def _manifest(job: _Job) -> Record:
    """What was written, for programs; it names nobody."""
    source = job.content.source
    return {
        "record": "published",
        "schema_version": "0.2",
        "results": job.results.name,
        "study_instance_uid": str(job.content.scan.header.StudyInstanceUID),
        "objects": [
            {
                "kind": kind,
                "file": f"{kind}.dcm",
                "sop_class_uid": written.sop_class_uid,
                "sop_instance_uid": written.sop_instance_uid,
                "series_instance_uid": written.series_instance_uid,
                "sha256": sha256(written.data).hexdigest(),
            }
            for kind, written in job.objects.items()
        ],
        "left_out": job.left_out,
        "segments": [
            {"kind": kind, "number": s.value, "target": s.target, "label": s.label, "tracking_uid": s.tracking_uid}
            for kind, layer in job.content.layers.items()
            for s in layer.segments
        ],
        "not_labelled": list(job.content.not_labelled),
        "resampled": source is not None and source.resampled,
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
        **table_hashes(_TABLE, "quantities", "structures", "measure", "phases", "response", "ultrasound"),
    }


STAGE = Stage(
    name="publish",
    version=2,
    reads=(Artefact.STUDY,),
    writes=(Artefact.DICOM_OUT, Artefact.MESHES),
    settings=Settings,
    run=run,
    depends_on=depends_on,
    reads_if_there=(
        Artefact.LABELS,
        Artefact.LABEL_NAMES,
        Artefact.LABEL_QUALITY,
        Artefact.MEASUREMENTS,
        Artefact.ASSESSMENT,
        Artefact.REPORT,
        Artefact.ALIGNMENT,
        Artefact.ZONES,
        Artefact.ZONE_NAMES,
        Artefact.RESPONSE,
        Artefact.MARGINS,
        Artefact.RESPONSE_REPORT,
        Artefact.CINES,
        Artefact.PERFUSION,
        Artefact.PERFUSION_REPORT,
    ),
)
