"""Masks in NIfTI: one file a structure, or one file whose header names its values, as TotalSegmentator writes them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from liverimg.core.drawing import Drawing, Drawings
from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.files import nifti

_SUFFIXES = (".nii.gz", ".nii")
_LARGEST_EXTENSION_BYTES = 1 << 20
_UNREADABLE = (OSError, EOFError, ValueError, OverflowError, zlib.error, ImageFileError)


def is_nifti_name(path: Path) -> bool:
    """Whether a file is called as NIfTI files are."""
    return path.name.lower().endswith(_SUFFIXES)


def stem(path: Path) -> str:
    """A NIfTI file's name without its suffix."""
    return re.sub(r"\.nii(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def mask_files(folder: Path) -> tuple[Path, ...]:
    """The NIfTI files right in a folder, by name; nothing below it, no links."""
    return tuple(sorted(p for p in folder.iterdir() if is_nifti_name(p) and p.is_file() and not p.is_symlink()))


def names_in_header(path: Path) -> dict[str, int]:
    """Value of each name that the header's extension lists (the LabelTable of a CaretExtension); none without one.

    Raises:
        InputRefusedError: The file is not readable, or its list is damaged or gives a name twice.
    """
    try:
        image: Any = nibabel.load(path)
        extensions = [e.get_content() for e in image.header.extensions] if hasattr(image, "header") else []
    except (*_UNREADABLE, AttributeError) as error:
        raise InputRefusedError(
            f"{path.name} is not a readable NIfTI file ({type(error).__name__}); expected .nii or .nii.gz"
        ) from error
    for content in extensions:
        text = content if isinstance(content, bytes) else str(content).encode()
        if b"<CaretExtension>" in text:
            return _label_table(path, text)
    return {}


def _label_table(path: Path, text: bytes) -> dict[str, int]:
    damaged = f"the list of names in the header of {path.name} is damaged; write the file anew, or put a JSON beside it"
    # A list of names declares no entities; one that does is not parsed.
    if len(text) > _LARGEST_EXTENSION_BYTES or b"<!" in text.replace(b"<![CDATA[", b""):
        raise InputRefusedError(damaged)
    try:
        rows = ElementTree.fromstring(text.strip(b"\0 \n")).iter("Label")
        pairs = [((row.text or "").strip(), int(row.attrib["Key"])) for row in rows]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise InputRefusedError(damaged) from error
    pairs = [(name, value) for name, value in pairs if value > 0 and name]
    if len({name for name, _ in pairs}) != len(pairs) or len({value for _, value in pairs}) != len(pairs):
        raise InputRefusedError(damaged)
    return dict(pairs)


def read_named_values(path: Path, names: Mapping[str, int], *, on: Grid) -> Drawings:
    """One drawing per named value of a label map that lies on a known grid.

    Args:
        path: The NIfTI file.
        names: Value of each name.
        on: The grid that it must lie on.

    Raises:
        InputRefusedError: As :func:`liverimg.files.nifti.read_labels`.
        GridMismatchError: It lies elsewhere.
    """

    @cache
    def whole() -> NDArray[Any]:
        return nifti.read_labels(path, {}, lesions={}, on=on).array

    def of(value: int) -> Callable[[], BoolArray]:
        return lambda: np.asarray(whole() == value)

    return Drawings(tuple(Drawing(n, of(v), always_there=True) for n, v in names.items()), on)


def read_mask_folder(folder: Path, *, on: Grid) -> Drawings:
    """One drawing per file of a folder, called as the file is.

    Args:
        folder: Holds one mask a file: 0, and one other value.
        on: The grid that all of them must lie on.

    Raises:
        InputRefusedError: No NIfTI file in the folder; of a single file, once it is read.
        GridMismatchError: A file lies elsewhere, once it is read.
    """
    files = mask_files(folder)
    if not files:
        raise InputRefusedError(
            f"the folder {folder.name} holds no NIfTI file, expected one mask a structure, such as liver.nii.gz"
        )

    def of(path: Path) -> Callable[[], BoolArray]:
        return lambda: _single(path, on)

    return Drawings(tuple(Drawing(stem(p), of(p), always_there=True) for p in files), on)


def _single(path: Path, on: Grid) -> BoolArray:
    array = nifti.read_labels(path, {}, lesions={}, on=on).array
    mask = np.asarray(array > 0)
    values = np.unique(array[mask])
    if len(values) > 1:
        raise InputRefusedError(
            f"{path.name} holds {len(values)} label values, expected one mask a file; give the file itself to --labels "
            "with a JSON of names beside it"
        )
    return mask
