"""Spoils small studies in thousands of ways and ingests every one: each must come out right or be refused.

Usage: ``python tools/fuzz_ingest.py [--cases N] [--first N] [--seed N] [--keep DIR]``. The same seed gives the same
cases. A worker process reads study after study as ``liverimg inspect`` and ``liverimg ingest`` do; a fault is an
exception that is no refusal, a crash, more than 10 s of processor time (or five minutes by the clock, as the machine
may be busy), or more than 2 GiB. Exits with 1 when there was one, and keeps the study and the words of each under
``--keep``. One case again: ``--first N --cases 1``.
"""

import argparse
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fuzz_mutate import Mutator
from fuzz_seeds import studies

LONGEST_S = 10.0
LONGEST_CLOCK_S = 300.0
MOST_BYTES = 2 << 30


def spoilt_study(seeds: dict[str, tuple[bytes, ...]], seed: int, case: int) -> tuple[str, list[bytes]]:
    """Case number ``case``: the seed's name and its files, one or all of them spoilt."""
    rng = np.random.default_rng((seed, case))
    names = sorted(seeds)
    name, other = names[int(rng.integers(len(names)))], names[int(rng.integers(len(names)))]
    files = list(seeds[name])
    if rng.random() < 0.3:
        # The same spoilt way in every file, so that the series holds together.
        again = int(rng.integers(1 << 31))
        return name, [Mutator(np.random.default_rng(again)).spoil(one, seeds[other][0]) for one in files]
    number = int(rng.integers(len(files)))
    files[number] = Mutator(rng).spoil(files[number], seeds[other][0])
    return name, files


def ingest(folder: Path, out: Path) -> str:
    """Reads a study as the commands do; in a word what became of it.

    Raises:
        Whatever is no refusal.
    """
    from liverimg.core.errors import InputRefusedError, NeedsPersonError, RecordInvalidError
    from liverimg.pipeline.recipe import load_recipe
    from liverimg.pipeline.runner import run
    from liverimg.stages.inspection import inspect_study, page_of, record_of

    try:
        found = inspect_study(folder, phases={}, with_pictures=True)
        json.dumps(record_of(found), allow_nan=False)
        if any(ord(c) < 32 and c != "\n" for c in page_of(found)):
            raise ValueError("a page with signs that control something")
        steps = load_recipe("pre_ablation", only=["ingest"]).with_settings("ingest", study=folder, with_volume=False)
        run(steps, out, remember=False)
    except RecordInvalidError:
        # Our own record, not the study, breaks its schema.
        raise
    except (InputRefusedError, NeedsPersonError) as refusal:
        if len(str(refusal)) > 2000 or any(ord(c) < 32 for c in str(refusal)):
            raise ValueError("a refusal that is no sentence") from refusal
        return "refused"
    study = json.loads((out / "study.json").read_text(encoding="utf-8"))
    return "in part" if study["rejected"] else "read"


def peak_bytes(pid: int) -> int:
    """The most memory that a process has held since its peak was last reset."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)


def work(seed: int, first: int, cases: int) -> None:
    """Runs cases and says on standard output which one is begun and how each ended."""
    import liverimg.dicom.decode
    import liverimg.files.tables
    import liverimg.stages.ingest
    import liverimg.stages.inspection_pictures

    seeds = studies()
    keeper = liverimg.dicom.decode.Decoder()
    # One child for all cases, not one for each: starting it would take most of the time.
    keeper.__class__ = type("Kept", (liverimg.dicom.decode.Decoder,), {"__exit__": lambda *_: None})
    for stage in (liverimg.stages.ingest, liverimg.stages.inspection_pictures):
        stage.Decoder = lambda: keeper  # type: ignore[assignment, misc]
    # Nor are the rules read anew for each.
    liverimg.files.tables.read_toml = cache(liverimg.files.tables.read_toml)
    for case in range(first, first + cases):
        name, files = spoilt_study(seeds, seed, case)
        say({"case": case})
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        spent_s, child_s = time.process_time(), keeper._spent_s()
        said = {"end": case, "seed": name, "words": ""}
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "study"
            folder.mkdir()
            for number, data in enumerate(files):
                (folder / f"{number}.dcm").write_bytes(data)
            try:
                said["outcome"] = ingest(folder, Path(place) / "out")
            except Exception:  # noqa: BLE001 - whatever it is, it is a fault to be told
                said |= {"outcome": "fault", "words": traceback.format_exc()}
        child = keeper._process
        said |= {
            "cpu_s": time.process_time() - spent_s + max(0.0, keeper._spent_s() - child_s),
            "bytes": max(peak_bytes(os.getpid()), peak_bytes(child.pid) if child is not None else 0),
        }
        say(said)


def say(message: dict[str, object]) -> None:
    """One line for the parent."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Fuzzer:
    """Watches workers and counts what they say."""

    def __init__(self, seed: int, keep: Path | None, worker: str = __file__) -> None:
        self.seed = seed
        self.worker = worker
        self.keep = keep
        self.outcomes: Counter[str] = Counter()
        self.faults: list[tuple[int, str]] = []
        self.slowest_s = 0.0
        self.most_bytes = 0

    def run(self, first: int, cases: int) -> None:
        """All cases, with a fresh worker after each that had to be ended."""
        end = first + cases
        while first < end:
            first = self._watch(first, end - first)

    def _watch(self, first: int, cases: int) -> int:
        """Follows one worker; returns the case to go on with."""
        command = [sys.executable, self.worker, "--work", "--seed", str(self.seed), "--first", str(first)]
        worker = subprocess.Popen([*command, "--cases", str(cases)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert worker.stdout is not None
        case, begun, pending = first, time.monotonic(), b""
        try:
            while True:
                ready, _, _ = select.select([worker.stdout], [], [], 2 * LONGEST_CLOCK_S)
                part = os.read(worker.stdout.fileno(), 1 << 16) if ready else b""
                if not part:
                    if ready and worker.wait() == 0:
                        return case + 1
                    self._fault(case, "crash" if ready else "hang", f"ended with {worker.poll()}")
                    return case + 1
                *lines, pending = (pending + part).split(b"\n")
                for line in lines:
                    said = json.loads(line)
                    if "case" in said:
                        case, begun = said["case"], time.monotonic()
                    else:
                        self._count(said, time.monotonic() - begun)
        finally:
            worker.kill()
            worker.wait()

    def _count(self, said: dict[str, object], wall_s: float) -> None:
        case = int(str(said["end"]))
        self.outcomes[str(said["outcome"])] += 1
        cpu_s, held = float(str(said["cpu_s"])), int(str(said["bytes"]))
        done = sum(self.outcomes.values())
        if done % 500 == 0:
            sys.stdout.write(f"{done} cases, {len(self.faults)} faults\n")
            sys.stdout.flush()
        self.slowest_s = max(self.slowest_s, cpu_s)
        self.most_bytes = max(self.most_bytes, held)
        if said["outcome"] == "fault":
            self._fault(case, "fault", str(said["words"]))
        if cpu_s > LONGEST_S or wall_s > LONGEST_CLOCK_S:
            self._fault(case, "hang", f"{wall_s:.1f} s, of which {cpu_s:.1f} s on the processor")
        if held > MOST_BYTES:
            self._fault(case, "memory", f"{held >> 20} MiB")

    def _fault(self, case: int, kind: str, words: str) -> None:
        self.faults.append((case, kind))
        sys.stdout.write(f"case {case}: {kind}: {words.strip().splitlines()[-1] if words.strip() else ''}\n")
        sys.stdout.flush()
        if self.keep is not None:
            place = self.keep / f"{case:06d}_{kind}"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            name, files = spoilt_study(studies(), self.seed, case)
            (place / "words.txt").write_text(f"{name}\n{words}\n", encoding="utf-8")
            for number, data in enumerate(files):
                (place / f"{number}.dcm").write_bytes(data)


def main() -> int:
    """Parses arguments, runs, sums up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=None, help="folder for the studies that made a fault")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.seed, arguments.first, arguments.cases)
        return 0
    fuzzer = Fuzzer(arguments.seed, arguments.keep)
    fuzzer.run(arguments.first, arguments.cases)
    shown = ", ".join(f"{count} {outcome}" for outcome, count in sorted(fuzzer.outcomes.items()))
    sys.stdout.write(
        f"{sum(fuzzer.outcomes.values())} cases: {shown}; slowest {fuzzer.slowest_s:.1f} s of processor time, "
        f"most memory {fuzzer.most_bytes >> 20} MiB, {len(fuzzer.faults)} faults\n"
    )
    return 1 if fuzzer.faults else 0


if __name__ == "__main__":
    sys.exit(main())
