"""The commands about rules and results: ``liverimg criteria``, ``transducers``, ``export`` and ``validate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from liverimg.cli_options import CriteriaOption, TransducersOption
from liverimg.core.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from liverimg.core.criteria import CriteriaSet


def criteria(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One table, such as hifu_suitability; all when left out.")
    ] = None,
    own: CriteriaOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the rules that studies are held against, with their numbers and sources."""
    from liverimg.files.criteria import bundled_criteria, criteria_names, own_criteria_set

    tables = [bundled_criteria(n) for n in criteria_names()] + [own_criteria_set(path) for path in own or []]
    if name is not None:
        known = ", ".join(table.id for table in tables)
        tables = [table for table in tables if table.id == name]
        if not tables:
            raise UsageError(f"there is no criteria table {name!r}; expected one of: {known}")
    if as_json:
        record = {"criteria": [_record(table) for table in tables]}
        sys.stdout.write(json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        return
    from liverimg.terminal_criteria import show_criteria

    show_criteria(tables)


def transducers(
    own: TransducersOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the transducers that the acoustic window can be looked for with, and where their figures are from."""
    from dataclasses import asdict

    from liverimg.files.transducers import read_transducers

    found = list(read_transducers(own).values())
    if as_json:
        record = {"transducers": [asdict(transducer) for transducer in found]}
        sys.stdout.write(json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        return
    from liverimg.terminal_criteria import show_transducers

    show_transducers(found)


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
) -> None:
    """Write numbers, verdicts and what was refused as CSV or as an Excel workbook."""
    from liverimg.stages.export import export as write

    for path in write(out, csv=csv, xlsx=xlsx):
        sys.stdout.write(f"{path}\n")


def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="A record that liverimg wrote, or one like it.")],
) -> None:
    """Hold a JSON record against its published schema."""
    from liverimg.files import records

    record = records.load(file)
    kind = records.kind_of(record, file.name)
    found = records.problems(record, kind)
    for line in found:
        sys.stderr.write(f"{file.name}: {line}\n")
    if found:
        raise typer.Exit(ExitCode.INPUT_REFUSED)
    sys.stdout.write(f"{file.name} keeps the {kind} schema\n")
