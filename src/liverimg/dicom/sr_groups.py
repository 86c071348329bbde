"""Measurement groups of a structured report: by segment (TID 1411), by region of an image (TID 1410), or by neither
(TID 1501).

Template TID 1411 has room for one segment. A number that rests on two, such as an ablation margin, names the other one
in an item of its own, under a name that says what it is: the template may be extended, and readers that know one
segment only find the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from highdicom.sr import (
    ContentSequence,
    FindingSite,
    GraphicTypeValues,
    ImageContentItem,
    ImageRegion,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    SourceSeriesForSegmentation,
    TimePointContext,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.sr.codedict import codes

from liverimg.core.published import Group, Outlined, Segment, SegmentName
from liverimg.dicom.source import Scan
from liverimg.dicom.sr_items import concept, finding_items, measured_items, note_items, statement_items
from liverimg.dicom.sr_names import SrNames
from liverimg.dicom.stamp import Written, plain

# The middle of the first pixel is (0.5, 0.5) in a region (PS3.3 C.18.6.1.1), and (0, 0) to us.
_PIXEL_MIDDLE = 0.5


@dataclass(frozen=True)
class Segmentation:
    """A SEG that a report refers to.

    Attributes:
        written: The object.
        segments: What it holds.
    """

    written: Written
    segments: tuple[Segment, ...] = field(repr=False)

    def of(self, target: str) -> Segment | None:
        """The segment of one lesion, zone or focus; None when it has none."""
        return next((s for s in self.segments if s.is_lesion and s.target == target), None)


Segmentations = Mapping[str, Segmentation]


def group_item(group: Group, scan: Scan, names: SrNames, segmentations: Segmentations) -> Any:
    """One measurement group with everything that it holds.

    Args:
        group: Its content.
        scan: What was measured.
        names: Codes.
        segmentations: By kind of object; a group whose segment is in none of them goes out without it.
    """
    shared = _shared(group)
    found = _segment(group.segment, segmentations)
    if found is not None:
        segmentation, segment = found
        made: Any = VolumetricROIMeasurementsAndQualitativeEvaluations(
            **shared,
            referenced_segment=ReferencedSegment(
                sop_class_uid=segmentation.written.sop_class_uid,
                sop_instance_uid=segmentation.written.sop_instance_uid,
                segment_number=segment.value,
                source_series=SourceSeriesForSegmentation(scan.images[0].series_instance_uid),
            ),
        )
    elif group.outlined is not None and group.outlined.points_ji:
        made = PlanarROIMeasurementsAndQualitativeEvaluations(**shared, referenced_region=_region(group.outlined, scan))
    else:
        made = MeasurementsAndQualitativeEvaluations(**shared, source_images=_images(group.outlined, scan))
    frame_uid = scan.frame_of_reference_uid if group.has_places else None
    items = [
        *_others(group, segmentations),
        *measured_items(group.quantities, names, of_lesion=group.lesion_codes, frame_of_reference_uid=frame_uid),
        *statement_items(group.statements),
        *note_items(group.notes),
        *finding_items(group.findings, group.classifications, names),
    ]
    content = made[0].ContentSequence
    # Behind what the template asks for.
    made[0].ContentSequence = ContentSequence([*content, *items])
    return made


def _shared(group: Group) -> dict[str, Any]:
    time = group.time_point
    return {
        "tracking_identifier": TrackingIdentifier(uid=group.tracking_uid, identifier=plain(group.target) or "unnamed"),
        "finding_type": None if group.kind is None else concept(group.kind),
        "finding_sites": None if group.site is None else [FindingSite(concept(group.site))],
        "time_point_context": TimePointContext(time, getattr(codes.cid6146, time)) if time else None,
    }


def _segment(name: SegmentName | None, segmentations: Segmentations) -> tuple[Segmentation, Segment] | None:
    segmentation = None if name is None else segmentations.get(name.kind)
    segment = None if name is None or segmentation is None else segmentation.of(name.target)
    return None if segmentation is None or segment is None else (segmentation, segment)


def _others(group: Group, segmentations: Segmentations) -> list[Any]:
    made = []
    for name, where in group.beside:
        found = _segment(where, segmentations)
        if found is not None:
            segmentation, segment = found
            made.append(
                ImageContentItem(
                    name=concept(name),
                    referenced_sop_class_uid=segmentation.written.sop_class_uid,
                    referenced_sop_instance_uid=segmentation.written.sop_instance_uid,
                    referenced_segment_numbers=segment.value,
                    relationship_type=RelationshipTypeValues.CONTAINS,
                )
            )
    return made


def _region(outlined: Outlined, scan: Scan) -> ImageRegion:
    line = [(across + _PIXEL_MIDDLE, down + _PIXEL_MIDDLE) for down, across in outlined.points_ji]
    return ImageRegion(
        graphic_type=GraphicTypeValues.POLYLINE,
        graphic_data=np.array([*line, line[0]] if line[0] != line[-1] else line),
        source_image=SourceImageForRegion(*_image(outlined, scan)),
    )


def _images(outlined: Outlined | None, scan: Scan) -> Sequence[SourceImageForMeasurementGroup] | None:
    return None if outlined is None else [SourceImageForMeasurementGroup(*_image(outlined, scan))]


def _image(outlined: Outlined, scan: Scan) -> tuple[str, str, list[int] | None]:
    sop_class = next(i.sop_class_uid for i in scan.images if i.sop_instance_uid == outlined.sop_instance_uid)
    return sop_class, outlined.sop_instance_uid, None if outlined.frame is None else [outlined.frame]
