"""Independent pieces of work on all cores of a process: threads, as NumPy and SciPy let go of the interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def thread_count() -> int:
    """Threads that this process may keep busy: what ``OMP_NUM_THREADS`` says, else its cores.

    The variable is the one by which a cohort shares the cores out among its workers.
    """
    told = os.environ.get("OMP_NUM_THREADS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux tells which cores are ours
        return os.cpu_count() or 1


def side_by_side(call: Callable[[In], Out], items: Iterable[In]) -> list[Out]:
    """``[call(item) for item in items]``, several at a time.

    The results do not depend on how many run at once, as long as no call changes what another reads. What all calls
    share should be computed before: two threads that miss the same lazy value compute it twice.

    Args:
        call: The work on one item.
        items: What to work on.

    Returns:
        One result per item, in the items' order.

    Raises:
        Exception: What the first failing item (in the items' order) raised; items not begun by then are left.
    """
    items = list(items)
    threads = min(thread_count(), len(items))
    if threads < 2:
        return [call(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        # Each call in a copy of the caller's context: NumPy keeps its error state there.
        asked = [pool.submit(copy_context().run, call, item) for item in items]
        try:
            return [one.result() for one in asked]
        finally:
            for one in asked:
                one.cancel()
