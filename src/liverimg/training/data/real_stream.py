"""Examples cut from prepared cases: the same seed and number give the same example, whichever process makes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.segmentation.intensity import UNSEEN
from liverimg.training.data.augment import Augmentation, finish, vary
from liverimg.training.data.prepared import Prepared, Shape, to_network_values
from liverimg.training.data.targets import Targets
from liverimg.training.synthesis.examples import IGNORED
from liverimg.training.synthesis.scanner import Scanner, cut_view
from liverimg.training.synthesis.warp import FloatArray, gather, patch_coordinates

Tensors = tuple[torch.Tensor, torch.Tensor]


class Examples(Protocol):
    """Anything that can make example ``number``: image (inputs, k, j, i) and labels (k, j, i)."""

    def tensors(self, number: int) -> Tensors:
        """The example, a function of its number alone."""
        ...


@dataclass(frozen=True, eq=False)
class RealExamples:
    """Patches of prepared cases.

    Attributes:
        cases: To cut from.
        targets: What their label values teach.
        main_values: Label values that patches are centred on, when no other label is chosen.
        patch: Size (k, j, i).
        spacing_mm: Isotropic.
        inputs: How many images the network takes.
        how: Strength of the augmentation.
        seed: Of all chance.
    """

    cases: Sequence[Prepared]
    targets: Targets
    main_values: tuple[int, ...]
    patch: Shape
    spacing_mm: float
    inputs: int
    how: Augmentation
    seed: int

    def tensors(self, number: int) -> Tensors:
        """Example ``number``."""
        rng = np.random.default_rng([self.seed, number, 1])
        case = self.cases[int(rng.integers(len(self.cases)))]
        where = patch_coordinates(
            self._middle(case, rng),
            self.patch,
            spacing_mm=np.full(3, self.spacing_mm),
            map_spacing_mm=self.spacing_mm,
            bending=self.how.bending,
            rng=rng,
        )
        inside = _inside(where, case.shape)
        seen = inside & cut_view(self.patch, scanner=Scanner(cut_share=self.how.cut_share), rng=rng)
        labels = self.targets.codes[gather(case.values, where, outside=0)]
        labels[~seen] = IGNORED
        image = np.full((self.inputs, *self.patch), UNSEEN, dtype=np.float32)
        window, offset = _window(where, case.shape)
        for row, channel in enumerate(case.there):
            withheld = rng.random() < self.how.missing_share and channel > 0
            part = to_network_values(case.image[(row, *window)])
            patch = ndimage.map_coordinates(part, where - offset, order=1, mode="nearest")
            changed = vary(patch, self.how, rng)
            if not withheld:
                image[channel] = finish(changed, seen)
        return torch.from_numpy(image), torch.from_numpy(labels)

    def _middle(self, case: Prepared, rng: np.random.Generator) -> NDArray[np.float64]:
        """Index (k, j, i) that the patch is built around."""
        known = [v for v in case.places if v != 0 and self.targets.codes[v] != IGNORED]
        main = [v for v in self.main_values if v in case.places]
        balanced = rng.random() < self.how.balanced_share
        among = known if known and (balanced or not main) else main or list(case.places)
        places = case.places[among[int(rng.integers(len(among)))]]
        anchor = places[int(rng.integers(len(places)))]
        return np.asarray(anchor + rng.normal(0, self.how.wander, size=3) * self.patch)


def _inside(where: FloatArray, shape: Shape) -> NDArray[np.bool_]:
    inside = np.ones(where.shape[1:], dtype=bool)
    for axis, count in enumerate(shape):
        inside &= (where[axis] >= -0.5) & (where[axis] <= count - 0.5)
    return inside


def _window(where: FloatArray, shape: Shape) -> tuple[tuple[slice, slice, slice], NDArray[np.float32]]:
    """The part of the case that the patch reaches, so that no more is read from disk."""
    box = []
    for axis, count in enumerate(shape):
        low = int(np.clip(np.floor(where[axis].min()), 0, count - 1))
        high = int(np.clip(np.ceil(where[axis].max()) + 1, low + 1, count))
        box.append(slice(low, high))
    offset = np.array([b.start for b in box], dtype=np.float32).reshape(3, 1, 1, 1)
    return (box[0], box[1], box[2]), offset


@dataclass(frozen=True, eq=False)
class MixedExamples:
    """Now real, now synthetic: the number alone decides.

    Attributes:
        real: Real examples.
        synthetic: Synthetic ones.
        share: Of the synthetic.
        seed: Of the choice.
    """

    real: Examples
    synthetic: Examples
    share: float
    seed: int

    def tensors(self, number: int) -> Tensors:
        """Example ``number``."""
        chance = np.random.default_rng([self.seed, number, 2]).random()
        return (self.synthetic if chance < self.share else self.real).tensors(number)


class NumberedStream(torch.utils.data.IterableDataset[Tensors]):
    """Endless examples from ``start`` on; workers share the numbers out among them."""

    def __init__(self, examples: Examples, *, start: int = 0, stop: int | None = None) -> None:
        super().__init__()
        self._examples = examples
        self._start = start
        self._stop = stop

    def __iter__(self) -> Iterator[Tensors]:
        worker = torch.utils.data.get_worker_info()
        torch.set_num_threads(1)
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        number = self._start + first
        while self._stop is None or number < self._stop:
            yield self._examples.tensors(number)
            number += step
