"""The page of contrast phases, kinds of image and roles."""

from typing import Any

from tools.reference.note import NOTE

from liverimg.files.tables import read_table


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
        NOTE,
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
