"""Images of other contrast phases, laid onto the anatomy of the labels by what their edges tell.

Patients breathe between phases, and the liver moves mostly along the body: first the whole liver is shifted as one.
Because a liver also turns and bends, pieces of it are then looked for (:mod:`liverimg.registration.phase_motion`),
large ones everywhere and small ones around each lesion, which gets a rigid motion of its own. A liver too small for
pieces is shifted only. What no edge decides stays as doubt, in millimetres, and widens every number that rests on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import Box
from liverimg.core.grid import Grid
from liverimg.core.labels import LIVER_CONTENTS, BoolArray, Structure
from liverimg.core.motion import RigidMotion
from liverimg.core.nearest import on_grid
from liverimg.core.study import Phase
from liverimg.core.volume import Volume
from liverimg.measure.liver import TREES_IN_LIVER, LiverBody
from liverimg.measure.rules import AlignmentRules
from liverimg.measure.scene import Scene
from liverimg.registration.liver_view import carried
from liverimg.registration.phase_motion import LiverCubes, PlacedLiver, place_liver, place_part, spread_points
from liverimg.registration.resample import UNMOVED, Millimetres, sampled, thinned, window_of
from liverimg.registration.translation import Translation, find_translation

FloatArray = NDArray[np.float32]
Points = NDArray[np.float64]

_HALF = 0.5


@dataclass(frozen=True, eq=False)
class PhaseImage:
    """An image of a contrast phase and how it lies to the labels.

    Attributes:
        volume: On a grid of its own, in the labels' frame of reference.
        is_reference: Whether the labels were drawn on this very image.
        shift_lps_mm: From a place in the labels to the same anatomy in this image; near a lesion, of its middle.
        doubt_mm: How far the anatomy may lie from there.
        why_not: Why the image can't be laid onto the labels; empty when it can.
        source: Series UID.
        motion: The rigid motion of the liver near a lesion, which goes before the shift; None where none is known.
        liver: The motion of all of the liver, where its pieces tell of one.
    """

    volume: Volume
    is_reference: bool = False
    shift_lps_mm: Millimetres = UNMOVED
    doubt_mm: float = 0.0
    why_not: str = ""
    source: str = ""
    motion: RigidMotion | None = None
    liver: PlacedLiver | None = field(default=None, repr=False)

    def on(self, grid: Grid) -> FloatArray:
        """Values at the voxel centres of a grid; NaN where the image does not reach."""
        onto, shift = (grid, self.shift_lps_mm) if self.motion is None else (carried(grid, self.motion), UNMOVED)
        values, seen = sampled(self.volume.array, self.volume.grid, onto, shift_lps_mm=shift)
        values[~seen] = np.nan
        return values


def place_phases(
    phases: Mapping[Phase, PhaseImage], image: Volume, liver: LiverBody | None, rules: AlignmentRules
) -> dict[Phase, PhaseImage]:
    """Moves each phase so that its liver lies where the reference's does.

    Args:
        phases: As the scanner's coordinates have them; the reference among them is left as it is.
        image: The reference.
        liver: Of the labels.
        rules: Limits.
    """
    if all(found.is_reference for found in phases.values()):
        return dict(phases)
    if liver is None:
        reason = "no liver is drawn to lay the phase onto"
        return {p: f if f.is_reference else replace(f, why_not=reason) for p, f in phases.items()}
    grid, region = _around(liver.mask, liver.grid, rules.coarse_mm, rules.most_shift_mm)
    fixed = _coarse(image, grid, UNMOVED)
    cubes = LiverCubes.whole(image, liver.mask, liver.grid, rules.bending)
    points = spread_points(liver.mask, liver.grid)
    result = {}
    for phase, found in phases.items():
        shifted = found if found.is_reference else _placed(found, fixed, grid, region, rules)
        as_it_is = found.is_reference or shifted.why_not
        result[phase] = shifted if as_it_is else _bent(shifted, cubes, points, rules)
    return result


def _placed(found: PhaseImage, fixed: FloatArray, grid: Grid, region: BoolArray, rules: AlignmentRules) -> PhaseImage:
    moving = _coarse(found.volume, grid, UNMOVED)
    if np.isfinite(moving[region]).mean() < _HALF:
        return replace(found, why_not="it shows too little of the liver")
    translation = find_translation(
        fixed, moving, grid, region=region, most_mm=rules.most_shift_mm, rules=rules.translation
    )
    if translation is None:
        return replace(found, why_not="its liver could not be laid onto that of the labels")
    return replace(found, shift_lps_mm=translation.shift_lps_mm, doubt_mm=translation.doubt_mm)


def _bent(found: PhaseImage, cubes: LiverCubes, points: Points, rules: AlignmentRules) -> PhaseImage:
    """What the pieces of the whole liver add to its shift; a liver with too few of them stays as it is."""
    placed = place_liver(cubes, found.volume, RigidMotion(np.eye(3), np.array(found.shift_lps_mm)), rules.bending)
    if placed is None:
        return found
    if isinstance(placed, str):
        return replace(found, why_not=placed)
    shift, doubt_mm = placed.shift(points, rules.bending)
    return replace(found, shift_lps_mm=_millimetres(shift), doubt_mm=doubt_mm, liver=placed)


def refined(
    phases: Mapping[Phase, PhaseImage],
    image: Volume,
    near: BoolArray,
    grid: Grid,
    rules: AlignmentRules,
    *,
    points_lps_mm: Points | None = None,
) -> dict[Phase, PhaseImage]:
    """The same phases, each moved by what is left of the motion near one lesion.

    Args:
        phases: After :func:`place_phases`.
        image: The reference.
        near: The liver around the lesion.
        grid: Of ``near``.
        rules: Limits.
        points_lps_mm: Places whose motion is asked for, shape (n, 3), such as the lesion's surface; all of ``near``
            where none are named.
    """
    if not near.any():
        return dict(phases)
    points = spread_points(near, grid) if points_lps_mm is None else points_lps_mm
    cubes = None
    result = {}
    for phase, found in phases.items():
        if found.is_reference or found.why_not:
            result[phase] = found
        elif found.liver is None:
            result[phase] = _shifted_near(found, image, near, grid, rules)
        else:
            cubes = cubes or LiverCubes.part(image, near, grid, rules.bending)
            result[phase] = _bent_near(found, found.liver, cubes, points, rules)
    return result


def _bent_near(
    found: PhaseImage, liver: PlacedLiver, cubes: LiverCubes, points: Points, rules: AlignmentRules
) -> PhaseImage:
    """The rigid motion near a lesion by small pieces, or by the large ones where the small ones tell less."""
    motion, doubt_mm = liver.near(points, rules.bending)
    part = place_part(cubes, found.volume, motion, rules.bending)
    if part is not None:
        finer, finer_mm = part.near(points, rules.bending)
        if finer_mm <= doubt_mm:
            motion, doubt_mm = finer, finer_mm
    middle = points.mean(axis=0)
    shift = _millimetres(motion.apply(middle) - middle)
    doubt_mm = max(doubt_mm, rules.translation.least_doubt_mm)
    return replace(found, shift_lps_mm=shift, doubt_mm=doubt_mm, motion=motion)


def _shifted_near(found: PhaseImage, image: Volume, near: BoolArray, grid: Grid, rules: AlignmentRules) -> PhaseImage:
    """What is left near a lesion as a shift, by the edges there."""
    fine, region = _around(near, grid, rules.fine_mm, rules.most_residual_mm)
    moving = _coarse(found.volume, fine, found.shift_lps_mm)
    translation = find_translation(
        _coarse(image, fine, UNMOVED),
        moving,
        fine,
        region=region,
        most_mm=rules.most_residual_mm,
        rules=rules.translation,
    )
    return _moved_on(found, translation, rules)


def _moved_on(found: PhaseImage, rest: Translation | None, rules: AlignmentRules) -> PhaseImage:
    if rest is None or rest.doubt_mm > rules.unseen_residual_mm:
        # Too few edges here to say: the liver's motion as a whole is the best guess, and what it may miss is known.
        return replace(found, doubt_mm=max(found.doubt_mm, rules.unseen_residual_mm))
    x, y, z = (a + b for a, b in zip(found.shift_lps_mm, rest.shift_lps_mm, strict=True))
    return replace(found, shift_lps_mm=(x, y, z), doubt_mm=rest.doubt_mm)


def _millimetres(shift: NDArray[np.float64]) -> Millimetres:
    x, y, z = (float(v) for v in shift)
    return x, y, z


def _around(mask: BoolArray, grid: Grid, spacing_mm: float, beyond_mm: float) -> tuple[Grid, BoolArray]:
    """A coarse grid that reaches beyond a mask on every side, and the mask with its border on it."""
    steps = np.maximum(1, np.round(spacing_mm / grid.spacing_mm)).astype(int)
    pads = np.ceil(beyond_mm / (steps * grid.spacing_mm)).astype(int) + 1
    shape = np.ceil(np.array(mask.shape) / steps).astype(int) + 2 * pads
    affine = np.array(grid.affine)
    affine[:3, :3] = grid.affine[:3, :3] * steps
    affine[:3, 3] = grid.index_to_lps_mm(-pads * steps + (steps - 1) / 2)
    coarse = Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine, grid.frame_of_reference_uid)
    inside = on_grid(mask, grid, coarse)
    region = inside.copy()
    for axis in range(3):
        region |= np.roll(inside, 1, axis) | np.roll(inside, -1, axis)
    return coarse, region


def _coarse(volume: Volume, grid: Grid, shift_lps_mm: Millimetres) -> FloatArray:
    """An image on a coarse grid, averaged on the way so that its noise does not alias; NaN where it does not reach."""
    window = window_of(grid, volume.grid, shift_lps_mm=shift_lps_mm)
    if window is None:
        return np.full(grid.shape, np.nan, dtype=np.float32)
    part, own = _cut(volume, window)
    small, small_grid = thinned(part, own, spacing_mm=float(grid.spacing_mm.min()))
    values, seen = sampled(small, small_grid, grid, shift_lps_mm=shift_lps_mm)
    values[~seen] = np.nan
    return values


def _cut(volume: Volume, window: Box) -> tuple[NDArray[Any], Grid]:
    part = volume.array[window]
    return part, volume.grid.cropped([w.start for w in window], (part.shape[0], part.shape[1], part.shape[2]))


def liver_near(scene: Scene, box: Box) -> BoolArray:
    """The liver of the labels in a box, with all that lies in it."""
    return scene.mask(box, *LIVER_CONTENTS, *TREES_IN_LIVER, Structure.GALLBLADDER)
