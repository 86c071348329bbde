"""One received study through a recipe, in a process of its own: ``python -m liverimg.pipeline.received``.

Whatever a hostile study does to this process, the listener lives on; and when the listener is killed, the system ends
this process too, so that the next listener does not find one at work that it knows nothing of.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

from liverimg.core.errors import ExitCode, LiverimgError
from liverimg.pipeline.recipe import load_recipe
from liverimg.pipeline.runner import run

_PR_SET_PDEATHSIG: Final = 1


def die_with(parent: int) -> None:
    """Has the system end this process with its parent; only Linux can, elsewhere the lock of the run has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(int(ExitCode.INTERNAL))


def main(study: str, out: str, recipe: str, device: str, parent: str) -> int:
    """Runs it; the last line on standard error is one sentence when it is refused."""
    die_with(int(parent))
    try:
        steps = (
            load_recipe(recipe)
            .with_settings("ingest", study=Path(study))
            .with_settings("segment", device=device)
            .with_settings("publish", study=Path(study))
        )
        run(steps, Path(out))
    except LiverimgError as error:
        sys.stderr.write(f"\n{error}\n")
        return int(error.exit_code)
    return int(ExitCode.DONE)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
