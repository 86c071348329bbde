"""The tissues a training map is made of, and what each counts as in the labels of a network."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import Structure


class Tissue(IntEnum):
    """One value per kind of matter that looks different on CT; stored in maps as uint8."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    SKIN = 3
    BONE_CORTICAL = 4
    BONE_SPONGIOSA = 5
    CARTILAGE = 6
    LUNG = 7
    LUNG_VESSEL = 8
    HEART_WALL = 9
    HEART_BLOOD = 10
    LIVER = 11
    SPLEEN = 12
    KIDNEY_CORTEX = 13
    KIDNEY_MEDULLA = 14
    KIDNEY_PELVIS = 15
    STOMACH_WALL = 16
    STOMACH_CONTENT = 17
    BOWEL_WALL = 18
    BOWEL_CONTENT = 19
    COLON_WALL = 20
    COLON_CONTENT = 21
    GALLBLADDER = 22
    PANCREAS = 23
    AORTA = 24
    VENA_CAVA = 25
    VESSEL_OTHER = 26
    OESOPHAGUS = 27
    AIRWAY = 28
    GLAND = 29
    SPINAL_CORD = 30
    SOFT_OTHER = 31
    BLADDER = 32
    ARM_FAT = 33
    ARM_MUSCLE = 34
    ARM_BONE = 35
    HEPATIC_VEIN = 36
    PORTAL_VEIN = 37
    BILE_DUCT = 38
    GAS = 39
    ASCITES = 40
    TUMOUR = 41
    TUMOUR_RIM = 42
    TUMOUR_CORE = 43
    CYST = 44
    TABLE = 45
    CONTRAST_AGENT = 46
    ARTERY = 47
    TUMOUR_OIL = 48
    TUMOUR_CALCIFICATION = 49
    ABLATION_ZONE = 50
    ABLATION_RIM = 51


ARM_TISSUES = (Tissue.ARM_FAT, Tissue.ARM_MUSCLE, Tissue.ARM_BONE)
IN_LIVER = (
    Tissue.LIVER,
    Tissue.HEPATIC_VEIN,
    Tissue.PORTAL_VEIN,
    Tissue.BILE_DUCT,
    Tissue.ARTERY,
    Tissue.TUMOUR,
    Tissue.TUMOUR_RIM,
    Tissue.TUMOUR_CORE,
    Tissue.TUMOUR_OIL,
    Tissue.TUMOUR_CALCIFICATION,
    Tissue.CYST,
    Tissue.ABLATION_ZONE,
    Tissue.ABLATION_RIM,
)
TUMOUR_TISSUES = (
    Tissue.TUMOUR,
    Tissue.TUMOUR_RIM,
    Tissue.TUMOUR_CORE,
    Tissue.TUMOUR_OIL,
    Tissue.TUMOUR_CALCIFICATION,
)

STRUCTURE_OF: Mapping[Tissue, Structure] = MappingProxyType(
    {
        Tissue.LIVER: Structure.LIVER,
        Tissue.CYST: Structure.LIVER,
        Tissue.ARTERY: Structure.LIVER,
        Tissue.TUMOUR: Structure.TUMOUR,
        Tissue.TUMOUR_RIM: Structure.TUMOUR,
        Tissue.TUMOUR_CORE: Structure.TUMOUR,
        Tissue.TUMOUR_OIL: Structure.TUMOUR,
        Tissue.TUMOUR_CALCIFICATION: Structure.TUMOUR,
        Tissue.ABLATION_ZONE: Structure.ABLATION_ZONE,
        Tissue.HEPATIC_VEIN: Structure.HEPATIC_VEIN,
        Tissue.PORTAL_VEIN: Structure.PORTAL_VEIN,
        Tissue.BILE_DUCT: Structure.BILE_DUCT,
        Tissue.GALLBLADDER: Structure.GALLBLADDER,
        Tissue.VENA_CAVA: Structure.INFERIOR_VENA_CAVA,
        Tissue.AORTA: Structure.AORTA,
        Tissue.SPLEEN: Structure.SPLEEN,
        Tissue.KIDNEY_CORTEX: Structure.KIDNEY,
        Tissue.KIDNEY_MEDULLA: Structure.KIDNEY,
        Tissue.KIDNEY_PELVIS: Structure.KIDNEY,
        Tissue.STOMACH_WALL: Structure.STOMACH,
        Tissue.STOMACH_CONTENT: Structure.STOMACH,
        Tissue.BOWEL_WALL: Structure.BOWEL,
        Tissue.BOWEL_CONTENT: Structure.BOWEL,
        Tissue.COLON_WALL: Structure.BOWEL,
        Tissue.COLON_CONTENT: Structure.BOWEL,
        Tissue.HEART_WALL: Structure.HEART,
        Tissue.HEART_BLOOD: Structure.HEART,
        Tissue.LUNG: Structure.LUNG,
        Tissue.LUNG_VESSEL: Structure.LUNG,
        Tissue.BONE_CORTICAL: Structure.BONE,
        Tissue.BONE_SPONGIOSA: Structure.BONE,
        Tissue.ARM_BONE: Structure.BONE,
        Tissue.PANCREAS: Structure.PANCREAS,
    }
)


def channel_table(channels: Mapping[int, Structure]) -> NDArray[np.uint8]:
    """The network channel of every tissue value, shape (256,); 0, the background, where it has none.

    A vessel or a tumour inside the liver falls back to the liver when the network does not tell it apart.
    """
    channel_of = {structure: channel for channel, structure in channels.items()}
    table = np.zeros(256, dtype=np.uint8)
    for tissue in Tissue:
        structure = STRUCTURE_OF.get(tissue)
        if structure not in channel_of and tissue in IN_LIVER:
            structure = Structure.LIVER
        table[tissue] = channel_of.get(structure, 0) if structure is not None else 0
    return table
