"""Measurements and findings as a Comprehensive 3D SR by template TID 1500 (PS3.16).

Each lesion is a measurement group that names its segment (TID 1411); what is measured of the liver and the study as a
whole stands in groups without a segment (TID 1501). Nothing is invented: a quantity without a number is a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from highdicom.sr import (
    Comprehensive3DSR,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from liverimg.core.assessment import Assessment
from liverimg.core.catalogue import CodedConcept
from liverimg.core.measurement import Lesion, Measured, MeasurementSet
from liverimg.core.published import Equipment, ObjectStyle, Segment
from liverimg.core.tracking import tracking_uid
from liverimg.dicom.source import Source
from liverimg.dicom.sr_items import concept, finding_items, measured_items, note_items
from liverimg.dicom.sr_names import SrNames
from liverimg.dicom.stamp import Written, finish, plain, put_moment, stamp
from liverimg.dicom.tags import quiet
from liverimg.dicom.write_seg import whole_images

_STUDY: Final = "study"


@dataclass(frozen=True)
class Segmentation:
    """The SEG that a report refers to.

    Attributes:
        written: The object.
        segments: What it holds.
    """

    written: Written
    segments: tuple[Segment, ...] = field(repr=False)

    def lesion(self, target: str) -> Segment | None:
        """The segment of a lesion; None when it has none."""
        return next((s for s in self.segments if s.is_lesion and s.target == target), None)


@dataclass(frozen=True, eq=False)
class Findings:
    """What a report holds.

    Attributes:
        measured: All measurements.
        assessment: What the criteria say of them; None when nobody asked them.
        notes: What a reader must know first.
        sites: Code of each organ and tissue by its name: where something was found.
        kinds: Code of each abnormality by its name: what was found.
        procedure: What was done to the patient.
    """

    measured: MeasurementSet
    assessment: Assessment | None
    notes: tuple[str, ...]
    sites: Mapping[str, CodedConcept]
    kinds: Mapping[str, CodedConcept]
    procedure: CodedConcept


def write_sr(
    findings: Findings,
    source: Source,
    *,
    names: SrNames,
    segmentation: Segmentation | None,
    style: ObjectStyle,
    equipment: Equipment,
) -> Written:
    """A structured report of everything that was measured and found.

    Args:
        findings: What it holds.
        source: The series that was measured.
        names: Codes.
        segmentation: The SEG of the lesions; None when there is none, and the groups name no segment.
        style: Series and titles.
        equipment: Who writes.
    """
    study_uid = str(source.header.StudyInstanceUID)
    groups = [_lesion_group(one, findings, source, names, segmentation) for one in findings.measured.lesions]
    groups += _whole_groups(findings, names, study_uid)
    with quiet():
        report = MeasurementReport(
            observation_context=_observer(equipment),
            procedure_reported=concept(findings.procedure),
            imaging_measurements=groups,
            title=codes.DCM.ImagingMeasurementReport,
        )
        made = Comprehensive3DSR(
            evidence=_evidence(source, segmentation, study_uid),
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
    stamp(made, source, style=style, equipment=equipment)
    put_moment(made, source)
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


def _lesion_group(
    lesion: Lesion, findings: Findings, source: Source, names: SrNames, segmentation: Segmentation | None
) -> Any:
    """One lesion: with its segment where it has one (TID 1411), else by its place alone (TID 1501)."""
    study_uid = str(source.header.StudyInstanceUID)
    uid = tracking_uid(study_uid, lesion.id, centroid_lps_mm=lesion.centroid_lps_mm)
    shared: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(uid=uid, identifier=plain(lesion.id) or "unnamed"),
        "finding_type": concept(findings.kinds["tumour"]),
        "finding_sites": [FindingSite(concept(findings.sites["liver"]))] if lesion.site == "liver" else None,
    }
    segment = None if segmentation is None else segmentation.lesion(lesion.id)
    if segmentation is None or segment is None:
        group: Any = MeasurementsAndQualitativeEvaluations(**shared)
    else:
        group = VolumetricROIMeasurementsAndQualitativeEvaluations(
            **shared,
            referenced_segment=ReferencedSegment(
                sop_class_uid=segmentation.written.sop_class_uid,
                sop_instance_uid=segmentation.written.sop_instance_uid,
                segment_number=segment.value,
                source_series=SourceSeriesForSegmentation(source.images[0].series_instance_uid),
            ),
        )
    _add(group, measured_items(lesion.quantities, names, of_lesion=True))
    _add(group, _judged(findings.assessment, lesion.id, names))
    return group


def _whole_groups(findings: Findings, names: SrNames, study_uid: str) -> list[Any]:
    """One group for each organ that something was measured of, and one for the study as a whole."""
    by_target: dict[str, list[Measured]] = {_STUDY: []}
    for quantity in findings.measured.organs:
        by_target.setdefault(quantity.target, []).append(quantity)
    groups = []
    for target, quantities in by_target.items():
        site, kind = findings.sites.get(target), findings.kinds.get(target)
        group = MeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(
                uid=tracking_uid(study_uid, target), identifier=plain(target) or "unnamed"
            ),
            finding_type=None if kind is None else concept(kind),
            finding_sites=None if site is None else [FindingSite(concept(site))],
        )
        _add(group, measured_items(quantities, names, of_lesion=False))
        if target == _STUDY:
            _add(group, note_items(findings.notes))
        _add(group, _judged(findings.assessment, target, names))
        groups.append(group)
    return groups


def _judged(assessment: Assessment | None, target: str, names: SrNames) -> list[Any]:
    if assessment is None:
        return []
    return finding_items(
        [f for f in assessment.findings if f.target == target],
        [c for c in assessment.classifications if c.target == target],
        names,
    )


def _add(group: Any, items: Sequence[Any]) -> None:
    """Puts items into a group behind what its template asks for."""
    content = group[0].ContentSequence
    group[0].ContentSequence = ContentSequence([*content, *items])


def _evidence(source: Source, segmentation: Segmentation | None, study_uid: str) -> list[Dataset]:
    """Stand-ins for what the report refers to: UIDs, and no one's name."""
    images = [(i.sop_class_uid, i.sop_instance_uid, i.series_instance_uid) for i in whole_images(source)]
    if segmentation is not None:
        images.append(
            (
                segmentation.written.sop_class_uid,
                segmentation.written.sop_instance_uid,
                segmentation.written.series_instance_uid,
            )
        )
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
