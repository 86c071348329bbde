"""Which piece of dead tissue was made for which lesion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.grid import Grid
from liverimg.core.labels import BoolArray
from liverimg.measure.zones.distance import near, signed_mm
from liverimg.measure.zones.rules import ZoneRules
from liverimg.measure.zones.site import Treated

FIRST_FOCUS = 101  # values of foci start here, those of zones at 1


@dataclass(frozen=True, eq=False)
class Part:
    """A connected piece of dead tissue.

    Attributes:
        number: Its number among the pieces.
        volume_ml: Its volume.
        mask: On the grid that it was found on.
    """

    number: int
    volume_ml: float
    mask: BoolArray = field(repr=False)


@dataclass(frozen=True, eq=False)
class Group:
    """Pieces that make one zone, and the lesions that it was made for; none where that can't be told."""

    lesions: tuple[str, ...]
    mask: BoolArray = field(repr=False)
    volume_ml: float


def owners_of(
    parts: Sequence[Part], grid: Grid, treated: Sequence[Treated], rules: ZoneRules
) -> tuple[dict[int, list[str]], dict[str, str]]:
    """Lesions of each piece by its number, and why a lesion has none.

    A piece belongs to each lesion whose place it comes near. Of lesions that nobody knows the place of, the only one
    left takes the only piece left.

    Args:
        parts: Pieces.
        grid: Their grid.
        treated: Lesions.
        rules: Constants.
    """
    owners: dict[int, list[str]] = {}
    absent: dict[str, str] = {}
    for lesion in (one for one in treated if one.motion is not None):
        place = lesion.on(grid)
        close = near(place, grid, rules.finding.reach_mm + lesion.error_mm)
        mine = [part.number for part in parts if (close & part.mask).any()]
        for number in mine:
            owners.setdefault(number, []).append(lesion.id)
        if not mine:
            absent[lesion.id] = _why_none(parts, -signed_mm(place, grid), rules)
    lost = [lesion for lesion in treated if lesion.motion is None]
    free = [part for part in parts if part.number not in owners]
    if len(lost) == 1 and len(free) == 1:
        owners[free[0].number] = [lost[0].id]
        return owners, absent
    for lesion in lost:
        why = lesion.reason or "it could not be found again"
        absent[lesion.id] = f"where it lies in the later study is not known ({why})" + _choice(len(free))
    return owners, absent


def grouped(parts: Sequence[Part], owners: Mapping[int, list[str]], *, keep_others: bool) -> list[Group]:
    """Pieces that share a lesion make one zone; the largest first.

    Args:
        parts: Pieces.
        owners: Their lesions.
        keep_others: Whether pieces of no lesion are zones too.
    """
    groups: list[tuple[set[str], list[Part]]] = []
    for part in parts:
        lesions = set(owners.get(part.number, ()))
        if not lesions and not keep_others:
            continue
        members = [part]
        for group in [group for group in groups if group[0] & lesions]:
            lesions |= group[0]
            members += group[1]
            groups.remove(group)
        groups.append((lesions, members))
    found = [
        Group(
            tuple(sorted(lesions)),
            np.logical_or.reduce([part.mask for part in members]),
            sum(part.volume_ml for part in members),
        )
        for lesions, members in groups
    ]
    return sorted(found, key=lambda group: -group.volume_ml)


def _choice(count: int) -> str:
    if count == 0:
        return ", and there is no region without enhancement that could be its zone"
    return (
        f", and {count} regions without enhancement could be its zone"
        if count > 1
        else ", nor which lesion a region is of"
    )


def _why_none(parts: Sequence[Part], away: NDArray[np.float32], rules: ZoneRules) -> str:
    reason = f"no region of {rules.finding.least_ml:g} ml or more without enhancement lies at its place"
    if parts:
        nearest = min(float(away[part.mask].min()) for part in parts)
        reason += f"; the nearest in the liver lies {nearest:.0f} mm away"
    return reason
