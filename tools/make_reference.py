"""Writes the reference pages that are generated from data: codes, criteria, items, quantities, fields, structures.

Usage: ``python tools/make_reference.py``; a test fails when a page no longer says what the data say.
"""

import json
import sys
from pathlib import Path
from typing import Any

from liverimg.assess.describe import rule_text, rule_thresholds
from liverimg.core.criteria import Criterion
from liverimg.core.vocabulary import ClinicalItem, ScorePart
from liverimg.files.catalogue import lesion_sites, quantity_rows, vocabulary
from liverimg.files.criteria import bundled_criteria, criteria_names
from liverimg.files.tables import read_table, structure_styles

_ROOT = Path(__file__).resolve().parent.parent
_NOTE = "<!-- Written by tools/make_reference.py from the data; do not edit by hand. -->\n"


def refusal_codes() -> str:
    """``refusal-codes.md``."""
    table = read_table("refusal_codes")
    lines = [
        "# Refusal codes and flags",
        _NOTE,
        "What `study.json` lists under `rejected[].code`, and under `volumes[].flags` and `cines[].flags`.",
    ]
    for heading, part in (("Refused", "codes"), ("Accepted, with a flag", "flags")):
        lines += ["", f"## {heading}", "", "| code | meaning | what to do |", "|---|---|---|"]
        lines += [f"| `{code}` | {row['meaning']} | {row['action']} |" for code, row in sorted(table[part].items())]
    return "\n".join(lines) + "\n"


def criteria() -> str:
    """``criteria.md``."""
    lines = ["# Criteria", _NOTE, "Every rule that comes with liverimg, with its numbers and where they come from;"]
    lines += ["`liverimg criteria` shows the same. How to read a rule and how to write your own:"]
    lines += ["[add a criterion](../how-to/add-a-criterion.md)."]
    for name in criteria_names():
        table = bundled_criteria(name)
        lines += ["", f"## {table.title}", "", f"`{table.id}`. {table.edition}."]
        if table.sites:
            lines += ["", f"Judges lesions of: {', '.join(site.replace('_', ' ') for site in table.sites)}."]
        if table.criteria:
            lines += [
                "",
                "| id | rule | of | asks for | when met | when not met | source |",
                "|---|---|---|---|---|---|---|",
            ]
            lines += [_criterion_row(rule) for rule in table.criteria]
        for category in table.categories:
            lines += ["", f"### {category.title}", "", f"`{category.id}`, of each {category.scope}. {category.source}."]
            lines += ["", "The first that holds:", "", "| answer | asks for |", "|---|---|"]
            lines += [f"| {choice.title} | {_code(rule_text(choice.rule))} |" for choice in category.choices]
        if table.unsupported:
            lines += ["", "Named and not supported:", ""]
            lines += [f"- {title}: {reason}." for title, reason in table.unsupported]
        if table.conflicts:
            lines += ["", "Where the sources disagree, printed in every report:", ""]
            lines += [f"- {conflict}" for conflict in table.conflicts]
    return "\n".join(lines) + "\n"


def _criterion_row(rule: Criterion) -> str:
    sources = dict.fromkeys([rule.source, *(t.source for t in rule_thresholds(rule.rule))])
    asks = _code(rule_text(rule.rule))
    if rule.only_with:
        asks += f"; only with {', '.join(_code(item) for item in rule.only_with)}"
    cells = (
        _code(rule.id),
        rule.title,
        rule.scope,
        asks,
        rule.when_met,
        rule.when_not_met,
        "; ".join(filter(None, sources)),
    )
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`{text}`"


def clinical_items() -> str:
    """``clinical-items.md``."""
    words = vocabulary()
    lines = ["# Clinical items", _NOTE, "What the [clinical file](clinical-file.md) may hold. Every item is optional."]
    headings = {"number": "Numbers", "word": "Words", "date": "Dates", "days": "Days, given or counted from dates"}
    for kind, heading in headings.items():
        lines += ["", f"## {heading}", "", "| item | meaning | may be | obtained by |", "|---|---|---|---|"]
        for item in words.items.values():
            if item.kind == kind:
                meaning = f"{item.title}. {item.meaning}"
                lines.append(f"| `{item.key}` | {meaning} | {_may_be(item)} | {item.settled_by} |")
    lines += ["", "## Where a lesion lies", "", '`[lesion_site]` with one line per lesion, such as `L2 = "lung"`: ']
    lines[-1] += f"{', '.join(lesion_sites())}."
    lines += ["", "## Scores, computed from items"]
    for score in words.scores.values():
        lines += ["", f"### {score.title}", "", f"`{score.name}`. {score.source}.", "", "| item | adds |", "|---|---|"]
        lines += [f"| `{part.item}` | {_adds(part)} |" for part in score.parts]
    return "\n".join(lines) + "\n"


def _may_be(item: ClinicalItem) -> str:
    if item.kind == "word":
        return ", ".join(_code(word) for word in (*item.words, "unknown"))
    if item.kind == "date":
        return "a date: 2026-11-21"
    text = item.unit if item.unit != "1" else ""
    if item.plausible is not None and item.kind == "number":
        text = f"{item.plausible[0]:,.6g} to {item.plausible[1]:,.10g} {text}".strip()
    also = ", ".join(f"`{key}` (times {factor:g})" for key, factor in item.also.items())
    between = f"from `{item.between[0]}` to `{item.between[1]}`" if item.between else ""
    return "; ".join(filter(None, (text, f"or {also}" if also else "", between)))


def _adds(part: ScorePart) -> str:
    if not part.steps:
        return f"{part.times:g} times {'its decimal logarithm' if part.log10 else 'its number'}"
    said = []
    for step in part.steps:
        if step.words:
            said.append(f"{' or '.join(step.words)}: {step.points:g}")
        elif step.threshold is not None:
            said.append(
                f"{step.operator} {step.threshold.value:g} {step.threshold.unit}: {step.points:g}".replace(" 1:", ":")
            )
        else:
            said.append(f"else: {step.points:g}")
    return ", ".join(said)


def quantities() -> str:
    """``quantities.md``."""
    lines = ["# Quantities", _NOTE]
    lines += ["Every name in `measurements.json`, `response.json` and `perfusion.json`, with its unit, its meaning and"]
    lines += [
        "its code. The same rows head the tables of `liverimg export`. A name that ends in `*` stands for a family."
    ]
    headings = {
        "lesion": "Per lesion",
        "study": "Per study (under `organs`)",
        "treatment": "After treatment (response.json)",
        "ultrasound": "Contrast ultrasound (perfusion.json)",
    }
    for scope, heading in headings.items():
        lines += ["", f"## {heading}", "", "| name | unit | title | meaning | code |", "|---|---|---|---|---|"]
        for name, row in quantity_rows().items():
            if row.scope == scope:
                code = f"{row.code.scheme} {row.code.value} ({row.code.meaning})" if row.code else ""
                states = f" States from 0: {', '.join(row.states)}." if row.states else ""
                page = f"[{row.title}](../{row.page})" if row.page != "reference/measurements.md" else row.title
                meaning = row.meaning.replace("{}", "…") + states
                lines.append(f"| `{name}` | {row.unit} | {page.replace('{}', '…')} | {meaning} | {code} |")
    lines += ["", "## Units", "", "| unit | meaning | UCUM |", "|---|---|---|"]
    lines += [
        f"| {name} | {row['title']} | `{row['ucum']}` |" for name, row in read_table("quantities")["unit"].items()
    ]
    return "\n".join(lines) + "\n"


def result_fields() -> str:
    """``result-fields.md``."""
    lines = [
        "# Fields of the results",
        _NOTE,
        "Every field of `measurements.json`, `assessment.json` and `response.json`, from their schemas",
    ]
    lines += ["in `src/liverimg/data/schema/`. `[]` marks the elements of a list."]
    for kind in ("measurements", "assessment", "response"):
        schema = json.loads((_ROOT / "src/liverimg/data/schema" / f"{kind}.schema.json").read_text(encoding="utf-8"))
        version = schema["properties"]["schema_version"]["const"]
        lines += ["", f"## {kind}.json, version {version}", "", schema["description"], ""]
        lines += ["| field | kind | meaning |", "|---|---|---|", *_field_rows(schema, schema, "")]
    return "\n".join(lines) + "\n"


def _field_rows(node: dict[str, Any], schema: dict[str, Any], path: str) -> list[str]:
    """One row per field, depth first; a shared definition is written out where it is used."""
    rows = []
    for name, field in node.get("properties", {}).items():
        field = _resolved(field, schema)  # noqa: PLW2901
        here = f"{path}.{name}" if path else name
        item = _resolved(field["items"], schema) if field.get("type") == "array" and "items" in field else None
        kind = _kind(field, schema)
        rows.append(f"| `{here}` | {kind} | {field.get('description', '')} |")
        inner = item if item is not None else field
        where = f"{here}[]" if item is not None else here
        for each in inner.get("oneOf", [inner]):
            rows += _field_rows(_resolved(each, schema), schema, where)
    return list(dict.fromkeys(rows))


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return {**_resolved(found, schema), **{key: value for key, value in node.items() if key != "$ref"}}


def _kind(field: dict[str, Any], schema: dict[str, Any]) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "oneOf" in field:
        return " or ".join(dict.fromkeys(_kind(_resolved(each, schema), schema) for each in field["oneOf"]))
    kind = field.get("type", "any")
    if kind == "array":
        return f"list of {_kind(_resolved(field.get('items', {}), schema), schema)}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def structures() -> str:
    """``structures.md``."""
    lines = ["# Structures", _NOTE, "What a label may be called, and its value in `labels.nii.gz`.", ""]
    lines += ["| name | value | title | SNOMED CT |", "|---|---|---|---|"]
    for structure, style in sorted(structure_styles().items(), key=lambda item: item[1].value):
        lines.append(f"| `{structure}` | {style.value} | {style.title} | {style.sct} |")
    return "\n".join(lines) + "\n"


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _phase_times(table: dict[str, Any]) -> list[str]:
    lines = ["| modality | phase | window, s | slack, s | usual, s | source |", "|---|---|---|---|---|---|"]
    for modality, rows in table["timing"].items():
        usual = table["usual"][modality]
        for row in rows:
            often = " to ".join(_number(end) for end in usual.get(row["phase"], ()))
            window = f"{row['from_s']} to {row['below_s']} | {row['slack_s']}"
            lines.append(f"| {modality} | `{row['phase']}` | {window} | {often} | {row['source']} |")
    return lines


def _phase_sources(table: dict[str, Any]) -> list[str]:
    strong_from = table["weighing"]["strong_from"]
    lines = ["| source | family | weight | strong |", "|---|---|---|---|"]
    for row in sorted(table["weighing"]["sources"], key=lambda r: -r["weight"]):
        for name in row["names"]:
            strong = "yes" if row["weight"] >= strong_from else ""
            lines.append(f"| {name} | {row['family']} | {_number(row['weight'])} | {strong} |")
    return lines


def _image_limits(table: dict[str, Any]) -> list[str]:
    lines = [
        "| modality | phase | value | excluded up to | fits from | to | excluded from |",
        "|---|---|---|---|---|---|---|",
    ]
    for modality in ("CT", "MR"):
        unit = table[modality]["unit"]
        for phase, rows in table[modality].items():
            if isinstance(rows, dict):
                ends = {value: " | ".join(_number(end) for end in limits) for value, limits in rows.items()}
                words = {value: value.replace("_", " ") for value in rows}
                lines += [f"| {modality} ({unit}) | `{phase}` | {words[v]} | {ends[v]} |" for v in rows]
    return lines


def phases() -> str:
    """``phases.md``."""
    table, image = read_table("phases"), read_table("phase_image")
    kinds = read_table("sequences")
    roles = [f"| `{role}` | {', '.join(f'`{p}`' for p in found)} |" for role, found in table["roles"].items()]
    orders = [f"| {m} | {', '.join(f'`{p}`' for p in order)} |" for m, order in table["reference"]["order"].items()]
    parameters = [
        f"| `{row['kind']}` | {', '.join(f'`{k}`' for k in row['allows'])} | {row['source']} |"
        for row in kinds["parameters"]
    ]
    lines = [
        "# Phases, kinds of image and roles",
        _NOTE,
        "How to read this page: [phases explained](../explanation/phases.md). `arterial` is the late arterial phase; "
        "words stand in `phases.toml` and `sequences.toml`.",
        *("", "## Times after the start of injection", "", *_phase_times(table)),
        *("", "## Weight of each source", "", *_phase_sources(table)),
        *("", "## What the image allows", "", *_image_limits(image)),
        *("", "## Kinds of image by parameters", "", "| kind | may also be | source |", "|---|---|---|", *parameters),
        *("", "## Roles", "", "| role | served by, best first |", "|---|---|", *roles),
        *("", "## Reference", "", "| modality | phases, best first |", "|---|---|", *orders),
    ]
    return "\n".join(lines) + "\n"


PAGES = {
    "refusal-codes.md": refusal_codes,
    "criteria.md": criteria,
    "structures.md": structures,
    "phases.md": phases,
    "clinical-items.md": clinical_items,
    "quantities.md": quantities,
    "result-fields.md": result_fields,
}


def main() -> int:
    """Writes every page."""
    for name, make in PAGES.items():
        (_ROOT / "docs" / "reference" / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
