"""Every page in a real browser: it asks nobody for anything, keeps its policy, can be read by everyone, and prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from tests.chromium import Browser, chromium, find_chromium

from liverimg.api import inspect, run
from liverimg.core.measurement import Measurement
from liverimg.core.response import Fate, Timepoint
from liverimg.core.timeline import Course, CourseStudy, LesionCourse, LesionVisit, StudyKind
from liverimg.files.tables import read_table
from liverimg.report.cohort_content import CohortContent, Distribution, Outlier, Refusal
from liverimg.report.cohort_page import render_cohort_page
from liverimg.report.content import ReportContent
from liverimg.report.page import render_page
from liverimg.report.response_content import ResponseContent
from liverimg.report.response_page import render_response_page
from liverimg.report.timeline_page import render_timeline_page

pytestmark = pytest.mark.slow
FAULTS = (Path(__file__).parent / "faults.js").read_text(encoding="utf-8")
PAGES = ("report", "response", "timeline", "cohort", "ceus", "inspect_ct", "inspect_ultrasound")
HOSTILE = "<img src=https://example.org/x.png><script src=https://example.org/x.js></script>"
BAD = f"""<html><body style="background: #fff"><h1>One</h1><h3>Three</h3><img src="data:,">
<button><svg role="img" aria-label="a"></svg></button><input><table><tr><th>A</th></tr></table>
<p style="color: #999">grey</p><div style="overflow: auto; width: 50px"><p style="width: 900px">far</p></div>
{HOSTILE}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(find_chromium()) as started:
        yield started


def course() -> str:
    """Two studies, one lesion."""
    days = (date(2026, 1, 5), date(2026, 2, 16))
    when = Timepoint(27, (), "27 days after treatment.")
    studies = (
        CourseStudy(StudyKind.BEFORE, "1.2.3", days[0], "CT", 0),
        CourseStudy(StudyKind.AFTER, "1.2.4", days[1], "CT", 42, when, False, (), (HOSTILE,)),
    )
    visits = tuple(
        LesionVisit(n, fate, (Measurement("axial_long_diameter", "L1", 32.0 - n, "mm", 30.0 - n, 34.0 - n, "by hand"),))
        for n, fate in enumerate((None, Fate.TREATED))
    )
    words = {**read_table("report_strings"), **read_table("timeline_strings")}
    return render_timeline_page(Course(None, (), studies, (LesionCourse("L1", "2.25.1", visits),), ()), words)


def cohort() -> str:
    """Two studies done, one refused."""
    sizes = Distribution(
        "lesion", "axial_long_diameter", "Long diameter", "mm", 4, 1, (12.0, 20.0, 31.0), (8.0, 90.0), (2, 1, 0, 1),
        (8.0, 90.0), (Outlier("b", "report.html", "L1", 90.0, 5.1),),
    )  # fmt: skip
    content = CohortContent(
        HOSTILE, 3, 2, (Refusal("c", "input_refused", HOSTILE, "ingest", 1),), (("input_refused", 1),),
        (("localiser", 2),), (("CT", 2),), (("portal_venous", 2),), ((1, 2),), (sizes,), 3.5,
    )  # fmt: skip
    return render_cohort_page(content, read_table("cohort_strings"))


def ultrasound(study: Path, folder: Path) -> str:
    """The sample's two planes."""
    run(study, out=folder, recipe="ceus_response")
    return (folder / "perfusion.html").read_text(encoding="utf-8")


def looked_at(study: Path, folder: Path) -> str:
    """What ``liverimg inspect --html`` writes."""
    inspect(study, html=folder / "inspect.html")
    return (folder / "inspect.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def written(
    content: ReportContent, case: ResponseContent, sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """All pages in one folder."""
    folder = tmp_path_factory.mktemp("pages")
    made: dict[str, Callable[[], str]] = {
        "report": lambda: render_page(content),
        "response": lambda: render_response_page(case),
        "timeline": course,
        "cohort": cohort,
        "ceus": lambda: ultrasound(sample / "ceus", folder / "ultrasound"),
        "inspect_ct": lambda: looked_at(sample / "pre_ct", folder),
        "inspect_ultrasound": lambda: looked_at(sample / "ceus", folder),
    }
    for name in PAGES:
        (folder / f"{name}.html").write_text(made[name](), encoding="utf-8")
    return folder


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_nobody_is_asked_and_everyone_can_read(browser: Browser, written: Path, name: str, dark: bool) -> None:
    page = browser.open((written / f"{name}.html").as_uri(), width=700 if dark else 1280, dark=dark)
    assert page.ask(FAULTS) == []
    assert page.asked_elsewhere() == []
    assert page.complaints() == []
    light = sum(int(n) for n in page.ask("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)")[:3]) / 765
    assert light < 0.2 if dark else light > 0.8
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_telephone_shows_all_of_it(browser: Browser, written: Path, name: str) -> None:
    """Nothing is wider than the screen, and what says how a number was measured is not squeezed into a column."""
    page = browser.open((written / f"{name}.html").as_uri(), width=390, height=800)
    assert page.ask("document.documentElement.scrollWidth") <= 390
    narrow = "[...document.querySelectorAll('td.method')].filter((e) => e.checkVisibility() && e.offsetWidth < 150)"
    assert page.ask(f"{narrow}.length") == 0
    assert page.ask(FAULTS) == []
    page.close()


def test_the_packed_script_draws_in_three_dimensions(browser: Browser, written: Path) -> None:
    page = browser.open((written / "report.html").as_uri(), width=640, height=480)
    page.ask("document.getElementById('view3d').scrollIntoView()")
    page.wait_for("document.querySelectorAll('.scene canvas').length")
    page.ask("document.querySelector('[data-look=below]').click()")
    page.ask("document.querySelector('.enlarge button').click()")
    assert page.ask(
        "document.getElementById('large').open && document.querySelector('#large svg').ariaLabel.length > 20"
    )
    assert page.asked_elsewhere() == []
    assert [said for said in page.complaints() if "Content Security" in said] == []
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_what_is_printed_is_whole_and_light(browser: Browser, written: Path, name: str) -> None:
    # A4 less its margins, across where the page asks for that.
    wide = "landscape" in (written / f"{name}.html").read_text(encoding="utf-8")
    page = browser.open((written / f"{name}.html").as_uri(), width=1030 if wide else 718, dark=True)
    page.call("Emulation.setEmulatedMedia", media="print")
    # Nothing runs off the paper, nothing is left that only a screen can use.
    assert page.ask("document.documentElement.scrollWidth <= innerWidth")
    assert page.ask("getComputedStyle(document.querySelector('h1')).color") == "rgb(23, 33, 43)"
    screen_only = (
        "[...document.querySelectorAll('.bar, .live, dialog, input')].filter((e) => e.checkVisibility()).length"
    )
    assert page.ask(screen_only) == 0
    page.close()


def test_a_bad_page_is_found_out(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(BAD, encoding="utf-8")
    page = browser.open((tmp_path / "bad.html").as_uri())
    rules = {line.split(":")[0] for line in page.ask(FAULTS)}
    assert rules == {
        "language or title", "heading", "picture without words", "picture inside a button", "control without a name",
        "table without a caption", "heading cell without a scope", "contrast 2.85", "out of reach of keys",
    }  # fmt: skip
    assert page.asked_elsewhere() == ["https://example.org/x.png", "https://example.org/x.js"]
    page.close()
