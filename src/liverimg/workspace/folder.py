"""The output folder of one study, read under a lock and written in drafts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from liverimg.core.errors import RecordInvalidError, WorkspaceError
from liverimg.files import records
from liverimg.workspace.artefact import Artefact, Provenance
from liverimg.workspace.disk import fsync, hash_path, write_atomically
from liverimg.workspace.kept import Kept
from liverimg.workspace.lock import locked

# What a run that finished no stage leaves behind.
_NOTHING_YET = frozenset({"provenance", "log.txt"})


class Workspace:
    """The output folder of one study, for reading; see :meth:`draft` for writing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = Kept()
        self._beside: dict[Path, Workspace] = {}

    def beside(self, folder: Path) -> Workspace:
        """Another study's folder, the same one each time: what was read from it is kept as long as this one is."""
        return self._beside.setdefault(folder.resolve(), Workspace(folder))

    # ---- life ----

    def check_usable(self) -> None:
        """Refuses a place that can't become or isn't a workspace, before any work is done.

        Raises:
            WorkspaceError: Not a folder, not writable, or full of something else.
        """
        existing = self.folder
        try:
            while not existing.exists():
                existing = existing.parent
        except PermissionError as error:
            raise WorkspaceError(f"{existing} can't be looked at; give --out a folder that you may read") from error
        if not existing.is_dir():
            raise WorkspaceError(f"{existing} is a file; give --out a folder to write into")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise WorkspaceError(f"{existing} can't be written to; give --out a folder that you may write to")
        if existing == self.folder and not self._provenance_folder.is_dir() and any(self.folder.iterdir()):
            raise WorkspaceError(
                f"{self.folder} is not empty and holds no liverimg results; give --out a new or an empty folder"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second run out of the folder; the system drops the lock when a run is killed."""
        self.check_usable()
        made_here = [p for p in (self.folder, *self.folder.parents) if not p.exists()]
        with locked(self.folder, own=self._provenance_folder):
            self._remove_drafts()
            # Only now, and only while the lock is ours: what lies here may be another run's first work.
            untouched = not any(self._provenance_folder.glob("*.json")) and _NOTHING_YET.issuperset(
                path.name for path in self.folder.iterdir()
            )
            try:
                yield
            finally:
                if untouched and not any(self._provenance_folder.glob("*.json")):
                    self._leave_no_trace(made_here)

    def _leave_no_trace(self, made_here: Sequence[Path]) -> None:
        """Empties the folder again after a refused study."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        for folder in made_here:
            with suppress(OSError):  # somebody else may have put something there
                folder.rmdir()

    def _remove_drafts(self) -> None:
        for leftover in self.folder.glob(".draft-*"):
            shutil.rmtree(leftover)

    # ---- provenance ----

    @property
    def _provenance_folder(self) -> Path:
        return self.folder / "provenance"

    def provenance(self, stage: str) -> Provenance | None:
        """How the stage's present outputs came to be; None when it never finished."""
        path = self._provenance_folder / f"{stage}.json"
        if not path.is_file():
            return None
        try:
            return Provenance(**records.load(path))
        except (RecordInvalidError, TypeError):
            return None

    def path(self, artefact: Artefact) -> Path:
        """Where the artefact lies."""
        return self.folder / artefact.value

    def hash_of(self, artefact: Artefact) -> str | None:
        """Hash of the artefact as it lies there now; None when it is missing."""
        return hash_path(self.path(artefact))

    def is_accounted_for(self, artefact: Artefact, *, by: str) -> bool:
        """Whether a commit that was cut off explains what lies there now, or nothing lies there.

        Asked when the stage ``by`` has no provenance: what is not accounted for may be a person's work.
        """
        now = self.hash_of(artefact)
        return now is None or now in (self.recall(f"{by}.unfinished") or {}).get(artefact.value, ())

    def is_edited(self, artefact: Artefact, *, by: str) -> bool:
        """Whether somebody changed the artefact after the stage ``by`` wrote it."""
        provenance = self.provenance(by)
        now = self.hash_of(artefact)
        return provenance is not None and now is not None and provenance.writes.get(artefact.value) != now

    def record(self, artefact: Artefact, kind: str) -> records.Record:
        """A JSON artefact, checked against its schema.

        Raises:
            RecordInvalidError: Missing or broken.
        """
        record = records.load(self.path(artefact))
        records.check(record, kind, artefact.value)
        return record

    # ---- writing ----

    @contextmanager
    def draft(self, stage: str) -> Iterator[Draft]:
        """A folder to fill; what is in it is thrown away unless :meth:`Draft.commit` was called."""
        place = self.folder / f".draft-{stage}"
        if place.exists():
            shutil.rmtree(place)
        place.mkdir(parents=True)
        try:
            yield Draft(self, stage, place)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def remember(self, name: str, record: Mapping[str, Any]) -> None:
        """Writes a small record of our own into the provenance folder, whole or not at all."""
        write_atomically(self._provenance_folder / f"{name}.json", records.dump(record))

    def recall(self, name: str) -> records.Record | None:
        """What :meth:`remember` wrote under that name."""
        path = self._provenance_folder / f"{name}.json"
        return records.load(path) if path.is_file() else None


@dataclass(frozen=True)
class Draft:
    """What a stage has made so far, not yet visible to anyone."""

    workspace: Workspace
    stage: str
    folder: Path

    def path(self, artefact: Artefact, *parts: str) -> Path:
        """Where to write the artefact, or a file inside an artefact that is a folder."""
        path = self.folder.joinpath(artefact.value, *parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def put_record(self, artefact: Artefact, kind: str, record: Mapping[str, Any]) -> None:
        """Writes a JSON artefact after holding it against its schema."""
        records.check(record, kind, artefact.value)
        self.path(artefact).write_text(records.dump(record), encoding="utf-8")

    def put_record_in(self, artefact: Artefact, name: str, kind: str, record: Mapping[str, Any]) -> None:
        """Writes a JSON record into an artefact that is a folder, after holding it against its schema."""
        records.check(record, kind, f"{artefact.value}/{name}")
        self.path(artefact, name).write_text(records.dump(record), encoding="utf-8")

    def put_text(self, artefact: Artefact, text: str) -> None:
        """Writes a text artefact."""
        self.path(artefact).write_text(text, encoding="utf-8")

    def replace(self, artefact: Artefact) -> None:
        """Puts one file of the draft in the place of the folder's own, as a person would: it counts as edited then."""
        made, target = self.folder / artefact.value, self.workspace.path(artefact)
        fsync(made)
        made.rename(target)
        fsync(target.parent)

    def commit(self, provenance: Provenance) -> None:
        """Makes the draft the folder's present state.

        Args:
            provenance: How it came to be; its ``writes`` are filled in here.
        """
        made = sorted(p.name for p in self.folder.iterdir())
        for path in (*self.folder.rglob("*"), self.folder):
            fsync(path)
        root = self.workspace.folder
        # What the stage made before and does not make now would look like somebody's file; a run that is killed
        # after this finds its provenance untrue and goes through the stage again.
        before = self.workspace.provenance(self.stage)
        for name, content in (before.writes if before else {}).items():
            if name in set(Artefact) - set(made) and hash_path(root / name) == content:
                (root / name).unlink()
        # Hashed before anyone can see, and so correct, the outputs.
        writes = {name: hash_path(self.folder / name) or "" for name in made}
        unfinished = f"{self.stage}.unfinished"
        self.workspace.remember(unfinished, {name: [hash_path(root / name), new] for name, new in writes.items()})
        record_path = root / "provenance" / f"{self.stage}.json"
        with suppress(FileNotFoundError):
            record_path.unlink()
        fsync(record_path.parent)
        for name in made:
            target = root / name
            if target.is_dir():
                target.rename(self.folder / f"replaced-{name}")
            (self.folder / name).rename(target)
        fsync(root)
        record = asdict(provenance) | {"writes": writes}
        write_atomically(record_path, records.dump(record))
        (root / "provenance" / f"{unfinished}.json").unlink()
