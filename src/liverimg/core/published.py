"""What is written for archives and planners, before it has a format: segments, their codes, and who made them."""

from __future__ import annotations

from dataclasses import dataclass

from liverimg.core.catalogue import CodedConcept


@dataclass(frozen=True)
class Algorithm:
    """The program that drew a segment.

    Attributes:
        name: Of the model.
        version: Of the model; empty when unknown.
        corrected: Whether a person corrected what it drew.
    """

    name: str
    version: str
    corrected: bool


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
