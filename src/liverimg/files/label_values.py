"""Values of a label file as they must be: whole numbers, none too large."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import InputRefusedError

_LARGEST_BYTE = 255


def whole(values: NDArray[Any], *, file_name: str, largest: int) -> NDArray[Any]:
    """The values of a label file, whole numbers from 0 on; some programs write them as fractions that are none.

    Args:
        values: Any shape, any type of real number.
        file_name: For the refusal.
        largest: That a label may be.

    Raises:
        InputRefusedError: A value is no whole number, below 0 or above ``largest``.
    """
    if not np.issubdtype(values.dtype, np.integer):
        if not np.array_equal(values, np.rint(values)):
            raise InputRefusedError(
                f"{file_name} holds fractions, expected whole label values; threshold probabilities first"
            )
        values = np.rint(values)
    if values.dtype == np.uint8 and largest >= _LARGEST_BYTE:
        return values
    if values.size and (values.min() < 0 or values.max() > largest):
        raise InputRefusedError(
            f"{file_name} holds label values from {values.min()} to {values.max()}, expected 0 to {largest}"
        )
    return values
