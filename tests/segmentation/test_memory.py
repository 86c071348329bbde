"""Too little memory is a sentence before the work begins, not a killed process."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from liverimg.core.errors import ExitCode, MemoryShortError
from liverimg.core.grid import Grid
from liverimg.core.volume import Quantity, Volume
from liverimg.segmentation import memory
from liverimg.segmentation.bundle import open_bundle
from liverimg.segmentation.infer import segment_volume

CPU = torch.device("cpu")
GRID = Grid.from_axes((20, 30, 30), spacing_mm=(4, 4, 4))


@pytest.fixture
def volume() -> Volume:
    return Volume(np.zeros(GRID.shape, np.int16), GRID, Quantity.HU)


def test_what_is_needed_grows_with_voxels_classes_and_window(small_bundle: Callable[..., Path]) -> None:
    one = open_bundle(small_bundle(), device="cpu").passes[0]
    small, large = memory.needed_bytes(one, (50, 50, 50)), memory.needed_bytes(one, (100, 100, 100))
    window = 16**3 * 700
    assert large - window == 8 * (small - window)
    # Three classes in single precision are held at least once, and not a hundred times.
    assert 3 * 4e6 < large < 100 * 3 * 4e6


def test_a_pass_that_does_not_fit_is_refused_before_it_runs(
    small_bundle: Callable[..., Path], volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = open_bundle(small_bundle(), device="cpu")
    ran = []
    bundle.passes[0].network.register_forward_hook(lambda *_: ran.append(1))
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1 << 20)
    with pytest.raises(MemoryShortError, match=r"coarse pass .* needs about \d+ MiB .* 1 MiB are free") as refusal:
        segment_volume(volume, bundle)
    assert refusal.value.exit_code is ExitCode.INPUT_REFUSED
    assert not ran


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError("Unable to allocate 3 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried ..."),
        torch.OutOfMemoryError("CUDA out of memory"),
    ],
)
def test_memory_that_runs_out_all_the_same_is_told(
    small_bundle: Callable[..., Path], volume: Volume, failure: Exception
) -> None:
    bundle = open_bundle(small_bundle(), device="cpu")

    def fail(*_: object) -> None:
        raise failure

    bundle.passes[0].network.register_forward_pre_hook(fail)
    with pytest.raises(MemoryShortError, match="ran out during the coarse pass"):
        segment_volume(volume, bundle)


def test_other_errors_are_not_called_memory(small_bundle: Callable[..., Path], volume: Volume) -> None:
    bundle = open_bundle(small_bundle(), device="cpu")

    def fail(*_: object) -> None:
        raise RuntimeError("shapes do not match")

    bundle.passes[0].network.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="shapes"):
        segment_volume(volume, bundle)


def test_the_container_s_limit_counts_when_it_is_the_narrowest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.current").write_text("4000000\n")
    (tmp_path / "memory.stat").write_text("anon 3000000\ninactive_file 500000\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.free_bytes(CPU) == 1_500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free_bytes(CPU) != 1_500_000


def test_a_machine_that_tells_nothing_refuses_nothing(
    small_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for source in ("_system_bytes", "_container_bytes", "_process_bytes"):
        monkeypatch.setattr(memory, source, lambda: None)
    assert memory.free_bytes(CPU) is None
    memory.require_memory(open_bundle(small_bundle(), device="cpu").passes[0], (9000, 9000, 9000), CPU)
