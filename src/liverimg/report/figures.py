"""Pictures of slices: a grey image, outlines, callipers, orientation letters and a scale bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import Structure
from liverimg.core.measurement import Lesion, Measurement
from liverimg.core.volume import Quantity
from liverimg.report.encode import jpeg_uri
from liverimg.report.overlays import (
    Calliper,
    LesionMask,
    Outline,
    bounds,
    calliper,
    outline_path,
    outlines,
)
from liverimg.report.planes import Box, Plane, Scene, View, best_view
from liverimg.report.text import Strings, quantity_title, say, value_text


@dataclass(frozen=True)
class Picture:
    """One picture, all lengths in mm.

    Attributes:
        view: Which way it is cut.
        kind: ``section`` (the whole body), ``zoom`` or ``distance``.
        width_mm: What the picture covers.
        height_mm: What the picture covers.
        image: The grey image as a data URI.
        outlines: Edges of structures, the least important first.
        callipers: Measured lines.
        letters: Orientation at the left, right, top and bottom.
        scale_mm: Length of the scale bar.
        caption: What is shown.
        alt: The same in words for those who can't see it.
        frame: A rectangle (x, y, width, height) that another picture shows enlarged, or None.
    """

    view: View
    kind: str
    width_mm: float
    height_mm: float
    image: str = field(repr=False)
    outlines: tuple[Outline, ...] = field(repr=False)
    callipers: tuple[Calliper, ...]
    letters: tuple[str, str, str, str]
    scale_mm: float
    caption: str
    alt: str
    frame: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Studio:
    """What all pictures of a study share.

    Attributes:
        scene: The volume and its labels.
        window: Grey values shown as black and as white.
        body: First and last voxel of what is worth showing.
        structures: What is outlined, the least important first.
        titles: Names of structures.
        strings: Words and display settings.
    """

    scene: Scene
    window: tuple[float, float]
    body: tuple[NDArray[np.int_], NDArray[np.int_]]
    structures: tuple[Structure, ...]
    titles: Mapping[Structure, str]
    strings: Strings = field(repr=False)

    @classmethod
    def of(cls, scene: Scene, titles: Mapping[Structure, str], strings: Strings) -> Studio:
        """Chooses the window and finds the body once for all pictures."""
        chosen = tuple(Structure(name) for name in strings["display"]["outlined"])
        shape = np.array(scene.grid.shape)
        body = bounds(np.asarray(scene.labels.array > 0)) if _has_body(scene) else None
        return cls(scene, grey_window(scene, strings), body or (np.zeros(3, dtype=int), shape), chosen, titles, strings)

    @property
    def display(self) -> Mapping[str, Any]:
        """The display settings."""
        settings: Mapping[str, Any] = self.strings["display"]
        return settings

    def section_box(self, plane: Plane) -> Box:
        """The body on a plane with a little air around it."""
        return plane.extent(*self.body).grown(float(self.display["section_margin_mm"])).within(plane.box)


def _has_body(scene: Scene) -> bool:
    return scene.labels.has(Structure.BODY)


def grey_window(scene: Scene, strings: Strings) -> tuple[float, float]:
    """Grey values shown as black and white: a fixed window for CT, percentiles of the labelled body else."""
    display = strings["display"]
    if scene.volume.quantity is Quantity.HU:
        half = display["ct_window_width_hu"] / 2
        return display["ct_window_level_hu"] - half, display["ct_window_level_hu"] + half
    thin = tuple(slice(None, None, max(1, n // 64)) for n in scene.grid.shape)
    values = scene.volume.array[thin]
    inside = scene.labels.array[thin] > 0
    chosen = values[inside] if inside.any() else values.ravel()
    low, high = np.percentile(chosen, display["mr_window_percentiles"])
    return float(low), float(high) if high > low else float(low) + 1.0


def grey_image(studio: Studio, plane: Plane, box: Box, *, pixels: int) -> NDArray[np.uint8]:
    """The slice inside the box as grey levels on square pixels, at most ``pixels`` on the longer side."""
    mm_per_pixel = max(box.width, box.height) / pixels
    values = plane.resampled(studio.scene.volume.array, box, mm_per_pixel=mm_per_pixel)
    low, high = studio.window
    return np.asarray(np.clip((values - low) / (high - low), 0, 1) * 255 + 0.5).astype(np.uint8)


def draw(
    studio: Studio,
    plane: Plane,
    box: Box,
    *,
    kind: str,
    caption: str,
    lesion: LesionMask | None = None,
    lines: tuple[Measurement, ...] = (),
) -> Picture:
    """One picture of a plane.

    Args:
        studio: What all pictures share.
        plane: The slice.
        box: What part of it.
        kind: ``section``, ``zoom`` or ``distance``.
        caption: What is shown.
        lesion: The lesion that the picture is about; its outline is emphasised.
        lines: Measurements whose first two evidence points are drawn.
    """
    box = box.within(plane.box)
    drawn = outlines(studio.scene, plane, box, studio.structures)
    if lesion is not None:
        path = outline_path(lesion.cut(plane), plane, box)
        drawn += (Outline(Structure.TUMOUR, path, emphasised=True),) if path else ()
    placed = tuple(c for c in (calliper(q, plane, box, studio.strings) for q in lines) if c is not None)
    pixels = int(studio.display["section_pixels" if kind == "section" else "zoom_pixels"])
    grey = grey_image(studio, plane, box, pixels=pixels)
    return Picture(
        view=plane.view,
        kind=kind,
        width_mm=round(box.width, 3),
        height_mm=round(box.height, 3),
        image=jpeg_uri(grey, quality=int(studio.display["jpeg_quality"])),
        outlines=drawn,
        callipers=placed,
        letters=plane.letters(),
        scale_mm=scale_bar(box.width),
        caption=caption,
        alt=_alt(studio, caption, drawn, placed),
    )


def scale_bar(width_mm: float) -> float:
    """Length in mm of the scale bar of a picture as wide as that."""
    return max((n for n in (1, 2, 5, 10, 20, 50, 100) if n <= width_mm / 3.5), default=width_mm / 4)


def _alt(studio: Studio, caption: str, drawn: tuple[Outline, ...], placed: tuple[Calliper, ...]) -> str:
    names = list(dict.fromkeys(studio.titles.get(o.structure, str(o.structure)) for o in drawn))
    parts = [caption]
    if names:
        parts.append(say(studio.strings, "pictures.alt_outlines", names=", ".join(names)))
    if placed:
        parts.append(say(studio.strings, "pictures.alt_lines", lines=", ".join(c.label for c in placed)))
    return " ".join(parts)


def overview(studio: Studio) -> tuple[Picture, ...]:
    """Axial sections at a quarter, half and three quarters of the liver's height, from above downwards."""
    liver = bounds(studio.scene.labels.mask(Structure.LIVER, Structure.TUMOUR))
    lower, upper = liver or (np.zeros(3, dtype=int), np.array(studio.scene.grid.shape))
    pictures = []
    for part in studio.display["overview_heights"]:
        index = int(lower[0] + part * (upper[0] - 1 - lower[0]))
        plane = Plane(View.AXIAL, studio.scene.grid, index)
        caption = say(studio.strings, "pictures.overview", **_slice_words(plane))
        pictures.append(draw(studio, plane, studio.section_box(plane), kind="section", caption=caption))
    return tuple(pictures)


def _slice_words(plane: Plane) -> dict[str, object]:
    axis = {View.AXIAL: 0, View.CORONAL: 1, View.SAGITTAL: 2}[plane.view]
    return {"slice": plane.index + 1, "slices": plane.grid.shape[axis], "thickness": f"{plane.thickness_mm:.1f}"}


def _drawn_as(lesion: Lesion, how: str, strings: Strings) -> tuple[Measurement, ...]:
    table = strings["quantity"]
    return tuple(
        q
        for q in lesion.quantities
        if isinstance(q, Measurement) and table.get(q.name, {}).get("draw") == how and len(q.evidence) > 1
    )


def lesion_pictures(studio: Studio, lesion: Lesion, mask: LesionMask | None) -> tuple[Picture, ...]:
    """Sections and enlargements in three planes; the axial ones where the long diameter was taken."""
    diameters = _drawn_as(lesion, "diameter", studio.strings)
    centres = dict.fromkeys(View, lesion.centroid_lps_mm)
    if diameters:
        first, second = (np.array(point.lps_mm) for point in diameters[0].evidence[:2])
        middle = (first + second) / 2
        centres[View.AXIAL] = (float(middle[0]), float(middle[1]), float(middle[2]))
    sections, zooms = [], []
    for view in View:
        plane = Plane.through(view, studio.scene.grid, centres[view])
        if view is View.AXIAL and not diameters and mask is not None:
            plane = Plane(view, studio.scene.grid, mask.largest_slice())
        zoom_box = _zoom_box(studio, plane, lesion, mask)
        words = {"lesion": lesion.id, **_slice_words(plane)}
        caption = say(studio.strings, f"pictures.section_{view}", **words)
        outer = studio.section_box(plane)
        section = draw(studio, plane, outer, kind="section", caption=caption, lesion=mask)
        inner = zoom_box.within(plane.box)
        frame = (inner.left - outer.left, inner.top - outer.top, inner.width, inner.height)
        sections.append(replace(section, frame=frame))
        caption = say(studio.strings, f"pictures.zoom_{view}", **words)
        lines = diameters if view is View.AXIAL else ()
        zooms.append(draw(studio, plane, zoom_box, kind="zoom", caption=caption, lesion=mask, lines=lines))
    return (*sections, *zooms)


def _zoom_box(studio: Studio, plane: Plane, lesion: Lesion, mask: LesionMask | None) -> Box:
    x, y, _ = plane.place(lesion.centroid_lps_mm)
    if mask is not None:
        extent = plane.extent(mask.start_kji, mask.stop_kji)
        x, y = (extent.left + extent.right) / 2, (extent.top + extent.bottom) / 2
    half = _zoom_half_mm(studio, plane, mask)
    return Box(x - half, y - half, x + half, y + half)


def _zoom_half_mm(studio: Studio, plane: Plane, mask: LesionMask | None) -> float:
    # One scale for all three planes, so that the enlargements can be compared with each other.
    least = float(studio.display["zoom_least_mm"]) / 2
    if mask is None:
        return least
    size_mm = float((np.array(mask.mask.shape) * plane.grid.spacing_mm).max())
    return max(least, size_mm / 2 * 1.35 + float(studio.display["zoom_margin_mm"]))


def distance_pictures(studio: Studio, lesion: Lesion, mask: LesionMask | None) -> tuple[Picture, ...]:
    """One picture for each measured distance, in the plane in which its line lies best."""
    pictures = []
    for quantity in _drawn_as(lesion, "distance", studio.strings):
        start, end = (np.array(point.lps_mm) for point in quantity.evidence[:2])
        middle = (start + end) / 2
        plane = Plane.through(
            best_view(studio.scene.grid, quantity.evidence[0].lps_mm, quantity.evidence[1].lps_mm),
            studio.scene.grid,
            (float(middle[0]), float(middle[1]), float(middle[2])),
        )
        box = _distance_box(studio, plane, quantity)
        off = max(abs(plane.place(point.lps_mm)[2]) for point in quantity.evidence[:2])
        leaves = off > plane.thickness_mm / 2 + 1e-6
        caption = say(
            studio.strings,
            "pictures.distance_off" if leaves else "pictures.distance",
            title=quantity_title(quantity.name, studio.strings),
            value=value_text(quantity, studio.strings),
            view=say(studio.strings, f"pictures.{plane.view}"),
            off=f"{off:.1f}",
            **_slice_words(plane),
        )
        pictures.append(draw(studio, plane, box, kind="distance", caption=caption, lesion=mask, lines=(quantity,)))
    return tuple(pictures)


def _distance_box(studio: Studio, plane: Plane, quantity: Measurement) -> Box:
    (x0, y0, _), (x1, y1, _) = (plane.place(point.lps_mm) for point in quantity.evidence[:2])
    half = max(abs(x1 - x0), abs(y1 - y0)) / 2 + float(studio.display["distance_margin_mm"])
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return Box(x - half, y - half, x + half, y + half)
