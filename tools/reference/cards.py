"""The models' cards as pages of the site, which holds nothing that lies outside ``docs/``."""

import re

from tools.reference.note import NOTE

from liverimg.files.bundled import bundled_folder

_PICTURE_ROW = re.compile(r"^\| [^|]+ \| !\[.*\n", re.MULTILINE)
_PICTURES = re.compile(r"^The worst hold-out cases.*?^\| \| \|\n\|---\|---\|\n", re.MULTILINE | re.DOTALL)
_TO_DOCS = "](../../../docs/"
_TO_CARD = re.compile(r"\]\(\.\./\.\./(\w+)/docs/README\.md\)")


def models() -> list[str]:
    """Every model that comes with liverimg."""
    return sorted(path.parents[1].name for path in bundled_folder("models").glob("*/docs/README.md"))


def card(name: str) -> str:
    """``models/NAME.md``: the card that lies in the model's folder, its links led to where the site has them."""
    text = (bundled_folder("models") / name / "docs" / "README.md").read_text(encoding="utf-8")
    text = _PICTURES.sub(f"Pictures of the worst hold-out cases lie in `models/{name}/docs`.\n", text)
    text = _PICTURE_ROW.sub("", text)
    text = _TO_CARD.sub(r"](\1.md)", text.replace(_TO_DOCS, "](../../"))
    heading, _, rest = text.partition("\n")
    return f"{heading}\n{NOTE}{rest}"
