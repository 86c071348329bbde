"""A target divided into pieces that one treatment session each can heat: volumes and places, no treatment plan."""

from __future__ import annotations

from dataclasses import dataclass

from liverimg.core.measurement import Point


@dataclass(frozen=True)
class SessionPiece:
    """One piece of a target.

    Attributes:
        order: 1 for the piece that comes first.
        volume_ml: Its volume.
        centroid_lps_mm: Centre of gravity, LPS.
        reach_mm: From the centre of gravity to its farthest voxel.
        share_of_tumour: How much of the piece is tumour and not margin, 0 to 1.
        within_range: Whether its volume lies between the smallest and the largest of a session.
        label_value: Value of its voxels in the label file of all pieces; 0 where there is no such file.
    """

    order: int
    volume_ml: float
    centroid_lps_mm: Point
    reach_mm: float
    share_of_tumour: float
    within_range: bool
    label_value: int = 0


@dataclass(frozen=True)
class KeepOut:
    """What a structure takes from the target.

    Attributes:
        structure: Its name.
        distance_mm: How far the keep-out reaches from it.
        removed_ml: Volume of the target that lies within it; a voxel near two structures counts for both.
        unknown: Why nothing could be kept clear of it; empty when it is drawn, or was looked for and is not there.
    """

    structure: str
    distance_mm: float
    removed_ml: float
    unknown: str = ""


@dataclass(frozen=True)
class SessionPlan:
    """How one lesion's target divides.

    Attributes:
        lesion: Its id.
        margin_mm: How far the target reaches beyond the tumour, as far as there is liver.
        tumour_ml: Volume of the tumour.
        target_ml: Volume of tumour and margin.
        tumour_kept_out_ml: Volume of the tumour that lies in a keep-out and in no piece.
        treatable_ml: What is left of the target outside the keep-outs.
        left_over_ml: Crumbs of it, too small to be pieces.
        keep_outs: What each structure takes.
        pieces: In the order of the sessions; empty when nothing can be divided.
        session_ml: Smallest and largest volume of a session.
        days_apart: Fewest and most days between two sessions.
        reason: Why there are no pieces; empty when there are.
        notes: What a planner must know beside the numbers, one sentence each.
    """

    lesion: str
    margin_mm: float
    tumour_ml: float
    target_ml: float
    tumour_kept_out_ml: float
    treatable_ml: float
    left_over_ml: float
    keep_outs: tuple[KeepOut, ...]
    pieces: tuple[SessionPiece, ...]
    session_ml: tuple[float, float]
    days_apart: tuple[float, float]
    reason: str = ""
    notes: tuple[str, ...] = ()
