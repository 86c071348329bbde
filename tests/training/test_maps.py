"""A body follows the liver that is put into it."""

from pathlib import Path

import numpy as np
import pytest

from liverimg.training.anatomy.adapting import sampled
from liverimg.training.anatomy.bodies import ByteArray, read_body
from liverimg.training.anatomy.ct_body import read_ct_body
from liverimg.training.anatomy.fitting import box_of, fit_body
from liverimg.training.anatomy.landmarks import Landmarks
from liverimg.training.anatomy.maps import (
    BodyMap,
    halved,
    is_held_out,
    liver_files,
    load_map,
    make_map,
    read_liver,
    save_map,
    varied_map,
)
from liverimg.training.scoring.metrics import dice
from liverimg.training.synthesis.tissues import Tissue


def _ellipsoid(shape: tuple[int, ...], centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    grid = np.indices(shape)
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) < 1


def test_the_body_s_liver_is_bent_into_the_real_one() -> None:
    body_liver = _ellipsoid((90, 80, 100), (40, 45, 40), (20, 18, 26))
    liver = _ellipsoid((54, 50, 62), (26, 24, 30), (24, 20, 22)) | _ellipsoid((54, 50, 62), (34, 20, 42), (8, 9, 17))
    source, inner = fit_body(body_liver, liver, spacing_mm=2.5, margin_mm=30.0, coarse=2)
    shape = tuple(n + 24 for n in liver.shape)
    bent = sampled(body_liver.astype(np.uint8), source, shape, coarse=2) > 0
    real = np.zeros(shape, dtype=bool)
    real[inner] = liver
    assert dice(bent, real) > 0.93


def test_the_box_of_a_mask() -> None:
    mask = np.zeros((5, 6, 7), dtype=bool)
    mask[1:3, 2, 4:7] = True
    low, high = box_of(mask)
    assert (low.tolist(), high.tolist()) == ([1, 2, 4], [3, 3, 7])


def test_held_out_cases_depend_on_the_name_only() -> None:
    names = [f"case-{n}" for n in range(2000)]
    share = np.mean([is_held_out(n) for n in names])
    assert 0.05 < share < 0.11
    assert [is_held_out(n) for n in names] == [is_held_out(n) for n in names]


@pytest.fixture(scope="module")
def male_body(shared_data: Path) -> ByteArray:
    return read_body(shared_data / "phantom_icrp110" / "AM.nii.gz")


@pytest.mark.slow
def test_a_real_liver_in_a_real_body(shared_data: Path, male_body: ByteArray) -> None:
    files = liver_files(shared_data / "label_maps")
    liver = read_liver(files["LiTS-0"], spacing_mm=2.5)
    made = make_map(male_body, liver, rng=np.random.default_rng(1))
    volume_ml = (made.tissue == Tissue.LIVER).sum() * 2.5**3 / 1000
    assert abs(volume_ml - 1365) < 0.03 * 1365  # index.csv says 1365 ml
    k, j, i = np.round(made.landmarks.cava_at_dome / 2.5).astype(int)
    near = made.tissue[k - 3 : k + 4, j - 6 : j + 7, i - 6 : i + 7]
    assert (near == Tissue.VENA_CAVA).any()
    assert (near == Tissue.LIVER).any()
    # The right side of the body is at low i, the front at low j.
    assert (
        np.argwhere(made.tissue == Tissue.LIVER)[:, 2].mean() < np.argwhere(made.tissue == Tissue.SPLEEN)[:, 2].mean()
    )
    assert (
        np.argwhere(made.tissue == Tissue.LIVER)[:, 1].mean()
        < np.argwhere(made.tissue == Tissue.SPINAL_CORD)[:, 1].mean()
    )


@pytest.mark.slow
def test_a_varied_map_depends_on_seed_and_case_only(shared_data: Path, male_body: ByteArray) -> None:
    path = liver_files(shared_data / "label_maps")["LiTS-0"]
    made, variation = varied_map(male_body, path, segments_known=True, changed_share=1.0, seed=4)
    assert made.liver is not None
    assert ((made.tissue == Tissue.LIVER).sum() * 8 / made.liver.sum()) == pytest.approx(1.0, abs=0.03)
    again = varied_map(male_body, path, segments_known=True, changed_share=1.0, seed=4)
    assert again[1] == variation
    assert (again[0].tissue == made.tissue).all()


def test_a_map_is_kept_whole(tmp_path: Path) -> None:
    marks = Landmarks(np.zeros((4, 3)), np.ones(3), np.full(3, 2.0))
    tissue = np.full((4, 5, 6), Tissue.FAT, dtype=np.uint8)
    for liver in (None, np.ones((3, 3, 3), dtype=bool)):
        save_map(tmp_path / "map.npz", BodyMap(tissue, marks, liver))
        found = load_map(tmp_path / "map.npz")
        assert (found.tissue == tissue).all()
        assert (found.landmarks.hilum == 2).all()
        assert (found.liver is None) == (liver is None)


def test_a_halved_mask_keeps_its_volume() -> None:
    mask = _ellipsoid((41, 50, 37), (20, 25, 18), (15, 20, 14))
    small = halved(mask)
    assert small.shape == (21, 25, 19)
    assert small.sum() * 8 / mask.sum() == pytest.approx(1.0, abs=0.04)


@pytest.mark.slow
def test_a_real_scan_becomes_a_body(shared_data: Path, male_body: ByteArray) -> None:
    body = read_ct_body(shared_data / "ct_totalsegmentator", male_body)
    volume_ml = {t: (body == t).sum() * 2.5**3 / 1000 for t in (Tissue.LIVER, Tissue.SPLEEN, Tissue.LUNG)}
    assert 1200 < volume_ml[Tissue.LIVER] < 2200
    assert 200 < volume_ml[Tissue.SPLEEN] < 500
    assert volume_ml[Tissue.LUNG] > 1500
    where = {t: np.argwhere(body == t).mean(axis=0) for t in (*volume_ml, Tissue.SPINAL_CORD, Tissue.AORTA)}
    assert where[Tissue.LIVER][2] < where[Tissue.SPLEEN][2]  # the right side is at low i
    assert where[Tissue.LUNG][0] > where[Tissue.LIVER][0]
    assert where[Tissue.AORTA][1] < where[Tissue.SPINAL_CORD][1]
