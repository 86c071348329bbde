"""Enhanced multi-frame CT and MR: every frame's geometry and scaling from the functional groups.

PS3.3 C.7.6.16: an attribute stands either once in the shared groups or in each frame's own item. Legacy
converted objects keep what has no macro in the "unassigned converted attributes" items.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from liverimg.dicom.classic import (
    base_frame,
    frame_problem,
    image_type_problem,
    moment,
    object_problem,
    with_plane,
    with_rescale,
)
from liverimg.dicom.codes import Code
from liverimg.dicom.file_meta import FileMeta
from liverimg.dicom.frame import Frame, PixelBlock, Problem
from liverimg.dicom.scan_tags import agent_phase_of
from liverimg.dicom.tags import Elements

_SHARED: Final = 0x52009229
_PER_FRAME: Final = 0x52009230
_POSITION: Final = 0x00209113
_ORIENTATION: Final = 0x00209116
_MEASURES: Final = 0x00289110
_RESCALE: Final = 0x00289145
_CONTENT: Final = 0x00209111
_TEMPORAL: Final = 0x00209310
_TRIGGER: Final = 0x00189118
_MAPPING: Final = 0x00409096
_PHILIPS_FRAME: Final = 0x2005140F
_ECHO: Final = 0x00189114
_DIFFUSION: Final = 0x00189117
_FRAME_TYPES: Final = (0x00189329, 0x00189226)
_AGENT_USE: Final = 0x00189341
_TIMING: Final = 0x00189112
_MODIFIER: Final = 0x00189115
_UNASSIGNED: Final = (0x00209171, 0x00209170)
_EMPTY: Final = Elements({})


def is_enhanced(elements: Elements) -> bool:
    """Whether an object describes its frames by functional groups."""
    return _PER_FRAME in elements


def enhanced_frames(elements: Elements, meta: FileMeta, block: PixelBlock) -> tuple[Frame, ...]:
    """All frames of an enhanced CT or MR object, in stored order; a single one when the whole object has a problem."""
    common = base_frame(elements, meta, block)
    whole = object_problem(elements, common)
    if whole is not None:
        return (replace(common, problem=whole),)
    shared = elements.first_item(_SHARED) or _EMPTY
    items = elements.items(_PER_FRAME)
    if len(items) != block.frames:
        reason = f"{block.frames} frames but {len(items)} frame descriptions"
        return (replace(common, problem=Problem(Code.MULTIFRAME_WITHOUT_GEOMETRY, reason)),)
    cache: dict[int, Elements | None] = {}
    return tuple(_frame(common, shared, item, number, cache) for number, item in enumerate(items))


def _frame(common: Frame, shared: Elements, own: Elements, number: int, cache: dict[int, Elements | None]) -> Frame:
    def group(tag: int) -> Elements:
        if (item := own.first_item(tag)) is not None:
            return item
        if tag not in cache:
            cache[tag] = shared.first_item(tag)
        return cache[tag] or _EMPTY

    measures = group(_MEASURES)
    frame = with_plane(replace(common, number=number), group(_POSITION), group(_ORIENTATION), measures)
    frame = _with_content(frame, group(_CONTENT), offset=group(_TEMPORAL), trigger=group(_TRIGGER))
    mapping = own.first_item(_MAPPING) or shared.first_item(_MAPPING)
    frame = with_rescale(frame, group(_RESCALE), private=group(_PHILIPS_FRAME), mapping=mapping)
    frame_type = next((kind for tag in _FRAME_TYPES if (kind := group(tag).codes(0x00089007))), common.image_type)
    frame = _with_scan(
        frame, timing=group(_TIMING), modifier=group(_MODIFIER), kind=group(_FRAME_TYPES[-1]), use=group(_AGENT_USE)
    )
    echo_ms = group(_ECHO).decimal(0x00189082)
    b_value = group(_DIFFUSION).decimal(0x00189087)
    thickness_mm = measures.decimal(0x00180050)
    frame = replace(
        frame,
        image_type=frame_type,
        echo_ms=common.echo_ms if echo_ms is None else echo_ms,
        b_value=common.b_value if b_value is None else b_value,
        thickness_mm=common.thickness_mm if thickness_mm is None else thickness_mm,
    )
    for tag in _UNASSIGNED:
        frame = _with_unassigned(frame, own.first_item(tag) or (shared.first_item(tag) if number == 0 else None))
    return replace(frame, problem=image_type_problem(frame_type) or frame_problem(frame, measures))


def _with_content(frame: Frame, content: Elements, *, offset: Elements, trigger: Elements) -> Frame:
    """Time, acquisition and temporal position of one frame (C.7.6.16.2.2, .2.7, .2.10)."""
    moments = [content.code(tag) for tag in (0x00189074, 0x00189151)]
    text = next((value for value in moments if len(value) >= 14), "")
    acquired_s, acquired_at = moment(text[:8], text[8:].partition("+")[0].partition("-")[0])
    number = content.integer(0x00209156)
    temporal = content.integer(0x00209128)
    trigger_ms = trigger.decimal(0x00209153)
    return replace(
        frame,
        acquired_s=frame.acquired_s if acquired_s is None else acquired_s,
        acquired_at=frame.acquired_at if acquired_at is None else acquired_at,
        acquisition_number=frame.acquisition_number if number is None else number,
        temporal_position=frame.temporal_position if temporal is None else temporal,
        time_offset_s=offset.decimal(0x0020930D),
        trigger_ms=frame.trigger_ms if trigger_ms is None else trigger_ms,
        dimensions=content.integers(0x00209157),
        stack_id=content.code(0x00209056),
        instance_number=frame.number,
    )


def _with_scan(frame: Frame, *, timing: Elements, modifier: Elements, kind: Elements, use: Elements) -> Frame:
    """Sequence and contrast agent of one frame (C.8.13.5.2, .5.5, C.7.6.16.2.12)."""
    phase = agent_phase_of(use)
    if phase:
        agent = frame.phase_tags.contrast_agent
        agent = phase if agent is None and phase == "PRE_CONTRAST" else agent
        frame = replace(frame, phase_tags=replace(frame.phase_tags, agent_phase=phase, contrast_agent=agent))
    if frame.modality != "MR":
        return frame
    own = frame.sequence
    times = [timing.decimal(tag) for tag in (0x00180080, 0x00181314)]
    train = timing.integer(0x00180091)
    fat = "FS" if modifier.code(0x00189025).upper() in ("FAT", "FAT_AND_WATER") else ""
    contrast = kind.code(0x00089209).upper()[:16]
    sequence = replace(
        own,
        repetition_ms=own.repetition_ms if times[0] is None else times[0],
        flip_deg=own.flip_deg if times[1] is None else times[1],
        echo_train=own.echo_train if train is None else train,
        options=(*own.options, fat) if fat else own.options,
        contrast=contrast or own.contrast,
    )
    return replace(frame, sequence=sequence)


def _with_unassigned(frame: Frame, item: Elements | None) -> Frame:
    if item is None:
        return frame
    number = item.integer(0x00200012)
    temporal = item.integer(0x00200100)
    seconds, text = moment(item.code(0x00080022), item.code(0x00080032))
    return replace(
        frame,
        acquisition_number=frame.acquisition_number if number is None else number,
        temporal_position=frame.temporal_position if temporal is None else temporal,
        acquired_s=frame.acquired_s if text is None else seconds,
        acquired_at=frame.acquired_at if text is None else text,
    )
