"""The report as an Encapsulated PDF (PS3.3 A.45.1), so that an archive shows it beside the scan."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from liverimg.core.published import Equipment, ObjectStyle
from liverimg.dicom.source import Scan
from liverimg.dicom.stamp import Written, content_moment, finish, new_object, plain, stamp
from liverimg.dicom.write_seg import image_reference, whole_images


def write_pdf(pdf: bytes, source: Scan, *, style: ObjectStyle, equipment: Equipment) -> Written:
    """A PDF as a DICOM object of the study.

    Args:
        pdf: The document. It names no patient: who it is about stands in the header alone.
        source: The series that the report is about.
        style: Series and titles.
        equipment: Who writes.
    """
    made = new_object(EncapsulatedPDFStorage)
    made.Modality = "DOC"
    made.ConversionType = "WSD"
    made.ContentDate, made.ContentTime = date, time = content_moment(source)
    made.AcquisitionDateTime = f"{date}{time}"
    made.BurnedInAnnotation = "NO"
    made.DocumentTitle = f"{style.title}. {plain(equipment.disclaimer)}"
    made.VerificationFlag = "UNVERIFIED"
    made.ConceptNameCodeSequence = [_title()]
    made.SourceInstanceSequence = [image_reference(image) for image in whole_images(source)]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocumentLength = len(pdf)
    made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    stamp(made, source, style=style, equipment=equipment)
    return finish(made)


def _title() -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = "126000", "DCM", "Imaging Measurement Report"
    return made
