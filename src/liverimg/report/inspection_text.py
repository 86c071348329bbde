"""How a volume is put into words: its phase or kind, its time, its slices, its use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liverimg.core.inspection import AcquiredSlices, ListedSeries
from liverimg.core.study import Confidence, ImageKind, Modality, Phase, Role, RoleChoice, Series
from liverimg.report.text import Strings, say

# Distances that differ by less are called even; what thickness lacks or exceeds by less is no gap and no overlap.
_SAME_MM = 0.05


def phase_or_kind(series: Series, strings: Strings) -> str:
    """The phase where there is one; for MR the kind as well."""
    phase = say(strings, f"phase.{series.phase.value}")
    if series.modality is Modality.CT and series.kind in (ImageKind.CT, ImageKind.UNKNOWN):
        return phase
    kind = say(strings, f"kind.{series.kind.value}")
    if series.phase is not Phase.UNKNOWN:
        return f"{kind}, {phase}" if series.kind is not ImageKind.UNKNOWN else phase
    return f"{kind}, {phase}" if may_have_phase(series) else kind


def may_have_phase(series: Series) -> bool:
    """Whether a contrast phase belongs to what the values show: CT, and dynamic or unnamed MR."""
    if series.modality is Modality.CT:
        return series.kind is not ImageKind.CT_DERIVED
    return series.kind in (ImageKind.T1_DYNAMIC, ImageKind.UNKNOWN)


def sureness(series: Series) -> Confidence:
    """How sure what :func:`phase_or_kind` says is; NONE when it says that the phase is unknown."""
    if series.phase is not Phase.UNKNOWN:
        return series.phase_confidence
    return Confidence.NONE if may_have_phase(series) else series.kind_confidence


def evidence_sentences(series: Series, strings: Strings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sentences for the phase that was taken, and sentences that name another one."""
    agreeing, against = [], []
    for one in series.phase_evidence:
        if one.says in (series.phase, Phase.UNKNOWN) or series.phase in one.allows:
            agreeing.append(say(strings, "volume.agrees", source=one.source, detail=one.detail))
        else:
            phase = say(strings, f"phase.{one.says.value}")
            against.append(say(strings, "volume.disagrees", source=one.source, phase=phase, detail=one.detail))
    return tuple(agreeing), tuple(against)


def series_number(uid: str, listed: Mapping[str, ListedSeries], strings: Strings) -> str:
    """The scanner's number of a series, or a mark that it has none."""
    number = listed[uid].number if uid in listed else None
    return say(strings, "volume.series_unknown") if number is None else str(number)


def time_text(series: Series, slices: AcquiredSlices, strings: Strings) -> str:
    """Seconds after injection where known, else after the first volume of the study."""
    after_s = slices.after_injection_s
    if after_s is not None:
        key = "time.after_injection" if after_s >= 0 else "time.before_injection"
        return say(strings, key, seconds=f"{abs(after_s):.0f}")
    if series.time_s is None:
        return say(strings, "time.unknown")
    if round(series.time_s) == 0:
        return say(strings, "time.first")
    return say(strings, "time.later", time=_duration(series.time_s, strings))


def _duration(seconds: float, strings: Strings) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return say(strings, "time.seconds", seconds=rest)
    return say(strings, "time.minutes", minutes=minutes, seconds=f"{rest:02d}")


def _mm(value_mm: float) -> str:
    """Two decimals at most."""
    return f"{value_mm:.2f}".rstrip("0").rstrip(".")


def gap_text(slices: AcquiredSlices, grid_gap_mm: float, strings: Strings) -> str:
    """Distance between slices as acquired; where uneven, also that of the volume that was made of them."""
    least, most = slices.least_gap_mm, slices.most_gap_mm
    if most - least <= _SAME_MM:
        return say(strings, "volume.gap_even", gap=_mm(grid_gap_mm))
    acquired = say(strings, "volume.gap_uneven", least=_mm(least), most=_mm(most))
    return f"{acquired}, {say(strings, 'volume.resampled', gap=_mm(grid_gap_mm))}"


def thickness_text(slices: AcquiredSlices, strings: Strings) -> str:
    """Slice thickness, and the gap or overlap that follows from it."""
    if slices.thickness_mm is None or slices.thickness_mm <= 0:
        return say(strings, "volume.thickness_unknown")
    said = say(strings, "volume.thickness", thickness=_mm(slices.thickness_mm))
    if slices.most_gap_mm - slices.thickness_mm > _SAME_MM:
        return f"{said}, {say(strings, 'volume.apart', apart=_mm(slices.most_gap_mm - slices.thickness_mm))}"
    if slices.thickness_mm - slices.least_gap_mm > _SAME_MM:
        return f"{said}, {say(strings, 'volume.overlap', overlap=_mm(slices.thickness_mm - slices.least_gap_mm))}"
    return said


def use_text(roles: Sequence[RoleChoice], strings: Strings) -> str:
    """Which roles the volume serves."""
    if not roles:
        return say(strings, "use.spare")
    named = ", ".join(say(strings, f"role.{c.role.value}") for c in roles if c.role is not Role.REFERENCE)
    if any(choice.role is Role.REFERENCE for choice in roles):
        return say(strings, "use.reference_role", role=named) if named else say(strings, "use.reference")
    return say(strings, "use.role", role=named)


def pixel_text(down_mm: float, across_mm: float, strings: Strings) -> str:
    """Size of a pixel, one number where it is square."""
    across, down = f"{across_mm:.2f}", f"{down_mm:.2f}"
    if across == down:
        return say(strings, "volume.pixel_square", across=across)
    return say(strings, "volume.pixel", across=across, down=down)
