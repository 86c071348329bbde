"""Real scans: right, or refused for the reason that applies."""

from __future__ import annotations

import gzip
import tomllib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from liverimg.core.study import Phase
from liverimg.dicom.headers import read_folder
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import StudyHeaders, read_study


def loaded(folder: Path, rules: PhaseRules) -> tuple[StudyHeaders, list[Any]]:
    found = read_study(folder, phase_rules=rules)
    return found, [load_volume(stack) for stack in found.stacks]


def test_ircadb_lies_under_its_liver_mask(shared_data: Path, rules: PhaseRules) -> None:
    """The mask's affine (RAS, from its own origin 0) is the DICOM grid's exactly: no flip is needed."""
    found, (volume,) = loaded(shared_data / "ct_ircadb01" / "dicom", rules)
    assert found.study.rejected == ()
    mask = nibabel.load(shared_data / "ct_ircadb01" / "liver.nii.gz")
    assert volume.grid.shape == mask.shape[::-1]
    ras_to_lps = np.diag([-1, -1, 1, 1])
    lps_of_ijk = ras_to_lps @ mask.affine
    np.testing.assert_allclose(volume.grid.affine[:3, :3], lps_of_ijk[:3, 2::-1], atol=1e-5)
    np.testing.assert_allclose(volume.grid.affine[:3, 3], lps_of_ijk[:3, 3], atol=1e-5)
    liver_hu = volume.array[np.asarray(mask.dataobj).T > 0]
    assert 100 < liver_hu.mean() < 120
    assert liver_hu.std() < 30


def test_totalsegmentator_slices(shared_data: Path, rules: PhaseRules) -> None:
    """JPEG 2000, no UIDs, 3 mm slices 2 mm apart, portal venous by its injection time."""
    found, (volume,) = loaded(shared_data / "ct_totalsegmentator" / "dicom", rules)
    (series,) = found.study.series
    assert volume.grid.shape == (20, 512, 512)
    np.testing.assert_allclose(volume.grid.spacing_mm, (2, 0.9765625, 0.9765625))
    assert series.phase is Phase.PORTAL_VENOUS
    assert set(series.flags) == {"series_uid_made_up", "thickness_differs"}
    assert volume.array.min() == -1024


REFUSED = {
    "notavolume/001": ["duplicate_positions"],  # a bolus monitor: one table position, over and over
    "slicecount/001": ["too_few_slices"],
    "sliceincrement/001": ["missing_slices"],
    "sliceincrement/002": ["missing_slices"],
    "sliceorientation/001": ["too_few_slices"],  # two planes of two slices each
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_real_oddities_are_refused(name: str, shared_data: Path, rules: PhaseRules) -> None:
    found = read_study(shared_data / "dicom_real" / "tilt_and_gaps" / name, phase_rules=rules)
    assert found.study.series == ()
    assert [entry.code for entry in found.study.rejected] == REFUSED[name]


def test_a_tilted_head_scan_is_straightened(shared_data: Path, rules: PhaseRules) -> None:
    folder = shared_data / "dicom_real" / "tilt_and_gaps" / "gantrytilting" / "001"
    found, (volume,) = loaded(folder, rules)
    assert "derived_from_tilt" in found.study.series[0].flags
    assert volume.grid.is_orthogonal()
    # Each slice still lies in its own plane: its first pixel is found where its header says.
    frames = sorted(read_folder(folder).frames, key=lambda f: f.position_lps_mm or ())
    for frame in frames:
        index = volume.grid.lps_mm_to_index(frame.position_lps_mm)
        assert abs(index[0] - round(index[0])) < 1e-6
        assert index[1] > -1e-6 and abs(index[2]) < 1e-6


def test_an_ultrasound_loop_is_no_volume(shared_data: Path, rules: PhaseRules) -> None:
    found = read_study(shared_data / "dicom_real" / "us_loop", phase_rules=rules)
    assert [entry.code for entry in found.study.rejected] == ["modality_not_supported"]


@pytest.mark.parametrize(
    ("name", "volumes", "flags"),
    [
        ("1901_WIP_3DpCASL_real", 1, [("kind_conflict",)]),
        # Two labels by three repetitions in one object, told apart by their dimension indices.
        ("1903_WIP_SOURCE_-_3DpCASL", 6, [("kind_conflict", "split_by_tag")] * 6),
        # Two echoes, each with magnitude and phase.
        (
            "2001_WIP_fcMRI_Field_Mapping_e2_phMag",
            4,
            [(), (), ("kind_conflict", "not_magnitude"), ("kind_conflict", "not_magnitude")],
        ),
        ("1301_WIP_ADNI_Sag3D_MPRAGE_Raw", 0, []),
    ],
)
def test_enhanced_mr(
    name: str, volumes: int, flags: list[tuple[str, ...]], shared_data: Path, tmp_path: Path, rules: PhaseRules
) -> None:
    packed = shared_data / "dicom_real" / "enhanced_mr" / "enh" / f"{name}.dcm.gz"
    (tmp_path / "one").write_bytes(gzip.decompress(packed.read_bytes()))
    found, arrays = loaded(tmp_path, rules)
    assert len(arrays) == volumes
    assert [series.flags for series in found.study.series] == flags
    if volumes == 0:
        assert [entry.code for entry in found.study.rejected] == ["no_image"]


def test_the_shipped_tables_are_valid_toml(repository: Path) -> None:
    for name in ("phases.toml", "refusal_codes.toml"):
        tomllib.loads((repository / "src" / "liverimg" / "data" / name).read_text(encoding="utf-8"))
