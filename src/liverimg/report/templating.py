"""What the pages are poured from: templates, styles and scripts of this package."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

# Whoever keeps pages keeps an eye on these too.
TEMPLATES = Path(__file__).parent / "templates"


def own_file(name: str) -> Markup:
    """A template, style or script as it is."""
    # Files of this package, trusted as they are; nothing of a study ever passes through here.
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    return Markup(text)


def environment() -> Environment:
    """Whatever its templates print is escaped, and what they lack is an error."""
    made = Environment(
        loader=FunctionLoader(lambda name: str(own_file(name))),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["mm"] = lambda value: f"{value:.2f}".rstrip("0").rstrip(".")
    return made
