"""One study of a cohort: what is to be done, and what came of one try; both travel between processes."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import liverimg
from liverimg.core.errors import ExitCode, LiverimgError, MemoryShortError, UsageError, WorkspaceBusyError
from liverimg.pipeline.journal import failure, reduced, refusal
from liverimg.pipeline.recipe import load_recipe
from liverimg.pipeline.request import Request, run_request
from liverimg.pipeline.runner import Outcome, State
from liverimg.stages.stage import Progress

# What another try would not change: refused for good, or a person is asked.
_FINAL: Final = frozenset((ExitCode.USAGE, ExitCode.INPUT_REFUSED, ExitCode.NEEDS_A_PERSON))
_KIB: Final = 1024.0
GPU: Final = "GPU"
MEMORY_GB: Final = "MEMORY_GB"


@dataclass(frozen=True, repr=False)
class Job:
    """A study to be done. What is printed of it is its id alone: paths may hold a patient's name.

    Attributes:
        id: Name of its folder, and of the study in tables and pages; nobody's identity.
        study: Folder with the DICOM files.
        out: Folder for its results.
        recipe: Name of one that is built in, or a TOML file.
        options: As :class:`liverimg.pipeline.request.Request` takes them.
        needs: Ids of the studies of this cohort whose results it reads.
        memory_gb: Memory that a worker must have to be given it; 0 for any.
    """

    id: str
    study: Path
    out: Path
    recipe: str
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    memory_gb: float = 0.0

    def __repr__(self) -> str:
        """Its id alone."""
        return f"Job({self.id})"

    @property
    def demands(self) -> dict[str, float]:
        """What it takes of a worker, in the names of Dask's resources."""
        draws = self.options.get("device") == "cuda" and "labels" not in self.options
        return ({GPU: 1.0} if draws else {}) | ({MEMORY_GB: self.memory_gb} if self.memory_gb else {})

    def paths(self) -> Iterator[str]:
        """The paths that were given for it, in every way that a sentence may quote them."""
        given = [self.out, self.study]
        for value in self.options.values():
            given += [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, Path)]
        for path in given:
            yield from (str(path), str(path.resolve()), path.name)


class Came(StrEnum):
    """What came of a try."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    BUSY = "busy"


@dataclass(frozen=True)
class Attempt:
    """One try at a study.

    Attributes:
        came: What came of it. REFUSED another try would not change; FAILED it might; BUSY somebody else is at it.
        code: Refusal code; empty when done.
        sentence: Why, without paths and names; empty when done.
        stage: In which stage; empty when none had begun or nobody knows.
        seconds: How long it took.
        is_fresh: Whether all of it lay there already.
        peak_mib: The most memory that the process has had so far.
        process: Number of the process that tried.
    """

    came: Came
    code: str = ""
    sentence: str = ""
    stage: str = ""
    seconds: float = 0.0
    is_fresh: bool = False
    peak_mib: float = 0.0
    process: int = 0


def work(job: Job, version: str = liverimg.__version__) -> Attempt:
    """Takes one study through its recipe. Whatever goes wrong in it stays in it.

    Args:
        job: The study.
        version: Of whoever asks; another one here would write other results than its neighbours.
    """
    if version != liverimg.__version__:
        sentence = f"the worker runs liverimg {liverimg.__version__}, expected {version}; install the same on both"
        return Attempt(Came.REFUSED, "version", sentence)
    with _Boundary(job) as boundary:
        request = Request(job.study, job.out, job.recipe, job.options)
        boundary.outcomes = run_request(request, reporter=boundary)
    return boundary.attempt()


class _Boundary:
    """What a study does to the process ends here: an error becomes a record, foreseen or not.

    It is the runner's reporter too, so that it knows the stage.
    """

    def __init__(self, job: Job) -> None:
        self._job, self._stage, self._ended = job, "", 0
        self._error: Exception | None = None
        self._began_s = time.monotonic()
        self.outcomes: list[Outcome] = []

    def stage_started(self, stage: str) -> Progress:
        self._stage = stage
        return lambda _: None

    def stage_ended(self, _outcome: Outcome) -> None:
        self._stage, self._ended = "", self._ended + 1

    def __enter__(self) -> _Boundary:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        # One of thousands of studies: an error that nobody foresaw is this study's own, and the others go on.
        self._error = error if isinstance(error, Exception) else None
        return self._error is not None

    def attempt(self) -> Attempt:
        seconds = time.monotonic() - self._began_s
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB
        if self._error is None:
            is_fresh = all(o.state is not State.DONE for o in self.outcomes)
            return Attempt(Came.DONE, seconds=seconds, is_fresh=is_fresh, peak_mib=peak_mib, process=os.getpid())
        came, code, sentence = self._said(self._error)
        return Attempt(came, code, sentence, self._where(), seconds, peak_mib=peak_mib, process=os.getpid())

    def _said(self, error: Exception) -> tuple[Came, str, str]:
        if isinstance(error, LiverimgError):
            told = refusal(error)
            sentence = reduced(str(error), hide=self._job.paths())
            if isinstance(error, WorkspaceBusyError):
                return Came.BUSY, told["code"], sentence
            is_final = told["exit_code"] in _FINAL and not isinstance(error, MemoryShortError)
            return (Came.REFUSED if is_final else Came.FAILED), told["code"], sentence
        told = failure(error)
        if isinstance(error, OSError):
            return Came.FAILED, told["code"], f"the system said: {told['reason'] or type(error).__name__}"
        ours = [place for place in told["where"] if place.startswith("liverimg/")]
        where = (ours or told["where"] or ["an unknown place"])[-1]
        return Came.FAILED, told["code"], f"the run broke off with {told['error'][0]} in {where}; please report this"

    def _where(self) -> str:
        if self._stage:
            return self._stage
        if self._ended == 0 and isinstance(self._error, UsageError):
            return ""
        names = [step.stage.name for step in load_recipe(self._job.recipe).steps]
        return names[self._ended] if self._ended < len(names) else ""
