"""The page is whole, safe, honest about what is missing, and the same every time."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from liverimg.core.assessment import Assessment
from liverimg.core.errors import GridMismatchError, RecordInvalidError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.measurement import Measurement, NotMeasured
from liverimg.core.study import Rejected
from liverimg.core.vocabulary import Threshold
from liverimg.report.band_bars import band_bar
from liverimg.report.content import ReportContent
from liverimg.report.page import render_page
from liverimg.report.text import band_text, date_text, quantity_rows, say, value_text
from liverimg.report.verdicts import finding_rows

ADDRESSES = {"src", "href", "xlink:href", "action", "data", "poster", "srcset", "formaction", "background"}
HOSTILE = "<script>alert(1)</script>\n\"'><img src=x onerror=alert(2)>{{ 7*7 }}{title}"


class Reader(HTMLParser):
    """Collects tags, addresses, identifiers, scripts and the text a reader sees."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self.text: list[str] = []
        self._open: tuple[str, dict[str, str | None]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self.addresses += [v or "" for k, v in attrs if k in ADDRESSES]
        self._open = (tag, found) if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open is None:
            self.text.append(data)
        elif self._open[0] == "script":
            self.scripts.append((self._open[1], data))
        else:
            self.styles.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


@pytest.fixture(scope="module")
def seen(page: str) -> Reader:
    return read(page)


def test_nothing_is_fetched(seen: Reader) -> None:
    assert seen.addresses
    assert all(a.startswith(("#", "data:image/")) for a in seen.addresses)
    assert not any("url(" in s or "@import" in s for s in seen.styles)
    assert not [t for t, _ in seen.tags if t in ("link", "iframe", "object", "embed", "base", "form")]


def test_policy_lets_only_the_own_scripts_run(seen: Reader) -> None:
    policy = next(
        a["content"] for t, a in seen.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "script-src 'sha256-" in policy
    assert "http" not in policy and "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    packed = [text for attributes, text in seen.scripts if attributes.get("id") == "plotly-packed"]
    running = [text for attributes, text in seen.scripts if "type" not in attributes]
    running += [gzip.decompress(base64.b64decode(text)).decode() for text in packed]
    assert len(packed) == 1
    assert {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in running} == allowed


def test_no_attribute_runs_code(seen: Reader) -> None:
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]


def test_same_input_same_bytes(page: str, content: ReportContent) -> None:
    assert render_page(content) == page


def test_identifiers_are_unique_and_links_lead_somewhere(seen: Reader) -> None:
    ids = [a["id"] for _, a in seen.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a[1:] for a in seen.addresses if a.startswith("#")} <= set(ids)


def test_tables_have_captions_and_pictures_have_words(seen: Reader, page: str) -> None:
    tags = [t for t, _ in seen.tags]
    assert tags.count("table") == tags.count("caption")
    assert all(a.get("alt") for t, a in seen.tags if t == "img")
    drawings = [a for t, a in seen.tags if t == "svg" and a.get("aria-hidden") != "true"]
    assert drawings and all(a.get("role") == "img" and a.get("aria-label") for a in drawings)
    assert '<html lang="en">' in page


def test_what_was_not_measured_is_said(seen: Reader) -> None:
    assert seen.words.count("bile ducts can't be seen in this phase") >= 2
    assert "the spleen was not outlined" in seen.words
    assert seen.words.count("not measured") >= 3


def test_every_word_of_the_record_is_on_the_page(seen: Reader, content: ReportContent) -> None:
    for said in (
        *content.notices,
        *content.measurements.warnings,
        *content.assessment.conflicts,
        *(f.statement for f in content.assessment.findings),
        *(n for f in content.assessment.findings for n in f.notes),
        *(f.settled_by for f in content.assessment.findings),
        *(r.reason for r in content.study.rejected),
        *(r.code for r in content.study.rejected),
        *(v for row in content.provenance for v in row),
        *(q.method for le in content.measurements.lesions for q in le.quantities if isinstance(q, Measurement)),
        "72 s after the start of injection",
        "portal venous",
        "2026-03-12",
        "not a medical device",
    ):
        assert said in seen.words, said


def test_the_summary_does_not_hide_what_concerns_the_whole_study(page: str, content: ReportContent) -> None:
    lesions = {lesion.id for lesion in content.measurements.lesions}
    whole = [f.title for f in content.assessment.findings if f.target not in lesions]
    assert whole
    summary = page[page.index('id="summary-study"') : page.index('id="lesion-1"')]
    for title in whole:
        assert title in summary


def test_a_source_is_named_once_with_all_its_thresholds(content: ReportContent) -> None:
    lesion = content.assessment.findings[0]
    limits = tuple(Threshold(value, "mm", "a table") for value in (30.0, 80.0, 80.0))
    (row,) = finding_rows((replace(lesion, thresholds=limits, source="a table"),), content.strings)
    assert [(text.replace("\u202f", " "), source) for text, source in row.thresholds] == [("30 mm, 80 mm", "a table")]
    assert row.source == ""
    (other,) = finding_rows((replace(lesion, thresholds=limits, source="another"),), content.strings)
    assert other.source == "another"


def test_a_number_without_a_band_shows_none(content: ReportContent) -> None:
    given = Measurement("inr", "study", 1.2, "1", 1.2, 1.2, "given in the clinical file")
    (row,) = finding_rows((replace(content.assessment.findings[0], quantity=given),), content.strings)
    assert row.value
    assert row.band == ""


def test_verdicts_have_a_word_beside_the_colour(page: str) -> None:
    chips = re.findall(r'<span class="chip ([a-z-]+)"><svg[^>]*><use href="#i-\1"/></svg>([^<]+)</span>', page)
    assert {("met", "Met"), ("not-met", "Not met"), ("undetermined", "Undetermined")} == set(chips)
    assert len(chips) == page.count('class="chip ')


def test_hostile_text_stays_text(content: ReportContent, build: Callable[..., ReportContent]) -> None:
    finding = replace(
        content.assessment.findings[0], title=HOSTILE, statement=HOSTILE, source=HOSTILE, settled_by=HOSTILE
    )
    first, *others = content.measurements.lesions
    renamed = replace(first, id=HOSTILE, quantities=(*first.quantities, NotMeasured(HOSTILE, HOSTILE, HOSTILE)))
    styles = {**content.structures, Structure.LIVER: (HOSTILE, "#c8845a")}
    page = render_page(
        replace(
            content,
            study=replace(content.study, rejected=(Rejected(HOSTILE, HOSTILE, HOSTILE),)),
            reference=replace(content.reference, description=HOSTILE),
            measurements=replace(content.measurements, lesions=(renamed, *others), warnings=(HOSTILE,)),
            assessment=Assessment((finding, replace(finding, target=HOSTILE)), (HOSTILE,)),
            structures=styles,
            provenance=((HOSTILE, HOSTILE),),
            notices=(HOSTILE,),
        )
    )
    seen = read(page)
    assert len(seen.scripts) == len(read(render_page(content)).scripts)
    assert not [a for t, a in seen.tags if t == "img" and not (a.get("src") or "").startswith("data:")]
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in seen.words and "{title}" in seen.words
    assert "onerror" in seen.words  # shown, as text


def test_page_without_lesions(build: Callable[..., ReportContent]) -> None:
    seen = read(render_page(build(tumours=False)))
    assert "No tumour was outlined" in seen.words
    assert "It does not mean that the liver is free of tumour" in seen.words
    assert "Lesion L1" not in seen.words
    assert len([t for t, a in seen.tags if t == "figure" and "picture" in (a.get("class") or "")]) == 3


def test_page_says_when_tumours_were_never_looked_for(build: Callable[..., ReportContent]) -> None:
    content = build(tumours=False)
    known = {s: v for s, v in content.labels.structures.items() if s is not Structure.TUMOUR}
    labels = LabelMap(content.labels.array, content.labels.grid, known)
    words = read(render_page(replace(content, labels=labels))).words
    # Unknown is never a count of nought.
    assert "Lesions not measured tumours were not looked for" in words
    assert "Lesions 0" not in words
    assert "Lesions 0 outlined as tumour" in read(render_page(content)).words


def test_page_with_empty_labels(build: Callable[..., ReportContent]) -> None:
    content = build(tumours=False)
    empty = LabelMap(np.zeros(content.volume.grid.shape, np.uint8), content.labels.grid, content.labels.structures)
    assert "Nothing was outlined" in read(render_page(replace(content, labels=empty))).words


def test_page_on_an_awkward_grid(awkward_grid: Grid, build: Callable[..., ReportContent]) -> None:
    # Far from the origin, where the ellipsoids are not: an oblique stack with lesions outside the labels.
    words = read(render_page(build(awkward_grid))).words
    assert "nearest acquisition planes" in words
    assert "Lesion L2" in words


def test_labels_on_another_grid_are_refused(content: ReportContent, awkward_grid: Grid) -> None:
    labels = LabelMap(np.zeros(awkward_grid.shape, np.uint8), awkward_grid, {})
    with pytest.raises(GridMismatchError, match="another grid"):
        replace(content, labels=labels)


def test_a_colour_that_is_no_colour_is_refused(content: ReportContent) -> None:
    with pytest.raises(RecordInvalidError, match="#rrggbb"):
        replace(content, structures={Structure.LIVER: ("Liver", "red;} body{display:none")})


def test_scene_data_is_plain_json(seen: Reader, content: ReportContent) -> None:
    text = next(text for attributes, text in seen.scripts if attributes.get("id") == "scene-data")
    assert "<" not in text
    figure = json.loads(text)
    assert [t["name"] for t in figure["data"]][:2] == ["Tumour L1", "Tumour L2"]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (42.349, "mm", "42.3\u202fmm"),
        (-0.04, "mm", "0.0\u202fmm"),
        (-3.26, "mm", "\u22123.3\u202fmm"),
        (55.4, "HU", "55\u202fHU"),
        (0.5, "1", "0.50"),
        (7.0, "kg", "7.00\u202fkg"),
    ],
)
def test_numbers_carry_their_unit(value: float, unit: str, shown: str, strings: dict[str, Any]) -> None:
    quantity = Measurement("x", "L1", value, unit, value, value, "")
    assert value_text(quantity, strings) == shown


def test_a_share_is_printed_in_per_cent(strings: dict[str, Any]) -> None:
    share = Measurement("tumour_share_of_liver", "liver", 0.0604, "1", 0.038, 0.083, "")
    assert value_text(share, strings) == "6.0\u202f%"
    assert band_text(share, strings) == "3.8 to 8.3\u202f%"


def test_rows_follow_the_table_and_lose_nothing(strings: dict[str, Any]) -> None:
    quantities = (
        NotMeasured("something_new", "L1", "why"),
        Measurement("volume", "L1", 1, "ml", 1, 1, "m"),
        Measurement("axial_long_diameter", "L1", 1, "mm", 1, 1, "m"),
    )
    rows = quantity_rows(quantities, strings)
    assert [r.title for r in rows] == ["Long diameter, axial", "Volume", "Something new"]
    assert [r.measured for r in rows] == [True, True, False]


def test_a_missing_string_says_which(strings: dict[str, Any]) -> None:
    with pytest.raises(RecordInvalidError, match="no\\.such"):
        say(strings, "no.such")


def test_dates(strings: dict[str, Any]) -> None:
    assert date_text("20260312", strings) == "2026-03-12"
    assert date_text(None, strings) == date_text("03/12/26", strings) == "not given"


def test_band_bar_puts_band_and_threshold_in_order(content: ReportContent) -> None:
    finding = content.assessment.findings[0]
    assert isinstance(finding.quantity, Measurement)
    bar = band_bar(finding.quantity, finding.thresholds)
    assert bar is not None
    assert 0 < bar.low < bar.value < bar.high < bar.thresholds[0][0] < 100
    in_ml = Measurement("volume", "L1", 1, "ml", 1, 1, "")
    assert band_bar(in_ml, finding.thresholds) is None
