"""DICOM objects that hold outlines: which kind a file is, and what it says it was drawn on."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from liverimg.core.drawing import Place
from liverimg.core.errors import InputRefusedError
from liverimg.dicom.file_meta import looks_like_dicom
from liverimg.dicom.tags import PARSER_ERRORS, quiet

# PS3.4 table B.5-1; named here because older dictionaries lack it.
_LABEL_MAP_SEGMENTATION: Final = "1.2.840.10008.5.1.4.1.1.66.7"


class ObjectKind(StrEnum):
    """A DICOM object that holds outlines."""

    SEG = "DICOM SEG"
    RTSTRUCT = "RTSTRUCT"


_KINDS: Final = {
    str(SegmentationStorage): ObjectKind.SEG,
    _LABEL_MAP_SEGMENTATION: ObjectKind.SEG,
    str(RTStructureSetStorage): ObjectKind.RTSTRUCT,
}


def is_dicom(path: Path) -> bool:
    """Whether a file looks like DICOM from its first bytes."""
    with path.open("rb") as stream:
        return looks_like_dicom(stream.read(512))


def object_kind(path: Path) -> ObjectKind:
    """What kind of outlines a DICOM file holds.

    Raises:
        InputRefusedError: Damaged, or an object that holds none.
    """
    kind = _KINDS.get(str(_header(path).get("SOPClassUID", "")))
    if kind is None:
        raise InputRefusedError(
            f"{path.name} is a DICOM object without outlines that can be read, expected a segmentation (SEG) or a "
            "structure set (RTSTRUCT); export one of these"
        )
    return kind


def place_of_object(path: Path) -> Place:
    """The frame of reference, series and images that a SEG or RTSTRUCT refers to.

    Raises:
        InputRefusedError: Damaged.
    """
    header = _header(path)
    try:
        series = list(_referenced_series(header))
        frames = [str(header.get("FrameOfReferenceUID", "") or "")]
        frames += [str(f.FrameOfReferenceUID) for f in header.get("ReferencedFrameOfReferenceSequence", ()) or ()]
        images = [
            str(image.ReferencedSOPInstanceUID)
            for one in series
            for keyword in ("ReferencedInstanceSequence", "ContourImageSequence")
            for image in one.get(keyword, ()) or ()
        ]
        uids = [str(one.SeriesInstanceUID) for one in series if "SeriesInstanceUID" in one]
    except PARSER_ERRORS as error:
        raise unreadable(path, error) from error
    named = {frame for frame in frames if frame}
    if len(named) > 1:
        raise InputRefusedError(
            f"{path.name} has outlines in {len(named)} frames of reference, expected one; export one per scan"
        )
    return Place(None, next(iter(named), None), tuple(dict.fromkeys(uids)), tuple(dict.fromkeys(images)))


def code_of(items: Any) -> tuple[str, ...]:
    """The codes of a code sequence as ``SCHEME:VALUE``; empty for an empty or missing sequence."""
    found = []
    for item in items or ():
        value = item.get("CodeValue") or item.get("LongCodeValue") or ""
        scheme = str(item.get("CodingSchemeDesignator", "") or "")
        # SNOMED CT and the older SNOMED RT codes go by several designators (PS3.16 chapter 8).
        scheme = {"99SDM": "SRT", "SNM3": "SRT", "2.16.840.1.113883.6.96": "SCT"}.get(scheme, scheme)
        if value and scheme:
            found.append(f"{scheme}:{value}")
    return tuple(found)


def unreadable(path: Path, error: BaseException) -> InputRefusedError:
    """The refusal of a file that the parser stumbled over."""
    return InputRefusedError(
        f"{path.name} is a damaged DICOM object ({type(error).__name__}), expected a SEG or RTSTRUCT; export it anew"
    )


def _header(path: Path) -> Dataset:
    try:
        with quiet():
            return dcmread(path, stop_before_pixels=True, force=True, defer_size="1 MB")
    except PARSER_ERRORS as error:
        raise unreadable(path, error) from error


def _referenced_series(header: Dataset) -> Iterator[Dataset]:
    yield from header.get("ReferencedSeriesSequence", ()) or ()
    for frame in header.get("ReferencedFrameOfReferenceSequence", ()) or ():
        for study in frame.get("RTReferencedStudySequence", ()) or ():
            yield from study.get("RTReferencedSeriesSequence", ()) or ()
