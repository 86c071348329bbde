"""Images as data URIs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def jpeg_uri(grey: NDArray[np.uint8], *, quality: int) -> str:
    """The image as a data URI, without any metadata."""
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, format="JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def png_uri(rgba: NDArray[np.uint8]) -> str:
    """The image as a data URI of 256 colours, without any metadata."""
    buffer = io.BytesIO()
    few = Image.fromarray(rgba).quantize(256, method=Image.Quantize.FASTOCTREE)
    few.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def thinned(rgba: NDArray[np.floating], factor: int) -> NDArray[np.floating]:
    """A picture made smaller by averaging blocks of pixels, colours weighted by how opaque they are.

    Args:
        rgba: From 0 to 1, shape (rows, columns, 4).
        factor: Pixels of a block along each side.
    """
    rows, columns = (n // factor for n in rgba.shape[:2])
    made = np.zeros((rows, columns, 4), dtype=rgba.dtype)
    for down in range(factor):
        for across in range(factor):
            part = rgba[down : rows * factor : factor, across : columns * factor : factor]
            made[..., :3] += part[..., :3] * part[..., 3:]
            made[..., 3] += part[..., 3]
    made /= factor**2
    made[..., :3] /= np.maximum(made[..., 3:], 1e-6)
    return made
