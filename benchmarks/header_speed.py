"""Indexing the headers of 5,000 files, beside reading their bytes and beside plain pydicom.

Usage: ``python benchmarks/header_speed.py [--files N]``

Prints processor seconds, which other work on the machine hardly changes; the files are in the page cache.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.dicom import build  # noqa: E402

from liverimg.core.grid import Grid  # noqa: E402
from liverimg.dicom.headers import read_folder  # noqa: E402

SLICES = 250
ELEMENTS = {
    "SpecificCharacterSet": "ISO_IR 100", "Manufacturer": "PHANTOM", "InstitutionName": "NOWHERE", "KVP": "120",
    "StudyDescription": "ABDOMEN", "BodyPartExamined": "ABDOMEN", "ProtocolName": "AbdRoutine", "StudyID": "1",
    "ConvolutionKernel": "B30f", "PatientPosition": "HFS", "SliceLocation": "12.5", "WindowCenter": "40",
    "WindowWidth": "400", "DeviceSerialNumber": "1", "SoftwareVersions": "1", "ContrastBolusAgent": "CE",
    "ExposureTime": "500", "XRayTubeCurrent": "210", "Exposure": "150", "FilterType": "0", "GeneratorPower": "50",
    "FocalSpots": "1.2", "StudyTime": "101010", "SeriesTime": "101010", "ContentTime": "101010.123",
    "ContentDate": "20260101", "SeriesDate": "20260101", "AccessionNumber": "1", "ReferringPhysicianName": "NOBODY",
    "PatientBirthDate": "19500101", "PatientSex": "O", "PatientAge": "070Y", "RescaleType": "HU", "TableHeight": "155",
    "RotationDirection": "CW", "DataCollectionDiameter": "500", "ReconstructionDiameter": "380",
    "DistanceSourceToDetector": "1040", "DistanceSourceToPatient": "570", "GantryDetectorTilt": "0",
}  # fmt: skip


def realistic(dataset: Any, k: int) -> None:
    """As many elements as a scanner writes, two private blobs, two short sequences."""
    for keyword, value in ELEMENTS.items():
        setattr(dataset, keyword, value)
    private = dataset.private_block(0x0029, "PHANTOM HEADER", create=True)
    private.add_new(0x10, "OB", bytes(8000))
    private.add_new(0x20, "OB", bytes(3000))
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.3", f"1.2.3.{k}"
    dataset.ReferencedImageSequence = dataset.SourceImageSequence = Items([item])


def read_bytes(paths: list[Path]) -> None:
    for path in paths:
        with path.open("rb", buffering=0) as stream:
            stream.read()


def read_plainly(paths: list[Path]) -> None:
    for path in paths:
        assert pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient is not None


def seconds(work: Callable[[], object]) -> float:
    """The better of two runs."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=5000)
    count = parser.parse_args().files
    grid = Grid.from_axes((SLICES, 128, 128), spacing_mm=(1.25, 0.8, 0.8), frame_of_reference_uid="1.2.3")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for series in range(-(-count // SLICES)):
            build.write_series(
                folder / str(series), grid=grid, values=np.zeros(grid.shape), series=series + 1, edit=realistic
            )
        paths = sorted(folder.rglob("*.dcm"))
        plain = seconds(lambda: read_bytes(paths))
        rows = {
            "bytes of the files": plain,
            "liverimg, headers": seconds(lambda: read_folder(folder)),
            "pydicom, stop_before_pixels": seconds(lambda: read_plainly(paths)),
        }
    print(f"{len(paths)} files")
    for what, taken in rows.items():
        print(f"{what:30s} {taken:6.2f} s   {taken / plain:5.1f} x the bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
