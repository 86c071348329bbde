"""The bodies that livers are set in, by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from liverimg.core.errors import InputRefusedError
from liverimg.training.anatomy.bodies import ByteArray, read_body
from liverimg.training.anatomy.ct_body import read_ct_body
from liverimg.training.anatomy.mesh_body import read_mesh_body

BODY_NAMES = ("AM", "AF", "CT", "HM", "HF")
"""ICRP 110 male and female, the trunk CT, Visible Human male and female."""


def named_body(name: str, data: Path, *, kept: Path) -> ByteArray:
    """A body by its name; made once, then read from where it is kept.

    Args:
        name: One of ``BODY_NAMES``.
        data: Folder with ``phantom_icrp110``, ``ct_totalsegmentator`` and ``meshes_hubmap``.
        kept: Folder for finished bodies.
    """
    if name not in BODY_NAMES:
        raise InputRefusedError(f"there is no body {name}: expected one of {', '.join(BODY_NAMES)}")
    path = kept / f"{name}.npz"
    if path.exists():
        with np.load(path) as found:
            body: ByteArray = found["tissue"]
        return body
    body = _made(name, data, kept)
    kept.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, tissue=body)
    part.rename(path)
    return body


def _made(name: str, data: Path, kept: Path) -> ByteArray:
    if name == "CT":
        return read_ct_body(data / "ct_totalsegmentator", named_body("AM", data, kept=kept))
    if name in ("HM", "HF"):
        sex = name[1]
        return read_mesh_body(data / "meshes_hubmap", sex, named_body(f"A{sex}", data, kept=kept))
    return read_body(data / "phantom_icrp110" / f"{name}.nii.gz")
