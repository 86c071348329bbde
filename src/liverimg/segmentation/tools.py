"""Names of programs that segment and are not ours, as ``--model`` and recipes give them."""

from __future__ import annotations

from pathlib import Path

from liverimg.core.study import Modality
from liverimg.segmentation import nnunet, totalsegmentator
from liverimg.segmentation.nnunet import ChannelNames
from liverimg.segmentation.tool_job import Tool


def names_a_tool(model: Path | str) -> bool:
    """Whether a model's name stands for another program rather than for the folder of a bundle."""
    name = str(model)
    return name.startswith((nnunet.PREFIX, f"{totalsegmentator.NAME}:")) or name == totalsegmentator.NAME


def plan_tool(model: Path | str, modality: Modality, names: ChannelNames, *, device: str) -> Tool:
    """What to run for a name such as ``totalsegmentator``, ``totalsegmentator:total+liver_lesions`` or ``nnunet:003``.

    Raises:
        UsageError: The program or its weights are not there.
        InputRefusedError: It was made for another modality, or its model is not whole.
    """
    name = str(model)
    if name.startswith(nnunet.PREFIX):
        return nnunet.plan(name.removeprefix(nnunet.PREFIX), modality, names, device=device)
    return totalsegmentator.plan(name.partition(":")[2], modality, device=device)
