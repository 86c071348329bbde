"""How the child of :mod:`liverimg.dicom.decode` is started: without what it never uses.

Usage: that of :mod:`liverimg.dicom.decode_worker`. pydicom loads these libraries where they are installed: the first
two to fetch its own test files from the network, the third as a decoder that is not asked here. That takes a third of
the processor time of a start, and a child is started for every study with compressed pixels.
"""

from __future__ import annotations

import sys
from typing import Any, Final

_NEVER_USED: Final = ("requests", "tqdm", "gdcm")

if __name__ == "__main__":
    modules: dict[str, Any] = sys.modules
    # An import of them now fails, as where they are not installed.
    modules.update(dict.fromkeys(_NEVER_USED))

    from liverimg.dicom.decode_worker import main

    main(*(int(argument) for argument in sys.argv[1:4]))
