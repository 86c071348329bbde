"""One name for one thing in every object: tracking identifiers of lesions and structures (PS3.3 C.8.20.4, TID 4108)."""

from __future__ import annotations

from hashlib import sha256

from liverimg.core.measurement import Point

_DECIMALS = 3


def tracking_uid(study_instance_uid: str, target: str, *, centroid_lps_mm: Point | None = None) -> str:
    """The tracking UID of a lesion or a structure, worked out from what ``measurements.json`` says of it.

    A lesion keeps its UID as long as name and place stay; one that is drawn anew somewhere else gets another, so that
    an older object in an archive never seems to speak of it.

    Args:
        study_instance_uid: The study that it was outlined in.
        target: A lesion's id, or a structure's name.
        centroid_lps_mm: A lesion's centre of gravity; None for structures, of which a study has one each.

    Returns:
        A UID under 2.25 (PS3.5 B.2).
    """
    place = (
        []
        if centroid_lps_mm is None
        else [f"{round(float(c), _DECIMALS) + 0.0:.{_DECIMALS}f}" for c in centroid_lps_mm]
    )
    text = "\0".join(("liverimg tracking", study_instance_uid, target, *place))
    return f"2.25.{int.from_bytes(sha256(text.encode('utf-8', 'replace')).digest()[:16], 'big')}"
