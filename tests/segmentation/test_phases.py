"""Further phases go into the network where the patient's coordinates put them, moved with the liver, or not at all."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer

from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.core.study import Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table
from liverimg.segmentation.bundle import Bundle, Pass
from liverimg.segmentation.infer import segment_volume
from liverimg.segmentation.intensity import UNSEEN, Intensity
from liverimg.segmentation.phases import AlignmentRules, averaged_onto, sampled

RULES = AlignmentRules.from_table(read_table("segmentation")["phases"])
NOTHING_HU, LIVER_HU, TUMOUR_HU = 0.0, 120.0, 220.0
FRAME = "1.2.3"
REFERENCE = Grid.from_axes(
    (30, 56, 72), spacing_mm=(2.5, 1.6, 1.6), origin_lps_mm=(-40, 12, 7), frame_of_reference_uid=FRAME
)
# Thicker slices, another field of view, other axes: nothing of it fits but the patient.
OTHER = Grid.from_axes(
    (80, 90, 22),
    spacing_mm=(1.5, 1.4, 5.0),
    directions=((1, 0, 0), (0, 1, 0), (0, 0, -1)),
    origin_lps_mm=(-45, 5, 100),
    frame_of_reference_uid=FRAME,
)
TILTED = Grid.from_axes(
    (60, 70, 80),
    spacing_mm=(2.0, 1.7, 1.7),
    directions=(
        (0, -np.sin(0.2), np.cos(0.2)),
        (0, np.cos(0.2), np.sin(0.2)),
        (1, 0, 0),
    ),
    origin_lps_mm=(-50, 12, -20),
    frame_of_reference_uid=FRAME,
)


class LiverHere(torch.nn.Module):
    """Calls bright voxels of the first image liver."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        half = (LIVER_HU / 2 + 160) / 210 - 1
        return torch.cat([torch.zeros_like(image[:, :1]), 40 * (image[:, :1] - half)], dim=1)


class TumourThere(torch.nn.Module):
    """Liver is bright on the first image, tumour is liver that is brighter still on the second."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.seen.append(image.clone())
        half, high = (LIVER_HU / 2 + 160) / 210 - 1, ((LIVER_HU + TUMOUR_HU) / 2 + 160) / 210 - 1
        liver = 40 * (image[:, :1] - half)
        tumour = torch.minimum(liver, 40 * (image[:, 1:2] - high)) + liver.clamp(min=0)
        return torch.cat([torch.zeros_like(liver), liver, tumour], dim=1)


def _pass(name: str, network: torch.nn.Module, inputs: tuple[str, ...], *structures: Structure) -> Pass:
    return Pass(
        name=name,
        spacing_mm=4.0 if name == "coarse" else 1.5,
        inputs=inputs,
        intensity=Intensity("window", -160, 260),
        channels=dict(enumerate(structures, start=1)),
        around_mm=None if name == "coarse" else 10.0,
        network=network,
        inferer=SlidingWindowInferer(roi_size=(64, 64, 64), overlap=0.25, mode="gaussian", cval=UNSEEN),
    )


@pytest.fixture
def bundle() -> Bundle:
    inputs = ("reference", "arterial", "delayed")
    return Bundle(
        name="two",
        version="0",
        modalities=("CT",),
        passes=(
            _pass("coarse", LiverHere(), ("reference",), Structure.LIVER),
            _pass("fine", TumourThere(), inputs, Structure.LIVER, Structure.TUMOUR),
        ),
        values={Structure.LIVER: 1, Structure.TUMOUR: 2},
        surface_error_mm={},
        device=torch.device("cpu"),
    )


def _ball(grid: Grid, centre_lps_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    points = grid.index_to_lps_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return np.linalg.norm(points - centre_lps_mm, axis=-1) <= radius_mm


CENTRE = REFERENCE.centre_lps_mm
SPOT = CENTRE + np.array([-8.0, 3.0, 5.0])


def _liver_on(
    grid: Grid, *, moved_mm: tuple[float, float, float] = (0, 0, 0), spot: bool = False, radius_mm: float = 26.0
) -> Volume:
    hu = np.full(grid.shape, NOTHING_HU, dtype=np.int16)
    hu[_ball(grid, CENTRE + moved_mm, radius_mm)] = LIVER_HU
    # A second lobe: a ball alone could be turned at will.
    hu[_ball(grid, CENTRE + moved_mm + np.array([20.0, -8.0, -10.0]), 14.0)] = LIVER_HU
    if spot:
        hu[_ball(grid, SPOT + moved_mm, 8.0)] = TUMOUR_HU
    return Volume(hu, grid, Quantity.HU)


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize("grid", [REFERENCE, OTHER, TILTED], ids=["same", "permuted and flipped", "tilted"])
def test_a_tumour_that_only_another_phase_shows_is_drawn_in_its_place(bundle: Bundle, grid: Grid) -> None:
    arterial = _liver_on(grid, spot=True)
    found = segment_volume(_liver_on(REFERENCE), bundle, others={Phase.ARTERIAL: arterial}, alignment=RULES)
    assert [p.phase for p in found.phases] == [Phase.ARTERIAL]
    assert found.phases[0].volume is arterial
    assert found.phases[0].shift_lps_mm == (0.0, 0.0, 0.0), found.phases
    truth = _ball(REFERENCE, SPOT, 8.0)
    assert _dice(found.labels.mask(Structure.TUMOUR), truth) > 0.8
    apart = np.argwhere(found.labels.mask(Structure.TUMOUR)).mean(axis=0) - np.argwhere(truth).mean(axis=0)
    assert np.abs(apart * REFERENCE.spacing_mm).max() < 1.2, "half a slice of the reference"


def test_a_phase_that_is_not_at_hand_is_unseen(bundle: Bundle) -> None:
    segment_volume(_liver_on(REFERENCE), bundle, others={Phase.ARTERIAL: _liver_on(OTHER)})
    patch = bundle.passes[1].network.seen[0]
    assert patch.shape[1] == 3
    assert (patch[:, 2] == UNSEEN).all(), "no delayed phase"
    assert (patch[:, 1] > UNSEEN).any()


def test_where_a_phase_does_not_reach_it_is_unseen(bundle: Bundle) -> None:
    half = _liver_on(REFERENCE)
    upper = Volume(half.array[15:], REFERENCE.cropped((15, 0, 0), (15, 56, 72)), Quantity.HU)
    segment_volume(half, bundle, others={Phase.ARTERIAL: upper})
    patch = bundle.passes[1].network.seen[0][0]
    reaches = (patch[1] > UNSEEN).flatten(1).any(dim=1).numpy()
    share = reaches[(patch[0] > UNSEEN).flatten(1).any(dim=1).numpy()].mean()
    assert 0.35 < share < 0.65
    assert not reaches[: len(reaches) // 4].any()


def test_phases_that_the_model_has_no_place_for_are_passed_over(bundle: Bundle) -> None:
    found = segment_volume(_liver_on(REFERENCE), bundle, others={Phase.HEPATOBILIARY: _liver_on(OTHER)})
    assert found.phases == ()


@pytest.mark.parametrize("moved_mm", [(0, 0, 18.0), (4.0, -6.0, -22.0)])
def test_a_liver_that_breathing_moved_is_followed(bundle: Bundle, moved_mm: tuple[float, float, float]) -> None:
    wide = Grid.from_axes((60, 80, 90), spacing_mm=(2.5, 1.6, 1.6), origin_lps_mm=(-55, 0, -30))
    arterial = _liver_on(wide, moved_mm=moved_mm, spot=True)
    found = segment_volume(_liver_on(REFERENCE), bundle, others={Phase.ARTERIAL: arterial}, alignment=RULES)
    placed = found.phases[0]
    assert placed.volume is arterial
    assert np.abs(np.subtract(placed.shift_lps_mm, moved_mm)).max() < 1.5
    assert _dice(found.labels.mask(Structure.TUMOUR), _ball(REFERENCE, SPOT, 8.0)) > 0.75


def test_without_following_the_tumour_would_be_elsewhere(bundle: Bundle) -> None:
    wide = Grid.from_axes((60, 80, 90), spacing_mm=(2.5, 1.6, 1.6), origin_lps_mm=(-55, 0, -30))
    arterial = _liver_on(wide, moved_mm=(0, 0, 18.0), spot=True)
    found = segment_volume(_liver_on(REFERENCE), bundle, others={Phase.ARTERIAL: arterial})
    assert _dice(found.labels.mask(Structure.TUMOUR), _ball(REFERENCE, SPOT, 8.0)) < 0.3


def test_a_phase_with_another_liver_is_left_out_with_a_reason(bundle: Bundle) -> None:
    found = segment_volume(
        _liver_on(REFERENCE),
        bundle,
        others={Phase.ARTERIAL: _liver_on(OTHER, radius_mm=12.0), Phase.DELAYED: _liver_on(OTHER)},
        alignment=RULES,
    )
    by_phase = {p.phase: p for p in found.phases}
    assert by_phase[Phase.ARTERIAL].volume is None
    assert "lies elsewhere" in by_phase[Phase.ARTERIAL].left_out
    assert by_phase[Phase.DELAYED].volume is not None


def test_a_phase_without_a_liver_or_with_too_little_of_it_is_left_out(bundle: Bundle) -> None:
    empty = Volume(np.zeros(OTHER.shape, dtype=np.int16), OTHER, Quantity.HU)
    whole = _liver_on(REFERENCE)
    top = Volume(whole.array[22:], REFERENCE.cropped((22, 0, 0), (8, 56, 72)), Quantity.HU)
    broken = Volume(np.full(OTHER.shape, np.nan, dtype=np.float32), OTHER, Quantity.HU)
    for volume, words in ((empty, "no liver"), (top, "too little"), (broken, "NaN")):
        found = segment_volume(whole, bundle, others={Phase.ARTERIAL: volume}, alignment=RULES)
        assert found.phases[0].volume is None
        assert words in found.phases[0].left_out


def test_linear_interpolation_in_patient_space_is_exact_on_a_ramp() -> None:
    index = np.moveaxis(np.indices(TILTED.shape), 0, -1)
    slope, start = np.array([2.0, -1.0, 3.0]), 5.0
    ramp = (TILTED.index_to_lps_mm(index) @ slope + start).astype(np.float32)
    shift = (3.0, -2.0, 1.0)
    found, seen = sampled(ramp, TILTED, REFERENCE, shift_lps_mm=shift)
    places = REFERENCE.index_to_lps_mm(np.moveaxis(np.indices(REFERENCE.shape), 0, -1)) + shift
    assert seen.sum() > 1000
    assert np.allclose(found[seen], (places @ slope + start)[seen], atol=1e-2)
    inside = TILTED.lps_mm_to_index(places)
    expected = ((inside >= 0) & (inside <= np.array(TILTED.shape) - 1)).all(axis=-1)
    assert (seen == expected).mean() > 0.999


def test_a_finer_phase_is_averaged_and_not_sampled() -> None:
    noise = np.random.default_rng(3).normal(0, 100, (60, 120, 120)).astype(np.float32)
    fine = Grid.from_axes((60, 120, 120), spacing_mm=(1.0, 0.5, 0.5), origin_lps_mm=(0, 0, 0))
    onto = Grid.from_axes((12, 12, 12), spacing_mm=4.0 * np.ones(3), origin_lps_mm=(4, 4, 4))
    found, seen = averaged_onto(Volume(noise, fine, Quantity.HU), onto, shift_lps_mm=(0, 0, 0))
    assert seen.all()
    assert found.std() < 10


def test_signal_without_units_is_scaled_by_the_whole_image_not_by_what_is_looked_at(bundle: Bundle) -> None:
    """The fine pass looks at a box; its percentiles have to be those of the volume."""
    signal = _liver_on(REFERENCE)
    rng = np.random.default_rng(0)
    array = (signal.array.astype(np.float32) + 1) * 3 + rng.uniform(0, 5, REFERENCE.shape).astype(np.float32)
    array[:, :4] = 4000.0  # bright fat, outside the fine pass's box
    seen = TumourThere()
    fine = replace(bundle.passes[1], intensity=Intensity("percentiles", 1, 99), network=seen)
    coarse = replace(bundle.passes[0], intensity=Intensity("window", 0, 420))
    mr = replace(bundle, modalities=("MR",), passes=(coarse, fine))
    segment_volume(Volume(array, REFERENCE, Quantity.MR_SIGNAL), mr)
    liver = seen.seen[0][0, 0].max()
    high = np.percentile(array[array > 0], 99)
    assert high == pytest.approx(4000, rel=0.01)
    assert float(liver) < -0.75, "360 of 4000"
