"""kill -9 in every stage, one after the other; the run that gets through leaves the bytes of an undisturbed one."""

import signal
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from tests.conftest import Slab

# Dies by SIGKILL in the stage that argv names: half of its draft is written, nothing is committed.
_DIES = textwrap.dedent(
    """
    import os, signal, sys
    from liverimg.workspace import Draft

    victim = sys.argv.pop(1)
    commit = Draft.commit

    def dies(self, provenance):
        if self.stage == victim:
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, provenance)

    Draft.commit = dies
    from liverimg.cli import main
    main()
    """
)


def results(out: Path) -> dict[str, bytes]:
    """Every artefact; the log and the times in the provenance are no results."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "log.txt" and path.parent.name != "provenance"
    }


@pytest.mark.slow
def test_kill_in_every_stage_changes_no_byte(slab: Slab, assessed_slab: Path, repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["pre", str(slab.study), "--out", str(out), "--labels", str(slab.labels)]
    for stage in tomllib.loads((repository / "pipelines" / "pre_ablation.toml").read_text())["stages"]:
        done = subprocess.run(
            [sys.executable, "-c", _DIES, stage, *arguments], check=False, capture_output=True, text=True
        )
        assert done.returncode == -signal.SIGKILL, f"{stage}: {done.stderr}"
        assert (out / f".draft-{stage}").is_dir(), "the kill came in the middle of the stage"
    done = subprocess.run([sys.executable, "-c", _DIES, "none", *arguments], check=False)
    assert done.returncode == 0
    assert results(out) == results(assessed_slab)
