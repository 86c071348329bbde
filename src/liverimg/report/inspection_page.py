"""The page of a look at a study folder: everything in it, nothing fetched, no script at all."""

from __future__ import annotations

from typing import Any

from liverimg import __version__
from liverimg.core.inspection import Thumbnail
from liverimg.report.encode import jpeg_uri
from liverimg.report.inspection_content import InspectionRows
from liverimg.report.templating import environment, own_file
from liverimg.report.text import Strings, say


def render_inspection(rows: InspectionRows, strings: Strings) -> str:
    """Lays out what a study folder holds as one self-contained HTML page.

    The page holds its own pictures and styles, runs no script, forbids any request by its content security policy
    and is the same, byte for byte, for the same rows.

    Args:
        rows: From :func:`liverimg.report.inspection_rows.inspection_rows`.
        strings: The table ``inspection_strings``.

    Returns:
        The HTML text, UTF-8.
    """
    quality = int(strings["display"]["jpeg_quality"])
    return (
        environment()
        .get_template("inspection.html.j2")
        .render(
            t=strings,
            say=lambda key, **values: say(strings, key, **values),
            rows=rows,
            about=say(strings, "page.made_by", version=__version__),
            picture=lambda thumbnail: _picture(thumbnail, quality),
            anchor=lambda kind, number: f"{kind}-{number}",
            style=own_file("inspection.css"),
            policy="default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'",
        )
    )


def _picture(thumbnail: Thumbnail, quality: int) -> dict[str, Any]:
    rows, columns = thumbnail.grey.shape
    letters = dict(zip(("left", "right", "up", "down"), thumbnail.letters, strict=False))
    return {"uri": jpeg_uri(thumbnail.grey, quality=quality), "height": rows, "width": columns, "letters": letters}
