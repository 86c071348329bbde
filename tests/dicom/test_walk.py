"""Our own walk over a header finds what pydicom finds, or leaves the header to it."""

from __future__ import annotations

import random
import struct
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from liverimg.dicom.file_meta import read_meta
from liverimg.dicom.tags import PARSER_ERRORS, PIXEL_TAGS, Elements, quiet
from liverimg.dicom.walk import Everything, NotPlainError, walk


def nested(dataset: Any, k: int) -> None:
    """Sequences of either length in sequences of either length, a private one, an empty one, an icon with pixels."""
    deepest = Dataset()
    deepest.ReferencedSOPInstanceUID = "1.2.3"
    item = Dataset()
    item.ReferencedImageSequence = Items([deepest, deepest])
    item.ReferencedImageSequence.is_undefined_length = k % 2 == 0
    item.is_undefined_length_sequence_item = k % 3 == 0
    dataset.ReferencedStudySequence = Items([item, item])
    dataset["ReferencedStudySequence"].is_undefined_length = k % 2 == 1
    dataset.ReferencedPerformedProcedureStepSequence = Items([])
    icon = Dataset()
    icon.PixelData = b"\1\2"
    icon["PixelData"].VR = "OB"
    dataset.IconImageSequence = Items([icon])
    dataset.private_block(0x0029, "LIVERIMG TEST", create=True).add_new(0x10, "SQ", Items([deepest]))


def by_pydicom(data: bytes, *, offset: int, implicit: bool) -> tuple[dict[int, bytes | None], int]:
    stream = BytesIO(data)
    stream.seek(offset)
    found = list(data_element_generator(stream, implicit, True, stop_when=lambda tag, _vr, _length: tag in PIXEL_TAGS))
    values = {int(e.tag): e.value or b"" for e in found if isinstance(e, RawDataElement) and e.VR != "SQ"}
    return values, stream.tell()


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_same_elements_as_pydicom(transfer_syntax: str, tmp_path: Path, build: ModuleType) -> None:
    for path in build.write_series(tmp_path, edit=nested, transfer_syntax=transfer_syntax):
        data = path.read_bytes()
        meta = read_meta(data)
        ours, stopped = walk(
            data, meta.dataset_offset, len(data), explicit=not meta.is_implicit, wanted=Everything(), stop=PIXEL_TAGS
        )
        theirs, stopped_too = by_pydicom(data, offset=meta.dataset_offset, implicit=meta.is_implicit)
        assert stopped == stopped_too
        assert len(theirs) > 20
        assert {tag: ours[tag].value for tag in theirs} == theirs
        items = Elements(ours).items(0x00081110)
        assert [item.items(0x00081140)[1].code(0x00081155) for item in items] == ["1.2.3", "1.2.3"]
        assert Elements(ours).items(0x00081111) == ()


def test_damaged_headers_never_show_another_value_than_pydicom(tmp_path: Path, build: ModuleType) -> None:
    """Where the walk does not give up, its tags and values are those of the full parser."""
    rng = random.Random(0)
    originals = [path.read_bytes() for path in build.write_series(tmp_path, edit=nested)]
    compared = 0
    with quiet():
        for _ in range(600):
            data = bytearray(rng.choice(originals))
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(400, 1400)] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256)))
            offset = read_meta(bytes(data)).dataset_offset
            try:
                ours, stopped = walk(
                    bytes(data), offset, len(data), explicit=True, wanted=Everything(), stop=PIXEL_TAGS
                )
                theirs, stopped_too = by_pydicom(bytes(data), offset=offset, implicit=False)
            except (NotPlainError, *PARSER_ERRORS):
                continue
            if stopped != stopped_too:
                continue
            compared += 1
            assert {tag: ours[tag].value for tag in theirs if tag in ours} == {
                t: v for t, v in theirs.items() if t in ours
            }
    assert compared > 100


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-3],  # runs over the end
        lambda data: data[:4] + b"??" + data[6:],  # no value representation
        lambda data: data[:4] + b"UN\0\0\xff\xff\xff\xff" + data[12:],  # unknown of undefined length
        lambda data: b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + data,  # a sequence that is none
    ],
)
def test_what_is_not_plain_is_left_to_pydicom(spoil: Any) -> None:
    element = b"\x08\x00\x60\x00CS" + struct.pack("<H", 2) + b"CT"
    assert walk(element, 0, len(element), explicit=True, wanted=Everything())[0][0x00080060].value == b"CT"
    data = spoil(element)
    with pytest.raises(NotPlainError):
        walk(data, 0, len(data), explicit=True, wanted=Everything())


def test_numbers_are_read_as_they_are_written() -> None:
    def of(vr: str, value: bytes) -> Elements:
        return Elements({0x00189087: RawDataElement(0x00189087, vr, len(value), value, 0, False, True)})

    assert of("DS", b"1.5 \\-2e1\\ 3").decimals(0x00189087, 3) == (1.5, -20.0, 3.0)
    assert of("DS", b"1.5\\x").decimals(0x00189087, 2) is None
    assert of("DS", b"1.5\\inf").decimal(0x00189087) is None
    assert of("DS", b"1,5").decimal(0x00189087) is None
    assert of("DS", b"").decimal(0x00189087) is None
    assert of("FD", struct.pack("<2d", 1.5, 2)).decimals(0x00189087, 2) == (1.5, 2.0)
    assert of("FD", struct.pack("<d", np.nan)).decimal(0x00189087) is None
    assert of("UL", struct.pack("<3L", 1, 2, 70000)).integers(0x00189087) == (1, 2, 70000)
    assert of("IS", b"1\\2.5").integers(0x00189087) == ()
    assert of("IS", b" 7 ").integer(0x00189087) == 7
