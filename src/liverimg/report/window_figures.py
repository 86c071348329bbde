"""Pictures of acoustic windows: the map of entries on the skin, and the beam cut through the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage import measure

from liverimg.core.grid import Grid
from liverimg.core.labels import LIVER_CONTENTS, BoolArray, Structure
from liverimg.core.volume import Quantity
from liverimg.core.window import Beam, Fan, Transducer, WindowMap
from liverimg.report.encode import jpeg_uri, png_uri
from liverimg.report.planes import Scene, letters_of
from liverimg.report.surface3d import Block, coarse
from liverimg.report.text import Strings, say
from liverimg.report.window_shapes import Shape, arc, circle, cross, hull, path
from liverimg.report.window_view import Camera, Canvas, Layer, seen

FloatArray = NDArray[np.float64]

# Each look: right and down of the picture, LPS.
_LOOKS = {
    "front": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "right": ((0.0, -1.0, 0.0), (0.0, 0.0, -1.0)),
}
_NOT_ORGANS = (Structure.BONE, Structure.BODY, Structure.FAT, Structure.MUSCLE, Structure.SKIN)
_NEIGHBOURS = 4
_RIM_POINTS = 72
_HALF = 0.5


@dataclass(frozen=True)
class WindowPicture:
    """One picture, lengths in mm.

    Attributes:
        kind: ``map`` or ``cut``.
        width_mm: What it covers.
        height_mm: What it covers.
        image: As a data URI.
        shapes: Drawn over it, in this order.
        letters: Orientation at the left, right, top and bottom.
        scale_mm: Length of the scale bar.
        caption: What is shown.
        alt: The same for those who can't see it.
    """

    kind: str
    width_mm: float
    height_mm: float
    image: str = field(repr=False)
    shapes: tuple[Shape, ...] = field(repr=False)
    letters: tuple[str, str, str, str]
    scale_mm: float
    caption: str
    alt: str


@dataclass(frozen=True, eq=False)
class WindowStudio:
    """What the pictures of all lesions of a study share.

    Attributes:
        scene: Image and labels.
        body: The body in coarse voxels; None where it is not known.
        inner: What shines through the skin, the farthest first: colour, share at which it is drawn, block.
        grey: Values shown as black and white.
        strings: Words and display settings.
        layers: What each look sees of the body and of what is in it, looked at once.
    """

    scene: Scene
    body: Block | None
    inner: tuple[tuple[str, float, Block], ...]
    grey: tuple[float, float]
    strings: Strings = field(repr=False)
    layers: dict[str, tuple[Camera, Layer, tuple[tuple[str, Layer], ...]]] = field(default_factory=dict, repr=False)

    @property
    def display(self) -> Mapping[str, Any]:
        """How windows are drawn."""
        settings: Mapping[str, Any] = self.strings["display"]["window"]
        return settings

    @classmethod
    def of(
        cls, scene: Scene, colours: Mapping[Structure, str], grey: tuple[float, float], strings: Strings
    ) -> WindowStudio:
        """Makes the coarse blocks; without a body in labels or image there is nothing to paint on."""
        settings = strings["display"]["window"]
        target = float(settings["voxel_mm"])
        inner = []
        liver = coarse(scene.labels.mask(*LIVER_CONTENTS), scene.grid, target_mm=target)
        if liver is not None:
            inner.append((colours.get(Structure.LIVER, "#c8845a"), 0.5, liver))
        bone = coarse(_bone(scene, settings), scene.grid, target_mm=float(settings["bone_voxel_mm"]))
        if bone is not None:
            inner.append((colours.get(Structure.BONE, "#e8e2cf"), float(settings["bone_level"]), bone))
        return cls(scene, _body(scene, settings), tuple(inner), grey, strings)

    def look(self, name: str) -> tuple[Camera, Layer, tuple[tuple[str, Layer], ...]]:
        """Camera, skin and what lies under it from one side."""
        if self.body is None:
            raise AssertionError("only asked for where the body is known")
        if name not in self.layers:
            right, down = _LOOKS[name]
            corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.body.filled.shape], indexing="ij"))
            camera = Camera.around(self.body.grid.index_to_lps_mm(corners.reshape(3, 8).T), right=right, down=down)
            pixel, enlarged = float(self.display["pixel_mm"]), int(self.display["enlarged"])
            skin = seen(self.body, camera, level=0.5, mm_per_pixel=pixel, enlarged=enlarged)
            under = tuple(
                (colour, seen(block, camera, level=level, mm_per_pixel=pixel, enlarged=enlarged))
                for colour, level, block in self.inner
            )
            self.layers[name] = camera, skin, under
        return self.layers[name]


def _thin(scene: Scene, target_mm: float) -> tuple[slice, ...]:
    return tuple(slice(None, None, max(1, int(target_mm // s))) for s in scene.grid.spacing_mm)


def _bone(scene: Scene, settings: Mapping[str, Any]) -> BoolArray:
    """Bone as a CT shows it outside labelled organs (contrast shines there too); elsewhere as it was drawn."""
    if scene.volume.quantity is not Quantity.HU:
        return scene.labels.mask(Structure.BONE)
    table = np.zeros(256, dtype=bool)
    table[0] = True
    table[[v for s, v in scene.labels.structures.items() if s in _NOT_ORGANS]] = True
    return np.asarray((scene.volume.array > float(settings["bone_above_hu"])) & table[scene.labels.array])


def _body(scene: Scene, settings: Mapping[str, Any]) -> Block | None:
    """The body from labels that know its outline, else from a CT; None for any other image."""
    target = float(settings["voxel_mm"])
    if scene.labels.has(Structure.BODY):
        mask, grid = np.asarray(scene.labels.array > 0), scene.grid
    elif scene.volume.quantity is Quantity.HU:
        thin = _thin(scene, target / 2)
        tissue = np.asarray(scene.volume.array[thin] > float(settings["skin_above_hu"]))
        opened = ndimage.binary_opening(tissue, iterations=2)
        pieces, count = ndimage.label(opened)
        if count == 0:
            return None
        largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
        mask = ndimage.binary_dilation(pieces == largest, iterations=2) & tissue
        affine = np.array(scene.grid.affine)
        affine[:3, :3] *= [t.step or 1 for t in thin]
        k, j, i = mask.shape
        grid = Grid((k, j, i), affine, scene.grid.frame_of_reference_uid)
    else:
        return None
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in mask])
    return coarse(filled, grid, target_mm=target, open_ended=True)


def window_pictures(
    studio: WindowStudio, window: WindowMap, transducer: Transducer, tumour: tuple[BoolArray, Grid] | None
) -> tuple[WindowPicture, ...]:
    """Two looks at the map on the skin and two cuts through the beam.

    Args:
        studio: What all lesions share.
        window: The lesion's map.
        transducer: Which.
        tumour: Its voxels and their grid, to shine through the skin; None where they can't be told.
    """
    maps: tuple[WindowPicture, ...] = ()
    if studio.body is not None and len(window.depth_mm):
        block = None if tumour is None else coarse(*tumour, target_mm=float(studio.display["tumour_voxel_mm"]))
        maps = tuple(_map(studio, window, transducer, block, look) for look in _LOOKS)
    if window.beam is None:
        return maps
    cuts = zip(("across", "along"), window.beam.fans, strict=True)
    return (*maps, *(_cut(studio, window, window.beam, fan, transducer, name) for name, fan in cuts))


def _map(
    studio: WindowStudio, window: WindowMap, transducer: Transducer, tumour: Block | None, look: str
) -> WindowPicture:
    camera, skin, under = studio.look(look)
    display = studio.display
    pixel, enlarged = float(display["pixel_mm"]), int(display["enlarged"])
    canvas = Canvas(skin.depth_mm.shape)
    depth = np.full(skin.depth_mm.shape, np.inf)
    for colour, layer in under:
        # Of two solid layers the nearer one hides the other.
        cover = np.where(layer.depth_mm < depth, layer.cover, 0.0)
        canvas.lay(_rgb(colour), layer.shade, cover)
        depth = np.where(cover > _HALF, layer.depth_mm, depth)
    if tumour is not None:
        layer = seen(tumour, camera, level=0.5, mm_per_pixel=pixel, enlarged=enlarged)
        # Through the liver it glows; a rib before it hides most of it.
        ribs = under[-1][1] if len(under) > 1 else None
        hidden = 0.0 if ribs is None else ribs.cover * (ribs.depth_mm < layer.depth_mm)
        canvas.lay(_rgb(str(display["tumour_colour"])), layer.shade, layer.cover * (0.95 - 0.6 * hidden))
    painted, strength = _painted(window, camera.lps_mm(skin.depth_mm, pixel / enlarged), display)
    plain = _rgb(str(display["skin_colour"]))
    veil = float(display["veil"]) + (float(display["paint"]) - float(display["veil"])) * strength
    paint = plain + (painted - plain) * strength[..., None]
    canvas.lay(paint, skin.shade, skin.cover * veil)
    caption = say(studio.strings, f"window.map_{look}", lesion=window.lesion)
    return WindowPicture(
        kind="map",
        width_mm=round(camera.width_mm, 2),
        height_mm=round(camera.height_mm, 2),
        image=png_uri(canvas.rgba()),
        shapes=() if window.beam is None else _cone(camera, window.beam, transducer, window.targets_lps_mm[0]),
        letters=(*letters_of(-camera.right, camera.right), *letters_of(-camera.down, camera.down)),
        scale_mm=50.0,
        caption=caption,
        alt=caption,
    )


def _painted(window: WindowMap, places: FloatArray, display: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Colour of each skin pixel, and how much of it is painted: nothing where no entry is near."""
    usable = window.fits & (window.unseen_percent <= float(display["most_unseen_percent"]))
    reach = float(display["entry_reach_mm"])
    if not usable.any():
        return np.zeros(places.shape), np.zeros(places.shape[:2])
    tree = cKDTree(window.entries_lps_mm[usable])
    count = min(_NEIGHBOURS, int(usable.sum()))
    gaps, which = tree.query(places.reshape(-1, 3), k=count, distance_upper_bound=3 * reach)
    gaps, which = gaps.reshape(-1, count), which.reshape(-1, count)
    weights = np.where(np.isfinite(gaps), 1 / (gaps + reach / 4) ** 2, 0.0)
    values = np.append(window.blocked_percent[usable] + window.avoided_percent[usable], 0.0)
    value = (weights * values[which]).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
    strength = np.clip((1.5 * reach - gaps[:, 0]) / (0.5 * reach), 0, 1)
    stops = np.array([_rgb(c) for c in display["colours"]])
    at = np.linspace(0, 100, len(stops))
    colour = np.stack([np.interp(value, at, stops[:, c]) for c in range(3)], axis=1)
    return colour.reshape(places.shape), strength.reshape(places.shape[:2])


def _cone(camera: Camera, beam: Beam, transducer: Transducer, target: FloatArray) -> tuple[Shape, ...]:
    """The transducer's rim, the sides of the cone, the entry and the target, as seen by the camera."""
    fan, other = beam.fans[0].across, beam.fans[1].across
    turn = np.linspace(0, 2 * np.pi, _RIM_POINTS, endpoint=False)
    half = transducer.half_angle
    ring = np.cos(turn)[:, None] * fan + np.sin(turn)[:, None] * other
    skin = target + float((beam.entry_lps_mm - target) @ beam.axis) * (beam.axis + np.tan(half) * ring)
    focus, entry = camera.place(target)[:2], camera.place(beam.entry_lps_mm)[:2]
    sides = hull(np.vstack([camera.place(skin)[:, :2], focus[None]]))
    return (
        Shape("cone", path(sides, closed=True)),
        Shape("footprint", path(camera.place(skin)[:, :2], closed=True)),
        Shape("axis", path(np.array([entry, focus]), closed=False)),
        Shape("target", cross(focus, 4.0)),
        Shape("entry", circle(entry, 4.5)),
    )


def _cut(
    studio: WindowStudio, window: WindowMap, beam: Beam, fan: Fan, transducer: Transducer, name: str
) -> WindowPicture:
    """The image in one plane through the beam's axis, the transducer at the top."""
    target, display = window.targets_lps_mm[0], studio.display
    # The picture's right is the side of the plane that lies to the patient's left, or to the feet.
    side = fan.across if fan.across @ np.array([1.0, 0.0, -1.0]) >= 0 else -fan.across
    above = transducer.focal_length_mm + 6.0
    half = float(display["cut_half_mm"])
    below = float(display["cut_below_mm"])
    corner = target + above * beam.axis - half * side
    camera = Camera(side, -beam.axis, corner, 2 * half, above + below, 1.0)
    pixel = float(display["cut_pixel_mm"])
    rows, columns = round(camera.height_mm / pixel), round(camera.width_mm / pixel)
    index = studio.scene.grid.lps_mm_to_index(camera.lps_mm(np.zeros((rows, columns)), pixel)).transpose(2, 0, 1)
    low, high = studio.grey
    values = _sampled(studio.scene.volume.array, index, order=1, outside=low)
    grey = (np.clip((values - low) / (high - low), 0, 1) * 255 + 0.5).astype(np.uint8)
    count = sum(1 for cause in fan.blocked_by if cause)
    depth = float(np.linalg.norm(beam.entry_lps_mm - target))
    words = {"lesion": window.lesion, "count": count, "rays": len(fan.blocked_by), "depth": f"{depth:.0f}"}
    caption = say(studio.strings, f"window.cut_{name}", **words)
    return WindowPicture(
        kind="cut",
        width_mm=camera.width_mm,
        height_mm=camera.height_mm,
        image=jpeg_uri(grey, quality=int(studio.strings["display"]["jpeg_quality"])),
        shapes=(*_outlines(studio.scene, index, pixel), *_rays(camera, beam, fan, target)),
        letters=(*letters_of(-side, side), *letters_of(beam.axis, -beam.axis)),
        scale_mm=50.0,
        caption=caption,
        alt=caption,
    )


def _sampled(array: NDArray[Any], index: FloatArray, *, order: int, outside: float) -> NDArray[Any]:
    """Values of a volume at places given by index; only the part around them is touched."""
    shape = np.array(array.shape)
    flat = index.reshape(3, -1)
    low = np.clip(np.floor(flat.min(axis=1)).astype(int) - 1, 0, shape - 1)
    high = np.clip(np.ceil(flat.max(axis=1)).astype(int) + 2, 1, shape)
    part = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    inner = index - low[:, None, None]
    kind = np.float32 if order else part.dtype
    return np.asarray(ndimage.map_coordinates(part, inner, order=order, output=kind, mode="constant", cval=outside))


def _outlines(scene: Scene, index: FloatArray, pixel: float) -> tuple[Shape, ...]:
    labels = _sampled(scene.labels.array, index, order=0, outside=0)
    found = []
    for structure in (Structure.LIVER, Structure.TUMOUR):
        wanted = LIVER_CONTENTS if structure is Structure.LIVER else (structure,)
        values = [scene.labels.structures[s] for s in wanted if s in scene.labels.structures]
        if Structure.TUMOUR in wanted:
            values += list(scene.labels.lesions.values())
        mask = ndimage.gaussian_filter(np.isin(labels, values).astype(np.float32), 0.8)
        lines = measure.find_contours(mask, 0.5)  # type: ignore[no-untyped-call]
        edge = "".join(path((line[:, ::-1] + 0.5) * pixel, closed=False) for line in lines)
        if edge:
            found.append(Shape(f"outline s-{structure}", edge))
    return tuple(found)


def _rays(camera: Camera, beam: Beam, fan: Fan, target: FloatArray) -> tuple[Shape, ...]:
    aperture, skin, stop = (camera.place(p)[:, :2] for p in (fan.aperture_lps_mm, fan.skin_lps_mm, fan.stop_lps_mm))
    blocked = np.array([bool(cause) for cause in fan.blocked_by])
    focus, entry = camera.place(target)[:2], camera.place(beam.entry_lps_mm)[:2]

    def lines(starts: FloatArray, ends: FloatArray, chosen: NDArray[np.bool_]) -> str:
        return "".join(path(np.array(pair), closed=False) for pair in zip(starts[chosen], ends[chosen], strict=True))

    shapes = [
        Shape("ray water", lines(aperture, skin, np.ones(len(blocked), dtype=bool))),
        Shape("ray open", lines(skin, stop, ~blocked)),
        Shape("ray shut", lines(skin, stop, blocked)),
        *(
            Shape(f"stop stop-{cause}", "".join(circle(stop[n], 1.3) for n in np.flatnonzero(_is(fan, cause))))
            for cause in sorted(set(fan.blocked_by) - {""})
        ),
        Shape("probe", arc(aperture)),
        Shape("axis", path(np.array([entry, focus]), closed=False)),
        Shape("target", cross(focus, 3.5)),
        Shape("entry", circle(entry, 3.0)),
    ]
    return tuple(shape for shape in shapes if shape.path)


def _is(fan: Fan, cause: str) -> NDArray[np.bool_]:
    return np.array([c == cause for c in fan.blocked_by])


def _rgb(colour: str) -> FloatArray:
    return np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
