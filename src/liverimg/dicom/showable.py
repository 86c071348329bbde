"""Which pixels may be shown to whoever looks at a page: none that may carry the patient's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from liverimg.core.cine import Box, Pane
from liverimg.core.errors import DicomRefusedError
from liverimg.dicom.codes import Code
from liverimg.dicom.deidentify_pixels import burned_in_problem, picture_mask, picture_regions
from liverimg.dicom.stack import Stack
from liverimg.dicom.tags import PARSER_ERRORS, quiet
from liverimg.dicom.ultrasound import ClipSource, LoadedClip

# What tells a picture of a screen from a scanner's.
_TAGS: Final = ["BurnedInAnnotation", "ConversionType", "ImageType", "SOPClassUID", "Modality", "SamplesPerPixel"]


def writing_in(stack: Stack, rules: Mapping[str, Any]) -> str | None:
    """Why a volume's pixels may show writing, or None.

    Args:
        stack: Its slices; the header of every file is asked.
        rules: Table ``burned_in`` of ``deidentify.toml``.
    """
    for path in dict.fromkeys(frame.pixels.path for frame in stack.frames):
        try:
            with quiet():
                dataset = dcmread(path, specific_tags=_TAGS, stop_before_pixels=True, force=True)
                problem = burned_in_problem(dataset, rules, has_regions=False)
        except PARSER_ERRORS:
            return "a header does not say whether writing is burned into the pixels"
        if problem is not None:
            return problem
    return None


def stills_of(loaded: LoadedClip, source: ClipSource, rules: Mapping[str, Any]) -> list[tuple[Pane, NDArray[np.uint8]]]:
    """The middle frame of each picture of a clip, black where writing may stand.

    The same mask as in de-identification: inside a region's rectangle only what moves, or the large lit shapes of a
    still, are kept. Writing over the tissue itself is not looked for.

    Args:
        loaded: With its pixels.
        source: Its files; their regions say where pictures are.
        rules: Table ``burned_in`` of ``deidentify.toml``.

    Raises:
        DicomRefusedError: No region says where the pictures are.
    """
    regions = [box for header in source.headers[:1] for box in picture_regions(header)]
    if not all(any(box.holds(picture.box) for box in regions) for picture in loaded.clip.pictures):
        raise DicomRefusedError(Code.BURNED_IN_TEXT, "no region says where the pictures of the frames are")
    stills = []
    for picture, cine in zip(loaded.clip.pictures, loaded.cines, strict=True):
        count, rows, columns = cine.array.shape
        keep = picture_mask(cine.array, [Box(0, rows, 0, columns)], rules)
        stills.append((picture.pane, np.where(keep, cine.array[count // 2], 0).astype(np.uint8)))
    return stills
