"""The page about a study after treatment: whole, safe, honest about what could not be told, the same every time."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from liverimg.core.catalogue import QuantityRow
from liverimg.core.errors import GridMismatchError, RecordInvalidError
from liverimg.core.labels import LabelMap
from liverimg.core.measurement import NotMeasured
from liverimg.core.study import Phase, Rejected
from liverimg.report.response_content import ResponseContent, laid_over, with_titles
from liverimg.report.response_page import render_response_page
from liverimg.report.response_rows import untold_together
from liverimg.report.text import quantity_title

from .response_lacks import Without
from .test_page import HOSTILE, Reader, read


@pytest.fixture(scope="module")
def page(case: ResponseContent) -> str:
    return render_response_page(case)


@pytest.fixture(scope="module")
def seen(page: str) -> Reader:
    return read(page)


def figures(seen: Reader, kind: str) -> int:
    return sum(
        1 for tag, a in seen.tags if tag == "figure" and set(kind.split()) <= set((a.get("class") or "").split())
    )


def test_nothing_is_fetched_and_only_known_scripts_run(seen: Reader, page: str) -> None:
    assert all(a.startswith(("#", "data:image/")) for a in seen.addresses)
    assert not [t for t, _ in seen.tags if t in ("link", "iframe", "object", "embed", "base", "form")]
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    policy = next(a["content"] or "" for t, a in seen.tags if t == "meta" and a.get("http-equiv"))
    assert policy.startswith("default-src 'none'") and "http" not in policy and "eval" not in policy
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    plain = [text for a, text in seen.scripts if "type" not in a]
    packed = [text for a, text in seen.scripts if a.get("id") == "plotly-packed"]
    running = [*plain, *(gzip.decompress(base64.b64decode(text)).decode() for text in packed)]
    assert len(packed) == 1
    assert {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in running} == allowed


def test_same_input_same_bytes(page: str, case: ResponseContent) -> None:
    assert render_response_page(case) == page


def test_identifiers_are_unique_and_links_lead_somewhere(seen: Reader, page: str) -> None:
    ids = [a["id"] for _, a in seen.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a[1:] for a in seen.addresses if a.startswith("#")} <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)
    assert {a["data-scene"] for _, a in seen.tags if "data-scene" in a} <= set(ids)


def test_tables_have_captions_and_pictures_have_words(seen: Reader) -> None:
    tags = [t for t, _ in seen.tags]
    assert tags.count("table") == tags.count("caption")
    assert all(a.get("alt") for t, a in seen.tags if t == "img")
    drawings = [a for t, a in seen.tags if t == "svg" and a.get("aria-hidden") != "true"]
    assert drawings and all(a.get("role") == "img" and a.get("aria-label") for a in drawings)
    assert all(a.get("aria-label") for t, a in seen.tags if t == "input" and a.get("type") == "range")


def test_before_after_and_both_for_every_plane(seen: Reader) -> None:
    # L1: three planes through the thinnest point and three through the centre; L2: the centre alone; the liver: two.
    assert figures(seen, "both") == 6 + 3 + 2
    assert figures(seen, "pair") == 3 * (6 + 3 + 2) + 1  # and the focus of L1 in the one phase that there is
    assert "Axial, through the thinnest point" in seen.words and "Sagittal, through the centre" in seen.words
    assert "Before: CT, portal venous 2026-01-05" in seen.words and "After: CT, portal venous 2026-02-16" in seen.words


def test_lines_of_the_other_study_are_dashed(page: str) -> None:
    first = page[page.index('id="lesion-1-g1-1-before"') : page.index('id="lesion-1-g1-1-after"')]
    after = page[page.index('id="lesion-1-g1-1-after"') : page.index('class="picture pair both"')]
    assert 'class="x-tumour"' in first and 'class="x-zone carried"' in first and 'class="x-thin-arrow"' in first
    assert 'class="x-tumour carried"' in after and 'class="x-zone"' in after and 'class="x-focus"' in after
    whole = page[page.index('id="liver-1-after"') : page.index('id="liver-2-before"')]
    assert 'class="x-liver-before carried"' in whole and 'class="x-liver-now"' in whole


def test_every_word_of_the_record_is_on_the_page(seen: Reader, case: ResponseContent) -> None:
    response = case.response
    for said in (
        *case.notices,
        *response.warnings,
        response.timepoint.statement,
        *(x.statement for x in response.lesions),
        *(c.statement for x in response.lesions for c in x.classifications),
        *(n.reason for x in response.lesions for n in x.not_applied),
        *(n.reason for n in response.not_applied),
        *(q.reason for x in response.lesions for q in x.quantities if isinstance(q, NotMeasured)),
        *(note for z in response.zones for note in z.notes),
        *case.alignment.findings,
        "A1 / A2", "LR-TR Viable", "2026-01-20 (hifu)", "L2: not measured", "it was ablated", "40 of 48", "0.8 mm",
        "right hepatic vein", "no vessels were looked for", "Segment VIII", "by rule", "not a medical device",
    ):  # fmt: skip
        assert said in seen.words, said
    assert seen.words.count("zones shrink with time") == 2  # once first of all, once among the biases


def test_a_focus_is_shown_in_every_phase(case: ResponseContent) -> None:
    arterial = replace(case.now.series, series_instance_uid="1.2.4.2", phase=Phase.ARTERIAL)
    now = replace(case.now, others=((arterial, case.now.volume),))
    page = render_response_page(replace(case, now=now, margins={}))
    start = page.index("R1 in every phase of this study")
    part = page[start : page.index("Ablation zone Z1", start)]
    assert part.index("After: CT, arterial 2026-02-16") < part.index("After: CT, portal venous 2026-02-16")
    assert part.count('class="x-focus"') == 2 and part.count('class="x-tumour carried"') == 2


def test_quantities_without_a_title_take_the_catalogue_s(case: ResponseContent) -> None:
    row = QuantityRow("shell_coverage_9_mm", "lesion", "%", "A title", "What it is.", "page.md")
    first = case.response.lesions[0]
    lesion = replace(first, quantities=(NotMeasured(row.name, "L1", "why"), NotMeasured("unheard_of", "L1", "why")))
    made = with_titles(case.strings, replace(case.response, lesions=(lesion,)), {row.name: row})
    assert quantity_title(row.name, made) == "A title" and quantity_title("unheard_of", made) == "Unheard of"
    assert quantity_title("minimal_ablation_margin", made) == "Smallest ablation margin"


def test_the_scene_shows_the_margin_itself(seen: Reader, case: ResponseContent) -> None:
    text = next(text for a, text in seen.scripts if a.get("id") == "lesion-1-scene")
    assert "<" not in text
    tumour, zone, pin, letters = json.loads(text)["data"]
    values = np.frombuffer(base64.b64decode(tumour["intensity"]["bdata"]), "<f4")
    assert values == pytest.approx(case.margins["L1"].margin_mm, abs=1e-4)
    assert [t["name"] for t in (tumour, zone, pin)] == ["Tumour before treatment", "Ablation zone", "Smallest margin"]
    assert set(letters["text"]) == set("RLAPIS")
    assert {colour for _, colour in tumour["colorscale"]} <= set(case.strings["display"]["margin"]["colours"])


def test_without_any_motion_nothing_is_carried_over(case: ResponseContent) -> None:
    page = render_response_page(Without(case).motion())
    seen = read(page)
    assert "the livers do not overlap" in seen.words.lower()
    assert "carried" not in re.findall(r'<path class="(x-[^"]*)"', page).__str__()
    assert figures(seen, "both") == 0 and figures(seen, "pair") == 6  # each lesion before treatment, by itself
    assert "could not be laid onto the later study" in seen.words
    assert "plotly-packed" not in [a.get("id") for _, a in seen.tags]
    assert "No map of the error" in seen.words and "No margin could be measured" in seen.words


def test_the_liver_alone_is_said_to_be_rough(case: ResponseContent) -> None:
    page = render_response_page(Without(case).own_motion())
    words = read(page).words
    assert "right to about 3 mm at best" in words and "Too few pieces around it." in words
    panel = page[page.index('id="lesion-1"') : page.index('id="alignment"')]
    assert "carried" not in "".join(re.findall(r'<path class="(x-[^"]*)"', panel))


def test_without_a_zone_the_reason_stands_in_plain_sight(case: ResponseContent) -> None:
    words = read(render_response_page(Without(case).zone())).words
    assert words.count("Nothing there stopped enhancing.") == 2  # in the summary and in the lesion's panel
    assert "no zone, so no border to look at" in words
    assert "There is no zone." in words


def test_without_an_arterial_phase_no_focus_is_no_answer(case: ResponseContent) -> None:
    words = read(render_response_page(Without(case).arterial_phase())).words
    assert "not known: there is no arterial phase" in words
    assert "Residual foci 0" not in words and "none found" not in words


def test_what_bands_leave_open_is_named_with_what_would_settle_it(case: ResponseContent) -> None:
    first, *others = case.response.lesions
    open_class = replace(first.classifications[0], settled_by="thinner slices")
    lesion = replace(first, classifications=(open_class, *first.classifications[1:]))
    page = render_response_page(replace(case, response=replace(case.response, lesions=(lesion, *others)), margins={}))
    assert read(page).words.count("Margin class: A1 / A2. It would be settled by thinner slices.") == 2


def test_one_reason_for_several_lesions_is_said_once() -> None:
    lines = (("L1", ("Too dark.", "Too late.")), ("L2", ("Too late.",)), ("L3", ()))
    assert untold_together(lines) == (("L1", "Too dark."), ("L1, L2", "Too late."))


def test_what_was_not_looked_for_or_not_used_is_named(case: ResponseContent, seen: Reader) -> None:
    response = replace(case.response, new_lesion=None)
    study = replace(case.now.study, rejected=(Rejected("1.2.3.99", "localiser", "it is a localiser"),))
    words = read(
        render_response_page(replace(case, now=replace(case.now, study=study), response=response, margins={}))
    ).words
    assert "Whether there is a new tumour is not known" in words and "No new tumour was drawn" not in words
    assert "No new tumour was drawn" in seen.words
    assert "1.2.3.99 localiser it is a localiser" in words


def test_a_baseline_without_tumour_is_said(case: ResponseContent) -> None:
    assert "nothing that this study could be held against" in read(render_response_page(Without(case).lesions())).words


def test_hostile_text_stays_text(case: ResponseContent, seen: Reader) -> None:
    first, *others = case.response.lesions
    assert first.thinnest is not None
    hostile = replace(
        first, id=HOSTILE, statement=HOSTILE, zone=HOSTILE, foci=(HOSTILE,),
        quantities=(*first.quantities, NotMeasured(HOSTILE, HOSTILE, HOSTILE)),
        classifications=tuple(
            replace(c, title=HOSTILE, answer=HOSTILE, statement=HOSTILE, notes=(HOSTILE,))
            for c in first.classifications
        ),
        thinnest=replace(first.thinnest, direction=HOSTILE, vessel=HOSTILE, note=HOSTILE),
    )  # fmt: skip
    parts = tuple(replace(part, id=HOSTILE, origin=HOSTILE, notes=(HOSTILE,)) for part in case.response.zones)
    page = render_response_page(
        replace(
            case,
            response=replace(case.response, lesions=(hostile, *others), zones=parts, warnings=(HOSTILE,)),
            alignment=replace(case.alignment, findings=(HOSTILE,)),
            margins={HOSTILE: case.margins["L1"]},
            provenance=((HOSTILE, HOSTILE),),
            notices=(HOSTILE,),
        )
    )
    original, seen = seen, read(page)
    assert len(seen.scripts) == len(original.scripts)
    assert not [a for t, a in seen.tags if t == "img" and not (a.get("src") or "").startswith("data:")]
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in seen.words and "{title}" in seen.words and "onerror" in seen.words


def test_what_does_not_fit_is_refused(case: ResponseContent, awkward_grid: Any) -> None:
    other = LabelMap(np.zeros(awkward_grid.shape, np.uint8), awkward_grid, {})
    with pytest.raises(GridMismatchError, match="another grid"):
        replace(case.now, labels=other)
    with pytest.raises(RecordInvalidError, match="4 colours"):
        replace(case, limits_mm=(0.0, 5.0))


def test_words_laid_over_others() -> None:
    under = {"a": {"x": 1, "y": 2}, "b": 3}
    assert laid_over(under, {"a": {"z": 0, "x": 9}}) == {"a": {"z": 0, "x": 9, "y": 2}, "b": 3}
    assert list(laid_over(under, {"a": {"z": 0, "x": 9}})["a"]) == ["z", "x", "y"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it_without_running_off_the_side(page: str, width: int, tmp_path: Path) -> None:
    browser: str | None = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    shot: Callable[..., Any] = subprocess.run
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={width},2400")
    where = f"--screenshot={tmp_path / 'page.png'}"
    shot([browser, *options, where, f"file://{tmp_path / 'page.html'}"], check=True, capture_output=True, timeout=240)
    picture = np.asarray(Image.open(tmp_path / "page.png").convert("L"))
    assert picture.shape[1] == width
    # Light ground, dark words, and nothing cut at the right edge.
    assert picture[:400].mean() > 200 and picture.min() < 60
    assert np.ptp(picture[:, -4:].astype(int)) < 40
