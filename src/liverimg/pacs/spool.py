"""Where received objects lie until they have been dealt with: nothing that was acknowledged is ever lost.

An object is written under a temporary name, synced, renamed into its study's folder, and only then acknowledged. What
is to be done follows from what lies there: a study is due when the set of its objects is another one than the set that
was last finished. So a listener that was killed at any moment goes on where it was, and does nothing twice.

    SPOOL/.lock                          one listener a spool
    SPOOL/incoming/                      objects on their way in; emptied at the start
    SPOOL/studies/KEY/objects/           OBJECT.CONTENT.dcm, names made of hashes
    SPOOL/studies/KEY/state.json         what became of the study (see :class:`State`)
    SPOOL/studies/KEY/run/               the set that a run works on, and what it said
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Final
from uuid import uuid4

from liverimg.core.errors import UsageError, WorkspaceError
from liverimg.pacs.durable import lock, make_folder, move_in, read_record, sync, write_record
from liverimg.pacs.settings import MIB, Quota, shipped_quota
from liverimg.pacs.state import State

logger = logging.getLogger(__name__)

_CONTENT_LETTERS: Final = 32
_SUFFIX: Final = ".dcm"


@dataclass
class _Study:
    """What is kept in memory about a study."""

    objects: dict[str, str] = field(default_factory=dict)  # content's name by object's name
    size: int = 0
    since_s: float = 0.0
    state: State = field(default_factory=State)
    fingerprint: str = ""


class Spool:
    """A folder of received studies, held by one process.

    Args:
        folder: Made when absent.
        quota: What it takes.
        clock: Monotonic seconds.

    Raises:
        UsageError: Another listener holds it.
        WorkspaceError: It can't be written.
    """

    def __init__(
        self, folder: Path, *, quota: Quota | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder, self.quota, self._clock = folder, quota or shipped_quota(), clock
        self._lock = threading.RLock()
        self._studies: dict[str, _Study] = {}
        self._under_way = self._stored = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            held = lock(folder / ".lock")
            if held is None:
                raise UsageError(f"another listener is at work in {folder}; stop it, or give another spool")
            self._held = held
            self._take_stock()
        except OSError as error:
            raise WorkspaceError(
                f"the spool {folder} can't be used ({error.strerror}); give a folder that you may write to"
            ) from error

    def close(self) -> None:
        """Lets another process have it."""
        os.close(self._held)

    @property
    def _incoming(self) -> Path:
        return self.folder / "incoming"

    def place(self, key: str) -> Path:
        """The folder of a study."""
        return self.folder / "studies" / key

    def _take_stock(self) -> None:
        """What lies there from before; what was never acknowledged is thrown away."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        make_folder(self._incoming)
        make_folder(self.folder / "studies")
        for place in sorted((self.folder / "studies").iterdir()):
            state = State.from_record(read_record(place / "state.json"))
            study = _Study(since_s=self._clock(), state=state)
            found = sorted((place / "objects").glob(f"*{_SUFFIX}"), key=lambda p: (p.stat().st_mtime_ns, p.name))
            for path in found:
                name, content, _ = path.name.split(".")
                # Killed between an object's newer version and the removal of the older one: the newer one counts.
                if name in study.objects:
                    (place / "objects" / f"{name}.{study.objects[name]}{_SUFFIX}").unlink()
                study.objects[name] = content
            study.size = sum(p.stat().st_size for p in (place / "objects").glob(f"*{_SUFFIX}"))
            self._studies[place.name] = study
            self._stored += study.size
        if self._studies:
            logger.info("the spool holds %d studies from before", len(self._studies))

    # ---- taking objects in ----

    def temporary(self) -> Path:
        """A new name for an object on its way in."""
        return self._incoming / f"{uuid4().hex}.part"

    def reserve(self, size: int) -> str:
        """Takes room for bytes that are about to be written; says why not, or nothing."""
        quota = self.quota
        with self._lock:
            if self._stored + self._under_way + size > quota.spool_mib * MIB:
                return "the spool is full"
            if shutil.disk_usage(self.folder).free - size < quota.floor_mib * MIB:
                return "the disk is full"
            self._under_way += size
        return ""

    def free(self, size: int) -> None:
        """Gives reserved room back."""
        with self._lock:
            self._under_way -= size

    def is_ours(self, key: str, name: str) -> bool:
        """Whether we made the object ourselves: an archive may send back what it got from us."""
        with self._lock:
            return key in self._studies and name in self._studies[key].state.made

    def add(self, temporary: Path, *, key: str, name: str, content: str) -> str:
        """Puts a synced file into its study; says why not, or nothing. The file is gone from where it was.

        Args:
            temporary: From :meth:`temporary`.
            key: Opaque name of the study.
            name: Opaque name of the object.
            content: Hash of its bytes.
        """
        content = content[:_CONTENT_LETTERS]
        size = temporary.stat().st_size
        with self._lock:
            study = self._studies.get(key)
            before = study.objects.get(name) if study else None
            if before == content:
                temporary.unlink()
                return ""
            if study is None and len(self._studies) >= self.quota.studies:
                return "the spool holds too many studies"
            if study is not None and before is None and len(study.objects) >= self.quota.study_instances:
                return "the study has too many objects"
            objects = self.place(key) / "objects"
            make_folder(self.place(key))
            make_folder(objects)
            move_in(temporary, objects / f"{name}.{content}{_SUFFIX}")
            study = self._studies.setdefault(key, _Study())
            study.fingerprint = ""
            if before is not None:
                older = objects / f"{name}.{before}{_SUFFIX}"
                size -= older.stat().st_size
                older.unlink()
            study.objects[name] = content
            study.size += size
            study.since_s = self._clock()
            self._stored += size
        return ""

    # ---- what is to be done ----

    def state(self, key: str) -> State:
        """What became of a study so far."""
        with self._lock:
            return self._studies[key].state

    def put_state(self, key: str, state: State) -> None:
        """Remembers it, before or after the deed."""
        write_record(self.place(key) / "state.json", asdict(state))
        with self._lock:
            self._studies[key].state = state

    def fingerprint(self, key: str) -> str:
        """Which objects a study has now."""
        with self._lock:
            study = self._studies[key]
            study.fingerprint = study.fingerprint or sha256(repr(sorted(study.objects.items())).encode()).hexdigest()
            return study.fingerprint

    def studies(self) -> list[str]:
        """Every study, the one that was quiet for longest first."""
        with self._lock:
            return sorted(self._studies, key=lambda key: (self._studies[key].since_s, key))

    def count(self, key: str) -> int:
        """Objects of a study."""
        with self._lock:
            return len(self._studies[key].objects)

    def due(self, quiet_s: float) -> Iterator[str]:
        """Studies whose present set has not been finished, and of which nothing has arrived for a while."""
        for key in self.studies():
            with self._lock:
                study = self._studies.get(key)
                quiet = study is not None and study.objects and self._clock() - study.since_s >= quiet_s
            if quiet:
                state = self.state(key)
                if state.objects != self.fingerprint(key) or not state.ended:
                    yield key

    def snapshot(self, key: str) -> tuple[Path, str]:
        """The set as it is now, as a folder that later arrivals do not change, and its fingerprint."""
        folder = self.place(key) / "run" / "study"
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        with self._lock:
            fingerprint = self.fingerprint(key)
            for name, content in self._studies[key].objects.items():
                # A hard link costs nothing, and objects are only ever replaced, never written again.
                os.link(self.place(key) / "objects" / f"{name}.{content}{_SUFFIX}", folder / f"{name}{_SUFFIX}")
        return folder, fingerprint

    def started(self, key: str, fingerprint: str) -> State:
        """Counts a run of this set before it begins."""
        state = self.state(key)
        if state.objects != fingerprint:
            # ``made`` and ``sent`` stay: they are of the study, not of the set.
            state = State(objects=fingerprint, made=state.made, sent=state.sent)
        state = replace(state, starts=state.starts + 1)
        self.put_state(key, state)
        return state

    def remove_old(self, keep_s: float, *, sends: bool) -> int:
        """Removes studies that are done with for longer than that; returns how many.

        Args:
            keep_s: How long.
            sends: Whether results are to be sent.

        Refused ones, ones that were given up, and ones whose results are not all sent, stay for a person.
        """
        removed = 0
        for key in self.studies():
            with self._lock:
                state = self.state(key)
                finished = state.ended == "done" and state.objects == self.fingerprint(key)
                unsent = sends and not set(state.results) <= set(state.sent)
                if not finished or unsent or time.time() - state.ended_at_s < keep_s:
                    continue
                self._stored -= self._studies.pop(key).size
                # First out of sight in one step: half a study must not look like a study.
                grave = self.folder / "incoming" / f"{key}.old"
                shutil.rmtree(grave, ignore_errors=True)
                self.place(key).rename(grave)
                sync(self.folder / "studies")
            with suppress(OSError):
                shutil.rmtree(grave)
            removed += 1
        return removed
