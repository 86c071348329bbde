"""NIfTI in and out: the one place where LPS becomes RAS and (k, j, i) becomes (i, j, k)."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import nibabel
import numpy as np
from isal import igzip, igzip_lib
from nibabel.filebasedimages import ImageFileError
from nibabel.volumeutils import apply_read_scaling
from numpy.typing import NDArray

from liverimg.core.errors import GridMismatchError, InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.files.label_values import whole

# NIfTI's x and y run to the Right and the Anterior: both ends of the first two axes change sign.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# NIfTI stores (i, j, k, 1); our index vectors are (k, j, i, 1).
_KJI_TO_IJK = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=float)
_SCANNER_ANATOMICAL = 1
_MAXIMUM_LABEL = 255
# Level 1 is the speed that makes compressed volumes worth writing at all (see docs/explanation/libraries.md).
_COMPRESSION_LEVEL = 1
# What nibabel and the decompressor raise on a file that is cut off, damaged or something else.
_UNREADABLE: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    zlib.error,
    cast("type[Exception]", igzip_lib.IsalError),
    ImageFileError,
)


def write_volume(path: Path, volume: Volume) -> None:
    """Writes a volume as ``.nii.gz``; equal volumes give equal bytes."""
    _write(path, volume.array, volume.grid)


def write_labels(path: Path, labels: LabelMap) -> None:
    """Writes label values as ``.nii.gz`` of unsigned bytes. The names belong beside it, in ``labels.json``."""
    _write(path, labels.array, labels.grid)


def read_label_values(path: Path, *, on: Grid) -> NDArray[np.uint8]:
    """Values that :func:`write_label_values` wrote, on a known grid.

    Raises:
        InputRefusedError: Unreadable, or the values are not whole numbers from 0 to 255.
        GridMismatchError: They lie on another grid.
    """
    return read_labels(path, {}, lesions={}, on=on).array


def write_label_values(path: Path, values: NDArray[np.uint8], grid: Grid) -> None:
    """Writes values of parts that are no structures as ``.nii.gz`` of unsigned bytes; a record says what they mean."""
    _write(path, values, grid)


def label_bytes(values: NDArray[np.uint8], grid: Grid) -> bytes:
    """What :func:`write_label_values` writes, for somebody who wants no file."""
    return _encoded(values, grid)


def lps_to_ras(points_lps_mm: NDArray[np.floating]) -> NDArray[np.float64]:
    """Points in patient space, shape (..., 3), as NIfTI and its readers place them."""
    signs: NDArray[np.float64] = np.diag(_LPS_TO_RAS)[:3]
    return np.asarray(points_lps_mm, dtype=np.float64) * signs


def write_percent(path: Path, percent: NDArray[np.uint8], grid: Grid) -> None:
    """Writes a percentage for each voxel as ``.nii.gz`` of unsigned bytes, 0 to 100."""
    _write(path, percent, grid)


def read_volume(path: Path, quantity: Quantity, *, frame_of_reference_uid: str | None = None) -> Volume:
    """Reads a scalar volume.

    Raises:
        InputRefusedError: The file is not a readable three-dimensional NIfTI.
    """
    image, grid = _open(path, frame_of_reference_uid)
    return Volume(_values(path, image, grid), grid, quantity)


def read_grid(path: Path) -> Grid:
    """Where the voxels of a NIfTI file lie; reads its header only.

    Raises:
        InputRefusedError: The file is not a readable three-dimensional NIfTI.
    """
    return _open(path, None)[1]


def read_labels(path: Path, structures: Mapping[Structure, int], *, lesions: Mapping[str, int], on: Grid) -> LabelMap:
    """Reads label values that lie on a known grid.

    Args:
        path: The NIfTI file.
        structures: Value of each structure.
        lesions: Values of tumours numbered apart.
        on: The grid that the labels must lie on; taken over exactly, since NIfTI keeps single precision.

    Raises:
        InputRefusedError: Unreadable, the values are not whole numbers from 0 to 255, or two names share one.
        GridMismatchError: The labels lie on another grid.
    """
    image, grid = _open(path, on.frame_of_reference_uid)
    # Before any value is read: a header may claim more voxels than there is memory.
    if not grid.fits_in_space(on):
        raise GridMismatchError(
            f"{path.name} lies on another grid than the image: found {describe_grid(grid)}, "
            f"expected {describe_grid(on)}; resample the labels onto the image, or export them from it"
        )
    values = whole(_values(path, image, grid), file_name=path.name, largest=_MAXIMUM_LABEL)
    try:
        return LabelMap(values.astype(np.uint8, copy=False), on, structures, lesions)
    except ValueError as error:
        raise InputRefusedError(f"the names given to the values of {path.name} can't be used: {error}") from error


def _write(path: Path, array: NDArray[Any], grid: Grid) -> None:
    path.write_bytes(_encoded(array, grid))


def _encoded(array: NDArray[Any], grid: Grid) -> bytes:
    stored = array.astype(np.uint8) if array.dtype == np.bool_ else array
    affine = _LPS_TO_RAS @ grid.affine @ _KJI_TO_IJK
    image = nibabel.Nifti1Image(stored.T, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=_SCANNER_ANATOMICAL)
    # A qform can't hold shear; where the axes are not at right angles only the sform is claimed.
    image.set_qform(affine, code=_SCANNER_ANATOMICAL if grid.is_orthogonal() else 0)
    return bytes(igzip.compress(image.to_bytes(), compresslevel=_COMPRESSION_LEVEL, mtime=0))


def _open(path: Path, frame_of_reference_uid: str | None) -> tuple[Any, Grid]:
    """The image, its values not yet read, and its grid."""
    try:
        image = nibabel.load(path)
    except FileNotFoundError:
        raise InputRefusedError(f"{path.name} does not exist; expected a NIfTI file (.nii or .nii.gz)") from None
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    if not isinstance(image, nibabel.Nifti1Pair):
        raise InputRefusedError(f"{path.name} is another kind of file; expected NIfTI (.nii or .nii.gz)")
    if not np.issubdtype(image.get_data_dtype(), np.number) or np.iscomplexobj(image.dataobj.dtype.type()):
        raise InputRefusedError(f"{path.name} holds {image.get_data_dtype()} values, expected real numbers")
    stored = tuple(int(n) for n in image.shape)
    shape_ijk = stored[:3] if set(stored[3:]) <= {1} else stored
    if len(shape_ijk) != 3:
        raise InputRefusedError(f"{path.name} has {len(shape_ijk)} dimensions, expected 3")
    affine = _LPS_TO_RAS @ np.asarray(image.affine, dtype=float) @ np.linalg.inv(_KJI_TO_IJK)
    try:
        return image, Grid((shape_ijk[2], shape_ijk[1], shape_ijk[0]), affine, frame_of_reference_uid)
    except ValueError as error:
        raise InputRefusedError(f"{path.name} says nothing usable of where it lies: {error}; export it anew") from error


def _values(path: Path, image: Any, grid: Grid) -> NDArray[Any]:
    """The image's values along (k, j, i)."""
    try:
        return _scaled(image.dataobj).reshape(grid.shape[::-1], order="F").T
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _scaled(stored: Any) -> NDArray[Any]:
    """What nibabel makes of an array on disk; a packed one is unpacked straight to where it stays, in half the time."""
    file = stored.file_like
    if not (isinstance(file, str) and file.lower().endswith(".gz")):
        return np.asarray(stored)
    values = np.empty(math.prod(stored.shape), dtype=stored.dtype)
    room = values.data.cast("B")
    unpacked: Any = igzip.open(file, "rb")  # type: ignore[no-untyped-call]
    with unpacked as stream:
        stream.seek(stored.offset)
        while room:
            count = stream.readinto(room)
            if not count:
                raise EOFError(f"{len(room)} bytes of voxels are missing")
            room = room[count:]
    scaled: NDArray[Any] = apply_read_scaling(values, np.asanyarray(stored.slope), np.asanyarray(stored.inter))
    return scaled


def _unreadable(path: Path, error: BaseException) -> InputRefusedError:
    return InputRefusedError(
        f"{path.name} is not a readable NIfTI file ({type(error).__name__}); expected .nii or .nii.gz"
    )


def describe_grid(grid: Grid) -> str:
    """Size, spacing and place of a grid, for messages."""
    size = " x ".join(str(n) for n in grid.shape)
    spacing = " x ".join(f"{s:.3g}" for s in grid.spacing_mm)
    origin = ", ".join(f"{o:.1f}" for o in grid.origin_lps_mm)
    return f"{size} voxels (k, j, i) of {spacing} mm from ({origin}) LPS mm"
