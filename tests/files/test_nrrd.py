"""NRRD headers of many kinds, and those that can't be believed."""

import gzip
from pathlib import Path

import nrrd
import numpy as np
import pytest

from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.files.nrrd import has_segments, read_nrrd, read_nrrd_grid

LAYERED = {"kinds": ["list", "domain", "domain", "domain"]}


def header(grid: Grid, *, space: str = "left-posterior-superior") -> dict:
    signs = {"left-posterior-superior": (1, 1, 1), "RAS": (-1, -1, 1), "left-anterior-superior": (1, -1, 1)}[space]
    return {
        "space": space,
        "space directions": grid.affine[:3, [2, 1, 0]].T * signs,
        "space origin": grid.affine[:3, 3] * signs,
        "kinds": ["domain"] * 3,
    }


@pytest.fixture
def array(awkward_grid: Grid) -> np.ndarray:
    return (np.random.default_rng(3).random(awkward_grid.shape) * 4).astype(np.uint8)


@pytest.mark.parametrize("space", ["left-posterior-superior", "RAS", "left-anterior-superior"])
def test_every_space_ends_in_lps(space: str, awkward_grid: Grid, array: np.ndarray, tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), array.T, header(awkward_grid, space=space))
    assert read_nrrd_grid(tmp_path / "a.nrrd").fits_in_space(awkward_grid, tolerance_mm=1e-6)
    drawings = read_nrrd(tmp_path / "a.nrrd", names={"liver": 1, "three": 3})
    assert [d.name for d in drawings.drawings] == ["liver", "three"]
    assert np.array_equal(drawings.drawings[1].mask(), array == 3)


def segments(*rows: dict[str, str]) -> dict[str, str]:
    return {f"Segment{n}_{key}": value for n, row in enumerate(rows) for key, value in row.items()}


def test_codes_come_from_the_terminology(awkward_grid: Grid, array: np.ndarray, tmp_path: Path) -> None:
    tags = (
        "Segmentation.Status:inprogress|TerminologyEntry:Segmentation category and type - DICOM master list"
        "~SCT^49755003^Morphologically Altered Structure~SCT^4147007^Mass~^^~Anatomic codes - DICOM master list"
        "~SCT^10200004^Liver~^^|"
    )
    rows = segments({"Name": "x", "LabelValue": "2", "Layer": "0", "Tags": tags})
    nrrd.write(str(tmp_path / "a.seg.nrrd"), array.T, header(awkward_grid) | rows)
    (drawing,) = read_nrrd(tmp_path / "a.seg.nrrd", names={}).drawings
    assert drawing.codes == ("SCT:4147007",)
    assert drawing.region_codes == ("SCT:10200004",)
    assert np.array_equal(drawing.mask(), array == 2)


def test_old_files_hold_a_layer_of_ones_for_each_segment(awkward_grid: Grid, array: np.ndarray, tmp_path: Path) -> None:
    layers = np.stack([(array == n).astype(np.uint8).T for n in (1, 2)])
    fields = header(awkward_grid) | LAYERED | segments({"Name": "liver"}, {"Name": "tumor"})
    fields["space directions"] = np.vstack([np.full(3, np.nan), fields["space directions"]])
    nrrd.write(str(tmp_path / "a.seg.nrrd"), layers, fields)
    assert has_segments(tmp_path / "a.seg.nrrd")
    first, second = read_nrrd(tmp_path / "a.seg.nrrd", names={}).drawings
    assert np.array_equal(first.mask(), array == 1)
    assert np.array_equal(second.mask(), array == 2)


def spoilt(change: dict, drop: tuple[str, ...] = ()):
    def write(path: Path, grid: Grid, array: np.ndarray) -> None:
        fields = {k: v for k, v in (header(grid) | change).items() if k not in drop}
        nrrd.write(str(path), array.T, fields)

    return write


def four_dimensional(path: Path, grid: Grid, array: np.ndarray) -> None:
    fields = header(grid) | LAYERED
    fields["space directions"] = np.vstack([np.full(3, np.nan), fields["space directions"]])
    nrrd.write(str(path), np.stack([array.T, array.T]), fields)


def detached(path: Path, grid: Grid, array: np.ndarray) -> None:
    nrrd.write(str(path.with_suffix(".nhdr")), array.T, header(grid))
    path.write_bytes(path.with_suffix(".nhdr").read_bytes())


def floats(path: Path, grid: Grid, array: np.ndarray) -> None:
    nrrd.write(str(path), array.T * np.float32(0.5), header(grid))


def cut(path: Path, grid: Grid, array: np.ndarray) -> None:
    nrrd.write(str(path), array.T, header(grid))
    path.write_bytes(path.read_bytes()[:-900])


def no_numbers(path: Path, grid: Grid, array: np.ndarray) -> None:
    path.write_bytes(b"NRRD0004\ntype: unsigned char\ndimension: three\nsizes: a b c\nencoding: gzip\n\n")


def huge(path: Path, grid: Grid, array: np.ndarray) -> None:
    nrrd.write(str(path), array.T, header(grid))
    start = path.read_bytes().partition(b"\n\n")[0].replace(b"sizes: 36 40 24", b"sizes: 99999 99999 24")
    path.write_bytes(start + b"\n\n" + gzip.compress(b"\0" * 100))


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (spoilt({}, ("space", "space directions", "space origin")), "where in the patient"),
        (spoilt({"space": "scanner-xyz"}), "where in the patient"),
        (spoilt({"space directions": np.ones((3, 3))}), "usable of where"),
        (spoilt(segments({"Name": "liver"}, {"Name": "tumour"})), "LabelValue"),
        (spoilt(segments({"Name": "liver", "LabelValue": "one"})), "no whole number"),
        (spoilt(segments({"Name": "liver", "LabelValue": "1", "Layer": "3"})), "layer that is not there"),
        (four_dimensional, "4 dimensions"),
        (detached, "another file"),
        (floats, "fractions"),
        (cut, "not a readable NRRD"),
        (no_numbers, "not a readable NRRD"),
        (huge, "not a readable NRRD"),
    ],
)
def test_what_cannot_be_believed(write, words: str, awkward_grid: Grid, array: np.ndarray, tmp_path: Path) -> None:
    write(tmp_path / "a.nrrd", awkward_grid, array)
    with pytest.raises(InputRefusedError, match=words) as refusal:
        read_nrrd(tmp_path / "a.nrrd", names={"liver": 1}).drawings[0].mask()
    assert "\n" not in str(refusal.value)
