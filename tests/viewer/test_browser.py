"""The page in a real browser: it shows the right place, asks nobody else, and can be used without a mouse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.chromium import Browser, BrowserError, Page

from liverimg.files import nifti
from liverimg.stages.view import site_of
from liverimg.viewer.server import ViewerServer, served

from .conftest import CODES, FRAME, HOSTILE, LESIONS, painted, tilted_grid, with_zones, write_study

pytestmark = pytest.mark.slow
READY = "document.body.dataset.state === 'ready'"
WHERE = "document.getElementById('where').textContent"
# One voxel under the crosshair, with the value of veins.
PAINT = """(() => {
  const nv = viewer.slices.nv, voxel = nv.frac2vox(nv.scene.crosshairPos);
  nv.drawPt(voxel[0], voxel[1], voxel[2], 3);
  nv.refreshDrawing();
})()"""
UNNAMED = """[...document.querySelectorAll('button, input, select, canvas')].filter(
  (e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).length"""
CHOOSE = """(() => {
  const series = document.getElementById('series');
  series.value = %d;
  series.dispatchEvent(new Event('change'));
})()"""
SENT = "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('look.json')).length"
CANVAS = """(() => {
  const box = document.getElementById('slices').getBoundingClientRect();
  return [box.left, box.top, box.width, box.height];
})()"""
SIZE = {"width": 760, "height": 620}


def here(page: Page) -> Any:
    """Where the crosshair is, LPS mm."""
    return np.array(page.ask("viewer.slices.where()"))


def drawn(page: Page, path: Path) -> Any:
    """What the window shows, from 0 to 255."""
    return np.asarray(Image.open(page.picture(path)).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("shown") / "out", description=HOSTILE)


@pytest.fixture(scope="module")
def server(study: Path) -> Iterator[ViewerServer]:
    with served(site_of(study, editable=True)) as started:
        yield started


@pytest.fixture(scope="module")
def page(browser: Browser, server: ViewerServer) -> Iterator[Page]:
    opened = browser.open(server.address, **SIZE)
    opened.wait_for(READY)
    yield opened
    opened.close()


def test_a_lesion_is_found_where_it_lies(page: Page) -> None:
    volume, labels = painted(tilted_grid(FRAME))
    for number, (name, (centre, _)) in enumerate(LESIONS.items()):
        page.ask(f"document.querySelectorAll('#places li')[{number}].querySelector('button').click()")
        assert here(page) == pytest.approx(centre, abs=0.01)
        k, j, i = np.rint(volume.grid.lps_mm_to_index(centre)).astype(int)
        assert labels.array[k, j, i] == CODES["tumour"]
        said = page.ask(WHERE)
        assert said.startswith(f"Tumour · {volume.array[k, j, i]} HU · "), name
        for value, (less, more) in zip(
            centre, (("right", "left"), ("anterior", "posterior"), ("inferior", "superior")), strict=True
        ):
            assert f"{abs(value):.1f} mm {more if value > 0 else less}" in said
    page.ask("document.querySelectorAll('#places li')[0].querySelectorAll('button')[1].click()")
    assert here(page) == pytest.approx(LESIONS["L1"][0], abs=0.01)
    assert "26.0\u202fmm (25.0 to 27.0\u202fmm)" in page.ask("document.getElementById('places').textContent")


def test_the_crosshair_stays_in_the_patient_from_series_to_series(page: Page) -> None:
    page.press("1")
    expected = {0: 50 - 40, 2: 50 - 80, 1: 50}
    for number, hu in expected.items():
        page.ask(CHOOSE % number)
        page.wait_for(f"!viewer.busy && viewer.series === viewer.scene.series[{number}]")
        assert here(page) == pytest.approx(LESIONS["L1"][0], abs=0.01)
        said = page.ask(WHERE)
        assert f"{hu} HU" in said
        # The last one lies in another frame of reference: nothing is laid over it.
        assert said.startswith("no label" if number == 2 else "Tumour")
    assert page.ask("viewer.slices.layers.length") == 1


def test_switches_and_windows_change_what_is_drawn(page: Page, tmp_path: Path) -> None:
    page.press("1")
    shown = drawn(page, tmp_path / "labels.png")
    yellow = (shown[..., 0] > 120) & (shown[..., 1] > 100) & (shown[..., 2] < 110)
    page.ask("document.querySelector('[data-key=tumour]').click()")
    hidden = drawn(page, tmp_path / "hidden.png")
    page.press("1")
    assert page.ask(WHERE).startswith("Tumour (hidden)")
    gone = (hidden[..., 0] > 120) & (hidden[..., 1] > 100) & (hidden[..., 2] < 110)
    assert yellow.sum() > 400 and gone.sum() < yellow.sum() / 2
    page.ask("document.querySelector('[data-key=tumour]').click()")
    page.ask("document.getElementById('outline').click()")
    edges = drawn(page, tmp_path / "edges.png")
    # Colour is left along the borders only.
    left, top, width, height = (round(n) for n in page.ask(CANVAS))
    axial = np.s_[top + 12 : top + height // 2 - 12, left + 12 : left + width // 2 - 12]
    filled, rims = ((np.ptp(picture[axial], axis=-1) > 12).sum() for picture in (shown, edges))
    assert 0 < rims < filled / 2
    page.ask("document.getElementById('outline').click()")
    page.ask("document.querySelectorAll('#windows button')[3].click()")
    assert page.ask("[viewer.slices.range[0], viewer.slices.range[1]]") == [400 - 900, 400 + 900]
    assert page.ask("document.getElementById('width').value") == "1800"
    page.press("w")
    page.press("w")
    assert page.ask("[viewer.slices.range[0], viewer.slices.range[1]]") == [40 - 200, 40 + 200]


def test_it_can_be_used_without_a_mouse(page: Page) -> None:
    page.press("1")
    page.ask("document.getElementById('slices').focus()")
    before = here(page)
    page.press("a")
    assert page.ask("document.getElementById('stage').dataset.view") == "axial"
    # On the screen the patient's right is on the left: an arrow to the right goes to the patient's left.
    for key, axis, sign in (("ArrowRight", 0, 1), ("ArrowUp", 1, -1), ("PageUp", 2, 1)):
        page.press(key)
        moved = here(page) - before
        assert np.abs(moved).argmax() == axis and np.sign(moved[axis]) == sign, key
        before = here(page)
    page.press("s")
    page.press("ArrowRight")
    assert np.abs(here(page) - before).argmax() == 1 and (here(page) - before)[1] > 0
    page.press("2")
    assert here(page) == pytest.approx(LESIONS["L2"][0], abs=0.01)
    page.press("m")
    page.press("l")
    assert page.ask("viewer.off") is True
    page.press("l")
    assert page.ask(UNNAMED) == 0


def test_what_a_scanner_writes_does_nothing(page: Page) -> None:
    assert HOSTILE in page.ask("document.getElementById('series-note').textContent")
    assert page.ask("document.title") == "liverimg viewer"
    assert page.ask("document.querySelectorAll('img, iframe, object').length") == 0
    assert page.ask("document.querySelectorAll('script').length") == 2


def test_nobody_else_is_asked(page: Page, server: ViewerServer) -> None:
    assert len(page.asked_for()) > 8
    assert page.asked_elsewhere(server.address) == []
    assert page.complaints() == []
    refused = page.ask("fetch('https://example.org/').then(() => 'let through', () => 'refused')")
    assert refused == "refused"
    with pytest.raises(BrowserError, match="unsafe-eval"):
        page.ask("new Function('return 1')()")


def test_how_it_was_left_is_there_the_next_time(page: Page, study: Path) -> None:
    before = page.ask(SENT)
    page.ask("document.getElementById('outline').click()")
    kept = study / "provenance" / "view.json"
    page.wait_for(f"{SENT} > {before}")
    assert json.loads(kept.read_text())["outline"] is True
    page.go(page.ask("location.href"))
    page.wait_for(READY)
    assert page.ask("document.getElementById('outline').checked") is True
    page.ask("document.getElementById('outline').click()")


def test_a_voxel_that_is_painted_is_the_voxel_that_is_saved(page: Page, study: Path) -> None:
    """On an oblique, left-handed grid, which NiiVue turns round in its own memory."""
    grid = tilted_grid(FRAME)

    def stored() -> Any:
        return nifti.read_labels(study / "labels.nii.gz", CODES, lesions={}, on=grid).array

    before, note = stored(), "document.getElementById('correct-note').textContent"
    page.press("2")
    page.ask("document.getElementById('correct-start').click()")
    page.wait_for("!document.getElementById('correct-tools').hidden")
    page.ask("document.getElementById('correct-save').click()")
    page.wait_for(f"{note}.length > 0")
    assert "nothing was saved" in page.ask(note)
    assert np.array_equal(stored(), before)
    page.ask("document.getElementById('correct-start').click()")
    page.wait_for("!document.getElementById('correct-tools').hidden")
    page.ask(PAINT)
    page.ask("document.getElementById('correct-save').click()")
    page.wait_for(f"{note}.includes('1 voxels')")
    after = stored()
    (place,) = np.argwhere(after != before)
    assert place.tolist() == np.rint(grid.lps_mm_to_index(LESIONS["L2"][0])).astype(int).tolist()
    assert after[tuple(place)] == 3
    page.wait_for("!viewer.busy")


def test_zones_lie_over_the_image_after_ablation(browser: Browser, tmp_path: Path) -> None:
    folder = with_zones(write_study(tmp_path / "out"))
    with served(site_of(folder)) as server:
        page = browser.open(server.address, **SIZE, dark=True)
        page.wait_for(READY)
        page.ask("viewer.slices.go(viewer.scene.places[2].centre_lps_mm)")
        assert "Residual focus R1" in page.ask(WHERE)
        assert page.ask("viewer.slices.layers.length") == 2
        assert page.ask("document.getElementById('correct')") is None
        assert page.ask("getComputedStyle(document.body).backgroundColor") == "rgb(14, 19, 24)"
        picture = drawn(page, tmp_path / "zones.png")
        # No layer tints what it does not name: in the axial slice, air stays as grey with the labels as without.
        page.ask("document.getElementById('none').click()")
        left, top, width, height = (round(n) for n in page.ask(CANVAS))
        axial = np.s_[top + 12 : top + height // 2 - 12, left + 12 : left + width // 2 - 12]
        bare = drawn(page, tmp_path / "bare.png")[axial]
        air = bare.max(axis=-1) < 8
        assert air.sum() > 500
        assert np.ptp(picture[axial][air], axis=-1).max() < 8
        cyan = (picture[..., 2] > 120) & (picture[..., 2] > picture[..., 0] + 25)
        assert cyan.sum() > 200
        assert page.complaints() == []
        page.close()
