"""Making training maps: a real liver inside a voxel body, one file per pair.

Run ``python -m liverimg.training.anatomy.maps --help``.
"""

from __future__ import annotations

import argparse
import csv
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.training.anatomy.adapting import fill_from_neighbours, sampled
from liverimg.training.anatomy.bodies import BODY_SPACING_MM, ByteArray, read_standard
from liverimg.training.anatomy.body_sources import BODY_NAMES, named_body
from liverimg.training.anatomy.fitting import box_of, fit_body, signed_distance
from liverimg.training.anatomy.landmarks import Landmarks, find_landmarks
from liverimg.training.anatomy.variations import (
    LiverChange,
    Variation,
    changed_liver,
    draw_variation,
    enlarge_spleen,
    fill_resection,
    with_fat,
)
from liverimg.training.synthesis.tissues import Tissue

BoolArray = NDArray[np.bool_]

MARGIN_MM = 120.0
HELD_OUT_SHARE = 0.08
_COARSE = 3
# Space around a liver that a change may need.
_ROOM_MM = 20.0
_CAVA_RADIUS_MM = (9.0, 12.5)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BodyMap:
    """Tissues of one synthetic patient and the places its vessels grow from.

    Attributes:
        tissue: ``Tissue`` values, standard order, spacing ``BODY_SPACING_MM``.
        landmarks: In mm from the first voxel.
        liver: The liver at half the spacing of varied maps; else None.
    """

    tissue: ByteArray
    landmarks: Landmarks
    liver: BoolArray | None = None


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


def read_segments(path: Path, liver: BoolArray, *, spacing_mm: float) -> ByteArray:
    """Couinaud segments on the grid of :func:`read_liver`, carried on to all of the liver."""
    labels, old_mm = read_standard(path)
    every = np.maximum(1, np.floor(1.4 / old_mm).astype(int))
    labels = np.pad(labels[:: every[0], :: every[1], :: every[2]].astype(np.uint8), 3)
    ratio = spacing_mm / (old_mm * every)
    fine = ndimage.affine_transform(labels, ratio, offset=0.5 * ratio - 0.5, output_shape=liver.shape, order=0)
    nearest = ndimage.distance_transform_edt(fine == 0, return_distances=False, return_indices=True)
    return np.asarray(np.where(liver, fine[tuple(nearest)], np.uint8(0)))


def halved(mask: BoolArray) -> BoolArray:
    """A mask at twice its spacing; a voxel is in when half of its eight were."""
    even = np.pad(mask, [(0, n % 2) for n in mask.shape])
    k, j, i = (n // 2 for n in even.shape)
    return np.asarray(even.reshape(k, 2, j, 2, i, 2).sum(axis=(1, 3, 5)) >= 4)


def _largest(mask: BoolArray) -> BoolArray:
    labels, count = ndimage.label(mask)
    if count == 0:
        raise ValueError("the label map holds no liver")
    return np.asarray(labels == np.bincount(labels.ravel())[1:].argmax() + 1)


def make_map(
    body: ByteArray,
    liver: BoolArray,
    *,
    rng: np.random.Generator,
    variation: Variation | None = None,
    left: BoolArray | None = None,
) -> BodyMap:
    """Wraps a body around a liver and lays the vena cava into its groove.

    Args:
        body: Voxel body at ``BODY_SPACING_MM``.
        liver: At the same spacing; what the body is fitted to.
        rng: Source of chance.
        variation: How the body differs from its own.
        left: What is left of the liver after a resection, same shape; None for all of it.
    """
    change = variation or Variation()
    source, inner = fit_body(
        body == Tissue.LIVER, liver, spacing_mm=BODY_SPACING_MM, margin_mm=MARGIN_MM, coarse=_COARSE
    )
    shape = tuple(n + 2 * round(MARGIN_MM / BODY_SPACING_MM) for n in liver.shape)
    tissue = with_fat(sampled(body, source, shape, coarse=_COARSE), change.fat)
    real = np.zeros(shape, dtype=bool)
    real[inner] = liver
    _paste_liver(tissue, real)
    enlarge_spleen(tissue, change.spleen_mm)
    cord = _cord_line(tissue)
    # The body's own cava goes: the liver's groove says where this one's is.
    fill_from_neighbours(tissue, tissue == Tissue.VENA_CAVA)
    solid = (Tissue.LIVER, Tissue.BONE_CORTICAL, Tissue.BONE_SPONGIOSA, Tissue.AORTA, Tissue.SPINAL_CORD, Tissue.AIR)
    free = ~np.isin(tissue, solid)
    landmarks = find_landmarks(real, free, cord, spacing_mm=BODY_SPACING_MM, rng=rng)
    _paint_cava(tissue, free & (tissue != Tissue.HEART_WALL), landmarks, rng)
    if left is not None:
        gap = real.copy()
        gap[inner] &= ~left
        fill_resection(tissue, gap, rng)
    return BodyMap(tissue, landmarks)


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
    marks = body_map.landmarks
    arrays: dict[str, NDArray[Any]] = {"tissue": body_map.tissue, "cava": marks.cava, "hilum": marks.hilum}
    arrays["cava_at_dome"] = marks.cava_at_dome
    if body_map.liver is not None:
        arrays["liver"] = body_map.liver
    np.savez_compressed(part, allow_pickle=False, **arrays)
    part.rename(path)


def load_map(path: Path) -> BodyMap:
    """Reads what :func:`save_map` wrote."""
    with np.load(path) as found:
        landmarks = Landmarks(found["cava"], found["cava_at_dome"], found["hilum"])
        return BodyMap(found["tissue"], landmarks, found.get("liver"))


def liver_files(label_maps: Path, *, excluded: frozenset[str] = frozenset()) -> dict[str, Path]:
    """Liver label maps by case name, in the order of ``index.csv``."""
    with (label_maps / "index.csv").open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["case"] not in excluded]
    return {row["case"]: label_maps / row["liver_labels"] / f"{row['case']}.nii.gz" for row in rows}


def varied_map(
    body: ByteArray, path: Path, *, segments_known: bool, changed_share: float, seed: int
) -> tuple[BodyMap, Variation]:
    """A body map of one liver with a variation drawn for it.

    Args:
        body: From :func:`liverimg.training.anatomy.body_sources.named_body`.
        path: The liver's label map.
        segments_known: Whether its values are Couinaud segments.
        changed_share: How often the liver itself is changed.
        seed: Of everything random.
    """
    rng = np.random.default_rng([seed, zlib.crc32(path.name.encode())])
    variation = draw_variation(rng, segments_known=segments_known, share=changed_share)
    half_mm = BODY_SPACING_MM / 2
    whole = read_liver(path, spacing_mm=half_mm)
    if variation.liver is LiverChange.NONE:
        made = make_map(body, halved(whole), rng=rng, variation=variation)
        return BodyMap(made.tissue, made.landmarks, whole), variation
    segments = read_segments(path, whole, spacing_mm=half_mm)
    room = 2 * round(_ROOM_MM / BODY_SPACING_MM)
    padded, named = np.pad(whole, room), np.pad(segments, room)
    fitted, left = changed_liver(padded, named, variation.liver, spacing_mm=half_mm, rng=rng)
    made = make_map(body, halved(fitted), rng=rng, variation=variation, left=halved(left))
    return BodyMap(made.tissue, made.landmarks, left), variation


def main() -> None:
    """Command line: makes the maps that do not exist yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with label_maps/ and the bodies' folders")
    parser.add_argument("out", type=Path, help="where the maps go")
    parser.add_argument("--excluded", nargs="*", default=[], help="cases never used")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--bodies", nargs="*", default=["AM", "AF"], help=f"some of {', '.join(BODY_NAMES)}")
    parser.add_argument("--varied", action="store_true", help="training cases only, with varied livers and fat")
    parser.add_argument("--changed-share", type=float, default=0.45, help="of livers resected or cirrhotic")
    parser.add_argument("--count", type=int, default=None, help="at most so many cases")
    settings = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings.out.mkdir(parents=True, exist_ok=True)
    bodies = {name: named_body(name, settings.data, kept=settings.out / "bodies") for name in settings.bodies}
    files = liver_files(settings.data / "label_maps", excluded=frozenset(settings.excluded))
    order = np.random.default_rng(settings.seed).permutation(sorted(files))
    if settings.varied:
        order = np.array([case for case in order if not is_held_out(case)])
    for number, case in enumerate(order[: settings.count]):
        name = settings.bodies[number % len(settings.bodies)]
        target = settings.out / f"{'val' if is_held_out(case) else 'train'}-{case}-{name}.npz"
        if target.exists():
            continue
        if settings.varied:
            made, variation = varied_map(
                bodies[name],
                files[case],
                segments_known=files[case].parent.name == "couinaud",
                changed_share=settings.changed_share,
                seed=settings.seed,
            )
            _log.info("%s %s", target.name, variation)
        else:
            rng = np.random.default_rng([settings.seed, zlib.crc32(target.stem.encode())])
            made = make_map(bodies[name], read_liver(files[case], spacing_mm=BODY_SPACING_MM), rng=rng)
            _log.info("%s", target.name)
        save_map(target, made)


if __name__ == "__main__":
    main()
