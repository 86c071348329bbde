"""A cohort: many studies through their recipes on many workers, then one table of all numbers and one of all refusals.

Every study has an output folder of its own and is committed there as any run commits: it is done once, however often
its worker, the scheduler or this process was killed. The tables are built at the end from what lies on disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import liverimg
from liverimg.core.errors import UsageError
from liverimg.files.tables import read_table
from liverimg.pipeline.cohort_ends import Counts, Ends, Watcher
from liverimg.pipeline.cohort_folder import CohortFolder
from liverimg.pipeline.cohort_job import Job
from liverimg.pipeline.cohort_manifest import Defaults, plan
from liverimg.pipeline.cohort_serial import serially
from liverimg.pipeline.journal import Span, journal, tell
from liverimg.pipeline.recipe import load_recipe
from liverimg.report.cohort_page import render_cohort_page

_PAGE = "cohort.html"
_NEEDS = "it needs Dask and Arrow; install them with: pip install 'liverimg[cohort]'"


@dataclass(frozen=True)
class Workers:
    """Who does the work; one of the three.

    Attributes:
        count: Worker processes on this machine; 0 works in this process, one study after the other.
        scheduler: Address of a Dask scheduler that runs already.
        slurm: TOML file with the options of jobs that SLURM starts.
        dashboard: Address of Dask's pages; empty for none.
    """

    count: int | None = None
    scheduler: str | None = None
    slurm: Path | None = None
    dashboard: str = "127.0.0.1:8787"


@dataclass(frozen=True)
class CohortRequest:
    """What is asked for.

    Attributes:
        source: Manifest, or folder of studies.
        out: Folder for everything.
        defaults: What holds for every study that says nothing else.
        workers: Who does the work.
        tries: Of a study that fails or whose worker dies.
        study_h: Hours that a study may take.
    """

    source: Path
    out: Path
    defaults: Defaults = field(default_factory=Defaults)
    workers: Workers = field(default_factory=Workers)
    tries: int = 3
    study_h: float = 6.0


@dataclass(frozen=True)
class CohortResult:
    """What came of it.

    Attributes:
        counts: How the studies ended.
        files: Tables and page.
    """

    counts: Counts
    files: tuple[Path, ...]


def run_cohort(request: CohortRequest, watcher: Watcher) -> CohortResult:
    """Takes every study to its end, then writes tables and page.

    A second call with the same folder goes on where the first was ended: what is done is fresh and is not done again.

    Raises:
        UsageError: The request contradicts itself, names what does not exist, or workers run another version.
        WorkspaceError: The folder can't be used, or another run has it.
        PeerError: There is no scheduler.
    """
    _check(request)
    cohort = CohortFolder(request.out)
    jobs = plan(request.source, cohort.studies, request.defaults)
    hide = [text for path in (request.source, request.out) for text in (str(path), str(path.resolve()), path.name)]
    with cohort.locked(), journal(cohort.log, hide=hide), Span("cohort", hide=hide, studies=len(jobs)):
        cohort.put_list(jobs)
        ends = Ends(cohort, len(jobs), watcher)
        _work(request, jobs, ends, cohort)
        files = _write(request, cohort, jobs)
        tell("cohort_tables_written")
    return CohortResult(ends.counts, files)


def _check(request: CohortRequest) -> None:
    """Refuses what contradicts itself, before any work is done."""
    workers = request.workers
    if sum(one is not None for one in (workers.count, workers.scheduler, workers.slurm)) > 1:
        raise UsageError("--workers, --scheduler and --slurm each say who does the work; give one of them")
    if request.tries < 1:
        raise UsageError(f"--tries {request.tries}: expected 1 or more")
    if not request.study_h > 0:
        raise UsageError(f"--hours {request.study_h:g}: expected how many hours a study may take")


def _work(request: CohortRequest, jobs: Sequence[Job], ends: Ends, cohort: CohortFolder) -> None:
    """Every study to its end, by whoever was asked for."""
    if request.workers.count == 0:
        serially(jobs, ends, tries=request.tries)
        return
    try:
        from liverimg.pipeline.cohort_drive import Drive, Limits
    except ImportError as error:
        raise UsageError(f"liverimg cohort on several workers: {_NEEDS}") from error
    limits = Limits(tries=request.tries, study_h=request.study_h)
    with _cluster(request.workers, cohort) as link:
        Drive(jobs, link, ends, limits).through()


@contextmanager
def _cluster(workers: Workers, cohort: CohortFolder) -> Iterator[Any]:
    """The link to the workers that were asked for; one for each pair of cores where nobody said how many."""
    from liverimg.pipeline import cohort_cluster as cluster

    if workers.scheduler is not None:
        opened = cluster.remote(workers.scheduler)
    elif workers.slurm is not None:
        from liverimg.pipeline.cohort_slurm import slurm

        opened = slurm(workers.slurm, shared=cohort.keys, dashboard=workers.dashboard)
    else:
        count = workers.count or max(1, (os.cpu_count() or 1) // 2)
        opened = cluster.local(cluster.LocalWorkers(count, workers.dashboard, gpus=cluster.visible_gpus()))
    with opened as link:
        yield link


def _write(request: CohortRequest, cohort: CohortFolder, jobs: Sequence[Job]) -> tuple[Path, ...]:
    """Tables and page."""
    try:
        from liverimg.pipeline.cohort_tables import table_files, write_tables
    except ImportError as error:
        raise UsageError(f"the tables of a cohort: {_NEEDS}") from error
    gathered = write_tables(cohort, [job.id for job in jobs], processes=os.cpu_count() or 1)
    titles = {job.recipe: load_recipe(job.recipe, only=["ingest"]).title for job in jobs}
    content = gathered.content(title=", ".join(dict.fromkeys(titles.values())), total=len(jobs))
    provenance = (("Software", f"liverimg {liverimg.__version__}"),)
    text = render_cohort_page(content, read_table("cohort_strings"), provenance=provenance)
    page = cohort.replace(_PAGE, lambda path: path.write_text(text, encoding="utf-8"))
    return (*table_files(request.out), page)
