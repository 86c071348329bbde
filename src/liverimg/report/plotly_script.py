"""Plotly's script as a page carries it: packed, and unpacked by the browser when a view comes into sight."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass, field
from functools import cache

from plotly.offline import get_plotlyjs

_PACKED_BY = 9


@dataclass(frozen=True)
class PlotlyScript:
    """The script.

    Attributes:
        plain: What the browser runs in the end; a page's policy knows it by its hash.
        packed: What stands in the page: gzip as base64.
    """

    plain: str = field(repr=False)
    packed: str = field(repr=False)


@cache
def plotly_script() -> PlotlyScript:
    """Plotly's script; no time of day is kept in what is packed, so that the same script gives the same text."""
    plain = get_plotlyjs()
    packed = gzip.compress(plain.encode(), compresslevel=_PACKED_BY, mtime=0)
    return PlotlyScript(plain, base64.b64encode(packed).decode("ascii"))
