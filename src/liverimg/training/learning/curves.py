"""Loss and learning rate as TensorBoard curves, when TensorBoard is installed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from liverimg.training.learning.steps import Moment

_log = logging.getLogger(__name__)
NOT_INSTALLED = "TensorBoard is not installed, so no curves are written; get it with: pip install 'liverimg[train]'"


@contextmanager
def curves(folder: Path | None) -> Iterator[Callable[[Moment], None] | None]:
    """Writes every step's loss and learning rate below a folder; gives None where that can't be.

    Args:
        folder: For TensorBoard's event files; None for no curves.
    """
    if folder is None:
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        _log.warning(NOT_INSTALLED)
        yield None
        return
    writer = SummaryWriter(str(folder))

    def write(moment: Moment) -> None:
        writer.add_scalar("loss", moment.loss, moment.step)
        writer.add_scalar("learning rate", moment.learning_rate, moment.step)

    try:
        yield write
    finally:
        writer.close()
