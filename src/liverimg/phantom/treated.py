"""The post-treatment twin of a scene: zones of dead tissue in a body that lies a little differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from liverimg.core.labels import Structure
from liverimg.phantom.deformation import Deformation, Push, StillBall
from liverimg.phantom.scene import Ablation, Part, Scene, Tissue, solid
from liverimg.phantom.solids import Common, Ellipsoid, rotation

_STILL_MARGIN_MM = 8.0
_FADE_MM = 45.0


def treated(scene: Scene, ablations: Sequence[Ablation], *, deformation: Deformation | None = None) -> Scene:
    """The scene after treatment.

    Tumour inside a zone is dead and belongs to the zone; tumour outside stays alive and stays labelled tumour.
    A zone ends at the liver's surface.

    Args:
        scene: Before treatment.
        ablations: Zones, placed in the body as built.
        deformation: How the body lies at the follow-up, such as from :func:`follow_up_position`.
    """
    parts: list[Part] = list(scene.parts)
    for ablation in ablations:
        shape = ablation.shape
        core = Ellipsoid(shape.centre, tuple(0.5 * r for r in shape.radii), shape.axes)  # type: ignore[arg-type]
        box = shape.bounds()
        parts += [
            solid("ablation zone", Tissue.ABLATED, Structure.ABLATION_ZONE, Common(shape, scene.liver), box=box),
            solid("ablation core", Tissue.ABLATED_CORE, Structure.ABLATION_ZONE, Common(core, scene.liver), box=box),
        ]
    return replace(scene, parts=tuple(parts), ablations=tuple(ablations), deformation=deformation)


def follow_up_position(
    ablations: Sequence[Ablation],
    *,
    turn_deg: tuple[float, float, float] = (2.0, -1.5, 3.0),
    shift_mm: tuple[float, float, float] = (4.0, -3.0, 9.0),
    push_mm: float = 7.0,
) -> Deformation:
    """A plausible way to lie differently: turned, shifted, and bent everywhere but around the zones.

    Around each zone the motion is purely rigid, so that margins measured there have closed forms.

    Args:
        ablations: Zones to keep rigid.
        turn_deg: Rotation about x, y and z.
        shift_mm: Translation.
        push_mm: Size of each smooth push.
    """
    places = ((-95.0, 20.0, -45.0), (20.0, -75.0, 5.0), (70.0, 30.0, 30.0), (-60.0, 70.0, 60.0))
    ways = ((0.5, 0.3, 0.8), (-0.3, 0.9, 0.3), (0.7, -0.4, 0.6), (-0.2, -0.5, 0.8))
    pushes = tuple(
        Push(place, (push_mm * way[0], push_mm * way[1], push_mm * way[2]), 42.0)
        for place, way in zip(places, ways, strict=True)
    )
    still = tuple(StillBall(a.shape.centre, max(a.shape.radii) + _STILL_MARGIN_MM, _FADE_MM) for a in ablations)
    matrix = rotation(about_x_deg=turn_deg[0], about_y_deg=turn_deg[1], about_z_deg=turn_deg[2])
    return Deformation(matrix, np.array(shift_mm), np.zeros(3), pushes, still)
