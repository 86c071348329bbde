"""The listener at work: takes studies in, runs the recipe on each complete one, sends the results back.

Receiving happens in threads of its own (:mod:`liverimg.pacs.door`); here one study after the other is worked on. What
is to be done next is read from the spool each time, so there is no list that a crash could lose.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from liverimg.core.errors import ExitCode, InputRefusedError, LiverimgError
from liverimg.pacs.config import ListenConfig
from liverimg.pacs.door import Door, House
from liverimg.pacs.durable import lock
from liverimg.pacs.intake import SpoolReceiver
from liverimg.pacs.names import opaque, printable, short
from liverimg.pacs.parcel import Fate, Ready, Sent, parcel
from liverimg.pacs.peer import server_context
from liverimg.pacs.settings import MIB
from liverimg.pacs.spool import Spool
from liverimg.pacs.state import State
from liverimg.pipeline.recipe import load_recipe
from liverimg.pipeline.waiting import Stop, Waits
from liverimg.workspace import hash_file

logger = logging.getLogger(__name__)

_LOOK_S: Final = 0.2
_PAUSE_S: Final = 10.0
_HOUR_S: Final = 3600.0
_RESULTS: Final = "dicom"
_LONGEST_SAYING: Final = 300
# What another run of the same objects would not change: refused for good, or a person is asked.
_FINAL: Final = frozenset((ExitCode.USAGE, ExitCode.INPUT_REFUSED, ExitCode.NEEDS_A_PERSON))
Sender = Callable[[list[Ready], Path], list[Sent]]


def listen(config: ListenConfig, *, stop: Stop, ready: Callable[[int], None] | None = None) -> None:
    """Receives, runs and sends until it is told to stop.

    Args:
        config: What to do.
        stop: Set from elsewhere; a run that is on is ended and done again at the next start.
        ready: Called with the port once peers can connect.

    Raises:
        UsageError: The port is taken, another listener has the spool, or there is no such recipe.
    """
    load_recipe(config.recipe, only=["ingest"])
    for words in config.warnings:
        logger.warning("%s", words)
    spool = Spool(config.spool, quota=config.quota)
    try:
        house = House(
            ae_title=config.ae_title,
            host=config.host,
            port=config.port,
            peers=config.peers,
            tls=None if config.tls is None else server_context(config.tls),
            settings=config.settings,
        )
        with Door(house, SpoolReceiver(spool)) as door:
            logger.info("listening as %s on %s port %d", config.ae_title, config.host, door.port)
            if ready is not None:
                ready(door.port)
            Worker(config, spool, stop).work(lambda: door.is_open)
        logger.info("stopped; everything that was acknowledged is in the spool")
    finally:
        spool.close()


class Worker:
    """Does what is due in a spool, one study after the other.

    Args:
        config: Recipe, folders, limits.
        spool: What was received.
        stop: Set when it should end.
        send: Sends files; by the configuration's own peer unless given.
    """

    def __init__(self, config: ListenConfig, spool: Spool, stop: Stop, *, send: Sender | None = None) -> None:
        self._config, self._spool, self._stop = config, spool, stop
        self._send = send or self._send_to_peer
        config.out.mkdir(parents=True, exist_ok=True)
        settings = config.settings
        self._runs = Waits(settings.push_wait_s, settings.longest_push_wait_s)
        self._sends = Waits(settings.push_wait_s, settings.longest_push_wait_s)
        self._had_room = True
        self._swept_s = -_HOUR_S

    def work(self, is_open: Callable[[], bool]) -> None:
        """Until it is told to stop.

        Args:
            is_open: Whether peers can still come in.

        Raises:
            LiverimgError: They can't: better to end and be started again than to be deaf.
        """
        while not self._stop.is_set():
            if not is_open():
                raise LiverimgError("the listener does not accept connections any more; start it again")
            try:
                self.step()
            except OSError as error:
                # A full disk passes; what was to be done still follows from what lies in the spool.
                logger.error("the spool or the results can't be written (%s)", error.strerror)
                self._stop.wait(_PAUSE_S)
            self._stop.wait(_LOOK_S)

    def step(self) -> None:
        """Does what is due now."""
        for key in list(self._spool.due(self._config.settings.quiet_s)):
            if self._stop.is_set():
                return
            if self._has_room() and not self._runs.waits(key):
                self._run(key)
        for key in self._spool.studies():
            if self._stop.is_set():
                return
            if not self._sends.waits(key):
                self._send_results(key)
        if time.monotonic() - self._swept_s >= min(_HOUR_S, self._config.settings.keep_h * _HOUR_S):
            self._swept_s = time.monotonic()
            removed = self._spool.remove_old(
                self._config.settings.keep_h * _HOUR_S, sends=self._config.push is not None
            )
            if removed:
                logger.info("%d finished studies were removed from the spool", removed)

    # ---- running ----

    def _has_room(self) -> bool:
        """Whether the disk of the results is above its floor: a run that fills it up fails, and so do all others."""
        has_room = shutil.disk_usage(self._config.out).free >= self._config.quota.floor_mib * MIB
        if not has_room and self._had_room:
            logger.error("the disk of the results is full; no run begins until there is room")
        self._had_room = has_room
        return has_room

    def _run(self, key: str) -> None:
        held = lock(self._spool.place(key) / ".lock")
        if held is None:
            return  # a run of a listener that was killed has not ended yet
        try:
            study, fingerprint = self._spool.snapshot(key)
            state = self._spool.started(key, fingerprint)
            if state.starts > self._config.settings.starts:
                self._ended(key, state, "gave_up", "it was begun too often and never ended")
                return
            logger.info("study %s: %d objects, run %d begins", short(key), self._spool.count(key), state.starts)
            code = self._child(key, study, held)
            shutil.rmtree(study, ignore_errors=True)
        finally:
            os.close(held)
        if code is None:
            return  # we are told to stop: the next listener begins it again
        log = self._spool.place(key) / "run" / "log.txt"
        state = replace(state, exit_code=code)
        if code == ExitCode.DONE:
            results = self._results(key)
            made = {*state.made, *(opaque(file.sop_instance) for file in results)}
            self._ended(
                key, replace(state, results=tuple(_sent_name(r) for r in results), made=tuple(sorted(made))), "done", ""
            )
        elif code in _FINAL:
            # Our own refusals name no patient; what else a broken run says may, and stays in the spool.
            self._ended(key, state, "refused", _last_words(log))
        else:
            logger.error("study %s: the run broke off with code %d; see run/log.txt of the study", short(key), code)
            self._spool.put_state(key, state)
            self._runs.put_off(key)

    def _child(self, key: str, study: Path, held: int) -> int | None:
        """Its exit code; None when it was ended because we stop."""
        config = self._config
        command = [
            sys.executable, "-m", "liverimg.pipeline.received",
            str(study.absolute()), str((config.out / key).absolute()), config.recipe, config.device, str(os.getpid()),
        ]  # fmt: skip
        deadline = time.monotonic() + config.settings.run_h * _HOUR_S
        log = os.open(study.parent / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            # It inherits the lock: as long as it lives, nobody begins this study again.
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(held,))
        finally:
            os.close(log)
        while True:
            try:
                return child.wait(_LOOK_S)
            except subprocess.TimeoutExpired:
                late = time.monotonic() > deadline
                if late or self._stop.is_set():
                    child.kill()
                    child.wait()
                    if not late:
                        return None
                    logger.error("study %s: the run took more than %g h", short(key), config.settings.run_h)
                    return int(ExitCode.INTERNAL)

    def _ended(self, key: str, state: State, ended: str, words: str) -> None:
        self._spool.put_state(key, replace(state, ended=ended, words=words, ended_at_s=time.time()))
        if ended == "done":
            logger.info("study %s: done, results in %s", short(key), key)
        else:
            logger.warning("study %s: %s: %s", short(key), ended, words)

    # ---- results ----

    def _results(self, key: str) -> list[Ready]:
        folder = self._config.out / key / _RESULTS
        try:
            return list(parcel(folder).ready) if folder.is_dir() else []
        except InputRefusedError:
            return []  # nothing in it is DICOM

    def _send_results(self, key: str) -> None:
        """Sends what has not been taken yet; what was sent twice is stored once."""
        state = self._spool.state(key)
        if self._config.push is None or state.ended != "done" or not state.results:
            return
        if state.objects != self._spool.fingerprint(key):
            return  # more has come: the run to follow makes better ones
        files = {_sent_name(file): file for file in self._results(key)}
        rest = [file for name, file in files.items() if name not in state.sent]
        if not rest:
            return
        try:
            verdicts = self._send(rest, self._config.out / key / _RESULTS)
        except LiverimgError as error:
            logger.warning("study %s: results can't be sent: %s", short(key), error)
            verdicts = []
        good = {v.sop_instance for v in verdicts if v.fate in (Fate.STORED, Fate.STORED_WITH_WARNING)}
        taken = [name for name, file in files.items() if file.sop_instance in good]
        self._spool.put_state(key, replace(state, sent=tuple(sorted({*state.sent, *taken}))))
        logger.info("study %s: %d of %d results were taken", short(key), len(taken), len(rest))
        for verdict in verdicts:
            if verdict.fate not in (Fate.STORED, Fate.STORED_WITH_WARNING):
                logger.warning("study %s: a result was not taken: %s", short(key), printable(verdict.words))
        if len(taken) == len(rest):
            self._sends.forget(key)
        else:
            self._sends.put_off(key)

    def _send_to_peer(self, files: list[Ready], folder: Path) -> list[Sent]:
        assert self._config.push is not None
        # The waits between attempts are ours: here one attempt, so that the next study does not stand in line.
        peer = replace(self._config.push, settings=replace(self._config.push.settings, attempts=1))
        if peer.url:
            from liverimg.pacs import web

            return web.push(peer, files, folder=folder)
        from liverimg.pacs.push import push

        return push(peer, files, folder=folder)


def _sent_name(file: Ready) -> str:
    """Of an object and what is in it: a result that changed is sent again."""
    return f"{opaque(file.sop_instance)}.{hash_file(file.path)[:16]}"


def _last_words(log: Path) -> str:
    """The last line that a run wrote: one sentence when it was refused."""
    with log.open("rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - 4 * _LONGEST_SAYING))
        lines = stream.read().decode("utf-8", "replace").strip().splitlines()
    return printable(lines[-1], longest=_LONGEST_SAYING) if lines else ""
