"""One training example for MR: the same bodies, lesions and labels as for CT, seen by an MR scanner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liverimg.training.synthesis.examples import COARSE, EITHER, IGNORED, Example, Recipe, placed, vary
from liverimg.training.synthesis.lesions import paint
from liverimg.training.synthesis.looks import draw_patient
from liverimg.training.synthesis.mr_looks import MrLook, draw_mr_look
from liverimg.training.synthesis.mr_scanner import MrScanner, scan_mr
from liverimg.training.synthesis.tissues import Tissue
from liverimg.training.synthesis.warp import NoiseBank

# Arms lie beside the trunk in most MR examinations.
MR_COARSE: Recipe = replace(COARSE, arms_share=0.45)
MR_RECIPES = {"coarse": MR_COARSE}


def make_mr_example(
    tissue_map: NDArray[np.uint8],
    *,
    map_spacing_mm: float,
    recipe: Recipe,
    channels: NDArray[np.uint8],
    noise: NoiseBank,
    rng: np.random.Generator,
    veins_merged: bool = False,
    scanner: MrScanner | None = None,
    look: MrLook | None = None,
) -> Example:
    """Bends a patient, gives it lesions, and takes one MR image.

    Args:
        tissue_map: ``Tissue`` values, standard order, isotropic.
        map_spacing_mm: Of the map.
        recipe: What to make; its CT scanner is not used.
        channels: Network channel of every tissue, from :func:`liverimg.training.synthesis.tissues.channel_table`.
        noise: Random fields.
        rng: Source of chance; the same state gives the same example.
        veins_merged: Whether the map's veins are told apart by guess only: their labels become ``EITHER``.
        scanner: What the scanner does.
        look: How the patient's tissues look; drawn when None.

    Returns:
        The image as the only input, in arbitrary units, 0 outside the field of view.
    """
    tissue = placed(tissue_map, map_spacing_mm, recipe, rng)
    patient = draw_patient(rng)
    vary(tissue, patient, recipe, noise, rng)
    spacing = np.full(3, recipe.spacing_mm)
    painting = paint(tissue, patient, spacing_mm=spacing, sizes=recipe.lesions, noise=noise, rng=rng)
    look = look or draw_mr_look(rng)
    found = scan_mr(
        painting, look=look, scanner=scanner or MrScanner(), spacing_mm=recipe.spacing_mm, noise=noise, rng=rng
    )
    labels = channels[painting.tissue]
    if veins_merged:
        labels[np.isin(painting.tissue, (Tissue.HEPATIC_VEIN, Tissue.PORTAL_VEIN))] = EITHER
    labels[~found.seen] = IGNORED
    return Example(found.image[None], (True,), labels, painting.tissue, (look.phase,))
