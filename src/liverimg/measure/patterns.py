"""Patterns of enhancement: arterial hyperenhancement, washout, capsule, each with an honest third answer.

Definitions follow LI-RADS v2018 (a reader's category is never derived). *Hyperenhancement*: brighter than the liver
in the late arterial phase, and risen from the unenhanced one; in the centre (non-rim) or in the outer part only
(rim). *Washout*: darker than the liver in the portal venous or delayed phase, after having been no darker in the
arterial phase, by a fall of its own. *Capsule*: a thin shell brighter than both sides. "Cannot tell" is given when
noise, motion between phases or an unsure outline is as large as what was to be seen, and when a phase is missing
without which the pattern is not proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np

from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, NotMeasured
from liverimg.core.study import Phase
from liverimg.measure.band import surface_error_mm
from liverimg.measure.reading import Level, Parts, Scale
from liverimg.measure.region import Region
from liverimg.measure.states import Answer, above, between, state
from liverimg.measure.subject import Body, Subject

HYPERENHANCEMENT = "arterial_hyperenhancement"
WASHOUT = "washout"
CAPSULE = "enhancing_capsule"
PATTERNS = (HYPERENHANCEMENT, WASHOUT, CAPSULE)
_NONE, _RIM, _NON_RIM = 0, 1, 2


def hyperenhancement(
    subject: Subject, body: Body, region: Region, parts: Mapping[Phase, Parts], scale: Scale
) -> Measured:
    """Arterial hyperenhancement: none, of the rim only, or of the centre too."""
    lesion = subject.lesion.id
    phase = Phase.ARTERIAL if Phase.ARTERIAL in parts else Phase.EARLY_ARTERIAL
    if phase not in parts:
        return NotMeasured(HYPERENHANCEMENT, lesion, _why_missing(region, Phase.ARTERIAL))
    rules = body.settings.enhancement
    if region.images[phase].doubt_mm >= region.deepest_mm:
        return NotMeasured(HYPERENHANCEMENT, lesion, _too_unsure(phase))
    now, before = parts[phase], parts.get(Phase.UNENHANCED)
    answers = {}
    for part in ("core", "shell"):
        contrast = scale.against(getattr(now, part), now.ring)
        brighter = above(contrast.value, scale.contrast, half=contrast.half)
        answers[part] = _and(brighter, _rises(getattr(now, part), getattr(before, part, None), scale))
    notes = [] if before else ["no unenhanced phase shows whether the lesion was bright before"]
    if phase is Phase.EARLY_ARTERIAL:
        notes.append("early arterial phase, in which tumours may not yet enhance")
    small = region.deepest_mm < rules.rim_least_mm
    if small:
        notes.append("too small to tell a rim from the rest")
    possible = {_pattern(core, shell) for core, shell in product(answers["core"].possible, answers["shell"].possible)}
    likely = _pattern(answers["core"].likely, answers["shell"].likely)
    if small and possible & {_RIM, _NON_RIM}:
        possible |= {_RIM, _NON_RIM}
    if phase is Phase.EARLY_ARTERIAL:
        possible |= {_RIM, _NON_RIM}
    centre, outer = scale.against(now.core, now.ring), scale.against(now.shell, now.ring)
    words = (
        f"{phase_words(phase)} phase against the liver around: centre {_signed(centre, scale)}, outer part "
        f"{_signed(outer, scale)}; counts from {scale.contrast:g} {scale.unit}, and from a rise of "
        f"{scale.least:g} to {scale.sure:g} {scale.unit}"
    )
    return state(
        HYPERENHANCEMENT,
        lesion,
        likely,
        possible,
        method="; ".join([words, *notes]),
        sources=sources_of(region, (Phase.UNENHANCED, phase), body),
    )


def washout(subject: Subject, body: Body, region: Region, parts: Mapping[Phase, Parts], scale: Scale) -> Measured:
    """Washout in the portal venous or the delayed phase: none, of the outer part only, or of the centre too."""
    lesion = subject.lesion.id
    # With a liver-specific agent the liver takes up contrast from the transitional phase on, which looks like washout.
    specific = Phase.HEPATOBILIARY in body.phases
    phases = (Phase.PORTAL_VENOUS,) if specific else (Phase.PORTAL_VENOUS, Phase.DELAYED)
    late = [phase for phase in phases if phase in parts]
    if not late:
        return NotMeasured(WASHOUT, lesion, _why_missing(region, Phase.PORTAL_VENOUS))
    if all(region.images[phase].doubt_mm >= region.deepest_mm for phase in late):
        return NotMeasured(WASHOUT, lesion, _too_unsure(late[-1]))
    early = parts.get(Phase.ARTERIAL)
    seen: dict[str, Answer] = {}
    for part in ("core", "shell"):
        each = [_washes_out(part, parts[phase], early, scale) for phase in late]
        certain = Answer.YES in each or all(answer is Answer.NO for answer in each)
        seen[part] = Answer.of(any(answer.likely for answer in each), certain=certain)
    possible = {_pattern(core, shell) for core, shell in product(seen["core"].possible, seen["shell"].possible)}
    likely = _pattern(seen["core"].likely, seen["shell"].likely)
    if region.deepest_mm < body.settings.enhancement.rim_least_mm and possible & {_RIM, _NON_RIM}:
        possible |= {_RIM, _NON_RIM}
    # A pattern proven in one phase stays proven; a phase that is missing may have shown one.
    if likely == _NONE and not specific and Phase.DELAYED not in parts:
        possible |= {_RIM, _NON_RIM}
    words = [f"{phase_words(p)} {_signed(scale.against(parts[p].core, parts[p].ring), scale)}" for p in late]
    notes = [] if early else ["no arterial phase shows whether the lesion was brighter before"]
    if specific:
        notes.append("liver-specific agent: portal venous phase only")
    method = f"centre against the liver around: {', '.join(words)}; counts from {-scale.contrast:g} {scale.unit}"
    return state(
        WASHOUT,
        lesion,
        likely,
        possible,
        method="; ".join([f"{method}, after a fall as large from the arterial phase", *notes]),
        sources=sources_of(region, (Phase.ARTERIAL, *late), body),
    )


def _washes_out(part: str, now: Parts, early: Parts | None, scale: Scale) -> Answer:
    late = scale.against(getattr(now, part), now.ring)
    darker = above(-late.value, scale.contrast, half=late.half)
    if early is None:
        return _and(darker, Answer.RATHER_YES)
    before = scale.against(getattr(early, part), early.ring)
    fall = before.less(late)
    # What was dark all the time has washed nothing out.
    not_dark = _not(above(-before.value, scale.contrast, half=before.half))
    return _and(_and(darker, not_dark), above(fall.value, scale.contrast, half=fall.half))


def capsule(subject: Subject, body: Body, region: Region, parts: Mapping[Phase, Parts], scale: Scale) -> Measured:
    """A thin shell near the surface that is brighter than the centre and the liver outside.

    The levels of layers around the surface are compared, in each late phase whose slices and place are fine enough.
    A capsule may be thinner than a voxel, so its absence is never certain.
    """
    lesion = subject.lesion.id
    late = [p for p in (Phase.DELAYED, Phase.PORTAL_VENOUS) if p in parts]
    if not late:
        return NotMeasured(CAPSULE, lesion, _why_missing(region, Phase.PORTAL_VENOUS))
    reach_mm = body.settings.enhancement.capsule_mm
    error_mm = surface_error_mm(subject.quality, Structure.TUMOUR)
    pitches_mm = {p: float(region.images[p].volume.grid.spacing_mm.max()) for p in late}
    blurs_mm = {p: region.images[p].doubt_mm + error_mm for p in late}
    fine = [p for p in late if pitches_mm[p] <= reach_mm and blurs_mm[p] <= reach_mm / 2]
    if not fine:
        phase = min(late, key=lambda p: pitches_mm[p] + blurs_mm[p])
        return NotMeasured(
            CAPSULE,
            lesion,
            f"a capsule is thinner than what slices of {pitches_mm[phase]:.1f} mm and a place known to "
            f"{blurs_mm[phase]:.1f} mm show",
        )
    over = {p: _capsule_over(region, parts[p], p, reach_mm, body.settings.enhancement.guard, scale) for p in fine}
    answers = {p: _and(*(above(level.value, scale.contrast, half=level.half) for level in over[p])) for p in fine}
    seen = [p for p in fine if answers[p] is Answer.YES]
    phase = (seen or fine)[0]
    outside, inside = over[phase]
    words = (
        f"brightest layer within {reach_mm:g} mm of the surface, {phase_words(phase)} phase: {_signed(outside, scale)} "
        f"against the liver, {_signed(inside, scale)} against the centre; counts from {scale.contrast:g} {scale.unit} "
        "on both; a capsule thinner than a voxel may be missed"
    )
    possible = (1,) if seen else (0, 1)
    likely = int(any(answer.likely for answer in answers.values()))
    return state(CAPSULE, lesion, likely, possible, method=words, sources=sources_of(region, (phase,), body))


def _capsule_over(
    region: Region, parts: Parts, phase: Phase, reach_mm: float, guard: float, scale: Scale
) -> tuple[Level, Level]:
    """The brightest layer around the surface against the liver and against the lesion's centre."""
    values, thick_mm = region.values[phase], float(region.grid.spacing_mm.min())
    edges = np.arange(-reach_mm, reach_mm + thick_mm, thick_mm)
    layers = [(region.depth_mm >= low) & (region.depth_mm < low + thick_mm) & np.isfinite(values) for low in edges]
    levels = [
        Level(float(values[layer].mean()), guard * region.standard_error(phase, layer))
        for layer in layers
        if layer.any()
    ]
    rim = max(levels, key=lambda level: level.value)
    return scale.against(rim, parts.ring), scale.against(rim, parts.core)


def _pattern(core: bool, shell: bool) -> int:
    return _NON_RIM if core else _RIM if shell else _NONE


def _rises(now: Level, before: Level | None, scale: Scale) -> Answer:
    if before is None:
        return Answer.RATHER_YES
    rise = scale.against(now, before)
    return between(rise.value, scale.least, scale.sure, half=rise.half)


def _and(one: Answer, other: Answer) -> Answer:
    if Answer.NO in (one, other):
        return Answer.NO
    return Answer.of(one.likely and other.likely, certain=one is Answer.YES and other is Answer.YES)


def _not(answer: Answer) -> Answer:
    return Answer.of(not answer.likely, certain=len(answer.possible) == 1)


def _why_missing(region: Region, phase: Phase) -> str:
    image = region.images.get(phase)
    if image is None:
        return f"the study has no series known to be of the {phase_words(phase)} phase"
    return image.why_not or f"the {phase_words(phase)} phase can't be read around this lesion"


def _too_unsure(phase: Phase) -> str:
    return f"the {phase_words(phase)} phase may have moved by more than the lesion's own radius"


def phase_words(phase: Phase) -> str:
    """A phase's name in words."""
    return phase.value.replace("_", " ")


def _signed(level: Level, scale: Scale) -> str:
    return f"{level.value:+.0f} ± {level.half:.0f} {scale.unit}"


def sources_of(region: Region, phases: tuple[Phase, ...], body: Body) -> tuple[str, ...]:
    """Series UIDs of the phases, those of the study where a phase has none."""
    found = [region.images[p].source for p in phases if p in region.images and region.images[p].source]
    return tuple(dict.fromkeys(found)) or body.sources
