"""How well contrast phases are named: phantom studies with tags stripped, spoilt and wrong, by headers and by image.

Usage: ``python benchmarks/phase_naming.py [--people N] [--details]``; prints Markdown tables. Every person is scanned
by each protocol at random times and doses, and every scan goes out with each way of spoiling its headers. The headers
are read back from DICOM files; the image evidence takes the phantom's exact labels in a model's stead. A phantom is a
phantom: its enhancement curves are smooth and its organs are where the labels say.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Run from the top of a checkout, as a script.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.phase_studies import PROTOCOLS, SPOILT, Person, Planned, plan, write_headers

from liverimg.core.study import Confidence, Phase, PhaseEvidence, Series
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.study import read_study
from liverimg.dicom.study_phases import with_study_evidence
from liverimg.files.tables import read_table
from liverimg.segmentation.phase_image import compared, look_at_phase, organ_cores
from liverimg.segmentation.phase_image_rules import ImageRules

# People 1 to 4 were looked at while the rules were made; these were not.
_FIRST_SEED = 101
OUTCOMES = ("right", "unknown", "wrong", "wrong, high confidence")


@dataclass(frozen=True)
class Named:
    """One series: what it is, what it was called, and how sure."""

    protocol: str
    spoilt: str
    stage: str
    truth: Phase
    phase: Phase
    confidence: Confidence
    flagged: bool

    @property
    def outcome(self) -> str:
        """One of OUTCOMES."""
        if self.phase is self.truth:
            return "right"
        if self.phase is Phase.UNKNOWN:
            return "unknown"
        return "wrong, high confidence" if self.confidence is Confidence.HIGH else "wrong"


def named_series(seeds: Iterable[int], *, details: bool = False) -> list[Named]:
    """Names every series of every study of these people, by headers and then by image as well."""
    rules, image_rules = PhaseRules.from_table(read_table("phases")), ImageRules.from_table(read_table("phase_image"))
    found: list[Named] = []
    for seed in seeds:
        person = Person.of(seed)
        cores = organ_cores(person.labels, image_rules)
        for number, (protocol, (modality, _)) in enumerate(PROTOCOLS.items()):
            rng = np.random.default_rng((seed, number))
            whole = plan(protocol, rng)
            dose = float(rng.uniform(0.75, 1.25))
            images = [person.scan(modality, p.time_s, dose, rng) for p in whole]
            seen = {n: look_at_phase(cores, image, modality, image_rules) for n, image in enumerate(images)}
            looks = compared(seen, image_rules)
            evidence = [looks[n].evidence for n in range(len(whole))]
            if details:
                for one, look in zip(whole, seen.values(), strict=True):
                    if look.evidence is None or one.phase not in (look.evidence.says, *look.evidence.allows):
                        print(f"image: {protocol} {one.phase} at {one.time_s} s, dose {dose:.2f}: {look.detail}")
            for spoilt, spoil in SPOILT.items():
                planned = spoil(whole, rng)
                with tempfile.TemporaryDirectory() as folder:
                    places = write_headers(Path(folder), planned, modality, rng)
                    series = read_study(Path(folder), phase_rules=rules).study.series
                seen_too = with_study_evidence(series, rules, images=_images(series, places, evidence))
                for stage, named in (("headers", series), ("headers and image", seen_too)):
                    truth = [planned[places[one.series_instance_uid]] for one in named]
                    rows = [_judged(*pair, protocol, spoilt, stage) for pair in zip(named, truth, strict=True)]
                    found += rows
                    if details:
                        _explain(rows, named)
    return found


def _images(
    series: Sequence[Series], places: Mapping[str, int], evidence: Sequence[PhaseEvidence | None]
) -> dict[int, PhaseEvidence]:
    found = {n: evidence[places[one.series_instance_uid]] for n, one in enumerate(series)}
    return {n: item for n, item in found.items() if item is not None}


def _judged(series: Series, planned: Planned, protocol: str, spoilt: str, stage: str) -> Named:
    flagged = "phase_conflict" in series.flags
    return Named(protocol, spoilt, stage, planned.phase, series.phase, series.phase_confidence, flagged)


def _explain(rows: Sequence[Named], series: Sequence[Series]) -> None:
    for row, one in zip(rows, series, strict=True):
        if row.outcome.startswith("wrong") or (row.outcome == "unknown" and row.stage != "headers"):
            says = "; ".join(f"{e.source}: {e.says}, allows {len(e.allows)} ({e.detail})" for e in one.phase_evidence)
            print(
                f"{row.protocol} | {row.spoilt} | {row.stage} | {row.truth} called {row.phase}, {row.confidence}: "
                f"{says}"
            )


def _table(found: Sequence[Named], stage: str) -> None:
    print(f"\n## {stage.capitalize()}\n")
    print(f"| tags | series | {' | '.join(OUTCOMES)} | disagreement flagged | high confidence |")
    print("|---|" + "---|" * (len(OUTCOMES) + 3))
    rows = [row for row in found if row.stage == stage]
    for name in (*SPOILT, "all"):
        own = [row for row in rows if name in (row.spoilt, "all")]
        counted = Counter(row.outcome for row in own)
        shares = " | ".join(f"{counted[outcome]} ({100 * counted[outcome] / len(own):.1f} %)" for outcome in OUTCOMES)
        flagged, sure = sum(row.flagged for row in own), sum(row.confidence is Confidence.HIGH for row in own)
        print(f"| {name} | {len(own)} | {shares} | {flagged} | {sure} |")


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=4, help="random people, each with four studies a way of spoiling")
    parser.add_argument("--details", action="store_true", help="also each series that was not named right")
    arguments = parser.parse_args()
    seeds = range(_FIRST_SEED, _FIRST_SEED + arguments.people)
    found = named_series(seeds, details=arguments.details)
    studies = arguments.people * len(PROTOCOLS) * len(SPOILT)
    print(f"{studies} studies of {arguments.people} people: {', '.join(PROTOCOLS)}.")
    for stage in ("headers", "headers and image"):
        _table(found, stage)


if __name__ == "__main__":
    main()
