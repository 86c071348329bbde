"""Surfaces of the labels for the 3-D view, as triangles in patient coordinates.

The surfaces are for orientation: they are thinned and smoothed, so nothing is measured on them.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from liverimg.core.grid import Grid
from liverimg.core.labels import LIVER_CONTENTS, BoolArray, Structure
from liverimg.report.overlays import LesionMask, bounds
from liverimg.report.planes import Scene
from liverimg.report.text import Strings, say

# How much of the view the scene fills; Plotly's own choice leaves most of it empty.
_FILL = 2.1


@dataclass(frozen=True, eq=False)
class Block:
    """How much of each coarse voxel a structure fills, 0 to 1, smoothed.

    Attributes:
        filled: Shares, in standard array order.
        grid: Where the coarse voxels lie.
    """

    filled: NDArray[np.float32] = field(repr=False)
    grid: Grid


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed surface.

    Attributes:
        title: Name in the legend.
        structure: What it shows.
        vertices_lps_mm: Shape (n, 3).
        triangles: Indices of vertices, shape (m, 3).
        opacity: 1 is solid.
        shown: Whether it is switched on at first.
    """

    title: str
    structure: Structure
    vertices_lps_mm: NDArray[np.float64] = field(repr=False)
    triangles: NDArray[np.int_] = field(repr=False)
    opacity: float
    shown: bool


def coarse(mask: BoolArray, grid: Grid, *, target_mm: float, open_ended: bool = False) -> Block | None:
    """Thins a mask to voxels near the target size by averaging whole voxels, then smooths it lightly.

    Args:
        mask: In standard order.
        grid: Of the mask.
        target_mm: Wanted voxel size; finer grids stay as they are along an axis that is coarser.
        open_ended: Whether the mask runs on beyond the first and last slice (a body), so that no lid
            is drawn there.

    Returns:
        None for an empty mask.
    """
    extent = bounds(mask)
    if extent is None:
        return None
    lower, upper = extent
    part = mask[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))]
    factor = np.maximum(1, np.round(target_mm / grid.spacing_mm)).astype(int)
    whole: NDArray[Any] = part.view(np.uint8)
    for axis in range(3):
        most, repeat_last = int(factor[: axis + 1].prod()), open_ended and axis == 0
        whole = _summed(whole, int(factor[axis]), axis, most=most, repeat_last=repeat_last)
    filled = whole.astype(np.float32) / float(factor.prod())
    sides = [(2, 2)] * 3
    if open_ended:
        sides[0] = (0, 0)
    filled = np.pad(filled, sides)
    sigma = [0.8 if s * f < 1.6 * target_mm else 0.4 for s, f in zip(grid.spacing_mm, factor, strict=True)]
    filled = ndimage.gaussian_filter(filled, sigma, mode="nearest")
    padded = np.array([before for before, _ in sides])
    first = lower + (factor - 1) / 2 - padded * factor
    affine = np.array(grid.affine)
    affine[:3, :3] = grid.affine[:3, :3] * factor
    affine[:3, 3] = grid.index_to_lps_mm(first)
    a, b, c = filled.shape
    return Block(filled, Grid((a, b, c), affine, grid.frame_of_reference_uid))


def _summed(array: NDArray[Any], factor: int, axis: int, *, most: int, repeat_last: bool) -> NDArray[Any]:
    """Sums of so many neighbours along an axis, none above ``most``; missing ones count 0, or as the last."""
    lines = np.moveaxis(array, axis, 0)
    total = lines[::factor].astype(np.min_scalar_type(most))
    for start in range(1, factor):
        some = lines[start::factor]
        total[: len(some)] += some
    if repeat_last:
        total[-1] += -len(lines) % factor * lines[-1].astype(total.dtype)
    return np.moveaxis(total, 0, axis)


def triangles(block: Block, *, level: float) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """The surface where the block is filled to ``level``: vertices in LPS mm and triangles."""
    if min(block.filled.shape) < 2 or not block.filled.min() < level < block.filled.max():
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=int)
    vertices, faces, _, _ = measure.marching_cubes(block.filled, level)  # type: ignore[no-untyped-call]
    # Outward faces turn the same way round in space as in the array only if the axes keep their hand.
    if np.linalg.det(block.grid.affine[:3, :3]) > 0:
        faces = np.roll(faces[:, [0, 2, 1]], 1, axis=1)
    return block.grid.index_to_lps_mm(vertices), np.asarray(faces, dtype=int)


def blocks(
    scene: Scene, lesions: Mapping[str, LesionMask], strings: Strings
) -> list[tuple[Structure, str, Block, Mapping[str, Any]]]:
    """Every structure of the 3-D view as a coarse block: structure, lesion id or '', block and its settings."""
    made = []
    for name, settings in strings["display"]["surface"].items():
        structure = Structure(name)
        if structure is Structure.TUMOUR:
            made += _lesion_blocks(scene, lesions, settings)
            continue
        if structure is Structure.BODY:
            block = _body_block(scene, settings)
        else:
            drawn = LIVER_CONTENTS if structure is Structure.LIVER else (structure,)
            block = coarse_of(scene, *drawn, target_mm=settings["voxel_mm"])
        if block is not None:
            made.append((structure, "", block, settings))
    return made


def coarse_of(scene: Scene, *structures: Structure, target_mm: float) -> Block | None:
    """:func:`coarse` of structures of a scene."""
    box = scene.labels.box(*structures)
    if box is None:
        return None
    mask = scene.labels.mask_in(box, *structures)
    k, j, i = mask.shape
    return coarse(mask, scene.grid.cropped([side.start for side in box], (k, j, i)), target_mm=target_mm)


def _body_block(scene: Scene, settings: Mapping[str, Any]) -> Block | None:
    """Everything labelled is inside the skin, but only where the body itself was delineated."""
    if not scene.labels.has(Structure.BODY):
        return None
    mask = np.asarray(scene.labels.array > 0)
    return coarse(mask, scene.grid, target_mm=settings["voxel_mm"], open_ended=True)


def _lesion_blocks(
    scene: Scene, lesions: Mapping[str, LesionMask], settings: Mapping[str, Any]
) -> list[tuple[Structure, str, Block, Mapping[str, Any]]]:
    made = []
    for name, lesion in lesions.items():
        grid = scene.grid.cropped(lesion.start_kji, (*lesion.mask.shape,))
        block = coarse(lesion.mask, grid, target_mm=settings["voxel_mm"])
        if block is not None:
            made.append((Structure.TUMOUR, name, block, settings))
    return made


def surfaces(
    made: list[tuple[Structure, str, Block, Mapping[str, Any]]], titles: Mapping[Structure, str]
) -> list[Surface]:
    """Turns blocks into surfaces; a block too small to have one is left out."""
    found = []
    for structure, lesion, block, settings in made:
        vertices, faces = triangles(block, level=settings["level"])
        if len(faces):
            title = f"{titles.get(structure, str(structure))} {lesion}".strip()
            found.append(Surface(title, structure, vertices, faces, settings["opacity"], settings.get("shown", True)))
    return found


def packed(values: NDArray[Any], kind: str) -> dict[str, str]:
    """An array as Plotly takes it without a digit written out."""
    little = np.ascontiguousarray(values, dtype=np.dtype(kind).newbyteorder("<"))
    return {"dtype": kind, "bdata": base64.b64encode(little.tobytes()).decode("ascii")}


def plotly_figure(found: list[Surface], colours: Mapping[Structure, str], strings: Strings) -> dict[str, Any]:
    """The 3-D view as a Plotly figure: one mesh per surface, orientation letters, no axes.

    Plotly's x, y, z are LPS millimetres; the first camera looks from the front, so that the patient's right
    is on the left.
    """
    traces = [_mesh(s, colours.get(s.structure, "#9aa4ae")) for s in found]
    if not found:
        return {"data": [], "layout": {}}
    box = ViewBox.around(np.concatenate([s.vertices_lps_mm for s in found]))
    return {"data": [*traces, letters_trace(box, strings)], "layout": scene_layout(box)}


@dataclass(frozen=True, eq=False)
class ViewBox:
    """What a 3-D view has to show: two corners in LPS mm, and the room left around them."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    margin_mm: float

    @classmethod
    def around(cls, points_lps_mm: NDArray[np.float64]) -> ViewBox:
        """The box of points."""
        lower, upper = points_lps_mm.min(axis=0), points_lps_mm.max(axis=0)
        return cls(lower, upper, 0.08 * float((upper - lower).max()))


def scene_layout(box: ViewBox) -> dict[str, Any]:
    """Plotly's layout of a 3-D view: one scale along all axes, no axes drawn, seen from the front."""
    scene: dict[str, Any] = {}
    for n, axis in enumerate("xyz"):
        ends = [round(float(box.lower[n]) - box.margin_mm, 1), round(float(box.upper[n]) + box.margin_mm, 1)]
        scene[f"{axis}axis"] = {"visible": False, "showbackground": False, "range": ends}
    sizes = box.upper - box.lower + 2 * box.margin_mm
    ratio = {axis: round(_FILL * float(sizes[n] / sizes.max()), 4) for n, axis in enumerate("xyz")}
    return {
        "scene": {
            **scene,
            "aspectmode": "manual",
            "aspectratio": ratio,
            "camera": {
                "eye": {"x": -0.3, "y": -1.3, "z": 0.3},
                "up": {"x": 0, "y": 0, "z": 1},
                "projection": {"type": "orthographic"},
            },
            "dragmode": "orbit",
        },
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "legend": {"itemsizing": "constant", "bgcolor": "rgba(0,0,0,0)", "x": 1, "xanchor": "right", "y": 1},
        "hovermode": "closest",
        "uirevision": "fixed",
    }


def mesh_trace(vertices_lps_mm: NDArray[np.float64], triangles: NDArray[np.integer], **how: Any) -> dict[str, Any]:
    """A surface as Plotly draws it, softly lit from the front; ``how`` adds to it or overrules it."""
    vertices = vertices_lps_mm.astype(np.float32)
    kind = "uint16" if len(vertices) < 65536 else "uint32"
    corners = {name: packed(triangles[:, n], kind) for n, name in enumerate("ijk")}
    return {
        "type": "mesh3d",
        **{name: packed(vertices[:, n], "float32") for n, name in enumerate("xyz")},
        **corners,
        "flatshading": False,
        "lighting": {"ambient": 0.45, "diffuse": 0.75, "specular": 0.15, "roughness": 0.6, "fresnel": 0.1},
        "lightposition": {"x": 2000, "y": 4000, "z": -3000},
        "hoverinfo": "name",
        "showlegend": True,
        **how,
    }


def _mesh(surface: Surface, colour: str) -> dict[str, Any]:
    return mesh_trace(
        surface.vertices_lps_mm,
        surface.triangles,
        name=surface.title,
        color=colour,
        opacity=surface.opacity,
        visible=True if surface.shown else "legendonly",
    )


def letters_trace(box: ViewBox, strings: Strings) -> dict[str, Any]:
    """R, L, A, P, I and S at the sides of the view."""
    middle = (box.lower + box.upper) / 2
    places = []
    for axis in range(3):
        for side, edge in ((-1, box.lower), (1, box.upper)):
            place = middle.copy()
            place[axis] = edge[axis] + side * 0.75 * box.margin_mm
            places.append([round(float(c), 1) for c in place])
    return {
        "type": "scatter3d",
        "mode": "text",
        "name": say(strings, "view3d.letters"),
        "x": [p[0] for p in places],
        "y": [p[1] for p in places],
        "z": [p[2] for p in places],
        "text": ["R", "L", "A", "P", "I", "S"],
        "textfont": {"size": 15},
        "hoverinfo": "skip",
        "showlegend": True,
    }
