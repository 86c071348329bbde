"""Tables as CSV and as an Excel workbook; no text of a study is ever taken for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from liverimg.files.result_tables import Cell, Sheet

# A cell that starts so is a formula, or part of one, to Excel, LibreOffice or Google Sheets (OWASP, CSV injection).
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
# What XML 1.0 can't hold; Excel would call the file damaged.
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_THREE_DECIMALS = re.compile(r"\.\d{3}$")
_LONGEST = 32_767  # characters of a cell, by Excel's own limit
_WIDEST = 60  # characters of a column
_EPOCH = datetime(2000, 1, 1)  # so that equal results give equal workbooks


def csv_bytes(sheet: Sheet, *, decimal_comma: bool = False) -> bytes:
    """One table as CSV: UTF-8 with a byte order mark, commas, CRLF, so that Excel opens it as it is.

    Texts that a spreadsheet would take for a formula get an apostrophe before them.

    Args:
        sheet: The table.
        decimal_comma: Numbers with a decimal comma, and semicolons between cells, as spreadsheets expect it where
            people write numbers so.
    """
    return csv_lines((sheet.header, *sheet.rows), decimal_comma=decimal_comma).encode("utf-8-sig")


def csv_lines(rows: Iterable[Sequence[Cell]], *, decimal_comma: bool = False) -> str:
    """Rows as lines of CSV, for tables that are written piece by piece; as in :func:`csv_bytes`, without its mark."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n", delimiter=";" if decimal_comma else ",")
    writer.writerows([_csv_cell(cell, decimal_comma=decimal_comma) for cell in row] for row in rows)
    return text.getvalue()


def write_workbook(sheets: Sequence[Sheet], path: Path) -> None:
    """All tables as an Excel workbook, one a tab, texts stored as texts whatever they start with."""
    book = Workbook(write_only=True)
    book.properties.creator = "liverimg"
    book.properties.created = book.properties.modified = _EPOCH
    for sheet in sheets:
        page = book.create_sheet(sheet.title)
        page.freeze_panes = "B2"
        for n, width in enumerate(_widths(sheet), start=1):
            page.column_dimensions[get_column_letter(n)].width = width
        page.append([_excel_cell(page, name, bold=True) for name in sheet.header])
        for row in sheet.rows:
            page.append([_excel_cell(page, cell) for cell in row])
        page.auto_filter.ref = f"A1:{get_column_letter(len(sheet.header))}{len(sheet.rows) + 1}"
    book.save(path)


def clean(text: str) -> str:
    """A text without signs that a file can't hold, and no longer than a cell may be."""
    text = _NOT_XML.sub("\ufffd", text)
    return text if len(text) < _LONGEST else text[: _LONGEST - 1] + "…"


def is_formula(text: str) -> bool:
    """Whether a spreadsheet might compute it."""
    return text.lstrip(" \u00a0").startswith(_FORMULA_START)


def _csv_cell(cell: Cell, *, decimal_comma: bool) -> str:
    if isinstance(cell, float):
        number = repr(cell)
        # Where the point groups thousands, three digits after it would make 27657 of 27.657.
        padded = f"{number}0" if _THREE_DECIMALS.search(number) else number
        return padded.replace(".", ",") if decimal_comma else padded
    if not isinstance(cell, str):
        return "" if cell is None else repr(cell)
    text = clean(cell)
    return f"'{text}" if is_formula(text) else text


def _excel_cell(page: object, cell: Cell, *, bold: bool = False) -> object:
    made = WriteOnlyCell(page, value=clean(cell) if isinstance(cell, str) else cell)
    if isinstance(cell, str):
        # openpyxl would make a formula of a text that starts with "="; the mark keeps Excel from doing so on editing.
        made.data_type = "s"
        made.quotePrefix = is_formula(made.value)
        made.alignment = Alignment(vertical="top", wrap_text=len(made.value) > _WIDEST)
    if bold:
        made.font = Font(bold=True)
    return made


def _widths(sheet: Sheet) -> list[float]:
    """Wide enough for the header and most cells, and no wider than can be read."""
    widths = [len(name) for name in sheet.header]
    for row in sheet.rows:
        widths = [max(w, len(str(cell)) if cell is not None else 0) for w, cell in zip(widths, row, strict=True)]
    return [min(w, _WIDEST) + 2.0 for w in widths]
