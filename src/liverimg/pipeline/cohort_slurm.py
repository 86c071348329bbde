"""Workers that SLURM starts as jobs of its own, by dask-jobqueue.

The scheduler listens on the cluster's network and speaks TLS; the run's keys lie in a folder that all nodes see and
only the owner may read.
"""

from __future__ import annotations

import getpass
import json
import logging
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import dask
from distributed import Client, SpecCluster

from liverimg.core.errors import PeerError, UsageError
from liverimg.files.tables import read_toml
from liverimg.pipeline.cohort_cluster import ANY_PORT, CONFIG, GB, MALLOC, Link, heal, hush
from liverimg.pipeline.cohort_job import MEMORY_GB

_KEYS: Final = ("jobs", "cluster", "resources")
_WORKER_FILE: Final = "worker.yaml"
_ANSWER_S: Final = 30
_OWN_LOGS: Final = "the folder that this command was started in"
# Rounds of jobs in which none became a worker.
_GIVE_UP: Final = 3


@contextmanager
def slurm(path: Path, *, shared: Path, dashboard: str) -> Iterator[Link]:
    """Workers that SLURM starts as jobs of its own.

    Args:
        path: TOML: ``jobs``, a table ``cluster`` with options of ``dask_jobqueue.SLURMCluster``, and a table
            ``resources`` of what each worker has, such as ``GPU = 1``.
        shared: Folder that all nodes see, for the keys of this run.
        dashboard: Address of Dask's pages; empty for none.

    Raises:
        UsageError: The file is not as expected, or dask-jobqueue is not installed.
    """
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise UsageError("--slurm needs dask-jobqueue; install it with: pip install 'liverimg[slurm]'") from error
    jobs, options = slurm_options(path, shared=shared)
    shared.mkdir(mode=0o700, exist_ok=True)
    threads = _cores(options)
    (shared / _WORKER_FILE).write_text(
        json.dumps({"distributed": {"nanny": {"pre-spawn-environ": {**MALLOC, "OMP_NUM_THREADS": threads}}}})
    )
    hush()
    with dask.config.set(CONFIG):
        try:
            cluster = SLURMCluster(
                security=True,
                shared_temp_directory=str(shared),
                silence_logs=logging.CRITICAL,
                scheduler_options={"dashboard": bool(dashboard), "dashboard_address": dashboard or ANY_PORT},
                **options,
            )
        except (TypeError, ValueError) as error:
            raise UsageError(f"{path.name}: SLURMCluster does not take these options: {error}") from error
        with cluster:
            cluster.scale(jobs=jobs)
            watch = _Watch(cluster, jobs, str(options.get("log_directory", _OWN_LOGS)))
            try:
                yield Link(lambda: Client(cluster, set_as_default=False), watch.heal)
            finally:
                watch.forget_unsubmitted()


@dataclass
class _Watch:
    """Sees to it that there are as many jobs as asked for, and that jobs which can't work are not waited for.

    dask-jobqueue submits a job and from then on holds it for queued or running. A job that ends before its worker has
    connected (no Python on the node, no way to the scheduler), or that SLURM did not take, would be waited for
    for ever.

    Attributes:
        cluster: The jobs, by the names that their workers have too.
        count: How many to keep.
        logs: Folder of the jobs' output, for the sentence that says where to look.
    """

    cluster: SpecCluster
    count: int
    logs: str
    _gone: set[str] = field(default_factory=set)
    _lost: int = 0

    def heal(self) -> None:
        """Submits again what ended; called every few seconds.

        Raises:
            PeerError: Job after job ended and none of them became a worker.
        """
        jobs = {str(name): getattr(job, "job_id", None) for name, job in self.cluster.workers.items()}
        workers = [str(worker["name"]) for worker in self.cluster.scheduler_info["workers"].values()]
        # Several processes of one job are called by its name and a number.
        silent = {name for name in jobs if not any(w == name or w.startswith(f"{name}-") for w in workers)}
        queued = _queued() if silent else None
        gone = {name for name in silent if not jobs[name] or (queued is not None and jobs[name] not in queued)}
        # Twice in a row: one look may fall between a job's end and what it was to bring about.
        ended, self._gone = gone & self._gone, gone - self._gone
        self._lost = 0 if workers else self._lost + len(ended)
        if self._lost >= _GIVE_UP * self.count:
            raise PeerError(
                f"{self._lost} SLURM jobs ended before their worker had connected, or were not taken; "
                f"read what they printed in {self.logs}, mend the options, and start the command again"
            )
        heal(self.cluster, lambda: self.cluster.scale(jobs=self.count), ended)

    def forget_unsubmitted(self) -> None:
        """Before the end: jobs that SLURM did not take, which Dask would still hold for being made."""
        unsubmitted = [str(name) for name, job in self.cluster.workers.items() if not getattr(job, "job_id", None)]
        heal(self.cluster, lambda: self.cluster.scale(0), unsubmitted)


def _queued() -> set[str] | None:
    """Numbers of this user's jobs that wait or run; None where SLURM does not say."""
    try:
        told = subprocess.run(
            ["squeue", "--noheader", "--format=%i", f"--user={getpass.getuser()}"],
            check=False, capture_output=True, text=True, timeout=_ANSWER_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return set(told.stdout.split()) if told.returncode == 0 else None


def slurm_options(path: Path, *, shared: Path) -> tuple[int, dict[str, Any]]:
    """How many jobs, and the options of each, with one study at a time and all of a job's cores for it.

    Raises:
        UsageError: The file is not as expected.
    """
    table = read_toml(path)
    unknown = sorted(set(table) - set(_KEYS))
    options, resources = table.get("cluster"), table.get("resources", {})
    if unknown or not isinstance(options, Mapping) or not isinstance(resources, Mapping):
        raise UsageError(f"{path.name}: expected jobs, a table [cluster] and, if needed, a table [resources]")
    jobs = table.get("jobs")
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise UsageError(f"{path.name}: jobs is {jobs!r}, expected how many workers to ask SLURM for, such as 8")
    made = {"processes": 1, **options}
    worker_has = dict(resources)
    if "memory" in made:
        worker_has.setdefault(MEMORY_GB, dask.utils.parse_bytes(made["memory"]) / int(made["processes"]) / GB)
    told = " ".join(f"{name}={value:g}" for name, value in worker_has.items())
    made["worker_extra_args"] = [
        *made.get("worker_extra_args", ()), "--nthreads", "1", *(["--resources", f"'{told}'"] if told else []),
    ]  # fmt: skip
    # Read by the workers' own Dask; JSON is YAML.
    told = f"export DASK_CONFIG={shlex.quote(str((shared / _WORKER_FILE).absolute()))}"
    made["job_script_prologue"] = [told, *made.get("job_script_prologue", ())]
    return jobs, made


def _cores(options: Mapping[str, Any]) -> int:
    """Cores of each worker."""
    return max(1, int(options.get("cores", 1)) // int(options["processes"]))
