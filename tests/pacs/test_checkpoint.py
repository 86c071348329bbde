"""The checkpoint that keeps answers from being swallowed."""

import sys
import threading
import time
from collections.abc import Iterator

import pytest
from tests.pacs.conftest import wait_until

from liverimg.pacs.checkpoint import Checkpoint, steady
from liverimg.pacs.retry import PassingError


@pytest.fixture
def eager_switches() -> Iterator[None]:
    """Threads take turns as often as they can: what may happen between two steps, happens."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Passing(threading.Thread):
    """Stands for an association: passes its checkpoint, and counts what it then does."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._reactor_checkpoint = Checkpoint(self)
        self._is_paused = False
        self.steps = 0
        self.ended = False

    def run(self) -> None:
        while not self.ended:
            self._reactor_checkpoint.wait()
            self.steps += 1


def test_nobody_is_past_the_checkpoint_when_it_is_closed(eager_switches: None) -> None:
    passing = Passing()
    passing.start()
    for _ in range(300):
        passing._reactor_checkpoint.clear()
        before = passing.steps
        time.sleep(0.0005)
        assert passing.steps == before
        passing._reactor_checkpoint.set()
        if _ % 3:
            time.sleep(0)
    before = passing.steps
    wait_until(lambda: passing.steps > before)  # and it goes on when it is opened
    passing.ended = True
    passing.join(10)
    assert not passing.is_alive()


def test_the_thread_goes_round_between_two_requests() -> None:
    passing = Passing()
    passing.start()
    for expected in range(1, 50):
        passing._reactor_checkpoint.clear()
        assert passing.steps >= expected
        passing._reactor_checkpoint.set()
    passing.ended = True
    passing.join(10)


def test_a_thread_that_has_ended_is_not_waited_for() -> None:
    passing = Passing()
    passing.ended = True
    passing.start()
    passing.join(10)
    with pytest.raises(PassingError):
        passing._reactor_checkpoint.clear()


def test_an_association_gets_one() -> None:
    passing = Passing()
    assert steady(passing) is passing
    assert isinstance(passing._reactor_checkpoint, Checkpoint)
    assert passing._reactor_checkpoint.is_set()
