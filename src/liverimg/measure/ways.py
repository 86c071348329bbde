"""Ways in to a lesion: the acoustic window, straight depths, the layers of the wall, needle paths."""

from __future__ import annotations

from dataclasses import dataclass

from liverimg.core.measurement import Measured, NotMeasured
from liverimg.core.window import WindowMap
from liverimg.measure import needle, window_numbers
from liverimg.measure.approach import Approach
from liverimg.measure.depth import CUT_LESION, measure_straight_depth
from liverimg.measure.needle import NeedleSearch, measure_needle
from liverimg.measure.subject import Body, Subject
from liverimg.measure.wall import measure_wall_layers
from liverimg.measure.window import WindowSearch, find_window, search_of


@dataclass(frozen=True, eq=False)
class Ways:
    """What is prepared once for all lesions of a study.

    Attributes:
        approach: How ways in are looked for.
        window: The search for acoustic windows, or why none can be found.
        needle: The search for needle paths; None with the window's reason.
    """

    approach: Approach
    window: WindowSearch | str
    needle: NeedleSearch | None

    @classmethod
    def of(cls, body: Body, approach: Approach) -> Ways:
        """Prepares the searches."""
        found = search_of(body, approach) if body.lesions else "no lesion is drawn"
        if isinstance(found, str):
            return cls(approach, found, None)
        return cls(approach, found, NeedleSearch.of(found.tissue, approach.settings))


def measure_ways(near: Measured, subject: Subject, body: Body, ways: Ways) -> tuple[list[Measured], WindowMap | None]:
    """All numbers of the ways in to one lesion, and the map of its windows where there is one.

    Args:
        near: The measured ``depth_from_skin_near``; the wall's layers are taken along its line.
        subject: The lesion.
        body: The study.
        ways: What is prepared for all lesions.
    """
    found = [*measure_straight_depth(subject, body), *measure_wall_layers(near, subject, body, ways.approach.settings)]
    names = (*window_numbers.NAMES, *needle.NAMES)
    if isinstance(ways.window, str) or ways.needle is None:
        reason = str(ways.window)
        return [*found, *(NotMeasured(name, subject.lesion.id, reason) for name in names)], None
    if subject.lesion.touches_image_edge:
        return [*found, *(NotMeasured(name, subject.lesion.id, CUT_LESION) for name in names)], None
    window = find_window(subject, ways.window, body)
    numbers = window_numbers.window_numbers(subject, body, ways.window, window)
    return [*found, *numbers, *measure_needle(subject, body, ways.needle)], window.map
