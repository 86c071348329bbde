"""Where the anatomy of an earlier examination lies in a later one."""

from __future__ import annotations

from dataclasses import dataclass

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
class Alignment:
    """An earlier examination laid onto a later one.

    Attributes:
        liver: The liver as a whole: right to a centimetre or so, for finding places and for pictures.
        lesions: Each lesion by itself: what margins are measured with.
        findings: What a reader must know, one sentence each: bending beyond the usual, ascites, too little overlap.
        matched: The phases that were compared, earlier and later, such as ``("portal_venous", "portal_venous")``.
    """

    liver: PlaceMotion
    lesions: tuple[PlaceMotion, ...]
    findings: tuple[str, ...] = ()
    matched: tuple[str, str] | None = None

    def of_lesion(self, name: str) -> PlaceMotion | None:
        """The motion of one lesion; None when nobody looked for it."""
        return next((found for found in self.lesions if found.name == name), None)
