"""A cohort whose workers, scheduler and command are killed at random, beside the same cohort taken through serially.

Usage: ``python benchmarks/cohort_chaos.py --work DIR [--studies N] [--people N] [--workers N] [--every SECONDS]``

``local``: ``liverimg cohort --workers N``, whose process holds the scheduler; what is killed is one of its workers or
the whole command, which is then started again. ``remote``: ``liverimg cohort --scheduler``; what is killed is a worker
or the scheduler, each started again by a loop as an operator or systemd would. Kills are SIGKILL, at random times with
the given mean. Printed are the kills, whether every study is done, whether a study was finished twice, and whether
tables and the records of every study equal those of the serial run byte for byte.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil

from cohort_studies import write_manifest

RECIPE = """\
name = "cohort_benchmark"
title = "Measurements without a report"
stages = ["ingest", "segment", "measure"]
[settings.segment]
model = { CT = "liver_ct", MR = "liver_mr" }
"""
TABLES = ("measurements.csv", "measurements.parquet", "refusals.csv", "refusals.parquet", "cohort.html")
RECORDS = ("study.json", "labels.json", "label_quality.json", "measurements.json", "labels.nii.gz", "volumes")
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "DASK_LOGGING__DISTRIBUTED": "critical"}


def command(manifest: Path, out: Path, recipe: Path, *more: str) -> list[str]:
    """The command under test."""
    return [
        sys.executable, "-m", "liverimg.cli", "cohort", str(manifest), "--out", str(out), "--recipe", str(recipe),
        "--dashboard", "off", *more,
    ]  # fmt: skip


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Dask's worker processes below a process."""
    found = []
    for child in process.children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


def nanny_and_worker(pid: int) -> list[psutil.Process]:
    """The two, without what they have started: a decoder that dies alone is the study's fault, and it is refused."""
    try:
        process = psutil.Process(pid)
        return [process, *workers_of(process)]
    except psutil.NoSuchProcess:
        return []


def tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return []


def local(told: list[str], chance: random.Random, every_s: float, count: int) -> tuple[int, Counter[str]]:
    """Exit code, and what was killed."""
    killed: Counter[str] = Counter()
    told = [*told, "--workers", str(count)]
    run = subprocess.Popen(told, env=QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            return run.wait(chance.expovariate(1 / every_s)), killed
        except subprocess.TimeoutExpired:
            there = workers_of(psutil.Process(run.pid))
            if there and chance.random() < 0.7:
                kill(chance.choice(there))
                killed["worker"] += 1
            else:
                run.send_signal(signal.SIGKILL)
                run.wait()
                killed["command with scheduler"] += 1
                run = subprocess.Popen(told, env=QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Kept:
    """A process that is started again whenever it ends."""

    def __init__(self, told: list[str]) -> None:
        self._told = told
        self.start()

    def start(self) -> None:
        self.run = subprocess.Popen(self._told, env=QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def keep(self) -> None:
        if self.run.poll() is not None:
            self.start()

    def kill(self) -> None:
        for process in tree(self.run.pid):
            kill(process)
        self.run.wait()


def remote(told: list[str], chance: random.Random, every_s: float, count: int) -> tuple[int, Counter[str]]:
    """Exit code, and what was killed."""
    killed: Counter[str] = Counter()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", f"tcp://{address}", "--nthreads", "1"]
    kept = [Kept(dask), *(Kept([*worker, "--no-dashboard", "--death-timeout", "60"]) for _ in range(count))]
    told = [*told, "--scheduler", f"tcp://{address}"]
    run = subprocess.Popen(told, env=QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    next_s = time.monotonic() + chance.expovariate(1 / every_s)
    try:
        while run.poll() is None:
            time.sleep(0.5)
            if time.monotonic() > next_s:
                next_s = time.monotonic() + chance.expovariate(1 / every_s)
                if chance.random() < 0.25:
                    kept[0].kill()
                    killed["scheduler"] += 1
                elif there := [w for one in kept[1:] for w in nanny_and_worker(one.run.pid)]:
                    kill(chance.choice(there))
                    killed["worker or its nanny"] += 1
            for one in kept:
                one.keep()
        return run.returncode, killed
    finally:
        for one in kept[::-1]:
            one.kill()


CHAOS = {"local": local, "remote": remote}


def same(left: Path, right: Path) -> bool:
    """Whether two files or folders hold the same bytes."""
    if left.is_dir():
        names = [p.relative_to(left) for p in sorted(left.rglob("*")) if p.is_file()]
        others = [p.relative_to(right) for p in sorted(right.rglob("*")) if p.is_file()]
        return names == others and all((left / n).read_bytes() == (right / n).read_bytes() for n in names)
    return left.exists() == right.exists() and (not left.exists() or left.read_bytes() == right.read_bytes())


def finished_twice(out: Path) -> int:
    """Studies of which more than one try did work and reported its end."""
    rows = [json.loads(line) for line in (out / "cohort" / "log.txt").read_text().splitlines()]
    done = Counter(r["study"] for r in rows if r["event"] == "cohort_study_done" and not r["fresh"])
    return sum(count > 1 for count in done.values())


def check(out: Path, reference: Path) -> str:
    tables = [name for name in TABLES if not same(out / name, reference / name)]
    studies = sorted(p.name for p in (reference / "studies").iterdir())
    differ = [
        n for n in studies if not all(same(out / "studies" / n / r, reference / "studies" / n / r) for r in RECORDS)
    ]
    left = [
        str(p) for p in out.rglob("*") if p.name.startswith((".draft", ".new")) or p.name.endswith(".unfinished.json")
    ]
    return (
        f"{len(studies)} studies, finished twice: {finished_twice(out)}, tables that differ: {tables or 'none'}, "
        f"studies whose records differ: {len(differ)}, drafts left: {len(left)}"
    )


def main() -> None:
    """Runs all three and says how they compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder to work in")
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--people", type=int, default=10, help="bodies; further studies are further scans of them")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=float, default=20.0, help="mean seconds between kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=("serial", *CHAOS, "check"), help="some parts; all without it")
    parser.add_argument("--go-on", action="store_true", help="keep what an earlier start has done")
    given = parser.parse_args()
    work: Path = given.work
    work.mkdir(parents=True, exist_ok=True)
    manifest, recipe = work / "manifest.csv", work / "recipe.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    write_manifest(manifest, work / "studies", count=given.studies, people=given.people)
    serial = work / "serial"
    parts = given.only or ["serial", "local", "remote", "check"]
    if "serial" in parts:
        began_s = time.monotonic()
        subprocess.run(command(manifest, serial, recipe, "--workers", "0"), env=QUIET, check=True, capture_output=True)
        print(f"serial: {time.monotonic() - began_s:.0f} s", flush=True)
    for name, chaos in CHAOS.items():
        out = work / f"killed_{name}"
        if name in parts:
            if not given.go_on:
                shutil.rmtree(out, ignore_errors=True)
            began_s = time.monotonic()
            told = command(manifest, out, recipe, "--tries", "50")
            code, killed = chaos(told, random.Random(given.seed), given.every, given.workers)
            kills = ", ".join(f"{count} {what}" for what, count in sorted(killed.items())) or "nothing"
            print(f"{name}: exit code {code}, {time.monotonic() - began_s:.0f} s, killed: {kills}", flush=True)
        if "check" in parts and out.is_dir():
            print(f"{name}: {check(out, serial)}", flush=True)


if __name__ == "__main__":
    main()
