"""Files: encodings, damage, strangers in the folder, names, character sets, patients."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from tests.dicom import build
from tests.dicom.traps.case import Register, hu_of, scene_series
from tests.dicom.traps.codecs import baseline_jpeg, lossless_jpeg
from tests.dicom.traps.scene import GRID

trap = Register()
SLICES = GRID.shape[0]

for _name, _syntax in {
    "implicit_vr": ImplicitVRLittleEndian, "big_endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian, "rle": RLELossless, "jpeg_ls": JPEGLSLossless,
    "jpeg_2000": JPEG2000Lossless,
}.items():  # fmt: skip
    trap.add(
        _name, f"transfer syntax {_syntax.name}",
        lambda folder, syntax=_syntax: scene_series(folder, transfer_syntax=syntax) and None,
    )  # fmt: skip


@trap("JPEG lossless, first-order prediction")
def jpeg_lossless(folder: Path) -> None:
    for path in scene_series(folder):
        recompress(path, JPEGLosslessSV1)


@trap("lossy JPEG 2000, marked as such", flags=["lossy_compression"], must_flag=True)
def jpeg_2000_lossy(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.compress(JPEG2000, j2k_psnr=[90], generate_instance_uid=False)
        dataset.LossyImageCompression = "01"

    _write_as_edited(folder, edit)


@trap("lossy 8-bit JPEG, marked as such", flags=["lossy_compression"], must_flag=True)
def jpeg_lossy_8_bit(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        stored = np.rint(hu_of(dataset) / 2).astype(np.uint8)
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.RescaleSlope, dataset.RescaleIntercept = "2", "0"
        dataset.PixelData = encapsulate([baseline_jpeg(stored)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.LossyImageCompression = "01"

    _write_as_edited(folder, edit)


def _write_as_edited(folder: Path, edit: Any) -> None:
    """Writes slices whose edit has packed the pixels already."""
    for number, path in enumerate(scene_series(folder)):
        dataset = dcmread(path)
        edit(dataset, number)
        dataset.save_as(path, enforce_file_format=True)


def recompress(path: Path, transfer_syntax: str) -> None:
    """Rewrites an uncompressed file in another transfer syntax, with nothing else changed."""
    dataset = dcmread(path)
    if transfer_syntax == JPEGLosslessSV1:
        stored = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
        dataset.PixelData = encapsulate([lossless_jpeg(stored)])
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        dataset.save_as(path, enforce_file_format=True)
    else:
        build.save(dataset, path, transfer_syntax)


@trap("no preamble: the file begins with its meta information")
def no_preamble(folder: Path) -> None:
    for path in scene_series(folder):
        path.write_bytes(path.read_bytes()[132:])


@trap("no preamble and no meta information: a bare implicit VR data set")
def bare_data_set(folder: Path) -> None:
    for path in scene_series(folder, transfer_syntax=ImplicitVRLittleEndian):
        data = path.read_bytes()
        (length,) = struct.unpack("<I", data[140:144])
        path.write_bytes(data[144 + length :])


@trap("junk in the preamble")
def odd_preamble(folder: Path) -> None:
    for path in scene_series(folder):
        path.write_bytes(b"II*\0" + b"\x7f" * 124 + path.read_bytes()[128:])


@trap("one file cut off at 60 %", codes=["pixel_data_truncated"], must_flag=True)
def truncated(folder: Path) -> None:
    path = scene_series(folder)[12]
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])


@trap("one compressed file cut off at 60 %", codes=["pixel_data_truncated", "too_large"], must_flag=True)  # fmt: skip
def truncated_rle(folder: Path) -> None:
    path = scene_series(folder, transfer_syntax=RLELossless)[12]
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])


@trap("one file whose header breaks off", codes=["missing_slices"], must_flag=True,
      rejects=["unreadable"])  # fmt: skip
def header_truncated(folder: Path) -> None:
    path = scene_series(folder)[12]
    path.write_bytes(path.read_bytes()[:400])


@trap("the second half of one slice is zeros", codes=["pixel_data_zero_tail"], must_flag=True)
def zero_tailed(folder: Path) -> None:
    path = scene_series(folder)[13]
    data = path.read_bytes()
    tail = GRID.shape[1] * GRID.shape[2]  # half of two bytes a pixel
    path.write_bytes(data[:-tail] + bytes(tail))


@trap("0-byte file, text, PDF, Thumbs.db, AppleDouble, DICOMDIR, a download broken off", rejects=["not_dicom"])
def junk_in_folder(folder: Path) -> None:
    scene_series(folder)
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "README.txt").write_text("not an image", encoding="utf-8")
    (folder / "report.pdf").write_bytes(b"%PDF-1.7\n" + bytes(300))
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    (folder / "._s1_0001.dcm").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(200))
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(100))
    (folder / "s1_0027.dcm.part").write_bytes(bytes(90))


@trap("a directory of files under another name", rejects=["not_dicom"])
def dicomdir_renamed(folder: Path) -> None:
    path = scene_series(folder)[0]
    dataset = dcmread(path)
    del dataset.PixelData
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    dataset.save_as(folder / "index", enforce_file_format=True)


@trap("a structured report and a PET slice beside the CT", rejects=["no_image", "modality_not_supported"])
def other_objects(folder: Path) -> None:
    def report(dataset: Any, k: int) -> None:
        del dataset.PixelData
        dataset.Modality, dataset.SOPClassUID = "SR", "1.2.840.10008.5.1.4.1.1.88.67"

    scene_series(folder)
    scene_series(folder, series=2, edit=report, skip=range(1, SLICES))
    scene_series(folder, series=3, edit=lambda d, k: setattr(d, "Modality", "PT"), skip=range(1, SLICES))


@trap("names without ending, with blanks, quotes, umlauts, line ends, 200 characters")
def odd_file_names(folder: Path) -> None:
    odd = ["no ending", "ünïcödé 肝臓.dcm", 'it\'s "quoted".dcm', "x" * 200, "-rf", "a\nb.dcm", "100%.dcm", ".hidden"]
    scene_series(folder, names=[f"{odd[k % len(odd)]}{k}" for k in range(SLICES)])


@trap("files forty folders deep, three to a folder")
def deep_nesting(folder: Path) -> None:
    paths = scene_series(folder)
    here = folder
    for number, path in enumerate(paths):
        for level in range(5):
            here = here / f"{number}{level}" if number % 3 == 0 and number < 24 else here
        here.mkdir(parents=True, exist_ok=True)
        path.rename(here / path.name)


@trap("links to a file and to a folder of another patient, outside the study", rejects=["not_dicom"],
      study_below="study")  # fmt: skip
def links_out_of_the_study(folder: Path) -> None:
    study, outside = folder / "study", folder.parent / f"{folder.name}_outside"
    paths = scene_series(outside, series=2, phase=1, edit=lambda d, k: setattr(d, "PatientID", "ELSE"))
    scene_series(study)
    (study / "folder").symlink_to(outside, target_is_directory=True)
    (study / "file.dcm").symlink_to(paths[0])


@trap("two patients under one series UID", codes=["several_patients"], phases=(0, 1), must_flag=True)
def two_patients_one_series(folder: Path) -> None:
    scene_series(folder)
    scene_series(folder, phase=1, edit=lambda d, k: setattr(d, "PatientID", "PHANTOM2"))


@trap("two patients who share the places of one series: half the slices each", codes=["several_patients"],
      must_flag=True)  # fmt: skip
def two_patients_mixed(folder: Path) -> None:
    scene_series(folder, edit=lambda d, k: setattr(d, "PatientID", f"PHANTOM{k % 2}"))


@trap("no PatientID and an empty name")
def no_patient(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        del dataset.PatientID
        dataset.PatientName = ""

    scene_series(folder, edit=edit)


@trap("PatientID on half of the slices only")
def patient_id_on_some(folder: Path) -> None:
    scene_series(folder, edit=lambda d, k: d.__delattr__("PatientID") if k % 2 else None)


@trap("no series UID, no SOP instance UID", flags=["series_uid_made_up"])
def no_uids(folder: Path) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.SeriesInstanceUID = dataset.SOPInstanceUID = ""

    scene_series(folder, edit=edit)


@trap("one SOP instance UID, two contents", codes=["duplicate_positions"], must_flag=True)
def uid_used_twice(folder: Path) -> None:
    path = scene_series(folder)[12]
    data = bytearray(path.read_bytes())
    data[-999] ^= 1
    (folder / "other.dcm").write_bytes(data)


CHARACTER_SETS = {
    "empty": ("", b"PORTAL"), "latin_1": ("ISO_IR 100", "portalvenös".encode("latin-1")),
    "latin_2": ("ISO_IR 101", "wątroba".encode("iso8859_2")), "cyrillic": ("ISO_IR 144", "печень".encode("iso8859_5")),
    "arabic": ("ISO_IR 127", "كبد".encode("iso8859_6")), "greek": ("ISO_IR 126", "ήπαρ".encode("iso8859_7")),
    "hebrew": ("ISO_IR 138", "כבד".encode("iso8859_8")), "turkish": ("ISO_IR 148", "karaciğer".encode("iso8859_9")),
    "thai": ("ISO_IR 166", "ตับ".encode("tis_620")), "utf_8": ("ISO_IR 192", "肝臓 門脈相".encode()),
    "gb18030": ("GB18030", "门静脉期".encode("gb18030")),
    "japanese": ("\\ISO 2022 IR 87", "肝臓".encode("iso2022_jp")),
    "korean": ("\\ISO 2022 IR 149", b"\x1b$)C" + "문맥기".encode("euc_kr")),
    "unknown": ("NONSENSE", b"PORTAL"),
}  # fmt: skip


def in_character_set(folder: Path, name: str) -> None:
    """The scene with a description in a character set, written byte by byte."""
    charset, text = CHARACTER_SETS[name]
    for path in scene_series(folder, edit=lambda d, k: setattr(d, "SeriesDescription", "@" * 40)):
        data = path.read_bytes().replace(b"@" * 40, text.ljust(40))
        value = charset.encode() + b" " * (len(charset) % 2)
        at = data.index(b"\x08\x00\x08\x00CS")
        path.write_bytes(data[:at] + b"\x08\x00\x05\x00CS" + struct.pack("<H", len(value)) + value + data[at:])


for _name in CHARACTER_SETS:
    trap.add(
        f"character_set_{_name}", f"SpecificCharacterSet {CHARACTER_SETS[_name][0] or 'empty'}",
        lambda folder, name=_name: in_character_set(folder, name),
    )  # fmt: skip
