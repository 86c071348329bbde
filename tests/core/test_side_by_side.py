"""Work on several cores gives what work on one gives."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from liverimg.core.side_by_side import side_by_side, thread_count


@pytest.mark.parametrize(("told", "expected"), [("3", 3), ("1", 1)])
def test_the_variable_decides(monkeypatch: pytest.MonkeyPatch, told: str, expected: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert thread_count() == expected


@pytest.mark.parametrize("told", ["", "0", "many", "-2"])
def test_nonsense_in_the_variable_is_as_none(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = thread_count()
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert thread_count() == cores >= 1


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_results_come_in_order(monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert side_by_side(lambda n: n * n, range(20)) == [n * n for n in range(20)]
    assert side_by_side(str, []) == []


def test_two_threads_run_at_once_and_the_third_item_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    both = threading.Barrier(2, timeout=60)

    def meet(item: int) -> int:
        if item < 2:
            both.wait()  # raises unless a second thread comes
        return item

    assert side_by_side(meet, range(3)) == [0, 1, 2]


def test_the_first_failure_in_order_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    def work(item: int) -> int:
        if item in (1, 2):
            raise ValueError(f"item {item}")
        return item

    with pytest.raises(ValueError, match="item 1"):
        side_by_side(work, range(4))


def test_the_callers_error_state_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        side_by_side(lambda n: np.ones(1) / np.full(1, n), [1.0, 0.0, 2.0])
