"""Decoding in a process of its own: whatever a decoder does, this one lives on.

Compressed and deflated pixels come from strangers and go through libraries written in C. One child decodes a whole
series or study; it has a limit on memory, every frame has a limit on time, and what comes back is plain numbers in
shared memory. A crash is one refused series. A child that somebody else ended, as the system does when memory is short,
is started once more before its file is blamed.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.codes import Code
from liverimg.dicom.decode_job import GREY, Packing, job
from liverimg.dicom.frame import PixelBlock
from liverimg.dicom.limits import Limits, shipped_limits

_START_S: Final = 20.0
_LOOK_AGAIN_MS: Final = 100
_LONGEST_REPLY_BYTES: Final = 4096
_DYING_S: Final = 5.0
# What comes from outside: no decoder sends these to itself, whatever a file holds. A crash has signals of its own.
_FROM_OUTSIDE: Final = (-signal.SIGKILL, -signal.SIGTERM)
_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "RAYON_NUM_THREADS"), "1"
)
# What the child may answer; its own words are never shown.
_REFUSALS: Final = {
    "cut": (Code.PIXEL_DATA_TRUNCATED, "a compressed slice ends before its pixels do"),
    "size": (Code.DECODING_FAILED, "a compressed slice of another size than its header says"),
    "undecodable": (Code.DECODING_FAILED, "compressed pixels that no decoder could read"),
    "disagree": (Code.DECODERS_DISAGREE, "two decoders read different values from the same compressed slice"),
    "memory": (Code.DECODING_LIMIT, "decoding a slice takes more memory than any real one needs"),
}


class _ChildKilledError(Exception):
    """Somebody else ended the child; nothing is known against the file."""


class Decoder:
    """A child process that decodes frames, started at the first one; use it as a context."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or shipped_limits()
        self._process: subprocess.Popen[bytes] | None = None
        self._replies = -1
        self._memory = -1
        self._pending = b""
        self._series_limit_s = math.inf
        self._series_from_s = 0.0
        self._last_spent_s = 0.0

    def __enter__(self) -> Decoder:
        """Nothing is started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the child."""
        self.close()

    def begin_series(self, unpacked_bytes: int) -> None:
        """Limits the time of all frames from here on together; each has a limit of its own besides."""
        self._series_limit_s = self._limits.time_s(unpacked_bytes)
        self._series_from_s = self._spent_s()

    def frames(
        self,
        block: PixelBlock,
        numbers: Sequence[int],
        *,
        packing: Packing = GREY,
        compare: Sequence[int] = (),
    ) -> Iterator[NDArray[Any]]:
        """Decodes frames of one file, in ascending order of ``numbers``.

        Args:
            block: Where the compressed or deflated pixels lie and what they should become.
            numbers: Indices of the wanted frames.
            packing: Colour, where there is any.
            compare: Those of ``numbers`` that a second decoder reads as well.

        Yields:
            Unsigned stored values, shape (rows, columns) or (rows, columns, samples): a view of shared memory that
            holds them until the next one is asked for.

        Raises:
            DicomRefusedError: Nobody could decode them, they take too much, the decoders disagree, or one crashed, or
                was killed for a second time.
        """
        left = sorted(numbers)
        for is_last_try in (False, True):
            try:
                # Taken from the list before it is handed out: what was handed out is not decoded again.
                for values in self._decoded(block, tuple(left), packing, compare):
                    left.pop(0)
                    yield values
                return
            except _ChildKilledError:
                if is_last_try:
                    raise DicomRefusedError(
                        Code.DECODER_CRASHED, "the decoder was killed twice on a compressed slice"
                    ) from None

    def _decoded(
        self, block: PixelBlock, numbers: Sequence[int], packing: Packing, compare: Sequence[int]
    ) -> Iterator[NDArray[Any]]:
        """The frames ``numbers``, by the child that there is or by a new one."""
        shape = (block.rows, block.columns) + ((packing.samples,) if packing.samples > 1 else ())
        dtype = np.dtype(f"u{block.bits_allocated // 8}")
        frame_bytes = int(np.prod(shape)) * dtype.itemsize
        limit_s = self._limits.time_s(frame_bytes)
        self._start()
        self._make_room(frame_bytes)
        # Left to the garbage collector: whoever asked may still hold the last view.
        shared = mmap.mmap(self._memory, frame_bytes, prot=mmap.PROT_READ)
        finished = False
        try:
            self._send(
                job(
                    block,
                    numbers,
                    packing,
                    sorted(set(compare) & set(numbers)),
                    frame_bytes,
                    limit_s * self._limits.clock_factor,
                )
            )
            for _ in numbers:
                reply = self._reply(limit_s)
                if reply != {"frame": True}:
                    finished = "refused" in reply
                    code, reason = _REFUSALS.get(str(reply.get("refused")), _REFUSALS["undecodable"])
                    raise DicomRefusedError(code, reason)
                yield np.frombuffer(shared, dtype=dtype).reshape(shape)
                self._send({"next": True})
            finished = True
        finally:
            if not finished:
                self.close()

    def _make_room(self, frame_bytes: int) -> None:
        """Grows the shared memory; it never shrinks, so that no view is left hanging."""
        if os.fstat(self._memory).st_size < frame_bytes:
            os.ftruncate(self._memory, frame_bytes)

    def close(self) -> None:
        """Ends the child, if there is one; the next frame starts another, on the series' time that is left."""
        self._series_from_s -= self._spent_s()
        self._last_spent_s = 0.0
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()
        os.close(self._replies)
        os.close(self._memory)
        self._pending = b""

    def _start(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                return
            self.close()
        if not hasattr(os, "memfd_create"):
            raise DicomRefusedError(
                Code.DECODING_FAILED, "compressed pixels, which are decoded on Linux only: export without compression"
            )
        self._memory = os.memfd_create("frame", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        import fcntl  # not there where memfd_create is not

        fcntl.fcntl(self._memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self._replies, theirs = os.pipe()
        arguments = (theirs, self._memory, self._limits.memory_bytes)
        self._process = subprocess.Popen(
            # -P: nothing in the current folder, which may be the study's, is ever imported.
            [sys.executable, "-P", "-m", "liverimg.dicom.decode_child", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs, self._memory),
            env=os.environ | _ONE_THREAD,
        )
        os.close(theirs)
        ready = False
        try:
            ready = self._reply(_START_S, of_series=False) == {"ready": True}
        finally:
            # Starting Python is no part of what a series may take.
            self._series_from_s += self._spent_s()
            if not ready:
                self.close()
        if not ready:
            raise DicomRefusedError(Code.DECODER_CRASHED, "the decoding process could not be started")

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._gone() from None

    def _gone(self) -> Exception:
        """Why nobody answers any more."""
        assert self._process is not None
        self._spent_s()  # can't be asked for once the child is waited for
        with suppress(subprocess.TimeoutExpired):
            if self._process.wait(_DYING_S) in _FROM_OUTSIDE:
                return _ChildKilledError()
        return DicomRefusedError(Code.DECODER_CRASHED, "the decoder crashed on a compressed slice")

    def _spent_s(self) -> float:
        """Processor time of the child so far; of one that is gone, as it was last seen."""
        if self._process is None:
            return 0.0
        if self._process.returncode is None:
            with suppress(OSError):
                stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="latin-1")
                after_name = stat.rpartition(")")[2].split()
                # User and system time, fields 14 and 15 of proc(5).
                self._last_spent_s = (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
        return self._last_spent_s

    def _reply(self, limit_s: float, *, of_series: bool = True) -> dict[str, Any]:
        """The child's next line, which it may spend so much processor time on, and no more than its series has left."""
        most_s = self._spent_s() + limit_s
        if of_series:
            most_s = min(most_s, self._series_from_s + self._series_limit_s)
        deadline = time.monotonic() + limit_s * self._limits.clock_factor
        poll = select.poll()
        poll.register(self._replies, select.POLLIN)
        while b"\n" not in self._pending:
            if not poll.poll(_LOOK_AGAIN_MS):
                if self._spent_s() > most_s or time.monotonic() > deadline:
                    raise DicomRefusedError(
                        Code.DECODING_LIMIT, "decoding a slice takes longer than any real one needs"
                    )
                continue
            part = os.read(self._replies, _LONGEST_REPLY_BYTES)
            if not part or len(self._pending) > _LONGEST_REPLY_BYTES:
                raise self._gone()
            self._pending += part
        line, self._pending = self._pending.split(b"\n", 1)
        reply: dict[str, Any] = json.loads(line)
        return reply
