"""What one study of a cohort adds to its tables: rows of numbers, rows of refusals, and facts for the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from liverimg.core.errors import LiverimgError
from liverimg.files.result_tables import TIDY_HEADER, Cell
from liverimg.pipeline.cohort_folder import CohortFolder
from liverimg.pipeline.journal import reduced
from liverimg.stages.export import long_table
from liverimg.workspace import Artefact

# Studies that are read together; the Parquet file gets a row group for each batch.
BATCH: Final = 64
_NUMBERS: Final = frozenset(("value", "low", "high"))
_MEASURED: Final = TIDY_HEADER.index("measured")
_KIND: Final = TIDY_HEADER.index("kind")
_NUMBERS_OF: Final = (Artefact.MEASUREMENTS, Artefact.RESPONSE, Artefact.PERFUSION)
_PAGES: Final = (Artefact.RESPONSE_REPORT, Artefact.REPORT, Artefact.PERFUSION_REPORT)

MEASUREMENT_COLUMNS: Final[Mapping[str, type]] = {"study_id": str} | {
    name: float if name in _NUMBERS else bool if name == "measured" else str for name in TIDY_HEADER
}
REFUSAL_COLUMNS: Final[Mapping[str, type]] = {
    "study_id": str,
    "level": str,
    "what": str,
    "code": str,
    "sentence": str,
    "stage": str,
    "tries": int,
}


@dataclass(frozen=True)
class StudyRows:
    """One study in the tables.

    Attributes:
        study_id: Its id.
        is_done: Whether it is done.
        measurements: Cells in the order of ``MEASUREMENT_COLUMNS``.
        refusals: Cells in the order of ``REFUSAL_COLUMNS``: the study itself, or its series that were not used.
        modalities: Of its volumes.
        phases: Of its volumes, each once.
        page: Name of its report in its folder; empty without one.
    """

    study_id: str
    is_done: bool
    measurements: tuple[tuple[Cell, ...], ...] = ()
    refusals: tuple[tuple[Cell, ...], ...] = ()
    modalities: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    page: str = ""


def all_rows(folder: Path, names: Sequence[str], *, processes: int) -> Iterator[list[StudyRows]]:
    """The rows of all studies in their order, batch by batch, read from what lies on disk.

    Args:
        folder: Of the cohort.
        names: Ids of the studies.
        processes: How many may read at once; the rows are the same whatever their number.
    """
    batches = [names[n : n + BATCH] for n in range(0, len(names), BATCH)]
    read = 0
    if processes > 1 and len(batches) > 1:
        # One that is killed breaks the pool; what it had not read is then read here.
        with suppress(BrokenProcessPool):
            for found in _by_many(folder, batches, processes):
                read += 1
                yield found
    yield from (batch_rows(folder, batch) for batch in batches[read:])


def _by_many(folder: Path, batches: Sequence[Sequence[str]], processes: int) -> Iterator[list[StudyRows]]:
    """The rows of each batch in order; no more of them wait in memory than the processes can be at."""
    # A fresh interpreter each: this process has threads, and a fork would copy their locks as they stand.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        rest = iter(batches)
        waiting: list[Future[list[StudyRows]]] = [
            pool.submit(batch_rows, folder, batch) for batch in islice(rest, 2 * processes)
        ]
        while waiting:
            found = waiting.pop(0).result()
            waiting += [pool.submit(batch_rows, folder, batch) for batch in islice(rest, 1)]
            yield found


def batch_rows(folder: Path, names: Sequence[str]) -> list[StudyRows]:
    """The rows of some studies."""
    return [study_rows(CohortFolder(folder), name) for name in names]


def study_rows(cohort: CohortFolder, name: str) -> StudyRows:
    """The rows of one study; a study that did not end well has one row, and no number."""
    ending = cohort.ending(name)
    if ending is not None:
        return _refused(name, ending.code, ending.sentence, ending.stage, ending.tries)
    out = cohort.study(name)
    if not any((out / record.value).is_file() for record in _NUMBERS_OF):
        return StudyRows(name, is_done=True)
    try:
        results, sheet = long_table(out)
    except LiverimgError as error:
        # Somebody changed a record by hand since; the study is named, and the table goes on.
        return _refused(name, "unreadable", reduced(str(error), hide=(str(out),)), "", 1)
    measured = tuple(_row(name, row) for row in sheet.rows if row[_KIND] != "refused")
    series = tuple(
        (name, "series", r["what"], r["code"], r["reason"], "ingest", None) for r in results.study["rejected"]
    )
    volumes = results.study["volumes"]
    return StudyRows(
        name,
        is_done=True,
        measurements=measured,
        refusals=series,
        modalities=tuple(sorted({v["modality"] for v in volumes} | {"US" for _ in results.study.get("cines", ())})),
        phases=tuple(dict.fromkeys(v["phase"] for v in volumes)),
        page=next((page.value for page in _PAGES if (out / page.value).is_file()), ""),
    )


def _row(name: str, row: tuple[Cell, ...]) -> tuple[Cell, ...]:
    cells = list(row)
    cells[_MEASURED] = row[_MEASURED] == "yes"
    return (name, *cells)


def _refused(name: str, code: str, sentence: str, stage: str, tries: int) -> StudyRows:
    return StudyRows(name, is_done=False, refusals=((name, "study", "", code, sentence, stage, tries),))
