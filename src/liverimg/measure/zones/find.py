"""Ablation zones and residual foci by rule, on CT and MR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from liverimg.core.labels import BoolArray, LabelMap
from liverimg.core.nearest import on_grid
from liverimg.core.side_by_side import side_by_side
from liverimg.core.study import Phase
from liverimg.core.volume import Volume
from liverimg.core.zones import ZoneMap
from liverimg.measure.phases import PhaseImage
from liverimg.measure.zones.border import Border, Patch, find_border
from liverimg.measure.zones.finding import Search, looked_at, pieces
from liverimg.measure.zones.finish import RULE, Drawn, as_map, box_around, finished, nothing
from liverimg.measure.zones.notes import SURFACE_SHARE, at_surface
from liverimg.measure.zones.rules import ZoneRules
from liverimg.measure.zones.site import Site, Treated
from liverimg.measure.zones.sorting import Group, grouped, owners_of


def find_zones(
    image: Volume,
    labels: LabelMap,
    phases: Mapping[Phase, PhaseImage],
    treated: Sequence[Treated],
    rules: ZoneRules,
) -> ZoneMap:
    """Draws the zone of each treated lesion, and what still enhances at its border.

    Args:
        image: The later study's reference.
        labels: On its grid: the liver, and whatever else is known.
        phases: The later study's images by contrast phase, the reference among them.
        treated: The earlier study's lesions.
        rules: Constants.
    """
    seen = looked_at(image, labels, phases, treated, rules)
    if isinstance(seen, str):
        return nothing(labels, treated, seen)
    site, found = seen
    parts = pieces(found, least_ml=rules.finding.least_ml, least_depth_mm=rules.finding.least_depth_mm)
    owners, absent = owners_of(parts, found.grid, treated, rules)
    # A region that no lesion's place explains is shown only while a lesion's place is unknown.
    groups = grouped(parts, owners, keep_others=any(lesion.motion is None for lesion in treated))
    drawn = side_by_side(lambda group: _drawn(site, found, group, treated), groups)
    return as_map(site, labels, [zone for zone in drawn if zone is not None], treated, absent, origin=RULE)


def _drawn(site: Site, found: Search, group: Group, treated: Sequence[Treated]) -> Drawn | None:
    patch = Patch.of(site, box_around(group.mask, found.grid, site))
    start = on_grid(group.mask, found.grid, patch.grid)
    border = find_border(patch, start, site.rules.border, is_ct=site.is_ct)
    if not border.phases:
        return None  # too little liver beside it to say where it ends
    error = partial(_error_mm, site, patch, border)
    return finished(site, patch, border.mask, group, treated, error_mm=error)


def _error_mm(site: Site, patch: Patch, border: Border, mask: BoolArray) -> float:
    rules = site.rules.error
    doubt = max((patch.images[p].doubt_mm for p in border.phases if not patch.images[p].is_reference), default=0.0)
    parts = (
        rules.least_mm,
        rules.of_noise_mm * border.noise_mm,
        rules.of_slice * float(patch.grid.spacing_mm.max()),
        rules.of_doubt * doubt,
        rules.of_surface_mm if at_surface(patch, mask) >= SURFACE_SHARE else 0.0,
        0.0 if Phase.UNENHANCED in patch.values else rules.of_darkness_mm,
    )
    return float(np.sqrt(sum(part**2 for part in parts)))
