"""What the image says of the contrast phase: values of aorta, veins, liver, spleen and kidneys.

CT values are Hounsfield units; MR signal has no unit, so ratios to the liver and to the aorta are compared. Phases
whose limits the values break are excluded; where one is left, or fits clearly best, the image speaks for it. All
limits are in ``phase_image.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.core.labels import LabelMap, Structure
from liverimg.core.study import Modality, Phase, PhaseEvidence
from liverimg.core.volume import Volume
from liverimg.segmentation.phase_image_rules import Core, ImageRules, Limits, parts_of

Points = NDArray[np.float64]

SOURCE: Final = "image"
_VESSELS: Final = ("aorta", "portal_vein", "inferior_vena_cava")


@dataclass(frozen=True)
class PhaseLook:
    """What one image shows.

    Attributes:
        values: Mean of each organ's core in view, HU or signal.
        fits: Mean membership of each phase, 0 for one that a value excludes; empty when too little is in view.
        evidence: What it says, when it says anything.
        detail: In words, with the values.
        plain_blood: HU of blood without contrast; None where values have no unit.
    """

    values: Mapping[str, float]
    fits: Mapping[Phase, float]
    evidence: PhaseEvidence | None
    detail: str
    plain_blood: float | None = None


def organ_cores(labels: LabelMap, rules: ImageRules) -> Mapping[str, Points]:
    """Places in the cores of the organs, LPS mm, shape (n, 3) each; organs that were not drawn are absent."""
    found, depths = {}, {}
    for name, core in rules.cores.items():
        same = core.structure, core.grid_mm
        if same not in depths:
            depths[same] = _depths(labels, *same)
        depth = depths[same]
        points = np.zeros((0, 3)) if depth is None else _core_points(labels, core, depth, rules.most_voxels)
        if len(points) >= rules.fewest_voxels:
            found[name] = points
    return found


def look_at_phase(
    cores: Mapping[str, Points],
    volume: Volume,
    modality: Modality,
    rules: ImageRules,
    *,
    shift_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> PhaseLook:
    """Measures the organs in one image and holds them against every phase.

    Args:
        cores: From :func:`organ_cores`, of labels in the same frame of reference.
        volume: The image.
        modality: CT or MR.
        rules: Limits.
        shift_lps_mm: From a place of the labels to the same anatomy in this image.
    """
    values = {
        name: mean
        for name, points in cores.items()
        if (mean := _mean(volume, points + np.asarray(shift_lps_mm), rules.fewest_voxels)) is not None
    }
    needed = rules.needs.get(modality, ())
    missing = [name for name in needed if name not in values]
    if missing or not needed:
        words = " and ".join(name.replace("_", " ") for name in missing)
        return PhaseLook(values, {}, None, f"{words} not outlined or not in view: nothing to compare")
    shown = _shown(values, rules.units[modality])
    fits = {phase: _fit(values, limits) for phase, limits in rules.limits[modality].items()}
    open_to = sorted((p for p, fit in fits.items() if fit >= rules.fits_from), key=lambda p: -fits[p])
    if not open_to:
        return PhaseLook(values, fits, None, f"{shown}: fits no phase")
    runner_up = fits[open_to[1]] if len(open_to) > 1 else 0.0
    says = open_to[0] if len(open_to) == 1 or fits[open_to[0]] - runner_up >= rules.better_by else Phase.UNKNOWN
    # A value that is nearly right excludes nothing: only phases that don't fit at all are spoken against.
    allowed = tuple(p for p in Phase if fits.get(p, 0.0) > 0 and p is not says)
    words = " or ".join(p.value.replace("_", " ") for p in open_to)
    detail = f"{shown}: looks {words}"
    blood = rules.plain_blood_hu if rules.units[modality] == "HU" else None
    return PhaseLook(values, fits, PhaseEvidence(SOURCE, says, detail, allowed), detail, blood)


def compared(looks: Mapping[int, PhaseLook], rules: ImageRules) -> Mapping[int, PhaseLook]:
    """Looks of one modality, told apart by each other: vessels fade from the portal venous phase on.

    Where several images may each be portal venous or delayed, and the vessels of one stand out clearly more than those
    of another, the stronger one is not the delayed and the weaker one not the portal venous one.

    Args:
        looks: By volume, of one modality and one study.
        rules: How much fainter is clearly fainter.
    """
    between = frozenset((Phase.PORTAL_VENOUS, Phase.DELAYED))
    strength = {
        n: vessels
        for n, look in looks.items()
        if look.evidence is not None
        and between & {look.evidence.says, *look.evidence.allows}
        and (vessels := _vessel_strength(look)) is not None
    }
    found = dict(looks)
    for n, own in strength.items():
        evidence = looks[n].evidence
        if evidence is None or not between <= {evidence.says, *evidence.allows} or evidence.says in between:
            continue
        fainter = any(own * rules.fading <= other for other in strength.values())
        stronger = any(other * rules.fading <= own for other in strength.values())
        if fainter is stronger:
            continue
        out = Phase.PORTAL_VENOUS if fainter else Phase.DELAYED
        left = tuple(p for p in evidence.allows if p is not out)
        words = "fainter" if fainter else "stronger"
        detail = f"{evidence.detail}; vessels {words} than in another volume: not {out.value.replace('_', ' ')}"
        says, allows = (left[0], ()) if len(left) == 1 else (Phase.UNKNOWN, left)
        found[n] = replace(looks[n], evidence=PhaseEvidence(SOURCE, says, detail, allows), detail=detail)
    return found


def _vessel_strength(look: PhaseLook) -> float | None:
    """How far the vessels stand out: HU above blood without contrast, or signal against the liver."""
    vessels = [look.values[name] for name in _VESSELS if name in look.values]
    if not vessels:
        return None
    mean = float(np.mean(vessels))
    return max(mean - look.plain_blood, 0.0) if look.plain_blood is not None else mean / look.values["liver"]


def _fit(values: Mapping[str, float], limits: Mapping[str, Limits]) -> float:
    """Mean membership of the values that are known; 0 when one is excluded or none is known."""
    memberships = []
    for name, limit in limits.items():
        (first, *second), joint = parts_of(name)
        if first not in values or (second and second[0] not in values):
            continue
        value = values[first]
        if joint == " - ":
            value -= values[second[0]]
        elif joint == " / ":
            if values[second[0]] <= 0:
                continue
            value /= values[second[0]]
        memberships.append(limit.membership(value))
    return float(np.mean(memberships)) if memberships and min(memberships) > 0 else 0.0


def _shown(values: Mapping[str, float], unit: str) -> str:
    if unit == "HU":
        return ", ".join(f"{name.replace('_', ' ')} {value:.0f} HU" for name, value in values.items())
    liver = values["liver"]
    others = [(name, value) for name, value in values.items() if name != "liver"]
    return "against the liver: " + ", ".join(
        f"{name.replace('_', ' ')} {v / liver:.2f}" for name, v in others if liver > 0
    )


@dataclass(frozen=True, eq=False)
class _Depths:
    """How deep the voxels of a structure lie in it.

    Attributes:
        depth_mm: On every few voxels of the box around it; 0 outside of it.
        start: Index (k, j, i) of the first of them in the labels.
        step: Voxels of the labels from one to the next.
    """

    depth_mm: NDArray[np.float64] = field(repr=False)
    start: NDArray[np.int_]
    step: NDArray[np.int_]


def _depths(labels: LabelMap, structure: Structure, grid_mm: float) -> _Depths | None:
    """Depths on voxels of about ``grid_mm``; None where nothing was drawn."""
    box = labels.box(structure)
    if box is None:
        return None
    # A voxel of room, so that the surface is the structure's and not the box's; the image's edge is no surface.
    start = np.array([max(0, s.start - 1) for s in box])
    stop = np.array([min(n, s.stop + 1) for s, n in zip(box, labels.grid.shape, strict=True)])
    spacing_mm = labels.grid.spacing_mm
    step = np.maximum(1, np.floor(grid_mm / spacing_mm)).astype(int)
    k, j, i = (slice(int(a), int(b), int(s)) for a, b, s in zip(start, stop, step, strict=True))
    small = labels.mask_in((k, j, i), structure)
    # In double precision: limits are shares of the greatest depth, and many voxels lie right on them.
    depth_mm = ndimage.distance_transform_edt(np.pad(small, 1, mode="edge"), sampling=spacing_mm * step)
    return _Depths(depth_mm[1:-1, 1:-1, 1:-1], start, step)


def _core_points(labels: LabelMap, core: Core, depths: _Depths, most: int) -> Points:
    """Voxel centres deep inside a structure, thinned out to no more than ``most``."""
    depth_mm = depths.depth_mm
    low_mm = max(core.least_mm, core.share * float(depth_mm.max()))
    index = np.argwhere((depth_mm >= low_mm) & (depth_mm <= core.most_mm) & (depth_mm > 0))
    thin = max(1, -(-len(index) // most))
    return np.asarray(labels.grid.index_to_lps_mm(depths.start + index[::thin] * depths.step), dtype=np.float64)


def _mean(volume: Volume, points: Points, fewest: int) -> float | None:
    """Median of the values at some places; None where too few of them are in view."""
    index = np.rint(volume.grid.lps_mm_to_index(points)).astype(int)
    inside = ((index >= 0) & (index < np.array(volume.grid.shape))).all(axis=1)
    if int(inside.sum()) < max(fewest, len(points) // 2):
        return None
    k, j, i = index[inside].T
    return float(np.median(volume.array[k, j, i]))
