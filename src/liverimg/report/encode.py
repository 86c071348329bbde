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


def thinned(rgba: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """A picture made smaller by averaging blocks of pixels, colours weighted by how opaque they are.

    Args:
        rgba: From 0 to 1, shape (rows, columns, 4).
        factor: Pixels of a block along each side.
    """
    rows, columns = (n // factor for n in rgba.shape[:2])
    blocks = rgba[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor, 4)
    alpha = blocks[..., 3:].mean(axis=(1, 3))
    colour = (blocks[..., :3] * blocks[..., 3:]).mean(axis=(1, 3)) / np.maximum(alpha, 1e-6)
    return np.asarray(np.concatenate([colour, alpha], axis=-1))
