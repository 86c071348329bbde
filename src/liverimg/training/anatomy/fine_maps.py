"""Making fine training maps: the liver's surroundings at 1.25 mm with vessel trees inside.

Run ``python -m liverimg.training.anatomy.fine_maps --help``; the body maps must exist.
"""

from __future__ import annotations

import argparse
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.grid import Grid
from liverimg.phantom.capsules import paint
from liverimg.training.anatomy.bodies import BODY_SPACING_MM, ByteArray, read_standard
from liverimg.training.anatomy.fitting import box_of
from liverimg.training.anatomy.maps import MARGIN_MM, BodyMap, liver_files, load_map, read_liver
from liverimg.training.anatomy.trees import grow_trees, split_tree
from liverimg.training.synthesis.tissues import Tissue

BoolArray = NDArray[np.bool_]

FINE_SPACING_MM = 1.25
AROUND_MM = 25.0
_SMOOTH = (Tissue.VENA_CAVA, Tissue.GALLBLADDER, Tissue.AORTA, Tissue.KIDNEY_CORTEX, Tissue.STOMACH_WALL)
_NEVER_PAINTED = (
    Tissue.AIR,
    Tissue.BONE_CORTICAL,
    Tissue.BONE_SPONGIOSA,
    Tissue.AORTA,
    Tissue.VENA_CAVA,
    Tissue.HEART_BLOOD,
    Tissue.HEART_WALL,
    Tissue.LUNG,
    Tissue.MUSCLE,
)
# Sets whose vessel labels show the largest branches only: what is left out would teach that it is no vessel.
_SPARSE_TREES = ("MSD",)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinePlace:
    """Surroundings of a liver before any vessel is painted.

    Attributes:
        tissue: At ``FINE_SPACING_MM``, standard order.
        liver: The real liver on the same grid.
        grid: LPS millimetres count from the body map's first voxel.
        offset: Index of the real liver's own first voxel on this grid.
    """

    tissue: ByteArray
    liver: BoolArray
    grid: Grid
    offset: NDArray[np.int64]


def fine_place(body_map: BodyMap, liver: BoolArray) -> FinePlace:
    """Cuts the liver's box out of a body map at twice its resolution and sets the exact liver in.

    Args:
        body_map: The patient at ``BODY_SPACING_MM``.
        liver: The same liver at ``FINE_SPACING_MM``, as :func:`read_liver` gives it.
    """
    low, high = box_of(body_map.tissue == Tissue.LIVER)
    around = round(AROUND_MM / BODY_SPACING_MM)
    low = np.maximum(low - around, 0)
    high = np.minimum(high + around, body_map.tissue.shape)
    part = body_map.tissue[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
    is_liver = part == Tissue.LIVER
    nearest = ndimage.distance_transform_edt(is_liver, return_distances=False, return_indices=True)
    tissue = _doubled(part[tuple(nearest)])
    offset = round(MARGIN_MM / FINE_SPACING_MM) - 2 * low
    exact = _set_in(liver, tissue.shape, offset)
    tissue[exact] = Tissue.LIVER
    first_mm = 2 * low * FINE_SPACING_MM - 0.5 * FINE_SPACING_MM
    shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    grid = Grid.from_axes(shape, spacing_mm=np.full(3, FINE_SPACING_MM), origin_lps_mm=first_mm[::-1])
    return FinePlace(tissue, exact, grid, offset)


def _set_in(mask: BoolArray, shape: tuple[int, ...], offset: NDArray[np.int64]) -> BoolArray:
    whole = np.zeros(shape, dtype=bool)
    target = tuple(slice(max(0, int(o)), int(o) + n) for o, n in zip(offset, mask.shape, strict=True))
    source = tuple(slice(max(0, -int(o)), n) for o, n in zip(offset, mask.shape, strict=True))
    view = whole[target]
    view[...] = mask[source][tuple(slice(0, n) for n in view.shape)]
    return whole


def _doubled(labels: ByteArray) -> ByteArray:
    """Each voxel becomes eight; the tissues whose borders matter get smooth ones."""
    out = labels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    for value in _SMOOTH:
        mask = labels == value
        if not mask.any():
            continue
        low, high = box_of(mask)
        low, high = np.maximum(low - 2, 0), np.minimum(high + 2, labels.shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        wide = tuple(slice(2 * int(a), 2 * int(b)) for a, b in zip(low, high, strict=True))
        soft = mask[box].astype(np.float32).repeat(2, 0).repeat(2, 1).repeat(2, 2)
        grown = ndimage.gaussian_filter(soft, 1.2) > 0.5  # half: the border stays in place
        out[wide][grown & ~np.isin(out[wide], (Tissue.AIR, Tissue.BONE_CORTICAL))] = value
    return out


def read_vessels(path: Path, liver_shape: tuple[int, ...]) -> BoolArray:
    """A real merged vessel tree on the grid that :func:`read_liver` makes at ``FINE_SPACING_MM``."""
    labels, old_mm = read_standard(path)
    mask = (labels > 0).astype(np.float32)
    every = np.maximum(1, np.floor(1.4 / old_mm).astype(int))
    soft = ndimage.gaussian_filter(mask, 0.5 * FINE_SPACING_MM / old_mm)
    # read_liver keeps every n-th voxel and pads by three: place the centres likewise.
    strided_mm = old_mm * every
    ratio = FINE_SPACING_MM / old_mm
    offset = ((0.5 * FINE_SPACING_MM / strided_mm - 0.5) - 3) * every
    fine = ndimage.affine_transform(soft, ratio, offset=offset, output_shape=liver_shape, order=1)
    return np.asarray(fine > 0.4)  # below half, so that thin twigs survive


def paint_trees(place: FinePlace, body_map: BodyMap, *, rng: np.random.Generator) -> ByteArray:
    """Tissues with grown trees painted in."""
    coarse = Grid.from_axes(body_map.tissue.shape, spacing_mm=np.full(3, BODY_SPACING_MM), frame_of_reference_uid=None)
    low, high = box_of(body_map.tissue == Tissue.LIVER)
    size = high - low + 4
    cut = coarse.cropped(low - 2, (int(size[0]), int(size[1]), int(size[2])))
    box = tuple(slice(int(a) - 2, int(b) + 2) for a, b in zip(low, high, strict=True))
    trees = grow_trees(body_map.tissue[box] == Tissue.LIVER, cut, body_map.landmarks, rng=rng)
    tissue = place.tissue.copy()
    free = ~np.isin(tissue, _NEVER_PAINTED)
    parts = [(trees.portal, Tissue.PORTAL_VEIN), (trees.hepatic, Tissue.HEPATIC_VEIN)]
    if trees.ducts is not None:
        parts.append((trees.ducts, Tissue.BILE_DUCT))
    if trees.arteries is not None:
        parts.append((trees.arteries, Tissue.ARTERY))
    for capsules, value in parts:
        inside = (paint(capsules, place.grid, band_mm=1.0) <= 0) & free
        if value in (Tissue.HEPATIC_VEIN, Tissue.ARTERY):
            # Only liver has hepatic veins, and an artery has a name of its own only there.
            outside = inside & ~place.liver
            inside &= place.liver
            if value == Tissue.ARTERY:
                tissue[outside] = Tissue.VESSEL_OTHER
        tissue[inside] = value
        free &= ~inside
    return tissue


def paint_real(place: FinePlace, body_map: BodyMap, vessels: BoolArray) -> ByteArray:
    """Tissues with the real tree of this liver, told apart. Its ducts are unknown and stay liver."""
    whole = _set_in(vessels, place.tissue.shape, place.offset) & place.liver
    hepatic, portal = split_tree(whole, place.liver, place.grid, body_map.landmarks)
    tissue = place.tissue.copy()
    tissue[hepatic], tissue[portal] = Tissue.HEPATIC_VEIN, Tissue.PORTAL_VEIN
    return tissue


def coarse_with_vessels(body_map: BodyMap, fine: ByteArray, grid: Grid) -> ByteArray:
    """The body map with the veins of a fine map marked where they fill most of a voxel."""
    first = np.rint((grid.origin_lps_mm[::-1] + 0.5 * FINE_SPACING_MM) / BODY_SPACING_MM).astype(int)
    tissue = body_map.tissue.copy()
    shape = np.array(fine.shape) // 2
    view = tissue[tuple(slice(int(a), int(a + n)) for a, n in zip(first, shape, strict=True))]
    for value in (Tissue.HEPATIC_VEIN, Tissue.PORTAL_VEIN):
        mask = (fine == value).astype(np.uint8)
        count = sum(mask[a::2, b::2, c::2][: shape[0], : shape[1], : shape[2]] for a, b, c in np.ndindex(2, 2, 2))
        most = count >= 4
        view[most & (view == Tissue.LIVER)] = value
        # Outside the liver a vein is nothing that the coarse pass has a name for.
        view[most & (view == Tissue.FAT)] = Tissue.VESSEL_OTHER
    return tissue


def save_tissue(path: Path, tissue: ByteArray) -> None:
    """Writes a map for training; the name appears only when the file is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, tissue=tissue)
    part.rename(path)


def main() -> None:
    """Command line: makes the fine maps that do not exist yet, and body maps with veins beside them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with label_maps/")
    parser.add_argument("maps", type=Path, help="body maps from liverimg.training.anatomy.maps")
    parser.add_argument("out", type=Path, help="fine maps go here")
    parser.add_argument("coarse_out", type=Path, help="body maps with veins go here")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--grown-only", action="store_true", help="leave real trees out")
    settings = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for folder in (settings.out, settings.coarse_out):
        folder.mkdir(parents=True, exist_ok=True)
    files = liver_files(settings.data / "label_maps")
    paths = sorted(settings.maps.glob("*-*.npz"))
    for number in np.random.default_rng(settings.seed).permutation(len(paths)):
        path = paths[number]
        if (settings.coarse_out / path.name).exists():
            continue
        case = path.stem.split("-", 1)[1].rsplit("-", 1)[0]
        rng = np.random.default_rng([settings.seed, zlib.crc32(path.stem.encode())])
        body_map = load_map(path)
        changed = body_map.liver is not None
        liver = read_liver(files[case], spacing_mm=FINE_SPACING_MM) if body_map.liver is None else body_map.liver
        place = fine_place(body_map, liver)
        grown = paint_trees(place, body_map, rng=rng)
        save_tissue(settings.out / f"{path.stem}-grown.npz", grown)
        vessel_file = settings.data / "label_maps" / "vessels" / f"{case}.nii.gz"
        wanted = not settings.grown_only and not changed and not case.startswith(_SPARSE_TREES)
        if wanted and vessel_file.exists():
            real = paint_real(place, body_map, read_vessels(vessel_file, liver.shape))
            save_tissue(settings.out / f"{path.stem}-real.npz", real)
        save_tissue(settings.coarse_out / path.name, coarse_with_vessels(body_map, grown, place.grid))
        _log.info("%s", path.name)


if __name__ == "__main__":
    main()
