"""The catalogue of quantities: one row for everything that is measured, each with a unit, a meaning and a page."""

import json
from pathlib import Path

import pytest

from liverimg.core.catalogue import QuantityRow, row_of
from liverimg.files.bundled import package_data
from liverimg.files.catalogue import quantity_rows, unit_codes, vocabulary

ROWS = quantity_rows()
SCHEMES = {"SCT", "DCM", "IBSI", "99LIVERIMG"}


@pytest.mark.parametrize("name", list(ROWS))
def test_every_row_is_complete(name: str, repository: Path):
    row = ROWS[name]
    assert row.scope in ("lesion", "study", "treatment", "ultrasound")
    assert row.unit in unit_codes()
    assert row.title and row.meaning.endswith(".")
    assert (repository / "docs" / row.page).is_file(), row.page
    assert row.code is None or (row.code.scheme in SCHEMES and row.code.value and row.code.meaning)
    assert not row.states or row.unit == "1"
    assert ("{}" in row.title) == name.endswith("*")


def test_the_schemas_know_every_unit():
    measured = json.loads(package_data("schema", "measurements.schema.json").read_text())
    perfusion = json.loads(package_data("schema", "perfusion.schema.json").read_text())
    of_volumes = set(measured["$defs"]["measurement"]["properties"]["unit"]["enum"])
    of_clips = set(perfusion["$defs"]["quantity"]["oneOf"][0]["properties"]["unit"]["enum"])
    assert of_volumes | of_clips == set(unit_codes())
    assert {row.unit for row in ROWS.values() if row.scope != "ultrasound"} <= of_volumes
    assert {row.unit for row in ROWS.values() if row.scope == "ultrasound"} <= of_clips


def test_families():
    rows = {
        name: QuantityRow(name, "lesion", "mm", f"To {{}} ({name})", "From {}.", "page")
        for name in ("distance_to_*", "distance_to_portal_*", "distance_to_skin")
    }
    assert row_of("distance_to_skin", rows).name == "distance_to_skin"
    assert row_of("distance_to_left_kidney", rows).title == "To left kidney (distance_to_*)"
    assert row_of("distance_to_portal_left", rows).title == "To left (distance_to_portal_*)"
    assert row_of("distance_to_", rows) is None
    assert row_of("volume", rows) is None


def test_names_do_not_collide():
    """A name means one thing; an item may stand in for a quantity of the study, never for a lesion's."""
    words = vocabulary()
    assert not set(words.scores) & set(words.quantities)
    for key in set(words.items) & set(words.quantities):
        assert words.quantities[key].scope == "study"
        assert words.items[key].unit == words.quantities[key].unit
    for item in words.items.values():
        assert item.title and item.meaning.endswith("."), item.key
        assert item.settled_by or item.kind == "date", item.key
    for score in words.scores.values():
        assert {part.item for part in score.parts} <= set(words.items)


@pytest.mark.parametrize("kind", ["measurements", "assessment", "response"])
def test_every_field_of_the_results_says_what_it_means(kind: str):
    schema = json.loads(package_data("schema", f"{kind}.schema.json").read_text())
    assert schema["properties"]["schema_version"]["const"] == "1.0"
    silent = []

    def walk(node: dict, path: str) -> None:
        for name, field in node.get("properties", {}).items():
            target = schema["$defs"].get(field.get("$ref", "").rsplit("/", 1)[-1], {})
            if not field.get("description") and not target.get("description"):
                silent.append(f"{path}.{name}")
            walk(field, f"{path}.{name}")
            walk(field.get("items", {}), f"{path}.{name}[]")

    walk(schema, kind)
    for name, node in schema["$defs"].items():
        walk(node, name)
    assert not [place for place in silent if not place.endswith((".verdict", ".quantity", ".study"))]
