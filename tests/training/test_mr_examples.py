"""MR training examples: the same number gives the same image, artefacts do what they say, the liver shows."""

from dataclasses import replace

import numpy as np
import pytest

from liverimg.core.labels import Structure
from liverimg.segmentation.intensity import Intensity
from liverimg.training.synthesis.dataset import to_input
from liverimg.training.synthesis.examples import IGNORED, Example
from liverimg.training.synthesis.lesions import Painting
from liverimg.training.synthesis.mr_examples import MR_COARSE, make_mr_example
from liverimg.training.synthesis.mr_looks import MrLook, draw_mr_look
from liverimg.training.synthesis.mr_optics import coil_field, folded, ghosted, shift_matrix, slice_matrix
from liverimg.training.synthesis.mr_scanner import MrScanner, scan_mr
from liverimg.training.synthesis.tissues import IN_LIVER, Tissue, channel_table
from liverimg.training.synthesis.warp import NoiseBank

CHANNELS = {1: Structure.LIVER, 2: Structure.SPLEEN, 3: Structure.GALLBLADDER}
RECIPE = replace(MR_COARSE, shape=(32, 48, 48), spacing_mm=4.0, wander_mm=(5.0, 5.0, 5.0), no_gallbladder_share=0.0)
NOISE = NoiseBank(3, size=64)
CLEAN = MrScanner(
    slice_mm=(2.0, 3.0),
    gap_share=0,
    noise=(1e-4, 2e-4),
    bias_factor=(1.0, 1.0),
    ghost_share=0,
    unsuppressed_share=0,
    fold_share=0,
    cut_share=0,
    mask_share=0,
)


def _example(
    toy_map: np.ndarray, seed: int, *, scanner: MrScanner | None = None, look: MrLook | None = None
) -> Example:
    return make_mr_example(
        toy_map,
        map_spacing_mm=2.5,
        recipe=RECIPE,
        channels=channel_table(CHANNELS),
        noise=NOISE,
        rng=np.random.default_rng(seed),
        scanner=scanner,
        look=look,
    )


def test_the_same_seed_gives_the_same_example(toy_map: np.ndarray) -> None:
    first, second, other = (_example(toy_map, seed) for seed in (5, 5, 6))
    assert np.array_equal(first.hu, second.hu)
    assert np.array_equal(first.labels, second.labels)
    assert not np.array_equal(first.hu, other.hu)


def test_images_are_magnitudes_and_empty_outside_the_view(toy_map: np.ndarray) -> None:
    cut = 0
    for seed in range(25):
        example = _example(toy_map, seed)
        assert example.hu.shape == (1, *RECIPE.shape)
        assert example.present == (True,)
        assert np.isfinite(example.hu).all()
        assert (example.hu >= 0).all()
        outside = example.labels == IGNORED
        cut += bool(outside.any())
        assert (example.hu[0][outside] == 0).all()
    assert 5 < cut < 25


def test_labels_are_those_of_the_tissues(toy_map: np.ndarray) -> None:
    for seed in range(6):
        example = _example(toy_map, seed)
        told = example.labels != IGNORED
        assert ((example.labels == 1) == np.isin(example.tissue, IN_LIVER))[told].all()
        assert ((example.labels == 2) == (example.tissue == Tissue.SPLEEN))[told].all()


def test_the_liver_shows_against_the_air_and_fills_the_networks_range(toy_map: np.ndarray) -> None:
    liver, spread = [], []
    for seed in range(25):
        example = _example(toy_map, seed)
        told = example.labels != IGNORED
        image = to_input(example, Intensity("percentiles", 1.0, 99.0))[0]
        assert image.min() >= -1
        assert image.max() <= 1
        parenchyma = image[told & (example.tissue == Tissue.LIVER)]
        liver.append(np.median(parenchyma) - np.median(image[told & (example.tissue == Tissue.AIR)]))
        spread.append(parenchyma.std())
    assert np.mean(np.array(liver) > 0.1) > 0.85
    assert np.median(spread) < 0.35


def test_a_clean_scanner_shows_the_looks_own_signals(toy_map: np.ndarray) -> None:
    for seed, sequence in enumerate(("t1_spoiled_fat_suppressed", "t2_turbo_fat_suppressed", "balanced")):
        look = draw_mr_look(np.random.default_rng(seed), sequence=sequence)
        look = replace(look, texture=np.zeros_like(look.texture), fat_sign=1)
        tissue = np.full((24, 24, 48), Tissue.LIVER, dtype=np.uint8)
        tissue[:, :, 24:] = Tissue.SPLEEN
        painting = Painting(tissue, np.zeros(tissue.shape, np.uint8), np.ones(tissue.shape, np.float32))
        image = scan_mr(
            painting, look=look, scanner=CLEAN, spacing_mm=4.0, noise=NOISE, rng=np.random.default_rng(seed)
        ).image
        found = np.median(image[:, :, 4:20]) / np.median(image[:, :, 28:44])
        total = look.total()[0]
        assert found == pytest.approx(total[Tissue.LIVER] / total[Tissue.SPLEEN], rel=0.03)


def test_fat_and_water_cancel_along_their_border_out_of_phase() -> None:
    tissue = np.full((16, 16, 40), Tissue.LIVER, dtype=np.uint8)
    tissue[:, :, 20:] = Tissue.FAT
    painting = Painting(tissue, np.zeros(tissue.shape, np.uint8), np.ones(tissue.shape, np.float32))
    look = draw_mr_look(np.random.default_rng(3), sequence="t1_dual_echo")
    look = replace(look, texture=np.zeros_like(look.texture), fat_sign=-1)
    look.water[:, [Tissue.LIVER, Tissue.FAT]] = (1.0, 0.0)
    look.fat[:, [Tissue.LIVER, Tissue.FAT]] = (0.0, 1.0)
    blurred = replace(CLEAN, in_plane_mm=(4.0, 4.1))  # so that border voxels hold some of both
    line = scan_mr(
        painting, look=look, scanner=blurred, spacing_mm=4.0, noise=NOISE, rng=np.random.default_rng(1)
    ).image.mean(axis=(0, 1))
    inked = line[17:23].min()
    assert inked < 0.6 * line[8]
    assert inked < 0.6 * line[32]


def test_noise_in_air_is_rice_distributed() -> None:
    tissue = np.zeros((32, 32, 64), dtype=np.uint8)
    tissue[:, :, :20] = Tissue.LIVER
    painting = Painting(tissue, np.zeros(tissue.shape, np.uint8), np.ones(tissue.shape, np.float32))
    look = draw_mr_look(np.random.default_rng(3), sequence="t1_spoiled_fat_suppressed")
    scanner = replace(CLEAN, noise=(0.05, 0.051))
    air = scan_mr(
        painting, look=look, scanner=scanner, spacing_mm=4.0, noise=NOISE, rng=np.random.default_rng(1)
    ).image[:, :, 32:]
    # A Rayleigh distribution's mean over its standard deviation: the square root of pi / (4 - pi).
    assert air.mean() / air.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.1)


@pytest.mark.parametrize(("thick", "pitch"), [(2.0, 2.0), (1.5, 2.0), (0.5, 0.5), (0.5, 0.6), (1.0, 1.0)])
def test_slices_keep_constants_and_average_what_they_cover(thick: float, pitch: float) -> None:
    matrix = slice_matrix(40, thick=thick, pitch=pitch, start=0.3)
    assert matrix.shape == (40, 40)
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-5)
    assert (matrix >= 0).all()
    centre = (matrix * np.arange(40)[None, :]).sum(axis=1)[4:-4]
    assert np.abs(centre - np.arange(40)[4:-4]).max() <= max(pitch, 1.0) / 2 + 1e-5
    wide = np.sqrt((matrix * (np.arange(40)[None, :] - np.arange(40)[:, None]) ** 2).sum(axis=1)[4:-4].mean())
    assert wide == pytest.approx(np.hypot(thick, pitch) / np.sqrt(12), abs=0.5)


def test_a_shift_moves_a_line() -> None:
    line = np.zeros(20, dtype=np.float32)
    line[8] = 1.0
    moved = shift_matrix(20, 2.5) @ line
    assert (moved * np.arange(20)).sum() == pytest.approx(10.5)


@pytest.mark.parametrize("factor", [1.0, 1.8, 3.0])
def test_the_coils_field_is_smooth_and_as_strong_as_asked(factor: float) -> None:
    for seed in range(5):
        field = coil_field((32, 40, 48), spacing_mm=4.0, factor=factor, rng=np.random.default_rng(seed))
        assert (field > 0).all()
        low, high = np.percentile(field, (5, 95))
        assert high / low == pytest.approx(factor, rel=0.15)  # set on every fourth voxel
        steps = [np.abs(np.diff(np.log(field), axis=axis)).max() for axis in range(3)]
        assert max(steps) < 0.35 * max(np.log(factor), 0.01)


def test_what_lies_outside_folds_to_the_other_side() -> None:
    image = np.arange(10, dtype=np.float32)[None, None, :].repeat(2, 0)
    inside = folded(image, 2, 2, 8)[0, 0, 2:8]
    assert inside.tolist() == [2 + 8, 3 + 9, 4, 5, 6 + 0, 7 + 1]


def test_ghosts_are_weak_copies_along_one_axis() -> None:
    image = np.zeros((4, 64, 8), dtype=np.float32)
    image[:, 30:34] = 1.0
    ghost = ghosted(image, 1, np.random.default_rng(4))
    assert np.allclose(ghost[:, 30:34], 1, atol=0.3)
    beside = ghost.copy()
    beside[:, 30:34] = 0
    assert 0.01 < beside.max() < 0.2
    assert (beside.sum(axis=1) > 0).all()
