"""Further bodies: bent to another person's outline and organs, from meshes or from a labelled scan."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from liverimg.core.errors import InputRefusedError
from liverimg.training.anatomy.adapting import Laid, Part, adapted, set_in
from liverimg.training.anatomy.body_sources import named_body
from liverimg.training.anatomy.mesh_body import filled, painted, read_triangles
from liverimg.training.scoring.metrics import dice
from liverimg.training.synthesis.tissues import Tissue


def _ball(shape: tuple[int, ...], centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    grid = np.indices(shape)
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) < 1


def _octahedron(path: Path, radius_m: float) -> None:
    """A GLB file with one part, as the reference organs are laid out."""
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.float32)
    points = points * np.float32(radius_m)
    faces = np.array([[x, y, z] for x in (0, 1) for y in (2, 3) for z in (4, 5)], dtype=np.uint16)
    blob = points.tobytes() + faces.tobytes()
    views = [{"buffer": 0, "byteOffset": 0, "byteLength": 72}, {"buffer": 0, "byteOffset": 72, "byteLength": 48}]
    scene = {
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 6, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 24, "type": "SCALAR"},
        ],
        "bufferViews": views,
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "nodes": [{"name": "top"}, {"name": "organ", "mesh": 0}],
    }
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    head = b"glTF" + struct.pack("<II", 2, 28 + len(text) + len(blob))
    path.write_bytes(
        head + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(blob), b"BIN\0") + blob
    )


def test_a_mesh_is_read_painted_and_filled(tmp_path: Path) -> None:
    _octahedron(tmp_path / "organ.glb", 0.03)
    parts = read_triangles(tmp_path / "organ.glb")
    assert parts.keys() == {"organ"}
    assert parts["organ"].shape == (8, 3, 3)
    solid = filled(painted(parts["organ"], np.full(3, -50.0), (51, 51, 51), 2.0))
    k, j, i = np.indices(solid.shape)
    depth = 15 - (np.abs(k - 25) + np.abs(j - 25) + np.abs(i - 25))
    assert solid[depth > 2].all()
    assert not solid[depth < -1].any()
    assert dice(solid, depth >= 0) > 0.9


def test_a_mesh_in_metres_lands_in_patient_space(tmp_path: Path) -> None:
    _octahedron(tmp_path / "organ.glb", 0.03)
    corners = read_triangles(tmp_path / "organ.glb")["organ"].reshape(-1, 3)
    assert np.allclose(corners.max(axis=0), 30.0)
    assert np.allclose(corners.min(axis=0), -30.0)


def test_a_file_that_is_no_mesh_is_refused(tmp_path: Path) -> None:
    (tmp_path / "organ.glb").write_bytes(b"solid organ")
    with pytest.raises(InputRefusedError, match="no binary glTF"):
        read_triangles(tmp_path / "organ.glb")


def test_an_unknown_body_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefusedError, match="no body XX"):
        named_body("XX", tmp_path, kept=tmp_path)


def test_a_body_takes_on_another_outline_and_liver() -> None:
    shape = (48, 60, 72)
    atlas = np.zeros(shape, dtype=np.uint8)
    atlas[_ball(shape, (24, 30, 36), (90, 22, 26))] = Tissue.FAT
    atlas[_ball(shape, (24, 30, 28), (10, 10, 11))] = Tissue.LIVER
    atlas[_ball(shape, (24, 44, 36), (90, 5, 5))] = Tissue.BONE_SPONGIOSA
    trunk = _ball(shape, (24, 30, 36), (90, 26, 32))
    liver = _ball(shape, (26, 28, 26), (12, 12, 12))
    middle = np.array([24.0, 30.0, 36.0])
    laid = Laid(atlas, np.ones(3), middle, middle)
    body = adapted(laid, trunk, [Part((Tissue.LIVER,), liver)], known=np.ones(shape, dtype=bool))
    assert ((body == Tissue.LIVER) == liver).all()
    assert ((body != Tissue.AIR) == trunk).all()
    # What the other person's source does not show came along: the spine, further back than before.
    spine = np.argwhere(body == Tissue.BONE_SPONGIOSA)
    assert 44 < spine[:, 1].mean() < 52


def test_an_organ_that_shrinks_leaves_its_neighbours_not_a_hole() -> None:
    tissue = np.full((20, 20, 20), Tissue.FAT, dtype=np.uint8)
    tissue[5:15, 5:15, 5:15] = Tissue.SPLEEN
    mask = np.zeros(tissue.shape, dtype=bool)
    mask[7:12, 7:12, 7:12] = True
    set_in(tissue, Part((Tissue.SPLEEN,), mask))
    assert ((tissue == Tissue.SPLEEN) == mask).all()
    assert (tissue[~mask] == Tissue.FAT).all()
