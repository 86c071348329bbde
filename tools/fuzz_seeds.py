"""Small whole studies in every packing that ``ingest`` reads: what the fuzzer spoils. Phantoms, made here."""

import copy
from collections.abc import Callable

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

ROOT = "1.2.826.0.1.3680043.8.498.6"
SLICES = 4
SIDE = 32
CT, MR, US = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.3.1"
ENHANCED_CT, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.4.1"


def header(sop_class: str, instance: int, modality: str) -> FileDataset:
    """What all objects have in common."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.9.{instance}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, f"{ROOT}.9.{instance}"
    dataset.StudyDate = dataset.AcquisitionDate = "20260101"
    dataset.AcquisitionTime, dataset.ContentTime = "101500.25", f"1016{instance:02d}"
    dataset.Modality, dataset.PatientName, dataset.PatientID = modality, "PHANTOM^FUZZ", "PHANTOM"
    dataset.SeriesDescription, dataset.ProtocolName = "Leber portalvenös 2.0", "ABDOMEN"
    dataset.ContrastBolusAgent, dataset.ContrastBolusStartTime = "IOMERON", "101355"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{ROOT}.1", f"{ROOT}.2"
    dataset.FrameOfReferenceUID = f"{ROOT}.3"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = SIDE
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    return dataset


def values() -> np.ndarray:
    """Stored values of a small volume."""
    return np.random.default_rng(3).integers(0, 2500, (SLICES, SIDE, SIDE)).astype("<u2")


def packed(dataset: FileDataset, syntax: str) -> bytes:
    """The file in a transfer syntax."""
    dataset = copy.deepcopy(dataset)
    if UID(syntax).is_encapsulated:
        dataset.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    buffer = DicomBytesIO()
    if syntax == ExplicitVRBigEndian:
        dcmwrite(buffer, dataset, implicit_vr=False, little_endian=False, force_encoding=True)
    else:
        dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def classic(modality: str, edit: Callable[[FileDataset, int], None] | None = None) -> list[FileDataset]:
    """A classic series."""
    datasets = []
    for k, plane in enumerate(values()):
        dataset = header(CT if modality == "CT" else MR, k + 1, modality)
        dataset.InstanceNumber, dataset.AcquisitionNumber, dataset.SliceThickness = k + 1, 1, "2.0"
        dataset.ImagePositionPatient = ["-10.5", "12.25", f"{2.0 * k - 40:.1f}"]
        dataset.ImageOrientationPatient, dataset.PixelSpacing = ["1", "0", "0", "0", "1", "0"], ["0.8", "0.8"]
        if modality == "CT":
            dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "-1024", "HU"
        dataset.PixelPaddingValue = 0
        dataset.PixelData = plane.tobytes()
        if edit is not None:
            edit(dataset, k)
        datasets.append(dataset)
    return datasets


def philips(dataset: FileDataset, k: int) -> None:
    """The private scale of Philips MR."""
    dataset.RescaleSlope, dataset.RescaleIntercept = "2.5", "3"
    dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 0.01 * (k + 1))


def tilted(dataset: FileDataset, k: int) -> None:
    """A tilted gantry."""
    dataset.GantryDetectorTilt = "15"
    dataset.ImagePositionPatient = ["-10.5", f"{12.25 + 0.53 * k:.2f}", f"{2.0 * k - 40:.1f}"]


def enhanced(sop_class: str, modality: str) -> FileDataset:
    """One enhanced multi-frame object."""
    dataset = header(sop_class, 40, modality)
    dataset.NumberOfFrames = SLICES
    measures, plane, rescale = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = ["0.8", "0.8"], "2"
    plane.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = "1", "-1024", "HU"
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    shared.PixelValueTransformationSequence = Sequence([rescale])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    items = []
    for k in range(SLICES):
        place, content, item = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = ["0", "0", f"{2.0 * k:.1f}"]
        content.TemporalPositionIndex, content.DimensionIndexValues = 1, [1, k + 1]
        content.FrameAcquisitionDateTime = "20260101101500.25"
        item.PlanePositionSequence, item.FrameContentSequence = Sequence([place]), Sequence([content])
        items.append(item)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(items)
    dataset.PixelData = values().tobytes()
    return dataset


def ultrasound(photometric: str) -> FileDataset:
    """A loop with one calibrated region."""
    dataset = header(US, 50, "US")
    for keyword in ("FrameOfReferenceUID",):
        delattr(dataset, keyword)
    samples = 3 if photometric != "MONOCHROME2" else 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = samples, photometric
    if samples == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.NumberOfFrames = 7, 5
    dataset.FrameTime, dataset.CineRate, dataset.FrameIncrementPointer = "40", 25, 0x00181063
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1 = region.RegionLocationMaxY1 = SIDE - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.02
    dataset.SequenceOfUltrasoundRegions = Sequence([region])
    shape = (5, SIDE, SIDE, samples)
    dataset.PixelData = np.random.default_rng(5).integers(0, 255, shape).astype("u1").tobytes()
    return dataset


def studies() -> dict[str, tuple[bytes, ...]]:
    """Every seed: name to files."""
    ct, syntaxes = classic("CT"), {
        "explicit": ExplicitVRLittleEndian, "implicit": ImplicitVRLittleEndian, "big": ExplicitVRBigEndian,
        "deflated": DeflatedExplicitVRLittleEndian, "rle": RLELossless, "jpegls": JPEGLSLossless,
        "jpeg2000": JPEG2000Lossless,
    }  # fmt: skip
    found = {f"ct_{name}": tuple(packed(one, syntax) for one in ct) for name, syntax in syntaxes.items()}
    found["ct_tilted"] = tuple(packed(one, ExplicitVRLittleEndian) for one in classic("CT", tilted))
    found["mr_philips"] = tuple(packed(one, ExplicitVRLittleEndian) for one in classic("MR", philips))
    found["ct_enhanced"] = (packed(enhanced(ENHANCED_CT, "CT"), ExplicitVRLittleEndian),)
    found["mr_enhanced_rle"] = (packed(enhanced(ENHANCED_MR, "MR"), RLELossless),)
    found["us_rgb"] = (packed(ultrasound("RGB"), ExplicitVRLittleEndian),)
    found["us_grey_rle"] = (packed(ultrasound("MONOCHROME2"), RLELossless),)
    return found
