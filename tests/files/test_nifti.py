"""NIfTI: the flip is right as other software sees it, and bytes depend on content alone."""

import gzip
from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from liverimg.core.errors import GridMismatchError, InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.files import nifti

STRUCTURES = {Structure.LIVER: 1, Structure.TUMOUR: 2}


def a_volume(grid: Grid) -> Volume:
    array = np.random.default_rng(3).integers(-1000, 1000, grid.shape).astype(np.int16)
    return Volume(array, grid, Quantity.HU)


def test_other_software_finds_each_voxel_where_we_put_it(tmp_path: Path, awkward_grid: Grid) -> None:
    volume = a_volume(awkward_grid)
    path = tmp_path / "volume.nii.gz"
    nifti.write_volume(path, volume)
    image = sitk.ReadImage(str(path))  # LPS, as we are
    for k, j, i in ((0, 0, 0), (5, 7, 11), (23, 39, 35)):
        assert image[i, j, k] == volume.array[k, j, i]
        assert image.TransformIndexToPhysicalPoint((i, j, k)) == pytest.approx(
            awkward_grid.index_to_lps_mm((k, j, i)), abs=1e-3
        )


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_round_trip_keeps_all_48_arrangements(order: tuple, signs: tuple, tmp_path: Path) -> None:
    axes = np.eye(3)[list(order)] * np.array(signs)[:, None]
    grid = Grid.from_axes((3, 4, 5), spacing_mm=(2.5, 0.75, 0.5), directions=axes, origin_lps_mm=(-10, 20, 30.5))
    volume = a_volume(grid)
    nifti.write_volume(tmp_path / "v.nii.gz", volume)
    back = nifti.read_volume(tmp_path / "v.nii.gz", Quantity.HU)
    assert np.array_equal(back.array, volume.array)
    assert back.array.dtype == np.int16
    assert back.grid.fits_in_space(grid, tolerance_mm=1e-5)


def test_equal_volumes_give_equal_bytes(tmp_path: Path, awkward_grid: Grid) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        nifti.write_volume(tmp_path / name, a_volume(awkward_grid))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_labels_come_back_on_the_exact_grid(tmp_path: Path, awkward_grid: Grid) -> None:
    array = np.zeros(awkward_grid.shape, dtype=np.uint8)
    array[4:8, 5:9, 6:10] = 2
    nifti.write_labels(tmp_path / "labels.nii.gz", LabelMap(array, awkward_grid, STRUCTURES))
    labels = nifti.read_labels(tmp_path / "labels.nii.gz", STRUCTURES, lesions={}, on=awkward_grid)
    assert labels.grid is awkward_grid
    assert np.array_equal(labels.array, array)


def test_labels_on_another_grid_are_refused(tmp_path: Path, awkward_grid: Grid) -> None:
    array = np.zeros(awkward_grid.shape, dtype=np.uint8)
    nifti.write_labels(tmp_path / "labels.nii.gz", LabelMap(array, awkward_grid, STRUCTURES))
    shifted = Grid(awkward_grid.shape, awkward_grid.affine + np.array([[0, 0, 0, 0.5]] + [[0] * 4] * 3))
    with pytest.raises(GridMismatchError, match="another grid"):
        nifti.read_labels(tmp_path / "labels.nii.gz", STRUCTURES, lesions={}, on=shifted)


@pytest.mark.parametrize("bad", [0.5, 300, -1])
def test_labels_that_are_no_labels_are_refused(bad: float, tmp_path: Path, awkward_grid: Grid) -> None:
    array = np.full(awkward_grid.shape, bad, dtype=np.float32)
    nifti.write_volume(tmp_path / "labels.nii.gz", Volume(array, awkward_grid, Quantity.HU))
    with pytest.raises(InputRefusedError, match="expected"):
        nifti.read_labels(tmp_path / "labels.nii.gz", STRUCTURES, lesions={}, on=awkward_grid)


def test_float_labels_with_whole_values_are_taken(tmp_path: Path, awkward_grid: Grid) -> None:
    array = np.ones(awkward_grid.shape, dtype=np.float32)
    nifti.write_volume(tmp_path / "labels.nii.gz", Volume(array, awkward_grid, Quantity.HU))
    labels = nifti.read_labels(tmp_path / "labels.nii.gz", STRUCTURES, lesions={}, on=awkward_grid)
    assert labels.mask(Structure.LIVER).all()


@pytest.mark.parametrize("content", [b"", b"not a nifti", b"\x1f\x8b\x08\x00broken"])
def test_broken_files_are_refused_in_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "labels.nii.gz").write_bytes(content)
    with pytest.raises(InputRefusedError, match="not a readable NIfTI"):
        nifti.read_volume(tmp_path / "labels.nii.gz", Quantity.HU)
    with pytest.raises(InputRefusedError, match="does not exist"):
        nifti.read_volume(tmp_path / "absent.nii.gz", Quantity.HU)


def test_four_dimensions_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 2), np.int16), np.eye(4)), tmp_path / "four.nii.gz")
    with pytest.raises(InputRefusedError, match="4 dimensions"):
        nifti.read_volume(tmp_path / "four.nii.gz", Quantity.HU)


def damaged_labels(folder: Path, grid: Grid, change) -> Path:
    """Labels on the grid, uncompressed, with some bytes of the file changed."""
    array = np.zeros(grid.shape, dtype=np.uint8)
    nifti.write_labels(folder / "good.nii.gz", LabelMap(array, grid, STRUCTURES))
    content = bytearray(gzip.decompress((folder / "good.nii.gz").read_bytes()))
    change(content)
    path = folder / "drawn.nii"
    path.write_bytes(content)
    return path


def put(at: int, values: np.ndarray):
    def change(content: bytearray) -> None:
        content[at : at + values.nbytes] = values.tobytes()

    return change


# Offsets in the header: dim 40, datatype 70, srow_x 280 (nifti1.h).
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put(280, np.full(12, np.nan, "<f4")), "where it lies"),
        (put(280, np.zeros(12, "<f4")), "where it lies"),
        (put(40, np.array([3, 30000, 30000, 30000], "<i2")), "another grid"),
        (put(70, np.array([32, 64], "<i2")), "expected real numbers"),
        (put(70, np.array([128, 24], "<i2")), "expected real numbers"),
    ],
    ids=["NaN in the affine", "singular affine", "terabytes claimed", "complex", "colours"],
)
def test_hostile_headers_are_refused_before_any_value_is_read(
    change, words: str, tmp_path: Path, awkward_grid: Grid
) -> None:
    path = damaged_labels(tmp_path, awkward_grid, change)
    with pytest.raises(InputRefusedError, match=words):
        nifti.read_labels(path, STRUCTURES, lesions={}, on=awkward_grid)


def test_damage_inside_the_compressed_bytes_is_refused(tmp_path: Path, awkward_grid: Grid) -> None:
    path = tmp_path / "labels.nii.gz"
    nifti.write_volume(path, a_volume(awkward_grid))
    content = bytearray(path.read_bytes())
    content[5000:5100] = bytes([255]) * 100
    path.write_bytes(content)
    with pytest.raises(InputRefusedError, match="not a readable NIfTI"):
        nifti.read_labels(path, STRUCTURES, lesions={}, on=awkward_grid)


def test_another_format_that_nibabel_opens_is_refused(tmp_path: Path, awkward_grid: Grid) -> None:
    path = tmp_path / "surface.gii"
    nibabel.save(nibabel.gifti.GiftiImage(), path)
    with pytest.raises(InputRefusedError, match="expected NIfTI"):
        nifti.read_labels(path, STRUCTURES, lesions={}, on=awkward_grid)


def test_two_names_for_one_value_are_refused(tmp_path: Path, awkward_grid: Grid) -> None:
    array = np.ones(awkward_grid.shape, dtype=np.uint8)
    nifti.write_labels(tmp_path / "labels.nii.gz", LabelMap(array, awkward_grid, STRUCTURES))
    shared = {Structure.LIVER: 1, Structure.TUMOUR: 1}
    with pytest.raises(InputRefusedError, match="value of its own"):
        nifti.read_labels(tmp_path / "labels.nii.gz", shared, lesions={}, on=awkward_grid)
