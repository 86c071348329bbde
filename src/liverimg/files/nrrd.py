"""NRRD in, above all 3D Slicer's ``.seg.nrrd``: segments with names, codes, values and layers.

Axes run fastest first in the file and (k, j, i) here; the space is turned into LPS at this one place. Slicer's
fields (``Segment0_Name``, ``_LabelValue``, ``_Layer``, ``_Tags``) are described in its developer guide under
"Segmentation file format". Data in a second file are refused: a header from outside names no file to open.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
from numpy.typing import NDArray

from liverimg.core.drawing import Drawing, Drawings
from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.files.label_values import whole

_MAGIC = b"NRRD"
_SPACES = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
_SEGMENT = re.compile(r"Segment(\d+)_(\w+)")
# Slicer writes this for a segment that nobody gave a meaning: it says nothing of what was drawn.
_SAYS_NOTHING = frozenset(("SCT:85756007", "SRT:T-D0050"))
_UNREADABLE = (
    nrrd.NRRDError, OSError, EOFError, ValueError, KeyError, IndexError, TypeError, OverflowError, zlib.error,
)  # fmt: skip
_LARGEST_LABEL = 65535


@dataclass(frozen=True)
class _Segment:
    name: str
    value: int
    layer: int
    codes: tuple[str, ...]
    region_codes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Header:
    grid: Grid
    list_axis: int | None
    segments: tuple[_Segment, ...]


def is_nrrd(path: Path) -> bool:
    """Whether a file starts as NRRD does."""
    with path.open("rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


def has_segments(path: Path) -> bool:
    """Whether the file names its segments, as 3D Slicer's do.

    Raises:
        InputRefusedError: As :func:`read_nrrd_grid`.
    """
    return bool(_header(path).segments)


def read_nrrd_grid(path: Path) -> Grid:
    """Where the voxels lie; reads the header only.

    Raises:
        InputRefusedError: Unreadable, or the header does not say where in the patient its voxels lie.
    """
    return _header(path).grid


def read_nrrd(path: Path, *, names: Mapping[str, int]) -> Drawings:
    """Segments of a ``.seg.nrrd``, or the named values of a plain label map.

    Args:
        path: The file.
        names: Value of each name, for a file without segments of its own.

    Raises:
        InputRefusedError: Unreadable, no place, fractions, or several volumes that are no layers.
    """
    header = _header(path)
    segments = header.segments or tuple(_Segment(n, v, 0, (), ()) for n, v in names.items())

    @cache
    def whole() -> NDArray[Any]:
        return _whole_values(path)

    drawings = tuple(
        Drawing(s.name, _mask(whole, s, header.list_axis), s.codes, s.region_codes, always_there=bool(header.segments))
        for s in segments
    )
    return Drawings(drawings, header.grid)


def _mask(whole: Callable[[], NDArray[Any]], segment: _Segment, list_axis: int | None) -> Callable[[], BoolArray]:
    def read() -> BoolArray:
        array = whole()
        layer = array if list_axis is None else np.take(array, segment.layer, axis=list_axis)
        return np.asarray(layer == segment.value)

    return read


def _header(path: Path) -> _Header:
    try:
        fields = nrrd.read_header(str(path))
        sizes = [int(n) for n in fields["sizes"]]
        directions = np.asarray([_row(row) for row in fields.get("space directions", ())], dtype=float)
    except FileNotFoundError:
        raise InputRefusedError(f"{path.name} does not exist; expected an NRRD file") from None
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if "data file" in fields or "datafile" in fields:
        raise InputRefusedError(
            f"{path.name} keeps its voxels in another file, expected one; save it as one .nrrd file"
        )
    signs = _SPACES.get(str(fields.get("space", "")).strip().lower())
    if signs is None or "space origin" not in fields or directions.shape != (len(sizes), 3):
        raise InputRefusedError(
            f"{path.name} does not say where in the patient its voxels lie, expected space, origin and directions; "
            "export it from the image that it was drawn on"
        )
    domain = [a for a in range(len(sizes)) if np.isfinite(directions[a]).all()]
    segments = _segments(path, fields)
    if len(domain) != 3 or len(sizes) > 4 or (len(sizes) == 4 and not segments):
        raise InputRefusedError(
            f"{path.name} has {len(sizes)} dimensions, expected 3, or 4 with named segments in layers; save one volume"
        )
    # Fastest first in the file: the last array axis is the first in the header.
    others = [a for a in range(len(sizes)) if a not in domain]
    list_axis = len(sizes) - 1 - others[0] if others else None
    layers = sizes[others[0]] if others else 1
    if any(not 0 <= s.layer < layers for s in segments):
        raise InputRefusedError(f"{path.name} names a layer that is not there; it has {layers}; save it anew")
    try:
        return _Header(_grid(fields, sizes, directions, domain, signs), list_axis, segments)
    except (ValueError, TypeError) as error:
        raise InputRefusedError(f"{path.name} says nothing usable of where it lies: {error}; export it anew") from error


def _row(row: Any) -> list[float]:
    return [np.nan] * 3 if row is None else [float(v) for v in row]


def _grid(
    fields: Mapping[str, Any], sizes: list[int], directions: NDArray[Any], domain: list[int], signs: tuple[int, ...]
) -> Grid:
    i, j, k = domain
    affine = np.eye(4)
    affine[:3, :3] = (directions[[k, j, i]] * signs).T
    affine[:3, 3] = np.asarray(fields["space origin"], dtype=float) * signs
    return Grid((sizes[k], sizes[j], sizes[i]), affine)


def _segments(path: Path, fields: Mapping[str, Any]) -> tuple[_Segment, ...]:
    """Slicer's segments in the order of their numbers; none in a plain file."""
    found: dict[int, dict[str, str]] = {}
    for key, value in fields.items():
        match = _SEGMENT.fullmatch(str(key))
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = str(value)
    has_values = all("LabelValue" in own for own in found.values())
    layered = len([s for s in fields["sizes"] if s]) == 4
    if found and not has_values and not layered and len(found) > 1:
        raise InputRefusedError(f"{path.name} has segments without a LabelValue, expected one for each; save it anew")
    segments = []
    for order, (number, own) in enumerate(sorted(found.items())):
        codes, region = _tags(own.get("Tags", ""))
        try:
            # Before LabelValue and Layer were written, each segment had a layer of its own with ones.
            value = int(own["LabelValue"]) if has_values else 1
            layer = int(own.get("Layer", 0)) if has_values else order if layered else 0
        except ValueError:
            raise InputRefusedError(
                f"{path.name} has a LabelValue or Layer that is no whole number; save it anew"
            ) from None
        name = own.get("Name") or own.get("ID") or f"segment {number}"
        segments.append(_Segment(name, value, layer, codes, region))
    return tuple(segments)


def _tags(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Type and anatomic region of ``TerminologyEntry:context~category~type~modifier~context~region~modifier``."""
    for tag in text.split("|"):
        if "TerminologyEntry:" in tag:
            parts = tag.split("TerminologyEntry:", 1)[1].split("~")
            return _code(parts, 2), _code(parts, 5)
    return (), ()


def _code(parts: list[str], at: int) -> tuple[str, ...]:
    scheme, _, rest = parts[at].partition("^") if at < len(parts) else ("", "", "")
    code = f"{scheme}:{rest.partition('^')[0]}"
    return (code,) if scheme and rest.partition("^")[0] and code not in _SAYS_NOTHING else ()


def _whole_values(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as stream:
            fields = nrrd.read_header(stream)
            values = np.asarray(nrrd.read_data(fields, stream, str(path), index_order="C"))
    except (*_UNREADABLE, MemoryError) as error:
        raise _unreadable(path, error) from error
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise InputRefusedError(f"{path.name} holds {values.dtype} values, expected whole label values")
    values = whole(values, file_name=path.name, largest=_LARGEST_LABEL)
    return values.astype(np.uint8 if not values.size or values.max() <= 255 else np.uint16, copy=False)


def _unreadable(path: Path, error: BaseException) -> InputRefusedError:
    return InputRefusedError(f"{path.name} is not a readable NRRD file ({type(error).__name__}); expected .nrrd")
