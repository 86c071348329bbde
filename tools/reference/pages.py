"""Which page comes from where, and which pages no longer say what code and data say."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from tools.reference.cards import card, models
from tools.reference.commands import commands
from tools.reference.phases import phases
from tools.reference.records import kinds, record, result_fields
from tools.reference.rules import clinical_items, criteria
from tools.reference.tables import quantities, refusal_codes, structures


def pages() -> Mapping[str, Callable[[], str]]:
    """Every generated page, relative to ``docs/reference``, and what writes it."""
    return {
        "commands.md": commands,
        "refusal-codes.md": refusal_codes,
        "criteria.md": criteria,
        "structures.md": structures,
        "phases.md": phases,
        "clinical-items.md": clinical_items,
        "quantities.md": quantities,
        "result-fields.md": result_fields,
        **{f"records/{kind}.md": partial(record, kind) for kind in kinds()},
        **{f"models/{name}.md": partial(card, name) for name in models()},
    }


def differences(folder: Path) -> list[str]:
    """Pages of a folder that differ from what would be written, and pages that nothing writes any more."""
    made = pages()
    stale = [name for name, make in made.items() if _text(folder / name) != make()]
    return stale + sorted(
        name for name in (path.relative_to(folder).as_posix() for path in folder.glob("*/*.md")) if name not in made
    )


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
