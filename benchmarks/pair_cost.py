"""What a pair of studies costs from DICOM to both reports: ``liverimg pre``, then ``liverimg post`` against it.

    python benchmarks/pair_cost.py ct_ircadb01 --work DIR [--model liver_ct] [--threads 2]

The folder has a real portal venous CT (``dicom``) and the outline of its liver (``liver.nii.gz``). It is written anew
as the study before, and turned, shifted and with a dark zone painted around one place as the study after. Both
commands outline everything by the model and write their whole report, in processes of their own; processor time, wall
time and peak memory (``ru_maxrss``, the largest process) are printed, and what the second found.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from liverimg.core.study import Modality
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study
from liverimg.dicom.write import SeriesHeader, StudyHeader, uid_from, write_series
from liverimg.files.tables import read_table

TURN_DEG, SHIFT_MM = (0.0, 0.0, 4.0), np.array([3.0, -2.0, 9.0])
ZONE_MM, ZONE_HU, EDGE_MM = 18.0, 46.0, 0.8
NOISE_HU = 6.0
_PER_GB = 1024**2  # ru_maxrss counts KiB


def moved(image: Volume) -> Volume:
    """The same body, turned about the middle of the view and shifted, with noise of its own."""
    grid = image.grid
    middle = grid.index_to_lps_mm((np.array(grid.shape) - 1) / 2)
    turn = Rotation.from_euler("xyz", TURN_DEG, degrees=True).as_matrix()
    back = np.eye(4)
    back[:3, :3], back[:3, 3] = turn.T, middle - turn.T @ (middle + SHIFT_MM)
    to_index = np.linalg.inv(grid.affine) @ back @ grid.affine
    values = ndimage.affine_transform(
        image.array.astype(np.float32), to_index[:3, :3], to_index[:3, 3], order=1, cval=-1000.0
    )
    values += np.random.default_rng(0).normal(0, NOISE_HU, values.shape).astype(np.float32)
    return Volume(values, grid, Quantity.HU)


def treated(image: Volume, centre_lps_mm: np.ndarray) -> Volume:
    """With a dark ball, as wide as a small ablation zone."""
    values = np.array(image.array)
    index = np.moveaxis(np.indices(values.shape, dtype=np.float32), 0, -1)
    apart_mm = np.linalg.norm(image.grid.index_to_lps_mm(index) - centre_lps_mm, axis=-1)
    share = np.clip((ZONE_MM + EDGE_MM - apart_mm) / (2 * EDGE_MM), 0, 1)
    return Volume((values + share * (ZONE_HU - values)).astype(np.float32), image.grid, Quantity.HU)


def write(image: Volume, folder: Path, *, day: str) -> None:
    study = StudyHeader("PHANTOM^PAIR", "PAIR-1", uid_from("pair", day), day, "101500")
    series = SeriesHeader(
        Modality.CT, 2, uid_from("pair", day, 2), "Abdomen portal venous", "101700", contrast_agent="Iodinated"
    )
    grid = replace(image.grid, frame_of_reference_uid=uid_from("pair", day, "frame"))
    shutil.rmtree(folder, ignore_errors=True)
    write_series(Volume(image.array, grid, Quantity.HU), folder, study=study, series=series)


def deepest(folder: Path) -> np.ndarray:
    """The place of the liver that is farthest from its surface, LPS mm."""
    outline = nibabel.as_closest_canonical(nibabel.load(folder / "liver.nii.gz"))
    mask = np.asarray(outline.dataobj) > 0
    depth = ndimage.distance_transform_edt(mask, sampling=outline.header.get_zooms()[:3])
    ras = outline.affine @ [*np.unravel_index(np.argmax(depth), mask.shape), 1.0]
    return ras[:3] * (-1, -1, 1)


def make(folder: Path, before: Path, after: Path) -> None:
    """Writes both studies."""
    rules = PhaseRules.from_table(read_table("phases"))
    image = load_volume(read_study(folder / "dicom", phase_rules=rules).stacks[0])
    write(image, before, day="20260105")
    write(moved(treated(image, deepest(folder))), after, day="20260209")
    print("x".join(map(str, image.grid.shape[::-1])), "voxels a study", flush=True)


def cost(told: list[str], threads: int) -> tuple[str, float]:
    """Runs a command and says what it took; with it its seconds of wall time."""
    began_s = time.monotonic()
    environ = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    run = subprocess.Popen([sys.executable, "-m", "liverimg.cli", *told], env=environ, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(run.pid, 0)
    if status:
        raise SystemExit(f"{told[0]} ended with {os.waitstatus_to_exitcode(status)}")
    processor_s = used.ru_utime + used.ru_stime
    wall_s = time.monotonic() - began_s
    memory_gb = used.ru_maxrss / _PER_GB
    said = f"{told[0]}: {processor_s:.1f} s of processor time, {wall_s:.1f} s of wall time, {memory_gb:.1f} GB"
    return said, wall_s


def main() -> None:
    """Makes the pair, runs both commands, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder to work in")
    parser.add_argument("--model", default="liver_ct")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    before, after = given.work / "before", given.work / "after"
    # In a process of its own: what a process holds while it starts another counts as the other's memory.
    making = get_context("spawn").Process(target=make, args=(given.folder, before, after))
    making.start()
    making.join()
    if making.exitcode:
        raise SystemExit("the pair could not be made")
    pre, post = given.work / "pre", given.work / "post"
    for folder in (pre, post):
        shutil.rmtree(folder, ignore_errors=True)
    model = ["--model", given.model]
    first, first_s = cost(["pre", str(before), "--out", str(pre), *model], given.threads)
    print(first, flush=True)
    told = ["post", str(after), "--baseline", str(pre), "--out", str(post), "--treated-on", "2026-01-06", *model]
    second, second_s = cost(told, given.threads)
    print(second, flush=True)
    print(f"the pair: {first_s + second_s:.1f} s of wall time")
    zones = json.loads((post / "zones.json").read_text())
    print("zones:", json.dumps(zones)[:400])


if __name__ == "__main__":
    main()
