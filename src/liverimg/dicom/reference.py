"""Which volume of a study is segmented, and which one serves each further role; a person's choice comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from liverimg.core.errors import InputRefusedError, UsageError
from liverimg.core.study import Confidence, ImageKind, Modality, Phase, Role, RoleChoice, Series, Study
from liverimg.dicom.codes import Flag
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.sequence import PHASED

_NO_SIGNAL: Final = frozenset((Flag.SUBTRACTION, Flag.NOT_MAGNITUDE, Flag.FAT_OR_PHASE_SHIFTED))
_FIT_FOR_OUTLINES: Final = PHASED | {ImageKind.DIXON_WATER}
_SURENESS: Final = tuple(Confidence)


def choose_reference(study: Study, rules: PhaseRules) -> Series:
    """The series that liver and tumours are outlined on.

    Criteria, the first that tells two series apart decides: covers a liver's extent, CT or T1-weighted rather than
    another kind, modality, phase, sureness of it, no unsuitable kernel, original rather than derived, thin slices,
    long, UID.

    Args:
        study: As ingested.
        rules: Preference order and words, from ``phases.toml``.

    Raises:
        InputRefusedError: The study has no usable volume.
    """
    if not study.series:
        raise InputRefusedError(
            "the study holds no usable CT or MR volume, expected at least one: see the table of what was rejected"
        )
    return min(study.series, key=lambda series: _rank(series, rules))


def extent_mm(series: Series) -> float:
    """Length of the volume along its slices' normal."""
    return float(series.grid.shape[0] * series.grid.spacing_mm[0])


def chosen_by_person(study: Study, use: Mapping[str, str]) -> dict[Role, int]:
    """Which series a person wants in which role, as indices into the study.

    Args:
        study: With numbered series.
        use: Number or SeriesInstanceUID of a volume, by name of the role.

    Raises:
        UsageError: No such role or series, or a series UID that several volumes share.
    """
    chosen = {}
    for name, which in use.items():
        if name not in set(Role):
            raise UsageError(f"there is no role {name!r}; expected one of: {', '.join(Role)}")
        wanted = str(which).removeprefix("#")
        fitting = [
            n
            for n, s in enumerate(study.series)
            if wanted == s.series_instance_uid or (wanted.isdecimal() and int(wanted) == s.number)
        ]
        if not fitting:
            raise UsageError(
                f"the role {name} was given to {wanted!r}, which is no volume of this study that can be used: inspect "
                "the study for numbers and series UIDs"
            )
        if len(fitting) > 1:
            numbers = ", ".join(str(study.series[n].number) for n in fitting)
            raise UsageError(
                f"the role {name} was given to a series that holds {len(fitting)} volumes: name one of them by its "
                f"number ({numbers})"
            )
        chosen[Role(name)] = fitting[0]
    return chosen


def with_roles(
    study: Study, rules: PhaseRules, *, reference: Series | None, chosen: Mapping[Role, int] | None = None
) -> Study:
    """The study with a volume for each role that one can serve, and a warning where a person chose against the phase.

    Args:
        study: As ingested.
        rules: Which phases serve which role.
        reference: Of the rules, or of labels that lie on it; None when the study has no volume.
        chosen: By a person: index by role.
    """
    by_person = chosen or {}
    roles: list[RoleChoice] = []
    warnings: list[str] = []
    for role in Role:
        if role in by_person:
            index = by_person[role]
            roles.append(RoleChoice(role, index, by_person=True, reason="named by a person"))
            warnings += _against_its_phase(role, study.series[index], rules)
        elif role is Role.REFERENCE and reference is not None:
            roles.append(_by_rules(role, study.series.index(reference), study.series))
        elif (index_found := _best_for(role, study.series, roles, rules)) is not None:
            roles.append(_by_rules(role, index_found, study.series))
    return replace(study, roles=tuple(roles), warnings=(*study.warnings, *warnings))


def _best_for(role: Role, series: Sequence[Series], roles: Sequence[RoleChoice], rules: PhaseRules) -> int | None:
    phases = rules.roles.get(role, ())
    fitting = [n for n, one in enumerate(series) if one.phase in phases]
    if not fitting:
        return None
    reference = next((series[c.series] for c in roles if c.role is Role.REFERENCE), None)
    # Beside the reference only what can be compared with it.
    alike = [n for n in fitting if reference is None or series[n].modality is reference.modality]
    return min(alike or fitting, key=lambda n: (phases.index(series[n].phase), _rank(series[n], rules)))


def _by_rules(role: Role, index: int, series: Sequence[Series]) -> RoleChoice:
    one = series[index]
    same = sum(other.phase is one.phase and other.modality is one.modality for other in series)
    phase = f"{one.phase.value.replace('_', ' ')} phase" if one.phase is not Phase.UNKNOWN else "phase unknown"
    among = f", best of {same} such volumes" if same > 1 else ""
    thick_mm = float(one.grid.spacing_mm[0])
    return RoleChoice(role, index, False, f"{one.modality.value}, {phase} ({one.phase_confidence.value} confidence), "
                      f"slices {thick_mm:.2f} mm apart{among}")  # fmt: skip


def _against_its_phase(role: Role, series: Series, rules: PhaseRules) -> list[str]:
    if role is Role.REFERENCE or series.phase is Phase.UNKNOWN or series.phase in rules.roles.get(role, ()):
        return []
    return [
        f"A person gave the role {role.value.replace('_', ' ')} to volume {series.number}, which the study calls "
        f"{series.phase.value.replace('_', ' ')} ({series.phase_confidence.value} confidence)."
    ]


def _rank(series: Series, rules: PhaseRules) -> tuple[object, ...]:
    order = rules.reference.get(series.modality, ())
    modalities = list(rules.reference)
    phase: Phase = series.phase
    modality: Modality = series.modality
    return (
        extent_mm(series) < rules.enough_extent_mm,
        series.kind not in _FIT_FOR_OUTLINES or not _NO_SIGNAL.isdisjoint(series.flags),
        modalities.index(modality) if modality in modalities else len(modalities),
        order.index(phase) if phase in order else len(order),
        _SURENESS.index(series.phase_confidence),
        bool(rules.unsuitable_words.search(series.description)),
        Flag.DERIVED_IMAGE in series.flags,
        round(float(series.grid.spacing_mm[0]), 2),
        -extent_mm(series),
        series.series_instance_uid,
        series.sop_instance_uids,
    )
