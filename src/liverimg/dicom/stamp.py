"""What all published objects share: whose study they belong to, who made them, and a UID that follows from content.

The libraries that build the objects never see the patient: they get an empty header, and the identity of the scan is
laid over what they made. Every text goes out as UTF-8 (PS3.3 C.12.1.1.2), so that no name is lost to a character set.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from typing import Any, Final

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import validate_value

from liverimg.core.errors import InputRefusedError
from liverimg.core.published import Equipment, ObjectStyle
from liverimg.dicom.source import Scan
from liverimg.dicom.tags import PARSER_ERRORS, quiet
from liverimg.dicom.write import IMPLEMENTATION_UID

UTF8: Final = "ISO_IR 192"
# Patient and General Study module, as archives file by them (PS3.3 C.7.1.1, C.7.2.1); then what says that the study was
# de-identified, or belongs to a trial. Type 2 attributes go out empty where the scan has none.
_TYPE_2: Final = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_OPTIONAL: Final = (
    "IssuerOfPatientID", "StudyDescription", "PatientAge", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified", "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
)  # fmt: skip
# A value of these that breaks the rules of its kind says nothing, and is left empty.
_STRICT: Final = frozenset(("DA", "TM", "CS", "AS"))
# 64 characters, the longest that a UID may be and as long as pydicom makes them.
_PLACEHOLDERS: Final = tuple(str(generate_uid(entropy_srcs=["placeholder", what])) for what in ("instance", "series"))
_NO_DATE: Final = "19000101"
_NO_TIME: Final = "000000"
_LONGEST_LABEL_BYTES: Final = 64


def study_header(source: Scan) -> Dataset:
    """The attributes of patient and study that every object of the study carries.

    Raises:
        InputRefusedError: The header can't be decoded.
    """
    made = Dataset()
    made.SpecificCharacterSet = UTF8
    made.StudyInstanceUID = str(source.header.StudyInstanceUID)
    with quiet():
        for keyword in (*_TYPE_2, *_OPTIONAL):
            try:
                element = source.header.get(keyword)
                value = _clean(element)
                known = keyword in source.header and _keeps_its_kind(source.header[keyword].VR, value)
            except PARSER_ERRORS as error:
                raise InputRefusedError(
                    f"{keyword} of the scan can't be decoded, so an archive could not file objects under it; correct "
                    "the header of the study first"
                ) from error
            if known:
                setattr(made, keyword, value)
            elif keyword in _TYPE_2:
                setattr(made, keyword, "")
    return made


def content_moment(source: Scan) -> tuple[str, str]:
    """Date and time that objects carry as those of their content: of the scan, so that the same results give the same
    objects whenever they are written.
    """
    for date, time in (
        ("AcquisitionDate", "AcquisitionTime"),
        ("SeriesDate", "SeriesTime"),
        ("StudyDate", "StudyTime"),
    ):
        day, moment = str(source.header.get(date, "") or ""), str(source.header.get(time, "") or "")
        with quiet():
            if day and _keeps_its_kind("DA", day):
                return day, moment if moment and _keeps_its_kind("TM", moment) else _NO_TIME
    return _NO_DATE, _NO_TIME


def put_moment(made: Dataset, source: Scan) -> None:
    """Gives an object its content's date and time."""
    made.ContentDate, made.ContentTime = content_moment(source)


def _keeps_its_kind(vr: str, value: Any) -> bool:
    if vr not in _STRICT or value in ("", None):
        return True
    try:
        validate_value(vr, value, 2)  # raise
    except ValueError:
        return False
    return True


def _clean(value: Any) -> Any:
    """A text without control characters; anything else as it is."""
    if isinstance(value, Dataset) or (not hasattr(value, "encode") and not hasattr(value, "components")):
        return value
    return plain(str(value))


def plain(text: str) -> str:
    """One line without control characters or lone surrogates."""
    visible = "".join(c if unicodedata.category(c) not in ("Cc", "Cs") else " " for c in text)
    return " ".join(visible.split())


def label_text(text: str, *, most_bytes: int = _LONGEST_LABEL_BYTES) -> str:
    """Text for an attribute of kind LO or SH: no control characters, no backslash, not too long.

    64 or 16 characters are allowed (PS3.5 6.2); many a checker and archive counts bytes, so bytes of UTF-8 it is.
    """
    short = plain(text.replace("\\", "/")).encode("utf-8")[:most_bytes]
    return short.decode("utf-8", "ignore").strip() or "unnamed"


def new_object(sop_class: str) -> FileDataset:
    """An empty object with placeholder UIDs; :func:`finish` gives it its own."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID = UID(sop_class)
    return made


def stamp(made: Dataset, source: Scan, *, style: ObjectStyle, equipment: Equipment) -> None:
    """Lays patient, study, series and equipment over an object that was built without them."""
    for element in study_header(source):
        made[element.tag] = element
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime"):
        if keyword in made:
            del made[keyword]
    for library in made.get("ContributingEquipmentSequence", ()) or ():
        # The moment of writing would make every run another object.
        library.pop("ContributionDateTime", None)
    made.SeriesNumber = style.series_number
    made.SeriesDescription = style.title
    made.InstanceNumber = 1
    made.Manufacturer = equipment.manufacturer
    made.ManufacturerModelName = equipment.model
    made.SoftwareVersions = equipment.version
    made.DeviceSerialNumber = f"{equipment.model}-{equipment.version}"
    scheme = Dataset()
    scheme.CodingSchemeDesignator = equipment.scheme
    scheme.CodingSchemeName = equipment.scheme_name
    scheme.CodingSchemeResponsibleOrganization = equipment.manufacturer
    made.CodingSchemeIdentificationSequence = [scheme]


@dataclass(frozen=True)
class Written:
    """A finished object.

    Attributes:
        data: The file.
        sop_class_uid: What kind of object it is.
        sop_instance_uid: Which one.
        series_instance_uid: Its series, which holds nothing else.
    """

    data: bytes = field(repr=False)
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


def finish(made: Dataset, *, transfer_syntax: str = ExplicitVRLittleEndian) -> Written:
    """Gives an object the UIDs that follow from its content, and writes it: the same content gives the same bytes.

    Args:
        made: Complete but for its UIDs.
        transfer_syntax: How it is encoded.
    """
    made.SOPInstanceUID, made.SeriesInstanceUID = _PLACEHOLDERS
    data = _encoded(made, transfer_syntax)
    digest = sha256(data).hexdigest()
    uids = [str(generate_uid(entropy_srcs=[what, digest])) for what in ("instance", "series")]
    # Encoding takes the time here, so the UIDs are put into the finished file; they are as long as what they replace.
    for placeholder, uid in zip(_PLACEHOLDERS, uids, strict=True):
        data = data.replace(placeholder.encode("ascii"), uid.encode("ascii").ljust(len(placeholder), b"\0"))
    made.SOPInstanceUID, made.SeriesInstanceUID = uids
    return Written(data, str(made.SOPClassUID), *uids)


def _encoded(made: Dataset, transfer_syntax: str) -> bytes:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = made.SOPClassUID
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "LIVERIMG"
    made.file_meta = meta
    made.preamble = bytes(128)
    out = BytesIO()
    with quiet():
        dcmwrite(out, made, enforce_file_format=True)
    return out.getvalue()
