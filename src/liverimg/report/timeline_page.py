"""The page about a patient's course: self-contained, nothing fetched, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from liverimg.core.assessment import Classification
from liverimg.core.measurement import Measured, Measurement
from liverimg.core.timeline import Course, CourseStudy, LesionCourse, LesionVisit, StudyKind, StudyVerdict
from liverimg.report.templating import environment, own_file
from liverimg.report.text import band_text, quantity_title, say, value_text
from liverimg.report.timeline_charts import Dot, TimeChart, Trace, time_chart

Strings = Mapping[str, Any]

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Cell:
    """One number of a table: what stands in it, and why nothing does."""

    measured: bool
    value: str
    detail: str


@dataclass(frozen=True)
class StudyRow:
    """One study in the list of all."""

    day: str
    days: int
    kind: str
    since: str
    answers: tuple[tuple[str, str, str], ...]
    new: str


@dataclass(frozen=True)
class LesionPanel:
    """One lesion: charts, and its numbers study by study."""

    id: str
    tracking_uid: str
    charts: tuple[TimeChart, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    findings: tuple[tuple[str, str], ...]


def render_timeline_page(course: Course, strings: Strings, *, provenance: Sequence[tuple[str, str]] = ()) -> str:
    """Lays the page out; the same course gives the same bytes.

    Args:
        course: Of one patient.
        strings: The table ``timeline_strings``.
        provenance: Rows of label and value.
    """
    return (
        environment()
        .get_template("timeline.html.j2")
        .render(
            t=strings,
            say=lambda key, **values: say(strings, key, **values),
            policy=_POLICY,
            style=own_file("page.css") + own_file("ceus.css") + own_file("timeline.css"),
            first=course.studies[0].day.isoformat(),
            last=course.studies[-1].day.isoformat(),
            same=strings["patient"][{True: "same", None: "unknown"}[course.same_patient]],
            treatments=[(t.day.isoformat(), _kind(t.kind, strings)) for t in course.treatments],
            studies=[_study(n, course, strings) for n in range(len(course.studies))],
            criteria=[c["title"] for c in strings["criteria"].values()],
            panels=[_panel(lesion, course, strings) for lesion in course.lesions],
            warnings=_warnings(course),
            provenance=provenance,
        )
    )


def _kind(kind: str | None, strings: Strings) -> str:
    return str(strings["treatment"].get(kind, kind)) if kind else str(strings["treatment"]["unknown"])


def _study(n: int, course: Course, strings: Strings) -> StudyRow:
    study = course.studies[n]
    verdict = next((v for v in course.verdicts if v.study == n), None)
    answers = []
    for name in strings["criteria"]:
        found = next((c for c in verdict.criteria if c.id == name), None) if verdict is not None else None
        if found is None:
            answers.append(_not_asked(str(strings["criteria"][name]["title"]), verdict, strings))
            continue
        overall = found.overall
        words = overall.answer or f" {strings['studies']['or']} ".join(overall.possible)
        answers.append((words, overall.statement, "sure" if overall.answer else "open"))
    return StudyRow(
        study.day.isoformat(),
        study.days,
        f"{strings['kind'][study.kind.value]} ({study.modality})",
        "" if study.timepoint is None else study.timepoint.statement,
        tuple(answers),
        _new(study, strings),
    )


def _not_asked(title: str, verdict: StudyVerdict | None, strings: Strings) -> tuple[str, str, str]:
    if verdict is None:
        return "–", "", "none"
    why = next((row.reason for row in verdict.not_applied if row.title.startswith(title)), "")
    return say(strings, "studies.no_answer"), why, "none"


def _new(study: CourseStudy, strings: Strings) -> str:
    if study.kind is not StudyKind.AFTER:
        return ""
    if study.new_lesion is None:
        words = say(strings, "studies.new_open")
        return f"{words}: {', '.join(study.candidates)}" if study.candidates else words
    return say(strings, "studies.new_yes" if study.new_lesion else "studies.new_no")


def _panel(lesion: LesionCourse, course: Course, strings: Strings) -> LesionPanel:
    names = _names(lesion, strings)
    rows = tuple(
        (
            _title(name, group, lesion.id, strings),
            tuple(_cell(v, name, group, lesion.id, strings) for v in lesion.visits),
        )
        for name, group in names
    )
    heads = tuple(course.studies[visit.study].day.isoformat() for visit in lesion.visits)
    findings = tuple(
        (course.studies[v.study].day.isoformat(), _finding(v.local)) for v in lesion.visits if v.local is not None
    )
    return LesionPanel(lesion.id, lesion.tracking_uid, _charts(lesion, course, strings), heads, rows, findings)


def _finding(found: Classification) -> str:
    return f"{found.answer or ' or '.join(found.possible)}: {found.statement}"


def _names(lesion: LesionCourse, strings: Strings) -> list[tuple[str, str]]:
    """Each quantity once: of the lesion, its zones and its ultrasound planes, in the order of the strings."""
    order = {name: n for n, name in enumerate(strings["quantity"])}
    found = dict.fromkeys((q.name, _group(q, lesion.id)) for visit in lesion.visits for q in visit.quantities)
    return sorted(found, key=lambda row: (row[1] != lesion.id, order.get(row[0], len(order)), row[1]))


def _group(quantity: Measured, lesion_id: str) -> str:
    """What a number is about: the lesion, its zone (whatever it is called in each study), or an ultrasound plane."""
    if quantity.target == lesion_id:
        return lesion_id
    return quantity.target if quantity.name.startswith("ceus_") else "zone"


def _title(name: str, target: str, lesion_id: str, strings: Strings) -> str:
    title = quantity_title(name, strings)
    if target == lesion_id:
        return title
    return say(strings, "lesion.of_zone" if target == "zone" else "lesion.of_plane", title=title, target=target)


def _cell(visit: LesionVisit, name: str, group: str, lesion_id: str, strings: Strings) -> Cell | None:
    found = next((q for q in visit.quantities if q.name == name and _group(q, lesion_id) == group), None)
    if found is None:
        return None
    if isinstance(found, Measurement):
        return Cell(True, value_text(found, strings), band_text(found, strings))
    return Cell(False, say(strings, "numbers.not_measured"), found.reason)


def _charts(lesion: LesionCourse, course: Course, strings: Strings) -> tuple[TimeChart, ...]:
    last = float(course.studies[-1].days)
    start = course.studies[0].day
    treatments = [(float((t.day - start).days), _kind(t.kind, strings)) for t in course.treatments]
    charts = []
    for chart in strings["charts"].values():
        traces = [_trace(row, lesion, course) for row in chart["traces"]]
        levels = [(float(row["value"]), str(row["word"])) for row in chart.get("levels", ())]
        made = time_chart(
            traces,
            caption=say(strings, "lesion.chart", id=lesion.id, title=chart["title"]),
            last_day=last,
            treatments=treatments,
            levels=levels,
            signed=bool(chart.get("signed", False)),
        )
        if made is not None:
            charts.append(made)
    return tuple(charts)


def _trace(row: Mapping[str, Any], lesion: LesionCourse, course: Course) -> Trace:
    dots = []
    for visit in lesion.visits:
        own = row["of"] == "lesion"
        found = [
            q
            for q in visit.quantities
            if isinstance(q, Measurement) and q.name == row["quantity"] and (q.target == lesion.id) == own
        ]
        if found:
            best = max(found, key=lambda q: q.value)
            dots.append(Dot(float(course.studies[visit.study].days), best.value, best.low, best.high))
    return Trace(str(row["name"]), str(row["style"]), tuple(dots))


def _warnings(course: Course) -> list[str]:
    """Those of the course, and those that all studies have, each with its day."""
    found = list(course.warnings)
    for study in course.studies:
        if study.timepoint is not None and study.timepoint.bias:
            found.append(f"{study.day.isoformat()}: {study.timepoint.bias}")
        elif study.kind is StudyKind.ULTRASOUND:
            found += [f"{study.day.isoformat()}: {warning}" for warning in study.warnings[:1]]
    return found
