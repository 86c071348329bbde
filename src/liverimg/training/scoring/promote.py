"""Changing the model that a recipe names, and nothing else in it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from liverimg.core.errors import UsageError
from liverimg.files.bundled import bundled_folder
from liverimg.files.tables import read_toml
from liverimg.workspace import hash_tree


def check_recipe(recipe: Path, old: Path) -> str:
    """The model that a recipe names, as it is written there.

    Raises:
        UsageError: It names none, or another one than the model that was compared with.
    """
    names = _named_models(read_toml(recipe))
    if not names:
        raise UsageError(f"{recipe.name} names no model; expected a line model = ... below [settings.segment]")
    for name in names:
        folder = _folder(name)
        if folder.is_dir() and _same_model(folder, old):
            return name
    raise UsageError(
        f"{recipe.name} uses {' and '.join(names)}, not {old.name}; compare with the model in use: --against "
        f"{_folder(names[0])}"
    )


def promote(recipe: Path, new: Path, *, old: Path) -> None:
    """Writes a new model into a recipe; comments and all other lines stay as they are.

    Args:
        recipe: TOML file.
        new: Folder of the bundle.
        old: The model to replace.

    Raises:
        UsageError: The line can't be found.
    """
    table = read_toml(recipe)
    name = check_recipe(recipe, old)
    wanted = _written(new)
    text = recipe.read_text(encoding="utf-8")
    pattern = re.compile(rf"""(=\s*)(["']){re.escape(name)}\2""")
    changed = [
        text[: match.start()] + f'{match.group(1)}"{wanted}"' + text[match.end() :] for match in pattern.finditer(text)
    ]
    for candidate in changed:
        # Only the candidate in which the model, and nothing else, is another one is the right line.
        if _only_model_differs(table, tomllib.loads(candidate), name, wanted):
            part = recipe.with_name(recipe.name + ".part")
            part.write_text(candidate, encoding="utf-8")
            part.replace(recipe)
            return
    raise UsageError(f"{recipe.name} does not name its model in one line; change {name!r} to {wanted!r} by hand")


def _named_models(table: dict[str, Any]) -> list[str]:
    model = table.get("settings", {}).get("segment", {}).get("model")
    if isinstance(model, dict):
        return [str(name) for name in model.values()]
    return [str(model)] if isinstance(model, str) else []


def _folder(name: str) -> Path:
    return bundled_folder("models") / name if "/" not in name else Path(name)


def _written(folder: Path) -> str:
    """As a recipe names it: models that come with the program by their name, others by their path."""
    resolved = folder.resolve()
    return resolved.name if resolved.parent == bundled_folder("models").resolve() else resolved.as_posix()


def _same_model(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve() or hash_tree(one) == hash_tree(other)


def _only_model_differs(before: dict[str, Any], after: dict[str, Any], name: str, wanted: str) -> bool:
    segment = before["settings"]["segment"]
    model = segment["model"]
    expected = {k: wanted if v == name else v for k, v in model.items()} if isinstance(model, dict) else wanted
    settings = {**before["settings"], "segment": {**segment, "model": expected}}
    return after == {**before, "settings": settings}
