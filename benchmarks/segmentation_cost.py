"""What volume to labels costs: our cascade beside the same networks in plain fp32 PyTorch, same run, same input.

    python benchmarks/segmentation_cost.py [DICOM_FOLDER] [--model models/liver_ct] [--threads 2] [--phases]

Each way runs in a process of its own, so that peak memory (``ru_maxrss``) is its own as well. *Plain* is the networks
by the book: MONAI's ``Spacing``, its sliding window in single precision, all class probabilities enlarged to the
image's grid with ``interpolate``, then ``argmax``; the coarse pass over the whole view, the fine one around the liver
that it found, as in ours. Without a folder the input is the sample's portal venous phase, enlarged to
512 x 512 x 129 voxels; with ``--phases`` the study's other phases go into ours too.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SHAPE = (129, 512, 512)
WAYS = ("ours", "plain")
_PER_GB = 1024**2  # ru_maxrss counts KiB


def read(folder: Path | None):
    """The reference volume, and the other phases in the same frame of reference."""
    from liverimg.core.grid import Grid
    from liverimg.core.study import Phase
    from liverimg.core.volume import Volume
    from liverimg.dicom.phase import PhaseRules
    from liverimg.dicom.pixels import load_volume
    from liverimg.dicom.reference import choose_reference
    from liverimg.dicom.study import read_study
    from liverimg.files.tables import read_table

    rules = PhaseRules.from_table(read_table("phases"))
    found = read_study(folder or ROOT / "sample_dicom" / "pre_ct", phase_rules=rules)
    reference = found.study.series.index(choose_reference(found.study, rules))
    volumes = [load_volume(stack) for stack in found.stacks]
    volume = volumes[reference]
    if folder is None:
        index = [np.arange(n) * old // n for n, old in zip(SHAPE, volume.grid.shape, strict=True)]
        spacing = volume.grid.spacing_mm * volume.grid.shape / np.array(SHAPE)
        affine = np.array(volume.grid.affine)
        affine[:3, :3] *= spacing / volume.grid.spacing_mm
        grid = Grid(SHAPE, affine, volume.grid.frame_of_reference_uid)
        volume = Volume(np.ascontiguousarray(volume.array[np.ix_(*index)]), grid, volume.quantity)
    others = {
        series.phase: volumes[n]
        for n, series in enumerate(found.study.series)
        if n != reference and series.phase is not Phase.UNKNOWN
    }
    return volume, others


def ours(volume, others, bundle):
    from liverimg.files.tables import read_table
    from liverimg.segmentation.infer import segment_volume
    from liverimg.segmentation.phases import AlignmentRules
    from liverimg.segmentation.tidy import TidyRules, tidy

    table = read_table("segmentation")
    found = segment_volume(volume, bundle, others=others, alignment=AlignmentRules.from_table(table["phases"]))
    return tidy(found.labels, TidyRules.from_table(table["tidy"])).array


def plain(volume, bundle):
    """The same networks by the book; further phases are left out of it."""
    import torch
    from monai.data import MetaTensor
    from monai.transforms import Spacing

    from liverimg.core.labels import Structure
    from liverimg.core.orientation import Orientation

    turn = Orientation.of(volume.grid)
    image = torch.from_numpy(np.ascontiguousarray(turn.turn(volume.array))).float()[None]
    affine = np.diag([*turn.turn_grid(volume.grid).spacing_mm, 1.0])
    labels = torch.zeros(image.shape[1:], dtype=torch.uint8)
    box = tuple(slice(None) for _ in range(3))
    with torch.inference_mode():
        for one in bundle.passes:
            part = MetaTensor(image[(slice(None), *box)], affine=torch.from_numpy(affine))
            small = Spacing(pixdim=(one.spacing_mm,) * 3, mode="bilinear")(part).as_tensor()
            low, high = one.intensity.low, one.intensity.high
            scaled = (small.clamp(low, high) - low) * (2 / (high - low)) - 1
            stack = torch.full((1, len(one.inputs), *small.shape[1:]), -1.0)
            stack[0, 0] = scaled[0]
            probability = torch.softmax(one.inferer(stack, one.network), dim=1)
            whole = torch.nn.functional.interpolate(probability, size=part.shape[1:], mode="trilinear")
            channel = whole[0].argmax(dim=0)
            values = torch.tensor([0, *(bundle.values[one.channels[c]] for c in sorted(one.channels))])
            found = values[channel].to(torch.uint8)
            labels[box] = torch.where(found > 0, found, labels[box])
            if one.around_mm is None:
                liver = np.argwhere(labels.numpy() == bundle.values[Structure.LIVER])
                around = bundle.passes[-1].around_mm or 0.0
                pad = np.ceil(around / np.diag(affine)[:3]).astype(int)
                start, stop = np.maximum(liver.min(axis=0) - pad, 0), liver.max(axis=0) + pad + 1
                box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return turn.turn_back(labels.numpy())


def run_one(way: str, folder: Path | None, model: Path, threads: int, phases: bool) -> None:
    """In a process of its own: prints seconds, peak memory and the labels' volumes as JSON."""
    import torch

    from liverimg.segmentation.bundle import open_bundle

    torch.set_num_threads(threads)
    volume, others = read(folder)
    bundle = open_bundle(model, device="cpu")
    before_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PER_GB
    clock_s, processor_s = time.perf_counter(), time.process_time()
    labels = ours(volume, others if phases else {}, bundle) if way == "ours" else plain(volume, bundle)
    row = {
        "way": way,
        "shape": list(volume.grid.shape),
        "seconds": time.perf_counter() - clock_s,
        "processor_seconds": time.process_time() - processor_s,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PER_GB,
        "loaded_gb": before_gb,
        "liver_ml": float(np.isin(labels, [1, 2, 3, 4, 5]).sum()) * volume.grid.voxel_ml,
    }
    print(json.dumps(row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "liver_ct")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--phases", action="store_true")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.way:
        run_one(chosen.way, chosen.folder, chosen.model, chosen.threads, chosen.phases)
        return
    rows = {}
    for way in WAYS:
        command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
        environment = os.environ | {"OMP_NUM_THREADS": str(chosen.threads)}
        said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        rows[way] = json.loads(said.stdout.splitlines()[-1])
    size = " x ".join(str(n) for n in reversed(rows["ours"]["shape"]))
    print(f"volume to labels, {size} voxels, {chosen.threads} thread(s)")
    print(f"{'':8}{'seconds':>10}{'processor s':>13}{'peak GB':>10}{'liver ml':>10}")
    for way, row in rows.items():
        numbers = f"{row['seconds']:>10.1f}{row['processor_seconds']:>13.1f}{row['peak_gb']:>10.2f}"
        print(f"{way:8}{numbers}{row['liver_ml']:>10.0f}")
    ratio = {name: rows["plain"][name] / rows["ours"][name] for name in ("seconds", "processor_seconds", "peak_gb")}
    print(
        f"plain over ours: {ratio['seconds']:.1f} times the time, {ratio['processor_seconds']:.1f} times the "
        f"processor's, {ratio['peak_gb']:.1f} times the memory"
    )


if __name__ == "__main__":
    main()
