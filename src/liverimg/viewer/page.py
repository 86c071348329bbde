"""The page, its scripts and NiiVue: files of this package, given away as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined

from liverimg.viewer.scene import Strings
from liverimg.viewer.site import Answer

PAGES: Final = Path(__file__).parent / "pages"
_KINDS: Final = {
    "viewer.css": "text/css; charset=utf-8",
    "viewer.js": "text/javascript; charset=utf-8",
    "pictures.js": "text/javascript; charset=utf-8",
    "correct.js": "text/javascript; charset=utf-8",
    "niivue.umd.js": "text/javascript; charset=utf-8",
    "NIIVUE-LICENSES.txt": "text/plain; charset=utf-8",
}
# Scripts and pictures from this server alone; NiiVue reads its letters from a picture written into its own script.
# Nothing is evaluated: NiiVue needs neither eval nor, for what is shown here, WebAssembly.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_files(strings: Strings, *, editable: bool) -> Mapping[str, Callable[[], Answer]]:
    """The page under the empty name, and every file that it needs.

    Args:
        strings: ``viewer_strings.toml``.
        editable: Whether labels may be corrected.
    """
    files: dict[str, Callable[[], Answer]] = {name: partial(_file, name, kind) for name, kind in _KINDS.items()}
    return files | {"": partial(_page, strings, editable)}


def _file(name: str, kind: str) -> Answer:
    return Answer((PAGES / name).read_bytes(), kind)


def _page(strings: Strings, editable: bool) -> Answer:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((PAGES / "viewer.html.j2").read_text(encoding="utf-8"))
    return Answer(template.render(t=strings, editable=editable).encode(), "text/html; charset=utf-8")
