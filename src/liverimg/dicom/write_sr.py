"""Measurements and findings as a Comprehensive 3D SR by template TID 1500 (PS3.16).

Nothing is invented: a quantity without a number is a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

from highdicom.sr import (
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from liverimg.core.catalogue import CodedConcept
from liverimg.core.published import Equipment, Group, ObjectStyle
from liverimg.dicom.source import Scan
from liverimg.dicom.sr_groups import Segmentations, group_item
from liverimg.dicom.sr_items import concept
from liverimg.dicom.sr_names import SrNames
from liverimg.dicom.stamp import Written, finish, put_moment, stamp
from liverimg.dicom.tags import quiet
from liverimg.dicom.write_seg import whole_images


def write_sr(
    groups: Sequence[Group],
    scan: Scan,
    *,
    procedure: CodedConcept,
    names: SrNames,
    segmentations: Segmentations,
    style: ObjectStyle,
    equipment: Equipment,
) -> Written:
    """A structured report of everything that was measured and found.

    Args:
        groups: What it holds, at least one.
        scan: What was measured.
        procedure: What was done to the patient.
        names: Codes.
        segmentations: The SEGs that the groups' segments lie in, by kind; empty when there is none, and the groups
            name no segment.
        style: Series and titles.
        equipment: Who writes.
    """
    study_uid = str(scan.header.StudyInstanceUID)
    with quiet():
        report = MeasurementReport(
            observation_context=_observer(equipment),
            procedure_reported=concept(procedure),
            imaging_measurements=[group_item(group, scan, names, segmentations) for group in groups],
            title=codes.DCM.ImagingMeasurementReport,
        )
        made = Comprehensive3DSR(
            evidence=_evidence(scan, segmentations, study_uid),
            content=report,
            series_instance_uid="2.25.1",
            series_number=style.series_number,
            sop_instance_uid="2.25.1",
            instance_number=1,
            manufacturer=equipment.manufacturer,
            is_complete=True,
            is_final=False,
            is_verified=False,
        )
    stamp(made, scan, style=style, equipment=equipment)
    put_moment(made, scan)
    return finish(made)


def _observer(equipment: Equipment) -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=generate_uid(entropy_srcs=["device", equipment.model, equipment.version]),
        name=equipment.model,
        manufacturer_name=equipment.manufacturer,
        model_name=equipment.model,
        serial_number=equipment.version,
    )
    return ObservationContext(
        observer_device_context=ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    )


def _evidence(scan: Scan, segmentations: Segmentations, study_uid: str) -> list[Dataset]:
    """Stand-ins for what the report refers to: UIDs, and no one's name."""
    images = [(i.sop_class_uid, i.sop_instance_uid, i.series_instance_uid) for i in whole_images(scan)]
    written = [one.written for one in segmentations.values()]
    images += [(one.sop_class_uid, one.sop_instance_uid, one.series_instance_uid) for one in written]
    made = []
    for sop_class, uid, series in images:
        one = Dataset()
        one.SOPClassUID, one.SOPInstanceUID, one.SeriesInstanceUID = sop_class, uid, series
        one.StudyInstanceUID = study_uid
        for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
            setattr(one, keyword, "")
        one.StudyDate = one.StudyTime = None
        made.append(one)
    return made
