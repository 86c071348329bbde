"""A body follows the liver that is put into it."""

from pathlib import Path

import numpy as np

from liverimg.training.bodies import read_body
from liverimg.training.fitting import box_of, fit_body
from liverimg.training.maps import _sampled, is_held_out, liver_files, make_map, read_liver
from liverimg.training.metrics import dice
from liverimg.training.tissues import Tissue


def _ellipsoid(shape: tuple[int, ...], centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    grid = np.indices(shape)
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) < 1


def test_the_body_s_liver_is_bent_into_the_real_one() -> None:
    body_liver = _ellipsoid((90, 80, 100), (40, 45, 40), (20, 18, 26))
    liver = _ellipsoid((54, 50, 62), (26, 24, 30), (24, 20, 22)) | _ellipsoid((54, 50, 62), (34, 20, 42), (8, 9, 17))
    source, inner = fit_body(body_liver, liver, spacing_mm=2.5, margin_mm=30.0, coarse=2)
    shape = tuple(n + 24 for n in liver.shape)
    bent = _sampled(body_liver.astype(np.uint8), source, shape, coarse=2) > 0
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


def test_a_real_liver_in_a_real_body(shared_data: Path) -> None:
    files = liver_files(shared_data / "label_maps")
    liver = read_liver(files["LiTS-0"], spacing_mm=2.5)
    body = read_body(shared_data / "phantom_icrp110" / "AM.nii.gz")
    made = make_map(body, liver, rng=np.random.default_rng(1))
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
