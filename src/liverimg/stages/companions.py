"""Further phases of a study that a model may look at beside the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.study import Phase, Series, Study
from liverimg.core.volume import Volume
from liverimg.stages.artefacts import read_series, read_study, reference_index
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

    Of several the one with the finest widest spacing, so thin slices before thick ones.

    Args:
        study: What was ingested.
        reference: Index of the series that labels refer to.
        phases: What the model asks for; that of the reference itself is not looked for again.
        least_view: Share of the reference's view that a series has to show.
    """
    own = study.series[reference]
    chosen: dict[Phase, int] = {}
    for index, series in enumerate(study.series):
        wanted = series.phase in phases and series.phase is not own.phase and index != reference
        if not wanted or not _beside(series, own) or _shared_view(own.grid, series.grid) < least_view:
            continue
        before = chosen.get(series.phase)
        if before is None or _fineness(series) < _fineness(study.series[before]):
            chosen[series.phase] = index
    return {phase: chosen[phase] for phase in phases if phase in chosen}


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
