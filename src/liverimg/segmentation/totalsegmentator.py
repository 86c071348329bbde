"""TotalSegmentator 2, when the user has installed it: its command, its weights folder, its tasks.

Options and layout follow its own sources (``bin/TotalSegmentator.py``, ``config.py``, ``nifti_ext_header.py`` of
version 2.18): ``-i``, ``-o``, ``--ml``, ``--task``, ``--device``; with ``--ml`` one label file whose header names its
values; weights in ``TOTALSEG_WEIGHTS_PATH``, or below ``TOTALSEG_HOME_DIR`` or ``~/.totalsegmentator``.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.core.study import Modality
from liverimg.segmentation.tool_job import Job, Tool, ask

NAME = "totalsegmentator"
_COMMAND = "TotalSegmentator"
_DEFAULT_TASK = {Modality.CT: "total", Modality.MR: "total_mr"}
_DEVICES = {"auto": "gpu", "cuda": "gpu", "cpu": "cpu"}
_VERSION_TIMEOUT_S = 120.0
_LICENCE = (
    "TotalSegmentator's code is under the Apache licence 2.0; the weights of some of its tasks may be used for "
    "non-commercial purposes only or need a licence number, so check those of the tasks named here."
)


def plan(tasks: str, modality: Modality, *, device: str) -> Tool:
    """What to run.

    Args:
        tasks: Tasks joined by ``+``; empty for ``total`` on CT and ``total_mr`` on MR.
        modality: Of the reference series.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: Not installed, without weights, or a task that can't be one.
        InputRefusedError: A task for the other modality.
    """
    wanted = tuple(tasks.split("+")) if tasks else (_DEFAULT_TASK[modality],)
    for task in wanted:
        if not re.fullmatch(r"[A-Za-z0-9_]+", task):
            raise UsageError(f"{task!r} is no task of TotalSegmentator; expected names joined by +, such as total")
        if task.endswith("_mr") != (modality is Modality.MR):
            raise InputRefusedError(
                f"the reference series is {modality}, and TotalSegmentator's task {task} is for "
                f"{'MR' if task.endswith('_mr') else 'CT'}; name a task for {modality}"
            )
    command = _installed()
    version = ask((command, "--version"), timeout_s=_VERSION_TIMEOUT_S).splitlines()[-1:] or ["of unknown version"]
    jobs = tuple(
        Job(
            title=f"TotalSegmentator's task {task}",
            inputs=(("image.nii.gz", None),),
            command=(
                command,
                *("-i", "{input}", "-o", f"{{outputs}}/{task}.nii.gz"),
                *("--ml", "--task", task, "--device", _DEVICES[device]),
            ),
            output=f"{task}.nii.gz",
        )
        for task in wanted
    )
    name = f"TotalSegmentator {version[0]} ({', '.join(wanted)})"
    return Tool(name, _LICENCE, jobs, key="\n".join([name, *_weights()]))


def weights_folder() -> Path:
    """Where TotalSegmentator keeps its weights on this computer."""
    if "TOTALSEG_WEIGHTS_PATH" in os.environ:
        return Path(os.environ["TOTALSEG_WEIGHTS_PATH"])
    home = os.environ.get("TOTALSEG_HOME_DIR")
    return (Path(home) if home else Path.home() / ".totalsegmentator") / "nnunet" / "results"


def _weights() -> list[str]:
    folder = weights_folder()
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("Dataset")) if folder.is_dir() else []


def _installed() -> str:
    command = shutil.which(_COMMAND)
    if command is None:
        raise UsageError(
            "TotalSegmentator is not installed: no command TotalSegmentator was found; install it with "
            "'pip install TotalSegmentator' in an environment on your PATH, or name another --model"
        )
    if not _weights():
        raise UsageError(
            "TotalSegmentator has no weights on this computer, expected them in its weights folder (see "
            "TOTALSEG_WEIGHTS_PATH); fetch them once with 'totalseg_download_weights -t total'"
        )
    return command
