"""Tables for spreadsheets: hostile texts stay texts, numbers stay numbers, Excel can open it."""

import csv
import io
import re
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverimg.core.assessment import Assessment, Classification, Finding, NotApplied, Verdict
from liverimg.core.measurement import EvidencePoint, Lesion, Measurement, MeasurementSet, NotMeasured
from liverimg.core.sessions import KeepOut, SessionPiece, SessionPlan
from liverimg.files.result_tables import Results, Sheet, all_sheets, tidy
from liverimg.files.spreadsheet import csv_bytes, write_workbook

HOSTILE = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "=HYPERLINK(\"http://x\",\"y\")", "|calc", "＝1+1",
]  # fmt: skip
PLAIN = ["tumour, left", 'a "quoted" word', "Leber ÄÖÜ 肝 🫀", "two\nlines", "a=b", "3-8 cm", ""]


def read_csv(sheet: Sheet) -> list[list[str]]:
    return list(csv.reader(io.StringIO(csv_bytes(sheet).decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_a_formula(text: str, tmp_path: Path):
    sheet = Sheet("t", ("a", text), ((text, 1.5), ("x", -2.5)))
    rows = read_csv(sheet)
    assert rows[1][0] == f"'{text}" and rows[0][1] == f"'{text}"
    assert rows[2][1] == "-2.5"
    write_workbook([sheet], tmp_path / "t.xlsx")
    page = openpyxl.load_workbook(tmp_path / "t.xlsx")["t"]
    cell = page["A2"]
    assert cell.data_type == "s"
    assert cell.quotePrefix
    assert cell.value.strip() == text.strip().replace("\r", "\n") or cell.value == text
    assert (page["B2"].value, page["B2"].data_type) == (1.5, "n")
    assert page["B3"].value == -2.5


@pytest.mark.parametrize("text", PLAIN)
def test_a_plain_text_is_kept(text: str, tmp_path: Path):
    sheet = Sheet("t", ("a",), ((text,),))
    assert read_csv(sheet)[1:] == ([[text]] if text else [[""]])
    write_workbook([sheet], tmp_path / "t.xlsx")
    assert (openpyxl.load_workbook(tmp_path / "t.xlsx")["t"]["A2"].value or "") == text


@given(st.text(max_size=40), st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_makes_a_file_with_one_cell_for_one_cell(text: str, value: float):
    rows = read_csv(Sheet("t", ("a", "b", "c"), ((text, value, None),)))
    assert len(rows) == 2
    assert float(rows[1][1]) == value and rows[1][2] == ""
    assert not rows[1][0].lstrip(" \u00a0").startswith(("=", "+", "-", "@"))


def test_no_number_is_taken_for_a_thousand_times_itself():
    """A German spreadsheet makes 27657 of 27.657: three digits after a point are a group of thousands to it."""
    numbers = (27.657, -0.125, 1234.5678, 2.5, 24.0, 1e-07, 12)
    sheet = Sheet("t", ("a; b", *"cdefgh"), (numbers,))
    cells = read_csv(sheet)[1]
    assert [float(cell) for cell in cells] == list(numbers)
    assert not [cell for cell in cells if re.search(r"\.\d{3}$", cell)]
    lines = csv_bytes(sheet, decimal_comma=True).decode("utf-8-sig").splitlines()
    assert lines[0].startswith('"a; b";c;')
    ours = next(csv.reader([lines[1]], delimiter=";"))
    assert not any("." in cell for cell in ours)
    assert [float(cell.replace(",", ".")) for cell in ours] == list(numbers)


def test_signs_that_no_workbook_can_hold_are_replaced(tmp_path: Path):
    sheet = Sheet("t", ("a",), (("bell\x07 null\x00 lone\ud800",), ("x" * 40_000,)))
    write_workbook([sheet], tmp_path / "t.xlsx")
    page = openpyxl.load_workbook(tmp_path / "t.xlsx")["t"]
    assert page["A2"].value == "bell\ufffd null\ufffd lone\ufffd"
    assert len(page["A3"].value) == 32_767
    assert csv_bytes(sheet)


STUDY = {
    "study_instance_uid": "1.2.3",
    "study_date": "20260105",
    "reference_series_instance_uid": "1.2.4",
    "reference_volume": "volumes/x.nii.gz",
    "modality": "CT",
    "phase": "portal_venous",
    "spacing_kji_mm": [2, 1, 1],
}
PLAN = SessionPlan(
    "L1", 5.0, 20.0, 60.0, 2.0, 50.0, 0.1, (KeepOut("hepatic_vein", 10.0, 10.0),),
    (SessionPiece(1, 25.0, (1.0, 2.0, 3.0), 20.0, 0.5, True), SessionPiece(2, 25.0, (4.0, 5.0, 6.0), 20.0, 0.4, True)),
    (10.0, 40.0), (7.0, 14.0), "", ("2 sessions.",),
)  # fmt: skip


START = (EvidencePoint("start", (0.0, 1.0, 2.0)),)


def results() -> Results:
    lesion = Lesion(
        "=cmd", (1.0, 2.0, 3.0),
        (
            Measurement("axial_long_diameter", "=cmd", 31.25, "mm", 29.5, 33.0, "m", START, ("1.2.4",)),
            NotMeasured("distance_to_bile_duct", "=cmd", "unknown, not far"),
            Measurement("not_in_the_catalogue", "=cmd", 1.0, "mm", 1.0, 1.0, "m"),
        ),
    )  # fmt: skip
    organs = (Measurement("liver_volume", "liver", 1500.0, "ml", 1450.0, 1550.0, "voxels"),)
    finding = Finding("a.b", "a", "=cmd", "T", Verdict.MET, "S.", None, (), "src", notes=("n",))
    category = Classification("a.c", "a", "study", "T", "", ("x", "y"), "S.", "src", "scan", missing_items=("inr",))
    assessment = Assessment((finding,), ("c",), (category,), (NotApplied("a", "T", "study", "why"),), (PLAN,))
    return Results(
        {"rejected": [{"what": "1.2.9", "code": "localiser", "reason": "A localiser."}]},
        STUDY,
        {"origin": "model", "model": "liver_ct 0.2", "sha256": "0" * 64},
        MeasurementSet((lesion,), organs, ("warning",)),
        assessment,
        ({"title": "T", "edition": "E"},),
    )


def test_one_row_for_each_quantity_and_each_refusal():
    sheet = tidy(results())
    rows = [dict(zip(sheet.header, row, strict=True)) for row in sheet.rows]
    assert [r["quantity"] for r in rows] == [
        "axial_long_diameter", "distance_to_bile_duct", "not_in_the_catalogue", "liver_volume", "series",
    ]  # fmt: skip
    size, duct, _, liver, refused = rows
    assert (size["value"], size["low"], size["high"], size["unit"], size["ucum"]) == (31.25, 29.5, 33.0, "mm", "mm")
    assert (size["code_scheme"], size["study_date"], size["points_lps_mm"]) == (
        "SCT",
        "2026-01-05",
        "start: 0.00 1.00 2.00",
    )
    assert (duct["measured"], duct["value"], duct["unit"], duct["reason"]) == ("no", None, "mm", "unknown, not far")
    assert (liver["kind"], liver["lesion"], liver["ucum"]) == ("study", "", "mL")
    assert (refused["kind"], refused["target"], refused["reason"]) == ("refused", "1.2.9", "localiser: A localiser.")


def test_a_workbook_has_every_table(tmp_path: Path):
    sheets = all_sheets(results())
    for sheet in sheets:
        assert all(len(row) == len(sheet.header) for row in sheet.rows), sheet.title
    write_workbook(sheets, tmp_path / "t.xlsx")
    write_workbook(sheets, tmp_path / "again.xlsx")
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    assert book.sheetnames == ["lesions", "quantities", "findings", "stages and types", "sessions", "not used", "about"]
    assert book["lesions"]["A2"].value == "=cmd" and book["lesions"]["A2"].data_type == "s"
    assert [c.value for c in book["sessions"]["B"]][1:3] == [1, 2]
    again = openpyxl.load_workbook(tmp_path / "again.xlsx")
    for name in book.sheetnames:
        assert list(book[name].values) == list(again[name].values)
