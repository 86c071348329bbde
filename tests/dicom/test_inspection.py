"""``liverimg inspect``: the table, the record and the page tell what is there, and never who it is."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from tests.dicom.inspection_page import KNOWN_TAGS, Page, page_of

from liverimg.core.grid import Grid
from liverimg.files import records

Call = Callable[..., Any]
GRID = Grid.from_axes((6, 40, 48), spacing_mm=(2.5, 0.9, 0.8), frame_of_reference_uid="1.2.3")


def one_line(text: str) -> str:
    """A table's words in reading order of the line, without its layout."""
    return " ".join(text.split())


# ---- what it says ----


def test_the_table_tells_phase_size_use_and_reasons(sample: Path, liverimg: Call) -> None:
    said = liverimg("inspect", sample / "pre_ct")
    assert said.code == 0
    assert "4 volumes" in said.out and "1 entry" in said.out
    assert all(len(line) <= 80 for line in said.out.splitlines())
    for word in ("portal venous", "sure", "likely", "70 s after", "45 x 352 x 352", "0.98 mm pixels", "every 5 mm"):
        assert word in said.out, word
    assert "reference" in said.out and "localiser" in said.out
    assert "Headers only" in said.out
    more = liverimg("inspect", sample / "pre_ct", "--evidence")
    assert "ContrastBolusStartTime" in more.out and "ContrastBolusStartTime" not in said.out


def test_the_record_keeps_its_schema_and_the_table_says_the_same(sample: Path, liverimg: Call) -> None:
    for study in ("pre_ct", "mr"):
        record = json.loads(liverimg("inspect", sample / study, "--json").out)
        assert records.problems(record, "inspection") == []
        assert sum(volume["is_reference"] for volume in record["volumes"]) == 1
        assert {v["series_instance_uid"] for v in record["volumes"]} <= {
            s["series_instance_uid"] for s in record["series"]
        }
        assert record["pixels_read"] is False
    acquired = [volume["acquired"] for volume in record["volumes"]]
    assert [one["slices"] for one in acquired] == [56] * 4
    assert [one["thickness_mm"] for one in acquired] == [4.0] * 4
    assert [one["after_injection_s"] for one in acquired][1:] == [30.0, 70.0, 1200.0]
    assert [one["number"] for one in record["series"]] == [4, 5, 6, 9]


def test_the_schema_goes_with_that_of_study_json(repository: Path) -> None:
    """What both records say, they say in the same form; a change of one is a change of the other."""
    folder = repository / "src" / "liverimg" / "data" / "schema"
    study, inspection = (
        json.loads((folder / f"{name}.schema.json").read_text(encoding="utf-8")) for name in ("study", "inspection")
    )
    assert study["$defs"] == inspection["$defs"]
    top, own = study["properties"], inspection["properties"]
    assert set(top) - set(own) == {"reference_volume", "patient_check"}
    assert set(own) - set(top) == {"pixels_read", "series"}
    for part in ("volumes", "cines", "roles"):
        told, ours = top[part]["items"]["properties"], own[part]["items"]["properties"]
        assert {name: told[name] for name in told if name not in ("file", "sop_instance_uids")} == {
            name: ours[name] for name in ours if name not in ("is_reference", "acquired")
        }


def test_a_role_that_a_person_gives_is_shown(sample: Path, liverimg: Call) -> None:
    record = json.loads(liverimg("inspect", sample / "pre_ct", "--use", "reference=2", "--json").out)
    assert [volume["is_reference"] for volume in record["volumes"]] == [False, True, False, False]


def test_uneven_slices_gaps_and_overlap_are_told(
    tmp_path: Path, build: ModuleType, liverimg: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")

    def thick(dataset: Any, k: int) -> None:
        dataset.SliceThickness = "4"

    def uneven(dataset: Any, k: int) -> None:
        dataset.SliceThickness = "2.5"
        dataset.ImagePositionPatient = ["0", "0", f"{2.5 * k if k < 4 else 7.5 + 5 * (k - 3):.2f}"]

    build.write_series(tmp_path / "study", grid=GRID, series=1, edit=thick, description="overlapping")
    wide = Grid.from_axes((8, 40, 48), spacing_mm=(2.5, 0.9, 0.8), frame_of_reference_uid="1.2.3")
    build.write_series(tmp_path / "study", grid=wide, series=2, edit=uneven, description="uneven")
    said = one_line(liverimg("inspect", tmp_path / "study").out)
    assert "4 mm thick, overlap 1.5 mm" in said
    assert "every 2.5 to 5 mm, resampled to 2.5 mm, 2.5 mm thick, gap 2.5 mm" in said
    assert "derived_from_uneven_slices" in said and "thickness_differs" in said


def test_disagreement_is_shown_beside_the_phase(tmp_path: Path, build: ModuleType, liverimg: Call) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.ContrastBolusAgent, dataset.ContrastBolusStartTime = "IODINE", "100000"
        dataset.AcquisitionDate, dataset.AcquisitionTime = "20260101", "100110"

    build.write_series(tmp_path, grid=GRID, edit=edit, description="Leber arteriell")
    said = one_line(liverimg("inspect", tmp_path).out)
    assert "sources disagree" in said and "Sources disagree about the phase of volume 1" in said
    assert "doubtful" in said and "sure" not in said
    more = liverimg("inspect", tmp_path, "--evidence").out
    assert "says arterial" in more or "says portal venous" in more


def test_nothing_usable_is_shown_and_leaves_by_3(sample: Path, tmp_path: Path, liverimg: Call) -> None:
    said = liverimg("inspect", sample / "broken" / "single_slice", "--html", tmp_path / "page.html")
    assert said.code == 3
    assert "too_few_slices" in said.out and "Nothing here can be used" in said.out
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "too_few_slices" in page.words and page.all("img") == []


@pytest.mark.parametrize("place", ["study/page.html", "nowhere/page.html", "."])
def test_a_page_that_can_t_be_written_is_a_usage_error(
    place: str, tmp_path: Path, build: ModuleType, liverimg: Call
) -> None:
    build.write_series(tmp_path / "study", grid=GRID)
    assert liverimg("inspect", tmp_path / "study", "--html", tmp_path / place).code == 2


def test_damage_that_only_pixels_show_is_known_to_the_page(tmp_path: Path, build: ModuleType, liverimg: Call) -> None:
    values = build.values_on(GRID)

    def zero_tail(dataset: Any, k: int) -> None:
        if k == 3:
            data = bytearray(dataset.PixelData)
            data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
            dataset.PixelData = bytes(data)

    build.write_series(tmp_path / "study", grid=GRID, series=1, values=values)
    build.write_series(tmp_path / "study", grid=GRID, series=2, values=values, edit=zero_tail)
    assert "2 volumes" in liverimg("inspect", tmp_path / "study").out
    said = liverimg("inspect", tmp_path / "study", "--html", tmp_path / "page.html", "--json")
    record = json.loads(said.out)
    assert record["pixels_read"] and len(record["volumes"]) == 1
    assert [entry["code"] for entry in record["rejected"]] == ["pixel_data_zero_tail"]
    assert "pixel_data_zero_tail" in Page((tmp_path / "page.html").read_text(encoding="utf-8")).words


# ---- the page ----


def test_the_page_stands_alone_and_can_be_read_by_everybody(
    tmp_path: Path, build: ModuleType, build_us: ModuleType, liverimg: Call
) -> None:
    build.write_series(tmp_path / "study", grid=GRID, series=1, description="arterial")
    build.write_series(tmp_path / "study", grid=GRID, series=2, modality="MR", description="t2")
    build.write_series(tmp_path / "study", grid=GRID, series=3, skip=(2, 3))

    def same_study(dataset: Any) -> None:
        dataset.StudyInstanceUID = build.STUDY_UID
        dataset.PatientID, dataset.PatientName = "PHANTOM", "PHANTOM^TEST"

    clip = build_us.tinted(build_us.speckle(10, 90, seed=5))
    build_us.write_loop(tmp_path / "study", clip, series=4, edit=same_study)
    page = page_of(tmp_path / "study", tmp_path / "one.html", liverimg)
    page_of(tmp_path / "study", tmp_path / "two.html", liverimg)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and "default-src 'none'" in policy and "script" not in policy
    assert {tag for tag, _ in page.elements} <= KNOWN_TAGS
    for tag, attributes in page.elements:
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#")), (tag, value)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for a in page.all("a")} <= set(ids)
    assert all(header.get("scope") in ("col", "row") for header in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"
    images = page.all("img")
    assert len(images) == 4
    assert all("edge" in str(image["alt"]) and str(image["alt"]).startswith(("Axial", "Coronal")) for image in images)
    for image, pixels in zip(images, page.pictures(), strict=True):
        assert (int(str(image["height"])), int(str(image["width"]))) == pixels.shape
        assert pixels.std() > 5, "something is to be seen"


def test_pictures_lie_as_radiologists_see_them(tmp_path: Path, build: ModuleType, liverimg: Call) -> None:
    """A bright corner at right anterior superior, on slices stored upside down and from the other side."""
    grid = Grid.from_axes(
        (20, 30, 40),
        spacing_mm=(3, 2, 2),
        directions=[[0, 0, -1], [0, -1, 0], [1, 0, 0]],
        frame_of_reference_uid="1.2.3",
    )
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    right, anterior, superior = ((grid.index_to_lps_mm(index) - grid.centre_lps_mm) * (-1, -1, 1)).transpose(3, 0, 1, 2)
    values = np.where(right > 0, 75, -50) + np.where(anterior > 0, 60, 0) + np.where(superior > 20, 60, 0)
    build.write_series(tmp_path / "study", grid=grid, values=values.astype(np.int16))
    page = page_of(tmp_path / "study", tmp_path / "page.html", liverimg)
    axial, coronal = (picture.astype(int) for picture in page.pictures())
    assert axial.shape == (225, 300) and coronal.shape == (225, 300), "square pixels"
    assert axial[20, 20] > axial[-20, 20] + 30 and axial[20, 20] > axial[20, -20] + 60
    assert coronal[10, 20] > coronal[-10, 20] + 30 and coronal[10, 20] > coronal[10, -20] + 60
    assert "Left edge R, right edge L, upper edge A, lower edge P" in str(page.all("img")[0]["alt"])
    assert "Left edge R, right edge L, upper edge S, lower edge I" in str(page.all("img")[1]["alt"])


def test_an_oblique_volume_has_two_letters(
    tmp_path: Path, build: ModuleType, awkward_grid: Grid, liverimg: Call
) -> None:
    build.write_series(tmp_path / "study", grid=awkward_grid, modality="MR")
    page = page_of(tmp_path / "study", tmp_path / "page.html", liverimg)
    assert re.search(r"edge [A-Z]{2}[,.]", str(page.all("img")[0]["alt"]))


def test_a_link_out_of_the_study_is_not_followed(tmp_path: Path, build: ModuleType, liverimg: Call) -> None:
    build.write_series(tmp_path / "study", grid=GRID, series=1)
    build.write_series(tmp_path / "elsewhere", grid=GRID, series=2)
    (tmp_path / "study" / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "elsewhere").iterdir():
        (tmp_path / "study" / f"to_{path.name}").symlink_to(path)
    record = json.loads(liverimg("inspect", tmp_path / "study", "--json").out)
    assert [volume["acquired"]["slices"] for volume in record["volumes"]] == [6]
    assert [(entry["code"], entry["what"]) for entry in record["rejected"]] == [("not_dicom", "7 files")]


def test_the_page_does_not_depend_on_names_and_order_of_files(
    tmp_path: Path, build: ModuleType, liverimg: Call
) -> None:
    paths = build.write_series(tmp_path / "study", grid=GRID)
    (tmp_path / "other").mkdir()
    for number, path in enumerate(reversed(paths)):
        shutil.copy(path, tmp_path / "other" / f"{number}")
    page_of(tmp_path / "study", tmp_path / "one.html", liverimg)
    page_of(tmp_path / "other", tmp_path / "two.html", liverimg)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_nonsense_number_of_frames_is_told_and_breaks_no_record(sample: Path, liverimg: Call, tmp_path: Path) -> None:
    source = sorted((sample / "pre_ct").rglob("*.dcm"))[-1]
    spoilt = pydicom.dcmread(source)
    spoilt.NumberOfFrames = "-1"
    (tmp_path / "study").mkdir()
    spoilt.save_as(tmp_path / "study" / "spoilt.dcm")
    said = liverimg("inspect", tmp_path / "study", "--json")
    record = json.loads(said.out)
    assert records.problems(record, "inspection") == []
    assert record["rejected"] or record["volumes"]
