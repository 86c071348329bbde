"""What a volume shows: CT, T1-weighted dynamic, T2, diffusion, in and opposed phase, subtraction, ...

Every source is asked by itself: ImageType, tags that name the contrast, words, the parameters of the sequence.
The most explicit that answers decides; another one that excludes its answer is a conflict. Rules are data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from liverimg.core.study import Confidence, ImageKind, Modality
from liverimg.dicom.codes import Flag
from liverimg.dicom.frame import Frame
from liverimg.dicom.plain_text import plain_text
from liverimg.dicom.sequence_rules import ParameterRule, SequenceRules

# A contrast phase is a matter of CT and of T1-weighted images. What nobody could name gets the benefit of the doubt.
PHASED: Final = frozenset((ImageKind.CT, ImageKind.T1_DYNAMIC, ImageKind.T1, ImageKind.UNKNOWN))
# Kinds that a T1-weighted gradient echo may come as.
_T1_FAMILY: Final = frozenset((
    ImageKind.T1, ImageKind.T1_DYNAMIC, ImageKind.IN_PHASE, ImageKind.OPPOSED_PHASE, ImageKind.DIXON_WATER,
    ImageKind.DIXON_FAT, ImageKind.SUBTRACTION,
))  # fmt: skip
_CT_KINDS: Final = frozenset((ImageKind.CT, ImageKind.CT_DERIVED, ImageKind.SUBTRACTION))
_CT_WORDS: Final = frozenset((ImageKind.CT_DERIVED, ImageKind.SUBTRACTION))
_FAT_SUPPRESSION: Final = frozenset(("FS", "FAT_SAT", "SPIR", "SPAIR", "WE"))
_HIGHEST_ECHO: Final = 3


def may_have_a_phase(kind: ImageKind) -> bool:
    """Whether a volume of that kind may show a contrast phase; water images of Dixon are how some are made."""
    return kind in PHASED or kind is ImageKind.DIXON_WATER


@dataclass(frozen=True)
class KindDecision:
    """The kind, what speaks for it, and how sure it is."""

    kind: ImageKind
    evidence: tuple[str, ...] = ()
    confidence: Confidence = Confidence.NONE
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True)
class _Says:
    source: str
    kind: ImageKind
    detail: str
    allows: frozenset[ImageKind]


def decide_kind(frame: Frame, rules: SequenceRules, *, sibling_echoes_ms: Sequence[float] = ()) -> KindDecision:
    """Names the kind of one volume.

    Args:
        frame: Its first slice.
        rules: From :meth:`SequenceRules.from_table`.
        sibling_echoes_ms: Echo times of volumes made by the same sequence at the same time; in and opposed phase are
            told by their echo times only where there are two of them.
    """
    if frame.modality == Modality.CT:
        return _ct_kind(frame, rules)
    found = [
        says
        for says in (
            _by_image_type(frame, rules),
            _by_tags(frame, rules),
            _by_words(frame, rules),
            _by_echo(frame, rules, sibling_echoes_ms),
            _by_parameters(frame, rules),
        )
        if says is not None
    ]
    if not found:
        return KindDecision(ImageKind.UNKNOWN)
    kind = found[0].kind
    # A more general answer takes over the finer one of the next source: T1, then T1 dynamic.
    finer = next((s for s in found[1:] if kind is ImageKind.T1 and s.kind in _T1_FAMILY), None)
    if finer is not None:
        kind = finer.kind
    # A water image of a fast, breath-held sequence is how Dixon scanners make their dynamic series.
    return _weighed(kind, found)


def _weighed(kind: ImageKind, found: Sequence[_Says]) -> KindDecision:
    against = [s for s in found if kind is not s.kind and kind not in s.allows]
    # Parameters alone are shared by many sequences.
    speaking = [s for s in found if s.source != "parameters" or kind in (s.kind, *s.allows)]
    agreeing = sum(s not in against for s in speaking)
    if against or found[0].source == "parameters":
        confidence = Confidence.LOW
    else:
        confidence = Confidence.HIGH if agreeing > 1 else Confidence.MODERATE
    evidence = tuple(f"{s.detail}{': speaks against it' if s in against else ''}" for s in found)
    return KindDecision(kind, evidence, confidence, (Flag.KIND_CONFLICT,) if against else ())


def _ct_kind(frame: Frame, rules: SequenceRules) -> KindDecision:
    for says in (_by_image_type(frame, rules), _by_words(frame, rules, only=_CT_WORDS)):
        if says is not None and says.kind in _CT_KINDS:
            return KindDecision(says.kind, (says.detail,), Confidence.MODERATE)
    return KindDecision(ImageKind.CT, ("Modality is CT",), Confidence.HIGH)


def _by_image_type(frame: Frame, rules: SequenceRules) -> _Says | None:
    # The first two values say ORIGINAL or DERIVED, PRIMARY or SECONDARY (PS3.3 C.7.6.1.1.2).
    values = set(frame.image_type[2:])
    for kind, tokens in rules.image_type:
        if hit := sorted(tokens & values):
            return _Says("ImageType", kind, f"ImageType holds {hit[0]}", _family(kind))
    return None


def _by_tags(frame: Frame, rules: SequenceRules) -> _Says | None:
    if frame.b_value is not None and frame.b_value > 0:
        return _Says("tag", ImageKind.DWI, f"b-value {frame.b_value:g} s/mm2", frozenset((ImageKind.ADC,)))
    kind = rules.contrast.get(frame.sequence.contrast)
    if kind is None:
        return None
    return _Says("tag", kind, f"AcquisitionContrast is {frame.sequence.contrast}", _family(kind))


def _by_words(frame: Frame, rules: SequenceRules, *, only: frozenset[ImageKind] | None = None) -> _Says | None:
    tags = frame.phase_tags
    sources: tuple[tuple[str, str, tuple[tuple[ImageKind, re.Pattern[str]], ...]], ...] = (
        ("SeriesDescription", tags.series_description, rules.words),
        ("SequenceName", frame.sequence.name, rules.names),
        ("ProtocolName", tags.protocol_name, rules.words),
    )
    for source, text, patterns in sources:
        plain = plain_text(text)
        for kind, pattern in patterns:
            if (only is None or kind in only) and (match := pattern.search(plain)) is not None:
                return _Says("words", kind, f'{source} contains "{_quoted(match.group())}"', _family(kind))
    return None


def _quoted(text: str) -> str:
    """The words that a pattern found, without what lies between the first and the last: that may be anything."""
    parts = [part for part in re.split(r"[ _-]+", text) if part]
    return " ".join(parts) if len(parts) < 3 else f"{parts[0]} ... {parts[-1]}"


def _family(kind: ImageKind) -> frozenset[ImageKind]:
    """What a word or a tag for a kind does not exclude: T1 says nothing of dynamic or Dixon."""
    if kind in (ImageKind.T1, ImageKind.T1_DYNAMIC):
        return _T1_FAMILY
    if kind is ImageKind.T2:
        return frozenset((ImageKind.MRCP,))
    if kind is ImageKind.DWI:
        return frozenset((ImageKind.ADC,))
    return frozenset()


def _by_echo(frame: Frame, rules: SequenceRules, siblings_ms: Sequence[float]) -> _Says | None:
    """In or opposed phase, of two echoes of one sequence (G: fat and water differ by 3.4 ppm)."""
    own = echo_phase(frame, rules)
    others = {
        _phase_of_echo(ms, frame.sequence.field_t, rules) for ms in siblings_ms if ms != frame.echo_ms
    } - {None, own}  # fmt: skip
    if own is None or not others or _is_fat_suppressed(frame) or "GR" not in frame.sequence.scanning:
        return None
    detail = f"echo time {frame.echo_ms:g} ms at {frame.sequence.field_t:g} T, beside another echo"
    return _Says("echo", own, detail, frozenset())


def echo_phase(frame: Frame, rules: SequenceRules) -> ImageKind | None:
    """IN_PHASE or OPPOSED_PHASE by echo time and field strength; None when neither, or not known."""
    return None if frame.echo_ms is None else _phase_of_echo(frame.echo_ms, frame.sequence.field_t, rules)


def _phase_of_echo(echo_ms: float, field_t: float | None, rules: SequenceRules) -> ImageKind | None:
    if field_t is None:
        return None
    periods = echo_ms * field_t * rules.shift_hz_per_t / 1000
    if not 1 - rules.echo_tolerance <= 2 * periods <= 2 * _HIGHEST_ECHO + 1:
        return None
    off = periods % 1
    if min(off, 1 - off) <= rules.echo_tolerance:
        return ImageKind.IN_PHASE
    return ImageKind.OPPOSED_PHASE if abs(off - 1 / 2) <= rules.echo_tolerance else None


def _by_parameters(frame: Frame, rules: SequenceRules) -> _Says | None:
    rule = next((r for r in rules.parameters if _fits(frame, r)), None)
    if rule is None:
        return None
    own = frame.sequence
    parts = [
        f"ScanningSequence {' '.join(own.scanning)}" if own.scanning else "",
        "" if own.repetition_ms is None else f"TR {own.repetition_ms:g} ms",
        "" if frame.echo_ms is None else f"TE {frame.echo_ms:g} ms",
        "fat suppressed" if _is_fat_suppressed(frame) else "",
    ]
    return _Says("parameters", rule.kind, ", ".join(p for p in parts if p), frozenset(rule.allows))


def _fits(frame: Frame, rule: ParameterRule) -> bool:
    own = frame.sequence
    echo_ms, repetition_ms = frame.echo_ms, own.repetition_ms
    if rule.scanning and rule.scanning.isdisjoint(own.scanning):
        return False
    if rule.fat_suppressed and not _is_fat_suppressed(frame):
        return False
    if (rule.echo_from_ms > 0 or rule.echo_below_ms < float("inf")) and echo_ms is None:
        return False
    if rule.repetition_below_ms < float("inf") and repetition_ms is None:
        return False
    return rule.echo_from_ms <= (echo_ms or 0) < rule.echo_below_ms and (repetition_ms or 0) < rule.repetition_below_ms


def _is_fat_suppressed(frame: Frame) -> bool:
    return not _FAT_SUPPRESSION.isdisjoint(frame.sequence.options)
