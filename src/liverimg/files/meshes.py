"""Surfaces as files for planning systems and viewers: STL in patient millimetres, GLB for anything that shows glTF."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import trimesh
from numpy.typing import NDArray

# The first 80 bytes of a binary STL are free text; 3D Slicer reads the space from there, and falls back to LPS.
_STL_HEADER: Final = b"SPACE=LPS; UNIT=mm; liverimg"
# glTF: metres, +Y up, +Z to the front, the viewer's left is +X. Patient: Left to X, Superior to Y, Anterior to Z.
_GLTF_FROM_LPS_MM: Final = np.array([[0.001, 0, 0, 0], [0, 0, 0.001, 0], [0, -0.001, 0, 0], [0, 0, 0, 1]], dtype=float)
_OPACITY: Final = 255


@dataclass(frozen=True, eq=False)
class Body:
    """A surface with a name.

    Attributes:
        name: Of our own making: becomes part of a file's name.
        vertices_lps_mm: Shape (n, 3).
        faces: Shape (m, 3).
        colour: sRGB, ``#rrggbb``.
        opacity: 0 to 1, in the GLB.
    """

    name: str
    vertices_lps_mm: NDArray[np.float64] = field(repr=False)
    faces: NDArray[np.int32] = field(repr=False)
    colour: str
    opacity: float = 1.0


def write_stl(path: Path, body: Body) -> None:
    """Writes a binary STL in LPS millimetres, and says so in its header; equal surfaces give equal bytes."""
    stl = trimesh.exchange.stl.export_stl(_mesh(body))
    path.write_bytes(_STL_HEADER.ljust(80, b" ") + stl[80:])


def write_glb(path: Path, bodies: Sequence[Body]) -> None:
    """Writes all surfaces into one binary glTF; its nodes carry their names, the root turns LPS millimetres into glTF's
    metres.
    """
    scene = trimesh.Scene(base_frame="patient_lps_mm")
    for body in bodies:
        mesh = _mesh(body)
        red, green, blue = (int(body.colour[n : n + 2], 16) for n in (1, 3, 5))
        mesh.visual = trimesh.visual.TextureVisuals(  # type: ignore[no-untyped-call]
            material=trimesh.visual.material.PBRMaterial(  # type: ignore[no-untyped-call]
                name=body.name,
                baseColorFactor=[red, green, blue, round(body.opacity * _OPACITY)],
                metallicFactor=0.0,
                roughnessFactor=0.8,
                alphaMode="OPAQUE" if body.opacity >= 1 else "BLEND",
                doubleSided=True,
            )
        )
        scene.add_geometry(mesh, geom_name=body.name, node_name=body.name)
    path.write_bytes(_with_root_matrix(scene.export(file_type="glb")))  # type: ignore[no-untyped-call]


def _with_root_matrix(glb: bytes) -> bytes:
    """Puts the step from patient to glTF coordinates into the root node, where vertices may stay LPS millimetres."""
    (length,) = struct.unpack_from("<I", glb, 12)
    tree: dict[str, Any] = json.loads(glb[20 : 20 + length])
    for root in tree["scenes"][tree.get("scene", 0)]["nodes"]:
        tree["nodes"][root].pop("translation", None)
        tree["nodes"][root]["matrix"] = _GLTF_FROM_LPS_MM.T.ravel().tolist()
    tree["asset"]["generator"] = "liverimg, by trimesh"
    tree["asset"]["extras"] = {"vertices": "LPS millimetres of the scan; the root node's matrix makes glTF of them"}
    text = json.dumps(tree, sort_keys=True, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 4)
    rest = glb[20 + length :]
    total = 12 + 8 + len(text) + len(rest)
    return struct.pack("<4sII", b"glTF", 2, total) + struct.pack("<I4s", len(text), b"JSON") + text + rest


def _mesh(body: Body) -> trimesh.Trimesh:
    return trimesh.Trimesh(body.vertices_lps_mm, body.faces, process=False, validate=False)
