"""Where the timeline goes: a record, a page, or both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import liverimg
from liverimg.core.errors import UsageError
from liverimg.core.timeline import Course
from liverimg.files import records
from liverimg.files.tables import read_table
from liverimg.files.timeline_records import timeline_to_record
from liverimg.report.timeline_page import render_timeline_page

_NAMES = ("timeline.json", "timeline.html")


def files_of(out: Path | None) -> tuple[Path, ...]:
    """The files to write: both names in a folder, or the one that was named; none without ``out``.

    Raises:
        UsageError: No such place.
    """
    if out is None:
        return ()
    if out.suffix.lower() in (".json", ".html"):
        if out.is_dir() or not out.parent.is_dir():
            raise UsageError(f"--out {out}: expected the name of a file in a folder that is there")
        return (out,)
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: expected a folder, or the name of a file that ends in .json or .html")
    return tuple(out / name for name in _NAMES)


def write_course(course: Course, files: Sequence[Path]) -> None:
    """Writes the record and the page; a file that is there is replaced whole or not at all."""
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.part")
        try:
            draft.write_text(_content(course, path), encoding="utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def _content(course: Course, path: Path) -> str:
    if path.suffix.lower() == ".json":
        record = timeline_to_record(course)
        records.check(record, "timeline", path.name)
        return records.dump(record)
    provenance = (("Software", f"liverimg {liverimg.__version__}"),)
    return render_timeline_page(course, read_table("timeline_strings"), provenance=provenance)
