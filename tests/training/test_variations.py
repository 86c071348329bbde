"""Changed livers and bodies: what is taken away is gone, what grows stays within its neighbours."""

import numpy as np
import pytest

from liverimg.training.anatomy.variations import (
    LiverChange,
    changed_liver,
    draw_variation,
    enlarge_spleen,
    fill_resection,
    with_fat,
)
from liverimg.training.synthesis.tissues import Tissue

SPACING_MM = 2.5


def _liver() -> tuple[np.ndarray, np.ndarray]:
    """An egg whose right two thirds are segments 5 to 8, then 4, then 2 and 3, with 1 at the back."""
    k, j, i = np.indices((60, 60, 90))
    liver = ((k - 30) / 22) ** 2 + ((j - 30) / 22) ** 2 + ((i - 45) / 36) ** 2 < 1
    segments = np.select([i < 30, i < 50, i < 62], [np.where(j < 30, 8, 7), np.where(k < 30, 5, 6), 4], 2)
    segments[(j > 42) & (np.abs(i - 50) < 8)] = 1
    return liver, np.where(liver, segments, 0).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_a_resection_takes_segments_and_keeps_one_piece(seed: int) -> None:
    liver, segments = _liver()
    fitted, left = changed_liver(
        liver, segments, LiverChange.RESECTED, spacing_mm=SPACING_MM, rng=np.random.default_rng(seed)
    )
    assert (fitted == liver).all()
    assert not (left & ~liver).any()
    assert 0.2 < left.sum() / liver.sum() < 0.97
    shares = {s: left[segments == s].mean() for s in (2, 4, 5, 6, 7, 8)}
    assert min(shares.values()) < 0.75
    assert max(shares.values()) > 0.97


def test_cirrhosis_shrinks_the_right_and_grows_the_left() -> None:
    liver, segments = _liver()
    ratios = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        fitted, left = changed_liver(liver, segments, LiverChange.CIRRHOTIC, spacing_mm=SPACING_MM, rng=rng)
        assert (fitted == left).all()
        right, lateral = slice(0, 30), slice(64, 90)
        ratios.append(left[:, :, right].sum() / liver[:, :, right].sum())
        assert left[:, :, lateral].sum() > 0.85 * liver[:, :, lateral].sum()
    assert np.mean(ratios) < 0.93


def test_the_gap_of_a_resection_holds_no_liver_and_no_air() -> None:
    liver, _ = _liver()
    tissue = np.full(liver.shape, Tissue.FAT, dtype=np.uint8)
    tissue[liver] = Tissue.LIVER
    gap = liver.copy()
    gap[:, :, 40:] = False
    fill_resection(tissue, gap, np.random.default_rng(2))
    assert not np.isin(tissue[gap], (Tissue.LIVER, Tissue.AIR)).any()
    assert (tissue[liver & ~gap] == Tissue.LIVER).all()
    assert (tissue[gap] == Tissue.FAT).any()


def test_a_large_spleen_takes_only_what_yields() -> None:
    tissue = np.full((40, 40, 40), Tissue.FAT, dtype=np.uint8)
    k, j, i = np.indices(tissue.shape)
    tissue[(k - 20) ** 2 + (j - 20) ** 2 + (i - 20) ** 2 < 64] = Tissue.SPLEEN
    tissue[:, :, 29:] = Tissue.BONE_CORTICAL
    before = (tissue == Tissue.SPLEEN).sum()
    enlarge_spleen(tissue, 10.0)
    after = (tissue == Tissue.SPLEEN).sum()
    assert 2.2 * before < after < 4.5 * before  # (8 + 4)^3 / 8^3 = 3.4, less what the bone keeps
    assert (tissue[:, :, 29:] == Tissue.BONE_CORTICAL).all()


@pytest.mark.parametrize(("factor", "low", "high"), [(2.0, 1.6, 2.3), (0.5, 0.35, 0.7)])
def test_fat_under_the_skin_gets_thicker_or_thinner(factor: float, low: float, high: float) -> None:
    j, i = np.indices((160, 160))
    radius = np.hypot(j - 80, i - 80)
    plane = np.select([radius < 30, radius < 42, radius < 43], [Tissue.MUSCLE, Tissue.FAT, Tissue.SKIN], Tissue.AIR)
    tissue = np.repeat(plane[None].astype(np.uint8), 24, axis=0)
    changed = with_fat(tissue, factor)
    middle = changed[12]
    line = middle[80, 80:]
    fat = int((line == Tissue.FAT).sum())
    assert low < fat / 12 < high
    assert (middle[radius < 27] == Tissue.MUSCLE).all()
    outer = np.flatnonzero(line != Tissue.AIR)[-1]
    assert line[outer] == Tissue.SKIN


def test_livers_change_only_where_their_segments_are_known() -> None:
    rng = np.random.default_rng(5)
    unknown = [draw_variation(rng, segments_known=False, share=1.0).liver for _ in range(50)]
    assert set(unknown) == {LiverChange.NONE}
    known = [draw_variation(rng, segments_known=True, share=1.0) for _ in range(80)]
    assert {v.liver for v in known} == {LiverChange.RESECTED, LiverChange.CIRRHOTIC}
    assert all(v.spleen_mm == 0 for v in known if v.liver is LiverChange.RESECTED)
