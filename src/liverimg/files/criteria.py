"""Criteria tables: those that come with the program, and a user's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from liverimg.core.criteria import Category, Choice, CriteriaSet, Criterion, Rule
from liverimg.core.errors import RecordInvalidError
from liverimg.core.vocabulary import ClinicalItem, Vocabulary
from liverimg.files.bundled import package_data
from liverimg.files.catalogue import clinical_item, lesion_sites, vocabulary
from liverimg.files.rule_rows import RuleReader
from liverimg.files.tables import Table, read_toml

_SCOPES = ("lesion", "study")
_TABLE_FIELDS = {"id", "title", "edition", "conflicts", "sites", "item", "rule", "criterion", "category", "unsupported"}
_TEXTS = ("when_met", "when_not_met", "settled_by", "source")
_CRITERION_FIELDS = {"id", "title", "scope", "rule", "notes", "only_with", *_TEXTS}
_SHORT_FIELDS = {"quantity", "operator", "thresholds", "allowed"}
_CATEGORY_FIELDS = {"id", "title", "scope", "choice", "settled_by", "source", "notes"}


def criteria_names() -> tuple[str, ...]:
    """Names of the tables that come with the program."""
    return tuple(sorted(path.stem for path in package_data("criteria").glob("*.toml")))


@cache
def bundled_criteria(name: str) -> CriteriaSet:
    """One of the tables that come with the program.

    Raises:
        RecordInvalidError: There is none of that name.
    """
    if name not in criteria_names():
        raise RecordInvalidError(f"there is no criteria table {name!r}; expected one of: {', '.join(criteria_names())}")
    path = package_data("criteria", f"{name}.toml")
    return replace(load_criteria(read_toml(path), file_name=path.name), sha256=_hash(path))


def own_criteria(path: Path) -> tuple[Table, str]:
    """A user's own table as it was written, checked, and the hash of its file.

    Raises:
        RecordInvalidError: It is no criteria table.
    """
    table = read_toml(path)
    load_criteria(table, file_name=path.name)
    return table, _hash(path)


def own_criteria_set(path: Path) -> CriteriaSet:
    """A user's own table as core values.

    Raises:
        RecordInvalidError: It is no criteria table.
    """
    return replace(load_criteria(read_toml(path), file_name=path.name), sha256=_hash(path))


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def load_criteria(table: Table, *, file_name: str = "criteria", words: Vocabulary | None = None) -> CriteriaSet:
    """Turns a criteria table into core values.

    Args:
        table: As TOML gives it.
        file_name: For the sentence of refusal.
        words: What rules may name; None takes what comes with the program. The table's own items are added.

    Raises:
        RecordInvalidError: A field is missing, unknown or of the wrong kind, or a rule names what nobody measures.
    """
    _check_head(table, file_name)
    conflicts, sites = _texts(table, "conflicts", file_name), _sites(table, file_name)
    words = words or vocabulary()
    items = _own_items(table, file_name, words)
    words = replace(words, items={**words.items, **{item.key: item for item in items}})
    named: dict[str, Rule] = {}
    for name, row in _mapping(table, "rule", file_name).items():
        reader = RuleReader(words, f"{file_name}: the rule {name}", "study", str(table["edition"]), dict(named))
        named[name] = reader.rule(row)
    criteria = tuple(_criterion(row, file_name, words, named) for row in _rows(table, "criterion", file_name))
    categories = tuple(_category(row, file_name, words, named) for row in _rows(table, "category", file_name))
    if not criteria and not categories:
        raise RecordInvalidError(f"{file_name} is not a criteria table: it has no rule; expected [[criterion]] rows")
    ids = [*(row.id for row in criteria), *(row.id for row in categories)]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise RecordInvalidError(f"{file_name} has the id {twice[0]!r} twice; expected a different one for each rule")
    return CriteriaSet(
        id=str(table["id"]),
        title=str(table["title"]),
        edition=str(table["edition"]),
        criteria=criteria,
        conflicts=conflicts,
        categories=categories,
        sites=sites,
        unsupported=tuple((str(r.get("title")), str(r.get("reason"))) for r in _rows(table, "unsupported", file_name)),
        items=items,
    )


def _check_head(table: Table, file_name: str) -> None:
    missing = sorted({"id", "title", "edition"} - set(table))
    unknown = sorted(set(table) - _TABLE_FIELDS)
    if missing or unknown:
        found = f"has no {missing[0]!r}" if missing else f"has a field {unknown[0]!r}"
        raise RecordInvalidError(
            f"{file_name} is not a criteria table: it {found}; expected id, title, edition and [[criterion]] rows"
        )


def _own_items(table: Table, file_name: str, words: Vocabulary) -> tuple[ClinicalItem, ...]:
    items = tuple(clinical_item(k, r, file_name=file_name) for k, r in _mapping(table, "item", file_name).items())
    taken = [item.key for item in items if item.key in {**words.quantities, **words.items, **words.scores}]
    if taken:
        raise RecordInvalidError(f"{file_name}: the item {taken[0]} is there already; expected another name for it")
    return items


def _criterion(row: Table, file_name: str, words: Vocabulary, named: Mapping[str, Rule]) -> Criterion:
    reader = _reader(row, file_name, words, named)
    short = "rule" not in row
    known = _CRITERION_FIELDS | (_SHORT_FIELDS if short else set())
    _check_row(row, reader, known, {"id", "title"} | ({"quantity"} if short else {"rule"}))
    texts = {name: str(row.get(name, "")) for name in _TEXTS}
    return Criterion(
        id=str(row["id"]),
        title=str(row["title"]),
        scope=reader.scope,
        rule=reader.rule(_long_form(row) if short else row["rule"]),
        notes=_texts(row, "notes", reader.where),
        only_with=_only_with(row, reader),
        **texts,
    )


def _only_with(row: Table, reader: RuleReader) -> tuple[str, ...]:
    items = _texts(row, "only_with", reader.where)
    unknown = [item for item in items if item not in reader.vocabulary.items]
    if unknown:
        raise reader.refuse(f"has only_with = {unknown[0]!r}", "clinical items")
    return items


def _long_form(row: Table) -> Table:
    """A criterion that judges one quantity, as a rule."""
    if "allowed" in row:
        return {"item": row["quantity"], "is": row["allowed"]}
    return {name: row[name] for name in ("quantity", "operator", "thresholds") if name in row}


def _category(row: Table, file_name: str, words: Vocabulary, named: Mapping[str, Rule]) -> Category:
    reader = _reader(row, file_name, words, named)
    _check_row(row, reader, _CATEGORY_FIELDS, {"id", "title", "choice"})
    choices = []
    for choice in _rows(row, "choice", reader.where):
        _check_row(choice, reader, {"name", "title", "rule"}, {"name", "rule"})
        name = str(choice["name"])
        choices.append(Choice(name, str(choice.get("title", name)), reader.rule(choice["rule"])))
    return Category(
        id=str(row["id"]),
        title=str(row["title"]),
        scope=reader.scope,
        choices=tuple(choices),
        settled_by=str(row.get("settled_by", "")),
        source=str(row.get("source", "")),
        notes=_texts(row, "notes", reader.where),
    )


def _reader(row: Table, file_name: str, words: Vocabulary, named: Mapping[str, Rule]) -> RuleReader:
    where = f"{file_name}: {row.get('id', 'a rule without id')}"
    scope = row.get("scope", "study")
    if scope not in _SCOPES:
        raise RecordInvalidError(f"{where} has the scope {scope!r}; expected lesion or study")
    return RuleReader(words, where, scope, str(row.get("source", "")), named)


def _check_row(row: Table, reader: RuleReader, known: set[str], needed: set[str]) -> None:
    unknown = sorted(set(row) - known)
    missing = sorted(needed - set(row))
    if unknown:
        raise reader.refuse(f"has a field {unknown[0]!r}", f"only {', '.join(sorted(known))}")
    if missing:
        raise reader.refuse(f"has no {missing[0]!r}", f"{', '.join(sorted(needed))} at least")


def _rows(table: Table, key: str, where: str) -> list[Table]:
    rows = table.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise RecordInvalidError(f"{where} has a '{key}' that is no list of tables; expected [[{key}]]")
    return rows


def _mapping(table: Table, key: str, where: str) -> Mapping[str, Any]:
    rows = table.get(key, {})
    if not isinstance(rows, Mapping):
        raise RecordInvalidError(f"{where} has a '{key}' that is no table; expected [{key}.NAME]")
    return rows


def _texts(row: Table, key: str, where: str) -> tuple[str, ...]:
    texts = row.get(key, [])
    if not isinstance(texts, list):
        raise RecordInvalidError(f"{where} has {key} = {texts!r}; expected a list of sentences")
    return tuple(str(text) for text in texts)


def _sites(table: Table, file_name: str) -> tuple[str, ...]:
    sites = _texts(table, "sites", file_name)
    unknown = [site for site in sites if site not in lesion_sites()]
    if unknown:
        raise RecordInvalidError(
            f"{file_name} has the site {unknown[0]!r}; expected some of: {', '.join(lesion_sites())}"
        )
    return sites
