"""The pages: links lead somewhere, generated ones say what code and data say, each has its place in the site."""

import re
from pathlib import Path

import pytest
import yaml
from tools.reference.__main__ import REFERENCE
from tools.reference.pages import differences

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("models/*/docs/*.md"), *ROOT.glob("sample_dicom/*.md")]
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Ids of a page's headings, as the site's builder and forges make them."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    plain = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).lower() for heading in _HEADING.findall(text))
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", words)).strip("-") for words in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        target, _, anchor = link.partition("#")
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{page.name} links to {link}"
        if DOCS in page.parents:
            assert DOCS in found.parents, f"{page.name} links to {link}: outside docs/, where the site has nothing"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{page.name} links to {link}: no such heading"


def test_generated_pages_are_up_to_date() -> None:
    assert not differences(REFERENCE), "run: python -m tools.reference"


def test_every_page_has_its_place_in_the_site() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed_elsewhere = {page for pattern in site["not_in_nav"].split() for page in DOCS.glob(pattern.lstrip("/"))}
    named = sorted(_leaves(site["nav"]))
    there = sorted(page.relative_to(DOCS).as_posix() for page in set(DOCS.rglob("*.md")) - listed_elsewhere)
    assert named == there, "name every page of docs/ once under nav in mkdocs.yml"


def _leaves(node: object) -> list[str]:
    if isinstance(node, str):
        return [node]
    children = node.values() if isinstance(node, dict) else node
    return [leaf for child in children for leaf in _leaves(child)]


def test_pictures_are_small() -> None:
    pictures = [path for path in DOCS.rglob("*") if path.suffix in (".png", ".jpg", ".svg", ".webp")]
    sizes_kb = {path.name: path.stat().st_size / 1024 for path in pictures}
    assert pictures
    assert max(sizes_kb.values()) <= 150, sizes_kb
    assert sum(sizes_kb.values()) <= 1536
