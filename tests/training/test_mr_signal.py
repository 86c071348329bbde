"""Signals follow the physics, and looks what is known of each sequence."""

import numpy as np
import pytest

from liverimg.training.synthesis.looks import KINDS_PER_PATIENT
from liverimg.training.synthesis.mr_looks import RANDOM, MrLook, draw_mr_look, sequence_names
from liverimg.training.synthesis.mr_matter import mr_table
from liverimg.training.synthesis.mr_signal import Matter, Pulse, signal, with_agent
from liverimg.training.synthesis.tissues import Tissue


def _matter(t1_ms: float, t2_ms: float, *, density: float = 1.0, adc: float = 1.0) -> Matter:
    return Matter(*(np.full(1, v) for v in (t1_ms, t2_ms, t2_ms, density, adc)))


def _looks(sequence: str, count: int = 80) -> list[MrLook]:
    return [draw_mr_look(np.random.default_rng(seed), sequence=sequence) for seed in range(count)]


def _median(looks: list[MrLook], tissue: Tissue) -> float:
    return float(np.median([look.total()[0, tissue] for look in looks]))


def test_spoiled_gradient_echo_peaks_at_the_ernst_angle() -> None:
    tr_ms, matter = 5.0, _matter(600, 50)
    flips = np.arange(1.0, 60.0, 0.5)
    values = [float(signal(Pulse("spoiled", tr_ms, 0.0, f), matter)[0]) for f in flips]
    ernst = np.rad2deg(np.arccos(np.exp(-tr_ms / 600)))
    assert flips[int(np.argmax(values))] == pytest.approx(ernst, abs=0.5)


def test_spin_echo_decays_with_t2_and_recovers_with_t1() -> None:
    matter = _matter(1000, 50)
    long, short = (float(signal(Pulse("spin_echo", 1e9, te, 90), matter)[0]) for te in (100.0, 50.0))
    assert long / short == pytest.approx(np.exp(-1))
    half = float(signal(Pulse("spin_echo", 1000 * np.log(2), 0.0, 90), matter)[0])
    assert half == pytest.approx(0.5)


def test_diffusion_follows_stejskal_and_tanner() -> None:
    matter = _matter(1000, 50, adc=2.0)
    plain, weighted = (float(signal(Pulse("diffusion", 1e9, 50, 90, b), matter)[0]) for b in (0, 500))
    assert weighted / plain == pytest.approx(np.exp(-1.0))
    assert float(signal(Pulse("adc", 1, 1, 90), matter)[0]) == 2.0


def test_balanced_signal_of_long_relaxation_depends_on_their_ratio() -> None:
    """For TR far below T1 and T2: half the root of T2/T1 at the best flip angle (Bernstein 2004)."""
    matter = _matter(400, 100)
    flips = np.arange(5.0, 120.0, 1.0)
    best = max(float(signal(Pulse("balanced", 0.5, 0.0, f), matter)[0]) for f in flips)
    assert best == pytest.approx(0.5 * np.sqrt(100 / 400), rel=0.02)


def test_an_unknown_sequence_is_said() -> None:
    with pytest.raises(ValueError, match="stir"):
        signal(Pulse("stir", 1, 1, 90), _matter(1, 1))


def test_contrast_agent_shortens_relaxation_by_its_relaxivity() -> None:
    after = with_agent(_matter(1000, 100), np.array([1.0]), r1=5.0, r2=10.0)
    assert after.t1_ms[0] == pytest.approx(1000 / 6)
    assert after.t2_ms[0] == pytest.approx(100 / 2)


def test_every_tissue_of_the_maps_has_a_row() -> None:
    named = {Tissue[name.upper()] for name in mr_table()["tissue"]}
    elsewhere = {
        *(Tissue.AIR, Tissue.GAS, Tissue.AIRWAY, Tissue.TABLE, Tissue.CONTRAST_AGENT),
        *(Tissue.ARM_FAT, Tissue.ARM_MUSCLE, Tissue.ARM_BONE),
        *(t for t in Tissue if t.name.startswith(("TUMOUR", "ABLATION"))),
    }
    assert named | elsewhere == set(Tissue)
    assert not named & elsewhere


@pytest.mark.parametrize("sequence", [*sequence_names(), RANDOM])
def test_looks_are_sane(sequence: str) -> None:
    for look in _looks(sequence, 25):
        total = look.total()
        assert total.shape == (KINDS_PER_PATIENT + 1, 256)
        assert np.isfinite(total).all()
        assert (look.water >= 0).all()
        assert (look.fat >= 0).all()
        assert total[0, Tissue.AIR] == total[0, Tissue.GAS] == 0
        assert total[0, Tissue.LIVER] > 0


def test_without_agent_liver_is_brighter_than_spleen_on_t1_and_darker_on_t2() -> None:
    plain = [k for k in _looks("t1_spoiled_fat_suppressed", 200) if k.phase == 0]
    assert len(plain) > 20
    assert _median(plain, Tissue.LIVER) > 1.15 * _median(plain, Tissue.SPLEEN)
    for sequence in ("t2_single_shot", "t2_turbo_fat_suppressed", "diffusion"):
        looks = _looks(sequence)
        assert _median(looks, Tissue.LIVER) < 0.8 * _median(looks, Tissue.SPLEEN)


def test_the_aorta_leads_in_the_arterial_phase_and_the_liver_20_minutes_after_gadoxetate() -> None:
    looks = _looks("t1_spoiled_fat_suppressed", 300)
    arterial = [k for k in looks if abs(k.phase - 1) < 0.3]
    late = [k for k in looks if k.phase > 3.5]
    assert _median(arterial, Tissue.AORTA) > 1.5 * _median(arterial, Tissue.LIVER)
    assert _median(late, Tissue.LIVER) > 1.1 * _median(late, Tissue.PORTAL_VEIN)


def test_fluid_is_the_brightest_on_t2_and_fat_only_without_suppression() -> None:
    looks = _looks("t2_single_shot")
    assert _median(looks, Tissue.ASCITES) > 2 * _median(looks, Tissue.LIVER)
    fat = {sign: _median([k for k in looks if k.fat_sign == sign], Tissue.FAT) for sign in (0, 1)}
    assert fat[1] > 3 * fat[0]


def test_a_fatty_liver_darkens_out_of_phase() -> None:
    looks = [k for k in _looks("t1_dual_echo", 200) if k.fat[0, Tissue.LIVER] > 0.2 * k.water[0, Tissue.LIVER]]
    drop = [k.total()[0, Tissue.LIVER] / k.water[0, Tissue.LIVER] for k in looks if k.fat_sign == -1]
    rise = [k.total()[0, Tissue.LIVER] / k.water[0, Tissue.LIVER] for k in looks if k.fat_sign == 1]
    assert max(drop) < 1 < min(rise)


def test_tumours_are_t2_bright_and_mostly_dark_in_the_hepatobiliary_phase() -> None:
    ratios = {}
    for sequence in ("t2_turbo_fat_suppressed", "t1_spoiled_hepatobiliary"):
        ratios[sequence] = np.array(
            [k.water[1:, Tissue.TUMOUR] / k.water[0, Tissue.LIVER] for k in _looks(sequence)]
        ).ravel()
    assert np.median(ratios["t2_turbo_fat_suppressed"]) > 1.3
    assert np.median(ratios["t1_spoiled_hepatobiliary"]) < 0.8


def test_a_third_of_the_looks_is_random() -> None:
    drawn = [draw_mr_look(np.random.default_rng(seed)).sequence for seed in range(600)]
    assert drawn.count(RANDOM) / len(drawn) == pytest.approx(1 / 3, abs=0.06)
    assert set(drawn) == {*sequence_names(), RANDOM}
