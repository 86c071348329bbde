"""What a cohort costs beside the bare pipeline: processor time for a study, studies an hour by workers, memory.

Usage: ``python benchmarks/cohort_throughput.py --work DIR [--studies N] [--workers 1 2 ...] [--repeats N] [--sample]``

Every run takes some studies and then more of them; the difference, divided by the number of studies between, is the
cost of a study without what is paid once (imports, starting workers). Bare pipeline and cohorts take turns, each turn
gives a ratio, and the median of the ratios is told with their range: what else the machine does hits all alike.
Processor time is that of the command with all the processes it started, tables and page included; rate and memory come
from the cohort's log. ``--sample`` also takes the sample study (four volumes of 352 x 352) with given labels and by the
model, for planning.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

from cohort_studies import write_manifest
from liverimg.pipeline.cohort_manifest import Defaults, plan
from liverimg.pipeline.request import Request, run_request

REPOSITORY = Path(__file__).resolve().parent.parent
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "DASK_LOGGING__DISTRIBUTED": "critical"}
_FEW = 4


def bare(manifest: Path, out: Path) -> None:
    """The pipeline as it is, study after study in this process."""
    for job in plan(manifest, out, Defaults()):
        run_request(Request(job.study, job.out, job.recipe, job.options))


def cost(told: list[str]) -> tuple[float, float]:
    """Processor and wall seconds of a command with all that it starts."""
    began_s = time.monotonic()
    run = subprocess.Popen(told, env=QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(run.pid, 0)
    if status:
        raise SystemExit(f"{told} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime, time.monotonic() - began_s


def cut(manifest: Path, count: int) -> Path:
    """The manifest's first rows."""
    short = manifest.with_name(f"first_{count}.csv")
    short.write_text("".join(manifest.read_text(encoding="utf-8").splitlines(keepends=True)[: count + 1]))
    return short


def per_study(work: Path, manifest: Path, count: int, *more: str) -> tuple[float, float]:
    """Processor and wall seconds of one study; ``more`` are options of the cohort, none for the bare pipeline."""
    found = []
    for number in (_FEW, count):
        out = work / "out"
        shutil.rmtree(out, ignore_errors=True)
        first = str(cut(manifest, number))
        if more:
            told = ["-m", "liverimg.cli", "cohort", first, "--out", str(out), "--dashboard", "off", *more]
        else:
            told = [__file__, "--work", str(out), "--bare", first]
        found.append(cost([sys.executable, *told]))
    return tuple((b - a) / (count - _FEW) for a, b in zip(*found, strict=True))


def of_log(out: Path) -> str:
    """Studies an hour from the first to the last end, time between studies, and memory of each worker as it goes on."""
    rows = [json.loads(line) for line in (out / "cohort" / "log.txt").read_text(encoding="utf-8").splitlines()]
    done = [r for r in rows if r["event"] == "cohort_study_done"]
    times = [datetime.fromisoformat(r["time"]).timestamp() for r in done]
    by_worker: dict[int, list[tuple[float, float, int]]] = defaultdict(list)
    for at_s, row in zip(times, done, strict=True):
        by_worker[row["process"]].append((at_s, row["seconds"], row["peak_mib"]))
    gaps = [b[0] - b[1] - a[0] for ends in by_worker.values() for a, b in pairwise(ends)]
    peaks = "; ".join(
        f"{ends[min(4, len(ends) - 1)][2]} MiB after 5 studies, {ends[-1][2]} after {len(ends)}"
        for ends in by_worker.values()
    )
    rate = 3600 * (len(times) - 1) / (times[-1] - times[0])
    gap_ms = 1000 * sorted(gaps)[len(gaps) // 2]
    return f"{rate:.0f} studies an hour, between two studies of a worker {gap_ms:.0f} ms (median); peaks: {peaks}"


def sample(work: Path) -> None:
    """The sample study once with labels and once by the model, and then when nothing is to be done."""
    study, labels = REPOSITORY / "sample_dicom" / "pre_ct", REPOSITORY / "sample_dicom/truth/pre_ct_labels.nii.gz"
    for name, more in (("given labels", ["--labels", str(labels)]), ("the model on a processor", [])):
        out = work / "sample_out"
        shutil.rmtree(out, ignore_errors=True)
        told = [sys.executable, "-m", "liverimg.cli", "pre", str(study), "--out", str(out), "--device", "cpu", *more]
        once, again = cost(told), cost(told)
        size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 1e6
        print(f"sample, {name}: {once[0]:.1f} s of processor time ({again[0]:.1f} s when up to date), {size:.0f} MB")
    given = sum(p.stat().st_size for p in study.rglob("*") if p.is_file()) / 1e6
    print(f"sample: {given:.0f} MB of DICOM", flush=True)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder to work in")
    parser.add_argument("--studies", type=int, default=24)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sample", action="store_true", help="also the sample study")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.bare is not None:
        bare(given.bare, given.work)
        return
    work: Path = given.work
    work.mkdir(parents=True, exist_ok=True)
    manifest = work / "timed.csv"
    write_manifest(manifest, work / "studies", count=given.studies, people=given.people)
    more: dict[int, list[float]] = defaultdict(list)
    for _ in range(given.repeats):
        alone, _ = per_study(work, manifest, given.studies)
        print(f"bare pipeline: {alone:.3f} s of processor time for a study", flush=True)
        for count in given.workers:
            together, wall = per_study(work, manifest, given.studies, "--workers", str(count))
            more[count].append(100 * (together / alone - 1))
            print(f"{count} workers: {together:.3f} s ({more[count][-1]:+.1f} %), {wall:.2f} s of wall time")
            print(f"{count} workers: {of_log(work / 'out')}", flush=True)
    for count, shares in more.items():
        print(f"{count} workers: {median(shares):+.1f} % (median of {min(shares):+.1f} to {max(shares):+.1f})")
    if given.sample:
        sample(work)


if __name__ == "__main__":
    main()
