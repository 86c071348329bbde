"""Order and place: instance numbers that lie, planes of every kind, copies, gaps, jitter, a tilted gantry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.dicom.traps.case import INTERPOLATED_MM, Register, scene_series
from tests.dicom.traps.scene import GRID, grid_along

trap = Register()
SLICES = GRID.shape[0]
# Three slices 5 mm apart through a ball of 13 mm: no reader knows its volume better than this.
COARSE_SHARE = 0.08


@trap("clean axial series, pixels not square")
def baseline_axial(folder: Path) -> None:
    scene_series(folder)


@trap("InstanceNumber counts down")
def order_reversed(folder: Path) -> None:
    scene_series(folder, edit=lambda d, k: setattr(d, "InstanceNumber", 99 - k))


@trap("InstanceNumber at random")
def order_random(folder: Path) -> None:
    numbers = np.random.default_rng(1).permutation(SLICES)
    scene_series(folder, edit=lambda d, k: setattr(d, "InstanceNumber", int(numbers[k])))


@trap("InstanceNumber 1 everywhere")
def order_constant(folder: Path) -> None:
    scene_series(folder, edit=lambda d, k: setattr(d, "InstanceNumber", 1))


@trap("no InstanceNumber")
def order_absent(folder: Path) -> None:
    scene_series(folder, edit=lambda d, k: d.__delattr__("InstanceNumber"))


@trap("SliceLocation at random")
def slice_location_lies(folder: Path) -> None:
    places = np.random.default_rng(2).permutation(SLICES)
    scene_series(folder, edit=lambda d, k: setattr(d, "SliceLocation", str(float(places[k]))))


@trap("sagittal slices")
def sagittal(folder: Path) -> None:
    scene_series(folder, grid=grid_along([[1, 0, 0], [0, 0, -1], [0, 1, 0]]))


@trap("coronal slices")
def coronal(folder: Path) -> None:
    scene_series(folder, grid=grid_along([[0, 1, 0], [0, 0, -1], [1, 0, 0]]))


@trap("double oblique slices")
def double_oblique(folder: Path) -> None:
    scene_series(folder, grid=grid_along(_turned(20, 25)))


@trap("row x column points to the feet while slices go to the head")
def left_handed(folder: Path) -> None:
    scene_series(folder, grid=grid_along([[0, 0, 1], [0, -1, 0], [1, 0, 0]]))


@trap("SliceThickness and SpacingBetweenSlices say 5 mm, positions 2.5 mm", flags=["thickness_differs"])
def thickness_not_spacing(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.SliceThickness = dataset.SpacingBetweenSlices = "5"

    scene_series(folder, edit=edit)


@trap("three files twice, byte for byte", flags=["duplicates_dropped"])
def duplicate_files(folder: Path) -> None:
    paths = scene_series(folder)
    for number in (0, 7, 20):
        (folder / f"copy{number}.dcm").write_bytes(paths[number].read_bytes())


@trap("eight slices sent again under new SOP instance UIDs", flags=["duplicates_dropped"])
def resent_slices(folder: Path) -> None:
    scene_series(folder)
    scene_series(folder, first_instance=300, skip=range(8, SLICES))


@trap("the whole series sent again under new SOP instance UIDs", flags=["duplicates_dropped"])
def resent_series(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.InstanceNumber = 1 + k

    scene_series(folder, edit=edit)
    scene_series(folder, first_instance=300, edit=edit)


@trap("one slice absent in the middle", codes=["missing_slices"], must_flag=True)
def missing_slice_middle(folder: Path) -> None:
    scene_series(folder, skip=[12])


@trap("four slices absent in two places", codes=["missing_slices"], must_flag=True)
def missing_slices_two_places(folder: Path) -> None:
    scene_series(folder, skip=[6, 7, 16, 17])


@trap("every other slice absent over half of the volume", must_flag=True, tolerance_mm=INTERPOLATED_MM,
      flags=["derived_from_uneven_slices"], volume_share=COARSE_SHARE)  # fmt: skip
def uneven_gaps(folder: Path) -> None:
    scene_series(folder, skip=range(14, SLICES - 1, 2))


@trap("positions rounded badly: 0.01 mm of jitter")
def jitter_10um(folder: Path) -> None:
    scene_series(folder, shift_mm=np.random.default_rng(3).uniform(-0.01, 0.01, (SLICES, 3)))


@trap("slices truly at uneven distances: 0.6 mm of jitter", must_flag=True, tolerance_mm=INTERPOLATED_MM,
      flags=["derived_from_uneven_slices"])  # fmt: skip
def jitter_600um(folder: Path) -> None:
    shift_mm = np.zeros((SLICES, 3))
    shift_mm[:, 2] = np.random.default_rng(4).choice([-0.3, 0.3], SLICES)
    scene_series(folder, shift_mm=shift_mm)


def tilt_mm(degrees: float, *, across: bool = False) -> np.ndarray:
    """In-plane shift of each slice of a gantry tilted by so many degrees, zero in the middle."""
    shift_mm = np.zeros((SLICES, 3))
    depth_mm = (np.arange(SLICES) - (SLICES - 1) / 2) * 2.5
    shift_mm[:, 0 if across else 1] = depth_mm * np.tan(np.deg2rad(degrees))
    return shift_mm


@trap("gantry tilted by 18 degrees, with its tag", tolerance_mm=INTERPOLATED_MM, flags=["derived_from_tilt"])
def gantry_tilt(folder: Path) -> None:
    scene_series(folder, shift_mm=tilt_mm(18), edit=lambda d, k: setattr(d, "GantryDetectorTilt", "18"))


@trap("gantry tilted by -15 degrees, no tag", tolerance_mm=INTERPOLATED_MM, flags=["derived_from_tilt"])
def gantry_tilt_without_tag(folder: Path) -> None:
    scene_series(folder, shift_mm=tilt_mm(-15))


@trap("the patient is straight, the slices lean: tilt as a scanner writes it", tolerance_mm=INTERPOLATED_MM,
      flags=["derived_from_tilt"])  # fmt: skip
def gantry_tilt_in_orientation(folder: Path) -> None:
    """Orientation turned about the row axis, positions along the table."""
    angle = np.deg2rad(20)
    lean = np.array([[0, -np.sin(angle), np.cos(angle)], [0, np.cos(angle), np.sin(angle)], [1, 0, 0]])
    grid = grid_along(lean, spacing_mm=(2.5 * np.cos(angle), 1.0, 0.9))
    along_table = np.array((0, 0, 2.5)) - grid.affine[:3, 0]
    shift_mm = (np.arange(SLICES) - (SLICES - 1) / 2)[:, None] * along_table
    scene_series(folder, grid=grid, shift_mm=shift_mm, edit=lambda d, k: setattr(d, "GantryDetectorTilt", "-20"))


@trap("the tag says 12 degrees, the positions are straight: already corrected")
def gantry_tilt_tag_alone(folder: Path) -> None:
    scene_series(folder, edit=lambda d, k: setattr(d, "GantryDetectorTilt", "12"))


@trap("tilt and a change of slice distance", tolerance_mm=INTERPOLATED_MM, must_flag=True,
      flags=["derived_from_tilt", "derived_from_uneven_slices"], volume_share=COARSE_SHARE)  # fmt: skip
def tilt_and_uneven_gaps(folder: Path) -> None:
    scene_series(folder, shift_mm=tilt_mm(12), skip=range(14, SLICES - 1, 2))


@trap("one slice lies 15 mm beside the others", codes=["uneven_slices"], must_flag=True)
def slice_beside(folder: Path) -> None:
    shift_mm = np.zeros((SLICES, 3))
    shift_mm[12, 0] = 15
    scene_series(folder, shift_mm=shift_mm)


@trap("a localiser shares the series UID", rejects=["localiser"])
def localiser_in_series(folder: Path) -> None:
    scene_series(folder)
    side = grid_along([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    scene_series(
        folder, grid=side, first_instance=300, skip=range(1, SLICES),
        edit=lambda d, k: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    )  # fmt: skip


@trap("a localiser shares the series UID and calls itself axial", rejects=["too_few_slices"])
def localiser_unnamed(folder: Path) -> None:
    scene_series(folder)
    side = grid_along([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    scene_series(folder, grid=side, first_instance=300, skip=[k for k in range(SLICES) if k != 13])


@trap("one slice only", codes=["too_few_slices"])
def single_slice(folder: Path) -> None:
    scene_series(folder, skip=[k for k in range(SLICES) if k != 13])


@trap("one slice without ImagePositionPatient", codes=["position_missing"], must_flag=True)
def one_slice_no_position(folder: Path) -> None:
    scene_series(folder, edit=lambda d, k: d.__delattr__("ImagePositionPatient") if k == 12 else None)


@trap("no orientation", codes=["orientation_invalid"], must_flag=True)
def no_orientation(folder: Path) -> None:
    scene_series(folder, edit=lambda d, k: d.__delattr__("ImageOrientationPatient"))


@trap("no PixelSpacing, only the detector's", codes=["pixel_spacing_missing"], must_flag=True)
def no_pixel_spacing(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        del dataset.PixelSpacing
        dataset.ImagerPixelSpacing = ["1.3", "1.2"]

    scene_series(folder, edit=edit)


@trap("PixelSpacing with decimal commas", codes=["pixel_spacing_invalid"], must_flag=True)
def decimal_comma(folder: Path) -> None:
    for path in scene_series(folder, edit=lambda d, k: setattr(d, "PixelSpacing", ["1.00", "0.90"])):
        path.write_bytes(path.read_bytes().replace(b"1.00\\0.90 ", b"1,00\\0,90 ").replace(b"1.0\\0.9", b"1,0\\0,9"))


@trap("one slice of another matrix size", codes=["missing_slices"], must_flag=True,
      rejects=["too_few_slices"])  # fmt: skip
def one_slice_of_another_matrix(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        if k == 12:
            dataset.Rows, dataset.Columns = dataset.Columns, dataset.Rows

    scene_series(folder, edit=edit)


@trap("the matrix grows half-way: 0.45 mm pixels from slice 13 on", phases=(0, 0), least_blobs=1,
      must_flag=True, flags=["continued_elsewhere"])  # fmt: skip
def matrix_changes(folder: Path) -> None:
    """Two halves of one body at two resolutions: each is right where it lies, neither is the whole."""
    fine = GRID.resampled((2.5, 0.5, 0.45))
    scene_series(folder, skip=range(13, SLICES))
    scene_series(folder, grid=fine, skip=range(13), first_instance=1)


def _turned(about_x: float, about_z: float) -> np.ndarray:
    x, z = np.deg2rad((about_x, about_z))
    turn_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    turn_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]]) @ (turn_x @ turn_z).T
