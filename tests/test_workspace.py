"""The workspace: whole states only, one run at a time, no trace of a refused study."""

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from liverimg.core.errors import RecordInvalidError, WorkspaceError
from liverimg.workspace import Artefact, Provenance, Workspace

NO_HISTORY = Provenance(stage="report", version=1, key="k", reads={}, writes={})


def write_report(workspace: Workspace, text: str) -> None:
    with workspace.draft("report") as draft:
        draft.put_text(Artefact.REPORT, text)
        draft.commit(NO_HISTORY)


def test_a_draft_that_is_not_committed_leaves_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "out")
    with workspace.locked():
        write_report(workspace, "old")
        with pytest.raises(ZeroDivisionError), workspace.draft("report") as draft:
            draft.put_text(Artefact.REPORT, "new")
            raise ZeroDivisionError
        assert workspace.path(Artefact.REPORT).read_text() == "old"
        assert not list(workspace.folder.glob(".draft-*"))


def test_a_folder_artefact_is_replaced_as_a_whole(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "out")
    with workspace.locked():
        for names in (("a", "b"), ("c",)):
            with workspace.draft("ingest") as draft:
                for name in names:
                    draft.path(Artefact.VOLUMES, name).write_text(name)
                draft.commit(NO_HISTORY)
        assert [p.name for p in workspace.path(Artefact.VOLUMES).iterdir()] == ["c"]


def test_a_hand_edit_is_seen(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "out")
    with workspace.locked():
        write_report(workspace, "as made")
        assert not workspace.is_edited(Artefact.REPORT, by="report")
        workspace.path(Artefact.REPORT).write_text("as corrected")
        assert workspace.is_edited(Artefact.REPORT, by="report")


def test_a_refused_study_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Workspace(tmp_path / "new" / "deeper").locked():
        raise ZeroDivisionError
    assert not (tmp_path / "new").exists()

    (tmp_path / "empty").mkdir()
    with pytest.raises(ZeroDivisionError), Workspace(tmp_path / "empty").locked():
        raise ZeroDivisionError
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(WorkspaceError, match="not empty"), Workspace(tmp_path).locked():
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(WorkspaceError, match="is a file"), Workspace(tmp_path / "out").locked():
        pass
    with pytest.raises(WorkspaceError, match="is a file"), Workspace(tmp_path / "out" / "deeper").locked():
        pass


def test_a_place_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(WorkspaceError, match="can't be written"), Workspace(Path("/proc/liverimg-out")).locked():
        pass


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "out")
    with workspace.locked(), pytest.raises(WorkspaceError, match="another run"), Workspace(tmp_path / "out").locked():
        pass


def test_a_record_that_breaks_its_schema_is_not_written(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "out")
    with workspace.locked(), workspace.draft("measure") as draft, pytest.raises(RecordInvalidError):
        draft.put_record(Artefact.MEASUREMENTS, "measurements", {"record": "measurements"})


@pytest.mark.parametrize("killed_after", [0, 1, 2, 3, 4, 5, 6])
def test_kill_during_a_commit_leaves_a_stage_that_runs_again(tmp_path: Path, killed_after: int) -> None:
    """Kills the process at the n-th rename or unlink of a commit; the stage must then read as not done, or done."""
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from liverimg.workspace import Artefact, Provenance, Workspace

        budget = int(sys.argv[2])
        def counted(real):
            def call(self, *args, **kwargs):
                global budget
                if budget == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                budget -= 1
                return real(self, *args, **kwargs)
            return call
        workspace = Workspace(Path(sys.argv[1]))
        with workspace.locked(), workspace.draft("segment") as draft:
            draft.path(Artefact.LABELS).write_text("new labels")
            draft.path(Artefact.LABEL_NAMES).write_text("new names")
            Path.rename, Path.unlink = counted(Path.rename), counted(Path.unlink)
            draft.commit(Provenance("segment", 1, "new", {}, {}))
        """
    )
    folder = tmp_path / "out"
    workspace = Workspace(folder)
    with workspace.locked(), workspace.draft("segment") as draft:
        draft.path(Artefact.LABELS).write_text("old labels")
        draft.path(Artefact.LABEL_NAMES).write_text("old names")
        draft.commit(Provenance("segment", 1, "old", {}, {}))

    done = subprocess.run([sys.executable, "-c", script, str(folder), str(killed_after)], check=False)

    provenance = workspace.provenance("segment")
    if provenance is None:
        assert done.returncode == -signal.SIGKILL, "no provenance: the stage runs again"
    else:
        names = ("old", "new")[provenance.key == "new"]
        assert workspace.path(Artefact.LABELS).read_text() == f"{names} labels"
        assert workspace.path(Artefact.LABEL_NAMES).read_text() == f"{names} names"
        assert not workspace.is_edited(Artefact.LABELS, by="segment"), "a kill must not look like a hand edit"
    if killed_after == 0:
        assert provenance is not None
        assert workspace.path(Artefact.LABELS).read_text() == "old labels"
    with workspace.locked():
        assert not list(folder.glob(".draft-*")), "the next run clears what the kill left"


def test_a_run_that_comes_too_late_leaves_the_first_one_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both saw an empty folder; the second must not clear it away when it finds the lock taken."""
    (tmp_path / "out").mkdir()
    first, second = Workspace(tmp_path / "out"), Workspace(tmp_path / "out")
    with ExitStack() as stack:

        def first_takes_the_lock(handle: int, how: int) -> None:
            monkeypatch.undo()
            stack.enter_context(first.locked())
            stack.enter_context(first.draft("report")).put_text(Artefact.REPORT, "half done")
            fcntl.flock(handle, how)

        monkeypatch.setattr(fcntl, "flock", first_takes_the_lock)
        with pytest.raises(WorkspaceError, match="another run"), second.locked():
            pass
        assert (tmp_path / "out" / ".draft-report" / "report.html").read_text() == "half done"


def test_a_refusal_after_a_killed_first_run_leaves_no_trace_either(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "provenance").mkdir(parents=True)
    (out / "log.txt").write_text("killed")
    (out / ".draft-ingest").mkdir()
    with pytest.raises(ZeroDivisionError), Workspace(out).locked():
        raise ZeroDivisionError
    assert list(out.iterdir()) == []


def test_what_was_read_is_kept_until_a_file_of_it_changes(tmp_path: Path) -> None:
    one, other, absent = (tmp_path / name for name in ("one", "other", "absent"))
    reads: list[str] = []

    def read() -> str:
        reads.append("read")
        return one.read_text() + other.read_text()

    def settle(*paths: Path) -> None:
        # Times of files are coarse: what was written just now is read again, whatever its time says.
        while time.time_ns() - max(p.stat().st_ctime_ns for p in paths) <= 50_000_000:
            time.sleep(0.01)

    one.write_text("a")
    other.write_text("b")
    settle(one, other)
    workspace = Workspace(tmp_path)
    files = (one, other, absent)
    assert [workspace.kept.get("both", files, read) for _ in range(3)] == ["ab"] * 3
    assert len(reads) == 1
    other.write_text("c")
    assert workspace.kept.get("both", files, read) == "ac"
    settle(other)
    replacement = tmp_path / "replacement"
    replacement.write_text("d")
    os.utime(replacement, ns=(one.stat().st_atime_ns, one.stat().st_mtime_ns))
    replacement.rename(one)
    assert workspace.kept.get("both", files, read) == "dc"
    absent.write_text("there now")
    settle(one, absent)
    assert workspace.kept.get("both", files, read) == "dc"
    assert len(reads) == 4


def test_another_study_is_opened_once_beside_this_one(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "post")
    assert workspace.beside(tmp_path / "pre") is workspace.beside(tmp_path / "x" / ".." / "pre")
