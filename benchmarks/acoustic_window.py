"""The acoustic window against a slow reference that follows every ray by itself in fine steps.

    python benchmarks/acoustic_window.py [--labels LABELS.nii.gz --names LABELS.json] [--entries 12]

On the sample's exact labels (or the given ones) the program's map is compared, at some entries, with the plainest way
to do it: for each of many rays of each beam, sample the full-resolution labels every 0.25 mm and see whether bone, gas
or lung comes before the skin. Both are timed in one process by processor time. Printed: the error of the blocked share
and of the depth, the seconds of each, and what a whole lesion costs.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import nibabel
import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.files.tables import read_table
from liverimg.files.transducers import choose_transducer
from liverimg.measure.approach import Approach, ApproachSettings
from liverimg.measure.beam import follow, in_cone
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body, Subject
from liverimg.measure.window import find_window, search_of
from liverimg.measure.window_numbers import window_numbers

ROOT = Path(__file__).resolve().parent.parent
FINE_STEP_MM = 0.25
REFERENCE_RAYS = 3000


def reference_share(body: Body, target: np.ndarray, axis: np.ndarray, transducer, blockers: np.ndarray) -> tuple:
    """Blocked share in percent and depth on the axis, ray by ray on the full grid."""
    labels, skin = body.scene.labels, body.skin
    rays = in_cone(axis, REFERENCE_RAYS, outer=transducer.half_angle, inner=transducer.opening_half_angle)
    steps = np.arange(FINE_STEP_MM / 2, transducer.focal_length_mm, FINE_STEP_MM)
    blocked, depth = 0, float("nan")
    for number, ray in enumerate((axis, *rays)):
        index = np.rint(labels.grid.lps_mm_to_index(target + steps[:, None] * ray)).astype(int)
        inside = ((index >= 0) & (index < labels.grid.shape)).all(axis=1)
        last = len(steps) if inside.all() else int(np.argmin(inside))
        index = index[:last]
        outside = ~skin.inside(*index.T)
        end = int(np.argmax(outside)) if outside.any() else last
        if number == 0:
            depth = end * FINE_STEP_MM if outside.any() else float("nan")
            continue
        # A ray that leaves the image before the skin counts as free here, as in the program's value.
        blocked += bool(blockers[labels.array[tuple(index[:end].T)]].any())
    return 100 * blocked / len(rays), depth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    truth = ROOT / "sample_dicom" / "truth"
    parser.add_argument("--labels", type=Path, default=truth / "pre_ct_labels.nii.gz")
    parser.add_argument("--names", type=Path, default=truth / "pre_ct_labels.json")
    parser.add_argument("--entries", type=int, default=12)
    arguments = parser.parse_args()
    names = {Structure(name): value for name, value in json.loads(arguments.names.read_text()).items()}
    image = nibabel.load(arguments.labels)
    array = np.asarray(image.dataobj).astype(np.uint8)
    labels = LabelMap(array, Grid(array.shape, np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine), names)
    settings = MeasureSettings.from_table(read_table("measure"))
    approach = Approach(choose_transducer(None), ApproachSettings.from_table(read_table("acoustics")))
    body = Body.of(labels, LabelQuality("external"), settings=settings)
    blockers = np.zeros(256, dtype=bool)
    blockers[list(body.scene.values(Structure.BONE, Structure.GAS, Structure.LUNG))] = True
    start = time.process_time()
    search = search_of(body, approach)
    prepared = time.process_time() - start
    print(f"{approach.transducer.title}; {len(search.axes)} entries, {len(search.directions)} directions")
    print(f"prepared once a study: {prepared:.2f} s")
    print("| lesion | ours, all entries | numbers | reference, one | per entry | error of the share | of the depth |")
    print("|---|---|---|---|---|---|---|")
    for lesion in body.lesions:
        row(body, Subject.of(lesion, body), search, approach, blockers, arguments.entries)


def row(body: Body, subject: Subject, search, approach: Approach, blockers: np.ndarray, entries: int) -> None:
    start = time.process_time()
    window = find_window(subject, search, body)
    ours = time.process_time() - start
    start = time.process_time()
    window_numbers(subject, body, search, window)
    numbers = time.process_time() - start
    found, target = window.map, window.map.targets_lps_mm[0]
    some = np.unique(np.linspace(0, len(found.depth_mm) - 1, entries).astype(int))
    # The reference takes the target's centre alone; so does the mean over the rays of the search.
    centre = search.shares @ (window_rays(window, search, approach) >= 0).astype(np.float32) * 100
    axes = (found.entries_lps_mm - target) / found.depth_mm[:, None]
    nearest = np.argmax(axes @ search.axes.T, axis=1)
    shares, depths = [], []
    start = time.process_time()
    for entry in some:
        share, depth = reference_share(body, target, axes[entry], approach.transducer, blockers)
        shares.append(centre[nearest[entry]] - share)
        depths.append(found.depth_mm[entry] - depth)
    slow = (time.process_time() - start) / len(some)
    each = ours / max(len(found.depth_mm), 1)
    share, depth = np.array(shares), np.array(depths)
    print(
        f"| {subject.lesion.id} | {ours:.2f} s | {numbers:.2f} s | {slow:.2f} s | {slow / each:,.0f} times faster | "
        f"mean {share.mean():+.2f}, sd {share.std():.2f}, worst {np.abs(share).max():.1f} points | "
        f"mean {np.nanmean(depth):+.2f}, worst {np.nanmax(np.abs(depth)):.1f} mm |"
    )


def window_rays(window, search, approach: Approach) -> np.ndarray:
    """Where each direction of the search is first blocked on its way to the target's centre; -1 where it is not."""
    rays = follow(
        search.tissue, window.map.targets_lps_mm[0], search.directions, reach_mm=approach.transducer.focal_length_mm
    )
    return rays.first_block()[0]


if __name__ == "__main__":
    main()
