"""Ablation zones as a network draws them: one crop around the place of each treated lesion.

Only the zone's border comes from the network. Which lesion a zone belongs to, what hangs on it, what lives at its
border and what a reader must know are told as for zones drawn by rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from liverimg.core.boxes import Box
from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray, LabelMap, Structure
from liverimg.core.nearest import on_grid
from liverimg.core.study import Phase
from liverimg.core.volume import Volume
from liverimg.core.zone_view import ZoneView
from liverimg.core.zones import ZoneMap
from liverimg.measure.parts import counted_parts
from liverimg.measure.phases import PhaseImage
from liverimg.measure.zones.border import Patch, hanging_on
from liverimg.measure.zones.distance import level_of, signed_mm
from liverimg.measure.zones.finding import Search, looked_at
from liverimg.measure.zones.finish import Drawn, as_map, box_around, finished, nothing
from liverimg.measure.zones.rules import ZoneRules
from liverimg.measure.zones.site import Site, Treated
from liverimg.measure.zones.sorting import Group, Part, grouped, owners_of
from liverimg.registration.resample import sampled

FloatArray = NDArray[np.float32]

MODEL = "model"
_ROOM_MM = 25.0  # around the place of a lesion: the zone reaches beyond it, and liver beside the zone is to be seen
_LEVEL_GRID_MM = 4.0
_LEVEL_AWAY_MM = 20.0  # the living liver's level is read this far from every treated lesion
_FEWEST_VOXELS = 100
_QUIET_MM = 0.5  # as wide as the training's own sampling, so that fine noise does not alias


class ZoneModel(Protocol):
    """What draws."""

    @property
    def title(self) -> str:
        """Name and version."""

    @property
    def caution(self) -> str:
        """What every reader of a zone by it must know, one sentence."""

    @property
    def spacing_mm(self) -> float:
        """Of the isotropic voxels that it is shown."""

    @property
    def least_voxels(self) -> int:
        """Of a crop along each axis."""

    @property
    def multiple(self) -> int:
        """Of which a crop's voxels along each axis are a multiple."""

    @property
    def threshold(self) -> float:
        """Probability from which on a place belongs to the zone."""

    def probability(self, view: ZoneView) -> FloatArray:
        """That each voxel of a crop belongs to the zone."""

    def error_mm(self, view: ZoneView, probability: FloatArray) -> float:
        """Distance within which the border lies from the true one in 95 % of places, as it was measured."""


@dataclass(frozen=True, eq=False)
class _Opinion:
    """What the model says around one lesion."""

    probability: FloatArray = field(repr=False)
    grid: Grid
    error_mm: float


def find_zones_by_model(
    image: Volume,
    labels: LabelMap,
    phases: Mapping[Phase, PhaseImage],
    treated: Sequence[Treated],
    rules: ZoneRules,
    model: ZoneModel,
) -> ZoneMap:
    """Draws the zone of each treated lesion by a model, and by rule what still enhances at its border.

    Args:
        image: The later study's reference.
        labels: On its grid: the liver, and whatever else is known.
        phases: The later study's images by contrast phase, the reference among them.
        treated: The earlier study's lesions; the model is asked only where the place of one is known.
        rules: Constants.
        model: What draws.
    """
    seen = looked_at(image, labels, phases, treated, rules)
    if isinstance(seen, str):
        return nothing(labels, treated, seen)
    site, found = seen
    known = [lesion for lesion in treated if lesion.motion is not None]
    levels = _levels(site, known)
    opinions = {one.id: _opinion(site, one, known, levels, model) for one in known}
    mask = _highest(opinions.values(), found.grid) >= model.threshold
    parts = _parts(mask & found.liver, found.grid, rules.finding.least_ml)
    owners, absent = owners_of(parts, found.grid, treated, rules)
    groups = grouped(parts, owners, keep_others=False)
    drawn = [_drawn(site, found, group, treated, opinions, model) for group in groups]
    return as_map(
        site, labels, [zone for zone in drawn if zone is not None], treated, absent, origin=MODEL, model=model.title
    )


def _drawn(
    site: Site,
    found: Search,
    group: Group,
    treated: Sequence[Treated],
    opinions: Mapping[str, _Opinion],
    model: ZoneModel,
) -> Drawn | None:
    patch = Patch.of(site, box_around(group.mask, found.grid, site))
    mine = [opinions[name] for name in group.lesions if name in opinions]
    mask = (_highest(mine, patch.grid) >= model.threshold) & patch.liver
    mask = patch.film.told(mask)
    mask = hanging_on(on_grid(group.mask, found.grid, patch.grid), mask)
    error_mm = max((one.error_mm for one in mine), default=0.0)
    zone = finished(site, patch, mask, group, treated, error_mm=lambda _: error_mm)
    return None if zone is None else replace(zone, notes=(model.caution, *zone.notes))


def _parts(mask: BoolArray, grid: Grid, least_ml: float) -> list[Part]:
    """Connected parts that are large enough to be a zone, the largest first."""
    parts, count = counted_parts(mask, by_faces=True)
    volumes = np.bincount(parts.ravel(), minlength=count + 1) * grid.voxel_ml
    volumes[0] = 0
    order = [int(n) for n in np.argsort(-volumes, kind="stable") if volumes[n] >= least_ml]
    return [Part(number, float(volumes[n]), np.asarray(parts == n)) for number, n in enumerate(order, start=1)]


def _highest(opinions: Iterable[_Opinion], grid: Grid) -> FloatArray:
    """The highest probability that any crop gives a voxel of a grid; 0 where none reaches."""
    out = np.zeros(grid.shape, dtype=np.float32)
    for one in opinions:
        np.maximum(out, sampled(one.probability, one.grid, grid)[0], out=out)
    return out


def _opinion(
    site: Site, lesion: Treated, known: Sequence[Treated], levels: Mapping[Phase, float], model: ZoneModel
) -> _Opinion:
    crop = _crop_around(lesion, site, model)
    patch = Patch.of(site, _box_of(crop, site))
    values = {p: _on_crop(found, patch.grid, crop, model.spacing_mm) for p, found in patch.values.items()}
    place = np.logical_or.reduce([one.on(crop) for one in known])
    view = ZoneView(
        crop,
        site.image.quantity,
        values,
        levels,
        on_grid(patch.liver, patch.grid, crop),
        signed_mm(place, crop),
    )
    probability = model.probability(view)
    return _Opinion(probability, crop, model.error_mm(view, probability))


def _levels(site: Site, known: Sequence[Treated]) -> dict[Phase, float]:
    """The living liver's median in each phase, read away from all that was treated."""
    grid = site.grid.resampled(np.maximum(site.grid.spacing_mm, _LEVEL_GRID_MM))
    living = on_grid(site.scene.mask(site.box, Structure.LIVER) & site.liver, site.grid, grid)
    away = living.copy()
    for lesion in known:
        away &= signed_mm(lesion.on(grid), grid) < -_LEVEL_AWAY_MM
    levels = {}
    for phase, image in site.phases.items():
        values = image.on(grid)
        there = np.isfinite(values)
        pure = away if np.count_nonzero(away & there) >= _FEWEST_VOXELS else living
        if (pure & there).any():
            levels[phase] = float(np.median(values[pure & there]))
    return levels


def _crop_around(lesion: Treated, site: Site, model: ZoneModel) -> Grid:
    """A cube of voxels around where a lesion lies now, large enough for it and what lies beside it."""
    low, high = lesion.corners_lps_mm()
    wide_mm = float((high - low).max()) + 2 * _ROOM_MM
    count = max(model.least_voxels, int(np.ceil(wide_mm / model.spacing_mm / model.multiple)) * model.multiple)
    directions = site.scene.grid.directions
    half = (count - 1) / 2 * model.spacing_mm
    origin = (low + high) / 2 - half * np.asarray(directions).sum(axis=0)
    return Grid.from_axes(
        (count, count, count),
        spacing_mm=(model.spacing_mm,) * 3,
        directions=directions,
        origin_lps_mm=origin,
        frame_of_reference_uid=site.scene.grid.frame_of_reference_uid,
    )


def _box_of(crop: Grid, site: Site) -> Box:
    """The part of the scene that a crop shows; at least one voxel."""
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in crop.shape], indexing="ij")).reshape(3, 8).T
    index = site.scene.grid.lps_mm_to_index(crop.index_to_lps_mm(ends))
    shape = np.array(site.scene.grid.shape)
    low = np.clip(np.floor(index.min(axis=0)), 0, shape - 1).astype(int)
    high = np.clip(np.ceil(index.max(axis=0)) + 1, low + 1, shape).astype(int)
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _on_crop(values: FloatArray, grid: Grid, crop: Grid, spacing_mm: float) -> FloatArray:
    """An image on the crop's voxels; NaN where it does not reach."""
    finer = grid.spacing_mm < spacing_mm
    if finer.any():
        values = level_of(values, np.isfinite(values), np.where(finer, _QUIET_MM / grid.spacing_mm, 0.0))
    known = np.isfinite(values)
    found, seen = sampled(np.where(known, values, np.float32(0)), grid, crop)
    there, _ = sampled(known.astype(np.float32), grid, crop)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(seen & (there > 0.5), found / there, np.float32(np.nan)).astype(np.float32)
