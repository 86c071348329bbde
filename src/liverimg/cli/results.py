"""The commands about rules and results: ``liverimg criteria``, ``transducers``, ``export`` and ``validate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liverimg.cli import complete as offer
from liverimg.cli.answer import Answer
from liverimg.cli.options import CriteriaOption, TransducersOption
from liverimg.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from liverimg.core.criteria import CriteriaSet


def criteria(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="One table, such as hifu_suitability; all when left out.",
            autocompletion=offer.criteria,
        ),
    ] = None,
    own: CriteriaOption = None,
) -> Answer:
    """List the rules that studies are held against, with their numbers and sources."""
    from liverimg.files.criteria import bundled_criteria, criteria_names, own_criteria_set

    tables = [bundled_criteria(n) for n in criteria_names()] + [own_criteria_set(path) for path in own or []]
    if name is not None:
        known = ", ".join(table.id for table in tables)
        tables = [table for table in tables if table.id == name]
        if not tables:
            raise UsageError(f"there is no criteria table {name!r}; expected one of: {known}")
    from liverimg.terminal.criteria import show_criteria

    return Answer(lambda: {"criteria": [_record(table) for table in tables]}, lambda: show_criteria(tables))


def transducers(
    own: TransducersOption = None,
) -> Answer:
    """List the transducers that the acoustic window can be looked for with, and where their figures are from."""
    from dataclasses import asdict

    from liverimg.files.transducers import read_transducers

    found = list(read_transducers(own).values())
    from liverimg.terminal.criteria import show_transducers

    return Answer(lambda: {"transducers": [asdict(one) for one in found]}, lambda: show_transducers(found))


def _record(table: CriteriaSet) -> dict[str, Any]:
    from liverimg.assess.describe import rule_text, rule_thresholds

    return {
        "id": table.id,
        "title": table.title,
        "edition": table.edition,
        "sha256": table.sha256,
        "sites": list(table.sites),
        "conflicts": list(table.conflicts),
        "unsupported": [{"title": title, "reason": reason} for title, reason in table.unsupported],
        "criteria": [
            {
                "id": rule.id,
                "title": rule.title,
                "scope": rule.scope,
                "rule": rule_text(rule.rule),
                "thresholds": [
                    {"value": t.value, "unit": t.unit, "source": t.source} for t in rule_thresholds(rule.rule)
                ],
                "when_met": rule.when_met,
                "when_not_met": rule.when_not_met,
                "settled_by": rule.settled_by,
                "source": rule.source,
                "notes": list(rule.notes),
                "only_with": list(rule.only_with),
            }
            for rule in table.criteria
        ],
        "categories": [
            {
                "id": category.id,
                "title": category.title,
                "scope": category.scope,
                "choices": [{"name": c.name, "title": c.title, "rule": rule_text(c.rule)} for c in category.choices],
                "source": category.source,
                "notes": list(category.notes),
            }
            for category in table.categories
        ],
    }


def export(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of a finished run.")],
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE.csv", help="One row per lesion and quantity.")
    ] = None,
    xlsx: Annotated[
        Path | None, typer.Option("--xlsx", metavar="FILE.xlsx", help="All tables as an Excel workbook.")
    ] = None,
    fhir: Annotated[
        Path | None,
        typer.Option("--fhir", metavar="FILE.json", help="A FHIR R4 Bundle: DiagnosticReport and Observations."),
    ] = None,
    decimal_comma: Annotated[
        bool,
        typer.Option(
            "--decimal-comma",
            help="The CSV for spreadsheets that write 1,5: semicolons between its cells.",
        ),
    ] = False,
    patient_reference: Annotated[
        str | None,
        typer.Option(
            "--patient-reference",
            metavar="Patient/ID",
            help="Whom the FHIR resources are about; without it they name nobody.",
        ),
    ] = None,
) -> Answer:
    """Write numbers, verdicts and what was refused as CSV, as an Excel workbook or as a FHIR Bundle."""
    from liverimg import api

    written = api.export(
        out, csv=csv, xlsx=xlsx, fhir=fhir, decimal_comma=decimal_comma, patient_reference=patient_reference
    )
    paths = [str(path) for path in written]
    return Answer(lambda: {"files": paths}, lambda: sys.stdout.writelines(f"{path}\n" for path in paths))


def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="A record that liverimg wrote, or one like it.")],
) -> Answer:
    """Hold a JSON record against its published schema."""
    from liverimg.files import records

    kind, found = records.checked(file)

    def show() -> None:
        for line in found:
            sys.stderr.write(f"{file.name}: {line}\n")
        if not found:
            sys.stdout.write(f"{file.name} keeps the {kind} schema\n")

    record = {"file": file.name, "kind": kind, "valid": not found, "problems": found}
    return Answer(lambda: record, show, ExitCode.INPUT_REFUSED if found else ExitCode.DONE)
