"""Writes the reference pages that are generated from data: refusal codes, criteria, structures.

Usage: ``python tools/make_reference.py``; a test fails when a page no longer says what the data say.
"""

import sys
from pathlib import Path

from liverimg.files.tables import load_criteria, read_table, structure_styles

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
    lines = ["# Criteria", _NOTE, "Every rule that comes with liverimg, with its numbers and where they come from."]
    folder = _ROOT / "src" / "liverimg" / "data" / "criteria"
    for path in sorted(folder.glob("*.toml")):
        table = load_criteria(read_table(f"criteria/{path.stem}"))
        lines += ["", f"## {table.title}", "", f"`{table.id}`. {table.edition}.", ""]
        lines += ["| id | rule | judges | holds it against | source |", "|---|---|---|---|---|"]
        for rule in table.criteria:
            numbers = ", ".join(f"{t.value:g} {t.unit}" for t in rule.thresholds) or ", ".join(rule.allowed)
            lines.append(
                f"| `{rule.id}` | {rule.title} | `{rule.quantity}` | `{rule.operator}` {numbers} | {rule.source} |"
            )
        if table.conflicts:
            lines += ["", "Contradictions inside the source, printed in every report:", ""]
            lines += [f"- {conflict}" for conflict in table.conflicts]
    return "\n".join(lines) + "\n"


def structures() -> str:
    """``structures.md``."""
    lines = ["# Structures", _NOTE, "What a label may be called, and its value in `labels.nii.gz`.", ""]
    lines += ["| name | value | title | SNOMED CT |", "|---|---|---|---|"]
    for structure, style in sorted(structure_styles().items(), key=lambda item: item[1].value):
        lines.append(f"| `{structure}` | {style.value} | {style.title} | {style.sct} |")
    return "\n".join(lines) + "\n"


PAGES = {"refusal-codes.md": refusal_codes, "criteria.md": criteria, "structures.md": structures}


def main() -> int:
    """Writes every page."""
    for name, make in PAGES.items():
        (_ROOT / "docs" / "reference" / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
