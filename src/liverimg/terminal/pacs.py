"""Tables of what archives hold and of what they took. Texts come from strangers: nothing in them steers a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from liverimg.pacs.names import printable

if TYPE_CHECKING:
    from liverimg.pacs.parcel import Sent
    from liverimg.pacs.query import Level, Row

_COLUMNS = {
    "study": {
        "patient_id": "Patient ID", "patient_name": "Name", "study_date": "Date", "modalities": "Modalities",
        "study_description": "Description", "series": "Series", "instances": "Objects",
        "study_instance_uid": "Study UID",
    },
    "series": {
        "series_number": "No.", "modality": "Modality", "series_description": "Description", "instances": "Objects",
        "series_instance_uid": "Series UID",
    },
    "image": {"instance_number": "No.", "sop_class_uid": "Class", "sop_instance_uid": "Object UID"},
}  # fmt: skip


_WIDEST: Final = 400


def show_matches(rows: Sequence[Row], level: Level, *, is_cut: bool) -> None:
    """One line per answer."""
    # As wide as it takes: a UID is there to be copied, and a table that a terminal breaks still reads line by line.
    console = Console(highlight=False, width=_WIDEST)
    columns = _COLUMNS[level.value]
    table = Table(box=None, pad_edge=False)
    for heading in columns.values():
        table.add_column(heading, no_wrap=True)
    for row in rows:
        cells = (row.get(name, "") for name in columns)
        table.add_row(*(Text(printable(" ".join(c) if isinstance(c, list) else c)) for c in cells))
    console.print(table if rows else Text("nothing matches"))
    if is_cut:
        console.print(Text(f"only the first {len(rows)} answers are shown; narrow the question down"))


def show_sent(verdicts: Sequence[Sent], left_out: Sequence[str]) -> None:
    """What was not simply stored, one line each; then how many were."""
    console = Console(highlight=False)
    for verdict in verdicts:
        if verdict.words:
            words = f"{printable(verdict.file)}: {verdict.fate.replace('_', ' ')}: {printable(verdict.words)}"
            console.print(Text(words))
    for name in left_out:
        console.print(Text(f"{printable(name)}: no DICOM object, left out"))
    counts = Counter(verdict.fate.replace("_", " ") for verdict in verdicts)
    console.print(Text(", ".join(f"{count} {fate}" for fate, count in sorted(counts.items()))))
