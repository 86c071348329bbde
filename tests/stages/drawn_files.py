"""Label files as other programs write them, made from masks on a DICOM series."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import nrrd
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage
from skimage.measure import find_contours

from liverimg.core.grid import Grid

SCT = {
    "liver": ("10200004", "Liver"),
    "tumour": ("52988006", "Lesion"),
    "hepatic_vein": ("8993003", "Hepatic vein"),
    "portal_vein": ("32764006", "Portal vein"),
    "bile_duct": ("28273000", "Bile duct"),
    "gallbladder": ("28231008", "Gallbladder"),
    "spleen": ("78961009", "Spleen"),
    "aorta": ("15825003", "Aorta"),
}
ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
PRODUCER = {
    "manufacturer": "test",
    "manufacturer_model_name": "test",
    "software_versions": "1",
    "device_serial_number": "1",
}


def headers(folder: Path) -> list[Dataset]:
    """The slices of a series from feet to head."""
    found = [pydicom.dcmread(p) for p in sorted(folder.iterdir())]
    return sorted(found, key=lambda d: float(d.ImagePositionPatient[2]))


def segment(number: int, label: str, code: Code, algorithm: str = "MANUAL", **more: Any) -> hd.seg.SegmentDescription:
    """One row of a SegmentSequence."""
    if algorithm != "MANUAL":
        more["algorithm_identification"] = hd.AlgorithmIdentificationSequence(
            name="a network", family=Code("123109", "DCM", "Artificial Intelligence"), version="1"
        )
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=ANATOMY,
        segmented_property_type=code,
        algorithm_type=algorithm,
        **more,
    )


def write_seg(
    path: Path,
    slices: Sequence[Dataset],
    masks: Mapping[str, np.ndarray],
    *,
    kind: str = "BINARY",
    segments: Sequence[hd.seg.SegmentDescription] | None = None,
    change: Any = lambda dataset: None,
) -> Path:
    """A SEG of boolean masks along (k, j, i), or of fractions for ``kind="FRACTIONAL"``."""
    stacked = np.stack(list(masks.values()), axis=-1)
    if kind == "LABELMAP":
        values = np.arange(1, len(masks) + 1)
        stacked = (stacked * values).max(axis=-1).astype(np.uint8)
    elif kind == "BINARY":
        stacked = stacked.astype(np.uint8)
    if segments is None:
        segments = [segment(n, name, Code(SCT[name][0], "SCT", SCT[name][1])) for n, name in enumerate(masks, start=1)]
    seg = hd.seg.Segmentation(
        source_images=slices,
        pixel_array=stacked,
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid=hd.UID(),
        series_number=100,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        max_fractional_value=100,
        **PRODUCER,
    )
    change(seg)
    seg.save_as(path)
    return path


def outlines(mask: np.ndarray, grid: Grid) -> list[tuple[int, np.ndarray]]:
    """Slice and LPS points of each outline, half-way between the voxel centres in and out of the mask."""
    found = []
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        for line in find_contours(np.pad(mask[k].astype(float), 1), 0.5):
            index = np.column_stack([np.full(len(line) - 1, float(k)), line[:-1] - 1])
            found.append((int(k), grid.index_to_lps_mm(index)))
    return found


def write_rtstruct(
    path: Path,
    slices: Sequence[Dataset],
    contours: Mapping[str, Sequence[np.ndarray]],
    *,
    kind: str = "CLOSED_PLANAR",
    algorithm: str = "MANUAL",
    change: Any = lambda dataset: None,
) -> Path:
    """A structure set with the LPS contours of each region."""
    first = slices[0]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = hd.UID()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Modality = "RTSTRUCT"
    dataset.PatientName, dataset.PatientID = first.PatientName, first.PatientID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = first.StudyInstanceUID, hd.UID()
    dataset.StructureSetLabel = "test"
    dataset.ReferencedFrameOfReferenceSequence = [reference(slices)]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, lines) in enumerate(contours.items(), start=1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = number, name, algorithm
        roi.ReferencedFrameOfReferenceUID = first.FrameOfReferenceUID
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = []
        for points in lines:
            one = Dataset()
            one.ContourGeometricType = kind
            one.NumberOfContourPoints = len(points)
            one.ContourData = [f"{v:.4f}" for v in np.asarray(points).ravel()]
            drawn.ContourSequence.append(one)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(drawn)
    change(dataset)
    dataset.save_as(path, enforce_file_format=True)
    return path


def reference(slices: Sequence[Dataset]) -> Dataset:
    """What a structure set says it was drawn on."""
    frame, study, series = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = slices[0].SeriesInstanceUID
    series.ContourImageSequence = []
    for one in slices:
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = one.SOPClassUID, one.SOPInstanceUID
        series.ContourImageSequence.append(image)
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = slices[0].FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame


def nrrd_header(grid: Grid) -> dict[str, Any]:
    """Space and directions as Slicer writes them, axes i, j, k."""
    affine = grid.affine
    return {
        "space": "left-posterior-superior",
        "space directions": affine[:3, [2, 1, 0]].T,
        "space origin": affine[:3, 3],
        "kinds": ["domain", "domain", "domain"],
        "encoding": "gzip",
    }


def write_seg_nrrd(
    path: Path, grid: Grid, masks: Mapping[str, np.ndarray], *, layered: bool = False, **fields: Any
) -> Path:
    """A ``.seg.nrrd``: all segments in one layer, or each in a layer of its own."""
    header = nrrd_header(grid)
    for n, name in enumerate(masks):
        header |= {
            f"Segment{n}_ID": f"Segment_{n + 1}",
            f"Segment{n}_Name": name,
            f"Segment{n}_LabelValue": "1" if layered else str(n + 1),
            f"Segment{n}_Layer": str(n) if layered else "0",
            f"Segment{n}_Tags": "TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list"
            "~SCT^85756007^Tissue~SCT^85756007^Tissue~^^~Anatomic codes - DICOM master list~^^~^^|",
        }
    if layered:
        data = np.stack([m.astype(np.uint8).T for m in masks.values()])
        header["kinds"] = ["list", "domain", "domain", "domain"]
        header["space directions"] = np.vstack([np.full(3, np.nan), header["space directions"]])
    else:
        data = np.zeros(grid.shape, np.uint8)
        for n, mask in enumerate(masks.values(), start=1):
            data[mask] = n
        data = data.T
    nrrd.write(str(path), data, header | fields)
    return path
