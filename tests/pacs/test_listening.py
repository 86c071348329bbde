"""The listener as a whole: runs, restarts, kills, results, and what its log says."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, build_context
from tests.dicom.sentinels import Sentinels, filled, survivors
from tests.pacs.conftest import free_port, instance, wait_until, write_study

from liverimg.core.errors import LiverimgError, PeerError
from liverimg.dicom.deidentify_rules import DeidentifyRules
from liverimg.files.tables import read_table
from liverimg.pacs.association import Offer
from liverimg.pacs.checkpoint import steady
from liverimg.pacs.config import ListenConfig, read_config
from liverimg.pacs.door import Door, House
from liverimg.pacs.durable import lock
from liverimg.pacs.intake import SpoolReceiver
from liverimg.pacs.names import opaque
from liverimg.pacs.parcel import Fate, Ready, sent
from liverimg.pacs.retry import PassingError
from liverimg.pacs.spool import Spool
from liverimg.pipeline import listening, waiting
from liverimg.pipeline.listening import Worker
from liverimg.pipeline.waiting import Stop

CONFIG = """
port = {port}
spool = "spool"
out = "out"
recipe = "recipe.toml"
device = "cpu"
peers = {{ CT = [], MR = [], US = [], PT = [] }}
settings = {{ quiet_s = {quiet_s}, starts = 3, push_wait_s = 0.05 }}
quota = {{ floor_mib = 1 }}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "recipe.toml").write_text('stages = ["ingest"]\n')
    return tmp_path


def configured(home: Path, *, quiet_s: float = 0.5, more: str = "") -> ListenConfig:
    (home / "config.toml").write_text(CONFIG.format(port=free_port(), quiet_s=quiet_s) + more)
    return read_config(home / "config.toml")


def fill(spool: Spool, *, study: int = 1, numbers: range = range(1, 5)) -> str:
    """Puts a study into a spool as an association would."""
    receiver = SpoolReceiver(spool)
    for number in numbers:
        ds = instance(study, 1, number)

        stream = DicomBytesIO()
        stream.is_little_endian, stream.is_implicit_VR = True, False
        write_dataset(stream, ds)
        taking = receiver.begin(Offer("CT", ds.SOPClassUID, ds.SOPInstanceUID, ExplicitVRLittleEndian))
        taking.write(memoryview(stream.getvalue()))
        assert taking.finish().status == 0
    return opaque(instance(study).StudyInstanceUID)


class FakeRun(Worker):
    """A worker whose runs are a function instead of a process."""

    codes: tuple[int, ...] = (0,)

    def __init__(self, *args: object, **given: object) -> None:
        super().__init__(*args, **given)
        self.runs: list[int] = []

    def _child(self, key: str, study: Path, held: int) -> int | None:
        self.runs.append(len(list(study.iterdir())))
        (study.parent / "log.txt").write_text("a\nthe study holds no volume\n")
        code = self.codes[min(len(self.runs), len(self.codes)) - 1]
        folder = self._config.out / key / "dicom"
        if code == 0:
            shutil.rmtree(folder, ignore_errors=True)
            write_study(folder, study=900, slices=len(self.runs) + 1)
        return code


@pytest.fixture
def spool(home: Path) -> Iterator[Spool]:
    config = configured(home)
    held = Spool(config.spool, quota=config.quota)
    yield held
    held.close()


def worker(home: Path, spool: Spool, **given: object) -> FakeRun:
    return FakeRun(configured(home, quiet_s=0, **given), spool, Stop())


def test_a_complete_study_is_run_once(home: Path, spool: Spool) -> None:
    key, work = fill(spool), worker(home, spool)
    for _ in range(3):
        work.step()
    assert work.runs == [4]
    assert spool.state(key).ended == "done"
    fill(spool)  # all of it once more
    work.step()
    assert work.runs == [4]
    fill(spool, numbers=range(5, 7))
    work.step()
    assert work.runs == [4, 6], "what came late is another set"


def test_a_refused_study_waits_for_a_person(home: Path, spool: Spool) -> None:
    key, work = fill(spool), worker(home, spool)
    work.codes = (3,)
    for _ in range(3):
        work.step()
    assert work.runs == [4]
    state = spool.state(key)
    assert (state.ended, state.exit_code, state.words) == ("refused", 3, "the study holds no volume")


class Clock:
    """Time that goes on when it is told to."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the waits between attempts."""
    made = Clock()
    monkeypatch.setattr(waiting, "time", made)
    return made


def test_a_broken_run_is_begun_again_and_given_up(home: Path, spool: Spool, clock: Clock) -> None:
    key, work = fill(spool), worker(home, spool)
    work.codes = (-9, 1, 0)
    runs = []
    for wait_s in (0.0, 0.04, 0.02, 0.08, 0.04):
        clock.now_s += wait_s
        work.step()
        runs.append(len(work.runs))
    assert runs == [1, 1, 2, 2, 3], "after 0.05 s, and then after twice as long"
    assert work.runs == [4, 4, 4]
    assert spool.state(key).ended == "done"
    other = fill(spool, study=2)
    work.codes = (1,)
    for _ in range(5):
        clock.now_s += 3600
        work.step()
    assert len(work.runs) == 6
    assert spool.state(other).ended == "gave_up"
    assert spool.state(other).words != "the study holds no volume", "what broke may quote the study"


def test_a_run_of_a_killed_listener_is_waited_for(home: Path, spool: Spool) -> None:
    key, work = fill(spool), worker(home, spool)
    held = lock(spool.place(key) / ".lock")
    work.step()
    assert not work.runs
    os.close(held)
    work.step()
    assert work.runs == [4]


PUSH = '[push]\nhost = "127.0.0.1"\nport = 104\nae_title = "ARCHIVE"\n'


def test_results_are_sent_until_all_are_taken(home: Path, spool: Spool, clock: Clock) -> None:
    asked: list[list[str]] = []

    def send(files: list[Ready], folder: Path) -> list:
        asked.append([f.sop_instance for f in files])
        if len(asked) == 1:
            raise PeerError("nobody there")
        fates = [Fate.STORED, Fate.NOT_SENT] if len(asked) == 2 else [Fate.STORED]
        return [sent(f, folder, fate, "") for f, fate in zip(files, fates, strict=True)]

    config = configured(home, quiet_s=0, more=PUSH)
    key, work = fill(spool), FakeRun(config, spool, Stop(), send=send)
    work.step()
    work.step()  # too soon
    assert [len(a) for a in asked] == [2]
    for _ in range(3):
        clock.now_s += 0.2
        work.step()
    assert [len(a) for a in asked] == [2, 2, 1]
    assert set(spool.state(key).sent) == set(spool.state(key).results)
    assert work.runs == [4]


def test_results_that_come_back_start_nothing(home: Path, spool: Spool) -> None:
    key, work = fill(spool), worker(home, spool)
    work.step()
    state = spool.state(key)
    result = instance(900, 1, 1)
    assert opaque(result.SOPInstanceUID) in state.made
    # An archive that forwards everything sends it under the same study.
    result.StudyInstanceUID = instance().StudyInstanceUID
    with Door(House("LIVERIMG", "127.0.0.1", 0, {"CT": ()}), SpoolReceiver(spool)) as door:
        assert send(door.port, [result]) == [0]
    work.step()
    assert work.runs == [4]
    assert spool.count(key) == 4


def test_no_run_begins_on_a_full_disk(home: Path, spool: Spool) -> None:
    key = fill(spool)
    config = configured(home, quiet_s=0)
    full = replace(config, quota=replace(config.quota, floor_mib=1 << 40))
    work = FakeRun(full, spool, Stop())
    work.step()
    assert not work.runs
    assert spool.state(key).starts == 0


def test_a_deaf_listener_ends(home: Path, spool: Spool) -> None:
    with pytest.raises(LiverimgError, match="start it again"):
        worker(home, spool).work(lambda: False)


def test_a_full_disk_does_not_end_the_listener(home: Path, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_PAUSE_S", 0.01)
    fill(spool)
    config, stop, seen = configured(home, quiet_s=0), Stop(), []

    class Full(FakeRun):
        def _child(self, key: str, study: Path, held: int) -> int | None:
            seen.append(key)
            if len(seen) < 3:
                raise OSError(28, "No space left on device")
            stop.set()
            return super()._child(key, study, held)

    Full(config, spool, stop).work(lambda: True)
    assert len(seen) == 3
    assert spool.state(seen[0]).ended == "done"


def test_a_signal_ends_a_wait_whatever_it_interrupts() -> None:
    """An Event would not do: set by a handler while its own wait holds its lock, it waits for itself."""
    before = signal.getsignal(signal.SIGALRM)
    try:
        for number in range(100):
            stop = Stop()
            signal.signal(signal.SIGALRM, lambda *_, stop=stop: stop.set())
            signal.setitimer(signal.ITIMER_REAL, 0.0001 + 0.00001 * number)
            while not stop.is_set():
                stop.wait(0.001)
    finally:
        signal.signal(signal.SIGALRM, before)


# ---- the real process ----


def send(port: int, datasets: list, *, calling: str = "CT", patience_s: float = 60.0) -> list[int | None]:
    """Statuses of a peer's C-STOREs; None where no answer came."""
    node = AE(ae_title=calling)
    node.connection_timeout = node.acse_timeout = node.dimse_timeout = node.network_timeout = patience_s
    contexts = [build_context(CTImageStorage, ExplicitVRLittleEndian)]
    line = node.associate("127.0.0.1", port, contexts=contexts, ae_title="LIVERIMG")
    steady(line)
    codes: list[int | None] = []
    for ds in datasets:
        if not line.is_established:
            break
        try:
            codes.append(line.send_c_store(ds).get("Status"))
        except (RuntimeError, PassingError):  # the line broke just now
            codes.append(None)
    if line.is_established:
        with suppress(PassingError):
            line.release()
    return codes


def telling(number: int, sentinels: Sentinels) -> pydicom.Dataset:
    """A slice that says who it is in every attribute of PS3.15 table E.1-1 that it is not read by."""
    made = instance(1, 1, number)
    rules = DeidentifyRules(read_table("deidentify"))
    # What a study is read by, and what a report shows, is told in the room that reads it (tests/dicom).
    shown = ("SeriesDescription", "StudyDate", "AcquisitionDate", "AcquisitionDateTime", "SeriesDate", "ContentDate")
    tags = frozenset(
        tag
        for tag in rules.tags_of_the_table
        if tag >> 16 not in (0x0020, 0x0028, 0x7FE0) and keyword_for_tag(tag) not in shown
    )
    for element in filled(tags, sentinels):
        if element.tag not in made:
            made[element.tag] = element
    made.PatientName, made.PatientID = "Sentinel00000X^Jane", "Sentinel00000X"
    return made


class Listener:
    """``liverimg listen`` as a process."""

    def __init__(self, home: Path, config: ListenConfig) -> None:
        self.log, self.config = home / "log.txt", config
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        before = self.log.stat().st_size if self.log.exists() else 0
        command = [sys.executable, "-c", "from liverimg.cli import main; main()", "listen"]
        place = str(self.log.parent / "config.toml")
        with (self.log.parent / "stderr.txt").open("ab") as stderr:
            self.process = subprocess.Popen([*command, place, "--log", str(self.log)], stderr=stderr)
        wait_until(lambda: self.log.exists() and "listening as" in self.log.read_text()[before:], within_s=60)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(300)

    def state(self, key: str) -> dict:
        path = self.config.spool / "studies" / key / "state.json"
        return json.loads(path.read_text()) if path.exists() else {}


@pytest.fixture
def listener(home: Path) -> Iterator[Listener]:
    process = Listener(home, configured(home))
    yield process
    if process.process is not None and process.process.poll() is None:
        process.kill()


def test_from_the_wire_to_results_across_a_kill_in_the_middle_of_a_run(home: Path, listener: Listener) -> None:
    slow = home / "sitecustomize.py"
    slow.write_text(
        "import os, sys, time\n"
        "if '-m' in sys.orig_argv and 'liverimg.pipeline.received' in sys.orig_argv:\n"
        f"    open({str(home / 'begun.txt')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        f"    while os.path.exists({str(home / 'hold')!r}): time.sleep(0.02)\n"
    )
    (home / "hold").touch()
    os.environ["PYTHONPATH"], before = str(home), os.environ.get("PYTHONPATH")
    try:
        # The first one waits for more and runs nothing, so that all have arrived before anything is run.
        listener.config = configured(home, quiet_s=3600.0)
        listener.start()
        sentinels = Sentinels()
        assert send(listener.config.port, [telling(n, sentinels) for n in range(1, 5)]) == [0] * 4
        assert len(sentinels.texts) > 500
        assert listener.stop() == 0
        listener.config = configured(home)
        listener.start()
        wait_until((home / "begun.txt").exists)
        key = opaque(instance().StudyInstanceUID)
        child = int((home / "begun.txt").read_text())
        wait_until(lambda: listener.state(key).get("starts") == 1)
        listener.kill()
        if sys.platform == "linux":
            # The run may not have got so far that the system knows whose child it is; it ends all the same.
            (home / "hold").unlink()
            wait_until(lambda: not Path(f"/proc/{child}").exists())
        listener.start()
        wait_until(lambda: listener.state(key).get("ended") == "done")
        time.sleep(1.0)
        assert len((home / "begun.txt").read_text().split()) == 2
        assert listener.state(key)["starts"] == 2
        assert (home / "out" / key / "study.json").is_file()
        assert listener.stop() == 0
        said = listener.log.read_text() + (home / "stderr.txt").read_text()
        assert listener.log.read_text().count("stopped;") == 2, "at the end too"
        spool = listener.config.spool
        said += "".join(str(p.relative_to(home)) for p in spool.rglob("*"))
        said += "".join(p.read_text() for p in spool.rglob("*") if p.suffix in (".json", ".txt"))
        secrets = [*sentinels.texts, "Sentinel00000X", "PHANTOM", "SECRET", "ACC1"]
        assert survivors(home / "out", secrets, said) == []
        assert instance().StudyInstanceUID not in said
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def send_all(port: int, datasets: list, calling: str, acknowledged: set, stop: threading.Event) -> None:
    """A peer that sends again what was not acknowledged, until all of it was."""
    rest = list(datasets)
    while rest and not stop.is_set():
        codes = send(port, rest, calling=calling, patience_s=20.0)
        done = {ds.SOPInstanceUID for ds, code in zip(rest, codes, strict=False) if code == 0}
        acknowledged |= done
        rest = [ds for ds in rest if ds.SOPInstanceUID not in done]
        if rest:
            time.sleep(0.2)


def kept_objects(config: ListenConfig) -> dict[str, bytes]:
    found = (pydicom.dcmread(p) for p in config.spool.rglob("objects/*.dcm"))
    return {ds.SOPInstanceUID: ds.PixelData for ds in found}


@pytest.mark.slow
def test_a_thousand_objects_from_four_peers_across_two_kills(home: Path) -> None:
    # Longer than a restart takes on a busy machine, else half a study is run first and the whole one after it.
    config = configured(home, quiet_s=15.0)
    listener = Listener(home, config)
    listener.start()
    batches = {title: [instance(s, 1, n) for n in range(1, 251)] for s, title in enumerate(config.peers, 1)}
    acknowledged: dict[str, set] = {title: set() for title in batches}
    stop = threading.Event()
    peers = [
        threading.Thread(target=send_all, args=(config.port, batch, title, acknowledged[title], stop))
        for title, batch in batches.items()
    ]
    for peer in peers:
        peer.start()
    try:
        for share in (300, 650):
            wait_until(lambda share=share: sum(1 for _ in config.spool.rglob("objects/*.dcm")) >= share, within_s=120)
            listener.kill()
            # What a peer was told is stored lies there, whole, before anybody starts again.
            told, there = set().union(*acknowledged.values()), kept_objects(config)
            assert told <= set(there)
            listener.start()
        for peer in peers:
            peer.join(180)
            assert not peer.is_alive()
        wanted = {ds.SOPInstanceUID: ds.PixelData for batch in batches.values() for ds in batch}
        assert kept_objects(config) == wanted
        keys = [opaque(instance(s).StudyInstanceUID) for s in range(1, 5)]
        done = re.compile(r"study (\w+): done")
        wait_until(lambda: {k[:12] for k in keys} <= set(done.findall(listener.log.read_text())), within_s=180)
        assert {listener.state(key)["ended"] for key in keys} == {"done"}
        begun = re.findall(r"study (\w+): \d+ objects, run", listener.log.read_text())
        assert sorted(begun) == sorted(key[:12] for key in keys), "each whole study is run exactly once"
        assert listener.stop() == 0
    finally:
        stop.set()
        listener.kill()


def test_forty_objects_from_four_peers_across_a_kill(home: Path, listener: Listener) -> None:
    listener.config = configured(home, quiet_s=3600.0)  # nothing is run: this is about receiving
    listener.start()
    batches = {title: [instance(s, 1, n) for n in range(1, 11)] for s, title in enumerate(listener.config.peers, 1)}
    acknowledged: dict[str, set] = {title: set() for title in batches}
    stop = threading.Event()
    peers = [
        threading.Thread(target=send_all, args=(listener.config.port, b, t, acknowledged[t], stop))
        for t, b in batches.items()
    ]
    for peer in peers:
        peer.start()
    try:
        wait_until(lambda: sum(1 for _ in listener.config.spool.rglob("objects/*.dcm")) >= 10)
        listener.kill()
        assert set().union(*acknowledged.values()) <= set(kept_objects(listener.config))
        listener.start()
        for peer in peers:
            peer.join(300)
            assert not peer.is_alive()
        assert kept_objects(listener.config) == {d.SOPInstanceUID: d.PixelData for b in batches.values() for d in b}
    finally:
        stop.set()
