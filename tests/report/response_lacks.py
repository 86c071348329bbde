"""The two studies of :mod:`response_case` with something missing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from liverimg.core.alignment import Alignment, PlaceMotion
from liverimg.core.measurement import NotMeasured
from liverimg.core.response import (
    Fate,
)
from liverimg.core.zones import ZoneMap
from liverimg.report.response_content import ResponseContent


@dataclass(frozen=True)
class Without:
    """The same case with something missing."""

    content: ResponseContent

    def motion(self) -> ResponseContent:
        """Nothing could be laid onto anything."""
        content = self.content
        reason = "the livers do not overlap"
        places = [
            PlaceMotion(p.name, p.place_lps_mm, None, None, reason)
            for p in (content.alignment.liver, *content.alignment.lesions)
        ]
        margin = NotMeasured("minimal_ablation_margin", "L1", reason)
        lesions = tuple(
            replace(
                x,
                motion=None,
                now_lps_mm=None,
                motion_error_mm=None,
                thinnest=None,
                fate=Fate.UNKNOWN,
                zone="",
                foci=(),
                quantities=(margin,),
            )
            for x in content.response.lesions
        )
        return replace(
            content,
            alignment=Alignment(places[0], tuple(places[1:])),
            response=replace(content.response, lesions=lesions),
            margins={},
        )

    def own_motion(self) -> ResponseContent:
        """Only the liver as a whole could be laid."""
        content = self.content
        places = tuple(
            PlaceMotion(p.name, p.place_lps_mm, None, None, "too few pieces around it")
            for p in content.alignment.lesions
        )
        lesions = tuple(
            replace(x, motion=None, now_lps_mm=None, motion_error_mm=None, thinnest=None, quantities=())
            for x in content.response.lesions
        )
        return replace(
            content,
            alignment=replace(content.alignment, lesions=places),
            response=replace(content.response, lesions=lesions),
            margins={},
        )

    def zone(self) -> ResponseContent:
        """No zone was drawn."""
        content = self.content
        empty = ZoneMap(
            np.zeros(content.zones.grid.shape, np.uint8),
            content.zones.grid,
            (),
            absent={"L1": "nothing there stopped enhancing"},
        )
        margin = NotMeasured("minimal_ablation_margin", "L1", "there is no zone")
        first = replace(
            content.response.lesions[0], zone="", foci=(), thinnest=None, quantities=(margin,), fate=Fate.NOT_FOUND
        )
        response = replace(content.response, lesions=(first,), zones=(), foci=())
        return replace(content, zones=empty, response=response, margins={})

    def arterial_phase(self) -> ResponseContent:
        """The zone's border could not be judged."""
        content = self.content
        array = np.where(content.zones.array == 1, 1, 0).astype(np.uint8)
        zones = ZoneMap(
            array, content.zones.grid, content.zones.zones, foci_unknown={"Z1": "there is no arterial phase"}
        )
        first = replace(content.response.lesions[0], foci=())
        return replace(content, zones=zones, response=replace(content.response, lesions=(first,), foci=()), margins={})

    def lesions(self) -> ResponseContent:
        """The baseline has no tumour."""
        return replace(self.content, response=replace(self.content.response, lesions=(), zones=(), foci=()), margins={})
