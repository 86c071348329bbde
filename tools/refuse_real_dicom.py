"""Refuses DICOM files that might belong to a real patient: only PatientName PHANTOM... may be committed.

Usage: ``python tools/refuse_real_dicom.py FILE...``; exits with 1 and names each file that is refused.
A file counts as DICOM by its content, not by its name.
"""

import sys
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

_PREFIX = "PHANTOM"
_MAGIC_AT = 128
_IMPLICIT_GROUP = b"\x08\x00"


def refusal(path: Path) -> str | None:
    """Why the file must not be committed; None when it may be."""
    with path.open("rb") as stream:
        head = stream.read(_MAGIC_AT + 4)
    looks_like_dicom = head[_MAGIC_AT:] == b"DICM" or head.startswith(_IMPLICIT_GROUP)
    if not looks_like_dicom:
        return None
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        name = str(header.get("PatientName", ""))
    except (InvalidDicomError, ValueError, OSError, AttributeError, KeyError, TypeError):
        return f"{path}: looks like DICOM but can't be read, so nothing says that it is a phantom"
    if name.startswith(_PREFIX):
        return None
    return f"{path}: PatientName does not start with {_PREFIX}; real patients' files are never committed"


def main(arguments: list[str]) -> int:
    """Checks each file; the number of the exit code says whether any was refused."""
    refusals = [r for r in (refusal(Path(a)) for a in arguments if Path(a).is_file()) if r]
    for line in refusals:
        sys.stderr.write(line + "\n")
    return 1 if refusals else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
