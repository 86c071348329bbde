"""Surfaces in MZ3, NiiVue's own small format: triangles and points, in RAS millimetres as everything that it reads."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from isal import igzip
from numpy.typing import NDArray

from liverimg.files.nifti import lps_to_ras

_MAGIC: Final = 0x5A4D
_HAS_FACES, _HAS_VERTICES = 1, 2
_COMPRESSION_LEVEL: Final = 1


def mz3_bytes(vertices_lps_mm: NDArray[np.floating], triangles: NDArray[np.integer]) -> bytes:
    """A surface as the bytes of an MZ3 file, compressed; equal surfaces give equal bytes.

    Args:
        vertices_lps_mm: Shape (n, 3).
        triangles: Indices of vertices, shape (m, 3).
    """
    header = struct.pack("<HHIII", _MAGIC, _HAS_FACES | _HAS_VERTICES, len(triangles), len(vertices_lps_mm), 0)
    faces = np.ascontiguousarray(triangles, dtype="<i4").tobytes()
    points = np.ascontiguousarray(lps_to_ras(vertices_lps_mm), dtype="<f4").tobytes()
    # Two axes turn round together, so the triangles keep their sense.
    return bytes(igzip.compress(header + faces + points, compresslevel=_COMPRESSION_LEVEL, mtime=0))
