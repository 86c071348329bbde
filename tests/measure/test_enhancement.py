"""Enhancement of lesions whose HU are known in every phase: levels within their bands, states right, doubt honest."""

from dataclasses import replace

import numpy as np
import pytest
from tests.measure.enhancing import (
    HYPER_AND_WASHOUT,
    HYPOVASCULAR,
    LIKE_LIVER,
    LIVER_HU,
    REFERENCE,
    RIM_ONLY,
    Look,
    Made,
    make,
)

from liverimg.core.measurement import Measured, Measurement, NotMeasured, find
from liverimg.core.study import Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.measure.enhancement import measure_enhancement
from liverimg.measure.states import Answer, above, between
from liverimg.measure.subject import Subject


def measured(made: Made, **how) -> dict[str, Measured]:
    body = made.body(**how)
    subject = Subject.of(body.lesions[0], body)
    return {q.name: q for q in measure_enhancement(subject, body)}


def state_of(found: dict[str, Measured], name: str) -> tuple[float, float, float]:
    quantity = found[name]
    assert isinstance(quantity, Measurement), quantity
    return quantity.low, quantity.value, quantity.high


@pytest.fixture(scope="module")
def typical() -> dict[str, Measured]:
    return measured(make(np.random.default_rng(1), HYPER_AND_WASHOUT))


def test_levels_lie_in_their_bands(typical: dict[str, Measured]):
    look = HYPER_AND_WASHOUT.core
    for phase, liver_hu in LIVER_HU.items():
        level, contrast = typical[f"attenuation_{phase}"], typical[f"contrast_to_liver_{phase}"]
        assert level.low - 1 <= look[phase] <= level.high + 1
        assert contrast.low - 1 <= look[phase] - liver_hu <= contrast.high + 1
        assert level.high - level.low < 14
    rise = typical["enhancement_arterial"]
    assert rise.low <= look[Phase.ARTERIAL] - look[Phase.UNENHANCED] <= rise.high


def test_a_typical_carcinoma(typical: dict[str, Measured]):
    assert state_of(typical, "arterial_hyperenhancement") == (2, 2, 2)
    assert state_of(typical, "washout") == (2, 2, 2)
    assert typical["iodised_oil_share"].high < 0.05
    diameter = typical["viable_diameter"]
    assert diameter.low <= 24.0 <= diameter.high
    assert typical["viable_share"].value > 0.95
    area = typical["viable_area"]
    assert area.low <= np.pi * 12.0**2 <= area.high
    assert area.value == pytest.approx(np.pi * 12.0**2, rel=0.06)


def test_a_hypovascular_lesion_shows_nothing():
    found = measured(make(np.random.default_rng(2), HYPOVASCULAR))
    assert state_of(found, "arterial_hyperenhancement") == (0, 0, 0)
    # Dark in the arterial phase already: nothing was washed out.
    assert state_of(found, "washout")[1:] == (0, 0)
    assert found["viable_volume"].low == found["viable_area"].low == 0
    assert found["viable_share"].value < 0.2


def test_a_rim_is_told_from_a_centre():
    found = measured(make(np.random.default_rng(3), RIM_ONLY, radius_mm=16.0))
    assert state_of(found, "arterial_hyperenhancement") == (1, 1, 1)
    # The diameter crosses no place that does not enhance: it is a chord of the rim, not the lesion's diameter.
    diameter = found["viable_diameter"]
    chord = 2 * 16.0 * np.sqrt(1 - (1 - RIM_ONLY.rim_share) ** 2)
    assert diameter.value < 31.0
    assert diameter.low <= chord <= diameter.high


def test_a_small_lesion_has_no_rim_that_could_be_told():
    low, value, high = state_of(
        measured(make(np.random.default_rng(4), HYPER_AND_WASHOUT, radius_mm=5.0, slices_mm=(2.0, 2.5))),
        "arterial_hyperenhancement",
    )
    assert (low, high) == (1, 2)
    assert value == 2


def test_noise_as_large_as_the_difference_is_no_answer():
    faint = Look.even(58, 77 + 9, 114 - 9, 95 - 9)
    found = measured(make(np.random.default_rng(5), faint, radius_mm=7.0, noise_hu=30.0))
    low, _, high = state_of(found, "arterial_hyperenhancement")
    assert low == 0 and high == 2


def test_without_an_unenhanced_phase_brightness_is_no_proof():
    phases = (Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED)
    found = measured(make(np.random.default_rng(6), HYPER_AND_WASHOUT, phases=phases))
    assert state_of(found, "arterial_hyperenhancement") == (0, 2, 2)
    for name in ("viable_diameter", "enhancement_arterial", "iodised_oil_share"):
        assert isinstance(found[name], NotMeasured), name


def test_missing_phases_say_so():
    found = measured(make(np.random.default_rng(7), HYPER_AND_WASHOUT, phases=(Phase.PORTAL_VENOUS,)))
    assert "arterial" in found["arterial_hyperenhancement"].reason
    # Dark now, but nobody saw it bright.
    assert state_of(found, "washout")[0] == 0


def test_bright_without_contrast_is_not_hyperenhancement():
    drawn = [measured(make(np.random.default_rng(seed), Look.even(95, 99, 120, 104))) for seed in (7, 8, 9)]
    states = [state_of(found, "arterial_hyperenhancement") for found in drawn]
    assert [value for value, _, _ in states] == [0, 0, 0]
    assert (0, 0, 0) in states, "noise may leave it open, but not always"


def test_oil_hides_enhancement():
    found = measured(make(np.random.default_rng(9), Look.even(450, 460, 460, 455)))
    assert found["iodised_oil_share"].value > 0.9
    assert state_of(found, "iodised_oil_retention")[2] == 3
    for name in ("arterial_hyperenhancement", "washout", "viable_volume"):
        assert "oil" in found[name].reason


def test_half_filled_with_oil_is_poor_or_moderate():
    half = replace(HYPOVASCULAR, core=Look.even(400, 410, 410, 400).core, rim_share=0.25)
    found = measured(make(np.random.default_rng(10), half, radius_mm=15.0))
    share = found["iodised_oil_share"]
    assert share.low <= 0.75**3 <= share.high
    assert state_of(found, "iodised_oil_retention")[0] >= 1


@pytest.mark.parametrize("seed", range(4))
def test_motion_between_phases_is_found(seed: int):
    made = make(np.random.default_rng(100 + seed), HYPER_AND_WASHOUT, motion_mm=9.0)
    placed = made.body().phases
    for phase, image in placed.items():
        assert not image.why_not
        astray = np.linalg.norm(np.subtract(image.shift_lps_mm, made.moved_lps_mm[phase]))
        assert astray <= max(image.doubt_mm, 1e-9), phase


def test_a_phase_that_shows_something_else_is_left_out():
    made = make(np.random.default_rng(11), HYPER_AND_WASHOUT)
    rng = np.random.default_rng(0)
    other = made.phases[Phase.ARTERIAL]
    noise = Volume(rng.normal(50, 20, other.volume.grid.shape), other.volume.grid, Quantity.HU)
    phases = {**made.phases, Phase.ARTERIAL: replace(other, volume=noise)}
    found = measured(replace(made, phases=phases))
    assert isinstance(found["arterial_hyperenhancement"], NotMeasured)


def test_more_motion_than_the_lesion_is_wide_is_no_answer():
    made = make(np.random.default_rng(12), HYPER_AND_WASHOUT, radius_mm=5.0)
    body = made.body()
    unsure = replace(body.settings.alignment.translation, least_doubt_mm=8.0)
    rules = replace(body.settings.alignment, translation=unsure, unseen_residual_mm=9.0)
    body = replace(body, settings=replace(body.settings, alignment=rules))
    found = measure_enhancement(Subject.of(body.lesions[0], body), body)
    assert "moved" in find(tuple(found), "arterial_hyperenhancement", target="L1").reason


def test_the_same_on_turned_arrays():
    made = make(np.random.default_rng(13), HYPER_AND_WASHOUT)
    turned = {p: replace(i, volume=_flipped(i.volume)) for p, i in made.phases.items()}
    labels = made.labels
    flipped = _flipped(Volume(labels.array, labels.grid, Quantity.HU))
    other = replace(
        made, phases=turned, labels=replace(labels, array=np.ascontiguousarray(flipped.array), grid=flipped.grid)
    )
    one, two = measured(made), measured(other)
    for name, quantity in one.items():
        if isinstance(quantity, Measurement):
            assert two[name].value == pytest.approx(quantity.value, abs=0.75), name


def _flipped(volume: Volume) -> Volume:
    """The same image with its first two axes exchanged and the third reversed."""
    grid = volume.grid
    array = np.transpose(volume.array, (1, 0, 2))[:, :, ::-1]
    affine = np.array(grid.affine)[:, [1, 0, 2, 3]]
    affine[:3, 3] = grid.index_to_lps_mm((0, 0, grid.shape[2] - 1))
    affine[:3, 2] *= -1
    return replace(volume, array=array, grid=replace(grid, shape=array.shape, affine=affine))


def test_a_lesion_like_the_liver_has_no_pattern():
    found = measured(make(np.random.default_rng(14), LIKE_LIVER))
    assert state_of(found, "arterial_hyperenhancement")[1] == 0
    assert state_of(found, "washout")[1] == 0
    assert abs(found[f"contrast_to_liver_{REFERENCE}"].value) < 4


def test_answers():
    assert above(12, 10, half=3) is Answer.YES
    assert above(12, 10, half=13) is Answer.RATHER_YES
    assert above(8, 10, half=3) is Answer.RATHER_NO
    assert above(5, 10, half=3) is Answer.NO
    assert between(25, 10, 20, half=4) is Answer.YES
    assert between(14, 10, 20, half=2) is Answer.RATHER_NO
    assert between(16, 10, 20, half=2) is Answer.RATHER_YES
    assert between(3, 10, 20, half=2) is Answer.NO
