"""From a folder to a volume in Hounsfield units with its geometry: this program beside its peers, on one series.

Usage: ``python benchmarks/ingest_speed.py [--rounds N] [--slices N] [--packed [NAME ...]]``; prints a Markdown table.
With ``--packed`` it is one table for each way of packing pixels, of a body with noise. Every reader runs in
a process of its own, in turn, after a small series has warmed it up; the best of N rounds counts, by the wall clock
and by processor time (on a busy machine the latter says more). Memory is what the process grew by, held against the
int16 volume. The last two rows read the files and understand nothing: once kept in memory, as a volume must be
(ratios are to that row), once thrown away. dcm2niix takes part when it is on the PATH.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.dicom.traps.files import recompress

ROOT = "1.2.826.0.1.3680043.8.498.7"
MATRIX = 512
DCM2NIIX = shutil.which("dcm2niix")
PACKINGS = {
    "RLE": RLELossless, "JPEG lossless": JPEGLosslessSV1, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless,
    "deflated": DeflatedExplicitVRLittleEndian,
}  # fmt: skip
PACKED_SLICES = 60
READERS = ("liverimg", "SimpleITK", *(("dcm2niix",) if DCM2NIIX else ()), "pydicom", "bytes kept", "bytes")


def write_series(folder: Path, slices: int, matrix: int) -> None:
    """A CT series with about as many elements in its headers as scanners write."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(4)
    plane = rng.integers(0, 2500, (matrix, matrix)).astype("<u2")
    for k in range(slices):
        dataset = _header(k)
        dataset.Rows = dataset.Columns = matrix
        dataset.PixelData = np.roll(plane, 7 * k).tobytes()
        # Names that say nothing of the order.
        dataset.save_as(folder / f"IM{(k * 7919) % 100_003:06d}", enforce_file_format=True)


def write_packed(folder: Path, slices: int, matrix: int, packing: str) -> None:
    """The same headers over a body in air with noise of 12 HU, which packs about as well as a CT does."""
    write_series(folder, slices, matrix)
    rng = np.random.default_rng(5)
    j, i = np.mgrid[-1 : 1 : matrix * 1j, -1 : 1 : matrix * 1j]
    body = np.where((i / 0.85) ** 2 + (j / 0.65) ** 2 < 1, 1080, 24) + 100 * ((i + 0.3) ** 2 + j**2 < 0.1)
    for path in sorted(folder.iterdir()):
        dataset = dcmread(path)
        noisy = np.clip(body + rng.normal(0, 12, body.shape), 0, 4095).astype("<u2")
        dataset.PixelData = noisy.tobytes()
        dataset.save_as(path, enforce_file_format=True)
        recompress(path, PACKINGS[packing])


def _header(k: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.9.{k + 1}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"{ROOT}.9.{k + 1}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
    dataset.FrameOfReferenceUID = f"{ROOT}.3"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]
    dataset.Modality, dataset.Manufacturer = "CT", "PHANTOM WORKS"
    dataset.PatientName, dataset.PatientID = "PHANTOM^SPEED", "PHANTOM"
    for moment in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{moment}Date", "20260101")
        setattr(dataset, f"{moment}Time", "100000" if moment in ("Study", "Series") else f"1005{k // 25:02d}.120000")
    for keyword in ("StudyDescription", "ProtocolName", "SeriesDescription"):
        setattr(dataset, keyword, "Abdomen 1.0")
    dataset.KVP, dataset.ExposureTime, dataset.Exposure, dataset.XRayTubeCurrent = "120", "500", "210", "420"
    dataset.ConvolutionKernel, dataset.PatientPosition = "B31f", "HFS"
    dataset.DistanceSourceToDetector, dataset.DistanceSourceToPatient = "1040", "570"
    dataset.DataCollectionDiameter, dataset.ReconstructionDiameter = "500", "360"
    dataset.GantryDetectorTilt, dataset.TableHeight, dataset.RotationDirection = "0", "144", "CW"
    dataset.AcquisitionNumber, dataset.InstanceNumber, dataset.SeriesNumber = 2, k + 1, 4
    dataset.SliceThickness, dataset.SliceLocation = "1.0", f"{k * 1.0:.1f}"
    dataset.ImagePositionPatient = ["-180", "-180", f"{-900 + k * 1.0:.1f}"]
    dataset.ImageOrientationPatient, dataset.PixelSpacing = ["1", "0", "0", "0", "1", "0"], ["0.703125", "0.703125"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = ["40", "300"], ["400", "1500"]
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "-1024", "HU"
    block = dataset.private_block(0x0029, "PHANTOM CSA HEADER", create=True)
    block.add_new(0x10, "OB", bytes(8192))
    for element in range(0x20, 0x38):
        block.add_new(element, "LO", "PRIVATE VALUE")
    return dataset


def read_liverimg(folder: Path) -> tuple[int, ...]:
    """Headers, grouping, geometry and pixels, as the pipeline does it."""
    from liverimg.dicom.phase import PhaseRules
    from liverimg.dicom.pixels import load_volume
    from liverimg.dicom.study import read_study
    from liverimg.files.tables import read_table

    found = read_study(folder, phase_rules=PhaseRules.from_table(read_table("phases")))
    return load_volume(found.stacks[0]).array.shape


def read_simpleitk(folder: Path) -> tuple[int, ...]:
    """The reader that its documentation shows."""
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    return tuple(SimpleITK.GetArrayViewFromImage(image).shape)


def read_dcm2niix(folder: Path) -> tuple[int, ...]:
    """To an uncompressed NIfTI file, read back without its voxels."""
    import nibabel

    with tempfile.TemporaryDirectory() as out:
        command = [str(DCM2NIIX), "-z", "n", "-b", "n", "-f", "volume", "-o", out, str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        return tuple(reversed(nibabel.load(next(Path(out).glob("*.nii"))).shape))


def read_pydicom(folder: Path) -> tuple[int, ...]:
    """What one writes in ten minutes: every file, sorted by position, rescaled, stacked."""
    import pydicom

    datasets = [pydicom.dcmread(path) for path in folder.iterdir()]
    datasets.sort(key=lambda dataset: float(dataset.ImagePositionPatient[2]))
    planes = [d.pixel_array * np.float32(d.RescaleSlope) + np.float32(d.RescaleIntercept) for d in datasets]
    return np.stack(planes).astype(np.int16).shape


def read_bytes(folder: Path) -> tuple[int, ...]:
    """Every byte of every file, into one buffer."""
    buffer = bytearray(2 << 20)
    count = 0
    for path in folder.iterdir():
        with path.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass
        count += 1
    return (count, MATRIX, MATRIX)


def keep_bytes(folder: Path) -> tuple[int, ...]:
    """Every byte of every file, kept in memory as a volume would be."""
    kept = [path.read_bytes() for path in folder.iterdir()]
    return (len(kept), MATRIX, MATRIX)


def run_one(reader: str, folder: Path) -> None:
    """Times one reader in this process and prints what it took as JSON."""
    read: Callable[[Path], tuple[int, ...]] = {
        "liverimg": read_liverimg, "SimpleITK": read_simpleitk, "dcm2niix": read_dcm2niix, "pydicom": read_pydicom,
        "bytes kept": keep_bytes, "bytes": read_bytes,
    }[reader]  # fmt: skip
    if reader != "dcm2niix":
        # A program of its own cannot be warmed up from here; it starts in milliseconds.
        read(folder / "warm")
    who = resource.RUSAGE_CHILDREN if reader == "dcm2niix" else resource.RUSAGE_SELF
    before_kib = 0 if reader == "dcm2niix" else resource.getrusage(who).ru_maxrss
    wall, processor_s = time.perf_counter(), _processor_s()
    shape = read(folder / "series")
    wall_s, spent_s = time.perf_counter() - wall, _processor_s() - processor_s
    grown_kib = resource.getrusage(who).ru_maxrss - before_kib
    print(json.dumps({"shape": shape, "wall_s": wall_s, "cpu_s": spent_s, "grown_kib": grown_kib}))


def _processor_s() -> float:
    """Processor time of this process and of those it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def compare(slices: int, rounds: int, packing: str | None) -> str:
    """Lets every reader read the same series in turn; a Markdown table. Who can't read it is left out, by name."""
    folder = Path(tempfile.mkdtemp())
    try:
        for name, count, matrix in (("series", slices, MATRIX), ("warm", 3, 32)):
            if packing is None:
                write_series(folder / name, count, matrix)
            else:
                write_packed(folder / name, count, matrix, packing)
        size_mib = sum(path.stat().st_size for path in (folder / "series").iterdir()) / 2**20
        taken: dict[str, list[dict[str, float]]] = {reader: [] for reader in READERS}
        for _ in range(rounds):
            for reader in READERS:
                command = [sys.executable, __file__, "--run", reader, str(folder)]
                said = subprocess.run(command, check=False, capture_output=True, text=True)
                if said.returncode == 0:
                    taken[reader].append(json.loads(said.stdout.splitlines()[-1]))
    finally:
        shutil.rmtree(folder)
    return _table(taken, slices, f"{packing or 'uncompressed'}, {size_mib:.0f} MiB, best of {rounds} in turn")


def _table(taken: dict[str, list[dict[str, float]]], slices: int, title: str) -> str:
    volume_kib = slices * MATRIX * MATRIX * 2 / 1024
    floor = min(one["wall_s"] for one in taken["bytes kept"])
    floor_cpu = min(one["cpu_s"] for one in taken["bytes kept"])
    lines = [f"{MATRIX} x {MATRIX} x {slices}, {title}\n"]
    lines.append("| reader | wall s | x bytes | processor s | x bytes | memory, volumes |\n|---|---|---|---|---|---|")
    for reader, runs in taken.items():
        if not all(one["shape"] == [slices, MATRIX, MATRIX] for one in runs) or not runs:
            lines.append(f"| {reader} | can't read it | | | | |")
            continue
        wall_s, cpu_s = (min(one[key] for one in runs) for key in ("wall_s", "cpu_s"))
        memory = max(one["grown_kib"] for one in runs) / volume_kib
        lines.append(
            f"| {reader} | {wall_s:.3f} | {wall_s / floor:.2f} | {cpu_s:.3f} | {cpu_s / floor_cpu:.2f} | {memory:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Writes the series, runs every reader in turn, prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--slices", type=int, help=f"250 unless told, {PACKED_SLICES} when packed")
    parser.add_argument("--packed", nargs="*", choices=PACKINGS, metavar="NAME", help=", ".join(PACKINGS))
    parser.add_argument("--run", nargs=2, metavar=("READER", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        run_one(arguments.run[0], Path(arguments.run[1]))
        return
    if arguments.packed is None:
        print(compare(arguments.slices or 250, arguments.rounds, None))
        return
    for packing in arguments.packed or PACKINGS:
        print(compare(arguments.slices or PACKED_SLICES, arguments.rounds, packing), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
