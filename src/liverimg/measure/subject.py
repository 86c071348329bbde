"""What a measurement is made on: one lesion, and the body that it lies in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from liverimg.core.errors import GridMismatchError
from liverimg.core.grid import FloatArray
from liverimg.core.labels import LIVER_CONTENTS, LabelMap, LabelQuality
from liverimg.core.orientation import Orientation
from liverimg.core.study import Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.measure.acquired import Acquired
from liverimg.measure.axial import AxialDiameters, axial_diameters
from liverimg.measure.lesions import LesionMask, split_by_size
from liverimg.measure.liver import TREES_IN_LIVER, LiverBody, liver_body
from liverimg.measure.phases import PhaseImage, place_phases
from liverimg.measure.proximity import Target
from liverimg.measure.scene import Scene
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.skin import BODY_OUTLINE, Skin, find_skin
from liverimg.measure.surface import Surface, blob_surface

_INSIDE_LIVER = (*LIVER_CONTENTS, *TREES_IN_LIVER)


@dataclass(frozen=True, eq=False)
class Body:
    """What all lesions of a study share; everything lies in standard order (Superior, Posterior, Left).

    Attributes:
        scene: The labels.
        lesions: Connected or numbered tumours, the largest first.
        apart: Those of them that lie outside the liver.
        too_small: How many pieces of the tumour label were too small to be lesions.
        liver: The liver of anatomy; None when none is drawn.
        skin: The outer surface, or why there is none.
        image: The reference in HU or MR signal, on the labels' grid; None when only labels are at hand.
        phases: Images of the same study by contrast phase, each on its own grid with the shift that lays it onto the
            labels, the reference among them; empty when nobody asked for them.
        quality: How far the labels can be trusted.
        settings: Constants of the measurements.
        sources: Series UIDs to write beside each number.
        acquired: How the slices were acquired; None where nobody says, as for labels by themselves.
    """

    scene: Scene
    lesions: tuple[LesionMask, ...]
    apart: tuple[LesionMask, ...]
    too_small: int
    liver: LiverBody | None
    skin: Skin | str
    image: Volume | None
    phases: Mapping[Phase, PhaseImage]
    quality: LabelQuality
    settings: MeasureSettings
    sources: tuple[str, ...] = field(default=())
    acquired: Acquired | None = None
    segments: NDArray[np.uint8] | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        labels: LabelMap,
        quality: LabelQuality,
        *,
        settings: MeasureSettings,
        image: Volume | None = None,
        phases: Mapping[Phase, PhaseImage] | None = None,
        sources: tuple[str, ...] = (),
        acquired: Acquired | None = None,
        segments: NDArray[np.uint8] | None = None,
        with_liver: bool = True,
        with_skin: bool = True,
    ) -> Body:
        """Turns labels and images to standard order and finds lesions, liver and skin.

        Without the liver it is none, and no lesion lies apart from it; both are for who asks for neither.

        Raises:
            GridMismatchError: When an image does not lie on the labels' grid.
        """
        scene = Scene.of(labels)
        lesions, too_small = split_by_size(
            scene.labels, scene.boxes, minimum_volume_ml=settings.minimum_lesion_volume_ml
        )
        apart = tuple(lesion for lesion in lesions if with_liver and not _in_liver(lesion, scene))
        upright = None if image is None else _upright(image, labels)
        liver = liver_body(scene, apart=apart, settings=settings) if with_liver else None
        return cls(
            scene=scene,
            lesions=lesions,
            apart=apart,
            too_small=too_small,
            liver=liver,
            skin=_skin(scene, lesions, quality, upright, settings) if with_skin else "nobody asked for it",
            image=upright,
            phases={} if upright is None else place_phases(phases or {}, upright, liver, settings.alignment),
            quality=quality,
            settings=settings,
            sources=sources,
            acquired=acquired,
            segments=None if segments is None else Orientation.of(labels.grid).turn(segments),
        )

    @property
    def band_spacing_mm(self) -> FloatArray:
        """The scene's spacings as bands see them: across slices never finer than they were acquired."""
        grid = self.scene.grid
        return grid.spacing_mm if self.acquired is None else self.acquired.band_spacing_mm(grid)

    @property
    def hounsfield(self) -> Volume | None:
        """The reference where its values are HU."""
        return self.image if self.image is not None and self.image.quantity is Quantity.HU else None


@dataclass(frozen=True, eq=False)
class Subject:
    """One lesion, with what several measurements need of it.

    Attributes:
        lesion: Its voxels.
        surface: Sub-voxel.
        axial: Diameters in the axial plane.
        target: The surface, ready for distances.
        outside: Whether it lies outside the liver.
        quality: How far its label can be trusted.
    """

    lesion: LesionMask
    surface: Surface
    axial: AxialDiameters
    target: Target
    outside: bool
    quality: LabelQuality

    @classmethod
    def of(cls, lesion: LesionMask, body: Body) -> Subject:
        """Builds the lesion's surface and measures what the rest rests on."""
        surface = blob_surface(lesion.mask, lesion.grid)
        axial = axial_diameters(surface)
        target = Target.of(surface, lesion, between_slices_mm=axial.between_slices_mm)
        return cls(lesion, surface, axial, target, lesion in body.apart, body.quality.of_lesion(lesion.id))


def _skin(
    scene: Scene,
    lesions: tuple[LesionMask, ...],
    quality: LabelQuality,
    image: Volume | None,
    settings: MeasureSettings,
) -> Skin | str:
    if not lesions:
        return "no lesion is drawn"
    hounsfield = image if image is not None and image.quantity is Quantity.HU else None
    by_person = quality.by_person(*BODY_OUTLINE)
    return find_skin(scene, lesions=lesions, settings=settings, image=hounsfield, drawn_by_person=by_person)


def _upright(volume: Volume, labels: LabelMap) -> Volume:
    if not volume.grid.fits_in_space(labels.grid):
        raise GridMismatchError(
            f"the labels have shape {labels.grid.shape} and do not lie on the image's grid of shape "
            f"{volume.grid.shape}; resample them onto the image first"
        )
    turn = Orientation.of(labels.grid)
    return replace(volume, array=turn.turn(volume.array), grid=turn.turn_grid(volume.grid))


def _in_liver(lesion: LesionMask, scene: Scene) -> bool:
    """Whether any neighbour of the lesion's voxels is liver, or a vessel, duct or lesion inside it."""
    padded = np.pad(lesion.mask, 1)
    start = np.array(lesion.start_kji) - 1
    low, high = np.maximum(start, 0), np.minimum(start + padded.shape, scene.grid.shape)
    inner = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
    shell = (binary_dilation(padded) & ~padded)[inner]
    around = scene.labels.array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][shell]
    return bool(np.isin(around, scene.values(*_INSIDE_LIVER)).any())
