"""What the pages are poured from: templates, styles and scripts of this package."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

# Whoever keeps pages keeps an eye on these too.
TEMPLATES = Path(__file__).parent / "templates"


def own_file(name: str) -> Markup:
    """A template, style or script as it is."""
    # Files of this package, trusted as they are; nothing of a study ever passes through here.
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    return Markup(text)


@cache
def environment() -> Environment:
    """Whatever its templates print is escaped, and what they lack is an error.

    One for all pages: it keeps the templates that it has compiled.
    """
    made = Environment(
        loader=FunctionLoader(lambda name: str(own_file(name))),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["mm"] = lambda value: f"{value:.2f}".rstrip("0").rstrip(".")
    return made


def as_script(value: Mapping[str, Any]) -> Markup:
    """JSON that may stand inside a script element: only "</" and "<!--" could end or bend it, and no "<" survives."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def policy(scripts: Iterable[str]) -> str:
    """A content security policy that lets only these very scripts run and nothing be fetched."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode('ascii')}'" for s in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
