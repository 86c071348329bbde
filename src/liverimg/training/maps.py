"""Making training maps: a real liver inside a voxel body, one file per pair.

Run ``python -m liverimg.training.maps --help``.
"""

from __future__ import annotations

import argparse
import csv
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.bodies import BODY_SPACING_MM, ByteArray, read_body, read_standard
from liverimg.training.fitting import box_of, fit_body, signed_distance
from liverimg.training.landmarks import Landmarks, find_landmarks
from liverimg.training.tissues import Tissue

BoolArray = NDArray[np.bool_]

MARGIN_MM = 120.0
HELD_OUT_SHARE = 0.08
_COARSE = 3
_CAVA_RADIUS_MM = (9.0, 12.5)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BodyMap:
    """Tissues of one synthetic patient and the places its vessels grow from.

    Attributes:
        tissue: ``Tissue`` values, standard order, spacing ``BODY_SPACING_MM``.
        landmarks: In mm from the first voxel.
    """

    tissue: ByteArray
    landmarks: Landmarks


def read_liver(path: Path, *, spacing_mm: float) -> BoolArray:
    """A real liver from a cropped label map, standard order, isotropic, borders interpolated by shape.

    Holes left by tumours and vessels are closed. Thick slices are interpolated through the signed distance.
    """
    labels, old_mm = read_standard(path)
    mask = labels > 0
    every = np.maximum(1, np.floor(1.4 / old_mm).astype(int))
    mask = np.pad(mask[:: every[0], :: every[1], :: every[2]], 3)
    old_mm = old_mm * every
    distance = signed_distance(mask, old_mm)
    shape = tuple(int(n) for n in np.ceil(np.array(mask.shape) * old_mm / spacing_mm))
    ratio = spacing_mm / old_mm
    offset = 0.5 * ratio - 0.5
    fine = ndimage.affine_transform(distance, ratio, offset=offset, output_shape=shape, order=1, mode="nearest")
    closed = ndimage.binary_closing(fine < 0, iterations=max(1, round(2.5 / spacing_mm)))
    return np.asarray(ndimage.binary_fill_holes(_largest(closed)))


def _largest(mask: BoolArray) -> BoolArray:
    labels, count = ndimage.label(mask)
    if count == 0:
        raise ValueError("the label map holds no liver")
    return np.asarray(labels == np.bincount(labels.ravel())[1:].argmax() + 1)


def make_map(body: ByteArray, liver: BoolArray, *, rng: np.random.Generator) -> BodyMap:
    """Wraps a body around a liver and lays the vena cava into its groove."""
    source, inner = fit_body(
        body == Tissue.LIVER, liver, spacing_mm=BODY_SPACING_MM, margin_mm=MARGIN_MM, coarse=_COARSE
    )
    shape = tuple(n + 2 * round(MARGIN_MM / BODY_SPACING_MM) for n in liver.shape)
    tissue = _sampled(body, source, shape)
    real = np.zeros(shape, dtype=bool)
    real[inner] = liver
    _paste_liver(tissue, real)
    cord = _cord_line(tissue)
    solid = (Tissue.LIVER, Tissue.BONE_CORTICAL, Tissue.BONE_SPONGIOSA, Tissue.AORTA, Tissue.SPINAL_CORD, Tissue.AIR)
    free = ~np.isin(tissue, solid)
    landmarks = find_landmarks(real, free, cord, spacing_mm=BODY_SPACING_MM, rng=rng)
    _paint_cava(tissue, free & (tissue != Tissue.HEART_WALL), landmarks, rng)
    return BodyMap(tissue, landmarks)


def _sampled(
    body: ByteArray, source: NDArray[np.float32], shape: tuple[int, ...], *, coarse: int = _COARSE
) -> ByteArray:
    where = tuple(slice(0, n) for n in shape)
    index = []
    for axis in range(3):
        dense = source[axis]
        for a in range(3):
            at = np.minimum(np.arange(shape[a]) / coarse, dense.shape[a] - 1)
            low = np.minimum(at.astype(int), dense.shape[a] - 2)
            weight = (at - low).astype(np.float32).reshape([-1 if b == a else 1 for b in range(3)])
            dense = np.take(dense, low, axis=a) * (1 - weight) + np.take(dense, low + 1, axis=a) * weight
        index.append(np.rint(dense[where]).astype(np.int32))
    inside = np.ones(shape, dtype=bool)
    for axis in range(3):
        inside &= (index[axis] >= 0) & (index[axis] < body.shape[axis])
        np.clip(index[axis], 0, body.shape[axis] - 1, out=index[axis])
    return np.asarray(np.where(inside, body[tuple(index)], np.uint8(Tissue.AIR)))


def _paste_liver(tissue: ByteArray, real: BoolArray) -> None:
    """Puts the real liver in; where the body's liver sticks out, the nearest other tissue fills in."""
    gap = (tissue == Tissue.LIVER) & ~real
    low, high = box_of((tissue == Tissue.LIVER) | real)
    box = tuple(slice(max(0, a - 4), b + 4) for a, b in zip(low, high, strict=True))
    part = tissue[box]
    part[real[box]] = Tissue.LIVER
    nearest = ndimage.distance_transform_edt(part == Tissue.LIVER, return_distances=False, return_indices=True)
    part[gap[box]] = part[tuple(nearest)][gap[box]]
    # Nothing grows into air, bone or the cava from a gap: fat lies there.
    odd = gap[box] & np.isin(part, (Tissue.AIR, Tissue.BONE_CORTICAL, Tissue.BONE_SPONGIOSA, Tissue.SKIN))
    part[odd] = Tissue.FAT


def _cord_line(tissue: ByteArray) -> NDArray[np.float64]:
    """Middle of the spinal canal (j, i) per slice; where it is not seen, carried on from its neighbours."""
    cord = tissue == Tissue.SPINAL_CORD
    seen = np.flatnonzero(cord.any(axis=(1, 2)))
    middle = np.array([ndimage.center_of_mass(cord[k]) for k in seen])
    levels = np.arange(len(tissue))
    line = np.column_stack([np.interp(levels, seen, middle[:, a]) for a in range(2)])
    return np.asarray(ndimage.gaussian_filter1d(line, 4, axis=0, mode="nearest"))


def _paint_cava(tissue: ByteArray, free: BoolArray, landmarks: Landmarks, rng: np.random.Generator) -> None:
    radius_j, radius_i = rng.uniform(*_CAVA_RADIUS_MM, size=2)
    j, i = np.indices(tissue.shape[1:], dtype=np.float32)
    for k, (_, y, x) in enumerate(landmarks.cava):
        inside = ((j * BODY_SPACING_MM - y) / radius_j) ** 2 + ((i * BODY_SPACING_MM - x) / radius_i) ** 2 < 1
        in_heart = np.isin(tissue[k], (Tissue.HEART_BLOOD, Tissue.HEART_WALL)) & inside
        if in_heart.sum() > 0.5 * inside.sum():
            return
        tissue[k][inside & free[k] & (tissue[k] != Tissue.HEART_BLOOD)] = Tissue.VENA_CAVA


def is_held_out(case: str) -> bool:
    """Whether a liver is kept for validation; depends on the case's name only."""
    return zlib.crc32(case.encode()) % 1000 < 1000 * HELD_OUT_SHARE


def save_map(path: Path, body_map: BodyMap) -> None:
    """Writes a map; the name appears only when the file is whole."""
    part = path.with_suffix(".part.npz")
    np.savez_compressed(
        part,
        tissue=body_map.tissue,
        cava=body_map.landmarks.cava,
        cava_at_dome=body_map.landmarks.cava_at_dome,
        hilum=body_map.landmarks.hilum,
    )
    part.rename(path)


def load_map(path: Path) -> BodyMap:
    """Reads what :func:`save_map` wrote."""
    with np.load(path) as found:
        return BodyMap(found["tissue"], Landmarks(found["cava"], found["cava_at_dome"], found["hilum"]))


def liver_files(label_maps: Path, *, excluded: frozenset[str] = frozenset()) -> dict[str, Path]:
    """Liver label maps by case name, in the order of ``index.csv``."""
    with (label_maps / "index.csv").open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["case"] not in excluded]
    return {row["case"]: label_maps / row["liver_labels"] / f"{row['case']}.nii.gz" for row in rows}


def main() -> None:
    """Command line: makes the maps that do not exist yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with label_maps/ and phantom_icrp110/")
    parser.add_argument("out", type=Path, help="where the maps go")
    parser.add_argument("--excluded", nargs="*", default=[], help="cases never used")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--bodies", nargs="*", default=["AM", "AF"])
    settings = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings.out.mkdir(parents=True, exist_ok=True)
    bodies = {name: read_body(settings.data / "phantom_icrp110" / f"{name}.nii.gz") for name in settings.bodies}
    files = liver_files(settings.data / "label_maps", excluded=frozenset(settings.excluded))
    order = np.random.default_rng(settings.seed).permutation(sorted(files))
    for number, case in enumerate(order):
        name = settings.bodies[number % len(settings.bodies)]
        target = settings.out / f"{'val' if is_held_out(case) else 'train'}-{case}-{name}.npz"
        if not target.exists():
            rng = np.random.default_rng([settings.seed, zlib.crc32(target.stem.encode())])
            liver = read_liver(files[case], spacing_mm=BODY_SPACING_MM)
            save_map(target, make_map(bodies[name], liver, rng=rng))
            _log.info("%s", target.name)


if __name__ == "__main__":
    main()
