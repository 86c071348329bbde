"""A liver that the headers hide is found when the image is turned against them, and named by the turn."""

import numpy as np
import pytest
import torch
from monai.inferers import SlidingWindowInferer

from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.segmentation.bundle import Bundle, Pass
from liverimg.segmentation.intensity import Intensity
from liverimg.segmentation.turned import liver_when_turned

GRID = Grid.from_axes((30, 30, 30), spacing_mm=(6, 6, 6))


class Particular(torch.nn.Module):
    """Knows a liver only above, in front of and to the right of the brightest spot."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        spot = np.unravel_index(int(image[0, 0].argmax()), image.shape[2:])
        grey = image[0, 0] > 0
        middle = torch.nonzero(grey).float().mean(dim=0) if grey.any() else torch.zeros(3)
        known = spot[0] < middle[0] and spot[1] > middle[1] and spot[2] > middle[2]
        liver = grey[None, None].float() * (20.0 if known else -20.0) - 5
        return torch.cat([torch.zeros_like(liver), liver], dim=1)


@pytest.fixture
def bundle() -> Bundle:
    one = Pass(
        name="coarse",
        spacing_mm=6.0,
        inputs=("reference",),
        intensity=Intensity("window", -100, 100),
        channels={1: Structure.LIVER},
        around_mm=None,
        network=Particular(),
        inferer=SlidingWindowInferer(roi_size=(30, 30, 30), overlap=0.2, cval=-1.0),
    )
    return Bundle("b", "0", ("CT",), (one,), {Structure.LIVER: 1}, {}, torch.device("cpu"))


def _image() -> np.ndarray:
    hu = np.full(GRID.shape, -100, np.int16)
    hu[8:22, 8:22, 8:22] = 60
    hu[8, 20, 20] = 100
    return hu


@pytest.mark.parametrize(
    ("axes", "words"),
    [((0,), "head for feet"), ((2,), "left for right"), ((0, 1), "head for feet and front for back")],
)
def test_the_turn_is_named(bundle: Bundle, axes: tuple[int, ...], words: str) -> None:
    turned = Volume(np.flip(_image(), axis=axes).copy(), GRID, Quantity.HU)
    assert liver_when_turned(turned, bundle, least_ml=150) == words


def test_an_image_without_a_liver_has_none_however_it_is_turned(bundle: Bundle) -> None:
    empty = Volume(np.full(GRID.shape, -100, np.int16), GRID, Quantity.HU)
    assert liver_when_turned(empty, bundle, least_ml=150) == ""


def test_a_crumb_is_no_liver(bundle: Bundle) -> None:
    turned = Volume(np.flip(_image(), axis=0).copy(), GRID, Quantity.HU)
    assert liver_when_turned(turned, bundle, least_ml=5000) == ""
