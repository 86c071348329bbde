"""The acoustic window: from where on the skin a focused beam reaches a lesion, and how much of it is blocked.

Rays are straight: refraction, reflection at slanting surfaces and the width of the focus are left out. What blocks is
bone, gas and lung; what a single element of an array could be switched off for is left to the treatment's planning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.core.window import WindowMap
from liverimg.measure.approach import Approach
from liverimg.measure.beam import Rays, all_directions, cone, follow, in_cone, within
from liverimg.measure.subject import Body, Subject
from liverimg.measure.tissue import BLOCKING, Codes, Tissue, TissueGrid, tissue_grid, why_unknown
from liverimg.measure.window_beam import beam_from

PERCENT = 100
_OTHERS_STEP_MM = 2.0  # steps on rays from the target's outer points
_CLOSE_RAYS = 800  # in the best beam
_COLLIDING = 0.005  # share of rays that may pass for touching the transducer: the sampling's own error


@dataclass(frozen=True, eq=False)
class WindowSearch:
    """What the searches for all lesions of a study share.

    Attributes:
        approach: Transducer and limits.
        tissue: What lies where.
        axes: Directions from which the transducer may come, LPS, shape (n, 3).
        directions: Directions that some beam needs, LPS, shape (m, 3).
        own: For each axis which of the directions it is.
        shares: For each axis the weight of each direction, rows adding up to 1.
    """

    approach: Approach
    tissue: TissueGrid
    axes: FloatArray = field(repr=False)
    directions: FloatArray = field(repr=False)
    own: NDArray[np.intp] = field(repr=False)
    shares: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, eq=False)
class PointBeam:
    """Many rays, evenly spread over the beam to one point.

    Attributes:
        target: The point, LPS mm.
        directions: Of the rays.
        rays: What they meet.
    """

    target: FloatArray
    directions: FloatArray
    rays: Rays

    @property
    def causes(self) -> Codes:
        """What each ray is blocked by first on its way in; OUTSIDE where nothing blocks it."""
        return self.rays.first_block()[1]


@dataclass(frozen=True, eq=False)
class Window:
    """The map of one lesion with what its numbers need beside it.

    Attributes:
        map: As it is handed on.
        best: Which entry of the map is the best; None where no entry is judged.
        axis: Direction from the target to the best entry.
        beams: The best entry's beam to each point of the target, the centre first; empty where there is none.
        worst_percent: Blocked share at the target's worst point from there.
        reach_mm: Greatest depth at which the transducer keeps its distance.
    """

    map: WindowMap
    best: int | None
    axis: FloatArray
    beams: tuple[PointBeam, ...]
    worst_percent: float
    reach_mm: float


def search_of(body: Body, approach: Approach) -> WindowSearch | str:
    """Prepares the search, or says why nothing can be found."""
    if reason := why_unknown(body):
        return reason
    if isinstance(body.skin, str):
        raise AssertionError("a missing skin was just told")
    transducer, settings = approach.transducer, approach.settings
    reach = max(transducer.focal_length_mm, settings.needle_most_mm)
    tissue = tissue_grid(body, body.skin, settings, reach_mm=reach)
    everywhere = all_directions(int(settings.window_directions))
    limits = (transducer.azimuth_deg, transducer.elevation_deg)
    for_axes = within(everywhere, *limits)
    for_rays = within(everywhere, *limits, margin=transducer.half_angle)
    axes, directions = everywhere[for_axes], everywhere[for_rays]
    shares = cone(axes, directions, outer=transducer.half_angle, inner=transducer.opening_half_angle)
    return WindowSearch(approach, tissue, axes, directions, np.flatnonzero(for_axes[for_rays]), shares)


def target_points(subject: Subject) -> FloatArray:
    """The centre of gravity and the outermost points of the surface along the patient's axes, shape (7, 3)."""
    surface = subject.target.surface.vertices_lps_mm
    ends = [surface[int(np.argmax(np.round(sign * surface[:, axis], 6)))] for axis in range(3) for sign in (-1, 1)]
    return np.array([subject.lesion.centroid_lps_mm, *ends])


def find_window(subject: Subject, search: WindowSearch, body: Body) -> Window:
    """Looks at every entry for one lesion.

    Args:
        subject: The lesion.
        search: What all lesions share.
        body: The study.
    """
    transducer, tissue = search.approach.transducer, search.tissue
    targets = target_points(subject)
    reach = max(transducer.focal_length_mm, search.approach.settings.needle_most_mm)
    centre = follow(tissue, targets[0], search.directions, reach_mm=reach)
    others = [follow(tissue, p, search.directions, reach_mm=reach, step_mm=_OTHERS_STEP_MM) for p in targets[1:]]
    causes = np.stack([rays.first_block()[1] for rays in (centre, *others)], axis=1)
    is_open = causes[:, 0] < Tissue.BONE
    columns = [
        causes >= Tissue.BONE,
        *((causes == tissue_met).mean(axis=1, keepdims=True) for tissue_met in BLOCKING),
        (is_open & (centre.codes == Tissue.BOWEL).any(axis=1))[:, None],
        (is_open & centre.unseen)[:, None],
        (~centre.unseen & (centre.lengths_mm > transducer.reach_mm))[:, None],
    ]
    means = search.shares @ np.concatenate(columns, axis=1).astype(np.float32)
    shares: FloatArray = means.astype(np.float64) * PERCENT
    blocked, by_cause, rest = np.split(shares, np.cumsum((len(targets), len(BLOCKING))), axis=1)
    avoided, unseen, colliding = rest.T
    return _chosen(
        subject, search, body, targets, centre, blocked, by_cause, (avoided, unseen, colliding <= _COLLIDING * PERCENT)
    )


def _chosen(
    subject: Subject,
    search: WindowSearch,
    body: Body,
    targets: FloatArray,
    centre: Rays,
    blocked: FloatArray,
    causes: FloatArray,
    flags: tuple[FloatArray, FloatArray, BoolArray],
) -> Window:
    """Keeps the entries whose axis reaches skin in view, and picks the best of them."""
    settings, transducer = search.approach.settings, search.approach.transducer
    own = search.own
    at_skin = ~centre.unseen[own] & (centre.ends[own] < centre.codes.shape[1])
    axes, depth = search.axes[at_skin], centre.lengths_mm[own][at_skin]
    avoided, unseen, fits = (flag[at_skin] for flag in flags)
    mean = blocked[at_skin].mean(axis=1)
    judged = fits & (unseen <= settings.window_unseen_percent)
    usable = judged & (mean <= settings.window_usable_blocked_percent) & (avoided <= settings.window_avoided_percent)
    best = _best(mean + avoided, depth, judged, settings.window_same_blocked_percent)
    by_cause = {t.name.lower(): causes[at_skin, n].astype(np.float64) for n, t in enumerate(BLOCKING)}
    axis = axes[best] if best is not None else np.zeros(3)
    beams = _close_look(search, targets, axis) if best is not None else ()
    blocked_of = [float((beam.causes >= Tissue.BONE).mean()) * PERCENT for beam in beams]
    if best is not None:
        # The best of many sampled entries is also a lucky one; a closer look does not know that it was chosen.
        mean[best] = np.mean(blocked_of)
        for kind in BLOCKING:
            by_cause[kind.name.lower()][best] = np.mean([(beam.causes == kind).mean() for beam in beams]) * PERCENT
    found = WindowMap(
        lesion=subject.lesion.id,
        targets_lps_mm=targets,
        entries_lps_mm=targets[0] + depth[:, None] * axes,
        depth_mm=depth,
        blocked_percent=mean,
        blocked_by_percent=by_cause,
        avoided_percent=avoided.astype(np.float64),
        unseen_percent=unseen.astype(np.float64),
        fits=fits,
        usable=usable,
        beam=None if best is None else beam_from(best, axis, targets[0], search.tissue, transducer, settings, body),
    )
    return Window(
        map=found,
        best=best,
        axis=axis,
        beams=beams,
        worst_percent=float(max(blocked_of)) if beams else 0.0,
        reach_mm=transducer.reach_mm,
    )


def _close_look(search: WindowSearch, targets: FloatArray, axis: FloatArray) -> tuple[PointBeam, ...]:
    transducer = search.approach.transducer
    outer, inner, reach = transducer.half_angle, transducer.opening_half_angle, transducer.focal_length_mm
    many = in_cone(axis, _CLOSE_RAYS, outer=outer, inner=inner)
    fewer = in_cone(axis, _CLOSE_RAYS // 2, outer=outer, inner=inner)
    found = [PointBeam(targets[0], many, follow(search.tissue, targets[0], many, reach_mm=reach))]
    for target in targets[1:]:
        rays = follow(search.tissue, target, fewer, reach_mm=reach, step_mm=_OTHERS_STEP_MM)
        found.append(PointBeam(target, fewer, rays))
    return tuple(found)


def _best(blocked: FloatArray, depth: FloatArray, judged: BoolArray, same_percent: float) -> int | None:
    """The least deep of the entries whose blocked share is as small as the smallest."""
    places = np.flatnonzero(judged)
    if len(places) == 0:
        return None
    least = blocked[places].min()
    alike = places[blocked[places] <= least + same_percent]
    order: Sequence[FloatArray] = (np.round(blocked[alike], 4), np.round(depth[alike], 4))
    return int(alike[np.lexsort(order)[0]])
