"""A cohort in this very process, one study after the other: no Dask, and nothing between it and a crash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from liverimg.pipeline.cohort_ends import Ends
from liverimg.pipeline.cohort_job import Came, Job, work


def serially(jobs: Sequence[Job], ends: Ends, *, tries: int) -> None:
    """Takes every study to its end.

    Args:
        jobs: The studies.
        ends: Told how each ended.
        tries: Of a study that fails.
    """
    for job in _needed_first(jobs):
        ends.watch(running=1, workers=1)
        if not ends.refused_for_need(job):
            _one(job, ends, tries)


def _one(job: Job, ends: Ends, tries: int) -> None:
    for number in range(1, tries + 1):
        attempt = work(job)
        if attempt.came is Came.DONE:
            ends.done(job, attempt)
        elif attempt.came is Came.REFUSED:
            ends.refused(job, attempt, tries=1)
        elif number == tries:
            ends.failed(job, attempt, tries=tries)
        else:
            continue
        return


def _needed_first(jobs: Sequence[Job]) -> Iterator[Job]:
    """The same order, but for studies that need others: those come after them."""
    settled: set[str] = set()
    rest = list(jobs)
    while rest:
        now = [job for job in rest if settled.issuperset(job.needs)]
        yield from now
        settled |= {job.id for job in now}
        rest = [job for job in rest if job.id not in settled]
