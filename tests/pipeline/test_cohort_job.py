"""What one study may do to the process that takes it: nothing."""

from pathlib import Path

import pytest

import liverimg.pipeline.cohort_job as cohort_job
from liverimg.core.errors import InputRefusedError, MemoryShortError, UsageError
from liverimg.pipeline.cohort_ends import Counts, Ends
from liverimg.pipeline.cohort_folder import CohortFolder
from liverimg.pipeline.cohort_job import Came, Job, work
from liverimg.pipeline.cohort_serial import serially
from liverimg.pipeline.runner import Outcome, State
from liverimg.workspace import Workspace

SECRET = "DOE^JANE"


def job(tmp_path: Path) -> Job:
    return Job("s1", tmp_path / "DOE_JANE", tmp_path / "out", "pre_ablation")


class Runs:
    """Stands in for the runner: gets through ingest, then does what the test says."""

    def __init__(self, error: BaseException | None, *, is_fresh: bool = False) -> None:
        self.error, self.is_fresh, self.count = error, is_fresh, 0

    def __call__(self, request: object, *, reporter: cohort_job._Boundary) -> list[Outcome]:
        self.count += 1
        done = Outcome("ingest", State.FRESH if self.is_fresh else State.DONE, 0.0)
        reporter.stage_started("ingest")
        reporter.stage_ended(done)
        if self.error is not None:
            raise self.error
        return [done]


@pytest.mark.parametrize(
    ("error", "came", "code"),
    [
        (InputRefusedError("no liver in view"), Came.REFUSED, "input_refused"),
        (UsageError("the file DOE_JANE is not there"), Came.REFUSED, "usage"),
        (MemoryShortError("no room"), Came.FAILED, "memory_short"),
        (OSError(28, "No space left on device", "/scans/DOE_JANE"), Came.FAILED, "system"),
        (ZeroDivisionError(SECRET), Came.FAILED, "internal"),
        (MemoryError(SECRET), Came.FAILED, "internal"),
        (RecursionError(SECRET), Came.FAILED, "internal"),
    ],
)
def test_an_error_becomes_a_record_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, came: Came, code: str
) -> None:
    monkeypatch.setattr(cohort_job, "run_request", Runs(error))
    attempt = work(job(tmp_path))
    assert (attempt.came, attempt.code, attempt.stage) == (came, code, "segment")
    assert attempt.sentence
    assert "DOE" not in repr(attempt)


def test_the_user_can_still_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort_job, "run_request", Runs(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        work(job(tmp_path))


def test_a_study_that_another_run_has_is_busy(tmp_path: Path) -> None:
    (tmp_path / "DOE_JANE").mkdir()
    with Workspace(tmp_path / "out").locked():
        attempt = work(job(tmp_path))
    assert attempt.came is Came.BUSY


def test_another_version_does_no_work(tmp_path: Path) -> None:
    assert work(job(tmp_path), "0.0").code == "version"
    assert not (tmp_path / "out").exists()


class Quiet:
    def cohort_moved(self, counts: Counts) -> None:
        self.counts = counts


@pytest.mark.parametrize(
    ("error", "runs", "counts"),
    [
        (None, 1, (1, 0, 0)),
        (InputRefusedError("no liver in view"), 1, (0, 1, 0)),
        (ZeroDivisionError(), 3, (0, 0, 1)),
    ],
)
def test_in_one_process_studies_end_as_on_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException | None, runs: int, counts: tuple[int, ...]
) -> None:
    stage = Runs(error)
    monkeypatch.setattr(cohort_job, "run_request", stage)
    folder = CohortFolder(tmp_path / "cohort")
    with folder.locked():
        ends = Ends(folder, 1, Quiet())
        serially([job(tmp_path)], ends, tries=3)
    assert stage.count == runs
    assert (ends.counts.done, ends.counts.refused, ends.counts.failed) == counts
    assert (folder.ending("s1") is None) == (error is None)
