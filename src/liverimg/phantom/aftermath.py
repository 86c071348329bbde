"""What lies in and around an ablation zone besides dead tissue: a rim, gas, blood, oil, living rests, open veins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from liverimg.core.labels import Structure
from liverimg.phantom.capsules import Capsules
from liverimg.phantom.deformation import Deformation
from liverimg.phantom.scene import Ablation, LesionKind, Part, Scene, Tissue, Tubes, solid
from liverimg.phantom.solids import Common, Ellipsoid, Grown, Implicit, Without

_CORE_SHARE = 0.5
_LIVING = {LesionKind.HCC: Tissue.HCC, LesionKind.METASTASIS: Tissue.METASTASIS_RIM}


@dataclass(frozen=True)
class Aftermath:
    """One zone with what lies in it; shapes in the body as built, each cut off where the zone ends.

    Attributes:
        ablation: The zone.
        rim_mm: Thickness of the hyperaemic rim around it, 0 for none.
        blood: Old blood: bright without contrast, not enhancing.
        gas: Bubbles.
        oil: Iodised oil from an earlier chemoembolisation.
        living: Tumour that was spared, inside the zone or beside it.
        living_kind: How it takes up contrast.
        open_veins: Whether veins that cross the zone are still open; else they are dead with it.
    """

    ablation: Ablation
    rim_mm: float = 0.0
    blood: tuple[Ellipsoid, ...] = ()
    gas: tuple[Ellipsoid, ...] = ()
    oil: tuple[Ellipsoid, ...] = ()
    living: tuple[Ellipsoid, ...] = ()
    living_kind: LesionKind = LesionKind.HCC
    open_veins: bool = False

    @property
    def dead(self) -> Implicit:
        """The zone without what lives in it, not yet cut off at the liver's surface; open veins not taken out."""
        shape: Implicit = self.ablation.shape
        for rest in self.living:
            shape = Without(shape, rest)
        return shape


def treated_with(scene: Scene, aftermaths: Sequence[Aftermath], *, deformation: Deformation | None = None) -> Scene:
    """The scene after treatment, as :func:`liverimg.phantom.treated.treated` with more in it.

    Args:
        scene: Before treatment.
        aftermaths: Zones; later ones lie over earlier ones.
        deformation: How the body lies at the follow-up.
    """
    parts: list[Part] = list(scene.parts)
    for one in aftermaths:
        parts += _rim(scene, one)
    for one in aftermaths:
        parts += _zone(scene, one)
    ablations = tuple(one.ablation for one in aftermaths)
    return replace(scene, parts=tuple(parts), ablations=ablations, deformation=deformation)


def _rim(scene: Scene, one: Aftermath) -> list[Part]:
    if one.rim_mm <= 0:
        return []
    shape = one.ablation.shape
    outer: Implicit = Common(Grown(shape, one.rim_mm), scene.liver)
    for lesion in scene.lesions:
        outer = Without(outer, lesion.shape)
    grown = Ellipsoid(shape.centre, tuple(r + one.rim_mm for r in shape.radii), shape.axes)  # type: ignore[arg-type]
    rim = solid("ablation rim", Tissue.ABLATION_RIM, Structure.LIVER, outer, box=grown.bounds())
    return [rim, *_veins(scene, grown)]


def _zone(scene: Scene, one: Aftermath) -> list[Part]:
    shape = one.ablation.shape
    within = Common(shape, scene.liver)
    core = Ellipsoid(shape.centre, tuple(_CORE_SHARE * r for r in shape.radii), shape.axes)  # type: ignore[arg-type]
    parts: list[Part] = []
    for name, tissue, pieces in (
        ("ablation zone", Tissue.ABLATED, (shape,)),
        ("ablation core", Tissue.ABLATED_CORE, (core,)),
        ("old blood", Tissue.OLD_BLOOD, one.blood),
        ("iodised oil", Tissue.IODISED_OIL, one.oil),
        ("gas in the zone", Tissue.GAS, one.gas),
    ):
        parts += [
            solid(name, tissue, Structure.ABLATION_ZONE, Common(piece, within), box=piece.bounds()) for piece in pieces
        ]
    living = _LIVING[one.living_kind]
    for rest in one.living:
        parts.append(solid("residual tumour", living, Structure.TUMOUR, Common(rest, scene.liver), box=rest.bounds()))
    return parts + (_veins(scene, shape) if one.open_veins else [])


def _veins(scene: Scene, within: Ellipsoid) -> list[Part]:
    """Veins once more, laid over what lies there, where they cross a shape."""
    trees: tuple[tuple[str, Tissue, Structure, Capsules], ...] = (
        ("open portal veins", Tissue.PORTAL_VEIN, Structure.PORTAL_VEIN, scene.portal_veins),
        ("open hepatic veins", Tissue.HEPATIC_VEIN, Structure.HEPATIC_VEIN, scene.hepatic_veins),
    )
    parts: list[Part] = []
    for name, tissue, structure, tree in trees:
        low, high = tree.boxes_lps_mm()
        least, most = within.bounds()
        near = np.asarray(((high >= least) & (low <= most)).all(axis=1))
        if near.any():
            parts.append(Tubes(name, tissue, structure, tree.select(near), Common(within, scene.liver)))
    return parts
