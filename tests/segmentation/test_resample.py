"""Resampling keeps places, sums and straight lines."""

import numpy as np
import pytest

from liverimg.segmentation.resample import Enlarger, resampled, weights


@pytest.mark.parametrize(("old", "ratio"), [(129, 2.5), (129, 0.4), (64, 1.0), (50, 7.1)])
def test_a_ramp_stays_a_ramp_away_from_the_ends(old: int, ratio: float) -> None:
    new = int(np.ceil(old / ratio))
    result = weights(old, new, ratio) @ np.arange(old, dtype=np.float32)
    expected = (np.arange(new) + 0.5) * ratio - 0.5
    inner = (expected > ratio) & (expected < old - 1 - ratio)
    assert inner.any()
    assert np.allclose(result[inner], expected[inner], atol=0.12 * max(1.0, ratio))


def test_the_same_spacing_changes_nothing() -> None:
    array = np.random.default_rng(1).normal(size=(5, 6, 7)).astype(np.float32)
    assert np.allclose(resampled(array, array.shape, np.ones(3)), array, atol=1e-6)


def test_a_constant_stays_what_it_is() -> None:
    found = resampled(np.full((9, 10, 11), 37, dtype=np.int16), (4, 20, 3), np.array([2.25, 0.5, 11 / 3]))
    assert np.allclose(found, 37, atol=1e-4)


def test_fine_noise_is_averaged_not_sampled() -> None:
    noise = np.random.default_rng(2).normal(size=(40, 40, 40)).astype(np.float32)
    small = resampled(noise, (10, 10, 10), np.full(3, 4.0))
    assert small.std() < 0.15


def test_an_enlarger_slice_is_the_slice_of_the_whole() -> None:
    small = np.random.default_rng(3).random((2, 6, 7, 8)).astype(np.float32)
    ratio = np.array([0.5, 0.4, 0.25])
    shape = (12, 17, 32)
    enlarger = Enlarger(small, shape, ratio)
    whole = np.stack([resampled(channel, shape, ratio) for channel in small])
    for k in range(shape[0]):
        assert np.allclose(enlarger.slice(k), whole[:, k], atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "ratio"), [((12, 17, 32), (0.5, 0.4, 0.25)), ((5, 17, 6), (1.2, 0.4, 1.4))], ids=["finer", "mixed"]
)
def test_what_a_slice_decides_is_what_all_its_probabilities_say(shape: tuple[int, int, int], ratio) -> None:
    logits = np.random.default_rng(6).normal(size=(4, 6, 7, 8)) * 3
    logits[0, :, :3] += 12  # a part that is nothing but background
    small = (np.exp(logits) / np.exp(logits).sum(axis=0)).astype(np.float32)
    enlarger = Enlarger(small, shape, np.array(ratio))
    for k in range(shape[0]):
        whole, decided = enlarger.slice(k), enlarger.decide(k)
        elsewhere = np.ones(shape[1:], dtype=bool)
        elsewhere[decided.box] = False
        assert (whole[0][elsewhere] >= 0.995).all()
        part = whole[:, *decided.box]
        sure = np.sort(part, axis=0)[-1] - np.sort(part, axis=0)[-2] > 1e-5
        assert np.array_equal(decided.channel[sure], part.argmax(axis=0)[sure])
        assert np.allclose(decided.winner, part.max(axis=0), atol=1e-6)
        assert np.allclose(decided.background, part[0], atol=1e-6)
