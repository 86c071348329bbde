"""Which tumour of the later study is which lesion of the baseline, and which belongs to none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree

from liverimg.core.grid import FloatArray, Grid
from liverimg.core.labels import BoolArray
from liverimg.core.measurement import Point
from liverimg.core.orientation import Orientation
from liverimg.core.zones import ZoneMap
from liverimg.measure.closest import least_distances
from liverimg.measure.lesions import LesionMask
from liverimg.measure.margin import level_at
from liverimg.measure.surface import Surface
from liverimg.measure.treatment.cover import Carried
from liverimg.measure.treatment.parts import Drawn


@dataclass(frozen=True, eq=False)
class Matched:
    """Tumours of the later study, by what they belong to.

    Attributes:
        of_lesion: Pieces that lie where a lesion of the baseline lies now, joined, by that lesion; outside all zones.
        elsewhere: Pieces that lie where no lesion of the baseline lay.
        zone_near: For each of these, the zone that it lies nearest to and how far away it is in mm; none where there
            is no zone.
        unplaced: Lesions of the baseline whose place now is unknown: any of the pieces may be theirs.
    """

    of_lesion: Mapping[str, LesionMask]
    elsewhere: tuple[LesionMask, ...]
    zone_near: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    unplaced: tuple[str, ...] = ()


def match_tumours(
    pieces: Sequence[LesionMask],
    surfaces: Mapping[str, Surface],
    carried: Mapping[str, Carried | None],
    zones: ZoneMap,
    parts: Mapping[str, Drawn],
) -> Matched:
    """Finds the lesion that each tumour of the later study is.

    A piece that lies in a zone or a focus of the map belongs to that and is left out here. A piece belongs to the
    lesion whose moved body it reaches into, enlarged by the error of its motion; to the one with most of it where
    there are several.

    Args:
        pieces: Connected or numbered tumours of the later study, in standard order.
        surfaces: Of the baseline's lesions.
        carried: Their motions; None where one is not known.
        zones: Zones and foci.
        parts: The same as bodies.
    """
    taken = _upright(zones)
    found: dict[str, list[LesionMask]] = {}
    elsewhere: list[LesionMask] = []
    near: dict[str, tuple[str, float]] = {}
    for piece in pieces:
        if _inside(taken, piece):
            continue
        points = piece.grid.index_to_lps_mm(np.argwhere(piece.mask))
        owner = _owner(points, surfaces, carried)
        if owner is not None:
            found.setdefault(owner, []).append(piece)
            continue
        name = f"N{len(elsewhere) + 1}"
        elsewhere.append(replace(piece, id=name))
        nearest = _nearest_zone(points, parts)
        if nearest is not None:
            near[name] = nearest
    of_lesion = {name: joined(several, name) for name, several in found.items()}
    unplaced = tuple(name for name, motion in carried.items() if motion is None)
    return Matched(of_lesion, tuple(elsewhere), near, unplaced)


def moved_body(surface: Surface, carried: Carried, grid: Grid, name: str) -> LesionMask | None:
    """A lesion of the baseline as voxels of the later study; None where the study does not show its place.

    Args:
        surface: Of the lesion in the baseline.
        carried: Its motion.
        grid: Of the later study, in standard order.
        name: Of the lesion.
    """
    vertices = grid.lps_mm_to_index(carried.motion.apply(surface.vertices_lps_mm))
    low = np.maximum(np.floor(vertices.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(vertices.max(axis=0)).astype(int) + 1, grid.shape)
    if (high <= low).any():
        return None
    shape = (int(high[0] - low[0]), int(high[1] - low[1]), int(high[2] - low[2]))
    box = grid.cropped([int(n) for n in low], shape)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1).reshape(-1, 3)
    places = carried.motion.inverse().apply(box.index_to_lps_mm(index))
    mask = (level_at(surface, places) > 0).reshape(shape)
    return _cut(mask, box, (int(low[0]), int(low[1]), int(low[2])), grid, name) if mask.any() else None


def joined(pieces: Sequence[LesionMask], name: str) -> LesionMask:
    """Several pieces of one grid as one body."""
    if len(pieces) == 1:
        return replace(pieces[0], id=name)
    starts = np.array([p.start_kji for p in pieces])
    ends = starts + np.array([p.mask.shape for p in pieces])
    low, high = starts.min(axis=0), ends.max(axis=0)
    mask = np.zeros(high - low, dtype=bool)
    for piece, start in zip(pieces, starts - low, strict=True):
        window = tuple(slice(s, s + n) for s, n in zip(start, piece.mask.shape, strict=True))
        mask[window] |= piece.mask
    first = pieces[0]
    offset = [int(n) for n in low - starts[0]]
    grid = first.grid.cropped(offset, (mask.shape[0], mask.shape[1], mask.shape[2]))
    centre = grid.index_to_lps_mm(np.argwhere(mask).mean(axis=0))
    return LesionMask(
        id=name,
        mask=mask,
        grid=grid,
        start_kji=(int(low[0]), int(low[1]), int(low[2])),
        volume_ml=float(np.count_nonzero(mask)) * grid.voxel_ml,
        centroid_lps_mm=_point(centre),
        touches_image_edge=any(p.touches_image_edge for p in pieces),
    )


def _cut(mask: BoolArray, grid: Grid, start: tuple[int, int, int], whole: Grid, name: str) -> LesionMask:
    ends = [s == 0 or s + n == m for s, n, m in zip(start, mask.shape, whole.shape, strict=True)]
    return LesionMask(
        id=name,
        mask=mask,
        grid=grid,
        start_kji=start,
        volume_ml=float(np.count_nonzero(mask)) * grid.voxel_ml,
        centroid_lps_mm=_point(grid.index_to_lps_mm(np.argwhere(mask).mean(axis=0))),
        touches_image_edge=any(ends),
    )


def _upright(zones: ZoneMap) -> BoolArray:
    """Which voxels any zone or focus takes, in standard order."""
    return np.asarray(Orientation.of(zones.grid).turn(zones.array) > 0)


def _inside(taken: BoolArray, piece: LesionMask) -> bool:
    window = tuple(slice(s, s + n) for s, n in zip(piece.start_kji, piece.mask.shape, strict=True))
    return bool((taken[window] & piece.mask).any())


def _owner(points: FloatArray, surfaces: Mapping[str, Surface], carried: Mapping[str, Carried | None]) -> str | None:
    best, most = None, 0
    for name, motion in carried.items():
        if motion is None:
            continue
        back = motion.motion.inverse().apply(points)
        surface = surfaces[name]
        within = level_at(surface, back) > 0
        if motion.error_mm > 0:
            gaps, _ = cKDTree(surface.vertices_lps_mm).query(back, distance_upper_bound=motion.error_mm, workers=1)
            within |= np.isfinite(gaps)
        count = int(np.count_nonzero(within))
        if count > most:
            best, most = name, count
    return best


def _nearest_zone(points: FloatArray, parts: Mapping[str, Drawn]) -> tuple[str, float] | None:
    best: tuple[str, float] | None = None
    for name, drawn in parts.items():
        if drawn.zone_id != name:
            continue
        gaps, _ = least_distances(cKDTree(drawn.subject.surface.vertices_lps_mm), points, 0.0)
        gap = float(gaps.min())
        if best is None or gap < best[1]:
            best = (name, gap)
    return best


def _point(lps_mm: FloatArray) -> Point:
    return float(lps_mm[0]), float(lps_mm[1]), float(lps_mm[2])
