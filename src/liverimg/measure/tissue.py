"""Which tissue lies where, on a grid coarse enough for many rays.

Labels go first where they name an organ. Where they say only "body", or nothing, the values of a CT decide; on other
images such a voxel is soft tissue of an unknown kind. Bone, lung and gas that software drew are left to the CT too,
which shows them better than any outline of it. Cells are single voxels in steps of about 2 mm, so nothing is
shifted; CT values are averaged with their six neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import Box
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, LabelQuality, Structure
from liverimg.measure.approach import ApproachSettings
from liverimg.measure.band import surface_error_mm
from liverimg.measure.parts import numbered_parts
from liverimg.measure.skin import Skin
from liverimg.measure.subject import Body

Codes = NDArray[np.uint8]


class Tissue(IntEnum):
    """What a cell holds. The order matters: up to UNSEEN a ray ends, from BONE on sound is blocked."""

    OUTSIDE = 0
    UNSEEN = auto()
    OTHER = auto()
    FAT = auto()
    MUSCLE = auto()
    LIVER = auto()
    TUMOUR = auto()
    VESSEL = auto()
    ASCITES = auto()
    ORGAN = auto()
    BOWEL = auto()
    BONE = auto()
    GAS = auto()
    LUNG = auto()


BLOCKING = (Tissue.BONE, Tissue.GAS, Tissue.LUNG)
_ASK_THE_IMAGE = 255
_LABEL_VALUES = 256  # of an unsigned byte
_FROM_LABELS: Mapping[Structure, Tissue] = {
    Structure.LIVER: Tissue.LIVER,
    Structure.ABLATION_ZONE: Tissue.LIVER,
    Structure.TUMOUR: Tissue.TUMOUR,
    Structure.HEPATIC_VEIN: Tissue.VESSEL,
    Structure.PORTAL_VEIN: Tissue.VESSEL,
    Structure.ASCITES: Tissue.ASCITES,
    Structure.BOWEL: Tissue.BOWEL,
    Structure.STOMACH: Tissue.BOWEL,
    Structure.BONE: Tissue.BONE,
    Structure.GAS: Tissue.GAS,
    Structure.LUNG: Tissue.LUNG,
    **dict.fromkeys(
        (
            Structure.BILE_DUCT,
            Structure.GALLBLADDER,
            Structure.INFERIOR_VENA_CAVA,
            Structure.AORTA,
            Structure.SPLEEN,
            Structure.KIDNEY,
            Structure.HEART,
            Structure.PANCREAS,
        ),
        Tissue.ORGAN,
    ),
    Structure.FAT: Tissue.FAT,
    Structure.MUSCLE: Tissue.MUSCLE,
    Structure.SKIN: Tissue.OTHER,
    Structure.BODY: Tissue.OTHER,
}
# Labels that say too little where an image in HU can say more.
_VAGUE = (Structure.FAT, Structure.MUSCLE, Structure.SKIN, Structure.BODY)
# Labels that an image in HU knows better than software that drew them.
_SHOWN = (Structure.BONE, Structure.LUNG, Structure.GAS)
_TOP_CELLS = 2
_OUTER_LIVER = 0.25  # of the liver's width, from the right: the spine lies farther in
_LOWEST_HU, _HIGHEST_HU = -1024, 3071


@dataclass(frozen=True, eq=False)
class TissueGrid:
    """Tissue in cells, with a rim of one cell around it that stands for what is not in view.

    Attributes:
        codes: Values of :class:`Tissue`.
        grid: Of the cells, the rim among them.
        drawn: Structures that are where labels put them, so with the labels' error; the others are where the CT shows.
        gas_seen: Whether gas was looked for; else bowel and stomach may hold some unseen.
        split: Whether fat and muscle are told apart.
    """

    codes: Codes = field(repr=False)
    grid: Grid
    drawn: frozenset[Structure]
    gas_seen: bool
    split: bool

    @property
    def cell_mm(self) -> float:
        """The widest side of a cell."""
        return float(self.grid.spacing_mm.max())


def why_unknown(body: Body) -> str:
    """Why nothing can be said about ways in; empty when something can."""
    if isinstance(body.skin, str):
        return body.skin
    for structure in (Structure.BONE, Structure.LUNG):
        words = structure.value
        if structure in body.quality.not_visible and body.hounsfield is None:
            return body.quality.not_visible[structure]
        if body.hounsfield is None and not body.scene.labels.knows(structure):
            return f"the {words} was not looked for, and only CT shows it without being drawn: what blocks is unknown"
    if body.hounsfield is None and not _gas_known(body):
        return "neither gas nor stomach and bowel were looked for, so what blocks is unknown"
    if body.image is not None and body.hounsfield is None and not _ribs_drawn(body):
        return (
            "no bone is drawn at the side of the liver, where ribs are, and an MR image does not show them by its "
            "values: what blocks is unknown; draw the ribs, or take the window from a CT"
        )
    return ""


def _ribs_drawn(body: Body) -> bool:
    """Whether bone is drawn at the liver's level as far to the right as the liver's outer part: not only the spine."""
    liver = body.liver
    if liver is None:
        return False
    levels, _, across = liver.box
    outer = across.start + int(_OUTER_LIVER * (across.stop - across.start))
    depth = slice(0, body.scene.grid.shape[1])
    return bool(body.scene.mask((levels, depth, slice(0, outer)), Structure.BONE).any())


def _gas_known(body: Body) -> bool:
    knows = body.scene.labels.knows
    return knows(Structure.GAS) or (knows(Structure.STOMACH) and knows(Structure.BOWEL))


def tissue_grid(body: Body, skin: Skin, settings: ApproachSettings, *, reach_mm: float) -> TissueGrid:
    """Tissue around all lesions, as far as a ray may run.

    Args:
        body: The study.
        skin: Its skin.
        settings: Which values are which tissue.
        reach_mm: Length of the longest ray from a lesion.
    """
    grid = body.scene.grid
    factor = np.maximum(1, np.round(settings.window_tissue_cell_mm / grid.spacing_mm)).astype(int)
    cells = _cells(body, factor, reach_mm)
    k, j, i = (slice(c.start, c.stop, int(f)) for c, f in zip(cells, factor, strict=True))
    picks: Box = (k, j, i)
    ask = body.hounsfield is not None
    asked = _asked(body)
    codes = _from_labels(body, asked)[body.scene.labels.array[picks]]
    indices = [np.arange(p.start, p.stop, p.step) for p in picks]
    inside = skin.inside(*np.ix_(*indices))
    voxel_ml = float(grid.voxel_ml * factor.prod())
    if body.hounsfield is not None:
        values = _smoothed(body, picks)
        codes = _with_image(codes, values, settings, inside)
        if Structure.LUNG in asked or not body.scene.labels.knows(Structure.LUNG):
            _tell_lung(codes, values, settings, voxel_ml)
    codes[~inside] = Tissue.OUTSIDE
    rimmed = np.pad(codes, 1, constant_values=Tissue.UNSEEN)
    affine = np.array(grid.affine)
    affine[:3, :3] *= factor
    affine[:3, 3] = grid.index_to_lps_mm([c[0] - f for c, f in zip(indices, factor, strict=True)])
    shape = (rimmed.shape[0], rimmed.shape[1], rimmed.shape[2])
    knows = body.scene.labels.knows
    return TissueGrid(
        codes=rimmed,
        grid=Grid(shape, affine, grid.frame_of_reference_uid),
        drawn=frozenset(body.scene.labels.structures) - asked,
        gas_seen=ask or knows(Structure.GAS),
        split=ask or (knows(Structure.FAT) and knows(Structure.MUSCLE)),
    )


def _cells(body: Body, factor: NDArray[np.intp], reach_mm: float) -> Box:
    """The part of the scan that rays from any lesion can reach; every pick has a neighbour on each side."""
    grid = body.scene.grid
    centres = grid.lps_mm_to_index([lesion.centroid_lps_mm for lesion in body.lesions])
    halves = [np.array(lesion.mask.shape) / 2 for lesion in body.lesions]
    steps = reach_mm / grid.spacing_mm
    low = np.floor((centres - halves).min(axis=0) - steps).astype(int)
    high = np.ceil((centres + halves).max(axis=0) + steps).astype(int) + 1
    # Counted from the first voxel of the scan, so that the same voxels are picked whatever lies in the scan.
    low = np.maximum(low, 0) // factor * factor + factor // 2
    high = np.minimum(high, grid.shape)
    k, j, i = (slice(int(min(a, b - 1)), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _asked(body: Body) -> frozenset[Structure]:
    """Structures that are looked for on the image and not among the labels."""
    if body.hounsfield is None:
        return frozenset()
    return frozenset((*_VAGUE, *(s for s in _SHOWN if not body.quality.by_person(s))))


def _from_labels(body: Body, asked: frozenset[Structure]) -> Codes:
    labels = body.scene.labels
    table = np.full(_LABEL_VALUES, _ASK_THE_IMAGE if asked else Tissue.OTHER, dtype=np.uint8)
    for structure, value in labels.structures.items():
        table[value] = _ASK_THE_IMAGE if structure in asked else _FROM_LABELS[structure]
    for value in labels.lesions.values():
        table[value] = Tissue.TUMOUR
    return table


def _with_image(codes: Codes, values: NDArray[np.float32], settings: ApproachSettings, inside: BoolArray) -> Codes:
    table = _from_values(settings)
    shown = table[np.clip(values, _LOWEST_HU, _HIGHEST_HU).astype(np.int16) - _LOWEST_HU]
    # Where skin borders on air a voxel blurs the two, and looks like gas.
    shown[(shown == Tissue.GAS) & _beside(~inside)] = Tissue.OTHER
    found = np.where(codes == _ASK_THE_IMAGE, shown, codes)
    found[(codes == Tissue.BOWEL) & (shown == Tissue.GAS)] = Tissue.GAS
    found[~inside] = Tissue.OUTSIDE
    return np.asarray(found, dtype=np.uint8)


def _beside(mask: BoolArray) -> BoolArray:
    """The mask with all neighbours of its cells, along each axis in turn."""
    grown = mask.copy()
    for axis in range(3):
        lower, upper = [slice(None)] * 3, [slice(None)] * 3
        lower[axis], upper[axis] = slice(None, -1), slice(1, None)
        before = grown.copy()
        grown[tuple(lower)] |= before[tuple(upper)]
        grown[tuple(upper)] |= before[tuple(lower)]
    return grown


def _smoothed(body: Body, picks: Box) -> NDArray[np.float32]:
    """CT values at the picks, averaged with their neighbours: the pick counts twice, each of the six once."""
    if body.hounsfield is None:
        raise AssertionError("only asked for where there is a CT")
    image = body.hounsfield.array
    total = np.multiply(image[picks], 2, dtype=np.float32)
    for axis in range(3):
        for shift in (-1, 1):
            places = np.clip(np.arange(picks[axis].start, picks[axis].stop, picks[axis].step) + shift, 0, None)
            places = np.minimum(places, image.shape[axis] - 1)
            rest = tuple(slice(None) if a == axis else picks[a] for a in range(3))
            total += np.take(image[rest], places, axis=axis)
    return np.asarray(total / 8)


def _from_values(settings: ApproachSettings) -> Codes:
    values = np.arange(_LOWEST_HU, _HIGHEST_HU + 1)
    table = np.full(len(values), Tissue.OTHER, dtype=np.uint8)
    table[(values >= settings.fat_low_hu) & (values <= settings.fat_high_hu)] = Tissue.FAT
    table[(values > settings.fat_high_hu) & (values <= settings.muscle_high_hu)] = Tissue.MUSCLE
    table[values > settings.bone_above_hu] = Tissue.BONE
    table[values < settings.gas_below_hu] = Tissue.GAS
    return table


def _tell_lung(codes: Codes, values: NDArray[np.float32], settings: ApproachSettings, cell_ml: float) -> None:
    """Turns large spaces of thin air that go on beyond the upper end of the view into lung."""
    pieces = numbered_parts(codes == Tissue.GAS, by_faces=True)
    counts = np.bincount(pieces.ravel())
    for piece in np.flatnonzero(counts * cell_ml >= settings.lung_least_ml):
        here = pieces == piece
        if piece == 0 or not here[-_TOP_CELLS:].any():
            continue
        if float(np.median(values[here])) >= settings.lung_least_hu:
            codes[here] = Tissue.LUNG


def drawn_error_mm(quality: LabelQuality, tissue: TissueGrid, *structures: Structure) -> float:
    """The largest stated error among those structures that lie where labels put them; 0 for what the CT shows."""
    return surface_error_mm(quality, *(s for s in structures if s in tissue.drawn))
