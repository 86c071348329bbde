"""How much of a beam is blocked when what blocks is moved by its error: the bands of the window's shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray, Structure
from liverimg.measure.band import quadrature, surface_error_mm
from liverimg.measure.distances import to_other_side_mm
from liverimg.measure.skin import IndexArray
from liverimg.measure.subject import Body, Subject
from liverimg.measure.tissue import BLOCKING, Codes, Tissue, TissueGrid, drawn_error_mm
from liverimg.measure.window import PERCENT, PointBeam, Window, WindowSearch

_MARGIN_CELLS = 6  # around the beam, where the distance to what blocks is taken


@dataclass(frozen=True)
class Moved:
    """Blocked share of the best beam in percent, as drawn and with what blocks moved.

    Attributes:
        value: As drawn.
        low: With bone, gas and lung shrunk by their error.
        high: With them grown; rays that leave the view, and bowel where gas can't be seen, count as blocked.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class MovedShares:
    """The same for all that blocks together, and for each tissue that does.

    Attributes:
        whole: All together.
        by_cause: By tissue.
    """

    whole: Moved
    by_cause: Mapping[Tissue, Moved]


def moved_share(subject: Subject, body: Body, search: WindowSearch, window: Window) -> MovedShares:
    """The blocked share of the best beam with what blocks grown and shrunk by its error; mean over the target's points.

    Args:
        subject: The lesion.
        body: The study.
        search: What all lesions share.
        window: With a best entry.
    """
    tissue, quality = search.tissue, subject.quality
    error = quadrature(
        search.approach.settings.band_window * max(tissue.cell_mm, float(body.band_spacing_mm.max())),
        drawn_error_mm(quality, tissue, Structure.BONE, Structure.GAS, Structure.LUNG),
        surface_error_mm(quality, Structure.TUMOUR) / 2,
    )
    gaps = _Gaps.around(tissue, window.beams)
    each = [_moved_of(tissue, beam, gaps, error) for beam in window.beams]
    return MovedShares(_mean([whole for whole, _ in each]), {k: _mean([own[k] for _, own in each]) for k in BLOCKING})


def _moved_of(tissue: TissueGrid, beam: PointBeam, gaps: _Gaps, error: float) -> tuple[Moved, dict[Tissue, Moved]]:
    rays, cause = beam.rays, beam.causes
    gap, nearest = gaps.least(tissue, beam)
    blocked, surely = cause >= Tissue.BONE, gap <= -error
    grazing = ~blocked & (gap <= error)
    hidden = ~blocked & rays.unseen
    bowel = np.zeros(len(cause), dtype=bool)
    if not tissue.gas_seen:
        bowel = ~blocked & (rays.codes == Tissue.BOWEL).any(axis=1)
    around = _codes_around(tissue, nearest[grazing], error)
    by_cause = {}
    for kind in BLOCKING:
        more = hidden | (bowel & (kind is Tissue.GAS))
        more[grazing] |= (around == kind).any(axis=1)
        by_cause[kind] = _moved(cause == kind, (cause == kind) & surely, (cause == kind) | more)
    return _moved(blocked, blocked & surely, blocked | grazing | hidden | bowel), by_cause


def _moved(*kinds: BoolArray) -> Moved:
    return Moved(*(float(kind.mean()) * PERCENT for kind in kinds))


def _mean(shares: list[Moved]) -> Moved:
    return Moved(*(float(np.mean([getattr(s, end) for s in shares])) for end in ("value", "low", "high")))


@dataclass(frozen=True, eq=False)
class _Gaps:
    """Distance to what blocks around some beams, negative within it.

    Attributes:
        signed: On the tissue's cells.
        low: Index of the first of them.
    """

    signed: FloatArray
    low: IndexArray

    @classmethod
    def around(cls, tissue: TissueGrid, beams: tuple[PointBeam, ...]) -> _Gaps:
        """Takes the distance in the box around all rays."""
        ends = [beam.target + beam.rays.lengths_mm[:, None] * beam.directions for beam in beams]
        index = np.rint(tissue.grid.lps_mm_to_index(np.vstack([*ends, [beam.target for beam in beams]])))
        shape = np.array(tissue.grid.shape)
        low = np.clip(index.min(axis=0).astype(np.intp) - _MARGIN_CELLS, 0, shape - 1)
        high = np.clip(index.max(axis=0).astype(np.intp) + _MARGIN_CELLS + 1, 1, shape)
        codes = tissue.codes[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        signed = -to_other_side_mm(codes >= Tissue.BONE, tissue.grid.spacing_mm)
        # Distances run to the middle of the next cell, half a cell beyond the border: half of its widest side, so that
        # where cells are long nothing is called surely blocked or surely free too soon.
        nearer = np.maximum(np.abs(signed) - np.float32(tissue.grid.spacing_mm.max() / 2), 0)
        return cls(np.sign(signed) * nearer, low)

    def least(self, tissue: TissueGrid, beam: PointBeam) -> tuple[FloatArray, IndexArray]:
        """For each ray its least distance to what blocks, and the cell where that is."""
        along = (np.arange(int(beam.rays.ends.max())) + 0.5) * beam.rays.step_mm
        places = beam.target + along[:, None] * beam.directions[:, None]
        index = np.rint(tissue.grid.lps_mm_to_index(places)).astype(np.intp)
        inner = np.clip(index - self.low, 0, np.array(self.signed.shape) - 1)
        gaps = self.signed[inner[..., 0], inner[..., 1], inner[..., 2]]
        gaps[np.arange(len(along)) >= beam.rays.ends[:, None]] = np.inf
        best, rays = np.argmin(gaps, axis=1), np.arange(len(gaps))
        return np.asarray(gaps[rays, best], dtype=np.float64), index[rays, best]


def _codes_around(tissue: TissueGrid, cells: IndexArray, reach_mm: float) -> Codes:
    """Tissue in the cells around some cells, shape (n, m)."""
    half = np.ceil(reach_mm / tissue.grid.spacing_mm).astype(int) + 1
    offsets = np.stack(np.meshgrid(*[np.arange(-h, h + 1) for h in half], indexing="ij"), axis=-1).reshape(-1, 3)
    near = np.clip(cells[:, None] + offsets, 0, np.array(tissue.grid.shape) - 1)
    return np.asarray(tissue.codes[near[..., 0], near[..., 1], near[..., 2]])
