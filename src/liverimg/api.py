"""The Python interface: what the command line calls, with the same names and the same refusals.

``import liverimg; liverimg.run(...)`` reaches these functions without loading anything before they are used. Paths may
be texts or :class:`pathlib.Path`; an option that is None is not given. Every refusal is a
:class:`liverimg.LiverimgError` with one sentence and the exit code that the command line would leave by.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from liverimg.core.inspection import Inspection
from liverimg.core.response import Treatment
from liverimg.core.timeline import Course
from liverimg.files.records import Record
from liverimg.pipeline import options as read
from liverimg.pipeline.journal import Span, journal
from liverimg.pipeline.options import Named, PathLike
from liverimg.pipeline.recipe import Recipe, Step, stage_named
from liverimg.pipeline.request import Request, run_request
from liverimg.pipeline.result import Result
from liverimg.pipeline.result import read_result as _read_result
from liverimg.pipeline.runner import Reporter
from liverimg.pipeline.runner import measure_again as _measure_again
from liverimg.pipeline.runner import run as _run
from liverimg.workspace import Workspace


def run(
    study: PathLike,
    *,
    out: PathLike,
    recipe: PathLike = "pre_ablation",
    labels: PathLike | None = None,
    model: PathLike | None = None,
    device: str = "auto",
    phase: Named | None = None,
    use: Named | None = None,
    contrast_start: Named | None = None,
    pane: Named | None = None,
    clinical: PathLike | Mapping[str, Any] | None = None,
    criteria: Sequence[PathLike] | None = None,
    earlier: PathLike | None = None,
    transducer: str | None = None,
    transducers: PathLike | None = None,
    baseline: PathLike | None = None,
    treated_on: Iterable[str | date | Treatment] | None = None,
    zones_by: str | None = None,
    target: str | None = None,
    plane: Named | None = None,
    dynamic_range: float | None = None,
    redo: str | None = None,
    log: PathLike | None = None,
    reporter: Reporter | None = None,
) -> Result:
    """Assesses one study: ``liverimg pre``, ``post`` and ``ceus``, which differ by their recipe.

    Args:
        study: Folder with the DICOM files of one study.
        out: Folder for the results.
        recipe: ``pre_ablation``, ``post_ablation``, ``ceus_response``, or a TOML file.
        labels: Labels drawn elsewhere, used instead of a model.
        model: Model instead of the recipe's: a bundle's folder, ``totalsegmentator``, or ``nnunet:MODEL``.
        device: ``auto``, ``cpu`` or ``cuda``.
        phase: Contrast phase by SeriesInstanceUID, as you know it.
        use: Number or SeriesInstanceUID of the volume for a role, by role.
        contrast_start: Ultrasound: start of injection in seconds after a clip's first frame, by SeriesInstanceUID.
        pane: Ultrasound: ``left``, ``right``, ``whole`` or ``none``, by SeriesInstanceUID.
        clinical: TOML file with clinical data, or its tables.
        criteria: Files with rules of your own.
        earlier: Output folder of an earlier study of the same patient, to tell growth.
        transducer: Transducer for the acoustic window.
        transducers: TOML file with transducers of your own.
        baseline: Output folder of the study before treatment.
        treated_on: Treatments: dates, ``DATE=KIND`` texts or :class:`liverimg.Treatment`.
        zones_by: ``rule`` or ``model`` draws the ablation zones, even where labels hold some.
        target: The baseline's lesion that an ultrasound study is about.
        plane: Name of the plane that a clip shows, by SeriesInstanceUID.
        dynamic_range: Ultrasound: dynamic range of the display in dB.
        redo: A stage to run again; discards corrections made by hand to its outputs.
        log: File that the log is appended to as well, as JSON lines.
        reporter: Told what happens while it runs.

    Returns:
        The output folder, whose parts are read when they are asked for.

    Raises:
        LiverimgError: What was asked for, or what the study holds, can't be used.
    """
    given = {
        "labels": labels, "model": model, "device": device, "phase": phase, "use": use,
        "contrast_start": contrast_start, "pane": pane, "clinical": clinical, "criteria": criteria,
        "earlier": earlier, "transducer": transducer, "transducers": transducers, "baseline": baseline,
        "treated_on": treated_on, "zones_by": zones_by, "target": target, "plane": plane,
        "dynamic_range": dynamic_range,
    }  # fmt: skip
    place = Path(out)
    with _journal(log, "run", study, out):
        outcomes = run_request(Request(Path(study), place, os.fspath(recipe), given, redo), reporter=reporter)
    return Result(place, tuple(outcomes))


def ingest(
    study: PathLike,
    *,
    out: PathLike,
    phase: Named | None = None,
    use: Named | None = None,
    contrast_start: Named | None = None,
    pane: Named | None = None,
    log: PathLike | None = None,
    reporter: Reporter | None = None,
) -> Result:
    """Turns a study folder into volumes, ultrasound cines and ``study.json``; needs no model. See :func:`run`."""
    given = {"phase": phase, "use": use, "contrast_start": contrast_start, "pane": pane, "with_volume": False}
    place = Path(out)
    with _journal(log, "ingest", study, out):
        outcomes = run_request(Request(Path(study), place, options=given, only=("ingest",)), reporter=reporter)
    return Result(place, tuple(outcomes))


def measure_again(
    out: PathLike,
    *,
    clinical: PathLike | Mapping[str, Any] | None = None,
    criteria: Sequence[PathLike] | None = None,
    earlier: PathLike | None = None,
    log: PathLike | None = None,
    reporter: Reporter | None = None,
) -> Result:
    """Measures, assesses and reports again after a label was corrected by hand: ``liverimg measure``.

    What is not given stays as it was. See :func:`run`.
    """
    with _journal(log, "measure_again", out):
        outcomes = _measure_again(
            Path(out),
            clinical=read.clinical(clinical),
            criteria=read.own_criteria(criteria),
            earlier=read.earlier(earlier),
            reporter=reporter,
        )
    return Result(Path(out), tuple(outcomes))


def read_result(out: PathLike) -> Result:
    """The results that a run left in a folder; UsageError when it is no output folder of ours."""
    return _read_result(Path(out))


def inspect(
    study: PathLike,
    *,
    phase: Named | None = None,
    use: Named | None = None,
    html: PathLike | None = None,
    reporter: Reporter | None = None,
) -> Inspection:
    """What a study folder holds: each series, its phase, and what is not used and why. Reads headers only.

    Args:
        study: Folder with the DICOM files of one study.
        phase: Contrast phase by SeriesInstanceUID, as you know it.
        use: Number or SeriesInstanceUID of the volume for a role, by role.
        html: Write a page with pictures too; this reads the pixels.
        reporter: Told how far the pictures are.

    Raises:
        LiverimgError: The folder holds no DICOM, or more than one study.
    """
    from liverimg.stages.inspection import inspect_study, page_of

    page = read.path(html)
    if page is not None:
        read.keep_apart(Path(study), page)
        read.writable_file(page, option="--html")
    found = inspect_study(
        Path(study),
        phases=read.phases(phase) or {},
        use=read.roles(use),
        with_pictures=page is not None,
        progress=reporter.stage_started("inspect") if reporter is not None and page is not None else None,
    )
    if page is not None:
        page.write_text(page_of(found), encoding="utf-8")
    return found


def publish(
    out: PathLike,
    *,
    study: PathLike,
    label_map: bool = False,
    pdf: bool = True,
    redo: bool = False,
    log: PathLike | None = None,
    reporter: Reporter | None = None,
) -> Result:
    """Writes DICOM SEG, SR, RTSTRUCT and PDF, and STL and GLB surfaces: ``liverimg publish``.

    Args:
        out: Output folder of a finished run before or after treatment.
        study: The study folder that it was made from: patient and study are taken from there.
        label_map: Write the SEG as a label map: small, but few viewers read it yet.
        pdf: Print the report and wrap it; wants Chromium.
        redo: Write the objects again although nothing has changed.
        log: File that the log is appended to as well, as JSON lines.
        reporter: Told what happens while it runs.
    """
    from liverimg.stages.publish import results_in

    place, source = Path(out), Path(study)
    results_in(Workspace(place))
    read.keep_apart(source, place)
    step = Step(stage_named("publish"), {"study": source, "label_map": label_map, "pdf": pdf})
    recipe = Recipe("publish", "Objects for an archive", (step,))
    with _journal(log, "publish", study, out):
        outcomes = _run(recipe, place, redo="publish" if redo else None, reporter=reporter, remember=False)
    return Result(place, tuple(outcomes))


def timeline(folders: Sequence[PathLike], *, out: PathLike | None = None) -> Course:
    """Puts the results of several studies of one patient in order.

    Args:
        folders: Output folders of one patient, in any order.
        out: Folder for ``timeline.json`` and ``timeline.html``, or one file that ends in either; None writes nothing.
    """
    from liverimg.stages.timeline import course_of
    from liverimg.stages.timeline_files import files_of, write_course

    files = files_of(read.path(out))
    course = course_of([Path(folder) for folder in folders])
    write_course(course, files)
    return course


def export(
    out: PathLike,
    *,
    csv: PathLike | None = None,
    xlsx: PathLike | None = None,
    fhir: PathLike | None = None,
    decimal_comma: bool = False,
    patient_reference: str | None = None,
) -> list[Path]:
    """Writes numbers, verdicts and what was refused: CSV, an Excel workbook, a FHIR R4 bundle.

    Args:
        out: Output folder of a finished run: before or after treatment, or of contrast ultrasound.
        csv: One row per lesion and quantity.
        xlsx: All tables.
        fhir: Bundle of a DiagnosticReport and its Observations, as JSON.
        decimal_comma: The CSV with decimal commas, and semicolons between its cells.
        patient_reference: Whom the FHIR resources are about, such as ``Patient/123``; nobody by default.

    Returns:
        The files that were written.
    """
    from liverimg.stages.export import export as write

    files = {"csv": read.path(csv), "xlsx": read.path(xlsx), "fhir": read.path(fhir)}
    return write(Path(out), **files, decimal_comma=decimal_comma, patient_reference=patient_reference)


def to_fhir(out: PathLike, *, patient_reference: str | None = None) -> Record:
    """The FHIR R4 bundle of :func:`export` as plain values, written nowhere."""
    from liverimg.stages.export_fhir import fhir_bundle

    return fhir_bundle(Path(out), patient_reference=patient_reference)


def validate(file: PathLike) -> list[str]:
    """What is wrong with a JSON record that liverimg wrote, or with one like it; empty when nothing is.

    Raises:
        RecordInvalidError: It is no JSON object, or none of our records.
    """
    from liverimg.files import records

    return records.checked(Path(file))[1]


@contextmanager
def _journal(log: PathLike | None, call: str, *places: PathLike) -> Iterator[None]:
    """The log file that was asked for, open while the work is done and told how it begins and ends."""
    if log is None:
        yield
        return
    read.writable_file(Path(log), option="--log")
    hide = [text for place in map(Path, places) for text in (str(place), str(place.resolve()), place.name)]
    with journal(Path(log), hide=hide), Span("command", hide=hide, command=call):
        yield
