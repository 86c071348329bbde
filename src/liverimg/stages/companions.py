"""Further phases of a study that a model may look at beside the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.study import ImageKind, Modality, Phase, Role, Series, Study
from liverimg.core.volume import Volume
from liverimg.measure.phases import PhaseImage
from liverimg.stages.artefacts import read_series, read_study, reference_index
from liverimg.stages.phase_looks import read_final_study
from liverimg.workspace import Workspace

_SAMPLES = 12


def read_companions(workspace: Workspace, phases: Sequence[Phase], *, least_view: float) -> dict[Phase, Volume]:
    """One volume for each phase that the study has and the model can use.

    Args:
        workspace: After ingest.
        phases: What the model asks for.
        least_view: Share of the reference's view that a series has to show.
    """
    chosen = choose_companions(read_study(workspace), reference_index(workspace), phases=phases, least_view=least_view)
    return {phase: read_series(workspace, index)[1] for phase, index in chosen.items()}


def choose_companions(study: Study, reference: int, *, phases: Sequence[Phase], least_view: float) -> dict[Phase, int]:
    """Which series stands for each phase: same modality, same frame of reference, enough of the same view.

    Of several the one with the finest widest spacing, so thin slices before thick ones; what a person named for the
    role goes before all.

    Args:
        study: What was ingested.
        reference: Index of the series that labels refer to.
        phases: What the model asks for; that of the reference itself is not looked for again.
        least_view: Share of the reference's view that a series has to show.
    """
    own = study.series[reference]
    named = _by_person(study)
    chosen: dict[Phase, int] = {}
    for index, series in enumerate(study.series):
        wanted = series.phase in phases and series.phase is not own.phase and index != reference
        if not wanted or not _beside(series, own) or _shared_view(own.grid, series.grid) < least_view:
            continue
        before = chosen.get(series.phase)
        if series.phase in named:
            continue
        if before is None or _fineness(series) < _fineness(study.series[before]):
            chosen[series.phase] = index
    for phase, index in named.items():
        series = study.series[index]
        if index != reference and _beside(series, own) and _shared_view(own.grid, series.grid) >= least_view:
            chosen[phase] = index
    return {phase: chosen[phase] for phase in phases if phase in chosen}


def _by_person(study: Study) -> dict[Phase, int]:
    """Volumes that a person gave the role of a phase."""
    phases = {phase.value for phase in Phase}
    return {Phase(c.role.value): c.series for c in study.roles if c.by_person and c.role.value in phases}


def read_phases(
    workspace: Workspace, *, least_view: float, reference_volume: Volume | None = None
) -> tuple[dict[Phase, PhaseImage], tuple[str, ...]]:
    """The study's images by contrast phase for measuring enhancement, the reference among them, and warnings.

    Args:
        workspace: After ingest.
        least_view: Share of the reference's view that a series has to show.
        reference_volume: The reference where it was read already; else it is read.
    """
    study, reference = read_final_study(workspace), reference_index(workspace)
    chosen, warnings = choose_phases(study, reference, least_view=least_view)
    found = {}
    for phase, index in chosen.items():
        if index == reference and reference_volume is not None:
            volume = reference_volume
        else:
            _, volume = read_series(workspace, index)
        uid = study.series[index].series_instance_uid
        found[phase] = PhaseImage(volume, is_reference=index == reference, source=uid)
    return found, warnings


def choose_phases(study: Study, reference: int, *, least_view: float) -> tuple[dict[Phase, int], tuple[str, ...]]:
    """Which series stands for each phase of the study, and what had to be left out.

    What ingest or a person gave a role comes first; a phase without a role is looked for among the rest. On MR only
    images of one kind of sequence are compared, because signals of different sequences have nothing in common.
    """
    own = study.series[reference]
    warnings = []
    by_role: dict[Phase, int] = {}
    for choice in study.roles:
        series = study.series[choice.series]
        if choice.role is Role.REFERENCE or choice.series == reference or Phase(choice.role) is own.phase:
            continue
        if not _beside(series, own) or _shared_view(own.grid, series.grid) < least_view:
            warnings.append(
                f"The {choice.role.replace('_', ' ')} series lies in another frame of reference than the measured one, "
                "or shows too little of what it shows; enhancement is not measured on it."
            )
        elif not _comparable(series, own):
            warnings.append(
                f"The {choice.role.replace('_', ' ')} series is of another kind of sequence than the measured one; "
                "enhancement is not measured on it."
            )
        else:
            by_role[Phase(choice.role)] = choice.series
    named = {Phase(choice.role) for choice in study.roles if choice.role is not Role.REFERENCE}
    rest = [phase for phase in Phase if phase not in named and phase is not Phase.UNKNOWN]
    others = choose_companions(study, reference, phases=rest, least_view=least_view)
    others = {phase: index for phase, index in others.items() if _comparable(study.series[index], own)}
    return {own.phase: reference, **by_role, **others}, tuple(warnings)


def _comparable(series: Series, reference: Series) -> bool:
    if reference.modality is Modality.CT:
        return True
    unnamed = ImageKind.UNKNOWN in (series.kind, reference.kind)
    alike = {ImageKind.T1, ImageKind.T1_DYNAMIC}
    return unnamed or series.kind is reference.kind or {series.kind, reference.kind} <= alike


def _beside(series: Series, reference: Series) -> bool:
    frame = reference.grid.frame_of_reference_uid
    same_frame = frame is not None and frame == series.grid.frame_of_reference_uid
    return same_frame and series.modality is reference.modality


def _fineness(series: Series) -> tuple[float, str]:
    return round(float(series.grid.spacing_mm.max()), 3), series.series_instance_uid


def _shared_view(grid: Grid, other: Grid) -> float:
    """Share of one grid's box of space that another's covers, on a lattice of points."""
    axes = [np.linspace(0, n - 1, _SAMPLES) for n in grid.shape]
    points = grid.index_to_lps_mm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    index = other.lps_mm_to_index(points)
    inside = (index >= -0.5) & (index <= np.asarray(other.shape) - 0.5)
    return float(inside.all(axis=-1).mean())
