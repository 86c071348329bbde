"""The beam of an acoustic window, cut through the image, and all pictures of a window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from liverimg.core.grid import Grid
from liverimg.core.labels import LIVER_CONTENTS, BoolArray, Structure
from liverimg.core.window import Beam, Fan, Transducer, WindowMap
from liverimg.report.encode import jpeg_uri
from liverimg.report.planes import Scene, letters_of
from liverimg.report.sampling import Lattice, sampled
from liverimg.report.surface3d import coarse
from liverimg.report.text import say
from liverimg.report.window_map import map_picture
from liverimg.report.window_shapes import Shape, arc, circle, cross, path
from liverimg.report.window_studio import LOOKS, WindowPicture, WindowStudio
from liverimg.report.window_view import Camera

FloatArray = NDArray[np.float64]


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
        maps = tuple(map_picture(studio, window, transducer, block, look) for look in LOOKS)
    if window.beam is None:
        return maps
    cuts = zip(("across", "along"), window.beam.fans, strict=True)
    return (*maps, *(_cut(studio, window, window.beam, fan, transducer, name) for name, fan in cuts))


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
    index = Lattice.of(camera, studio.scene.grid, pixel_mm=pixel).indices()
    low, high = studio.grey
    values = sampled(studio.scene.volume.array, index, order=1, outside=low)
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


def _outlines(scene: Scene, index: FloatArray, pixel: float) -> tuple[Shape, ...]:
    labels = sampled(scene.labels.array, index, order=0, outside=0)
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
