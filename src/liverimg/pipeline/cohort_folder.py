"""The folder of a cohort: where each study lies, what was refused, and the lock that keeps a second run out.

OUT/measurements.parquet .csv   refusals.parquet .csv   cohort.html   studies.csv (its owner's alone)
OUT/studies/ID/                 one output folder a study, as any run leaves it
OUT/cohort/                     endings/ID.json of what is not done, log.txt, .lock
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from liverimg.core.errors import RecordInvalidError, WorkspaceError
from liverimg.files import records
from liverimg.pipeline.cohort_job import Job
from liverimg.workspace.disk import fsync, write_atomically
from liverimg.workspace.lock import locked

_OWN: Final = "cohort"
_STUDIES: Final = "studies"
_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True)
class Ending:
    """How a study ended that is not done.

    Attributes:
        study_id: Its id.
        code: Refusal code.
        sentence: Why.
        stage: In which stage; empty when nobody knows.
        tries: How many tries ended with this code: 1 for what another try would not change.
        is_final: Whether another try would not change it: refused, not failed.
    """

    study_id: str
    code: str
    sentence: str
    stage: str
    tries: int
    is_final: bool


class CohortFolder:
    """The folder of one cohort."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def log(self) -> Path:
        """The cohort's own log."""
        return self.folder / _OWN / "log.txt"

    @property
    def keys(self) -> Path:
        """Where the keys of a run lie that all nodes have to see; its owner's alone."""
        return self.folder / _OWN / "keys"

    @property
    def studies(self) -> Path:
        """The studies' output folders."""
        return self.folder / _STUDIES

    def study(self, name: str) -> Path:
        """The output folder of one study."""
        return self.studies / name

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second start out; the system drops the lock when a run is killed.

        Raises:
            WorkspaceError: Not a place to write into, or full of something else.
            WorkspaceBusyError: Another run has it.
        """
        own = self.folder / _OWN
        if self.folder.exists() and not own.is_dir() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise WorkspaceError(f"{self.folder} is not empty and holds no cohort; give --out a new or an empty folder")
        with locked(self.folder, own=own, needs=(own / "endings", self.studies), run="cohort run"):
            yield

    # ---- endings ----

    def put_ending(self, ending: Ending) -> None:
        """Records how a study ended that is not done."""
        write_atomically(self._ending(ending.study_id), records.dump(asdict(ending)))

    def forget_ending(self, name: str) -> None:
        """The study is done after all."""
        self._ending(name).unlink(missing_ok=True)

    def ending(self, name: str) -> Ending | None:
        """How it ended; None when it is done or was never tried."""
        path = self._ending(name)
        try:
            return Ending(**records.load(path)) if path.is_file() else None
        except (RecordInvalidError, TypeError):
            return None

    def _ending(self, name: str) -> Path:
        return self.folder / _OWN / "endings" / f"{name}.json"

    # ---- what lies on top ----

    def put_list(self, jobs: Sequence[Job]) -> None:
        """Which id is which study. Paths may hold a name: only the owner of the file may read it."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(("id", "study", "recipe"))
        writer.writerows((job.id, str(job.study), job.recipe) for job in jobs)
        self.replace("studies.csv", lambda path: path.write_text(text.getvalue(), encoding="utf-8"), is_private=True)

    def replace(self, name: str, write: Callable[[Path], object], *, is_private: bool = False) -> Path:
        """Writes a file of the cohort whole or not at all.

        Args:
            name: Of the file.
            write: Writes it to the path that it is given.
            is_private: Whether its owner alone may read it.
        """
        draft = self.draft(name)
        try:
            if is_private:
                os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
            write(draft)
            return self.publish(name)
        finally:
            draft.unlink(missing_ok=True)

    def draft(self, name: str) -> Path:
        """Where a file of the cohort is written before anyone sees it; nothing lies there."""
        draft = self._draft(name)
        draft.unlink(missing_ok=True)
        return draft

    def publish(self, name: str) -> Path:
        """Puts the draft of a file in its place."""
        target, draft = self.folder / name, self._draft(name)
        fsync(draft)
        draft.replace(target)
        fsync(self.folder)
        return target

    def _draft(self, name: str) -> Path:
        return self.folder / f".{name}.new"
