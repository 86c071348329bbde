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
from types import TracebackType
from typing import Final

from liverimg.core.errors import ExitCode, LiverimgError
from liverimg.pipeline.journal import crash_words
from liverimg.pipeline.request import Request, run_request

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
        run_request(Request(Path(study), Path(out), recipe, {"device": device}))
    except LiverimgError as error:
        sys.stderr.write(f"\n{error}\n")
        return int(error.exit_code)
    return int(ExitCode.DONE)


def _internal_error(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """Where it broke off, and no word of data."""
    sys.stderr.write(crash_words(error))


if __name__ == "__main__":
    sys.excepthook = _internal_error
    sys.exit(main(*sys.argv[1:]))
