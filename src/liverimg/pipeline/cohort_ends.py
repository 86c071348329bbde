"""How the studies of a cohort have ended so far, on disk first and then in numbers for whoever watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from liverimg.pipeline.cohort_folder import CohortFolder, Ending
from liverimg.pipeline.cohort_job import Attempt, Came, Job
from liverimg.pipeline.journal import tell

_DRAFT = ".draft-"


@dataclass(frozen=True)
class Counts:
    """How far a cohort is.

    Attributes:
        total: Studies.
        done: Done, those that were done before included.
        fresh: Of these, done before.
        refused: Another try would not change it.
        failed: All tries are used up.
        running: With a worker now.
        workers: Workers now.
    """

    total: int
    done: int = 0
    fresh: int = 0
    refused: int = 0
    failed: int = 0
    running: int = 0
    workers: int = 0


class Watcher(Protocol):
    """Told how far a cohort is."""

    def cohort_moved(self, counts: Counts) -> None:
        """Called whenever something changed, and about once a second."""


class Ends:
    """Keeps count of how studies ended.

    Args:
        folder: Of the cohort.
        total: How many studies there are.
        watcher: Whom to tell.
    """

    def __init__(self, folder: CohortFolder, total: int, watcher: Watcher) -> None:
        self._folder, self._total, self._watcher = folder, total, watcher
        self._done: set[str] = set()
        self._fresh = self._refused = self._failed = self._running = self._workers = 0
        self._lost: set[str] = set()

    @property
    def counts(self) -> Counts:
        """How far it is."""
        return Counts(
            self._total, len(self._done), self._fresh, self._refused, self._failed, self._running, self._workers
        )

    def is_done(self, name: str) -> bool:
        """Whether a study is done."""
        return name in self._done

    def refused_for_need(self, job: Job) -> bool:
        """Whether a study ends here because one that it needs has ended without results."""
        lost = next((name for name in job.needs if name in self._lost), None)
        if lost is not None:
            sentence = f"the study {lost}, whose results it reads, was not done; see there"
            self.refused(job, Attempt(Came.REFUSED, "needs_another", sentence), tries=1)
        return lost is not None

    def watch(self, *, running: int, workers: int) -> None:
        """Tells whoever watches."""
        self._running, self._workers = running, workers
        self._watcher.cohort_moved(self.counts)

    def done(self, job: Job, attempt: Attempt) -> None:
        """A study is done."""
        self._folder.forget_ending(job.id)
        self._done.add(job.id)
        self._fresh += attempt.is_fresh
        tell(
            "cohort_study_done",
            study=job.id,
            seconds=round(attempt.seconds, 2),
            fresh=attempt.is_fresh,
            peak_mib=round(attempt.peak_mib),
            process=attempt.process,
        )
        self._watcher.cohort_moved(self.counts)

    def refused(self, job: Job, attempt: Attempt, *, tries: int) -> None:
        """A study was refused."""
        self._refused += 1
        self._put(job, attempt, tries, is_final=True)

    def failed(self, job: Job, attempt: Attempt, *, tries: int) -> None:
        """A study has used up its tries."""
        self._failed += 1
        self._put(job, attempt, tries, is_final=False)

    def stage_of(self, job: Job) -> str:
        """The stage that a worker died in: its draft still lies there."""
        drafts = sorted(job.out.glob(f"{_DRAFT}*"))
        return drafts[-1].name.removeprefix(_DRAFT) if drafts else ""

    def _put(self, job: Job, attempt: Attempt, tries: int, *, is_final: bool) -> None:
        ending = Ending(job.id, attempt.code, attempt.sentence, attempt.stage, tries, is_final)
        self._folder.put_ending(ending)
        self._lost.add(job.id)
        event = "cohort_study_refused" if is_final else "cohort_study_failed"
        tell(event, study=job.id, code=ending.code, stage=ending.stage, tries=tries, message=ending.sentence)
        self._watcher.cohort_moved(self.counts)
