"""Straight ways for a needle from the skin to a lesion.

A path is free when it crosses no rib, lung, gas, bowel, stomach or other labelled organ. Among free paths within the
limits, one that keeps off vessels, keeps its distance from all that must not be pierced and passes through enough
liver first goes before one that does not; the shortest of the best kind is taken. Breathing, bending and the needle's
width are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray, Structure
from liverimg.core.measurement import EvidencePoint, Measured, Measurement, NotMeasured
from liverimg.measure.approach import ApproachSettings
from liverimg.measure.band import banded, evidence, quadrature, surface_error_mm
from liverimg.measure.beam import STEP_MM, Rays, all_directions, elevation_deg, follow, within
from liverimg.measure.depth import depth_along
from liverimg.measure.distances import to_mask_mm
from liverimg.measure.subject import Body, Subject
from liverimg.measure.tissue import Tissue, TissueGrid, drawn_error_mm

NAMES = (
    "needle_length",
    "needle_liver_length",
    "needle_angle",
    "needle_vessel_distance",
    "needle_vessel_crossed_at",
    "needle_organ_distance",
    "needle_free_paths",
)
PERCENT = 100
_FORBIDDEN = (Tissue.ORGAN, Tissue.BOWEL, Tissue.BONE, Tissue.GAS, Tissue.LUNG)
_AROUND_MM = 40.0  # how far from a path its neighbours are looked for
_NEAR_MM = 12.0  # how far at first
_AT_RISK = (Structure.BONE, Structure.LUNG, Structure.GAS, Structure.BOWEL, Structure.STOMACH)
_MUST_BE_KNOWN = (Structure.BOWEL, Structure.STOMACH)


@dataclass(frozen=True, eq=False)
class NeedlePath:
    """The path that was chosen.

    Attributes:
        direction: From the tumour's centre outwards.
        ray: Which of the rays it is.
        crosses_vessel: Whether a drawn vessel lies on it.
    """

    direction: FloatArray
    ray: int
    crosses_vessel: bool


@dataclass(frozen=True, eq=False)
class NeedleSearch:
    """What the searches for all lesions share.

    Attributes:
        settings: Limits.
        tissue: What lies where.
        directions: Those within the limits, LPS.
        room: Distance to what must not be pierced, on a grid of twice the tissue's cells.
    """

    settings: ApproachSettings
    tissue: TissueGrid
    directions: FloatArray = field(repr=False)
    room: NDArray[np.float32] = field(repr=False)

    @classmethod
    def of(cls, tissue: TissueGrid, settings: ApproachSettings) -> NeedleSearch:
        """Prepares the directions."""
        everywhere = all_directions(int(settings.window_directions))
        tilt = settings.needle_most_elevation_deg
        side = (settings.needle_azimuth_low_deg, settings.needle_azimuth_high_deg)
        chosen = everywhere[within(everywhere, side, (-tilt, tilt))]
        return cls(settings, tissue, chosen, _room(tissue))

    def gaps_mm(self, start_lps_mm: FloatArray, rays: Rays) -> FloatArray:
        """For each ray its least distance to what must not be pierced, good to a coarse cell or so."""
        along = (np.arange(rays.codes.shape[1]) + 0.5) * rays.step_mm
        slopes = self.directions @ np.linalg.inv(self.tissue.grid.affine[:3, :3]).T / 2
        start = self.tissue.grid.lps_mm_to_index(start_lps_mm) / 2
        places = (start + along[:, None] * slopes[:, None] + 1 / 4).astype(np.intp)
        places = np.clip(places, 0, np.array(self.room.shape) - 1)
        gaps = self.room[places[..., 0], places[..., 1], places[..., 2]]
        gaps[np.arange(len(along)) >= rays.ends[:, None]] = np.inf
        return np.asarray(gaps.min(axis=1), dtype=np.float64)


def _room(tissue: TissueGrid) -> NDArray[np.float32]:
    """Distance from each block of two cells a side to the nearest that holds what must not be pierced."""
    table = np.zeros(len(Tissue), dtype=bool)
    table[list(_FORBIDDEN)] = True
    forbidden = table[tissue.codes]
    for axis in range(3):
        forbidden = np.logical_or.reduceat(forbidden, np.arange(0, forbidden.shape[axis], 2), axis=axis)
    distance = to_mask_mm(forbidden, 2 * tissue.grid.spacing_mm)
    # From middle to middle of the blocks; what is in them may be half a block nearer.
    return np.asarray(np.maximum(distance - float(tissue.grid.spacing_mm.min()), 0.0), dtype=np.float32)


def measure_needle(subject: Subject, body: Body, search: NeedleSearch) -> list[Measured]:
    """The best straight needle path to a lesion, or why there is none.

    Args:
        subject: The lesion.
        body: The study.
        search: What all lesions share.
    """
    lesion = subject.lesion.id
    missing = [s.value for s in _MUST_BE_KNOWN if not body.scene.labels.knows(s)]
    if missing:
        reason = f"{' and '.join(missing)} not looked for, so no path can be called free"
        return [NotMeasured(name, lesion, reason) for name in NAMES]
    settings, tissue = search.settings, search.tissue
    centre = np.asarray(subject.lesion.centroid_lps_mm)
    rays = follow(tissue, centre, search.directions, reach_mm=settings.needle_most_mm + STEP_MM)
    within_reach = ~rays.unseen & (rays.lengths_mm <= settings.needle_most_mm) & (rays.ends < rays.codes.shape[1])
    if not within_reach.any():
        reason = f"no skin in view within {settings.needle_most_mm:g} mm on any path within the limits"
        return [NotMeasured(name, lesion, reason) for name in NAMES]
    forbidden_mm = rays.length_in_mm(*_FORBIDDEN)
    free = within_reach & (forbidden_mm == 0)
    gaps = search.gaps_mm(centre, rays)
    share = _free_share(lesion, body, search, gaps[within_reach], forbidden_mm[within_reach])
    if not free.any():
        reason = (
            "every straight path within the limits "
            f"(up to {settings.needle_most_mm:g} mm, up to {settings.needle_most_elevation_deg:g} degrees out of the "
            "axial plane, not from behind) crosses bone, lung, gas, bowel or another labelled organ"
        )
        return [share if name == share.name else NotMeasured(name, lesion, reason) for name in NAMES]
    path = _best(rays, free, gaps, search)
    return [*_numbers(subject, body, search, rays, path), share]


def _best(rays: Rays, free: BoolArray, gaps_mm: FloatArray, search: NeedleSearch) -> NeedlePath:
    settings = search.settings
    clear = gaps_mm >= settings.needle_clearance_mm
    vessel = (rays.codes == Tissue.VESSEL).any(axis=1)
    deep_enough = rays.length_in_mm(Tissue.LIVER, Tissue.VESSEL) >= settings.needle_liver_least_mm
    # Lexicographic, the last key first: free, no vessel, clear, enough liver, short.
    ray = int(np.lexsort((np.round(rays.lengths_mm, 3), ~deep_enough, ~clear, vessel, ~free))[0])
    return NeedlePath(search.directions[ray], ray, bool(vessel[ray]))


def _free_share(
    lesion: str, body: Body, search: NeedleSearch, gaps_mm: FloatArray, forbidden_mm: FloatArray
) -> Measured:
    error = quadrature(search.tissue.cell_mm / 2, drawn_error_mm(body.quality, search.tissue, *_AT_RISK))
    kinds = (forbidden_mm == 0, (forbidden_mm == 0) & (gaps_mm >= error), forbidden_mm <= 2 * error)
    value, low, high = (float(kind.mean()) * PERCENT for kind in kinds)
    return Measurement(
        "needle_free_paths",
        lesion,
        value,
        "%",
        min(low, value),
        max(high, value),
        f"share of {len(gaps_mm)} straight paths within the limits that cross no bone, lung, gas, bowel or other "
        "labelled organ; the band moves these by their error",
        (),
        body.sources,
    )


def _numbers(subject: Subject, body: Body, search: NeedleSearch, rays: Rays, path: NeedlePath) -> list[Measured]:
    lesion, quality, cell = subject.lesion.id, subject.quality, search.tissue.cell_mm
    what = "crosses a drawn vessel" if path.crosses_vessel else "crosses no drawn vessel"
    words = (
        f"straight path that crosses no rib, lung, gas, bowel or labelled organ and {what}, from the tumour's centre"
    )
    length = depth_along("needle_length", path.direction, subject, body, words=words)
    mm = float(rays.lengths_mm[path.ray])
    centre = np.asarray(subject.lesion.centroid_lps_mm)
    at = (evidence("needle_entry", centre + mm * path.direction), evidence("tumour_centre", centre))
    if isinstance(length, Measurement):
        at = (evidence("needle_entry", length.evidence[1].lps_mm), at[1])
    error = quadrature(surface_error_mm(quality, Structure.LIVER), surface_error_mm(quality, Structure.TUMOUR))
    liver_mm = float(rays.length_in_mm(Tissue.LIVER, Tissue.VESSEL)[path.ray])
    aim = float(np.rad2deg(quadrature(cell / 2, surface_error_mm(quality, Structure.TUMOUR) / 2) / mm))
    angle = abs(float(elevation_deg(path.direction)))
    return [
        length,
        _liver(lesion, body, liver_mm, quadrature(cell, error), at),
        banded(
            "needle_angle",
            lesion,
            angle,
            "deg",
            half=aim,
            method="between that path and the axial plane",
            points=at,
            sources=body.sources,
        ),
        *_vessel(subject, body, search, rays, path, at),
        _organ(subject, body, search, at),
    ]


def _liver(lesion: str, body: Body, liver_mm: float, half: float, at: tuple[EvidencePoint, ...]) -> Measured:
    name = "needle_liver_length"
    if body.liver is None:
        return NotMeasured(name, lesion, "no liver is drawn")
    method = "length in liver and its vessels on that path, from the capsule to the tumour's surface"
    return banded(name, lesion, liver_mm, "mm", half=half, method=method, points=at, sources=body.sources)


def _vessel(
    subject: Subject, body: Body, search: NeedleSearch, rays: Rays, path: NeedlePath, at: tuple[EvidencePoint, ...]
) -> list[Measured]:
    names, lesion, quality = ("needle_vessel_distance", "needle_vessel_crossed_at"), subject.lesion.id, subject.quality
    trees = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN)
    for tree in trees:
        words = tree.value.replace("_", " ")
        reason = quality.not_visible.get(tree, "")
        if not reason and not body.scene.labels.knows(tree):
            reason = f"the {words} was not looked for"
        if reason:
            return [NotMeasured(name, lesion, reason) for name in names]
    error = surface_error_mm(quality, *trees)
    half = quadrature(search.tissue.cell_mm, error)
    method = "between that path and the nearest drawn hepatic or portal vein"
    missing = next((quality.incomplete[t] for t in trees if t in quality.incomplete), "")
    gap = _gap_mm(search.tissue, (Tissue.VESSEL,), at)
    if gap is None:
        gone = f"no drawn vessel within {_AROUND_MM:g} mm of that path; where none is drawn the distance is unknown"
        return [NotMeasured(name, lesion, gone) for name in names]
    distance = banded(
        names[0],
        lesion,
        0.0 if path.crosses_vessel else gap,
        "mm",
        half=half,
        method=f"{method}; {missing}" if missing else method,
        points=at,
        sources=body.sources,
        at_least=0.0 if missing else None,
    )
    steps = np.flatnonzero(rays.codes[path.ray] == Tissue.VESSEL)
    if len(steps) == 0:
        return [distance, NotMeasured(names[1], lesion, "that path crosses no drawn vessel")]
    from_skin = float(rays.lengths_mm[path.ray] - (steps.max() + 1) * rays.step_mm)
    method = "from the skin along that path to the first drawn vessel on it"
    crossed = banded(names[1], lesion, from_skin, "mm", half=half, method=method, points=at, sources=body.sources)
    return [distance, crossed]


def _organ(subject: Subject, body: Body, search: NeedleSearch, at: tuple[EvidencePoint, ...]) -> Measured:
    name, lesion = "needle_organ_distance", subject.lesion.id
    gap = _gap_mm(search.tissue, _FORBIDDEN, at)
    if gap is None:
        return NotMeasured(name, lesion, f"nothing that must not be pierced lies within {_AROUND_MM:g} mm of that path")
    error = drawn_error_mm(subject.quality, search.tissue, *_AT_RISK)
    method = "between that path and the nearest bone, lung, gas, bowel or other labelled organ"
    half = quadrature(search.tissue.cell_mm, error)
    return banded(name, lesion, gap, "mm", half=half, method=method, points=at, sources=body.sources)


def _gap_mm(tissue: TissueGrid, kinds: tuple[Tissue, ...], at: tuple[EvidencePoint, ...]) -> float | None:
    """Smallest distance between a straight path and cells of some kinds; None where none is near."""
    start, end = (np.asarray(place.lps_mm) for place in at)
    count = max(2, int(np.linalg.norm(end - start) / STEP_MM) + 1)
    index = tissue.grid.lps_mm_to_index(start + np.linspace(0, 1, count)[:, None] * (end - start))
    gap = _least_mm(tissue, kinds, index, _NEAR_MM)
    # Cells out of the near box lie that far from the path, but for half a cell that its places are rounded by.
    if gap + float(tissue.grid.spacing_mm.max()) > _NEAR_MM:
        gap = _least_mm(tissue, kinds, index, _AROUND_MM)
    # The distance runs to the middle of the cell, half a cell beyond its border.
    return None if gap > _AROUND_MM else max(0.0, gap - float(tissue.grid.spacing_mm.min()) / 2)


def _least_mm(tissue: TissueGrid, kinds: tuple[Tissue, ...], index: FloatArray, reach_mm: float) -> float:
    """Least distance from places to the middles of cells of some kinds in a box around them; infinite for none."""
    shape, around = np.array(tissue.grid.shape), np.ceil(reach_mm / tissue.grid.spacing_mm)
    low = np.clip(np.floor(index.min(axis=0) - around), 0, shape - 1).astype(int)
    high = np.clip(np.ceil(index.max(axis=0) + around) + 1, 1, shape).astype(int)
    codes = tissue.codes[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    meant = np.zeros(len(Tissue), dtype=bool)
    meant[list(kinds)] = True
    wanted = meant[codes]
    if not wanted.any():
        return np.inf
    places = np.clip(np.rint(index).astype(np.intp) - low, 0, np.array(codes.shape) - 1)
    return float(to_mask_mm(wanted, tissue.grid.spacing_mm)[tuple(places.T)].min())
