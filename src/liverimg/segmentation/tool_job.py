"""Running another program that segments: its own command line, in a process of its own, in a folder that goes away."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from liverimg.core.errors import ModelRefusedError
from liverimg.core.study import Phase

_MOST_WORDS = 300
_GRACE_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Job:
    """One run of a program.

    Attributes:
        title: What runs, for messages.
        inputs: Name of each NIfTI file that it wants in its input folder, and the phase to put there; None is the
            reference series.
        command: The command; ``{input}``, ``{inputs}`` and ``{outputs}`` stand for the first input file and the two
            folders.
        output: Name of the label file that it leaves in its output folder.
        names: Value of each label; None when the header of the file names them.
        environment: Variables that it needs beside ours.
    """

    title: str
    inputs: tuple[tuple[str, Phase | None], ...]
    command: tuple[str, ...]
    output: str
    names: Mapping[str, int] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tool:
    """A program that somebody else made, with what has to be said of it.

    Attributes:
        name: Its name and version, as results carry it.
        licence: What its licence asks for, in one sentence.
        jobs: What to run, in this order.
        key: Text that changes whenever its results might.
    """

    name: str
    licence: str
    jobs: tuple[Job, ...]
    key: str


def run_job(job: Job, work: Path, *, timeout_s: float) -> Path:
    """Runs a job on the inputs that lie in ``work / "in"`` and returns the label file that it wrote.

    What the program says goes to a log in ``work``; only its last line reaches a message.

    Raises:
        ModelRefusedError: It failed, took too long, or left no such file.
    """
    inputs, outputs = work / "in", work / "out"
    outputs.mkdir(exist_ok=True)
    places = {"input": str(inputs / job.inputs[0][0]), "inputs": str(inputs), "outputs": str(outputs)}
    command = [part.format(**places) if part.startswith("{") else part for part in job.command]
    log = work / "log.txt"
    started = time.monotonic()
    with log.open("wb") as stream:
        try:
            child = subprocess.Popen(
                command,
                cwd=work,
                env={**os.environ, **job.environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ModelRefusedError(f"{job.title} could not be started ({error.strerror}); install it anew") from error
        try:
            code = child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ModelRefusedError(
                f"{job.title} was stopped after {time.monotonic() - started:.0f} s without a result, expected one "
                f"within {timeout_s:.0f} s; run it where there is a graphics card, or raise timeout_minutes"
            ) from None
        finally:
            if child.poll() is None:
                _end(child)
    if code != 0:
        raise ModelRefusedError(f"{job.title} failed ({_how(code)}), expected labels; it said: {last_words(log)}")
    result = outputs / job.output
    if not result.is_file():
        raise ModelRefusedError(
            f"{job.title} ended without writing {job.output}, expected labels there; it said: {last_words(log)}"
        )
    return result


@cache
def ask(command: tuple[str, ...], *, timeout_s: float) -> str:
    """What a short command prints; empty when it fails. Asked once: some programs take seconds to say who they are."""
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return said.stdout.strip()


def last_words(log: Path) -> str:
    """The last line of a log that says something, cut to a length that fits a message."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    spoken = [re.sub(r"[^\x20-\x7e]", " ", line) for line in lines if re.search(r"[A-Za-z]", line)]
    return spoken[-1][:_MOST_WORDS] if spoken else "nothing"


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"ended by {name}, often for lack of memory" if name == "SIGKILL" else f"ended by {name}"


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends a process and all that it started: workers would run on, and write into a folder that is gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        deadline = time.monotonic() + _GRACE_S
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    child.wait()
