"""Scoring an MR bundle on images it never saw, with simple peers beside it.

Run ``python -m liverimg.training.scoring.mr_evaluate --help``. What is scored is what a user gets: labels on the
image's own grid, tidied.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.study import Modality
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study
from liverimg.files import nifti, records
from liverimg.files.study_records import label_names_from_record
from liverimg.files.tables import read_table
from liverimg.segmentation.bundle import Bundle, open_bundle
from liverimg.segmentation.infer import segment_volume
from liverimg.segmentation.intensity import Intensity, to_network
from liverimg.segmentation.tidy import TidyRules, tidy
from liverimg.training.scoring.metrics import agreement, dice, whole_liver
from liverimg.training.scoring.mr_cases import MrCase, as_drawn, phantom_mr_cases, synthetic_mr_cases
from liverimg.training.scoring.score import CaseScore, mean, score, summary
from liverimg.training.synthesis.mr_looks import RANDOM

_log = logging.getLogger(__name__)

_LEVELS = np.arange(2.5, 100, 2.5)
_OPENING_MM = 4.0
_PEER_SPACING_MM = 4.0
# TotalSegmentator's names where they differ from ours; sides and parts are put together.
_THEIR_NAMES: Mapping[str, Structure] = {
    "liver": Structure.LIVER,
    "spleen": Structure.SPLEEN,
    "kidney_right": Structure.KIDNEY,
    "kidney_left": Structure.KIDNEY,
    "gallbladder": Structure.GALLBLADDER,
    "stomach": Structure.STOMACH,
    "pancreas": Structure.PANCREAS,
    "lung_left": Structure.LUNG,
    "lung_right": Structure.LUNG,
    "small_bowel": Structure.BOWEL,
    "duodenum": Structure.BOWEL,
    "colon": Structure.BOWEL,
    "heart": Structure.HEART,
    "aorta": Structure.AORTA,
    "inferior_vena_cava": Structure.INFERIOR_VENA_CAVA,
}


@dataclass(frozen=True, eq=False)
class Peers:
    """What else could be done without a model for MR.

    Attributes:
        ct: The CT bundle, its first pass alone, on the MR image stretched to its window.
    """

    ct: Bundle | None = None

    def scores(self, volume: Volume, truth: LabelMap) -> dict[str, float]:
        """Dice of the liver with its contents by each peer."""
        liver = whole_liver(truth)
        found = {"best_threshold": best_threshold_dice(volume, liver)}
        if self.ct is not None:
            found["ct_network_on_rescaled_mr"] = dice(whole_liver(by_ct_network(volume, self.ct)), liver)
        return {name: round(value, 4) for name, value in found.items()}


def by_ct_network(volume: Volume, bundle: Bundle) -> LabelMap:
    """The CT bundle's coarse pass on an MR image whose 1st to 99th percentile is stretched to the CT window."""
    coarse = bundle.passes[0]
    low, high = coarse.intensity.low, coarse.intensity.high
    stretched = to_network(volume.array, Intensity("percentiles", 1.0, 99.0))
    hu = np.asarray((stretched + 1) / 2 * (high - low) + low, dtype=np.float32)
    alone = replace(bundle, passes=(coarse,))
    return tidy(segment_volume(Volume(hu, volume.grid, Quantity.HU), alone).labels, tidy_rules())


def best_threshold_dice(volume: Volume, liver: NDArray[np.bool_]) -> float:
    """Largest piece above one threshold, opened by 4 mm; the threshold is chosen on the truth itself.

    Looked at on every n-th voxel, about 4 mm apart; a result that may only be better than a usable peer's.
    """
    steps = tuple(max(1, int(_PEER_SPACING_MM / s)) for s in volume.grid.spacing_mm)
    every = tuple(slice(None, None, n) for n in steps)
    array, truth = volume.array[every].astype(np.float32), liver[every]
    radius = _OPENING_MM / (volume.grid.spacing_mm * np.array(steps))
    best = 0.0
    for level in np.percentile(array[array > 0], _LEVELS):
        above = array > level
        core = ndimage.distance_transform_edt(above, sampling=1 / radius) > 1
        if core.any():
            piece = cc3d.largest_k(core, k=1, connectivity=6).astype(bool)
            near = ndimage.distance_transform_edt(~piece, sampling=1 / radius) <= 1
            best = max(best, dice(near & above, truth))
    return best


def tidy_rules() -> TidyRules:
    """As the pipeline tidies."""
    return TidyRules.from_table(read_table("segmentation")["tidy"])


def score_cases(cases: Iterable[MrCase], bundle: Bundle, peers: Peers) -> dict[str, Any]:
    """Scores of a set of views: the usual summary, the liver per sequence, and the peers."""
    structures = sorted(bundle.values)
    scores: list[CaseScore] = []
    rows: list[dict[str, Any]] = []
    for one in cases:
        scores.append(score(one.case, bundle, structures))
        liver = scores[-1].liver
        row = {
            "case": one.case.name,
            "sequence": one.sequence,
            "liver": None if liver is None else round(liver.dice, 4),
            "hd95_mm": None if liver is None else liver.hd95_mm,
            "peers": peers.scores(one.case.volume, one.case.truth),
        }
        rows.append(row)
        _log.info("%s", row)
    result = summary(scores)
    known = [row for row in rows if row["liver"] is not None]
    result["liver_dice_by_sequence"] = {
        name: mean([row["liver"] for row in known if row["sequence"] == name])
        for name in sorted({row["sequence"] for row in known})
    }
    result["liver_dice_scanner_like"] = mean([row["liver"] for row in known if row["sequence"] != RANDOM])
    result["liver_dice_random"] = mean([row["liver"] for row in known if row["sequence"] == RANDOM])
    result["liver_dice_worst"] = min(row["liver"] for row in known)
    result["peers"] = {name: mean([row["peers"][name] for row in rows]) for name in rows[0]["peers"]}
    result["each"] = rows
    return result


def score_nifti(scan: Path, segmentation: Path, names: Path, bundle: Bundle, peers: Peers) -> dict[str, Any]:
    """A real MR scan with labels in TotalSegmentator's numbering, made by a program and not by experts."""
    volume = nifti.read_volume(scan, Quantity.MR_SIGNAL)
    given = nifti.read_volume(segmentation, Quantity.HU).array.astype(np.int64)
    if given.shape != volume.grid.shape:
        raise InputRefusedError(f"{segmentation.name} has shape {given.shape}, the scan {volume.grid.shape}")
    with names.open(encoding="utf-8") as file:
        value_of = {row["structure"]: int(row["value"]) for row in csv.DictReader(file)}
    values = {s: n for n, s in enumerate(sorted(set(_THEIR_NAMES.values())), start=1)}
    array = np.zeros(given.shape, dtype=np.uint8)
    for name, structure in _THEIR_NAMES.items():
        array[given == value_of[name]] = values[structure]
    return _score_volume(volume, LabelMap(array, volume.grid, values), bundle, peers)


def score_study(study: Path, labels: Path, bundle: Bundle, peers: Peers) -> dict[str, Any]:
    """Every MR series of a DICOM study that lies on the grid of one label file with its names beside it."""
    record = records.load(labels.with_name(labels.name.removesuffix(".nii.gz") + ".json"))
    structures, lesions = label_names_from_record(record)
    headers = read_study(study, phase_rules=PhaseRules.from_table(read_table("phases")))
    result = {}
    for series, stack in zip(headers.study.series, headers.stacks, strict=True):
        volume = load_volume(stack)
        if volume.quantity is not Quantity.MR_SIGNAL:
            continue
        truth = as_drawn(nifti.read_labels(labels, structures, lesions=lesions, on=volume.grid), bundle.values)
        result[series.phase.value] = _score_volume(volume, truth, bundle, peers)
    return result


def _score_volume(volume: Volume, truth: LabelMap, bundle: Bundle, peers: Peers) -> dict[str, Any]:
    start_s = time.perf_counter()
    found = tidy(segment_volume(volume, bundle).labels, tidy_rules())
    seconds = time.perf_counter() - start_s
    spacing = volume.grid.spacing_mm
    shared = [s for s in sorted(bundle.values) if s in truth.structures]
    return {
        "seconds": round(seconds, 2),
        "shape": list(volume.grid.shape),
        "spacing_mm": [round(float(s), 3) for s in spacing],
        "liver": asdict(agreement(whole_liver(found), whole_liver(truth), spacing)),
        "dice": {s.value: round(dice(found.mask(s), truth.mask(s)), 4) for s in shared if truth.has(s)},
        "peers": peers.scores(volume, truth),
    }


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path, help="JSON file for the scores")
    parser.add_argument("--ct", type=Path, help="a CT bundle, as a peer")
    parser.add_argument("--maps", type=Path, help="folder of body maps, val-*.npz")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--phantoms", type=int, default=0, help="how many analytic bodies, each in four phases")
    parser.add_argument("--study", type=Path, help="DICOM folder of an MR study")
    parser.add_argument("--study-labels", type=Path, help="its labels, .nii.gz with names in .json beside it")
    parser.add_argument("--real", type=Path, help="folder with example_mr_sm.nii.gz, example_seg_mr.nii.gz, labels.csv")
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    bundle = open_bundle(chosen.bundle, device=chosen.device)
    if Modality.MR not in bundle.modalities:
        parser.error(f"{bundle.name} was made for {' and '.join(bundle.modalities)}, expected MR")
    peers = Peers(None if chosen.ct is None else open_bundle(chosen.ct, device=chosen.device))
    record: dict[str, Any] = {"model": f"{bundle.name} {bundle.version}"}
    if chosen.maps is not None:
        record["synthetic"] = score_cases(synthetic_mr_cases(chosen.maps, chosen.count, bundle.values), bundle, peers)
    if chosen.phantoms:
        record["phantom"] = score_cases(phantom_mr_cases(chosen.phantoms, bundle.values), bundle, peers)
    if chosen.study is not None:
        record["study"] = score_study(chosen.study, chosen.study_labels, bundle, peers)
    if chosen.real is not None:
        files = [chosen.real / name for name in ("example_mr_sm.nii.gz", "example_seg_mr.nii.gz", "labels.csv")]
        record["real"] = score_nifti(files[0], files[1], files[2], bundle, peers)
    chosen.out.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
