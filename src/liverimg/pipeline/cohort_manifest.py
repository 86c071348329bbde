"""Which studies a cohort has: a table that names them, or a folder whose subfolders they are."""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from liverimg.core.errors import UsageError
from liverimg.pipeline.cohort_job import Job
from liverimg.pipeline.options import check_drawing, keep_apart
from liverimg.pipeline.recipe import load_recipe

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH_LETTERS: Final = 12
_SUFFIXES: Final = (".csv", ".tsv", ".txt")
_AFTER: Final = "post_ablation"
# Columns beside id, study, recipe and memory_gb: options of a run. A cell of a list holds its items with ; between.
_FILES: Final = ("labels", "clinical", "transducers")
_RESULTS: Final = ("baseline", "earlier")
_LISTS: Final = ("phase", "use", "contrast_start", "pane", "plane", "treated_on")
_WORDS: Final = ("transducer", "target", "zones_by")
COLUMNS: Final = (
    "id", "study", "recipe", "memory_gb", "model", *_FILES, "criteria", *_RESULTS, *_LISTS, *_WORDS,
)  # fmt: skip


@dataclass(frozen=True)
class Defaults:
    """What holds for every study that says nothing else.

    Attributes:
        recipe: Name or TOML file.
        device: ``auto``, ``cpu`` or ``cuda``.
        memory_gb: Memory that a worker must have to be given a study; 0 for any.
        keep_names: Take the names of subfolders as ids, where a folder is given.
    """

    recipe: str = "pre_ablation"
    device: str = "auto"
    memory_gb: float = 0.0
    keep_names: bool = False


def plan(source: Path, studies: Path, defaults: Defaults) -> list[Job]:
    """The studies of a cohort in the order of their table, or of their folders' names.

    Args:
        source: A CSV or TSV file with a column ``study``, or a folder whose subfolders are studies.
        studies: Where each study's output folder will lie.
        defaults: What holds where a row says nothing.

    Raises:
        UsageError: No studies, a column or a recipe that does not exist, an id twice or that can't be a folder's name,
            or studies that wait for each other.
    """
    check_drawing(model=None, labels=None, device=defaults.device)
    if source.is_dir():
        jobs = list(_from_folder(source, studies, defaults))
    elif source.is_file() and source.suffix.lower() in _SUFFIXES:
        jobs = list(_from_table(source, studies, defaults))
    else:
        raise UsageError(
            f"{source} is neither a folder of studies nor a table that ends in .csv or .tsv; give one of them"
        )
    _refuse_twins(jobs)
    for name in sorted({job.recipe for job in jobs}):
        load_recipe(name, only=["ingest"])
    return _ordered(jobs)


def opaque_id(study: Path, *, beside: Path) -> str:
    """An id that tells nobody's name: the beginning of a hash of where the study lies, seen from the source."""
    place = study.relative_to(beside) if study.is_relative_to(beside) else study
    return f"s{hashlib.sha256(place.as_posix().encode()).hexdigest()[:_HASH_LETTERS]}"


def _from_folder(folder: Path, studies: Path, defaults: Defaults) -> Iterator[Job]:
    found = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not found:
        raise UsageError(f"{folder} has no subfolders, expected one a study; for a single study use 'liverimg pre'")
    for study in found:
        if studies.resolve().is_relative_to(study.resolve()):
            raise UsageError(f"--out lies inside {study}, which would be read as a study; choose another place")
        name = study.name if defaults.keep_names else opaque_id(study, beside=folder)
        if not _ID.fullmatch(name):
            raise UsageError("a subfolder's name can't be an id (letters, digits, . _ -); leave --keep-names out")
        yield Job(name, study, studies / name, defaults.recipe, {"device": defaults.device}, (), defaults.memory_gb)


def _from_table(path: Path, studies: Path, defaults: Defaults) -> Iterator[Job]:
    rows = list(_rows(path))
    if not rows:
        raise UsageError(f"{path.name} names no study; expected a header and one row a study")
    beside = path.parent
    ids = [row.get("id") or opaque_id(_path(row["study"], beside), beside=beside) for _, row in rows]
    known = frozenset(ids)
    for (line, row), name in zip(rows, ids, strict=True):
        where = f"{path.name}, line {line}"
        if not _ID.fullmatch(name):
            raise UsageError(f"{where}: the id is no name for a folder; expected letters, digits, . _ - (at most 64)")
        options, needs = _options(row, name, beside, studies, known)
        study = _path(row["study"], beside)
        keep_apart(study, studies / name)
        check_drawing(model=options.get("model"), labels=options.get("labels"), device=defaults.device)
        own = row.get("recipe", "")
        recipe = (
            str(beside / own) if own.endswith(".toml") else own or (_AFTER if "baseline" in row else defaults.recipe)
        )
        options["device"] = defaults.device
        yield Job(name, study, studies / name, recipe, options, needs, _memory_gb(row, where, defaults.memory_gb))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells that are not empty, by column."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} can't be read as UTF-8 text ({type(error).__name__}); save it so") from error
    head = text.partition("\n")[0]
    # Excel writes semicolons where commas are decimal points.
    delimiter = max("\t;,", key=head.count) if path.suffix.lower() != ".tsv" else "\t"
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    names = [name.strip().lower() for name in next(reader, [])]
    _check_columns(names, path.name)
    for cells in reader:
        row = {n: c.strip() for n, c in zip(names, cells, strict=False) if c.strip()}
        if len(cells) > len(names) or (row and "study" not in row):
            raise UsageError(f"{path.name}, line {reader.line_num}: expected a study and at most {len(names)} cells")
        if row:
            yield reader.line_num, row


def _check_columns(names: Sequence[str], where: str) -> None:
    for name in names:
        if name not in COLUMNS:
            near = get_close_matches(name, COLUMNS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected some of: {', '.join(COLUMNS)}"
            raise UsageError(f"{where} has a column {name!r}; {hint}")
    if "study" not in names or len(set(names)) < len(names):
        raise UsageError(f"{where}: expected a column 'study' and no column twice")


def _options(
    row: Mapping[str, str], own_id: str, beside: Path, studies: Path, known: frozenset[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The row's options as a request takes them, and the ids of the rows whose results it reads."""
    options: dict[str, Any] = {name: row[name] for name in _WORDS if name in row}
    options |= {name: _items(row[name]) for name in _LISTS if name in row}
    options |= {name: _path(row[name], beside) for name in _FILES if name in row}
    if "criteria" in row:
        options["criteria"] = [_path(item, beside) for item in _items(row["criteria"])]
    if "model" in row:
        own = _path(row["model"], beside)
        options["model"] = own if own.is_dir() else row["model"]
    needs = []
    for name in _RESULTS:
        if name in row:
            is_row = row[name] in known and row[name] != own_id
            options[name] = studies / row[name] if is_row else _path(row[name], beside)
            needs += [row[name]] if is_row else []
    return options, tuple(dict.fromkeys(needs))


def _items(cell: str) -> list[str]:
    return [item.strip() for item in cell.split(";") if item.strip()]


def _path(text: str, beside: Path) -> Path:
    """A path as the table means it: from the table's own folder."""
    return beside / text


def _memory_gb(row: Mapping[str, str], where: str, default: float) -> float:
    try:
        given = float(row.get("memory_gb", default))
    except ValueError:
        given = math.nan
    if not (math.isfinite(given) and given >= 0):
        raise UsageError(f"{where}: memory_gb is no number of gigabytes; expected one such as 12")
    return given


def _refuse_twins(jobs: Sequence[Job]) -> None:
    # Some file systems take A and a for one name.
    seen: dict[str, Job] = {}
    for job in jobs:
        if job.id.casefold() in seen:
            raise UsageError(
                f"two studies have the id {job.id}; give each an id of its own in the column 'id', and name each once"
            )
        seen[job.id.casefold()] = job


def _ordered(jobs: list[Job]) -> list[Job]:
    """The same order; refuses studies that wait for each other in a circle."""
    settled: set[str] = set()
    rest = jobs
    while rest:
        now = [job for job in rest if settled.issuperset(job.needs)]
        if not now:
            raise UsageError(
                f"the studies {', '.join(j.id for j in rest[:3])} wait for each other's results; mend that"
            )
        settled |= {job.id for job in now}
        rest = [job for job in rest if job.id not in settled]
    return jobs
