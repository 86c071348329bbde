"""Zones painted into a real CT, for ``zone_truth.py``: real parenchyma, vessels and noise around known zones."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.motion import RigidMotion
from liverimg.core.study import Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.phase_rules import PhaseRules
from liverimg.dicom.pixels import load_volume
from liverimg.dicom.study import read_study
from liverimg.files.tables import read_table
from liverimg.measure.phases import PhaseImage
from liverimg.measure.zones.by_model import ZoneModel, find_zones_by_model
from liverimg.measure.zones.find import find_zones
from liverimg.measure.zones.rules import ZoneRules
from liverimg.measure.zones.site import Treated
from zone_peers import PEERS, smoothed

RULES = ZoneRules.from_tables(read_table("zones"), read_table("measure"))
DEAD_HU = 46.0
BLUR_MM = 0.6
CLEAR_MM = 8.0
TUMOUR_HU = 35.0
GRAIN_MM = 3.0  # what varies faster is noise and stays


def painted(
    folder: Path, *, count: int, seed: int, model: ZoneModel | None = None
) -> tuple[dict[str, list[float]], list[float]]:
    """Relative errors of the volume by method, and the rule's processor time, for zones at random places."""
    headers = read_study(folder / "dicom", phase_rules=PhaseRules.from_table(read_table("phases")))
    image = load_volume(headers.stacks[0])
    liver = np.asarray(nibabel.load(folder / "liver.nii.gz").dataobj).T > 0
    rng = np.random.default_rng((seed, 5))
    errors: dict[str, list[float]] = {name: [] for name in ("ours", *(("zone network",) if model else ()), *PEERS)}
    seconds = []
    inside = np.argwhere(liver)
    usual = float(np.median(image.array[liver]))
    while len(seconds) < count:
        radii = rng.uniform(8, 20, 3)
        middle = image.grid.index_to_lps_mm(inside[rng.integers(len(inside))])
        share, box = _share(image.grid, middle, radii, liver)
        around = distance_transform_edt(share < 0.5, sampling=image.grid.spacing_mm) <= CLEAR_MM
        calm = _smooth_in(image.array[box], liver[box], image.grid)
        if ((calm < usual - TUMOUR_HU) & liver[box] & around).any():
            continue  # a real tumour or the gallbladder's bed: nobody knows where that ends
        values = np.array(image.array, dtype=np.float32)
        own = values[box]
        grain = np.where(liver[box], own - _smooth_in(own, liver[box], image.grid), 0)
        values[box] = own + share * (DEAD_HU + grain - own)
        truth = float((share * liver[box]).sum())
        shown = Volume(values, image.grid, Quantity.HU)
        labels = LabelMap(liver.astype(np.uint8), image.grid, {Structure.LIVER: 1})
        lesion = _lesion(middle, 0.6 * float(radii.min()))
        start = time.process_time()
        phases = {Phase.PORTAL_VENOUS: PhaseImage(shown, is_reference=True)}
        found = find_zones(shown, labels, phases, [lesion], RULES)
        seconds.append(time.process_time() - start)
        errors["ours"].append(np.count_nonzero(found.array == 1) / truth - 1 if found.zones else -1.0)
        if model is not None:
            found = find_zones_by_model(shown, labels, phases, [lesion], RULES, model)
            errors["zone network"].append(np.count_nonzero(found.array == 1) / truth - 1 if found.zones else -1.0)
        place = lesion.on(image.grid.cropped([b.start for b in box], share.shape))
        calm = smoothed(values[box], image.grid)
        for name, peer in PEERS.items():
            errors[name].append(np.count_nonzero(peer(calm, liver[box], place)) / truth - 1)
    return errors, seconds


def _share(grid: Grid, middle: np.ndarray, radii: np.ndarray, liver: np.ndarray) -> tuple[np.ndarray, tuple]:
    """How much of each voxel of a box is dead, blurred as the scanner would."""
    reach = np.ceil((radii.max() + 35) / grid.spacing_mm)
    index = grid.lps_mm_to_index(middle)
    box = tuple(
        slice(int(max(0, i - r)), int(min(n, i + r + 1))) for i, r, n in zip(index, reach, grid.shape, strict=True)
    )
    shape = tuple(b.stop - b.start for b in box)
    own = grid.cropped([b.start for b in box], shape)
    places = own.index_to_lps_mm(np.stack(np.indices(shape), axis=-1)) - middle
    level = np.sqrt(((places / radii) ** 2).sum(axis=-1))
    away = (level - 1) * level / np.maximum(np.sqrt(((places / radii**2) ** 2).sum(axis=-1)), 1e-6)
    width = [np.gradient(away, axis=a) for a in range(3)]
    share = np.clip(0.5 - away / np.maximum(np.sqrt(sum(w**2 for w in width)), 1e-6), 0, 1)
    near = distance_transform_edt(~liver[box], sampling=grid.spacing_mm) <= 0
    return gaussian_filter(share * near, [0, BLUR_MM / grid.spacing_mm[1], BLUR_MM / grid.spacing_mm[2]]), box


def _smooth_in(values: np.ndarray, within: np.ndarray, grid: Grid) -> np.ndarray:
    """Smoothed with what lies within only."""
    sigma = GRAIN_MM / grid.spacing_mm
    weight = gaussian_filter(within.astype(np.float32), sigma)
    total = gaussian_filter(np.where(within, values, 0).astype(np.float32), sigma)
    return total / np.maximum(weight, 1e-3)


def _lesion(middle: np.ndarray, radius_mm: float) -> Treated:
    count = int(np.ceil(radius_mm)) * 2 + 3
    grid = Grid.from_axes((count,) * 3, spacing_mm=(1, 1, 1), origin_lps_mm=middle - (count - 1) / 2)
    places = grid.index_to_lps_mm(np.stack(np.indices(grid.shape), axis=-1)) - middle
    return Treated("L1", np.linalg.norm(places, axis=-1) <= radius_mm, grid, RigidMotion.none())


def timed(folder: Path) -> tuple[float, int]:
    """Processor time for four phases and three zones on the whole series, and how many zones were drawn."""
    headers = read_study(folder / "dicom", phase_rules=PhaseRules.from_table(read_table("phases")))
    image = load_volume(headers.stacks[0])
    liver = np.asarray(nibabel.load(folder / "liver.nii.gz").dataobj).T > 0
    inside = np.argwhere(distance_transform_edt(liver[:, ::4, ::4], sampling=image.grid.spacing_mm * (1, 4, 4)) > 22)
    order = inside[np.argsort(inside[:, 2], kind="stable")] * (1, 4, 4)
    spots = [image.grid.index_to_lps_mm(order[int(share * (len(order) - 1))]) for share in (0.02, 0.5, 0.98)]
    phases = {}
    for phase, less_hu, away_mm in (
        (Phase.UNENHANCED, 52.0, 3.0),
        (Phase.ARTERIAL, 36.0, -2.0),
        (Phase.PORTAL_VENOUS, 0.0, 0.0),
        (Phase.DELAYED, 14.0, 2.0),
    ):
        values = np.where(liver, image.array - np.float32(less_hu), image.array).astype(np.float32)
        for spot in spots:
            share, box = _share(image.grid, spot, np.array([15.0, 13.0, 14.0]), liver)
            values[box] += share * (DEAD_HU - _smooth_in(values[box], liver[box], image.grid))
        affine = np.array(image.grid.affine)
        affine[2, 3] += away_mm
        grid = Grid(image.grid.shape, affine, image.grid.frame_of_reference_uid)
        phases[phase] = PhaseImage(Volume(values, grid, Quantity.HU), is_reference=phase is Phase.PORTAL_VENOUS)
    labels = LabelMap(liver.astype(np.uint8), image.grid, {Structure.LIVER: 1})
    lesions = [replace(_lesion(spot, 9.0), id=f"L{n}") for n, spot in enumerate(spots, start=1)]
    start = time.process_time()
    found = find_zones(phases[Phase.PORTAL_VENOUS].volume, labels, phases, lesions, RULES)
    return time.process_time() - start, len(found.zones)
