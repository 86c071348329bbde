"""Sends the studies of a cohort to workers: one at a time to each, again when a worker dies, never two to one.

Which worker gets which study is decided here, not by Dask's scheduler: a worker that dies then takes one study with it,
and that study alone is counted a try. Nothing is kept that can't be lost: the workers write each study's folder as any
run does, and what ended otherwise lies on disk before the next study is sent.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final

from distributed import CancelledError, Client, Future, KilledWorker

import liverimg
from liverimg.core.errors import PeerError, UsageError
from liverimg.pipeline.cohort_cluster import Link
from liverimg.pipeline.cohort_ends import Ends
from liverimg.pipeline.cohort_job import Attempt, Came, Job, work
from liverimg.pipeline.journal import tell

_LOOK_S: Final = 1.0
_CONNECT_WAIT_S: Final = 2.0
_BUSY_WAIT_S: Final = 5.0
_HOUR_S: Final = 3600.0
_RESTART_S: Final = 30
_ANSWER_S: Final = 30
_HEAL_S: Final = 10.0


@dataclass(frozen=True)
class Limits:
    """When to give up.

    Attributes:
        tries: Of a study that fails or whose worker dies.
        study_h: Hours that a study may take.
        patience_s: Seconds without a scheduler until the run ends.
    """

    tries: int = 3
    study_h: float = 6.0
    patience_s: float = 600.0


@dataclass
class _Running:
    job: Job
    worker: str
    began_s: float
    overdue: bool = False


@dataclass
class _Waiting:
    """Studies that no worker has: ready, put off, or in need of another's results."""

    ready: deque[Job] = field(default_factory=deque)
    later: list[tuple[float, Job]] = field(default_factory=list)
    blocked: list[Job] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ready) + len(self.later) + len(self.blocked)

    def wake(self) -> None:
        """What was put off and is due again."""
        now_s = time.monotonic()
        self.ready.extend(job for due_s, job in self.later if due_s <= now_s)
        self.later = [(due_s, job) for due_s, job in self.later if due_s > now_s]


class Drive:
    """Takes studies to their ends.

    Args:
        jobs: The studies.
        link: The way to a scheduler.
        ends: Told how each study ended.
        limits: When to give up.
    """

    def __init__(self, jobs: Sequence[Job], link: Link, ends: Ends, limits: Limits) -> None:
        self._link, self._ends, self._limits = link, ends, limits
        self._waiting = _Waiting(deque(j for j in jobs if not j.needs), [], [j for j in jobs if j.needs])
        self._running: dict[Future, _Running] = {}
        self._came: SimpleQueue[Future] = SimpleQueue()
        self._tries: dict[str, Counter[str]] = {}
        self._bad: set[str] = set()
        self._client: Client | None = None
        self._healed_s = time.monotonic()

    def through(self) -> None:
        """Until every study has ended.

        Raises:
            PeerError: There was no scheduler for too long.
            UsageError: Workers run another version, or none of ours.
        """
        try:
            while self._waiting or self._running:
                client = self._connected()
                workers = _workers(client)
                self._look(client, workers)
                self._send(client, workers)
                self._ends.watch(running=len(self._running), workers=len(workers))
                self._collect()
        finally:
            if self._client is not None:
                self._client.close(timeout=_CONNECT_WAIT_S)

    # ---- sending ----

    def _send(self, client: Client, workers: Mapping[str, Mapping[str, Any]]) -> None:
        """A study to each worker that has none and can do it."""
        self._waiting.wake()
        self._unblock()
        taken = {r.worker for r in self._running.values()} | self._bad
        for address, worker in workers.items():
            if address in taken:
                continue
            job = self._next_for(worker.get("resources") or {})
            if job is None:
                continue
            future = client.submit(
                work, job, liverimg.__version__,
                key=f"{job.id}-{time.monotonic_ns()}", workers=[address], resources=job.demands, pure=False, retries=0,
            )  # fmt: skip
            self._running[future] = _Running(job, address, time.monotonic())
            future.add_done_callback(self._came.put)

    def _next_for(self, has: Mapping[str, float]) -> Job | None:
        """The first study that asks for no more than a worker has."""
        for n, job in enumerate(self._waiting.ready):
            if all(has.get(name, 0) >= wanted for name, wanted in job.demands.items()):
                del self._waiting.ready[n]
                return job
        return None

    def _unblock(self) -> None:
        """Studies whose needs are done may go; those whose needs are not to be had end here."""
        still: list[Job] = []
        for job in self._waiting.blocked:
            if self._ends.refused_for_need(job):
                continue
            (self._waiting.ready if all(map(self._ends.is_done, job.needs)) else still).append(job)
        self._waiting.blocked = still

    # ---- collecting ----

    def _collect(self) -> None:
        """What has come, after waiting for the first a little."""
        try:
            futures = [self._came.get(timeout=_LOOK_S)]
        except Empty:
            return
        while not self._came.empty():
            futures.append(self._came.get())
        for future in futures:
            running = self._running.pop(future, None)
            if running is not None:
                self._came_back(future, running)

    def _came_back(self, future: Future, running: _Running) -> None:
        job = running.job
        try:
            attempt = future.result(timeout=_ANSWER_S)
        except KilledWorker:
            self._count_death(running)
        except ImportError as error:
            raise UsageError("a worker can't import liverimg; install the same version there as here") from error
        except (CancelledError, OSError):
            # The scheduler went away, or the worker did with the answer: how the study ended lies on disk.
            self._waiting.ready.append(job)
        else:
            self._settle(job, attempt)

    def _settle(self, job: Job, attempt: Attempt) -> None:
        if attempt.came is Came.DONE:
            self._ends.done(job, attempt)
        elif attempt.code == "version":
            raise UsageError(attempt.sentence)
        elif attempt.came is Came.REFUSED:
            self._ends.refused(job, attempt, tries=1)
        elif attempt.came is Came.BUSY:
            # A worker of an earlier run, or one that lost its scheduler, has not ended yet.
            tell("cohort_busy", study=job.id)
            self._waiting.later.append((time.monotonic() + _BUSY_WAIT_S, job))
        else:
            self._failed(job, attempt.code, attempt.sentence, attempt.stage)

    def _count_death(self, running: _Running) -> None:
        if running.overdue:
            code, sentence = "too_long", f"it took more than {self._limits.study_h:g} h"
        else:
            code, sentence = "worker_died", "the worker process died on it (memory, or a crash in a library)"
        self._failed(running.job, code, sentence, self._ends.stage_of(running.job))

    def _failed(self, job: Job, code: str, sentence: str, stage: str) -> None:
        """Counts a try; behind all others the study is tried again, or ends."""
        counts = self._tries.setdefault(job.id, Counter())
        counts[code] += 1
        tell("cohort_try_failed", study=job.id, code=code, stage=stage, tries=counts.total())
        if counts.total() < self._limits.tries:
            self._waiting.ready.append(job)
        else:
            self._ends.failed(job, Attempt(Came.FAILED, code, sentence, stage), tries=counts[code])

    # ---- looking after workers ----

    def _look(self, client: Client, workers: Mapping[str, Mapping[str, Any]]) -> None:
        """Studies whose worker is gone, studies that take too long, and workers that nobody starts again."""
        now_s = time.monotonic()
        if now_s - self._healed_s > _HEAL_S:
            self._link.heal()
            self._healed_s = now_s
        for future, running in list(self._running.items()):
            if running.worker not in workers and future.status == "pending":
                del self._running[future]
                future.cancel(force=True)
                self._count_death(running)
            elif now_s - running.began_s > self._limits.study_h * _HOUR_S and not running.overdue:
                running.overdue = True
                self._end_worker(client, future, running)

    def _end_worker(self, client: Client, future: Future, running: _Running) -> None:
        """Ends the process that a study hangs in; one that nobody restarts gets no more studies."""
        try:
            client.restart_workers([running.worker], timeout=_RESTART_S, raise_for_error=False)
        except (ValueError, OSError):
            self._bad.add(running.worker)
            del self._running[future]
            future.cancel(force=True)
            self._count_death(running)

    def _connected(self) -> Client:
        """The client, connected anew where the scheduler went away; what ran then is unknown and is sent again."""
        if self._client is not None and self._client.status == "running":
            return self._client
        self._waiting.ready.extend(running.job for running in self._running.values())
        self._running.clear()
        began_s = time.monotonic()
        if self._client is not None:
            tell("cohort_scheduler_lost")
            self._client.close(timeout=_CONNECT_WAIT_S)
            self._client = None
        while self._client is None:
            try:
                self._client = self._link.connect()
            except PeerError:
                if time.monotonic() - began_s > self._limits.patience_s:
                    raise
                self._ends.watch(running=0, workers=0)
                time.sleep(_CONNECT_WAIT_S)
        return self._client


def _workers(client: Client) -> dict[str, Mapping[str, Any]]:
    """The workers that take studies, by address."""
    try:
        found = client.scheduler_info(n_workers=-1)["workers"]
    except (OSError, TimeoutError):
        return {}
    return {address: worker for address, worker in found.items() if worker.get("status") == "running"}
