"""The measures of one person, from which the abdomen is built."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from liverimg.phantom.scene import LesionKind
from liverimg.phantom.solids import Triple


@dataclass(frozen=True)
class TumourPlan:
    """A tumour to be placed.

    Attributes:
        kind: How it takes up contrast.
        centre: LPS mm in a body of size 1; vessels give way to it.
        radii: Half-axes in mm, as they are: not scaled with the body.
        turn_deg: Rotation about x, y, z.
    """

    kind: LesionKind
    centre: Triple
    radii: Triple
    turn_deg: Triple = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Anatomy:
    """Measures of one person. Sizes are shares of an average adult; the rest is in mm.

    Attributes:
        seed: For everything that is left to chance.
        width: Left to right.
        depth: Front to back.
        height: Foot to head.
        fat_mm: Subcutaneous fat in front; the sides have about as much, the back less.
        muscle_mm: Thickness of the wall at the sides.
        liver_tip_mm: How much further down the right lobe reaches.
        left_lobe_mm: How much further left the left lobe reaches.
        liver_swell: Size of the liver against the body's.
        portal_radius_mm: Trunk.
        hepatic_radius_mm: Right hepatic vein at the vena cava.
        duct_ratio: Duct radius against portal radius; 0.35 is normal, 0.8 dilated.
        ascites_mm: Thickness of fluid around the liver, 0 for none.
        stomach_fill: Size of the stomach.
        gas_share: Share of bowel that holds gas.
        tumours: One to three.
        jitter_mm: How far organs lie from their textbook places, a standard deviation.
        vessel_density_mm: Vessels come this near to every place in the liver.
        least_vessel_mm: Radius below which vessels end.
        least_duct_mm: Radius below which ducts end.
    """

    seed: int
    width: float = 1.0
    depth: float = 1.0
    height: float = 1.0
    fat_mm: float = 18.0
    muscle_mm: float = 14.0
    liver_tip_mm: float = 0.0
    left_lobe_mm: float = 0.0
    liver_swell: float = 1.0
    portal_radius_mm: float = 7.5
    hepatic_radius_mm: float = 6.5
    duct_ratio: float = 0.35
    ascites_mm: float = 0.0
    stomach_fill: float = 1.0
    gas_share: float = 0.35
    tumours: tuple[TumourPlan, ...] = field(default_factory=tuple)
    jitter_mm: float = 0.0
    vessel_density_mm: float = 12.0
    least_vessel_mm: float = 0.8
    least_duct_mm: float = 0.5

    @property
    def size(self) -> Triple:
        """Factors along x, y and z."""
        return self.width, self.depth, self.height

    def at(self, x: float, y: float, z: float) -> Triple:
        """A textbook place in this person."""
        return x * self.width, y * self.depth, z * self.height

    def line(self, *points: Triple) -> list[Triple]:
        """A textbook polyline in this person."""
        return [self.at(*p) for p in points]

    def radii(self, x: float, y: float, z: float) -> Triple:
        """Textbook half-axes in this person."""
        return self.at(x, y, z)

    @property
    def mean_size(self) -> float:
        """Factor for things that are round."""
        return float(np.cbrt(self.width * self.depth * self.height))
