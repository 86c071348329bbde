"""Where the workers of a cohort come from: this machine, or a Dask scheduler that runs already.

Each is a context that gives a link, by which a client connects and workers that are gone are started again. A process
does one study at a time. Whoever can talk to a Dask scheduler can run code as its user: what is started here listens on
the loopback address and speaks TLS with keys that live as long as the run. Jobs of SLURM: :mod:`.cohort_slurm`.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import dask
from distributed import Client, Nanny, Scheduler, Security, SpecCluster, Status
from distributed.system import MEMORY_LIMIT

from liverimg.core.errors import PeerError, UsageError
from liverimg.pipeline.cohort_job import GPU, MEMORY_GB

_LOOPBACK: Final = "127.0.0.1"
ANY_PORT: Final = f"{_LOOPBACK}:0"
GB: Final = 1e9
# Results lie on disk; what a worker keeps in memory is the study that it is at. There is nothing to spill, and a worker
# that pauses because libraries did not give memory back would never go on.
CONFIG: Final = {
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
MALLOC: Final = {"MALLOC_TRIM_THRESHOLD_": 64 << 20, "MALLOC_MMAP_THRESHOLD_": 32 << 20}
_CONNECT_S: Final = 10
_OVER: Final = (Status.closed, Status.failed)


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
    hush()
    threads = os.environ.get("OMP_NUM_THREADS") or max(1, (os.cpu_count() or 1) // workers.count)
    with dask.config.set({**CONFIG, _ENVIRON: {**MALLOC, "OMP_NUM_THREADS": threads}}):
        security = Security.temporary()
        scheduler = {
            "cls": Scheduler,
            "options": {
                "host": _LOOPBACK,
                "protocol": "tls://",
                "security": security,
                "dashboard": bool(workers.dashboard),
                # Dask serves something there even without its pages: then where nobody looks, and not to the network.
                "dashboard_address": workers.dashboard or ANY_PORT,
            },
        }
        spec = {n: {"cls": Nanny, "options": _nanny(n, workers, security)} for n in range(workers.count)}
        # It starts without workers and heals: one that dies while it starts is then no reason not to start at all.
        with SpecCluster(scheduler=scheduler, security=security, silence_logs=logging.CRITICAL) as cluster:
            cluster.worker_spec.update(spec)
            link = Link(
                lambda: Client(cluster, security=security, set_as_default=False),
                lambda: heal(cluster, lambda: cluster.scale(workers.count)),
            )
            link.heal()
            yield link


def hush() -> None:
    """Silences what Dask logs in this process: of a scheduler that went away we tell in our own words."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in ("distributed", "tornado")]
    for name in (*names, "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def heal(cluster: SpecCluster, scale: Callable[[], object], ended: Collection[str] = ()) -> None:
    """Starts workers that Dask has given up, and those whose names are known to have ended.

    A nanny restarts its worker, but not one that dies while it starts; and the cluster forgets a worker that was away
    for long. Both would leave fewer and fewer workers, and in the end none.
    """

    async def forget() -> None:
        for name in [n for n, w in cluster.workers.items() if n in ended or w.status in _OVER]:
            # Dask does not close as long as it holds one for neither closed nor failed.
            cluster.workers.pop(name).status = Status.failed

    cluster.sync(forget)
    scale()


def _nanny(number: int, workers: LocalWorkers, security: Security) -> dict[str, Any]:
    """One worker: its share of cores and memory, and its GPU where there are any."""
    memory = workers.memory_gb * GB if workers.memory_gb else MEMORY_LIMIT / workers.count
    env = {}
    resources = {MEMORY_GB: math.floor(memory / GB * 10) / 10}
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
        "dashboard_address": ANY_PORT,
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

    hush()
    with dask.config.set({"distributed.comm.timeouts.connect": f"{_CONNECT_S}s"}):
        yield Link(connect)
