"""The spool: what survives, what is due, what is refused, what is removed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from liverimg.core.errors import UsageError, WorkspaceError
from liverimg.pacs.durable import lock, read_record, write_record
from liverimg.pacs.settings import shipped_quota
from liverimg.pacs.spool import Spool
from liverimg.pacs.state import State

KEY = "a" * 32


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(tmp_path: Path, clock: Clock) -> Callable[..., Spool]:
    def call(**quota: float) -> Spool:
        return Spool(tmp_path / "spool", quota=replace(shipped_quota(), floor_mib=1, **quota), clock=clock)

    return call


def put(spool: Spool, name: str, content: str = "c", *, key: str = KEY, size: int = 10) -> str:
    path = spool.temporary()
    path.write_bytes(content.encode() * size)
    return spool.add(path, key=key, name=name.ljust(32, "0"), content=content.ljust(64, "0"))


def test_a_study_is_due_when_it_was_quiet_for_long_enough(opened: Callable, clock: Clock) -> None:
    spool = opened()
    put(spool, "1")
    clock.now += 50
    put(spool, "2")
    clock.now += 50
    assert not list(spool.due(60))
    clock.now += 10
    assert list(spool.due(60)) == [KEY]
    spool.close()


def test_what_was_there_is_there_again_and_quiet_begins_anew(opened: Callable, clock: Clock, tmp_path: Path) -> None:
    spool = opened()
    put(spool, "1")
    put(spool, "2")
    spool.temporary().write_bytes(b"never acknowledged")
    spool.close()
    clock.now += 1000
    spool = opened()
    assert spool.count(KEY) == 2
    assert not list((tmp_path / "spool" / "incoming").iterdir())
    assert not list(spool.due(60))
    clock.now += 60
    assert list(spool.due(60)) == [KEY]
    spool.close()


def test_a_finished_set_is_not_due_until_it_changes(opened: Callable) -> None:
    spool = opened()
    put(spool, "1")
    _, fingerprint = spool.snapshot(KEY)
    state = spool.started(KEY, fingerprint)
    assert list(spool.due(0)) == [KEY], "begun is not finished"
    spool.put_state(KEY, replace(state, ended="done"))
    assert not list(spool.due(0))
    put(spool, "1")  # the same object once more
    assert not list(spool.due(0))
    spool.close()
    spool = opened()
    assert not list(spool.due(0)), "nor after a restart"
    put(spool, "2")
    assert list(spool.due(0)) == [KEY]
    assert spool.started(KEY, spool.snapshot(KEY)[1]).starts == 1, "another set is counted anew"
    spool.close()


def test_starts_are_counted_across_restarts(opened: Callable) -> None:
    for expected in (1, 2, 3):
        spool = opened()
        put(spool, "1")
        assert spool.started(KEY, spool.snapshot(KEY)[1]).starts == expected
        spool.close()


def test_the_newer_version_of_an_object_counts(opened: Callable) -> None:
    spool = opened()
    put(spool, "1", "a")
    before = spool.fingerprint(KEY)
    folder, _ = spool.snapshot(KEY)
    put(spool, "1", "b", size=30)
    assert spool.fingerprint(KEY) != before
    assert spool.count(KEY) == 1
    assert [p.read_bytes()[:1] for p in spool.folder.rglob("objects/*.dcm")] == [b"b"]
    assert [p.read_bytes()[:1] for p in folder.iterdir()] == [b"a"], "a run keeps what it began with"
    spool.close()


def test_killed_between_two_versions(opened: Callable) -> None:
    spool = opened()
    put(spool, "1", "a")
    old = next(spool.folder.rglob("objects/*.dcm"))
    spool.close()
    new = old.with_name(old.name.replace(".a000", ".b000"))
    new.write_bytes(b"b")
    spool = opened()
    assert [p.read_bytes() for p in spool.folder.rglob("objects/*.dcm")] == [b"b"]
    assert spool.count(KEY) == 1
    spool.close()


def test_quotas_count_what_is_there_and_what_is_coming(opened: Callable) -> None:
    spool = opened(spool_mib=1, studies=2, study_instances=2)
    assert spool.reserve(1 << 19) == ""
    assert spool.reserve(1 << 19) == ""
    assert spool.reserve(1) == "the spool is full"
    spool.free(1 << 20)
    assert [put(spool, n) for n in "12"] == ["", ""]
    assert put(spool, "3") == "the study has too many objects"
    assert put(spool, "1", key="b" * 32) == ""
    assert put(spool, "1", key="c" * 32) == "the spool holds too many studies"
    assert put(spool, "2", "x", size=1 << 19) == ""
    assert spool.reserve(1 << 19) == "the spool is full"
    spool.close()
    spool = opened(spool_mib=1)
    assert spool.reserve(1 << 19) == "the spool is full", "what was there before counts"
    spool.close()


def test_one_listener_a_spool(opened: Callable) -> None:
    spool = opened()
    with pytest.raises(UsageError, match="another listener"):
        opened()
    spool.close()
    opened().close()


def test_a_place_that_cannot_be_a_spool(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("x")
    with pytest.raises(WorkspaceError, match="can't be used"):
        Spool(tmp_path / "spool")


def test_only_what_is_done_with_is_removed(opened: Callable) -> None:
    spool = opened()
    for letter, state in {
        "a": {"ended": "done", "ended_at_s": 1.0},
        "b": {"ended": "done", "ended_at_s": 9e12},  # just now
        "c": {"ended": "refused", "ended_at_s": 1.0},
        "d": {"ended": "done", "ended_at_s": 1.0, "results": ("r1", "r2"), "sent": ("r1",)},
        "e": {"ended": "done", "ended_at_s": 1.0, "results": ("r1",), "sent": ("r0", "r1")},
    }.items():
        key = letter * 32
        put(spool, "1", key=key)
        spool.put_state(key, State(objects=spool.fingerprint(key), **state))
    put(spool, "1", key="f" * 32)
    spool.put_state("f" * 32, State(objects="an older set", ended="done", ended_at_s=1.0))
    assert spool.remove_old(3600, sends=True) == 2
    assert {k[0] for k in spool.studies()} == set("bcdf")
    assert {p.name[0] for p in (spool.folder / "studies").iterdir()} == set("bcdf")
    assert spool.remove_old(3600, sends=False) == 1, "who sends nothing waits for nothing"
    spool.close()


def test_our_own_results_are_known_after_a_restart(opened: Callable) -> None:
    spool = opened()
    put(spool, "1")
    spool.put_state(KEY, State(made=("r1",)))
    spool.close()
    spool = opened()
    assert spool.is_ours(KEY, "r1")
    assert not spool.is_ours(KEY, "1")
    assert not spool.is_ours("b" * 32, "r1")
    spool.close()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"ended": "done", "strange": 1}'])
def test_a_damaged_state_means_that_the_study_is_due(opened: Callable, damage: str) -> None:
    spool = opened()
    put(spool, "1")
    (spool.place(KEY) / "state.json").write_text(damage)
    spool.close()
    spool = opened()
    assert list(spool.due(0)) == [KEY]
    spool.close()


def test_records_are_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert read_record(path) == {}
    write_record(path, {"a": 1})
    write_record(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    held = lock(tmp_path / "l")
    assert held is not None
    assert lock(tmp_path / "l") is None
