"""The committed sample and the command that writes it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from liverimg.core.errors import UsageError
from liverimg.core.study import Modality
from liverimg.phantom.extent import extent_of
from liverimg.phantom.people import sample_scene
from liverimg.pipeline.sample import exact_labels, truth_record, write_sample
from liverimg.pipeline.sample_plan import STUDIES, scan_grid


@pytest.fixture(scope="module")
def sample(repository: Path) -> Path:
    return repository / "sample_dicom"


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me", encoding="utf-8")
    with pytest.raises(UsageError, match="empty"):
        write_sample(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_one_study_alone(tmp_path: Path, sample: Path) -> None:
    write_sample(tmp_path / "one", only="ceus")
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["ceus", "truth"]
    assert [p.name for p in (tmp_path / "one" / "truth").iterdir()] == ["ceus.json"]
    written = json.loads((tmp_path / "one" / "truth" / "ceus.json").read_text(encoding="utf-8"))
    committed = json.loads((sample / "truth" / "ceus.json").read_text(encoding="utf-8"))
    assert written["ellipsoid_volume_ml"] == pytest.approx(committed["ellipsoid_volume_ml"])
    with pytest.raises(UsageError, match="pre_ct, post_ct, mr, ceus"):
        write_sample(tmp_path / "two", only="ct")
    assert not (tmp_path / "two").exists()


def test_the_committed_sample_is_small_and_nobody(sample: Path) -> None:
    files = [p for p in sample.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 30_000_000
    names = set()
    for path in sample.rglob("I*.dcm"):
        header = pydicom.dcmread(path, specific_tags=["PatientName"], stop_before_pixels=True)
        names.add(str(header.PatientName))
        assert path.read_bytes()[:128] == bytes(128)
    assert names
    assert all(name.startswith("PHANTOM^") for name in names)


def test_the_committed_truth_is_what_the_phantom_says_today(sample: Path) -> None:
    record = truth_record(sample_scene(), STUDIES[0])
    committed = json.loads((sample / "truth" / "pre_ct.json").read_text(encoding="utf-8"))
    assert set(record) == set(committed)
    for now, then in zip(record["lesions"], committed["lesions"], strict=True):
        assert set(now) == set(then)
        for name, value in then.items():
            assert now[name] == (value if isinstance(value, str) else pytest.approx(value, abs=1e-4)), name
    assert record["liver"]["volume_ml"] == pytest.approx(committed["liver"]["volume_ml"], rel=1e-4)


def test_exact_labels_lie_on_the_committed_series(sample: Path) -> None:
    scene, study = sample_scene(), STUDIES[0]
    grid = scan_grid(scene, extent_of(scene), study, 3.0)
    files = sorted((sample / "pre_ct" / "S004").glob("*.dcm"))
    assert grid.shape[0] == len(files)
    top = pydicom.dcmread(files[0])
    np.testing.assert_allclose(
        np.array(top.ImagePositionPatient, dtype=float), grid.index_to_lps_mm((grid.shape[0] - 1, 0, 0)), atol=1e-6
    )
    assert grid.frame_of_reference_uid == top.FrameOfReferenceUID
    thin = grid.cropped((grid.shape[0] // 2, 0, 0), (1, *grid.shape[1:]))
    labels = exact_labels(scene, thin)
    image = pydicom.dcmread(files[grid.shape[0] - 1 - grid.shape[0] // 2])
    hu = image.pixel_array.astype(float) - 1024
    outside = hu[labels.array[0] == 0]
    inside = hu[labels.array[0] > 0]
    assert np.median(outside) < -900
    assert np.median(inside) > -200


def test_every_contrast_series_can_be_timed(sample: Path) -> None:
    for study in STUDIES:
        for planned in study.series:
            first = next(iter(sorted((sample / study.name / f"S{planned.number:03d}").glob("*.dcm"))))
            header = pydicom.dcmread(first, stop_before_pixels=True)
            assert header.Modality == study.modality.value
            if planned.phase.value == "unenhanced":
                assert "ContrastBolusStartTime" not in header
            else:
                assert float(header.AcquisitionTime) > float(header.ContrastBolusStartTime)
        assert study.modality in (Modality.CT, Modality.MR)
