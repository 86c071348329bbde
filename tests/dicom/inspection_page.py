"""What a browser would make of the page of ``liverimg inspect``."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Call = Callable[..., Any]
_TAGS = """html head meta title style body header main footer section article nav table caption thead tbody tr th td
h1 h2 h3 p dl dt dd div span i br ul li a code strong figure img"""
KNOWN_TAGS = frozenset(_TAGS.split())


class Page(HTMLParser):
    """What a browser would make of a page: elements with attributes, and the words between."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def pictures(self) -> list[np.ndarray]:
        found = []
        for image in self.all("img"):
            data = str(image["src"]).removeprefix("data:image/jpeg;base64,")
            found.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))))
        return found


def page_of(study: Path, file: Path, liverimg: Call, *, code: int = 0) -> Page:
    said = liverimg("inspect", study, "--html", file)
    assert said.code == code, said.err
    return Page(file.read_text(encoding="utf-8"))
