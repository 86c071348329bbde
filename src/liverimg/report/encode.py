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
