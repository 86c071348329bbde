"""Where the workers of a cohort come from: this machine, a SLURM cluster, or a Dask scheduler that runs already.

Each is a context that gives a link, by which a client connects and workers that are gone are started again. A process
does one study at a time. Whoever can talk to a Dask scheduler can run code as its user: what is started here listens on
the loopback address (SLURM: on the cluster's network) and speaks TLS with keys that live as long as the run.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dask
from distributed import Client, Nanny, Scheduler, Security, SpecCluster, Status
from distributed.system import MEMORY_LIMIT

from liverimg.core.errors import PeerError, UsageError
from liverimg.files.tables import read_toml
from liverimg.pipeline.cohort_job import GPU, MEMORY_GB

_LOOPBACK: Final = "127.0.0.1"
_ANY_PORT: Final = f"{_LOOPBACK}:0"
_GB: Final = 1e9
# Results lie on disk; what a worker keeps in memory is the study that it is at. There is nothing to spill, and a worker
# that pauses because libraries did not give memory back would never go on.
_CONFIG: Final = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.comm.timeouts.connect": "10s",
    # Statistics that nobody reads here, many times a second in every process.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.worker.memory.monitor-interval": "500ms",
    "distributed.scheduler.active-memory-manager.start": False,
    # A worker that is restarted on a busy machine may be away for longer than Dask's 15 s.
    "distributed.deploy.lost-worker-timeout": "120s",
}
_ENVIRON: Final = "distributed.nanny.pre-spawn-environ"
# Dask has its workers give memory back at once, and taking it again costs a study a quarter of its time. These are the
# values that glibc comes to by itself when it is left alone.
_MALLOC: Final = {"MALLOC_TRIM_THRESHOLD_": 64 << 20, "MALLOC_MMAP_THRESHOLD_": 32 << 20}
_SLURM_KEYS: Final = ("jobs", "cluster", "resources")
_WORKER_FILE: Final = "worker.yaml"
_CONNECT_S: Final = 10


@dataclass(frozen=True)
class Link:
    """The way to a scheduler.

    Attributes:
        connect: Connects; called again when a connection was lost.
        heal: Starts again whatever of the workers is gone for good; called every now and then.
    """

    connect: Callable[[], Client]
    heal: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class LocalWorkers:
    """Worker processes on this machine.

    Attributes:
        count: How many.
        dashboard: Address of Dask's pages, such as ``127.0.0.1:8787``; empty for none.
        memory_gb: Of each worker, which is ended when it takes more; None shares out what this machine has.
        gpus: Devices to share out, as CUDA_VISIBLE_DEVICES names them.
    """

    count: int
    dashboard: str = f"{_LOOPBACK}:8787"
    memory_gb: float | None = None
    gpus: tuple[str, ...] = ()


@contextmanager
def local(workers: LocalWorkers) -> Iterator[Link]:
    """Worker processes on this machine, each restarted when it dies; with this process they end too."""
    if workers.count < 1:
        raise UsageError(f"--workers {workers.count}: expected 1 or more")
    _hush()
    threads = os.environ.get("OMP_NUM_THREADS") or max(1, (os.cpu_count() or 1) // workers.count)
    with dask.config.set({**_CONFIG, _ENVIRON: {**_MALLOC, "OMP_NUM_THREADS": threads}}):
        security = Security.temporary()
        scheduler = {
            "cls": Scheduler,
            "options": {
                "host": _LOOPBACK,
                "protocol": "tls://",
                "security": security,
                "dashboard": bool(workers.dashboard),
                # Dask serves something there even without its pages: then where nobody looks, and not to the network.
                "dashboard_address": workers.dashboard or _ANY_PORT,
            },
        }
        spec = {n: {"cls": Nanny, "options": _nanny(n, workers, security)} for n in range(workers.count)}
        # It starts without workers and heals: one that dies while it starts is then no reason not to start at all.
        with SpecCluster(scheduler=scheduler, security=security, silence_logs=logging.CRITICAL) as cluster:
            cluster.worker_spec.update(spec)
            link = Link(
                lambda: Client(cluster, security=security, set_as_default=False),
                lambda: _heal(cluster, lambda: cluster.scale(workers.count)),
            )
            link.heal()
            yield link


def _hush() -> None:
    """Silences what Dask logs in this process: of a scheduler that went away we tell in our own words."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in ("distributed", "tornado")]
    for name in (*names, "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _heal(cluster: SpecCluster, scale: Callable[[], object]) -> None:
    """Starts workers that Dask has given up.

    A nanny restarts its worker, but not one that dies while it starts; and the cluster forgets a worker that was away
    for long. Both would leave fewer and fewer workers, and in the end none.
    """

    async def forget() -> None:
        for name in [n for n, w in cluster.workers.items() if w.status in (Status.closed, Status.failed)]:
            del cluster.workers[name]

    cluster.sync(forget)
    scale()


def _nanny(number: int, workers: LocalWorkers, security: Security) -> dict[str, Any]:
    """One worker: its share of cores and memory, and its GPU where there are any."""
    memory = workers.memory_gb * _GB if workers.memory_gb else MEMORY_LIMIT / workers.count
    env = {}
    resources = {MEMORY_GB: math.floor(memory / _GB * 10) / 10}
    if workers.gpus:
        env["CUDA_VISIBLE_DEVICES"] = workers.gpus[number % len(workers.gpus)]
        resources[GPU] = 1
    return {
        "host": _LOOPBACK,
        "protocol": "tls://",
        "security": security,
        "nthreads": 1,
        "memory_limit": int(memory),
        "resources": resources,
        "dashboard": False,
        "dashboard_address": _ANY_PORT,
        "env": env,
        "silence_logs": logging.CRITICAL,
    }


def visible_gpus() -> tuple[str, ...]:
    """NVIDIA devices that this process may use, by the names that CUDA_VISIBLE_DEVICES takes."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(one.strip() for one in named.split(",") if one.strip() not in ("", "-1"))
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    found = subprocess.run(
        [program, "--query-gpu=index", "--format=csv,noheader"], check=False, capture_output=True, text=True
    )
    return tuple(found.stdout.split()) if found.returncode == 0 else ()


@contextmanager
def remote(address: str) -> Iterator[Link]:
    """A scheduler that runs already; its workers are the business of whoever started it.

    TLS is set up as everywhere in Dask: by its configuration, with an address that begins with ``tls://``.
    """

    def connect() -> Client:
        try:
            return Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise PeerError(
                f"no Dask scheduler answers at {address} ({type(error).__name__}); start one, or mend the address"
            ) from error

    _hush()
    with dask.config.set({"distributed.comm.timeouts.connect": f"{_CONNECT_S}s"}):
        yield Link(connect)


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
        json.dumps({"distributed": {"nanny": {"pre-spawn-environ": {**_MALLOC, "OMP_NUM_THREADS": threads}}}})
    )
    _hush()
    with dask.config.set(_CONFIG):
        try:
            cluster = SLURMCluster(
                security=True,
                shared_temp_directory=str(shared),
                silence_logs=logging.CRITICAL,
                scheduler_options={"dashboard": bool(dashboard), "dashboard_address": dashboard or _ANY_PORT},
                **options,
            )
        except (TypeError, ValueError) as error:
            raise UsageError(f"{path.name}: SLURMCluster does not take these options: {error}") from error
        with cluster:
            cluster.scale(jobs=jobs)
            yield Link(
                lambda: Client(cluster, set_as_default=False),
                lambda: _heal(cluster, lambda: cluster.scale(jobs=jobs)),
            )


def slurm_options(path: Path, *, shared: Path) -> tuple[int, dict[str, Any]]:
    """How many jobs, and the options of each, with one study at a time and all of a job's cores for it.

    Raises:
        UsageError: The file is not as expected.
    """
    table = read_toml(path)
    unknown = sorted(set(table) - set(_SLURM_KEYS))
    options, resources = table.get("cluster"), table.get("resources", {})
    if unknown or not isinstance(options, Mapping) or not isinstance(resources, Mapping):
        raise UsageError(f"{path.name}: expected jobs, a table [cluster] and, if needed, a table [resources]")
    jobs = table.get("jobs")
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise UsageError(f"{path.name}: jobs is {jobs!r}, expected how many workers to ask SLURM for, such as 8")
    made = {"processes": 1, **options}
    worker_has = dict(resources)
    if "memory" in made:
        worker_has.setdefault(MEMORY_GB, dask.utils.parse_bytes(made["memory"]) / int(made["processes"]) / _GB)
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
