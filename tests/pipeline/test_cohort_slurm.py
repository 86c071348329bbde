"""Workers as SLURM jobs; SLURM is played by scripts."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from liverimg.core.errors import PeerError
from liverimg.pipeline import cohort_drive
from liverimg.pipeline.cohort_drive import Drive, Limits
from liverimg.pipeline.cohort_ends import Counts, Ends
from liverimg.pipeline.cohort_folder import CohortFolder
from liverimg.pipeline.cohort_job import Attempt, Came, Job
from liverimg.pipeline.cohort_slurm import slurm, slurm_options


class Quiet:
    def cohort_moved(self, counts: Counts) -> None:
        self.counts = counts


def easy_work() -> Callable[[Job, str], Attempt]:
    """Work that is done at once. Made in here, so that it travels to the workers as code and not by name."""

    def work(_job: Job, _version: str) -> Attempt:
        return Attempt(Came.DONE, process=os.getpid())

    return work


def jobs(*names: str) -> list[Job]:
    return [Job(name, Path("in") / name, Path("out") / name, "pre_ablation") for name in names]


@pytest.fixture
def cohort(tmp_path: Path) -> CohortFolder:
    folder = CohortFolder(tmp_path / "out")
    with folder.locked():
        pass
    return folder


def test_a_worker_of_slurm_does_one_study_at_a_time_with_all_its_cores(tmp_path: Path) -> None:
    path = tmp_path / "slurm.toml"
    path.write_text('jobs = 3\n[cluster]\ncores = 8\nmemory = "32GB"\nqueue = "gpu"\n[resources]\nGPU = 1\n')
    count, options = slurm_options(path, shared=tmp_path)
    assert (count, options["processes"], options["queue"]) == (3, 1, "gpu")
    assert options["worker_extra_args"] == ["--nthreads", "1", "--resources", "'GPU=1 MEMORY_GB=32'"]
    assert options["job_script_prologue"] == [f"export DASK_CONFIG={tmp_path}/worker.yaml"]


# Like SLURM's own it takes a copy: whoever submits removes his script as soon as this is back.
_SBATCH = """\
#!/bin/sh
cd "{folder}" || exit 1
cp "$1" job.sh || exit 1
nohup sh job.sh >job.out 2>&1 &
echo $! >>jobs
echo "Submitted batch job $!"
"""
_LOST_SBATCH = """\
#!/bin/sh
echo 1 >>"{folder}/jobs"
echo "Submitted batch job 1"
"""
_REFUSING_SBATCH = """\
#!/bin/sh
echo 1 >>"{folder}/jobs"
echo "sbatch: error: invalid partition specified" >&2
exit 1
"""
_SCANCEL = '#!/bin/sh\nkill "$@" 2>/dev/null\n'


@pytest.fixture
def options(tmp_path: Path) -> Path:
    path = tmp_path / "slurm.toml"
    path.write_text(
        'jobs = 1\n[cluster]\ncores = 1\nmemory = "2GB"\ninterface = "lo"\n'
        f'log_directory = "{tmp_path}"\nlocal_directory = "{tmp_path}"\n'
    )
    return path


def play(folder: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    for name, text in programs.items():
        (folder / name).write_text(text.format(folder=folder))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.slow
def test_a_cohort_runs_on_jobs_that_slurm_starts(
    cohort: CohortFolder, options: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(tmp_path, monkeypatch, sbatch=_SBATCH, scancel=_SCANCEL)
    monkeypatch.setattr(cohort_drive, "work", easy_work())
    ends = Ends(cohort, 3, Quiet())
    try:
        with slurm(options, shared=cohort.keys, dashboard="") as link:
            Drive(jobs("a", "b", "c"), link, ends, Limits()).through()
    finally:
        for pid in map(int, (tmp_path / "jobs").read_text().split()):
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGTERM)
    assert ends.counts.done == 3
    assert "OMP_NUM_THREADS" in (cohort.keys / "worker.yaml").read_text()


@pytest.mark.parametrize(
    ("sbatch", "squeue"),
    [
        pytest.param(_LOST_SBATCH, "#!/bin/sh\necho 77\n", id="a job that ends at once"),
        pytest.param(_REFUSING_SBATCH, "#!/bin/sh\nexit 1\n", id="a job that is not taken"),
    ],
)
def test_jobs_that_never_become_workers_are_not_waited_for(
    sbatch: str, squeue: str, cohort: CohortFolder, options: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(tmp_path, monkeypatch, sbatch=sbatch, squeue=squeue, scancel=_SCANCEL)
    monkeypatch.setattr(cohort_drive, "_HEAL_S", 0.0)
    with (
        slurm(options, shared=cohort.keys, dashboard="") as link,
        pytest.raises(PeerError, match=r"3 SLURM jobs ended before .* read what they printed in"),
    ):
        Drive(jobs("a"), link, Ends(cohort, 1, Quiet()), Limits()).through()
    assert len((tmp_path / "jobs").read_text().split()) >= 3, "each was submitted again"


def test_a_job_that_waits_in_the_queue_is_waited_for(
    cohort: CohortFolder, options: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(tmp_path, monkeypatch, sbatch=_LOST_SBATCH, squeue="#!/bin/sh\necho 1\n", scancel=_SCANCEL)
    with slurm(options, shared=cohort.keys, dashboard="") as link:
        for _ in range(8):
            link.heal()
    assert (tmp_path / "jobs").read_text().split() == ["1"]
