"""What is written comes back by another reader: HU, geometry, timing; the same bytes each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK

from liverimg.core.errors import UsageError
from liverimg.core.grid import Grid
from liverimg.core.study import Modality
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.write import SeriesHeader, StudyHeader, uid_from, write_series

STUDY = StudyHeader("PHANTOM^TEST", "P1", uid_from("test study"), "20260105", "094500", "CT abdomen")
CT = SeriesHeader(
    Modality.CT,
    4,
    uid_from("test series"),
    "Abd portal venous 3.0",
    "100110",
    contrast_agent="Iohexol 350",
    contrast_start_time="100000",
)


def random_volume(grid: Grid, low: int, high: int) -> Volume:
    values = np.random.default_rng(3).integers(low, high, size=grid.shape)
    return Volume(values.astype(np.float32), grid, Quantity.HU)


@pytest.mark.parametrize("compressed", [True, False])
def test_values_and_places_survive_on_an_oblique_left_handed_grid(
    tmp_path: Path, awkward_grid: Grid, compressed: bool
) -> None:
    volume = random_volume(awkward_grid, -1024, 3072)
    paths = write_series(volume, tmp_path / "s", study=STUDY, series=CT, compressed=compressed)
    assert len(paths) == awkward_grid.shape[0]
    for k, path in enumerate(paths):
        data = pydicom.dcmread(path)
        hu = data.pixel_array * float(data.RescaleSlope) + float(data.RescaleIntercept)
        np.testing.assert_array_equal(hu, volume.array[k])
        row_step, column_step = np.array(data.PixelSpacing, dtype=float)
        cosines = np.array(data.ImageOrientationPatient, dtype=float).reshape(2, 3)
        position = np.array(data.ImagePositionPatient, dtype=float)
        for j, i in ((0, 0), (7, 3), (39, 35)):
            place = position + i * column_step * cosines[0] + j * row_step * cosines[1]
            np.testing.assert_allclose(place, awkward_grid.index_to_lps_mm((k, j, i)), atol=1e-6)
        assert data.FrameOfReferenceUID == awkward_grid.frame_of_reference_uid


def test_another_reader_sees_the_same_volume(tmp_path: Path) -> None:
    grid = Grid.from_axes(
        (6, 20, 24), spacing_mm=(3.0, 0.8, 0.7), origin_lps_mm=(-8.5, 12.25, -40.0), frame_of_reference_uid="1.2.3"
    )
    volume = random_volume(grid, -1000, 1500)
    write_series(volume, tmp_path / "s", study=STUDY, series=CT)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "s")))
    image = reader.Execute()
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), volume.array)
    np.testing.assert_allclose(image.GetSpacing(), (0.7, 0.8, 3.0))
    np.testing.assert_allclose(image.GetOrigin(), grid.origin_lps_mm)


def test_values_beyond_twelve_bits_are_clipped(tmp_path: Path, awkward_grid: Grid) -> None:
    volume = Volume(
        np.linspace(-3000, 9000, np.prod(awkward_grid.shape)).reshape(awkward_grid.shape), awkward_grid, Quantity.HU
    )
    paths = write_series(volume, tmp_path, study=STUDY, series=CT)
    first, last = (pydicom.dcmread(p).pixel_array.astype(int) - 1024 for p in (paths[0], paths[-1]))
    assert first.min() == -1024
    assert last.max() == 3071


def test_the_clock_of_the_contrast_agent_is_told(tmp_path: Path, awkward_grid: Grid) -> None:
    volume = random_volume(awkward_grid, 0, 100)
    header = pydicom.dcmread(write_series(volume, tmp_path / "a", study=STUDY, series=CT)[0])
    assert (header.ContrastBolusStartTime, header.AcquisitionTime) == ("100000", "100110")
    assert header.ContrastBolusAgent == "Iohexol 350"
    bare = replace(CT, contrast_agent="", contrast_start_time="")
    header = pydicom.dcmread(write_series(volume, tmp_path / "b", study=STUDY, series=bare)[0])
    assert "ContrastBolusAgent" not in header
    assert "ContrastBolusStartTime" not in header


def test_mr_keeps_its_signal_and_has_no_rescale(tmp_path: Path, awkward_grid: Grid) -> None:
    volume = random_volume(awkward_grid, 0, 2000)
    series = replace(CT, modality=Modality.MR, description="T1")
    data = pydicom.dcmread(write_series(volume, tmp_path, study=STUDY, series=series)[5])
    np.testing.assert_array_equal(data.pixel_array, volume.array[5])
    assert "RescaleSlope" not in data
    assert data.SOPClassUID == pydicom.uid.MRImageStorage


def test_the_same_volume_gives_the_same_bytes_and_a_zero_preamble(tmp_path: Path, awkward_grid: Grid) -> None:
    volume = random_volume(awkward_grid, 0, 100)
    one = write_series(volume, tmp_path / "a", study=STUDY, series=CT)
    two = write_series(volume, tmp_path / "b", study=STUDY, series=CT)
    for a, b in zip(one, two, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert a.read_bytes()[:132] == bytes(128) + b"DICM"
    assert len({pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in one}) == len(one)


def test_the_first_instance_is_the_last_slice_of_the_array(tmp_path: Path, awkward_grid: Grid) -> None:
    paths = write_series(random_volume(awkward_grid, 0, 9), tmp_path, study=STUDY, series=CT)
    assert pydicom.dcmread(paths[-1]).InstanceNumber == 1
    assert paths[-1].name == "I0001.dcm"


def test_a_real_looking_name_is_refused(tmp_path: Path, awkward_grid: Grid) -> None:
    named = replace(STUDY, patient_name="DOE^JANE")
    with pytest.raises(UsageError, match="PHANTOM"):
        write_series(random_volume(awkward_grid, 0, 9), tmp_path / "s", study=named, series=CT)
    assert not (tmp_path / "s").exists()


def test_a_grid_without_frame_or_right_angles_is_refused(tmp_path: Path, awkward_grid: Grid) -> None:
    sheared = np.array(awkward_grid.affine)
    sheared[:3, 0] += 0.3 * sheared[:3, 1]
    for grid in (Grid(awkward_grid.shape, awkward_grid.affine), Grid(awkward_grid.shape, sheared, "1.2.3")):
        with pytest.raises(UsageError, match="orthogonal"):
            write_series(random_volume(grid, 0, 9), tmp_path / "s", study=STUDY, series=CT)
