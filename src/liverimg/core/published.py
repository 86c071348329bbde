"""What is written for archives and planners, before it has a format: segments, their codes, and who made them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.assessment import Classification, Finding
from liverimg.core.catalogue import CodedConcept
from liverimg.core.measurement import Measured


@dataclass(frozen=True)
class Algorithm:
    """The program that drew a segment.

    Attributes:
        name: Of the model.
        version: Of the model; empty when unknown.
        corrected: Whether a person corrected what it drew, or drew what it carried over.
        learned: Whether it is a trained network; else it follows written rules.
    """

    name: str
    version: str
    corrected: bool
    learned: bool = True


@dataclass(frozen=True)
class Segment:
    """One structure or lesion.

    Attributes:
        value: Its value in the label array that the segments are taken from, from 1 without gaps.
        target: A lesion's id, or a structure's name: what ``measurements.json`` calls it.
        label: For readers.
        category: Kind of thing (PS3.16 CID 7150).
        kind: What it is (PS3.16 CID 7151).
        region: The organ that it lies in; None for an organ.
        tracking_uid: The same in every object.
        colour: sRGB, ``#rrggbb``.
        algorithm: What drew it; None for a person.
        roi_type: RT ROI Interpreted Type; may be empty.
        is_lesion: Whether it is one lesion, as measured.
        outlined: Whether planners want its outline; what is left of the body between the organs has none.
    """

    value: int
    target: str
    label: str
    category: CodedConcept
    kind: CodedConcept
    region: CodedConcept | None
    tracking_uid: str
    colour: str
    algorithm: Algorithm | None
    roi_type: str
    is_lesion: bool
    outlined: bool = True


@dataclass(frozen=True)
class Equipment:
    """Who writes the objects.

    Attributes:
        manufacturer: Of the program.
        model: The program.
        version: Its version.
        scheme: Designator of its own coding scheme.
        scheme_name: What the scheme holds.
        disclaimer: What every reader must know.
    """

    manufacturer: str
    model: str
    version: str
    scheme: str
    scheme_name: str
    disclaimer: str


@dataclass(frozen=True)
class ObjectStyle:
    """Series number and titles of a kind of object.

    Attributes:
        series_number: SeriesNumber.
        title: SeriesDescription.
        label: ContentLabel or StructureSetLabel: capitals, 16 characters at most; empty where there is none.
    """

    series_number: int
    title: str
    label: str = ""


@dataclass(frozen=True, eq=False)
class Layer:
    """Segments that exclude each other voxel by voxel: what one SEG holds.

    Attributes:
        array: Number of the segment in each voxel along (k, j, i), 0 for none.
        segments: In the order of their numbers, from 1 without gaps.
    """

    array: NDArray[np.uint8] = field(repr=False)
    segments: tuple[Segment, ...]

    def of(self, target: str) -> Segment | None:
        """The segment of one lesion, zone or focus; None when it has none."""
        return next((s for s in self.segments if s.is_lesion and s.target == target), None)


@dataclass(frozen=True)
class SegmentName:
    """A segment by its object and what it shows.

    Attributes:
        kind: Of the object, such as ``seg``.
        target: What the segment shows, such as ``L1``.
    """

    kind: str
    target: str


@dataclass(frozen=True)
class Statement:
    """What was found, in words.

    Attributes:
        name: What it is about.
        value: The answer as a code; None where it is a sentence only.
        text: The sentence; with a code it explains the code and may be empty.
    """

    name: CodedConcept
    value: CodedConcept | None
    text: str = ""


@dataclass(frozen=True)
class Outlined:
    """A line in an image that lies nowhere in the patient, such as an ultrasound frame.

    Attributes:
        sop_instance_uid: The image.
        frame: Number of the frame from 1; None in an object of one frame.
        points_ji: Down and across in pixels of the stored frame, the first pixel's centre at (0, 0); empty where the
            image is named and nothing is drawn in it.
    """

    sop_instance_uid: str
    frame: int | None
    points_ji: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Group:
    """Measurements and findings of one thing: a lesion, a zone, a margin between two, an organ, the study.

    Attributes:
        target: What results call it; no two groups share one.
        tracking_uid: The same in every object.
        quantities: What was measured, or why not.
        kind: What it is; None for organs and the study.
        site: The organ that it lies in, or is; None when that is not known.
        segment: The segment that shows it; None without one.
        beside: Further segments that the numbers rest on, each with what it is to them.
        lesion_codes: Whether quantities carry the public codes that name sizes of a lesion.
        has_places: Whether evidence lies in the frame of reference of the scan.
        time_point: ``Pretreatment`` or ``Posttreatment``; empty where no treatment is known of.
        statements: What was found, in words and codes.
        findings: What rules say of it.
        classifications: Classes that were proposed for it.
        notes: What a reader must know.
        outlined: The image that it was measured in, where that has no patient space.
    """

    target: str
    tracking_uid: str
    quantities: tuple[Measured, ...] = ()
    kind: CodedConcept | None = None
    site: CodedConcept | None = None
    segment: SegmentName | None = None
    beside: tuple[tuple[CodedConcept, SegmentName], ...] = ()
    lesion_codes: bool = False
    has_places: bool = True
    time_point: str = ""
    statements: tuple[Statement, ...] = ()
    findings: tuple[Finding, ...] = ()
    classifications: tuple[Classification, ...] = ()
    notes: tuple[str, ...] = ()
    outlined: Outlined | None = None
