"""The HuBMAP reference organs (Visible Human male and female, CC BY 4.0) as voxel bodies.

Skin, liver, spleen, kidneys, pancreas and gallbladder come from the meshes; everything else is the ICRP body of the
same sex, bent to them. The meshes are not watertight, so their surfaces are painted, closed and filled.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.errors import InputRefusedError
from liverimg.training.anatomy.adapting import Laid, Part, adapted, largest_region, trunk_of
from liverimg.training.anatomy.bodies import BODY_SPACING_MM, ByteArray
from liverimg.training.anatomy.fitting import box_of
from liverimg.training.synthesis.tissues import ARM_TISSUES, Tissue

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

_NUMBERS = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTH = {"SCALAR": 1, "VEC3": 3}
_MM_PER_M = 1000.0
_REACH_MM = 260.0
# Voxels of air kept on both sides of the trunk.
_ROOM = 12
_KIDNEY = (Tissue.KIDNEY_CORTEX, Tissue.KIDNEY_MEDULLA, Tissue.KIDNEY_PELVIS)
_ORGANS: Mapping[str, tuple[tuple[Tissue, ...], bool]] = {
    "Liver": ((Tissue.LIVER,), True),
    "Spleen": ((Tissue.SPLEEN,), True),
    "Kidney_L": (_KIDNEY, True),
    "Kidney_R": (_KIDNEY, True),
    "Pancreas": ((Tissue.PANCREAS,), False),
    "Gallbladder": ((Tissue.GALLBLADDER,), False),
}
# Parts of the liver file that are sheets around the organ, not the organ.
_SHEETS = ("ligament",)


def read_triangles(path: Path) -> dict[str, FloatArray]:
    """Triangles of every named part of a GLB file, LPS mm, shape (n, 3, 3).

    Args:
        path: Binary glTF 2.0, in metres, x to the Left, y upwards, z to the Front, without node transforms.
    """
    data = path.read_bytes()
    if data[:4] != b"glTF":
        raise InputRefusedError(f"{path.name} is no binary glTF file: expected the four bytes glTF at its start")
    size = struct.unpack("<I", data[12:16])[0]
    scene, blob = json.loads(data[20 : 20 + size]), data[28 + size :]

    def numbers(accessor: int) -> NDArray[Any]:
        entry = scene["accessors"][accessor]
        view = scene["bufferViews"][entry["bufferView"]]
        kind, width = np.dtype(_NUMBERS[entry["componentType"]]), _WIDTH[entry["type"]]
        if view.get("byteStride", kind.itemsize * width) != kind.itemsize * width:
            raise InputRefusedError(f"{path.name} interleaves its vertices: export it with one buffer per attribute")
        first = view.get("byteOffset", 0) + entry.get("byteOffset", 0)
        return np.frombuffer(blob, kind, entry["count"] * width, first).reshape(-1, width)

    found: dict[str, FloatArray] = {}
    for node in scene["nodes"]:
        for shape in scene["meshes"][node["mesh"]]["primitives"] if "mesh" in node else ():
            points = numbers(shape["attributes"]["POSITION"]).astype(float) * _MM_PER_M
            lps = np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)
            corners = lps[numbers(shape["indices"]).reshape(-1, 3).astype(np.int64)]
            found[node["name"]] = np.concatenate([found[node["name"]], corners]) if node["name"] in found else corners
    return found


def painted(triangles: FloatArray, first_mm: FloatArray, shape: tuple[int, ...], spacing_mm: float) -> BoolArray:
    """Voxels (k, j, i) that a surface passes through.

    Args:
        triangles: LPS mm, shape (n, 3, 3).
        first_mm: LPS mm (x, y, z) of the first voxel.
        shape: Of the result.
        spacing_mm: Isotropic.
    """
    longest = np.linalg.norm(triangles - np.roll(triangles, 1, axis=1), axis=2).max(axis=1)
    mask = np.zeros(shape, dtype=bool)
    for steps in np.unique(np.ceil(longest / (0.45 * spacing_mm)).astype(int)):
        group = triangles[np.ceil(longest / (0.45 * spacing_mm)).astype(int) == steps]
        a, b = np.meshgrid(np.arange(steps + 1), np.arange(steps + 1), indexing="ij")
        keep = a + b <= steps
        weight = np.stack([a[keep], b[keep], steps - a[keep] - b[keep]], axis=1) / max(1, steps)
        points = np.einsum("wc,ncx->nwx", weight, group).reshape(-1, 3)
        index = np.rint((points - first_mm) / spacing_mm).astype(np.int64)[:, ::-1]
        index = index[((index >= 0) & (index < shape)).all(axis=1)]
        mask[tuple(index.T)] = True
    return mask


def filled(surface: BoolArray) -> BoolArray:
    """The inside of a surface with small gaps, with the voxels that the surface passes through."""
    closed = ndimage.binary_closing(np.pad(surface, 4), iterations=2)
    whole = ndimage.binary_fill_holes(closed)
    # Holes that a gap leaves open in space are mostly closed within some slice.
    for axis in range(3):
        planes = np.moveaxis(whole, axis, 0)
        planes[...] = [ndimage.binary_fill_holes(plane) for plane in planes]
    return np.asarray(ndimage.binary_opening(whole)[4:-4, 4:-4, 4:-4])


def read_mesh_body(folder: Path, sex: str, atlas: ByteArray) -> ByteArray:
    """A Visible Human body around its liver.

    Args:
        folder: With the GLB files ``VH_<sex>_<organ>.glb``.
        sex: ``M`` or ``F``.
        atlas: The ICRP body of the same sex, from :func:`liverimg.training.anatomy.bodies.read_body`.
    """
    organs = {name: _surface(folder / f"VH_{sex}_{name}.glb") for name in _ORGANS}
    skin = _surface(folder / f"VH_{sex}_Skin.glb")
    liver = organs["Liver"].reshape(-1, 3)
    middle_z = 0.5 * (liver[:, 2].min() + liver[:, 2].max())
    near = skin[np.abs(skin[:, :, 2] - middle_z).max(axis=1) < _REACH_MM + 30].reshape(-1, 3)
    first = np.array([*(near.min(axis=0)[:2] - 20.0), middle_z - _REACH_MM])
    last = np.array([*(near.max(axis=0)[:2] + 20.0), middle_z + _REACH_MM])
    shape = tuple(int(n) for n in np.ceil((last - first) / BODY_SPACING_MM)[::-1])
    outline = painted(skin, first, shape, BODY_SPACING_MM)
    trunk = _without_shoulders(np.asarray([_trunk_plane(plane) for plane in outline]))
    # Arms stick out far; without them the grid is half as wide.
    columns = np.flatnonzero(trunk.any(axis=(0, 1)))
    left, right = max(0, columns[0] - _ROOM), columns[-1] + 1 + _ROOM
    trunk, first = trunk[:, :, left:right], first + np.array([left * BODY_SPACING_MM, 0.0, 0.0])
    shape = trunk.shape
    parts = []
    for name, (tissues, bends) in _ORGANS.items():
        mask = filled(painted(organs[name], first, shape, BODY_SPACING_MM))
        parts.append(Part(tissues, mask & trunk, bends))
    parts = _kidneys_as_one(parts)
    body = adapted(_laid(atlas, trunk, parts), trunk, parts, known=np.ones(shape, dtype=bool))
    # The ICRP arms are no longer where this body's would be.
    body[np.isin(body, ARM_TISSUES)] = Tissue.AIR
    return body


def _surface(path: Path) -> FloatArray:
    parts = read_triangles(path)
    return np.concatenate([t for name, t in parts.items() if not any(word in name for word in _SHEETS)])


def _trunk_plane(outline: BoolArray) -> BoolArray:
    """The region within the skin of one slice that holds the body's middle; arms apart from it are left out."""
    inside = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(outline, 3), iterations=2))[3:-3, 3:-3]
    return largest_region(ndimage.binary_opening(inside, iterations=2))


def _without_shoulders(trunk: BoolArray) -> BoolArray:
    """Cuts off what sticks out sideways beyond the belly where the arms join the trunk."""
    middle = len(trunk) // 2
    columns = np.flatnonzero(trunk[middle - 24 : middle - 8].any(axis=(0, 1)))
    allowed = 0.06 * (columns[-1] - columns[0])
    out = trunk.copy()
    out[:, :, : int(columns[0] - allowed)] = False
    out[:, :, int(columns[-1] + allowed) :] = False
    return out


def _kidneys_as_one(parts: list[Part]) -> list[Part]:
    """Both kidneys are made of the same tissues, so they are one part."""
    kidneys = [part for part in parts if part.tissues == _KIDNEY]
    both = np.logical_or.reduce([part.mask for part in kidneys])
    return [Part(_KIDNEY, both), *[part for part in parts if part.tissues != _KIDNEY]]


def _laid(atlas: ByteArray, trunk: BoolArray, parts: list[Part]) -> Laid:
    """Heights by the organs, width and depth by the trunk at the liver's level."""
    bending = [part for part in parts if part.bends]
    here = np.array([ndimage.center_of_mass(part.mask)[0] for part in bending])
    there = np.array([ndimage.center_of_mass(np.isin(atlas, part.tissues))[0] for part in bending])
    box = box_of(np.asarray(_level(trunk, here.mean())))
    atlas_box = box_of(_level(trunk_of(atlas), there.mean()))
    return Laid.by_boxes(atlas, box, atlas_box, level=here.mean(), atlas_level=there.mean())


def _level(trunk: BoolArray, k: float) -> BoolArray:
    return trunk[max(0, int(k) - 12) : int(k) + 12]
