"""A toy patient: enough tissues to make training images of in no time."""

import numpy as np
import pytest
from numpy.typing import NDArray

from liverimg.training.synthesis.tissues import Tissue


@pytest.fixture(scope="session")
def toy_map() -> NDArray[np.uint8]:
    """A body with liver, veins, gallbladder, spleen, spine, lung and bowel; 2.5 mm, standard order."""
    k, j, i = np.indices((80, 72, 96), dtype=np.float32)

    def ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> NDArray[np.bool_]:
        return ((k - centre[0]) / radii[0]) ** 2 + ((j - centre[1]) / radii[1]) ** 2 + (
            (i - centre[2]) / radii[2]
        ) ** 2 < 1

    tissue = np.zeros(k.shape, dtype=np.uint8)
    tissue[ball((40, 36, 48), (200, 32, 44))] = Tissue.FAT
    tissue[(tissue == Tissue.FAT) & (k > 56)] = Tissue.LUNG
    tissue[ball((40, 56, 48), (200, 7, 7))] = Tissue.BONE_SPONGIOSA
    tissue[ball((36, 36, 68), (14, 10, 12))] = Tissue.COLON_CONTENT
    tissue[ball((44, 46, 76), (10, 8, 7))] = Tissue.SPLEEN
    tissue[ball((44, 32, 30), (20, 18, 20))] = Tissue.LIVER
    tissue[ball((30, 22, 36), (6, 4, 4))] = Tissue.GALLBLADDER
    tissue[ball((44, 34, 30), (2, 2, 15))] = Tissue.PORTAL_VEIN
    tissue[ball((52, 38, 32), (2, 12, 2))] = Tissue.HEPATIC_VEIN
    return tissue
