"""How the names of branches agree with what is known: phantoms, reference bodies, Couinaud segments of real livers.

Usage: ``python -m benchmarks.branch_names [--phantoms 6] [--spoilt COUNT] [--shared ../shared/data]``

* Phantoms: every capsule of the trees knows its branch. Shares by volume.
* Reference bodies (HuBMAP, Visible Human): portal and hepatic veins are named in the meshes.
* Real livers: hepatic and portal veins are drawn under one label and end at the liver's surface. They are parted by
  the cheapest path to two seeds, a thick place at the top and the thickest place lower down, which stand for cava
  and stem. What is counted is therefore parting and naming together: right portal branch in segments 5 to 8, left in
  2 to 4; right hepatic vein in 5 to 8, middle in 4, 5 and 8, left in 2 to 4.
* ``--spoilt``: phantoms and reference bodies with labels spoilt as models spoil them (``branch_degraded``).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import edt
import nibabel
import numpy as np
from benchmarks.branch_degraded import SPOILINGS, TREES, Spoiling, spoilt

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.files.tables import read_table
from liverimg.measure.branches import NamedTree, name_trees
from liverimg.measure.hepatic_branches import mark_hepatic
from liverimg.measure.liver import LiverBody
from liverimg.measure.portal_branches import Marks, mark_portal
from liverimg.measure.scene import Scene
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body
from liverimg.measure.supply import believed, liver_places
from liverimg.measure.trees import Cells, cells_of, grown
from liverimg.phantom.capsules import Capsules, capsule_distance
from liverimg.phantom.people import random_scene
from liverimg.pipeline.sample import exact_labels
from liverimg.training.anatomy.mesh_body import filled, painted, read_triangles

CODES = {
    Structure.LIVER: 1,
    Structure.HEPATIC_VEIN: 3,
    Structure.PORTAL_VEIN: 4,
    Structure.INFERIOR_VENA_CAVA: 7,
}
MESHES = {
    Structure.PORTAL_VEIN: (
        "hepatic_portal_vein|portal_vein",
        "right_branch_of_portal_vein",
        "left_branch_of_portal_vein",
    ),
    Structure.HEPATIC_VEIN: ("right_hepatic_vein", "middle_hepatic_vein", "left_hepatic_vein"),
}


def trees_of(labels: LabelMap) -> Any:
    """The named trees of a label map."""
    settings = MeasureSettings.from_table(read_table("measure"))
    return name_trees(Body.of(labels, LabelQuality("external"), settings=settings))


def shares(tree: NamedTree, truth: np.ndarray) -> str:
    """Volume with the right name, with a wrong one and with none, in per cent; truth holds one bit per cell."""
    if tree.reason:
        return f"unknown: {tree.reason}"
    volume, known = tree.cells.volume_mm3, truth > 0
    right = known & ((tree.marks & truth) > 0)
    none = known & (tree.marks == 0)
    # At the portal fork trunk and branches pass into each other; right for left is another matter.
    trunk = 1 if tree.structure is Structure.PORTAL_VEIN else 0
    fork = known & ~right & ~none & (((tree.marks | truth) & trunk) > 0)
    whole = volume[known].sum()
    parts = [volume[chosen].sum() / whole for chosen in (right, fork, known & ~right & ~none & ~fork, none)]
    return "right {:.1%}, trunk for branch {:.1%}, wrong {:.1%}, no name {:.1%}".format(*parts)


def nearest_capsule(points: np.ndarray, tree: Capsules) -> np.ndarray:
    """Row of the capsule that each point is nearest to."""
    found = [
        capsule_distance(
            part[:, None, :], tree.start_lps_mm, tree.end_lps_mm, tree.radius_start_mm, tree.radius_end_mm
        ).argmin(axis=1)
        for part in np.array_split(points, max(1, len(points) // 1500))
    ]
    return np.concatenate(found)


def _descendants(tree: Capsules, first: int) -> np.ndarray:
    held = np.zeros(len(tree), dtype=bool)
    held[first] = True
    for row in range(len(tree)):
        held[row] |= tree.parent[row] >= 0 and held[tree.parent[row]]
    return held


def portal_truth(tree: Capsules) -> np.ndarray:
    """Bit of each capsule of a phantom's portal vein: its first large fork is the bifurcation."""
    size = np.ones(len(tree))
    for row in range(len(tree) - 1, -1, -1):
        if tree.parent[row] >= 0:
            size[tree.parent[row]] += size[row]
    at, trunk = int(np.flatnonzero(tree.parent < 0)[0]), []
    while True:
        trunk.append(at)
        children = sorted(np.flatnonzero(tree.parent == at), key=lambda row: -size[row])
        if len(children) > 1 and size[children[1]] > 0.1 * size[trunk[0]]:
            break
        at = int(children[0])
    right, left = sorted(children[:2], key=lambda row: tree.end_lps_mm[row, 0])
    bits = np.zeros(len(tree), dtype=np.int64)
    bits[trunk] = 1
    bits[_descendants(tree, int(right))] = 2
    bits[_descendants(tree, int(left))] = 4
    return bits


def hepatic_truth(tree: Capsules) -> np.ndarray:
    """Bit of each capsule of a phantom's hepatic veins: the roots are right, middle and left."""
    bits = np.zeros(len(tree), dtype=np.int64)
    for bit, root in zip((1, 2, 4), np.flatnonzero(tree.parent < 0), strict=True):
        bits[_descendants(tree, int(root))] = bit
    return bits


def phantoms(count: int) -> None:
    """Prints the phantoms' rows."""
    for seed in range(1, count + 1):
        scene = random_scene(seed)
        slices = (1.5, 2.5, 4.0, 5.0)[seed % 4]
        grid = Grid.from_axes(
            (int(330 / slices), 280, 280), spacing_mm=(slices, 1.4, 1.4), origin_lps_mm=(-196.0, -196.0, -180.0)
        )
        trees = trees_of(exact_labels(scene, grid))
        for structure, tubes, bits in (
            (Structure.PORTAL_VEIN, scene.portal_veins, portal_truth(scene.portal_veins)),
            (Structure.HEPATIC_VEIN, scene.hepatic_veins, hepatic_truth(scene.hepatic_veins)),
        ):
            tree = trees[structure]
            truth = bits[nearest_capsule(tree.cells.points_lps_mm, tubes)]
            print(f"| phantom {seed}, slices {slices:g} mm | {structure} | {shares(tree, truth)} |", flush=True)


def spoilt_trees(count: int, folder: Path) -> None:
    """Prints, for each way of spoiling, the shares of named volume: right, without a name, wrong."""
    whole = [phantom_with_truth(seed) for seed in range(101, 101 + count)]
    if folder.is_dir():
        whole += [body_with_truth(folder, sex) for sex in ("F", "M")]
    print("| spoilt | tree | right | no name | wrong | trees with 10 % wrong | of |\n|---|---|---|---|---|---|---|")
    for spoiling in SPOILINGS:
        rows = [_judged(labels, bits, spoiling, seed) for seed, (labels, bits) in enumerate(whole)]
        for structure in TREES:
            shares_of = np.array([row[structure] for row in rows if structure in row])
            if not len(shares_of):
                continue
            right, none, wrong = shares_of.mean(axis=0)
            bad = int((shares_of[:, 2] >= 0.1).sum())
            print(
                f"| {spoiling.__name__} | {structure} | {right:.1%} | {none:.1%} | {wrong:.1%} | {bad} | "
                f"{len(shares_of)} |",
                flush=True,
            )


def _judged(
    labels: LabelMap, bits: Mapping[Structure, np.ndarray], spoiling: Spoiling, seed: int
) -> dict[Structure, tuple[float, float, float]]:
    """Shares of each spoilt tree's voxels with the right name, none, a wrong one; trunk for branch counts as right.

    What belongs to the other tree is right without a name.
    """
    made = spoilt(labels, bits, spoiling, seed=seed)
    trees, upright = trees_of(made), Scene.of(made).grid
    found = {}
    for structure in TREES:
        tree = trees.get(structure)
        if tree is None:
            continue
        voxels = np.argwhere(made.array == made.structures[structure])
        at = np.rint(upright.lps_mm_to_index(made.grid.index_to_lps_mm(voxels))).astype(int)
        marks = tree.marks[tree.cells.of_voxels(at)]
        other_tree = next(t for t in TREES if t != structure)
        own, other = (bits[t][tuple(voxels.T)] for t in (structure, other_tree))
        fork = 1 if structure is Structure.PORTAL_VEIN else 0
        named, alien = marks > 0, other > 0
        fits = (own > 0) & ((marks & own > 0) | (((marks | own) & fork) > 0))
        parts = (named & fits) | (~named & alien), ~named & ~alien, named & ~fits
        right, none, wrong = (float(part.mean()) for part in parts)
        found[structure] = (right, none, wrong)
    return found


def phantom_with_truth(seed: int) -> tuple[LabelMap, dict[Structure, np.ndarray]]:
    """A phantom's labels, and the branch of each voxel of its veins as a bit."""
    scene = random_scene(seed)
    slices = (1.5, 2.5, 4.0, 5.0)[seed % 4]
    grid = Grid.from_axes(
        (int(330 / slices), 280, 280), spacing_mm=(slices, 1.4, 1.4), origin_lps_mm=(-196.0, -196.0, -180.0)
    )
    labels = exact_labels(scene, grid)
    bits = {}
    for structure, tubes, of_capsule in (
        (Structure.PORTAL_VEIN, scene.portal_veins, portal_truth(scene.portal_veins)),
        (Structure.HEPATIC_VEIN, scene.hepatic_veins, hepatic_truth(scene.hepatic_veins)),
    ):
        voxels = np.argwhere(labels.array == labels.structures[structure])
        found = np.zeros(grid.shape, dtype=np.uint8)
        found[tuple(voxels.T)] = of_capsule[nearest_capsule(grid.index_to_lps_mm(voxels), tubes)]
        bits[structure] = found
    return labels, bits


def reference_bodies(folder: Path) -> None:
    """Prints the rows of the two reference bodies."""
    for sex in ("F", "M"):
        labels, bits = body_with_truth(folder, sex)
        trees = trees_of(labels)
        for structure in MESHES:
            tree = trees[structure]
            index = np.rint(labels.grid.lps_mm_to_index(tree.cells.points_lps_mm)).astype(int)
            print(
                f"| reference body {sex} | {structure} | {shares(tree, bits[structure][tuple(index.T)].astype(int))} |",
                flush=True,
            )


def body_with_truth(folder: Path, sex: str) -> tuple[LabelMap, dict[Structure, np.ndarray]]:
    """A reference body's labels, and the branch of each voxel of its veins as a bit."""
    vessels = read_triangles(folder / f"VH_{sex}_Blood_Vasculature_Liver.glb")
    liver = np.concatenate(
        [t for n, t in read_triangles(folder / f"VH_{sex}_Liver.glb").items() if "ligament" not in n]
    )
    named = {
        structure: [
            np.concatenate([vessels[f"VH_{sex}_{n}"] for n in names.split("|") if f"VH_{sex}_{n}" in vessels])
            for names in parts
        ]
        for structure, parts in MESHES.items()
    }
    everything = np.concatenate([liver, *(t for parts in named.values() for t in parts)]).reshape(-1, 3)
    first, spacing = everything.min(axis=0) - 15, 1.2
    shape = tuple(int(n) for n in np.ceil((everything.max(axis=0) + 15 - first) / spacing)[::-1])
    array = filled(painted(liver, first, shape, spacing)).astype(np.uint8)
    truth = np.zeros(shape, dtype=np.uint8)
    for structure, parts in named.items():
        for bit, triangles in zip((1, 2, 4), parts, strict=True):
            surface = painted(triangles, first, shape, spacing)
            array[surface], truth[surface] = CODES[structure], bit
            inside = filled(surface)
            array[inside], truth[inside] = CODES[structure], bit
    _cava_where_the_veins_meet(array, truth, spacing)
    grid = Grid.from_axes(shape, spacing_mm=(spacing,) * 3, origin_lps_mm=tuple(first))  # type: ignore[arg-type]
    bits = {structure: np.where(array == CODES[structure], truth, 0) for structure in MESHES}
    return LabelMap(array, grid, CODES), bits


def _cava_where_the_veins_meet(array: np.ndarray, truth: np.ndarray, spacing: float) -> None:
    """The meshes hold no vena cava: a tube stands for it, upright through the place nearest to all three veins."""
    veins = [(array == CODES[Structure.HEPATIC_VEIN]) & (truth == bit) for bit in (1, 2, 4)]
    farthest = np.max([edt.edt(~vein, anisotropy=(spacing,) * 3) for vein in veins], axis=0)
    _, j, i = np.unravel_index(int(np.argmin(farthest)), farthest.shape)
    rows, columns = np.ogrid[: array.shape[1], : array.shape[2]]
    radius = (float(farthest.min()) + 3.0) / spacing
    disc = (rows - j) ** 2 + (columns - i) ** 2 <= radius**2
    free = (array != CODES[Structure.HEPATIC_VEIN]) & (array != CODES[Structure.PORTAL_VEIN])
    array[free & disc[None]] = CODES[Structure.INFERIOR_VENA_CAVA]


RIGHT_LIVER, LEFT_LIVER = (5, 6, 7, 8), (2, 3, 4)
WHERE = {
    Structure.PORTAL_VEIN: {2: RIGHT_LIVER, 4: LEFT_LIVER},
    Structure.HEPATIC_VEIN: {1: RIGHT_LIVER, 2: (4, 5, 8), 4: LEFT_LIVER},
}
_SEED_MM = 12.0


def real_livers(shared: Path) -> None:
    """Prints a row for each real liver with vessels and segments, and the sums."""
    maps = shared / "label_maps"
    cases = [
        (f.name.removesuffix(".nii.gz"), f, maps / "couinaud" / f.name) for f in sorted((maps / "vessels").glob("*"))
    ]
    cases = [case for case in cases if case[2].is_file()]
    ircad = shared / "ct_ircadb01"
    cases.append(("ct_ircadb01", ircad / "vessels.nii.gz", ircad / "couinaud.nii.gz"))
    held: dict[Structure, list[float]] = {s: [] for s in WHERE}
    rules = MeasureSettings.from_table(read_table("measure")).branches.supply
    for name, vessels_file, segments_file in cases:
        image = nibabel.load(vessels_file)
        segments = np.asarray(nibabel.load(segments_file).dataobj)
        vessels = np.asarray(image.dataobj) > 0
        grid = Grid(vessels.shape, np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)
        scene = Scene.of(LabelMap(vessels.astype(np.uint8), grid, {Structure.PORTAL_VEIN: 1}))
        cells = cells_of(scene, Structure.PORTAL_VEIN)
        if cells is None:
            continue
        index = np.rint(grid.lps_mm_to_index(cells.points_lps_mm)).astype(int)
        segment = segments[tuple(np.clip(index, 0, np.array(grid.shape) - 1).T)]
        around = _liver_places(segments, grid)
        for structure, found in _parted(cells).items():
            marks = believed(found, cells, structure, around, rules)
            if marks.reason:
                print(f"| {name} | {structure} | unknown: {marks.reason} |", flush=True)
                continue
            fits, counted = 0.0, 0.0
            for bit, allowed in WHERE[structure].items():
                mine = (marks.values == bit) & (segment > 1)
                fits += cells.volume_mm3[mine & np.isin(segment, allowed)].sum()
                counted += cells.volume_mm3[mine].sum()
            held[structure].append(fits / counted if counted else 0.0)
            print(f"| {name} | {structure} | {held[structure][-1]:.0%} of {counted / 1000:.1f} ml fit |", flush=True)
    for structure, fits_of in held.items():
        low = sum(f < 0.8 for f in fits_of)
        print(
            f"| all {len(cases)} | {structure} | named {len(fits_of)}, median {np.median(fits_of or [0]):.0%}, "
            f"below 80 %: {low} |"
        )


def _liver_places(segments: np.ndarray, grid: Grid) -> np.ndarray:
    liver = segments > 0
    box = tuple(slice(0, n) for n in liver.shape)
    return liver_places(LiverBody(liver, grid, box, touches_image_edge=False))  # type: ignore[arg-type]


def _parted(cells: Cells) -> dict[Structure, Marks]:
    """Names in both trees of a joint label."""
    points, main = cells.points_lps_mm, cells.piece == 0
    z = points[:, 2]
    thick = main & (cells.radius_mm >= 0.6 * cells.radius_mm[main].max())
    low, high = np.quantile(z[main], (0.6, 0.9))
    above, below = np.flatnonzero(thick & (z >= high)), np.flatnonzero(thick & (z <= low))
    if len(above) == 0 or len(below) == 0:
        nothing = Marks(np.zeros(len(cells), dtype=np.int64), "no two seeds stand out")
        return dict.fromkeys(WHERE, nothing)
    top = int(above[np.argmax(z[above])])
    stem = int(below[np.argmax(cells.radius_mm[below])])
    tree = grown(cells, np.array([top, stem]))
    root = tree.inherited({top: 1, stem: 2})
    found, rules = {}, MeasureSettings.from_table(read_table("measure")).branches
    for structure, number, seed in ((Structure.PORTAL_VEIN, 2, stem), (Structure.HEPATIC_VEIN, 1, top)):
        mine = root == number
        links = cells.links[mine[cells.links].all(axis=1)]
        part = replace(cells, links=links, piece=np.where(mine, 0, 1))
        near = np.linalg.norm(points - points[seed], axis=1) <= _SEED_MM
        if structure is Structure.PORTAL_VEIN:
            found[structure] = mark_portal(part, mine & ~near, rules)
        else:
            cava = replace(part, points_lps_mm=points[near], radius_mm=cells.radius_mm[near])
            found[structure] = mark_hepatic(part, mine, cava, rules)
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phantoms", type=int, default=6)
    parser.add_argument("--spoilt", type=int, metavar="COUNT", help="spoil so many phantoms and the reference bodies")
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    options = parser.parse_args()
    if options.spoilt is not None:
        spoilt_trees(options.spoilt, options.shared / "meshes_hubmap")
        return
    print("| tree | structure | by volume |\n|---|---|---|")
    if (options.shared / "meshes_hubmap").is_dir():
        reference_bodies(options.shared / "meshes_hubmap")
        real_livers(options.shared)
    phantoms(options.phantoms)


if __name__ == "__main__":
    main()
