"""Our sizes, volumes and distances beside those of pyradiomics, SimpleITK, surface-distance, plastimatch and scipy.

    python benchmarks/measurement_peers.py [--scenes 4] [--no-study] [--shrink 1]

Needs the extra ``bench`` (see ``pyproject.toml`` for how pyradiomics installs); plastimatch is a program of its own
(``apt install plastimatch``). What is not there is left out, and said so.

First table: random bodies of ``measurement_scenes.py`` (other ones than those of the calibration) on upright grids. For
each peer's quantity the mean of ours minus the peer's, the mean error of both against the truth, and processor time.
Second table: a study of 512 x 512 x 250 voxels with three tumours, ours against the same done by the book.
"""

import argparse
import logging
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import scipy.ndimage
import SimpleITK
from skimage.measure import marching_cubes

from liverimg.core.labels import LabelQuality, Structure
from liverimg.core.measurement import NotMeasured
from liverimg.core.orientation import Orientation
from liverimg.files.tables import read_table
from liverimg.measure.axial import farthest
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.survey import survey
from measurement_beside import distance_scene
from measurement_scenes import FAMILIES, SLICES_MM, TUMOUR, VESSEL, size_scene
from measurement_study import add_shrink, large_study
from measurement_truth import measured

_SEED = 77
# Whose distance ours measures in every such study.
_NEIGHBOURS = (
    Structure.HEPATIC_VEIN,
    Structure.PORTAL_VEIN,
    Structure.BILE_DUCT,
    Structure.GALLBLADDER,
    Structure.INFERIOR_VENA_CAVA,
    Structure.STOMACH,
    Structure.BOWEL,
    Structure.HEART,
    Structure.KIDNEY,
)


def try_import(name):
    try:
        return __import__(name, fromlist=["_"])
    except ImportError as error:
        print(f"{name} is left out: {error}")
        return None


radiomics_shape = try_import("radiomics.shape")
surface_distance = try_import("surface_distance")
plastimatch = shutil.which("plastimatch")
if plastimatch is None:
    print("plastimatch is left out: it is not installed")
logging.getLogger("radiomics").setLevel(logging.ERROR)


vars(np).setdefault("Inf", np.inf)  # surface-distance 0.1 was written for numpy 1


def processor_s():
    """Processor time of this process and of the programs that it called."""
    return sum(os.times()[:4])


def timed(function, *arguments):
    began = processor_s()
    found = function(*arguments)
    return found, processor_s() - began


def upright(labels):
    """Array in standard order and its spacing: the peers measure in array axes."""
    turn = Orientation.of(labels.grid)
    return np.ascontiguousarray(turn.turn(labels.array)), turn.turn_grid(labels.grid).spacing_mm


def sitk_image(array, spacing_mm):
    image = SimpleITK.GetImageFromArray(array.astype(np.uint8))
    image.SetSpacing([float(s) for s in reversed(spacing_mm)])
    return image


def by_pyradiomics(mask, spacing_mm):
    if radiomics_shape is None:
        return {}
    image = sitk_image(mask, spacing_mm)
    features = radiomics_shape.RadiomicsShape(image, image, label=1)
    features.enableAllFeatures()
    found = features.execute()
    return {
        ("axial_long_diameter", "pyradiomics Maximum2DDiameterSlice"): float(found["Maximum2DDiameterSlice"]),
        ("maximum_3d_diameter", "pyradiomics Maximum3DDiameter"): float(found["Maximum3DDiameter"]),
        ("volume", "pyradiomics VoxelVolume"): float(found["VoxelVolume"]) / 1000,
        ("mesh_volume", "pyradiomics MeshVolume"): float(found["MeshVolume"]) / 1000,
        ("surface_area", "pyradiomics SurfaceArea"): float(found["SurfaceArea"]),
        ("sphericity", "pyradiomics Sphericity"): float(found["Sphericity"]),
    }


def same_definition(mask, spacing_mm):
    """The 3-D diameter as pyradiomics defines it, on the vertices of the plain mesh, by our own search."""
    vertices, *_ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5, spacing=tuple(spacing_mm))
    ends = farthest(np.asarray(vertices, dtype=float))
    return float(np.linalg.norm(ends[1] - ends[0]))


def by_simpleitk(mask, spacing_mm):
    shape = SimpleITK.LabelShapeStatisticsImageFilter()
    shape.ComputeFeretDiameterOn()
    shape.ComputePerimeterOn()
    shape.Execute(sitk_image(mask, spacing_mm))
    return {
        ("maximum_3d_diameter", "SimpleITK FeretDiameter"): shape.GetFeretDiameter(1),
        ("volume", "SimpleITK PhysicalSize"): shape.GetPhysicalSize(1) / 1000,
        ("surface_area", "SimpleITK Perimeter"): shape.GetPerimeter(1),
        ("sphericity", "SimpleITK Roundness"): shape.GetRoundness(1),
    }


def by_surface_distance(tumour, vessel, spacing_mm):
    if surface_distance is None:
        return {}
    found = surface_distance.compute_surface_distances(tumour, vessel, spacing_mm)
    return {("distance_to_hepatic_vein", "surface-distance"): float(found["distances_gt_to_pred"].min())}


def by_scipy(tumour, vessel, spacing_mm):
    """Distance map of the vessel, its least value in the tumour: voxel centre to voxel centre."""
    distance = scipy.ndimage.distance_transform_edt(~vessel, sampling=spacing_mm)
    return {("distance_to_hepatic_vein", "scipy distance map"): float(distance[tumour].min())}


def by_sitk_maurer(tumour, vessel, spacing_mm):
    field = SimpleITK.SignedMaurerDistanceMap(sitk_image(vessel, spacing_mm), False, False, True)
    values = SimpleITK.GetArrayFromImage(field)
    return {("distance_to_hepatic_vein", "SimpleITK Maurer map"): float(values[tumour].min())}


def by_plastimatch(tumour, vessel, spacing_mm):
    if plastimatch is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder) / "vessel.nrrd", Path(folder) / "map.nrrd"
        SimpleITK.WriteImage(sitk_image(vessel, spacing_mm), str(one))
        subprocess.run([plastimatch, "dmap", "--input", one, "--output", two], check=True, capture_output=True)
        values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(two)))
    return {("distance_to_hepatic_vein", "plastimatch dmap"): float(values[tumour].min())}


def agreement(scenes, settings):
    rows, seconds, same = defaultdict(list), defaultdict(list), []
    for slices_mm in SLICES_MM:
        for family in FAMILIES:
            rng = np.random.default_rng([_SEED, int(slices_mm), FAMILIES.index(family)])
            for _ in range(scenes):
                labels, truths = size_scene(rng, family, slices_mm)
                (found, _), ours_s = timed(measured, labels, "size", settings)
                array, spacing = upright(labels)
                for peer in (by_pyradiomics, by_simpleitk):
                    theirs, peer_s = timed(peer, (array == TUMOUR).astype(np.uint8), spacing)
                    keep(rows, seconds, theirs, found, truths, peer_s, ours_s)
                    for (_, words), value in theirs.items():
                        if words.endswith("Maximum3DDiameter"):
                            same.append(abs(same_definition(array == TUMOUR, spacing) - value))
                labels, truths = distance_scene(rng, family, slices_mm)
                (found, _), ours_s = timed(measured, labels, "distance", settings)
                array, spacing = upright(labels)
                for peer in (by_surface_distance, by_scipy, by_sitk_maurer, by_plastimatch):
                    theirs, peer_s = timed(peer, array == TUMOUR, array == VESSEL, spacing)
                    keep(rows, seconds, theirs, found, truths, peer_s, ours_s)
    print(f"\n{'quantity and peer':62}{'ours-peer':>10}{'ours err':>10}{'peer err':>10}{'peer s':>8}{'ours s':>8}")
    for (name, peer), some in rows.items():
        ours, theirs, truth = np.array(some).T
        unit = "%" if name.endswith(("volume", "area")) or name == "sphericity" else "mm"
        scale = 100 / truth if unit == "%" else 1.0
        apart, our_error, peer_error = (
            float((x * scale).mean()) for x in (ours - theirs, ours - truth, theirs - truth)
        )
        cost = np.mean(seconds[name, peer], axis=0)
        print(
            f"{name + ', ' + peer:59}{unit:3}{apart:>+10.3f}{our_error:>+10.3f}{peer_error:>+10.3f}{cost[0]:>8.3f}"
            f"{cost[1]:>8.3f}"
        )

    if same:
        print(f"pyradiomics' Maximum3DDiameter on its own mesh by our search: at most {max(same):.6f} mm apart")


def keep(rows, seconds, theirs, found, truths, peer_s, ours_s):
    for (name, peer), value in theirs.items():
        if isinstance(found[name], NotMeasured):
            print(f"left out: {name} is not measured ({found[name].reason})")
            continue
        rows[name, peer].append((found[name].value, value, truths[name]))
        seconds[name, peer].append((peer_s, ours_s))


def study_by_the_book(labels):
    """Sizes by pyradiomics, distances and depths by full distance maps, boxes by ``nonzero``: seconds of each."""
    array, spacing = upright(labels)
    values = labels.structures
    seconds = {}
    tumours, seconds["components, scipy label"] = timed(
        lambda: scipy.ndimage.label(array == values[Structure.TUMOUR], structure=np.ones((3, 3, 3)))
    )
    lesions, count = tumours
    began = processor_s()
    for number in range(1, count + 1):
        by_pyradiomics((lesions == number).astype(np.uint8), spacing)
    if radiomics_shape is not None:
        seconds["size and form of the tumours, pyradiomics"] = processor_s() - began
    began = processor_s()
    for structure in _NEIGHBOURS:
        distance = scipy.ndimage.distance_transform_edt(array != values[structure], sampling=spacing)
        for number in range(1, count + 1):
            distance[lesions == number].min()
    seconds["distances to veins, ducts and organs, scipy distance maps"] = processor_s() - began
    began = processor_s()
    body = scipy.ndimage.binary_fill_holes(array > 0)
    distance = scipy.ndimage.distance_transform_edt(body, sampling=spacing)
    for number in range(1, count + 1):
        (distance[lesions == number].min(), distance[lesions == number].max())
    seconds["depths under the skin, scipy distance map"] = processor_s() - began
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=4, help="per family of bodies and slice spacing")
    parser.add_argument("--no-study", action="store_true", help="leave out the second table")
    add_shrink(parser)
    chosen = parser.parse_args()
    settings = MeasureSettings.from_table(read_table("measure"))
    if chosen.scenes:
        agreement(chosen.scenes, settings)
    if chosen.no_study:
        return
    image, labels = large_study(shrink=chosen.shrink)
    found, ours_s = timed(lambda: survey(image, labels, LabelQuality("external"), settings=settings))
    seconds = study_by_the_book(labels)
    print(f"\n{' x '.join(str(n) for n in reversed(labels.grid.shape))} voxels, processor seconds")
    for words, value in seconds.items():
        print(f"{words:58}{value:>10.2f}")
    total = sum(seconds.values())
    quantities = sum(len(lesion.quantities) for lesion in found.lesions) + len(found.organs)
    print(f"{'by the book, these alone':58}{total:>10.2f}")
    print(f"{f'ours, all {quantities} quantities':58}{ours_s:>10.2f}")
    print(f"{'ratio':58}{total / ours_s:>10.1f}")


if __name__ == "__main__":
    main()
