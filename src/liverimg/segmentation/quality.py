"""A look at image and labels before anything is measured: is the liver whole, upright, and are its vessels visible?

What can't be seen is unknown, never far and never absent. Every limit is in ``segmentation.toml``; every finding is
explained in ``docs/reference/quality-findings.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import LabelMap, QualityCode, QualityFinding, Structure
from liverimg.core.orientation import Orientation
from liverimg.core.rows import filled
from liverimg.core.volume import Quantity, Volume
from liverimg.segmentation.confidence import WHOLE_LIVER
from liverimg.segmentation.contrast import Shown, liver_sample, shown_by_phase, shown_by_reference
from liverimg.segmentation.phases import PlacedPhase

ByteArray = NDArray[np.uint8]

_VEINS = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN)
# Names of the two ends of each standard axis (k to Superior, j to Posterior, i to Left).
_SIDES = (("feet", "head"), ("front", "back"), ("right", "left"))
_ABOVE_THE_LIVER = (Structure.LUNG, Structure.HEART)
_BELOW_THE_LIVER = (Structure.KIDNEY,)
_MM2_PER_CM2 = 100.0


@dataclass(frozen=True)
class QualityRules:
    """Limits of the look; see ``segmentation.toml`` for what they mean and where they come from."""

    least_liver_ml: float
    most_liver_ml: float
    least_liver_confidence: float
    left_of_middle: float
    witness_ml: float
    thick_slice_mm: float
    contrast_scale_mm: float
    least_contrast_hu: float
    least_contrast_noise: float
    most_noise_hu: float
    most_noise_share: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> QualityRules:
        """From the ``quality`` part of ``segmentation.toml``."""
        return filled(cls, table, "segmentation quality")


@dataclass(frozen=True)
class Inspection:
    """What the look found.

    Attributes:
        findings: In the order a reader should hear them.
        not_visible: Structures that this image can't show, with the reason.
    """

    findings: tuple[QualityFinding, ...]
    not_visible: Mapping[Structure, str] = field(default_factory=dict)


def inspect_labels(
    labels: LabelMap,
    volume: Volume,
    rules: QualityRules,
    *,
    confidence: ByteArray | None = None,
    phases: Sequence[PlacedPhase] = (),
    by_model: bool = True,
) -> Inspection:
    """Looks at an image and what was drawn on it.

    Args:
        labels: Complete, with the surroundings.
        volume: The image, on the same grid.
        rules: Limits.
        confidence: Probability of each voxel's label in percent, on the same grid, where there is one.
        phases: Further phases that were used: what one of them shows is visible.
        by_model: Whether a model drew them. What a person drew counts as visible.
    """
    turn = Orientation.of(labels.grid)
    upright = labels
    if not turn.is_standard:
        upright = LabelMap(turn.turn(labels.array), turn.turn_grid(labels.grid), labels.structures, labels.lesions)
    image = Volume(turn.turn(volume.array), upright.grid, volume.quantity)
    liver = upright.mask(*WHOLE_LIVER)
    if not liver.any():
        return Inspection(
            (QualityFinding(QualityCode.NO_LIVER_IN_VIEW, "No liver was found in view.", Structure.LIVER),)
        )
    findings = [*_extent(liver, upright, rules)]
    if confidence is not None:
        findings += _doubt(float(turn.turn(confidence)[liver].mean()), rules)
    findings += _posture(upright, rules)
    sample = liver_sample(upright, scale_mm=rules.contrast_scale_mm)
    reference = shown_by_reference(sample, image) if sample is not None else None
    not_visible: dict[Structure, str] = {}
    if by_model:
        images = [reference, *(shown_by_phase(sample, p) for p in phases)] if sample is not None else []
        for structure in (s for s in _VEINS if upright.knows(s)):
            mask = sample.mask(upright, structure) if sample is not None else None
            reason = _why_unseen(structure, mask, [x for x in images if x is not None], image.quantity, rules)
            if reason:
                not_visible[structure] = reason
                sentence = f"{reason[0].upper()}{reason[1:]}."
                findings.append(QualityFinding(QualityCode.VESSELS_NOT_VISIBLE, sentence, structure))
        findings += _not_drawn(upright)
    findings += _scan(upright, image.quantity, reference, rules)
    return Inspection(tuple(findings), not_visible)


def _extent(liver: NDArray[np.bool_], labels: LabelMap, rules: QualityRules) -> Iterator[QualityFinding]:
    volume_ml = float(np.count_nonzero(liver)) * labels.grid.voxel_ml
    spacing = labels.grid.spacing_mm
    cut = {}
    for axis, names in enumerate(_SIDES):
        pixel_cm2 = float(np.prod(np.delete(spacing, axis))) / _MM2_PER_CM2
        for end, name in zip((0, -1), names, strict=True):
            area_cm2 = float(np.count_nonzero(np.take(liver, end, axis=axis))) * pixel_cm2
            if area_cm2 > 0:
                cut[name] = area_cm2
    if cut:
        places = " and ".join(f"towards the {name} ({area:.1f} cm2)" for name, area in cut.items())
        yield QualityFinding(
            QualityCode.LIVER_CUT_OFF,
            f"The liver is cut off by the edge of the image {places}: its volume is at least {volume_ml:.0f} ml, and "
            "sizes that reach the edge are not measured.",
            Structure.LIVER,
        )
    too_small = volume_ml < rules.least_liver_ml and not cut
    if too_small or volume_ml > rules.most_liver_ml:
        yield QualityFinding(
            QualityCode.LIVER_VOLUME_IMPLAUSIBLE,
            f"The liver was outlined with {volume_ml:.0f} ml; adults have {rules.least_liver_ml:.0f} to "
            f"{rules.most_liver_ml:.0f} ml, so look at the outline before using any number.",
            Structure.LIVER,
        )


def _doubt(mean_percent: float, rules: QualityRules) -> Iterator[QualityFinding]:
    least_percent = rules.least_liver_confidence * 100
    if mean_percent < least_percent:
        yield QualityFinding(
            QualityCode.MODEL_UNSURE,
            f"The model is unsure of this image: over the liver it gives its own label {mean_percent:.0f} % on "
            f"average, at least {least_percent:.0f} % is usual. Is it a scan of the abdomen, of a kind that the model "
            "was made for?",
            Structure.LIVER,
        )


def _posture(labels: LabelMap, rules: QualityRules) -> Iterator[QualityFinding]:
    """Whether the organs lie to each other as the headers say."""
    if labels.knows(Structure.BODY) and labels.has(Structure.BODY):
        body = labels.array > 0
        columns = np.flatnonzero(body.any(axis=(0, 1)))
        middle, half = (columns[0] + columns[-1]) / 2, max(1.0, (columns[-1] - columns[0]) / 2)
        if (_middle(labels, 2, *WHOLE_LIVER) - middle) / half > rules.left_of_middle:
            yield QualityFinding(
                QualityCode.LIVER_ON_THE_LEFT,
                "The liver lies on the left of the body: either the organs are mirrored (situs inversus) or the "
                "image is; check the side marker before any treatment is planned.",
                Structure.LIVER,
            )
        if labels.has(Structure.BONE) and _middle(labels, 1, Structure.BONE) < _mean_index(body, 1):
            yield QualityFinding(
                QualityCode.FRONT_TO_BACK,
                "The spine lies in front of the middle of the body: the headers seem to give front and back the "
                "wrong way round, so places called anterior may be posterior.",
            )
    height = _middle(labels, 0, *WHOLE_LIVER)
    votes = [
        sign * np.sign(_middle(labels, 0, structure) - height)
        for sign, structures in ((1, _ABOVE_THE_LIVER), (-1, _BELOW_THE_LIVER))
        for structure in structures
        if labels.count(structure) * labels.grid.voxel_ml >= rules.witness_ml
    ]
    if sum(votes) < 0:
        yield QualityFinding(
            QualityCode.UPSIDE_DOWN,
            "Lung, heart or kidneys lie on the wrong side of the liver: the image seems to be upside down, head for "
            "feet, against what its headers say.",
        )


def _middle(labels: LabelMap, axis: int, *structures: Structure) -> float:
    """Mean index of the structures along an axis; 0 where none of them was drawn."""
    box = labels.box(*structures)
    return 0.0 if box is None else _mean_index(labels.mask_in(box, *structures), axis, first=box[axis].start)


def _mean_index(mask: NDArray[np.bool_], axis: int, *, first: int = 0) -> float:
    """Mean index of a mask along an axis whose first plane has the index ``first``."""
    counts = mask.sum(axis=tuple(a for a in range(3) if a != axis))
    return float(counts @ (np.arange(len(counts)) + first)) / max(1, int(counts.sum()))


def _why_unseen(
    structure: Structure,
    mask: NDArray[np.bool_] | None,
    images: Sequence[Shown],
    quantity: Quantity,
    rules: QualityRules,
) -> str:
    """Why a vein can't be seen in any of the images; empty when it can, or when nothing says that it can't."""
    subject = "the hepatic veins are" if structure is Structure.HEPATIC_VEIN else "the portal vein is"
    if mask is None or not mask.any():
        return f"{subject} not visible to the model in this phase: unknown, not far"
    hu = quantity is Quantity.HU
    found = []
    for shown in images:
        contrast = shown.contrast(mask)
        least = max(rules.least_contrast_noise * shown.noise, rules.least_contrast_hu if hu else 0.0)
        if contrast is not None:
            found.append((abs(contrast) - least, contrast, least))
    if not found or max(found)[0] >= 0:
        return ""
    _, contrast, least = max(found)
    unit = " HU" if hu else ""
    return (
        f"{subject} not visible in this phase ({contrast:+.0f}{unit} against the liver, at least {least:.0f}{unit} is "
        "asked for): unknown, not far"
    )


def _not_drawn(labels: LabelMap) -> Iterator[QualityFinding]:
    if labels.knows(Structure.BILE_DUCT) and not labels.has(Structure.BILE_DUCT):
        yield QualityFinding(
            QualityCode.DUCTS_NOT_VISIBLE,
            "Bile ducts are not visible on this image, as usual when they are not widened: their distance is unknown, "
            "not far.",
            Structure.BILE_DUCT,
        )
    if labels.knows(Structure.GALLBLADDER) and not labels.has(Structure.GALLBLADDER):
        yield QualityFinding(
            QualityCode.GALLBLADDER_NOT_SEEN,
            "No gallbladder was seen: removed, empty or missed; its distance is unknown.",
            Structure.GALLBLADDER,
        )


def _scan(labels: LabelMap, quantity: Quantity, shown: Shown | None, rules: QualityRules) -> Iterator[QualityFinding]:
    thickest_mm = float(labels.grid.spacing_mm.max())
    if thickest_mm > rules.thick_slice_mm + 1e-3:
        yield QualityFinding(
            QualityCode.THICK_SLICES,
            f"The slices are {thickest_mm:.1f} mm apart, more than {rules.thick_slice_mm:.0f} mm: small tumours and "
            "thin vessels between them may be missed.",
        )
    if shown is None:
        return
    if quantity is Quantity.HU:
        most, unit = rules.most_noise_hu, " HU"
    else:
        most, unit = rules.most_noise_share * abs(shown.level), ""
    if shown.noise > most:
        yield QualityFinding(
            QualityCode.NOISE_HIGH,
            f"The image is very noisy: {shown.noise:.0f}{unit} in the liver after averaging over "
            f"{rules.contrast_scale_mm:g} mm, more than {most:.0f}{unit}; faint tumours and vessels may be missed.",
        )
