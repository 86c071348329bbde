"""Which pictures of both studies a lesion gets, and the liver as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.measurement import Measurement
from liverimg.core.response import LesionResponse
from liverimg.core.study import Phase, Series
from liverimg.core.zones import Focus, Zone, ZoneMap
from liverimg.report.overlays import bounds, lesion_masks
from liverimg.report.planes import Scene, View
from liverimg.report.response_bands import Bands
from liverimg.report.response_content import Examination, ResponseContent
from liverimg.report.response_cuts import Body, Cut, Sheet
from liverimg.report.response_pictures import Mark, Pair, Setting, half_width_mm, later_alone, lone, pair, three_cuts
from liverimg.report.response_rows import MINIMUM, with_band
from liverimg.report.text import say
from liverimg.report.window_studio import WindowPicture

_ORDER = {phase: place for place, phase in enumerate(Phase)}


@dataclass(frozen=True, eq=False)
class Studio:
    """What the panels of all lesions share.

    Attributes:
        content: Everything.
        before: The earlier study.
        now: The later one.
        tumours: Each lesion as it was drawn before treatment.
        zones: Zones and foci by id.
        rest: Tumour of the later study outside every zone and focus; None without any.
        bands: Of the margin.
    """

    content: ResponseContent
    before: Sheet
    now: Sheet
    tumours: Mapping[str, Body]
    zones: Mapping[str, Body]
    rest: Body | None
    bands: Bands

    @classmethod
    def of(cls, content: ResponseContent) -> Studio:
        """Finds everything that is drawn, once."""
        before = Sheet.of(content.before, "before", content.strings)
        now = Sheet.of(content.now, "now", content.strings)
        zones = content.zones
        colours = tuple(str(c) for c in content.strings["display"]["margin"]["colours"])
        return cls(
            content=content,
            before=before,
            now=now,
            tumours=_tumours(content),
            zones=_zones(zones),
            rest=_rest(content.now.labels, zones),
            bands=Bands(content.limits_mm, colours),
        )


def _zones(zones: ZoneMap) -> dict[str, Body]:
    extent = bounds(zones.array > 0)
    if extent is None:
        return {}
    lower, upper = extent
    block = zones.array[tuple(slice(int(a), int(b)) for a, b in zip(lower, upper, strict=True))]
    k, j, i = block.shape
    grid = zones.grid.cropped(lower, (k, j, i))
    kinds: list[tuple[Zone | Focus, str]] = [
        *((part, "zone") for part in zones.zones),
        *((part, "focus") for part in zones.foci),
    ]
    found = {part.id: Body.of(kind, block == part.value, grid, rounded=True) for part, kind in kinds}
    return {name: body for name, body in found.items() if body is not None}


def _rest(labels: LabelMap, zones: ZoneMap) -> Body | None:
    """Tumour outside every zone and focus."""
    box = labels.box(Structure.TUMOUR)
    if box is None:
        return None
    drawn = labels.mask_in(box, Structure.TUMOUR) & (zones.array[box] == 0)
    k, j, i = drawn.shape
    return Body.of("rest", drawn, zones.grid.cropped([side.start for side in box], (k, j, i)))


def _tumours(content: ResponseContent) -> dict[str, Body]:
    scene = Scene.of(content.before.volume, content.before.labels)
    places = {lesion.id: lesion.before_lps_mm for lesion in content.response.lesions}
    found = {}
    for name, own in lesion_masks(scene, places).items():
        k, j, i = own.mask.shape
        body = Body.of("tumour", own.mask, scene.grid.cropped(own.start_kji, (k, j, i)), rounded=True)
        if body is not None:
            found[name] = body
    return found


@dataclass(frozen=True)
class PictureGroup:
    """Pairs that belong together, or pictures of the earlier study alone."""

    heading: str
    note: str
    pairs: tuple[Pair, ...] = ()
    alone: tuple[WindowPicture, ...] = ()


def picture_groups(lesion: LesionResponse, studio: Studio) -> tuple[PictureGroup, ...]:
    """Before and after through the thinnest place and through the centre, as far as both can be told."""
    content, strings = studio.content, studio.content.strings
    liver = content.alignment.liver
    motion = lesion.motion or liver.motion
    rough = lesion.motion is None
    setting = _setting(lesion, studio, rough=rough)
    groups = []
    if motion is None:
        groups.append(_alone(lesion, studio, setting))
    middle = _middle(lesion, studio)
    if middle is None:
        return tuple(groups)
    half = _half(lesion, studio, middle)
    pixels = int(strings["display"]["zoom_pixels"])
    thinnest = thinnest_ends(lesion)
    mark = None
    if thinnest is not None:
        place = thinnest[0]
        mark = Mark(place, thinnest[1], _unit(place - middle))
        cuts = three_cuts(place, middle, half_mm=half, pixels=pixels)
        words = with_band(lesion.quantity(MINIMUM), strings)
        pairs = tuple(
            pair(setting, cut, heading=_heading("pair.thinnest", cut.view, studio), mark=mark) for cut in cuts
        )
        groups.append(
            PictureGroup(say(strings, "pair.thinnest_heading", margin=words), say(strings, "pair.same"), pairs)
        )
    cuts = three_cuts(middle, middle, half_mm=half, pixels=pixels)
    pairs = tuple(pair(setting, cut, heading=_heading("pair.centre", cut.view, studio), mark=mark) for cut in cuts)
    groups.append(PictureGroup(say(strings, "pair.centre_heading"), _note(lesion, studio, first=not groups), pairs))
    return tuple(groups)


def _note(lesion: LesionResponse, studio: Studio, *, first: bool) -> str:
    """How the two studies lie on each other in the pictures; said once."""
    strings, liver = studio.content.strings, studio.content.alignment.liver
    if lesion.motion is not None:
        return say(strings, "pair.same") if first else ""
    if liver.motion is None:
        return say(strings, "pair.apart")
    return say(strings, "pair.rough", error="" if liver.error_mm is None else f"{liver.error_mm:.0f}")


def _setting(lesion: LesionResponse, studio: Studio, *, rough: bool) -> Setting:
    strings = studio.content.strings
    earlier = (*studio.before.edges, studio.tumours.get(lesion.id))
    later = (*studio.now.edges, studio.zones.get(lesion.zone), *(studio.zones.get(f) for f in lesion.foci), studio.rest)
    return Setting(
        before=studio.before,
        now=studio.now,
        motion=lesion.motion or studio.content.alignment.liver.motion,
        earlier=tuple(body for body in earlier if body is not None),
        later=tuple(body for body in later if body is not None),
        carry=not rough,
        names=dict(strings["outline"]),
        words=captions(studio.content),
        strings=strings,
    )


def captions(content: ResponseContent) -> tuple[str, str]:
    """What stands under pictures of the earlier and of the later study: when, which image, which phase."""
    return caption("before", content.before, content.before.series, content), caption(
        "after", content.now, content.now.series, content
    )


def caption(word: str, one: Examination, series: Series, content: ResponseContent) -> str:
    """When and which image; ``word`` is ``before`` or ``after``."""
    strings = content.strings
    phase = say(strings, f"phase.{series.phase}")
    date = _date(one.study.study_date)
    return say(strings, f"pair.{word}", modality=str(series.modality), phase=phase, date=date)


def focus_group(focus: str, lesion: LesionResponse, studio: Studio) -> PictureGroup | None:
    """One residual focus in every phase of the later study, in the axial plane through its middle."""
    body = studio.zones.get(focus)
    if body is None:
        return None
    content, strings = studio.content, studio.content.strings
    middle = body.centre_lps_mm
    half = _reach([body.corners_lps_mm()], middle, studio)
    cut = Cut.through(View.AXIAL, middle, middle, half_mm=half, pixels=int(strings["display"]["zoom_pixels"]))
    setting = _setting(lesion, studio, rough=lesion.motion is None)
    images = [(content.now.series, content.now.volume), *content.now.others]
    made = []
    for series, volume in sorted(images, key=lambda one: _ORDER[one[0].phase]):
        words = (setting.words[0], caption("after", content.now, series, content))
        made.append(later_alone(replace(setting, now=studio.now.showing(volume, strings), words=words), cut))
    return PictureGroup(say(strings, "pair.focus_heading", focus=focus), say(strings, "pair.focus"), alone=tuple(made))


def _date(study_date: str | None) -> str:
    return f" {study_date[:4]}-{study_date[4:6]}-{study_date[6:8]}" if study_date and study_date[:8].isdigit() else ""


def _alone(lesion: LesionResponse, studio: Studio, setting: Setting) -> PictureGroup:
    strings = studio.content.strings
    middle = np.array(lesion.before_lps_mm)
    body = studio.tumours.get(lesion.id)
    points = [] if body is None else [body.corners_lps_mm()]
    half = _reach(points, middle, studio)
    cuts = three_cuts(middle, middle, half_mm=half, pixels=int(strings["display"]["zoom_pixels"]))
    pictures = tuple(lone(setting, cut, heading=_heading("pair.centre", cut.view, studio)) for cut in cuts)
    return PictureGroup(say(strings, "pair.alone_heading"), say(strings, "pair.alone"), alone=pictures)


def _heading(key: str, view: View, studio: Studio) -> str:
    return say(studio.content.strings, key, view=say(studio.content.strings, f"pictures.{view}").capitalize())


def _middle(lesion: LesionResponse, studio: Studio) -> FloatArray | None:
    """What pictures of the later study are centred on: the lesion, else its zone; None where neither is known."""
    if lesion.now_lps_mm is not None:
        return np.array(lesion.now_lps_mm)
    if lesion.zone in studio.zones:
        return studio.zones[lesion.zone].centre_lps_mm
    liver = studio.content.alignment.liver.motion
    return None if liver is None else liver.apply(np.array(lesion.before_lps_mm))


def _half(lesion: LesionResponse, studio: Studio, middle: FloatArray) -> float:
    points = []
    body = studio.tumours.get(lesion.id)
    if body is not None and lesion.motion is not None:
        points.append(lesion.motion.apply(body.corners_lps_mm()))
    points += [studio.zones[name].corners_lps_mm() for name in (lesion.zone, *lesion.foci) if name in studio.zones]
    return _reach(points, middle, studio)


def _reach(points: list[FloatArray], middle: FloatArray, studio: Studio) -> float:
    display = studio.content.strings["display"]["pair"]
    return half_width_mm(
        points, middle, margin_mm=float(display["margin_mm"]), least_mm=float(display["least_half_mm"])
    )


def thinnest_ends(lesion: LesionResponse) -> tuple[FloatArray, FloatArray | None] | None:
    """Where the margin is smallest, on the tumour and on the zone, in the later study; None when not known."""
    quantity = lesion.quantity(MINIMUM)
    points = {p.role: np.array(p.lps_mm) for p in quantity.evidence} if isinstance(quantity, Measurement) else {}
    if "on_tumour" in points:
        return points["on_tumour"], points.get("on_zone")
    return None if lesion.thinnest is None else (np.array(lesion.thinnest.now_lps_mm), None)


def _unit(way: FloatArray) -> FloatArray:
    return np.asarray(way / max(float(np.linalg.norm(way)), 1e-9))


def liver_group(studio: Studio) -> PictureGroup | None:
    """The whole liver of both studies on each other; None where its motion is not known."""
    content, strings = studio.content, studio.content.strings
    place = content.alignment.liver
    if place.motion is None or studio.now.liver is None:
        return None
    setting = Setting(
        before=studio.before,
        now=studio.now,
        motion=place.motion,
        earlier=(*studio.before.edges, *studio.tumours.values()),
        later=(*studio.now.edges, *studio.zones.values()),
        carry=True,
        names=dict(strings["outline"]),
        words=captions(content),
        strings=strings,
    )
    box = studio.now.liver.corners_lps_mm()
    middle = box.mean(axis=0)
    half = half_width_mm([box], middle, margin_mm=float(strings["display"]["pair"]["liver_margin_mm"]), least_mm=0.0)
    pixels = int(strings["display"]["zoom_pixels"])
    views = (View.AXIAL, View.CORONAL)
    cuts = [Cut.through(view, middle, middle, half_mm=half, pixels=pixels) for view in views]
    pairs = tuple(pair(setting, cut, heading=_heading("pair.liver", cut.view, studio)) for cut in cuts)
    error = "" if place.error_mm is None else f"{place.error_mm:.0f}"
    return PictureGroup(say(strings, "pair.liver_heading"), say(strings, "pair.liver_note", error=error), pairs)
