"""Examples by number: the same seed and number give the same example, whichever process makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from liverimg.segmentation.intensity import UNSEEN, Intensity, to_network
from liverimg.training.synthesis.examples import Example, Recipe, make_example
from liverimg.training.synthesis.warp import NoiseBank

_REAL_TREES_SHARE = 0.3


@dataclass(frozen=True)
class StoredMap:
    """A tissue map on disk: ``tissue`` in an ``.npz`` file, and its spacing.

    Attributes:
        path: Of the file.
        spacing_mm: Isotropic.
        veins_merged: Whether hepatic and portal veins are told apart by guess only.
    """

    path: Path
    spacing_mm: float
    veins_merged: bool = False

    def load(self) -> NDArray[np.uint8]:
        """The tissues, standard order."""
        with np.load(self.path) as found:
            tissue: NDArray[np.uint8] = found["tissue"]
        return tissue


def stored_maps(folder: Path, part: str, spacing_mm: float) -> list[StoredMap]:
    """The maps of one part, ``train`` or ``val``; files that end in ``-real`` hold real trees, merged."""
    paths = sorted(folder.glob(f"{part}-*.npz"))
    return [StoredMap(p, spacing_mm, veins_merged=p.stem.endswith("-real")) for p in paths if "part" not in p.name]


def to_input(example: Example, intensity: Intensity) -> NDArray[np.float32]:
    """All inputs as the network sees them, shape (inputs, k, j, i): ``UNSEEN`` where a phase is missing."""
    image = np.full(example.hu.shape, UNSEEN, dtype=np.float32)
    for number, there in enumerate(example.present):
        if there:
            image[number] = to_network(example.hu[number], intensity)
    return image


class ExampleStream(torch.utils.data.IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """Endless fresh examples from ``start`` on; workers share the numbers out among them."""

    def __init__(
        self,
        maps: Sequence[StoredMap],
        *,
        recipe: Recipe,
        channels: NDArray[np.uint8],
        intensity: Intensity,
        seed: int,
        start: int = 0,
        stop: int | None = None,
        make: Callable[..., Example] = make_example,
    ) -> None:
        super().__init__()
        if not maps:
            raise ValueError("no training maps were found; make them with python -m liverimg.training.anatomy.maps")
        self._maps = list(maps)
        self._recipe = recipe
        self._channels = channels
        self._intensity = intensity
        self._seed = seed
        self._start = start
        self._stop = stop
        self._make = make
        self._loaded: dict[int, NDArray[np.uint8]] = {}
        self._noise: NoiseBank | None = None

    def example(self, number: int) -> Example:
        """Example ``number``, a function of the seed, the number and the list of maps."""
        rng = np.random.default_rng([self._seed, number])
        if self._noise is None:
            self._noise = NoiseBank(self._seed)
        which = self._draw(rng)
        if which not in self._loaded:
            self._loaded[which] = self._maps[which].load()
        return self._make(
            self._loaded[which],
            map_spacing_mm=self._maps[which].spacing_mm,
            recipe=self._recipe,
            channels=self._channels,
            noise=self._noise,
            rng=rng,
            veins_merged=self._maps[which].veins_merged,
        )

    def _draw(self, rng: np.random.Generator) -> int:
        """A map's number; real trees are few and worth more, so they have a share of their own."""
        real = [n for n, one in enumerate(self._maps) if one.veins_merged]
        grown = [n for n, one in enumerate(self._maps) if not one.veins_merged]
        pool = real if real and (not grown or rng.random() < _REAL_TREES_SHARE) else grown
        return pool[int(rng.integers(len(pool)))]

    def tensors(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Example ``number`` as the network takes it: image (inputs, k, j, i) and labels (k, j, i)."""
        example = self.example(number)
        return torch.from_numpy(to_input(example, self._intensity)), torch.from_numpy(example.labels)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        worker = torch.utils.data.get_worker_info()
        torch.set_num_threads(1)
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        number = self._start + first
        while self._stop is None or number < self._stop:
            yield self.tensors(number)
            number += step
