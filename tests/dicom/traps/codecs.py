"""JPEG streams that pydicom cannot write: lossless and baseline, the smallest encoders that are right."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def baseline_jpeg(stored: np.ndarray) -> bytes:
    """8-bit lossy JPEG of the best quality."""
    out = io.BytesIO()
    Image.fromarray(stored).save(out, format="JPEG", quality=100, subsampling=0)
    return out.getvalue()


def lossless_jpeg(stored: np.ndarray) -> bytes:
    """Lossless JPEG of 16-bit values, predictor 1 (left neighbour), Huffman coded (ITU-T T.81 annex H)."""
    values = stored.astype(np.int32)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 1 << 15
    # Differences are modulo 2^16, read as -32767 .. 32768.
    difference = ((values - predicted + 32767) & 0xFFFF) - 32767
    # One Huffman code of five bits for each of the 17 categories: not short, but valid.
    bits: list[str] = []
    for value in difference.ravel().tolist():
        category = abs(value).bit_length()
        bits.append(f"{category:05b}")
        if 0 < category < 16:
            bits.append(f"{value if value > 0 else value + (1 << category) - 1:0{category}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    rows, columns = stored.shape
    frame = b"\xff\xc3\0\x0b\x10" + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + b"\x01\x01\x11\0"
    counts = bytes([0, 0, 0, 0, 17]) + bytes(11)
    table = b"\xff\xc4" + (2 + 1 + 16 + 17).to_bytes(2, "big") + b"\0" + counts + bytes(range(17))
    start = b"\xff\xda\0\x08\x01\x01\0\x01\0\0"
    return b"\xff\xd8" + frame + table + start + scan + b"\xff\xd9"
