"""Before and after side by side on the same anatomy, and both in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.core.motion import RigidMotion
from liverimg.report.figures import scale_bar
from liverimg.report.planes import View
from liverimg.report.response_cuts import Body, Cut, Sheet, edge_of, grey_of
from liverimg.report.text import Strings, say
from liverimg.report.window_shapes import Shape, circle, path
from liverimg.report.window_studio import WindowPicture

_NEAR_MM = 3.0  # a mark is drawn in planes that pass it within this
_RING_MM = 2.2
_ARROW_MM, _HEAD_MM, _GAP_MM = 13.0, 3.2, 2.8
_IN_PLANE = 0.35


@dataclass(frozen=True, eq=False)
class Mark:
    """A place that pictures point at, in the later study.

    Attributes:
        lps_mm: The place.
        other_lps_mm: The other end of the line through it; None without one.
        outward: Unit vector away from the lesion, along which the arrow comes in.
    """

    lps_mm: FloatArray
    other_lps_mm: FloatArray | None
    outward: FloatArray


@dataclass(frozen=True, eq=False)
class Pair:
    """Both studies in one plane.

    Attributes:
        heading: Which plane.
        before: The earlier study; None when it cannot be laid there.
        after: The later one.
        joined: Whether both show the same anatomy, so that halves of them may be set side by side.
        both_alt: What the joined picture shows, in words.
    """

    heading: str
    before: WindowPicture | None
    after: WindowPicture
    joined: bool
    both_alt: str = ""


@dataclass(frozen=True, eq=False)
class Setting:
    """What the pairs of one lesion, or of the liver, share.

    Attributes:
        before: The earlier study.
        now: The later one.
        motion: From the earlier into the later; None when it is not known.
        earlier: What was drawn in the earlier study: shown on both.
        later: What was drawn in the later one: shown on both.
        carry: Whether what was drawn in one study is carried over into the other.
        names: Titles of what is drawn, by the first word of its kind.
        words: Captions of the two pictures.
        strings: Words and display settings.
    """

    before: Sheet
    now: Sheet
    motion: RigidMotion | None
    earlier: tuple[Body, ...]
    later: tuple[Body, ...]
    carry: bool
    names: dict[str, str] = field(repr=False)
    words: tuple[str, str]
    strings: Strings = field(repr=False)


def pair(setting: Setting, cut: Cut, *, heading: str, mark: Mark | None = None) -> Pair:
    """Both studies in a plane of the later one.

    Args:
        setting: What all pairs share.
        cut: The plane.
        heading: What it passes through.
        mark: A place to point at, where the plane passes it.
    """
    if setting.motion is None:
        after = _picture(setting, _Sight.of(setting, cut, cut, is_now=True), mark=mark)
        return Pair(heading, None, after, joined=False)
    earlier = cut.moved(setting.motion.inverse())
    # What was drawn in one study shows in both pictures at the same place: each edge is looked for once.
    edges = _edges(setting.earlier, earlier), _edges(setting.later, cut)
    before = _picture(setting, _Sight(False, earlier, cut, edges[0], edges[1]), mark=mark)
    after = _picture(setting, _Sight(True, cut, earlier, edges[1], edges[0]), mark=mark)
    words = say(setting.strings, "pair.both_alt", heading=heading)
    return Pair(heading, before, after, joined=True, both_alt=words)


def lone(setting: Setting, cut: Cut, *, heading: str) -> WindowPicture:
    """The earlier study by itself, in a plane of its own."""
    own = replace(setting, carry=False)
    picture = _picture(own, _Sight.of(own, cut, cut, is_now=False), mark=None)
    return replace(picture, caption=f"{heading}. {picture.caption}", alt=f"{heading}. {picture.alt}")


def later_alone(setting: Setting, cut: Cut) -> WindowPicture:
    """The later study by itself, with what the earlier one carries over where that is known."""
    other = cut if setting.motion is None else cut.moved(setting.motion.inverse())
    return _picture(setting, _Sight.of(setting, cut, other, is_now=True), mark=None)


@dataclass(frozen=True, eq=False)
class _Sight:
    """One study in a cut, with what is drawn there.

    Attributes:
        is_now: Whether it is the later study.
        own: The cut in the study's frame.
        other: The same cut in the frame of the other study.
        native: Edges of what was drawn in the study.
        foreign: Edges of what was drawn in the other one.
    """

    is_now: bool
    own: Cut
    other: Cut
    native: tuple[Shape, ...]
    foreign: tuple[Shape, ...]

    @classmethod
    def of(cls, setting: Setting, own: Cut, other: Cut, *, is_now: bool) -> _Sight:
        """Looks for the edges."""
        native, foreign = (setting.later, setting.earlier) if is_now else (setting.earlier, setting.later)
        return cls(is_now, own, other, _edges(native, own), _edges(foreign, other) if setting.carry else ())


def _edges(bodies: tuple[Body, ...], cut: Cut) -> tuple[Shape, ...]:
    found = (edge_of(body, cut) for body in bodies)
    return tuple(shape for shape in found if shape is not None)


def _picture(setting: Setting, sight: _Sight, *, mark: Mark | None) -> WindowPicture:
    """One study in a cut."""
    strings, is_now, own, other = setting.strings, sight.is_now, sight.own, sight.other
    sheet = setting.now if is_now else setting.before
    carried = sight.foreign if setting.carry else ()
    shapes = (*(Shape(f"{shape.kind} carried", shape.path) for shape in carried), *sight.native)
    named = list(dict.fromkeys(_name(shape, setting) for shape in shapes))
    # Marks lie in the later study, whose frame one of the two cuts is in.
    signs = () if mark is None else _signs(mark, own if is_now else other)
    caption = setting.words[int(is_now)]
    alt = f"{caption} " + (say(strings, "pictures.alt_outlines", names=", ".join(named)) if named else "")
    if signs:
        alt += " " + say(strings, "pair.alt_mark")
    return WindowPicture(
        kind="cut now" if is_now else "cut before",
        width_mm=round(own.camera.width_mm, 3),
        height_mm=round(own.camera.height_mm, 3),
        image=grey_of(sheet, own, quality=int(strings["display"]["jpeg_quality"])),
        shapes=(*shapes, *signs),
        letters=(own if is_now or not setting.carry else other).letters,
        scale_mm=scale_bar(own.camera.width_mm),
        caption=caption,
        alt=alt.strip(),
    )


def _name(shape: Shape, setting: Setting) -> str:
    first, _, manner = shape.kind.partition(" ")
    title = setting.names.get(first, first.replace("-", " "))
    return say(setting.strings, "pair.carried", name=title) if manner == "carried" else title


def _signs(mark: Mark, cut: Cut) -> tuple[Shape, ...]:
    """A ring at the place, the line through it, and an arrow that comes in from outside where there is room."""
    at = cut.camera.place(mark.lps_mm)
    if abs(float(at[2])) > _NEAR_MM:
        return ()
    signs = []
    if mark.other_lps_mm is not None:
        end = cut.camera.place(mark.other_lps_mm)
        signs.append(Shape("thin-line", path(np.array([at[:2], end[:2]]), closed=False)))
    signs.append(Shape("thin-ring", circle(at[:2], _RING_MM)))
    way = np.array([mark.outward @ cut.camera.right, mark.outward @ cut.camera.down])
    length = float(np.linalg.norm(way))
    if length < _IN_PLANE:
        return tuple(signs)
    way /= length
    tip = at[:2] + (_RING_MM + _GAP_MM) * way
    side = np.array([-way[1], way[0]])
    head = [tip + _HEAD_MM * (way + 0.6 * side), tip, tip + _HEAD_MM * (way - 0.6 * side)]
    shaft = path(np.array([tip + _ARROW_MM * way, tip]), closed=False)
    return (*signs, Shape("thin-arrow", shaft + path(np.array(head), closed=False)))


def half_width_mm(
    points_lps_mm: Sequence[FloatArray], middle: FloatArray, *, margin_mm: float, least_mm: float
) -> float:
    """How far a picture has to reach from its middle to show all points in every view."""
    reach = max((float(np.abs(points - middle).max()) for points in points_lps_mm if len(points)), default=0.0)
    return max(reach + margin_mm, least_mm)


def three_cuts(place: FloatArray, middle: FloatArray, *, half_mm: float, pixels: int) -> tuple[Cut, ...]:
    """Axial, coronal and sagittal through one place."""
    return tuple(Cut.through(view, place, middle, half_mm=half_mm, pixels=pixels) for view in View)
