"""kill -9 in every stage, one after the other; the run that gets through leaves the bytes of an undisturbed one."""

import signal
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from tests.conftest import Slab

# A process for each stage that argv names, which dies in it by SIGKILL: half of the draft is written, nothing
# is committed. The processes are forks of one that has imported everything, which takes longer than the work itself.
_DIE = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from liverimg import api
    from liverimg.cli import main
    from liverimg.pipeline.recipe import load_recipe
    from liverimg.workspace import Draft

    load_recipe("pre_ablation")
    out, stages, sys.argv[1:] = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
    commit = Draft.commit

    def dies(self, provenance):
        if self.stage == victim:
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, provenance)

    Draft.commit = dies
    for victim in (*stages, "none"):
        process = os.fork()
        if not process:
            main()
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        print(victim, code, Path(out, f".draft-{victim}").is_dir(), file=sys.stderr)
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
    stages = tomllib.loads((repository / "pipelines" / "pre_ablation.toml").read_text())["stages"]
    done = subprocess.run(
        [sys.executable, "-c", _DIE, str(out), ",".join(stages), *arguments], check=True, capture_output=True, text=True
    )
    ends = [line for line in done.stderr.splitlines() if line.endswith((" True", " False"))]
    # The kill came in the middle of each stage.
    assert ends == [*(f"{stage} {-signal.SIGKILL} True" for stage in stages), "none 0 False"], done.stderr
    assert results(out) == results(assessed_slab)
