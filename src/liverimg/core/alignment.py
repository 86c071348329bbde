"""Where the anatomy of an earlier examination lies in a later one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.core.measurement import Point
from liverimg.core.motion import RigidMotion


@dataclass(frozen=True, eq=False)
class PlaceMotion:
    """How one place of the earlier examination moved, such as a lesion, or the liver as a whole.

    Attributes:
        name: The earlier study's lesion, such as ``L1``, or ``liver``.
        place_lps_mm: The place in the earlier examination.
        motion: From the earlier examination into the later one, rigid so that nothing is pulled to fit; None when it
            could not be found.
        error_mm: 95 % bound of its error at the place, in mm; None without a motion.
        reason: Why there is no motion, or why there is doubt; empty otherwise. One sentence for a person.
        pieces: How many pieces of liver support it.
        pieces_tried: How many were looked for.
    """

    name: str
    place_lps_mm: Point
    motion: RigidMotion | None
    error_mm: float | None
    reason: str = ""
    pieces: int = 0
    pieces_tried: int = 0


@dataclass(frozen=True, eq=False)
class Pieces:
    """Pieces of the liver that were looked for in the later examination: what is known of the motion, and where.

    Attributes:
        places_lps_mm: Their middles in the earlier examination, shape (n, 3).
        moved_lps_mm: Where the motion of the tissue around puts them in the later one, shape (n, 3).
        found_lps_mm: Where they were found by themselves, shape (n, 3).
        agrees: Whether a piece was found where the tissue around it says, shape (n,); the others were not used.
        error_mm: 95 % bound of the motion's error at each place, shape (n,).
    """

    places_lps_mm: FloatArray = field(repr=False)
    moved_lps_mm: FloatArray = field(repr=False)
    found_lps_mm: FloatArray = field(repr=False)
    agrees: BoolArray = field(repr=False)
    error_mm: FloatArray = field(repr=False)

    def __post_init__(self) -> None:
        count = len(self.places_lps_mm)
        for name, shape in (
            ("places_lps_mm", (count, 3)),
            ("moved_lps_mm", (count, 3)),
            ("found_lps_mm", (count, 3)),
            ("agrees", (count,)),
            ("error_mm", (count,)),
        ):
            if np.shape(getattr(self, name)) != shape:
                raise ValueError(f"{name} has shape {np.shape(getattr(self, name))}, expected {shape}")

    @property
    def residual_mm(self) -> FloatArray:
        """How far from where it was expected each piece was found, shape (n,)."""
        return np.asarray(np.linalg.norm(self.found_lps_mm - self.moved_lps_mm, axis=1))


@dataclass(frozen=True, eq=False)
class Alignment:
    """An earlier examination laid onto a later one.

    Attributes:
        liver: The liver as a whole: right to a centimetre or so, for finding places and for pictures.
        lesions: Each lesion by itself: what margins are measured with.
        findings: What a reader must know, one sentence each: bending beyond the usual, ascites, too little overlap.
        matched: The phases that were compared, earlier and later, such as ``("portal_venous", "portal_venous")``.
        pieces: The map of the error over the liver; None where no piece was looked for.
        bend_mm: How far the liver's tissue moved otherwise than one rigid motion says: root mean square over the pieces
            that agree; None without them.
    """

    liver: PlaceMotion
    lesions: tuple[PlaceMotion, ...]
    findings: tuple[str, ...] = ()
    matched: tuple[str, str] | None = None
    pieces: Pieces | None = None
    bend_mm: float | None = None

    def of_lesion(self, name: str) -> PlaceMotion | None:
        """The motion of one lesion; None when nobody looked for it."""
        return next((found for found in self.lesions if found.name == name), None)
