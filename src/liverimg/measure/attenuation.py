"""How dense a lesion, the liver and the spleen are on CT."""

from __future__ import annotations

import edt
import numpy as np

from liverimg.core.grid import Grid
from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.core.study import Phase
from liverimg.measure.band import evidence, quadrature, surface_error_mm
from liverimg.measure.phases import PhaseImage
from liverimg.measure.reading import Level
from liverimg.measure.subject import Body, Subject

LIVER, SPLEEN = "liver_attenuation", "spleen_attenuation"
DIFFERENCE, RATIO = "liver_minus_spleen_attenuation", "liver_to_spleen_ratio"
FAT_NAMES = (LIVER, SPLEEN, DIFFERENCE, RATIO)
_NORMAL_95 = 1.96  # half width of the central 95 % of a normal distribution, in standard deviations
_MAD_TO_SD = 1.4826  # median absolute deviation to the standard deviation of a normal distribution
_MEDIAN_AGAINST_MEAN = 1.2533  # standard error of a median over that of a mean, of normal values
_FEWEST_PLACES = 40


def measure_attenuation(subject: Subject, body: Body) -> list[Measured]:
    """Mean attenuation of the lesion's voxels in HU; nothing where the image is not in HU."""
    image, lesion = body.hounsfield, subject.lesion
    if image is None:
        return []
    window = tuple(slice(s, s + n) for s, n in zip(lesion.start_kji, lesion.mask.shape, strict=True))
    values = np.asarray(image.array[window][lesion.mask], dtype=np.float64)
    if len(values) < 2:
        return [NotMeasured("mean_attenuation", lesion.id, "the lesion is a single voxel")]
    mean, spread = float(values.mean()), float(_NORMAL_95 * values.std(ddof=1))
    # Where the outline itself is unsure, so is which voxels belong to the lesion: noise averages out, that does not.
    unsure = surface_error_mm(subject.quality, Structure.TUMOUR) > 0
    half = spread if unsure else spread / float(np.sqrt(len(values)))
    method = "mean over the lesion's voxels"
    return [
        Measurement(
            "mean_attenuation",
            lesion.id,
            mean,
            "HU",
            mean - half,
            mean + half,
            f"{method}; the band is their spread, because the outline is unsure" if unsure else method,
            (evidence("centroid", lesion.centroid_lps_mm),),
            body.sources,
        )
    ]


def measure_liver_attenuation(body: Body) -> list[Measured]:
    """Attenuation of liver and spleen without contrast, their difference and ratio: signs of fat.

    Medians over what lies well inside each organ, away from vessels, ducts, tumours and its border. Only an
    unenhanced CT says anything of fat; with contrast, and on MR, the answer is that it can't be measured. The bands
    hold the noise and, for what is not a difference, the scanner's own calibration.
    """
    reason = _why_no_fat(body)
    image = body.phases.get(Phase.UNENHANCED)
    if reason or image is None:
        return [NotMeasured(name, "spleen" if name == SPLEEN else "liver", reason) for name in FAT_NAMES]
    sources = (image.source,) if image.source else body.sources
    scanner_hu = body.settings.enhancement.scanner_hu
    found: list[Measured] = []
    levels = {}
    for name, structure in ((LIVER, Structure.LIVER), (SPLEEN, Structure.SPLEEN)):
        level = _organ_level(structure, body, image)
        if isinstance(level, str):
            found.append(NotMeasured(name, structure, level))
            continue
        levels[name] = level
        half = quadrature(level.half, scanner_hu)
        words = (
            f"median of the {structure} well inside it, unenhanced CT; the band holds {scanner_hu:g} HU for the "
            "scanner's calibration"
        )
        found.append(
            Measurement(name, structure, level.value, "HU", level.value - half, level.value + half, words, (), sources)
        )
    missing = [q.reason for q in found if isinstance(q, NotMeasured)]
    if missing:
        return [*found, *(NotMeasured(name, "liver", missing[0]) for name in (DIFFERENCE, RATIO))]
    liver, spleen = levels[LIVER], levels[SPLEEN]
    less = liver.less(spleen)
    words = "liver less spleen, unenhanced CT"
    found.append(
        Measurement(
            DIFFERENCE, "liver", less.value, "HU", less.value - less.half, less.value + less.half, words, (), sources
        )
    )
    if spleen.value <= quadrature(spleen.half, scanner_hu):
        found.append(NotMeasured(RATIO, "liver", f"the spleen measures {spleen.value:.0f} HU, which is no divisor"))
        return found
    ratio = liver.value / spleen.value
    half = quadrature(liver.half, ratio * spleen.half, abs(1 - ratio) * scanner_hu) / spleen.value
    words = "liver over spleen, unenhanced CT"
    found.append(Measurement(RATIO, "liver", ratio, "1", ratio - half, ratio + half, words, (), sources))
    return found


def _why_no_fat(body: Body) -> str:
    if body.hounsfield is None:
        return "fat is told by attenuation on an unenhanced CT; on MR it is not measured here"
    image = body.phases.get(Phase.UNENHANCED)
    if image is None:
        return "the study has no series known to be unenhanced, and contrast hides fat"
    return image.why_not


def _organ_level(structure: Structure, body: Body, image: PhaseImage) -> Level | str:
    rules = body.settings.enhancement
    scene = body.scene
    if structure in body.quality.not_visible:
        return body.quality.not_visible[structure]
    box = scene.box(structure)
    if box is None:
        return f"no {structure} is drawn"
    steps = np.maximum(1, np.round(rules.organ_pitch_mm / scene.grid.spacing_mm)).astype(int)
    coarse = scene.crop_grid(box)
    mask = scene.mask(box, structure)[:: steps[0], :: steps[1], :: steps[2]]
    affine = np.array(coarse.affine)
    affine[:3, :3] = affine[:3, :3] * steps
    grid = Grid((mask.shape[0], mask.shape[1], mask.shape[2]), affine, coarse.frame_of_reference_uid)
    padded = np.pad(mask, 1)
    depth = edt.edt(padded, anisotropy=tuple(float(s) for s in grid.spacing_mm))[1:-1, 1:-1, 1:-1]
    away_mm = rules.organ_inside_mm + image.doubt_mm
    inside = depth >= away_mm
    values = image.on(grid)[inside]
    values = values[np.isfinite(values)]
    if len(values) < _FEWEST_PLACES:
        return f"too little of the {structure} lies {away_mm:.0f} mm inside its outline and in view"
    spread = _MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))
    # Places this far apart share little noise; patches of fat they do share, so the error is no less than this.
    return Level(float(np.median(values)), rules.guard * _MEDIAN_AGAINST_MEAN * spread / float(np.sqrt(len(values))))
