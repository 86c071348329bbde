"""Pages that are one table of data each: refusal codes, quantities, structures."""

from tools.reference.note import NOTE

from liverimg.files.catalogue import quantity_rows
from liverimg.files.tables import read_table, structure_styles


def refusal_codes() -> str:
    """``refusal-codes.md``."""
    table = read_table("refusal_codes")
    lines = [
        "# Refusal codes and flags",
        NOTE,
        "What `study.json` lists under `rejected[].code`, and under `volumes[].flags` and `cines[].flags`.",
    ]
    for heading, part in (("Refused", "codes"), ("Accepted, with a flag", "flags")):
        lines += ["", f"## {heading}", "", "| code | meaning | what to do |", "|---|---|---|"]
        lines += [f"| `{code}` | {row['meaning']} | {row['action']} |" for code, row in sorted(table[part].items())]
    return "\n".join(lines) + "\n"


def quantities() -> str:
    """``quantities.md``."""
    lines = ["# Quantities", NOTE]
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


def structures() -> str:
    """``structures.md``."""
    lines = ["# Structures", NOTE, "What a label may be called, and its value in `labels.nii.gz`.", ""]
    lines += ["| name | value | title | SNOMED CT |", "|---|---|---|---|"]
    for structure, style in sorted(structure_styles().items(), key=lambda item: item[1].value):
        lines.append(f"| `{structure}` | {style.value} | {style.title} | {style.sct} |")
    return "\n".join(lines) + "\n"
