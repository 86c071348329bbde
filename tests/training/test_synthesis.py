"""Training examples hold what they say, and the same number gives the same example."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from liverimg.core.labels import Structure
from liverimg.segmentation.intensity import UNSEEN, Intensity
from liverimg.training.synthesis.dataset import to_input
from liverimg.training.synthesis.examples import (
    EITHER,
    FINE,
    IGNORED,
    PHASE_TIMES,
    Example,
    Recipe,
    draw_times,
    make_example,
)
from liverimg.training.synthesis.lesions import LesionSizes, Painting, paint
from liverimg.training.synthesis.looks import Look, draw_patient, look_of
from liverimg.training.synthesis.scanner import Exposure, Scanner, draw_exposure, scan
from liverimg.training.synthesis.tissues import IN_LIVER, TUMOUR_TISSUES, Tissue, channel_table
from liverimg.training.synthesis.visibility import too_thin, unseen
from liverimg.training.synthesis.warp import NoiseBank

CHANNELS = {
    1: Structure.LIVER,
    2: Structure.TUMOUR,
    3: Structure.HEPATIC_VEIN,
    4: Structure.PORTAL_VEIN,
    5: Structure.GALLBLADDER,
}
RECIPE: Recipe = replace(FINE, shape=(32, 48, 48), spacing_mm=2.5, no_gallbladder_share=0.0)
NOISE = NoiseBank(3, size=64)


def _example(toy_map: np.ndarray, seed: int, recipe: Recipe = RECIPE, *, merged: bool = False) -> Example:
    return make_example(
        toy_map,
        map_spacing_mm=2.5,
        recipe=recipe,
        channels=channel_table(CHANNELS),
        noise=NOISE,
        rng=np.random.default_rng(seed),
        veins_merged=merged,
    )


def test_the_same_seed_gives_the_same_example(toy_map: np.ndarray) -> None:
    first, second, other = (_example(toy_map, seed) for seed in (5, 5, 6))
    assert np.array_equal(first.hu, second.hu)
    assert np.array_equal(first.labels, second.labels)
    assert not np.array_equal(first.hu, other.hu)


def test_every_class_appears_and_nothing_else(toy_map: np.ndarray) -> None:
    seen = np.unique(np.concatenate([np.unique(_example(toy_map, seed).labels) for seed in range(25)]))
    assert set(seen) == {0, 1, 2, 3, 4, 5, IGNORED}


def test_labels_are_those_of_the_tissues(toy_map: np.ndarray) -> None:
    for seed in range(8):
        example = _example(toy_map, seed)
        told = example.labels != IGNORED
        tumour = np.isin(example.tissue, TUMOUR_TISSUES)
        assert ((example.labels == 2) == tumour)[told].all()
        assert ((example.labels == 5) == (example.tissue == Tissue.GALLBLADDER))[told].all()
        assert np.isin(example.tissue[example.labels == 1], IN_LIVER).all()


def test_the_image_shows_the_tissues(toy_map: np.ndarray) -> None:
    for seed in range(4):
        example = _example(toy_map, seed)
        told = example.labels != IGNORED
        reference = example.hu[0]
        assert np.isfinite(example.hu).all()
        liver = np.median(reference[told & (example.tissue == Tissue.LIVER)])
        assert liver > np.median(reference[told & (example.tissue == Tissue.FAT)]) + 15
        assert (reference[~told & ~np.isin(example.tissue, IN_LIVER)] == -1024).all()


def test_a_missing_phase_looks_like_padding_to_the_network(toy_map: np.ndarray) -> None:
    presences = set()
    for seed in range(12):
        example = _example(toy_map, seed)
        image = to_input(example, Intensity("window", -100, 250))
        assert image.shape == (5, *RECIPE.shape)
        assert example.present[0]
        for number, there in enumerate(example.present):
            assert there == bool((image[number] > UNSEEN).any())
            assert there == (not np.isnan(example.phases[number]))
        presences.add(sum(example.present))
    assert len(presences) > 1


def test_the_slot_of_the_references_own_phase_stays_empty() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        times = draw_times(("reference", *PHASE_TIMES), 0.0, rng)
        assert np.isnan(times[1 + round(times[0])])


def test_all_phases_show_the_same_lesion() -> None:
    """The same matter is scanned every time: a bright arterial lesion is where a dark delayed one is."""
    tissue = np.full((24, 32, 32), Tissue.LIVER, dtype=np.uint8)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        patient = draw_patient(rng)
        painting = paint(tissue.copy(), patient, spacing_mm=np.full(3, 1.5), sizes=LesionSizes(), noise=NOISE, rng=rng)
        exposure = Exposure(noise_hu=1, colour=0, blur_voxels=0.3, slice_voxels=1, sharpening=0, table=False)
        for phase in (0.0, 1.0, 3.0):
            look = look_of(patient, phase, rng)
            image = scan(painting, look=look, exposure=exposure, scanner=QUIET, noise=NOISE, rng=rng)
            for kind in np.unique(painting.kind[painting.kind > 0]):
                body = (painting.kind == kind) & (painting.tissue == Tissue.TUMOUR)
                inner = ndimage.binary_erosion(body, iterations=2)
                if inner.sum() > 300:
                    liver = float(look.hu[Tissue.LIVER])
                    stands_out = float(look.lesion_hu[kind, Tissue.TUMOUR]) - liver
                    expected = liver + stands_out * float(painting.weight[inner].mean())
                    assert image[inner].mean() == pytest.approx(expected, abs=9.0)


QUIET = Scanner(moved_share=0, streak_share=0)


def _plain_look(contrast_hu: float) -> Look:
    hu = np.full(256, 100.0, dtype=np.float32)
    hu[[Tissue.PORTAL_VEIN, Tissue.TUMOUR]] += contrast_hu
    return Look(2.0, hu, np.zeros(256, np.float32), np.stack([hu, hu]))


def test_what_shows_in_no_phase_counts_neither_way() -> None:
    tissue = np.full((20, 20, 20), Tissue.LIVER, dtype=np.uint8)
    tissue[:, 4:10, 4:10] = Tissue.PORTAL_VEIN
    tissue[:, 15, 15] = Tissue.PORTAL_VEIN  # a twig, one voxel wide
    tissue[14:18, 14:18, 2:6] = Tissue.TUMOUR
    kind = (tissue == Tissue.TUMOUR).astype(np.uint8)
    painting = Painting(tissue, kind, np.ones(tissue.shape, np.float32))
    exposure = Exposure(noise_hu=10, colour=0, blur_voxels=0.6, slice_voxels=1, sharpening=0, table=False)
    trunk, twig = (10, 7, 7), (10, 15, 15)
    faint, clear = _plain_look(6.0), _plain_look(50.0)
    middling = _plain_look(10.0)

    def hidden(*looks: Look) -> np.ndarray:
        return unseen(painting, looks, exposure, spacing_mm=1.5, noise=NOISE, rng=np.random.default_rng(1))

    assert hidden(faint)[kind > 0].all()
    assert hidden(middling)[twig]
    assert not hidden(middling)[trunk]
    assert not hidden(faint, clear).any()


def test_oil_shows_itself_and_not_the_tumour_around_it() -> None:
    tissue = np.full((40, 40, 40), Tissue.LIVER, dtype=np.uint8)
    tissue[8:32, 8:32, 8:32] = Tissue.TUMOUR
    tissue[8:14, 8:32, 8:32] = Tissue.TUMOUR_OIL
    kind = np.isin(tissue, (Tissue.TUMOUR, Tissue.TUMOUR_OIL)).astype(np.uint8)
    look = _plain_look(2.0)
    look.hu[Tissue.TUMOUR_OIL] = look.lesion_hu[:, Tissue.TUMOUR_OIL] = 500.0
    painting = Painting(tissue, kind, np.ones(tissue.shape, np.float32))
    exposure = Exposure(noise_hu=5, colour=0.5, blur_voxels=0.5, slice_voxels=1, sharpening=0, table=False)
    hidden = unseen(painting, [look], exposure, spacing_mm=1.5, noise=NOISE, rng=np.random.default_rng(1))
    assert hidden[25, 20, 20]
    assert hidden[kind > 0].all(), "a quarter of a lesion is not a lesion"


def test_vessels_below_three_millimetres_count_neither_way() -> None:
    tissue = np.full((30, 30, 30), Tissue.LIVER, dtype=np.uint8)
    tissue[:, 4:8, 4:8] = Tissue.PORTAL_VEIN
    tissue[15, 8:25, 5] = Tissue.PORTAL_VEIN
    thin = too_thin(tissue, 1.5)
    assert thin[15, 8:25, 5].all()
    assert thin.sum() == 17
    assert not too_thin(tissue, 4.0).any()


def test_thick_slices_blur_along_the_body_only() -> None:
    tissue = np.full((40, 40, 40), Tissue.LIVER, dtype=np.uint8)
    tissue[20:, :, :20] = Tissue.FAT
    painting = Painting(tissue, np.zeros_like(tissue), np.ones(tissue.shape, np.float32))
    hu = np.zeros(256, dtype=np.float32)
    hu[Tissue.LIVER], hu[Tissue.FAT], hu[Tissue.VESSEL_OTHER] = 100, -100, -100
    look = Look(2.0, hu, np.zeros(256, np.float32), hu[None])
    exposure = Exposure(noise_hu=0.01, colour=0, blur_voxels=0.3, slice_voxels=5, sharpening=0, table=False)
    image = scan(painting, look=look, exposure=exposure, scanner=QUIET, noise=NOISE, rng=np.random.default_rng(2))
    steepness = [np.abs(np.diff(image[:, :, 5], axis=0)).max(), np.abs(np.diff(image[35, :, :], axis=1)).max()]
    assert steepness[0] < 0.5 * steepness[1]


def test_slices_are_as_thick_as_drawn() -> None:
    exposures = [draw_exposure(Scanner(), 1.5, np.random.default_rng(seed)) for seed in range(400)]
    thick = np.array([e.slice_voxels for e in exposures]) * 1.5
    assert thick.max() <= 8.0 + 1e-6
    assert 0.25 < np.mean(thick > 2.0) < 0.45


def test_real_trees_are_labelled_either(toy_map: np.ndarray) -> None:
    labels = np.concatenate([np.unique(_example(toy_map, seed, merged=True).labels) for seed in range(6)])
    assert EITHER in labels
    assert not {3, 4} & set(labels)


def test_portal_phase_veins_are_brighter_than_the_liver() -> None:
    rngs = [np.random.default_rng(seed) for seed in range(200)]
    patients = [draw_patient(rng) for rng in rngs]
    portal = [look_of(p, 2.0, rng).hu for p, rng in zip(patients, rngs, strict=True)]
    assert 35 < np.mean([hu[Tissue.PORTAL_VEIN] - hu[Tissue.LIVER] for hu in portal]) < 75
    plain = [(p, rng) for p, rng in zip(patients, rngs, strict=True) if not p.scrambled]
    arterial = [look_of(p, 1.0, rng).hu for p, rng in plain]
    assert np.mean([hu[Tissue.AORTA] - hu[Tissue.VENA_CAVA] for hu in arterial]) > 150


def test_a_patients_phases_belong_together() -> None:
    """Between two phases of one patient the liver changes less than between patients."""
    within, between, previous = [], [], None
    for seed in range(150):
        rng = np.random.default_rng(seed)
        patient = draw_patient(rng)
        if patient.scrambled:
            continue
        first, second = (float(look_of(patient, 2.0, rng).hu[Tissue.LIVER]) for _ in range(2))
        within.append(first - second)
        if previous is not None:
            between.append(first - previous)
        previous = first
    assert np.std(within) < 0.5 * np.std(between)


def test_vessels_fall_back_to_the_liver_where_a_network_does_not_know_them() -> None:
    table = channel_table({1: Structure.LIVER, 2: Structure.SPLEEN})
    assert {int(table[t]) for t in IN_LIVER} == {1}
    assert table[Tissue.SPLEEN] == 2
    assert table[Tissue.FAT] == 0


@pytest.mark.parametrize("scale", [0, 3])
def test_noise_has_unit_variance_and_is_smooth_as_asked(scale: int) -> None:
    piece = NOISE.piece((64, 64, 64), scale, np.random.default_rng(1))
    assert piece.std() == pytest.approx(1.0, abs=0.02)
    neighbours = np.corrcoef(piece[:-1].ravel(), piece[1:].ravel())[0, 1]
    assert neighbours > 0.9 if scale == 3 else neighbours < 0.7
