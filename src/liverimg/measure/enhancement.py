"""How a lesion takes up contrast, phase by phase: inputs for a reader, never a category.

Attenuation (CT) and change against the unenhanced phase, contrast against the liver 5 to 15 mm around, and from them
three patterns: arterial hyperenhancement, washout, capsule. Every pattern has an honest third answer. It is given
when noise, motion between phases or an unsure outline is as large as what was to be seen, or when a phase is missing
without which the pattern is not proven. Definitions follow LI-RADS v2018; no category is derived.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from liverimg.core.labels import Structure
from liverimg.core.measurement import EvidencePoint, Measured, Measurement, NotMeasured
from liverimg.core.study import Phase
from liverimg.measure.band import evidence, surface_error_mm
from liverimg.measure.oil import measure_oil, oil_in_the_way
from liverimg.measure.patterns import PATTERNS, capsule, hyperenhancement, phase_words, sources_of, washout
from liverimg.measure.reading import Level, Parts, Scale, read_phase
from liverimg.measure.region import Region
from liverimg.measure.subject import Body, Subject
from liverimg.measure.viable import measure_viable

_ENHANCED = (Phase.EARLY_ARTERIAL, Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED, Phase.HEPATOBILIARY)
_EXPECTED = (Phase.UNENHANCED, Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED)


def measure_enhancement(subject: Subject, body: Body) -> list[Measured]:
    """Levels and contrasts in each phase, patterns, retained oil and what is viable; nothing without phases."""
    if not body.phases or body.image is None:
        return []
    lesion = subject.lesion.id
    if subject.outside:
        reason = "the lesion lies outside the liver, so there is no liver around it to compare with"
        return [NotMeasured(name, lesion, reason) for name in PATTERNS]
    rules = body.settings.enhancement
    scale = Scale.of(body.image.quantity, rules)
    region = Region.of(subject, body)
    error_mm = surface_error_mm(subject.quality, Structure.TUMOUR)
    read = {phase: read_phase(region, phase, rules, error_mm=error_mm) for phase in region.images}
    parts = {phase: found for phase, found in read.items() if isinstance(found, Parts)}
    found = [*_levels(subject, body, region, read, scale)]
    oil = oil_in_the_way(region, parts, scale, rules)
    if oil:
        found += [NotMeasured(name, lesion, oil) for name in PATTERNS]
    else:
        found += [pattern(subject, body, region, parts, scale) for pattern in (hyperenhancement, washout, capsule)]
    found += measure_oil(subject, body, region)
    found += measure_viable(subject, body, region, scale, oil=oil)
    return found


def _levels(
    subject: Subject, body: Body, region: Region, read: Mapping[Phase, Parts | str], scale: Scale
) -> list[Measured]:
    lesion, found = subject.lesion, list[Measured]()
    hounsfield = scale.unit == "HU"
    prefix = "" if hounsfield else "relative_"
    where = (evidence("centroid", lesion.centroid_lps_mm),)
    before = read.get(Phase.UNENHANCED)
    for phase in [p for p in Phase if p in _EXPECTED or p in read]:
        wanted = [f"{prefix}contrast_to_liver_{phase}"]
        wanted += [f"attenuation_{phase}"] if hounsfield else []
        wanted += [f"{prefix}enhancement_{phase}"] if phase in _ENHANCED else []
        parts = read.get(phase, f"the study has no series known to be of the {phase_words(phase)} phase")
        if isinstance(parts, str):
            found += [NotMeasured(name, lesion.id, parts) for name in wanted]
            continue
        sources = sources_of(region, (phase,), body)
        moved = _moved(region, (phase,))
        contrast = scale.against(parts.whole, parts.ring)
        words = f"lesion without its border less the liver around it{_as_share(scale)}{moved}"
        found.append(_measurement(wanted[0], lesion.id, contrast, scale.unit, words, where, sources))
        if hounsfield:
            words = f"mean of the lesion without its border voxels{moved}"
            found.append(_measurement(f"attenuation_{phase}", lesion.id, parts.whole, "HU", words, where, sources))
        if phase in _ENHANCED:
            name = wanted[-1]
            if not isinstance(before, Parts):
                reason = before or "the study has no series known to be unenhanced, which a rise is counted from"
                found.append(NotMeasured(name, lesion.id, reason))
                continue
            rise = scale.against(parts.whole, before.whole)
            words = f"rise of the lesion's mean from the unenhanced phase{_as_share(scale)}{moved}"
            both = sources_of(region, (Phase.UNENHANCED, phase), body)
            found.append(_measurement(name, lesion.id, rise, scale.unit, words, where, both))
    return found


def _measurement(
    name: str,
    target: str,
    level: Level,
    unit: str,
    words: str,
    where: tuple[EvidencePoint, ...],
    sources: tuple[str, ...],
) -> Measured:
    if not np.isfinite(level.half):
        return NotMeasured(name, target, "the signal is no more than its noise")
    low, high = level.value - level.half, level.value + level.half
    return Measurement(name, target, level.value, unit, low, high, words, where, sources)


def _as_share(scale: Scale) -> str:
    return "" if scale.unit == "HU" else ", in per cent of it"


def _moved(region: Region, phases: tuple[Phase, ...]) -> str:
    moved = [float(np.linalg.norm(region.images[p].shift_lps_mm)) for p in phases if not region.images[p].is_reference]
    doubt = max((region.images[p].doubt_mm for p in phases), default=0.0)
    return f"; moved by {max(moved):.1f} mm onto the labels, known to {doubt:.1f} mm" if moved else ""
