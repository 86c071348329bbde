"""What zones are looked for in: the liver of the later study, its phases, and where the treated lesions lie now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import fill_voids
import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import Box
from liverimg.core.errors import GridMismatchError
from liverimg.core.grid import Grid
from liverimg.core.labels import LIVER_CONTENTS, BoolArray, LabelMap, Structure
from liverimg.core.motion import RigidMotion
from liverimg.core.orientation import Orientation
from liverimg.core.study import Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.measure.liver import TREES_IN_LIVER, LiverBody
from liverimg.measure.phases import PhaseImage, place_phases
from liverimg.measure.scene import Scene
from liverimg.measure.zones.dents import Dark, closed_by, left_out
from liverimg.measure.zones.rules import ZoneRules

# What a zone may be taken for, or may have been taken for by whoever drew the labels.
_MAY_BE_ZONE = (*LIVER_CONTENTS, *TREES_IN_LIVER)
# Never a zone, dark as it is.
NEVER = (Structure.GALLBLADDER, Structure.BILE_DUCT, Structure.INFERIOR_VENA_CAVA)
_NAMELESS = (Structure.BODY, Structure.SKIN)


@dataclass(frozen=True, eq=False)
class Treated:
    """A lesion of the earlier study.

    Attributes:
        id: Its id there.
        mask: Its voxels in a box.
        grid: Of the box, earlier study.
        motion: From the earlier study into the later one at this lesion; None when it is not known.
        error_mm: 95 % bound of the motion's error.
        reason: Why there is no motion, or doubt.
        contrast: Its contrast to the liver in the earlier study's phases, HU on CT and per cent on MR.
    """

    id: str
    mask: BoolArray = field(repr=False)
    grid: Grid
    motion: RigidMotion | None
    error_mm: float = 0.0
    reason: str = ""
    contrast: Mapping[Phase, float] = field(default_factory=dict)

    def corners_lps_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest place of its box now, LPS mm."""
        ends = [(-0.5, n - 0.5) for n in self.mask.shape]
        index = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, 8).T
        places = self.grid.index_to_lps_mm(index)
        if self.motion is not None:
            places = self.motion.apply(places)
        return places.min(axis=0), places.max(axis=0)

    def on(self, grid: Grid) -> BoolArray:
        """Where it lies now: voxels of a grid of the later study, nearest voxel by nearest voxel.

        Raises:
            ValueError: Nobody knows where it lies.
        """
        if self.motion is None:
            raise ValueError(f"{self.id} has no motion, so nobody knows where it lies")
        back = self.motion.inverse()
        inverse = np.linalg.inv(self.grid.affine[:3, :3])
        matrix = inverse @ back.matrix @ grid.affine[:3, :3]
        first = self.grid.lps_mm_to_index(back.apply(grid.origin_lps_mm))
        out = np.zeros(grid.shape, dtype=bool)
        box = box_near(self, grid, float(grid.spacing_mm.max()))  # a voxel for rounding
        if box is None:
            return out
        j, i = np.indices(grid.shape[1:])[:, box[1], box[2]]
        for k in range(box[0].start, box[0].stop):
            index = first + k * matrix[:, 0] + j[..., None] * matrix[:, 1] + i[..., None] * matrix[:, 2]
            index = np.floor(index + 0.5).astype(int)
            inside = ((index >= 0) & (index < self.mask.shape)).all(axis=-1)
            found = index[inside]
            out[k][box[1:]][inside] = self.mask[found[:, 0], found[:, 1], found[:, 2]]
        return out


@dataclass(frozen=True, eq=False)
class Site:
    """The later study in standard order.

    Attributes:
        image: The reference.
        scene: Its labels.
        liver: The liver with zones, tumours, vessels and what whoever drew it left out of it, in a box of the scene.
        box: Where ``liver`` lies.
        phases: By contrast phase, laid onto the liver.
        left_out: Phases that can't be read, with reasons.
        rules: Constants.
    """

    image: Volume
    scene: Scene
    liver: BoolArray = field(repr=False)
    box: Box
    phases: Mapping[Phase, PhaseImage]
    left_out: Mapping[Phase, str]
    rules: ZoneRules

    @classmethod
    def of(
        cls,
        image: Volume,
        labels: LabelMap,
        phases: Mapping[Phase, PhaseImage],
        treated: Sequence[Treated],
        rules: ZoneRules,
    ) -> Site | None:
        """Turns everything to standard order and lays the phases onto the liver; None where no liver is drawn.

        Raises:
            GridMismatchError: When the image does not lie on the labels' grid.
        """
        if not image.grid.fits_in_space(labels.grid):
            raise GridMismatchError(
                f"the labels have shape {labels.grid.shape} and do not lie on the image's grid of shape "
                f"{image.grid.shape}; resample them onto the image first"
            )
        turn = Orientation.of(labels.grid)
        upright = Volume(turn.turn(image.array), turn.turn_grid(image.grid), image.quantity)
        scene = Scene.of(labels)
        if scene.box(Structure.LIVER) is None:
            return None
        box, liver = _whole_liver(scene, upright, treated, rules)
        body = LiverBody(liver, scene.crop_grid(box), box, scene.at_edge(box))
        placed = place_phases(phases, upright, body, rules.alignment)
        left_out = {phase: found.why_not for phase, found in placed.items() if found.why_not}
        usable = {phase: found for phase, found in placed.items() if not found.why_not}
        return cls(upright, scene, liver, box, usable, left_out, rules)

    @property
    def is_ct(self) -> bool:
        """Whether values are HU."""
        return self.image.quantity is Quantity.HU

    @property
    def grid(self) -> Grid:
        """Of the box around the liver."""
        return self.scene.crop_grid(self.box)


def _whole_liver(scene: Scene, image: Volume, treated: Sequence[Treated], rules: ZoneRules) -> tuple[Box, BoolArray]:
    """The liver with all that lies in it; dents of its outline are filled where nothing else is drawn.

    A model may leave a zone out: as a hole, or at the surface as a dent. A dent is filled by a morphological closing,
    a wide one where a lesion lay, but only with what was given to no other structure and is no fat or air.
    """
    box = scene.box(*_MAY_BE_ZONE)
    assert box is not None
    own = rules.finding
    pad = np.ceil(own.closing_mm / scene.grid.spacing_mm).astype(int)
    k, j, i = (
        slice(max(0, b.start - int(p)), min(n, b.stop + int(p)))
        for b, p, n in zip(box, pad, scene.grid.shape, strict=True)
    )
    box = (k, j, i)
    grid = scene.crop_grid(box)
    solid = scene.mask(box, *LIVER_CONTENTS)
    trees = scene.mask(box, *TREES_IN_LIVER)
    closed = closed_by(solid | trees, grid, own.closing_mm)
    dents = closed & ~solid & ~trees
    for lesion in (one for one in treated if one.motion is not None):
        near = box_near(lesion, grid, own.left_out_mm)
        if near is not None:
            here = (solid | trees)[near]
            dents[near] |= closed_by(here, scene.grid, own.wide_closing_mm) & ~here
    dents &= ~_drawn_as_something(scene, box)
    dents = left_out(image.array[box], dents, solid | trees, grid, Dark.of(image, box, solid, own), own.dent_mm)
    whole = np.asarray(fill_voids.fill(solid | (closed & trees) | dents))
    return box, whole & ~scene.mask(box, *NEVER)


def box_near(lesion: Treated, grid: Grid, reach_mm: float) -> Box | None:
    """The part of a grid around where a lesion lies now."""
    low, high = lesion.corners_lps_mm()
    corners = np.array(np.meshgrid(*zip(low - reach_mm, high + reach_mm, strict=True), indexing="ij")).reshape(3, 8).T
    index = grid.lps_mm_to_index(corners)
    first = np.maximum(0, np.floor(index.min(axis=0))).astype(int)
    last = np.minimum(grid.shape, np.ceil(index.max(axis=0)) + 1).astype(int)
    if (last <= first).any():
        return None
    k, j, i = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return k, j, i


def _drawn_as_something(scene: Scene, box: Box) -> BoolArray:
    """Voxels that belong to a structure other than the liver and its contents, or lie outside the body."""
    known = scene.labels.structures
    others = [s for s in known if s not in (*_MAY_BE_ZONE, *_NAMELESS)]
    found = scene.mask(box, *others)
    if Structure.BODY in known:
        found |= scene.labels.array[box] == 0
    return np.asarray(found)
