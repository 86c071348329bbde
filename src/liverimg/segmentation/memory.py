"""Whether a network's work fits into the memory that is free now: asked before it starts, not after it was killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from liverimg.core.errors import MemoryShortError
from liverimg.segmentation.bundle import Pass

_FLOAT_BYTES = 4
# Blended classes, the weights of the blending, and the copy made when one is divided by the other.
_BLENDED_COPIES = 2
_IMAGE_COPIES = 3
# Measured on WideUNet of 16 channels in float32: at most 651 bytes a voxel of the window, weights included.
_BYTES_PER_WINDOW_VOXEL = 700
_KIB = 1024
_MIB = 1024**2
_CGROUP = Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60


def needed_bytes(one: Pass, shape: tuple[int, int, int]) -> int:
    """About how much memory a pass takes beyond what is in use already.

    Args:
        one: The pass.
        shape: Of the grid that it works on.
    """
    window = np.asarray(getattr(one.inferer, "roi_size", shape))
    batch = int(getattr(one.inferer, "sw_batch_size", 1))
    # An image smaller than the window is padded to it.
    voxels = int(np.prod(np.maximum(shape, window), dtype=np.int64))
    classes = len(one.channels) + 1
    held = voxels * _FLOAT_BYTES * (_BLENDED_COPIES * (classes + 1) + _IMAGE_COPIES * len(one.inputs))
    return held + batch * int(np.prod(window, dtype=np.int64)) * _BYTES_PER_WINDOW_VOXEL


def free_bytes(device: torch.device) -> int | None:
    """Memory that can still be taken: the system's, the container's and the process's limits; None when unknown."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    known = [found for found in (_system_bytes(), _container_bytes(), _process_bytes()) if found is not None]
    return min(known) if known else None


def require_memory(one: Pass, shape: tuple[int, int, int], device: torch.device) -> None:
    """Refuses a pass that would not fit.

    Raises:
        MemoryShortError: With what it would take and what there is.
    """
    needed, free = needed_bytes(one, shape), free_bytes(device)
    if free is not None and needed > free:
        raise MemoryShortError(
            f"the {one.name} pass of the model needs about {needed / _MIB:,.0f} MiB of memory and {free / _MIB:,.0f} "
            "MiB are free; close other programs, or run it where there is more"
        )


@contextmanager
def told_when_short(one: Pass) -> Iterator[None]:
    """Turns an allocation that failed after all into the same kind of sentence."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _short(one) from error
    except RuntimeError as error:
        # What torch says when the processor's own memory is out; it has no class for it.
        if "can't allocate memory" not in str(error):
            raise
        raise _short(one) from error


def _short(one: Pass) -> MemoryShortError:
    return MemoryShortError(
        f"the memory ran out during the {one.name} pass of the model; close other programs, or run it where there is "
        "more"
    )


def _system_bytes() -> int | None:
    fields = _table(Path("/proc/meminfo"), ":")
    return fields["MemAvailable"] * _KIB if "MemAvailable" in fields else None


def _container_bytes() -> int | None:
    """What a container's limit leaves; file pages that can be dropped count as free (control groups, version 2)."""
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    if not limit.isdigit():
        return None
    droppable = _table(_CGROUP / "memory.stat", " ").get("inactive_file", 0)
    return max(0, int(limit) - used + droppable)


def _process_bytes() -> int | None:
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return None
    if limit in (-1, resource.RLIM_INFINITY) or limit > _NO_LIMIT:
        return None
    return max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))


def _table(path: Path, mark: str) -> dict[str, int]:
    """Lines such as ``MemFree: 12 kB`` as numbers by name; empty when there is no such file."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    rows = (line.split(mark, 1) for line in lines if mark in line)
    return {name.strip(): int(rest.split()[0]) for name, rest in rows if rest.split() and rest.split()[0].isdigit()}
