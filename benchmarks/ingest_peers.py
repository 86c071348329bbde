"""Our reader, dcm2niix, SimpleITK's series reader and dicom2nifti over every trap folder, against the truth.

Usage: ``python benchmarks/ingest_peers.py [--details] [--given FOLDER] [--only WORD]``

Writes the trap folders of the tests to a temporary place (and takes those of ``../shared/data/dicom_traps``, where they
are), lets every reader loose on them, each in a process of its own, and prints how many folders came out how. dcm2niix
and dicom2nifti come with ``pip install liverimg[benchmarks]``; a peer that is not installed is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from tests.dicom.traps import CASES  # noqa: E402
from tests.dicom.traps.case import Case, leave  # noqa: E402
from tests.dicom.traps.given import given_cases  # noqa: E402
from tests.dicom.traps.judge import Answer, Verdict, judge  # noqa: E402

from ingest_readers import READERS  # noqa: E402

PATIENCE_S = 120.0
Outcome = tuple[Verdict, str]


def serve(pipe: Connection, reader: str) -> None:
    """Child process: reads folders until there are no more; what peers print is theirs."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    while (job := pipe.recv()) is not None:
        case, folder = job
        answer = READERS[reader](folder)
        verdict, figures = judge(case, answer)
        pipe.send((verdict, f"{figures} {answer.said}".strip()))


class Worker:
    """A reader in a process of its own; a crash or a hang costs one folder."""

    def __init__(self, reader: str) -> None:
        self.reader = reader
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.reader), daemon=True)
        self.process.start()
        theirs.close()

    def outcome(self, case: Case, folder: Path) -> Outcome:
        """What the reader makes of one folder."""
        # What is sent must not hold the function that wrote the folder.
        self.pipe.send((replace(case, write=leave), folder))
        try:
            if self.pipe.poll(PATIENCE_S):
                verdict, said = self.pipe.recv()
                return Verdict(verdict), said
            said = f"hangs for {PATIENCE_S:.0f} s"
        except EOFError:
            said = "crashes"
        self.process.kill()
        self.process.join()
        self._start()
        return judge(case, Answer())[0], said

    def stop(self) -> None:
        """Ends the process."""
        self.pipe.send(None)
        self.process.join(10)


def run(cases: Mapping[str, Case], folders: Path, readers: list[str]) -> dict[str, dict[str, Outcome]]:
    """Verdicts by folder, then by reader."""
    workers = {reader: Worker(reader) for reader in readers}
    found: dict[str, dict[str, Outcome]] = {}
    for name, case in cases.items():
        folder = folders / name / case.study_below
        found[name] = {reader: worker.outcome(case, folder) for reader, worker in workers.items()}
    for worker in workers.values():
        worker.stop()
    return found


def table(found: Mapping[str, Mapping[str, Outcome]], readers: list[str]) -> str:
    """Counts of verdicts by reader, as Markdown."""
    lines = [f"| reader | {' | '.join(Verdict)} |", "|---" * (1 + len(Verdict)) + "|"]
    for reader in readers:
        counts = Counter(outcomes[reader][0] for outcomes in found.values())
        lines.append(f"| {reader} | " + " | ".join(str(counts[verdict]) for verdict in Verdict) + " |")
    return "\n".join(lines)


def details(found: Mapping[str, Mapping[str, Outcome]], cases: Mapping[str, Case], readers: list[str]) -> str:
    """Every folder's verdicts, as Markdown."""
    lines = [f"| folder | {' | '.join(readers)} |", "|---" * (1 + len(readers)) + "|"]
    for name, outcomes in found.items():
        cells = [f"{v}: {said}" if said and v != Verdict.RIGHT else str(v) for v, said in outcomes.values()]
        lines.append(f"| {name}: {cases[name].note} | " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--details", action="store_true", help="every folder, not only the counts")
    parser.add_argument("--only", default="", help="folders whose name holds this word")
    parser.add_argument("--given", type=Path, default=REPOSITORY.parent / "shared" / "data" / "dicom_traps")
    chosen = parser.parse_args()
    peers = {"dcm2niix": "dcm2niix", "dicom2nifti": "dicom2nifti", "SimpleITK": "SimpleITK"}
    readers = [r for r in READERS if r not in peers or importlib.util.find_spec(peers[r]) is not None]
    with tempfile.TemporaryDirectory() as place:
        cases = {name: case for name, case in CASES.items() if chosen.only in name}
        for name, case in cases.items():
            case.write(Path(place) / name)
        sets = {f"{len(cases)} generated folders": (cases, Path(place))}
        if (chosen.given / "truth.json").is_file():
            given = {name: case for name, case in given_cases(chosen.given).items() if chosen.only in name}
            sets[f"{len(given)} given folders"] = (given, chosen.given)
        wrong = 0
        for title, (some, folders) in sets.items():
            found = run(some, folders, readers)
            print(f"\n{title}\n\n{table(found, readers)}")
            if chosen.details:
                print("\n" + details(found, some, readers))
            wrong += sum(o["liverimg"][0] not in (Verdict.RIGHT, Verdict.REFUSED_RIGHTLY) for o in found.values())
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
