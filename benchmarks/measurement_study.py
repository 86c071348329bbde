"""One large study for the measurement benchmarks: the phantom's abdomen at 512 x 512 x 250 with three tumours."""

import argparse

import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import structure_styles
from liverimg.phantom import render
from liverimg.phantom.people import sample_scene

SHAPE, SPACING_MM = (250, 512, 512), (1.25, 0.75, 0.75)
_THIRD_LPS_MM, _THIRD_RADIUS_MM = (-95.0, 10.0, 90.0), 9.0


def large_study(*, shrink: int = 1):
    """Image (flat, in HU) and labels; ``shrink`` divides the number of voxels along each axis."""
    shape = tuple(n // shrink for n in SHAPE)
    spacing = tuple(s * shrink for s in SPACING_MM)
    scene = sample_scene()
    values = {structure: style.value for structure, style in structure_styles().items()}
    middle = np.mean([lesion.shape.centre for lesion in scene.lesions], axis=0)[2]
    size = (np.array(shape) - 1) * spacing
    origin = (-size[2] / 2, -size[1] / 2, middle - size[0] / 2)
    grid = Grid.from_axes((shape[0], shape[1], shape[2]), spacing_mm=spacing, origin_lps_mm=origin)
    array = np.array(render.labels(scene, grid, values).array)
    at = grid.lps_mm_to_index(_THIRD_LPS_MM)
    axes = np.ogrid[: shape[0], : shape[1], : shape[2]]
    square = sum(((axis - a) * s) ** 2 for axis, a, s in zip(axes, at, spacing, strict=True))
    array[square <= _THIRD_RADIUS_MM**2] = values[Structure.TUMOUR]
    image = Volume(np.zeros(grid.shape, np.int16), grid, Quantity.HU)
    return image, LabelMap(array, grid, values)


def add_shrink(parser: argparse.ArgumentParser) -> None:
    """The option that makes the study smaller, for a quick look."""
    parser.add_argument("--shrink", type=int, default=1, help="fewer voxels along each axis by this factor")
