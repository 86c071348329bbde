"""Training maps that need no outside data: the project's own analytic bodies, with seeds of their own.

Run ``python -m liverimg.training.anatomy.phantom_maps --help``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.phantom.extent import extent_of, grid_over
from liverimg.phantom.people import random_scene
from liverimg.phantom.render import labels, layers
from liverimg.phantom.scene import Scene
from liverimg.phantom.scene import Tissue as Drawn
from liverimg.training.anatomy.bodies import BODY_SPACING_MM, ByteArray
from liverimg.training.anatomy.fine_maps import FINE_SPACING_MM, save_tissue
from liverimg.training.synthesis.tissues import Tissue

FIRST_SEED = 50_000
"""Seeds below are for samples, tests and validation."""
_HELD_OUT_EVERY = 10
_WIDE_MM, _HIGH_MM, _NEAR_MM = 30.0, 130.0, 25.0
_log = logging.getLogger(__name__)

_TISSUE_OF: Mapping[Drawn, Tissue] = {
    Drawn.SKIN: Tissue.SKIN,
    Drawn.FAT: Tissue.FAT,
    Drawn.VISCERAL_FAT: Tissue.FAT,
    Drawn.MUSCLE: Tissue.MUSCLE,
    Drawn.DIAPHRAGM: Tissue.MUSCLE,
    Drawn.CORTICAL_BONE: Tissue.BONE_CORTICAL,
    Drawn.BONE_MARROW: Tissue.BONE_SPONGIOSA,
    Drawn.CARTILAGE: Tissue.CARTILAGE,
    Drawn.DISC: Tissue.CARTILAGE,
    Drawn.SPINAL_CORD: Tissue.SPINAL_CORD,
    Drawn.RENAL_PELVIS: Tissue.KIDNEY_PELVIS,
    Drawn.LUNG: Tissue.LUNG,
    Drawn.HEART: Tissue.HEART_WALL,
    Drawn.LIVER: Tissue.LIVER,
    Drawn.SPLEEN: Tissue.SPLEEN,
    Drawn.RENAL_CORTEX: Tissue.KIDNEY_CORTEX,
    Drawn.RENAL_MEDULLA: Tissue.KIDNEY_MEDULLA,
    Drawn.STOMACH_WALL: Tissue.STOMACH_WALL,
    Drawn.STOMACH_CONTENT: Tissue.STOMACH_CONTENT,
    Drawn.BOWEL_WALL: Tissue.BOWEL_WALL,
    Drawn.BOWEL_CONTENT: Tissue.BOWEL_CONTENT,
    Drawn.STOOL: Tissue.COLON_CONTENT,
    Drawn.PANCREAS: Tissue.PANCREAS,
    Drawn.GALLBLADDER: Tissue.GALLBLADDER,
    Drawn.AORTA: Tissue.AORTA,
    Drawn.VENA_CAVA: Tissue.VENA_CAVA,
    Drawn.PORTAL_VEIN: Tissue.PORTAL_VEIN,
    Drawn.HEPATIC_VEIN: Tissue.HEPATIC_VEIN,
    Drawn.BILE: Tissue.BILE_DUCT,
    Drawn.ASCITES: Tissue.ASCITES,
}


def tissues_of(scene: Scene, grid: Grid) -> ByteArray:
    """A scene as training tissues. Gas and lesions are left out: every training image gets its own."""
    array = np.zeros(grid.shape, dtype=np.uint8)
    for layer in layers(scene, grid).layers:
        tissue = _TISSUE_OF.get(layer.tissue)
        if tissue is not None:
            array[layer.box][layer.share > 127] = tissue
    heart = labels(scene, grid, {Structure.HEART: 1}).mask(Structure.HEART)
    array[heart & np.isin(array, (Tissue.AORTA, Tissue.VENA_CAVA))] = Tissue.HEART_BLOOD
    return array


def without_outer_veins(tissue: ByteArray) -> ByteArray:
    """A body map whose veins outside the liver have no name: the coarse pass calls veins liver."""
    liver = ndimage.binary_closing(tissue == Tissue.LIVER, iterations=3)
    veins = np.isin(tissue, (Tissue.HEPATIC_VEIN, Tissue.PORTAL_VEIN, Tissue.BILE_DUCT))
    return np.asarray(np.where(veins & ~liver, np.uint8(Tissue.VESSEL_OTHER), tissue))


def grids_of(scene: Scene) -> tuple[Grid, Grid]:
    """Grids for the body map and for the fine map of a scene, standard order."""
    extent = extent_of(scene)
    low, high = extent.low_lps_mm, extent.high_lps_mm
    wide = np.array([_WIDE_MM, _WIDE_MM, _HIGH_MM])
    body = _grid(low - wide, high + wide, BODY_SPACING_MM)
    rough = _grid(low, high, 4.0)
    liver = np.argwhere(labels(scene, rough, {Structure.LIVER: 1}).array > 0)
    near = np.full(3, _NEAR_MM)
    first = rough.index_to_lps_mm(liver.min(axis=0)) - near
    last = rough.index_to_lps_mm(liver.max(axis=0)) + near
    return body, _grid(first, last, FINE_SPACING_MM)


def _grid(low: NDArray[np.float64], high: NDArray[np.float64], spacing_mm: float) -> Grid:
    return grid_over(low, high, spacing_kji_mm=(spacing_mm,) * 3)


def main() -> None:
    """Command line: makes the maps that do not exist yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("coarse_out", type=Path, help="body maps go here")
    parser.add_argument("fine_out", type=Path, help="fine maps go here")
    parser.add_argument("--count", type=int, default=40)
    settings = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for number in range(settings.count):
        part = "val" if number % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1 else "train"
        name = f"{part}-phantom-{FIRST_SEED + number}"
        targets = (settings.coarse_out / f"{name}.npz", settings.fine_out / f"{name}-grown.npz")
        if all(t.exists() for t in targets):
            continue
        scene = random_scene(FIRST_SEED + number)
        body_grid, fine_grid = grids_of(scene)
        save_tissue(targets[0], without_outer_veins(tissues_of(scene, body_grid)))
        save_tissue(targets[1], tissues_of(scene, fine_grid))
        _log.info("%s", name)


if __name__ == "__main__":
    main()
