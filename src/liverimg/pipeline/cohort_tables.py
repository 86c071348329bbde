"""The tables of a cohort, written from what lies on disk: the same bytes whoever did the work, and how often."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from liverimg.files.parquet import ParquetTable
from liverimg.files.result_tables import Cell
from liverimg.files.spreadsheet import csv_lines
from liverimg.pipeline.cohort_folder import CohortFolder
from liverimg.pipeline.cohort_rows import MEASUREMENT_COLUMNS, REFUSAL_COLUMNS, StudyRows, all_rows
from liverimg.pipeline.cohort_summary import Gathering

MEASUREMENTS: Final = "measurements"
REFUSALS: Final = "refusals"
_TABLES: Final = {MEASUREMENTS: MEASUREMENT_COLUMNS, REFUSALS: REFUSAL_COLUMNS}
_MARK: Final = "\ufeff"


def write_tables(cohort: CohortFolder, names: Sequence[str], *, processes: int) -> Gathering:
    """Writes both tables, each as Parquet and as CSV, and gathers what the page says of them.

    Args:
        cohort: Its folder.
        names: Ids of the studies in order.
        processes: How many may read at once.
    """
    gathered = Gathering()
    with ExitStack() as stack:
        drafts = {name: cohort.draft(name) for table in _TABLES for name in _files(table)}
        for draft in drafts.values():
            stack.callback(draft.unlink, missing_ok=True)
        with ExitStack() as open_files:
            writers = {table: _Both(open_files, drafts, table) for table in _TABLES}
            for batch in all_rows(cohort.folder, names, processes=processes):
                writers[MEASUREMENTS].write(row for study in batch for row in study.measurements)
                writers[REFUSALS].write(row for study in batch for row in study.refusals)
                _gather(gathered, batch)
        for name in drafts:
            cohort.publish(name)
    return gathered


def table_files(folder: Path) -> tuple[Path, ...]:
    """Where the tables lie."""
    return tuple(folder / name for table in _TABLES for name in _files(table))


def _files(table: str) -> tuple[str, str]:
    return f"{table}.parquet", f"{table}.csv"


def _gather(gathered: Gathering, batch: Iterable[StudyRows]) -> None:
    for study in batch:
        gathered.add(study)


class _Both:
    """One table as Parquet and as CSV."""

    def __init__(self, stack: ExitStack, drafts: dict[str, Path], table: str) -> None:
        parquet, csv = _files(table)
        columns = _TABLES[table]
        self._parquet = stack.enter_context(ParquetTable(drafts[parquet], columns))
        self._csv = stack.enter_context(drafts[csv].open("w", encoding="utf-8", newline=""))
        # The mark tells Excel that this is UTF-8.
        self._csv.write(_MARK + csv_lines([tuple(columns)]))

    def write(self, rows: Iterable[tuple[Cell, ...]]) -> None:
        """The rows of one batch."""
        found = list(rows)
        self._parquet.write(found)
        self._csv.write(csv_lines([["yes" if c is True else "no" if c is False else c for c in row] for row in found]))
