"""Livers after an ablation with known zones and rests, for ``zone_truth.py``: CT or MR, one or two lesions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import distance_transform_edt

from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.motion import RigidMotion
from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table
from liverimg.measure.phases import PhaseImage
from liverimg.measure.zones.site import Treated
from liverimg.phantom.aftermath import Aftermath, treated_with
from liverimg.phantom.contrast import Contrast, Look
from liverimg.phantom.people import build_scene
from liverimg.phantom.render import image, labels, layers
from liverimg.phantom.scene import LesionKind, Scene, Tissue
from liverimg.phantom.solids import at_points
from zone_people import aftermath_of, person_of

TABLE = read_table("phantom")
FRAME = "1.2.826.0.1.3680043.8.498.7"
DEAD = (Tissue.ABLATED, Tissue.ABLATED_CORE, Tissue.OLD_BLOOD, Tissue.IODISED_OIL, Tissue.GAS)
VALUES = {
    Structure.LIVER: 1,
    Structure.TUMOUR: 2,
    Structure.ABLATION_ZONE: 3,
    Structure.HEPATIC_VEIN: 4,
    Structure.PORTAL_VEIN: 5,
    Structure.BILE_DUCT: 6,
    Structure.GALLBLADDER: 7,
    Structure.INFERIOR_VENA_CAVA: 8,
    Structure.STOMACH: 9,
    Structure.BOWEL: 10,
    Structure.LUNG: 11,
    Structure.BONE: 12,
    Structure.KIDNEY: 13,
    Structure.HEART: 14,
    Structure.BODY: 15,
}
_ROOM_MM = 40.0


@dataclass(frozen=True)
class Traits:
    """What is special about a case, for tables."""

    modality: Modality
    where: str
    kind: LesionKind
    two: bool
    unenhanced: bool
    rim: bool
    inside: str
    open_veins: bool
    labels_as: str
    slice_mm: float


@dataclass(frozen=True, eq=False)
class Case:
    """A study after an ablation, and what is true of it.

    Attributes:
        traits: For tables.
        reference: Image that the labels lie on.
        labels: As a model would give them.
        phases: The reference among them.
        treated: Lesions with their true motion.
        dead: Share of each voxel that is dead, by lesion, on the reference's grid.
        living: Voxels of living tumour.
        rests: Voxels of each living rest of 5 mm and more.
    """

    traits: Traits
    reference: Volume
    labels: LabelMap
    phases: dict[Phase, PhaseImage]
    treated: tuple[Treated, ...]
    dead: dict[str, np.ndarray]
    living: np.ndarray
    rests: list[np.ndarray]


def make_case(seed: int, modality: Modality) -> Case:
    """One case; the same seed gives the same case."""
    rng = np.random.default_rng((seed, 31, modality is Modality.MR))
    person, where = person_of(rng, seed)
    scene = build_scene(person)
    aftermaths = [aftermath_of(rng, scene, n, modality) for n in range(len(scene.lesions))]
    after = treated_with(scene, aftermaths)
    contrast = Contrast.from_table(TABLE, modality)
    reference_phase, slices = _phases(rng, modality)
    pixel = float(rng.uniform(0.68, 0.9)) if modality is Modality.CT else float(rng.uniform(1.0, 1.4))
    grid = _grid(aftermaths, pixel, slices[reference_phase])
    base = layers(after, grid)
    worked = {slices[reference_phase]: base}
    noise = float(rng.uniform(6, 15)) if modality is Modality.CT else float(rng.uniform(6, 14))
    phases = {}
    for phase, slice_mm in slices.items():
        if slice_mm not in worked:
            worked[slice_mm] = layers(after, _grid(aftermaths, pixel, slice_mm))
        shown = image(
            worked[slice_mm],
            contrast.looks(phase),
            background=contrast.background,
            noise=noise,
            seed=int(rng.integers(1 << 31)),
            quantity=Quantity.HU if modality is Modality.CT else Quantity.MR_SIGNAL,
        )
        # Breathing: the scanner's coordinates say that the patient lay elsewhere.
        shift = np.zeros(3) if phase is reference_phase else rng.normal(0, (0.8, 1.2, 2.5))
        volume = Volume(shown.array, replace(shown.grid, affine=_shifted(shown.grid, shift)), shown.quantity)
        phases[phase] = PhaseImage(volume, is_reference=phase is reference_phase, source=f"1.2.{len(phases)}")
    truth = labels(after, grid, VALUES)
    dead = _dead(base, aftermaths)
    living = truth.mask(Structure.TUMOUR)
    as_given = str(rng.choice(["liver", "tumour", "hole"], p=[0.6, 0.2, 0.2]))
    traits = Traits(
        modality,
        where,
        scene.lesions[0].kind,
        len(aftermaths) > 1,
        Phase.UNENHANCED in phases,
        any(one.rim_mm > 0 for one in aftermaths),
        "+".join(n for n in ("blood", "gas", "oil") if any(getattr(one, n) for one in aftermaths)) or "plain",
        any(one.open_veins for one in aftermaths),
        as_given,
        slices[reference_phase],
    )
    given = _given(truth, as_given, vessels=bool(rng.random() < 0.7))
    treated = tuple(_treated(scene, one, grid, modality) for one in aftermaths)
    return Case(traits, phases[reference_phase].volume, given, phases, treated, dead, living, _rests(living, grid))


def _phases(rng: np.random.Generator, modality: Modality) -> tuple[Phase, dict[Phase, float]]:
    """The reference's phase, and slice spacing by phase."""
    thin = float(rng.choice([1.25, 2.0, 3.0])) if modality is Modality.CT else float(rng.choice([2.0, 3.0]))
    thick = thin if modality is Modality.MR else float(rng.choice([thin, max(thin, 2.5), 5.0]))
    slices = {Phase.ARTERIAL: thick if rng.random() < 0.5 else thin, Phase.PORTAL_VENOUS: thin}
    if rng.random() < 0.75:
        slices[Phase.UNENHANCED] = thick
    if rng.random() < 0.5:
        slices[Phase.DELAYED] = thick
    return Phase.PORTAL_VENOUS, slices


def _grid(aftermaths: list[Aftermath], pixel_mm: float, slice_mm: float) -> Grid:
    ends = [one.ablation.shape.bounds() for one in aftermaths]
    low = np.min([e[0] for e in ends], axis=0) - _ROOM_MM
    high = np.max([e[1] for e in ends], axis=0) + _ROOM_MM
    spacing = (slice_mm, pixel_mm, pixel_mm)
    k, j, i = (int(np.ceil((high[2 - a] - low[2 - a]) / spacing[a])) for a in range(3))
    return Grid.from_axes((k, j, i), spacing_mm=spacing, origin_lps_mm=low, frame_of_reference_uid=FRAME)


def _shifted(grid: Grid, shift_mm: np.ndarray) -> np.ndarray:
    affine = np.array(grid.affine)
    affine[:3, 3] += shift_mm
    return affine


def _dead(base, aftermaths: list[Aftermath]) -> dict[str, np.ndarray]:
    """Share of each voxel that is dead, by lesion; where zones overlap the nearer middle has it."""
    looks = {tissue: Look(float(tissue in DEAD), 0.0) for tissue in Tissue}
    share = image(base, looks, background=0.0, noise=0.0, seed=0, blur_mm=0.0).array
    places = base.grid.index_to_lps_mm(np.stack(np.indices(base.grid.shape), axis=-1))
    values = np.stack([at_points(one.ablation.shape, places) for one in aftermaths])
    owner = values.argmin(axis=0)
    near = values.min(axis=0) < 3.0
    return {one.ablation.lesion_id: np.where(near & (owner == n), share, 0.0) for n, one in enumerate(aftermaths)}


def _given(truth: LabelMap, how: str, *, vessels: bool) -> LabelMap:
    array = np.array(truth.array)
    table = np.arange(256, dtype=np.uint8)
    table[VALUES[Structure.TUMOUR]] = VALUES[Structure.LIVER]
    as_zone = {"liver": Structure.LIVER, "tumour": Structure.TUMOUR, "hole": Structure.BODY}[how]
    table[VALUES[Structure.ABLATION_ZONE]] = VALUES[as_zone]
    known = dict(VALUES)
    del known[Structure.ABLATION_ZONE]
    if not vessels:
        for one in (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT):
            table[VALUES[one]] = VALUES[Structure.LIVER]
            del known[one]
    if how != "tumour":
        del known[Structure.TUMOUR]
    return LabelMap(table[array], truth.grid, known)


def _treated(scene: Scene, one: Aftermath, grid: Grid, modality: Modality) -> Treated:
    lesion = next(found for found in scene.lesions if found.id == one.ablation.lesion_id)
    low, high = lesion.shape.bounds()
    for rest in one.living:
        low, high = np.minimum(low, rest.bounds()[0]), np.maximum(high, rest.bounds()[1])
    spacing = grid.spacing_mm
    k, j, i = (int(np.ceil((high[2 - a] - low[2 - a]) / spacing[a])) + 3 for a in range(3))
    box = Grid.from_axes((k, j, i), spacing_mm=spacing, origin_lps_mm=low - spacing[::-1])
    places = box.index_to_lps_mm(np.stack(np.indices(box.shape), axis=-1))
    mask = at_points(lesion.shape, places) <= 0
    for rest in one.living:
        mask |= at_points(rest, places) <= 0
    contrast = Contrast.from_table(TABLE, modality)
    living = Tissue.HCC if lesion.kind is LesionKind.HCC else Tissue.METASTASIS_RIM
    seen = {}
    for phase in (Phase.UNENHANCED, Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED):
        found = contrast.looks(phase)
        gap = found[living].mean - found[Tissue.LIVER].mean
        seen[phase] = gap if modality is Modality.CT else 100 * gap / found[Tissue.LIVER].mean
    return Treated(lesion.id, mask, box, RigidMotion.none(), contrast=seen)


def _rests(living: np.ndarray, grid: Grid) -> list[np.ndarray]:
    """Connected living rests that hold a ball of 5 mm."""
    import cc3d

    parts = cc3d.connected_components(living, connectivity=26)
    found = []
    for number in range(1, int(parts.max()) + 1):
        mask = parts == number
        depth = distance_transform_edt(np.pad(mask, 1), sampling=grid.spacing_mm).max()
        if depth >= 2.5:
            found.append(mask)
    return found
