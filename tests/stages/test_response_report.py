"""The page that ``liverimg post`` leaves: made of what the other stages left, with their numbers and their reasons."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest
from tests.stages.treated_world import After, make_after, make_before, respond

from liverimg.stages import response_report
from liverimg.workspace import Artefact, Workspace


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The baseline; not to be changed by tests."""
    return make_before(tmp_path_factory.mktemp("reported") / "pre")


def page_of(folder: Path, before: Path) -> str:
    """The page as the stage writes it."""
    workspace = Workspace(folder)
    with workspace.draft("response_report") as draft:
        response_report.run(workspace, draft, response_report.Settings(before), lambda _: None)
        return draft.path(Artefact.RESPONSE_REPORT).read_text(encoding="utf-8")


def words_of(page: str) -> str:
    """What a reader sees."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def _minimum(record: dict[str, Any], lesion: str) -> float:
    row = next(row for row in record["lesions"] if row["id"] == lesion)
    return float(next(q["value"] for q in row["quantities"] if q["name"] == "minimal_ablation_margin"))


def test_the_page_has_the_numbers_of_the_record(before: Path, tmp_path: Path) -> None:
    after = After(zones={"L1": (14.0, (1.0, 0.0, 0.0))}, foci={"L1": (3.0, (-11.0, 0.0, 0.0))}, untreated={"L2": 9.0})
    folder = make_after(tmp_path / "post", after)
    record = respond(folder, before)
    page = page_of(folder, before)
    words = words_of(page)
    shown = f"{_minimum(record, 'L1'):.1f} mm".replace("-", "\u2212")
    assert f"Where the margin is smallest: {shown}" in words
    assert "1: R1" in words and "R1 in every phase of this study" in words
    assert "2026-01-20 (hifu)" in words and "Baseline 2026-01-05" in words
    for row in record["lesions"]:
        assert row["statement"] in words
    # The painted tumour of L1 alone: L2 has no zone.
    assert page.count("data-scene=") == 1 and 'id="lesion-1-scene"' in page
    assert len(page) < 6_000_000


def test_a_lesion_without_a_motion_shows_both_studies_apart_from_each_other(before: Path, tmp_path: Path) -> None:
    folder = make_after(
        tmp_path / "post", After(zones={"L1": (14.0, (0, 0, 0))}, motion=("L2", "L3"), knows_tumour=False)
    )
    respond(folder, before)
    page = page_of(folder, before)
    panel = page[page.index('id="lesion-1"') : page.index('id="lesion-2"')]
    assert "Too little of the liver around it was found again." in words_of(panel)
    assert "right to about 4 mm at best" in words_of(panel)
    assert "carried" not in "".join(re.findall(r'<path class="(x-[^"]*)"', panel))
    assert "data-scene=" not in panel
    assert "Whether there is a new tumour is not known" in words_of(page), "its labels have no tumour"
    assert "No new tumour was drawn" not in words_of(page)
