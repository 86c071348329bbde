"""What a digital abdomen is: solids and tubes in order of priority, with the parts that have known answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import Structure
from liverimg.phantom.capsules import Capsules
from liverimg.phantom.deformation import Deformation
from liverimg.phantom.solids import Ellipsoid, Implicit

FloatArray = NDArray[np.float64]


class Tissue(StrEnum):
    """What a place is made of; contrast tables say how each looks."""

    SKIN = "skin"
    FAT = "fat"
    VISCERAL_FAT = "visceral_fat"
    MUSCLE = "muscle"
    DIAPHRAGM = "diaphragm"
    CORTICAL_BONE = "cortical_bone"
    BONE_MARROW = "bone_marrow"
    CARTILAGE = "cartilage"
    DISC = "disc"
    SPINAL_CORD = "spinal_cord"
    LUNG = "lung"
    HEART = "heart"
    LIVER = "liver"
    HEPATIC_VEIN = "hepatic_vein"
    PORTAL_VEIN = "portal_vein"
    BILE = "bile"
    GALLBLADDER = "gallbladder"
    VENA_CAVA = "vena_cava"
    AORTA = "aorta"
    SPLEEN = "spleen"
    RENAL_CORTEX = "renal_cortex"
    RENAL_MEDULLA = "renal_medulla"
    RENAL_PELVIS = "renal_pelvis"
    STOMACH_WALL = "stomach_wall"
    STOMACH_CONTENT = "stomach_content"
    BOWEL_WALL = "bowel_wall"
    BOWEL_CONTENT = "bowel_content"
    STOOL = "stool"
    GAS = "gas"
    PANCREAS = "pancreas"
    ASCITES = "ascites"
    HCC = "hcc"
    HCC_CAPSULE = "hcc_capsule"
    METASTASIS_RIM = "metastasis_rim"
    METASTASIS_CORE = "metastasis_core"
    ABLATED = "ablated"
    ABLATED_CORE = "ablated_core"
    OLD_BLOOD = "old_blood"
    IODISED_OIL = "iodised_oil"
    ABLATION_RIM = "ablation_rim"


@dataclass(frozen=True)
class Solid:
    """One piece of tissue with a shape of its own.

    Attributes:
        name: For people, such as ``right kidney``.
        tissue: What it is made of.
        structure: Its label, or None for a part of the body without one.
        shape: Negative inside.
        low_lps_mm: Lowest corner of a box that holds the shape; infinite where it has no end.
        high_lps_mm: Highest corner.
    """

    name: str
    tissue: Tissue
    structure: Structure | None
    shape: Implicit
    low_lps_mm: tuple[float, float, float] = (-np.inf, -np.inf, -np.inf)
    high_lps_mm: tuple[float, float, float] = (np.inf, np.inf, np.inf)


@dataclass(frozen=True, eq=False)
class Tubes:
    """Pieces of tissue made of tapered capsules: vessels, ribs, bowel.

    Attributes:
        name: For people.
        tissue: What they are made of.
        structure: Their label, or None.
        capsules: Their shape.
        within: Cut off outside this solid, if given.
    """

    name: str
    tissue: Tissue
    structure: Structure | None
    capsules: Capsules = field(repr=False)
    within: Implicit | None = None


Part = Solid | Tubes


class LesionKind(StrEnum):
    """How a lesion takes up contrast."""

    HCC = "hcc"
    METASTASIS = "metastasis"


@dataclass(frozen=True)
class Lesion:
    """A tumour with a closed form.

    Attributes:
        id: Such as ``T1``.
        kind: How it takes up contrast.
        shape: Its outer surface.
    """

    id: str
    kind: LesionKind
    shape: Ellipsoid


@dataclass(frozen=True)
class Ablation:
    """A zone of dead tissue with a closed form.

    Attributes:
        lesion_id: The lesion it was meant for.
        shape: Its surface; it may cross the liver's capsule, where it ends.
    """

    lesion_id: str
    shape: Ellipsoid


@dataclass(frozen=True, eq=False)
class Scene:
    """A digital abdomen.

    Attributes:
        seed: What it was made from.
        parts: In rising priority: a later part replaces the earlier ones where it lies.
        skin: The body's surface.
        liver: The liver's surface with all that lies in it.
        lesions: Tumours.
        hepatic_veins: Tree up to the vena cava.
        portal_veins: Tree with its trunk, splenic and mesenteric vein.
        bile_ducts: Intrahepatic ducts, common duct, cystic duct.
        vena_cava: Inferior vena cava.
        ablations: Zones of a treated scene.
        deformation: How the body lies other than when it was built; None when it lies as built.
    """

    seed: int
    parts: tuple[Part, ...] = field(repr=False)
    skin: Implicit = field(repr=False)
    liver: Implicit = field(repr=False)
    lesions: tuple[Lesion, ...]
    hepatic_veins: Capsules = field(repr=False)
    portal_veins: Capsules = field(repr=False)
    bile_ducts: Capsules = field(repr=False)
    vena_cava: Capsules = field(repr=False)
    ablations: tuple[Ablation, ...] = ()
    deformation: Deformation | None = None


def solid(name: str, tissue: Tissue, structure: Structure | None, shape: Implicit, *, box: Any = None) -> Solid:
    """A solid whose box is taken from its shape when that has one, or from ``box`` = (low, high)."""
    if box is None and isinstance(shape, Ellipsoid):
        box = shape.bounds()
    if box is None:
        return Solid(name, tissue, structure, shape)
    low, high = (tuple(float(v) for v in corner) for corner in box)
    return Solid(name, tissue, structure, shape, (low[0], low[1], low[2]), (high[0], high[1], high[2]))
