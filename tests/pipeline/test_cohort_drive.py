"""Who gets which study, and what a death, a hang, a lost scheduler or a second run does: on workers made of paper."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from distributed import CancelledError, KilledWorker

import liverimg.pipeline.cohort_drive as drive_module
from liverimg.core.errors import PeerError, UsageError
from liverimg.pipeline.cohort_cluster import Link
from liverimg.pipeline.cohort_drive import Drive, Limits
from liverimg.pipeline.cohort_ends import Counts, Ends
from liverimg.pipeline.cohort_folder import CohortFolder
from liverimg.pipeline.cohort_job import Attempt, Came, Job

DONE = Attempt(Came.DONE)


class Killed(KilledWorker):
    def __init__(self) -> None:
        Exception.__init__(self)


class PaperFuture:
    """Ends as soon as somebody waits for it; a study that hangs never does."""

    def __init__(self, came: object) -> None:
        self.came = came
        self.status = "pending" if came is None else "finished"
        self.was_cancelled = False

    def add_done_callback(self, call: Callable) -> None:
        self.call = call
        if self.came is not None:
            call(self)

    def result(self, timeout: float) -> Attempt:
        if isinstance(self.came, BaseException):
            raise self.came
        return self.came

    def cancel(self, **_: object) -> None:
        self.was_cancelled = True


class PaperClient:
    """Workers and a script: what comes of each study, try by try."""

    def __init__(self, script: Mapping[str, list[object]], workers: Mapping[str, Mapping[str, float]]) -> None:
        self.script, self.workers = script, dict(workers)
        self.status = "running"
        self.sent: list[tuple[str, str]] = []
        self.futures: list[PaperFuture] = []
        self.restarted: list[str] = []

    def scheduler_info(self, n_workers: int) -> dict:
        return {"workers": {a: {"status": "running", "resources": has} for a, has in self.workers.items()}}

    def submit(self, _work: object, job: Job, _version: str, *, workers: list[str], **_: object) -> PaperFuture:
        self.sent.append((job.id, workers[0]))
        turns = self.script.get(job.id, [])
        came = turns.pop(0) if turns else DONE
        future = PaperFuture(came() if callable(came) else came)
        self.futures.append(future)
        return future

    def restart_workers(self, addresses: list[str], **_: object) -> None:
        self.restarted += addresses
        for address in addresses:
            self.workers[f"{address}'"] = self.workers.pop(address)

    def close(self, timeout: float) -> None:
        self.status = "closed"


class Quiet:
    def cohort_moved(self, counts: Counts) -> None:
        self.counts = counts


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_LOOK_S", "_BUSY_WAIT_S", "_CONNECT_WAIT_S"):
        monkeypatch.setattr(drive_module, name, 0.001)


@pytest.fixture
def cohort(tmp_path: Path) -> CohortFolder:
    folder = CohortFolder(tmp_path / "out")
    with folder.locked():
        pass
    return folder


def job(name: str, *, needs: tuple[str, ...] = (), memory_gb: float = 0.0) -> Job:
    return Job(name, Path("in") / name, Path("out") / name, "pre_ablation", needs=needs, memory_gb=memory_gb)


def through(
    cohort: CohortFolder,
    jobs: list[Job],
    script: Mapping[str, list[object]],
    *,
    limits: Limits | None = None,
    workers=None,
) -> tuple[PaperClient, Counts]:
    client = PaperClient(script, workers or {"w1": {}, "w2": {}})
    watcher = Quiet()
    ends = Ends(cohort, len(jobs), watcher)
    Drive(jobs, Link(lambda: client), ends, limits or Limits()).through()
    return client, ends.counts


def test_every_study_is_sent_once_and_no_worker_has_two(cohort: CohortFolder) -> None:
    jobs = [job(f"s{n}") for n in range(20)]
    client, counts = through(cohort, jobs, {})
    assert sorted(name for name, _ in client.sent) == sorted(j.id for j in jobs)
    assert (counts.done, counts.refused, counts.failed) == (20, 0, 0)
    assert {worker for _, worker in client.sent} == {"w1", "w2"}


def test_a_study_that_kills_its_workers_fails_after_its_tries_and_takes_none_along(cohort: CohortFolder) -> None:
    client, counts = through(cohort, [job("bad"), job("good"), job("other")], {"bad": [Killed(), Killed(), Killed()]})
    assert [name for name, _ in client.sent].count("bad") == 3
    assert (counts.done, counts.failed) == (2, 1)
    ending = cohort.ending("bad")
    assert (ending.code, ending.tries, ending.is_final) == ("worker_died", 3, False)


def test_an_innocent_study_is_tried_again_behind_the_others(cohort: CohortFolder) -> None:
    client, counts = through(cohort, [job("a"), job("b"), job("c")], {"a": [Killed()]}, workers={"w1": {}})
    assert [name for name, _ in client.sent] == ["a", "b", "c", "a"]
    assert counts.done == 3
    assert cohort.ending("a") is None


def test_a_refusal_is_final_and_a_failure_is_tried_again(cohort: CohortFolder) -> None:
    refused = Attempt(Came.REFUSED, "input_refused", "no liver in view", "segment")
    short = Attempt(Came.FAILED, "memory_short", "no room", "segment")
    client, counts = through(cohort, [job("r"), job("m")], {"r": [refused], "m": [short, short]})
    assert sorted(name for name, _ in client.sent) == ["m", "m", "m", "r"]
    assert (counts.done, counts.refused) == (1, 1)
    assert cohort.ending("r").stage == "segment"
    assert cohort.ending("r").tries == 1


def test_a_study_that_another_run_has_waits_and_counts_no_try(cohort: CohortFolder) -> None:
    busy = Attempt(Came.BUSY, "workspace_busy", "another run is at work")
    client, counts = through(cohort, [job("a")], {"a": [busy] * 9})
    assert len(client.sent) == 10
    assert counts.done == 1


def test_a_worker_that_vanishes_counts_a_try_and_its_study_goes_elsewhere(cohort: CohortFolder) -> None:
    client = PaperClient({"a": [lambda: bool(client.workers.pop("w1")) or None]}, {"w1": {}, "w2": {}})
    ends = Ends(cohort, 1, Quiet())
    Drive([job("a")], Link(lambda: client), ends, Limits()).through()
    assert client.sent == [("a", "w1"), ("a", "w2")]
    assert client.futures[0].was_cancelled


def test_a_study_that_hangs_is_ended_with_its_worker(cohort: CohortFolder) -> None:
    client, counts = through(cohort, [job("slow")], {"slow": [None, None]}, limits=Limits(tries=2, study_h=-1.0))
    assert len(client.restarted) == 2
    assert cohort.ending("slow").code == "too_long"
    assert counts.failed == 1


def test_a_scheduler_that_goes_away_costs_no_try(cohort: CohortFolder) -> None:
    lost = [PaperClient({"a": [CancelledError()]}, {"w1": {}}) for _ in range(4)]
    clients = iter([*lost, PaperClient({}, {"w1": {}})])
    turns = iter([True, False] * 9)

    def connect() -> PaperClient:
        if next(turns):
            raise PeerError("no scheduler answers")
        client = next(clients)
        if client in lost:
            submit = client.submit

            def dying(*given: object, **more: object) -> PaperFuture:
                client.status = "closed"
                return submit(*given, **more)

            client.submit = dying
        return client

    ends = Ends(cohort, 2, Quiet())
    Drive([job("a"), job("b")], Link(connect), ends, Limits(tries=1)).through()
    assert (ends.counts.done, ends.counts.failed) == (2, 0)


def test_without_a_scheduler_for_too_long_the_run_ends(cohort: CohortFolder) -> None:
    def connect() -> PaperClient:
        raise PeerError("no scheduler answers")

    with pytest.raises(PeerError):
        Drive([job("a")], Link(connect), Ends(cohort, 1, Quiet()), Limits(patience_s=-1.0)).through()


def test_a_study_goes_to_a_worker_that_has_what_it_asks_for(cohort: CohortFolder) -> None:
    workers = {"small": {"MEMORY_GB": 4.0}, "large": {"MEMORY_GB": 64.0}}
    client, _ = through(cohort, [job("big", memory_gb=32.0), job("any")], {}, workers=workers)
    assert dict(client.sent)["big"] == "large"


def test_studies_wait_for_what_they_read_and_end_with_it(cohort: CohortFolder) -> None:
    refused = Attempt(Came.REFUSED, "input_refused", "no liver in view", "segment")
    jobs = [job("post", needs=("pre",)), job("pre"), job("lone", needs=("gone",)), job("gone")]
    client, counts = through(cohort, jobs, {"gone": [refused]})
    order = [name for name, _ in client.sent]
    assert order.index("post") > order.index("pre")
    assert "lone" not in order
    assert cohort.ending("lone").code == "needs_another"
    assert (counts.done, counts.refused) == (2, 2)


@pytest.mark.parametrize(
    "came", [Attempt(Came.REFUSED, "version", "the worker runs 0.0"), ModuleNotFoundError("liverimg")]
)
def test_workers_of_another_version_end_the_run(cohort: CohortFolder, came: object) -> None:
    with pytest.raises(UsageError):
        through(cohort, [job("a")], {"a": [came]})
