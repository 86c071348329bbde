"""The page of fields of every JSON record, from its schema."""

import json
from typing import Any

from tools.reference.note import NOTE

from liverimg.files.bundled import package_data

# What people read, plan with and compute on comes first.
_FIRST = ("measurements", "assessment", "response", "timeline", "perfusion", "study")


def result_fields() -> str:
    """``result-fields.md``: what there is, and where each record's own page lies."""
    lines = [
        "# JSON records",
        NOTE,
        "Every JSON file that liverimg writes says what it is (`record`) and the version of its schema, which lies in",
        "`src/liverimg/data/schema/`; `liverimg validate FILE` holds a file against it. From version 1.0 on fields may",
        "be added under a new minor version; below it anything may change.",
        "",
        "| record | version | what |",
        "|---|---|---|",
    ]
    for kind in kinds():
        schema = _schema(kind)
        lines.append(f"| [`{kind}`](records/{kind}.md) | {_version(schema)} | {_plain(schema['description'])} |")
    return "\n".join(lines) + "\n"


def kinds() -> list[str]:
    """Every record with a schema, the ones that people read first."""
    found = sorted(path.name.removesuffix(".schema.json") for path in package_data("schema").glob("*.schema.json"))
    return [*_FIRST, *(kind for kind in found if kind not in _FIRST)]


def record(kind: str) -> str:
    """``records/KIND.md``: every field of one record."""
    schema = _schema(kind)
    lines = [f"# {kind}.json", NOTE, f"{_plain(schema['description'])} Version {_version(schema)}.", ""]
    rows = _field_rows(schema, schema, "")
    if rows:
        lines += ["`[]` marks the elements of a list.", "", "| field | kind | meaning |", "|---|---|---|", *rows]
    else:
        lines += [f"One object: each name is a key, each value {_kind(_values(schema), schema)}."]
    return "\n".join(lines) + "\n"


def _schema(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(package_data("schema", f"{kind}.schema.json").read_text(encoding="utf-8"))
    return found


def _version(schema: dict[str, Any]) -> str:
    return str(schema.get("properties", {}).get("schema_version", {}).get("const", "none (a plain table)"))


def _plain(text: str) -> str:
    """Words in which ``<name>`` stays what it is and does not become a tag."""
    return text.replace("<", "&lt;")


def _values(schema: dict[str, Any]) -> dict[str, Any]:
    """What the values of an object without named fields are."""
    values = schema.get("additionalProperties")
    return values if isinstance(values, dict) else {}


def _field_rows(node: dict[str, Any], schema: dict[str, Any], path: str) -> list[str]:
    """One row per field, depth first; a shared definition is written out where it is used."""
    rows = []
    for name, field in node.get("properties", {}).items():
        field = _resolved(field, schema)  # noqa: PLW2901
        here = f"{path}.{name}" if path else name
        item = _resolved(field["items"], schema) if field.get("type") == "array" and "items" in field else None
        kind = _kind(field, schema)
        rows.append(f"| `{here}` | {kind} | {_plain(field.get('description', ''))} |")
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
