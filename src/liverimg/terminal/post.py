"""What ``liverimg post`` and ``timeline`` show at their end: one line a lesion or study, and what to know first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from liverimg.core.timeline import Course
    from liverimg.pipeline.runner import Outcome

_COLUMNS = (("Smallest margin", "minimal_ablation_margin"), ("Covered", "npv_ratio"), ("Viable", "viable_diameter"))
_SHOWN_WARNINGS = 8


def show_response(outcomes: Sequence[Outcome], out: Path) -> None:
    """Says what was found and where it lies."""
    console = Console(highlight=False)
    fresh = [o.stage for o in outcomes if o.state == "fresh"]
    if fresh:
        console.print(Text(f"up to date already: {', '.join(fresh)}"))
    for outcome in outcomes:
        if outcome.note:
            console.print(Text(f"note: {outcome.note}"))
    path = out / "response.json"
    if not path.is_file():
        console.print(Text(f"results: {out}"))
        return
    record = json.loads(path.read_text(encoding="utf-8"))
    console.print(Text(record["timepoint"]["statement"]))
    console.print(_lesions(record))
    for criterion in record["criteria"]:
        found = criterion["overall"]
        said = found["answer"] or " or ".join(found["possible"])
        console.print(Text(f"{found['title']}: {said}. {found['statement']}"))
    for row in record["candidates"]:
        console.print(Text(f"{row['id']}: a tumour that was not in the baseline ({row['origin']})"))
    warnings = record["warnings"]
    for warning in warnings[:_SHOWN_WARNINGS]:
        console.print(Text(f"note: {warning}"))
    if len(warnings) > _SHOWN_WARNINGS:
        console.print(Text(f"note: {len(warnings) - _SHOWN_WARNINGS} more in response.json"))
    page = out / "response.html"
    console.print(Text(f"results: {page if page.is_file() else path}"), soft_wrap=True)


def show_course(course: Course, files: Sequence[Path]) -> None:
    """One line a study with the response by each criterion, then where the files lie."""
    console = Console(highlight=False)
    table = Table(title="Course", title_justify="left")
    titles = list(dict.fromkeys(c.id for verdict in course.verdicts for c in verdict.criteria))
    for heading in ("Date", "Day", "Study", *titles):
        table.add_column(heading, justify="right" if heading == "Day" else "left", no_wrap=heading == "Date")
    for n, study in enumerate(course.studies):
        verdict = next((v for v in course.verdicts if v.study == n), None)
        by_id = {} if verdict is None else {c.id: c.overall for c in verdict.criteria}
        said = [" or ".join(by_id[t].possible) if t in by_id else "" for t in titles]
        table.add_row(study.day.isoformat(), str(study.days), f"{study.kind.value} ({study.modality})", *said)
    console.print(table)
    for lesion in course.lesions:
        found = [v.local for v in lesion.visits if v.local is not None]
        if found:
            console.print(Text(f"{lesion.id}: {found[-1].answer or ' or '.join(found[-1].possible)}"))
    for warning in course.warnings:
        console.print(Text(f"note: {warning}"))
    for path in files:
        console.print(Text(f"results: {path}"), soft_wrap=True)


def _lesions(record: Mapping[str, Any]) -> Table:
    table = Table(title="Lesions", title_justify="left")
    for heading in ("", "Zone", *(title for title, _ in _COLUMNS), "Class", "Foci"):
        table.add_column(heading, justify="left" if heading in ("", "Zone") else "right")
    for lesion in record["lesions"]:
        by_name = {q["name"]: q for q in lesion["quantities"]}
        numbers = [_said(by_name.get(name, {})) for _, name in _COLUMNS]
        found = next((c for c in lesion["classifications"] if c["category_id"] == "ablation_margin_class"), None)
        name = "" if found is None else found["answer"] or " or ".join(found["possible"])
        fate = lesion["fate"].replace("_", " ")
        zone = f"{lesion['zone']}, {fate}" if lesion["fate"] == "perhaps_treated" else lesion["zone"] or fate
        table.add_row(Text(lesion["id"]), Text(zone), *numbers, Text(name), Text(", ".join(lesion["foci"])))
    return table


def _said(quantity: Mapping[str, Any]) -> str:
    if "value" not in quantity:
        return "not measured" if quantity else ""
    return f"{quantity['value']:.1f} {quantity['unit']} ({quantity['low']:.1f} to {quantity['high']:.1f})"
