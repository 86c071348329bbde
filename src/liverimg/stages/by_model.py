"""Labels drawn by a model, with what is known of how well it drew this very image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import LabelMap, LabelQuality, QualityCode, QualityFinding, Structure
from liverimg.core.study import Series
from liverimg.core.volume import Volume
from liverimg.measure.lesions import find_lesions
from liverimg.measure.scene import Scene
from liverimg.segmentation.confidence import half_bands_mm, lesion_half_bands_mm, structure_probability
from liverimg.segmentation.phases import AlignmentRules, PlacedPhase
from liverimg.segmentation.tidy import TidyRules, tidy
from liverimg.stages.companions import read_companions
from liverimg.stages.stage import Progress
from liverimg.workspace import Workspace

if TYPE_CHECKING:
    from liverimg.segmentation.bundle import Bundle
    from liverimg.segmentation.drawing import PassOutput
    from liverimg.segmentation.infer import Segmentation

# What the study is about: measured however unsure, with a band that says how unsure.
_ALWAYS_MEASURED = (Structure.LIVER, Structure.TUMOUR)
# Reading the study's other phases is a small part of the work, and so is what follows the networks.
_READING = 0.1
_DRAWN = 0.85


@dataclass(frozen=True, eq=False)
class Drawn:
    """Labels and all that their maker says of them.

    Attributes:
        labels: Tidied, without the surroundings.
        quality: How far they can be trusted.
        confidence: Probability of each voxel's label in percent; None when they were not drawn by a model.
        phases: Further phases that were offered to the model.
        unproven: Structures that nobody ever checked on a real image, with the reason.
    """

    labels: LabelMap
    quality: LabelQuality
    confidence: NDArray[np.uint8] | None = None
    phases: tuple[PlacedPhase, ...] = ()
    unproven: Mapping[Structure, str] = field(default_factory=dict)


def draw(
    workspace: Workspace,
    series: Series,
    volume: Volume,
    *,
    model: Path,
    device: str,
    table: Mapping[str, Any],
    progress: Progress,
) -> Drawn:
    """Runs a model on the reference, with the other phases of the study that it can use.

    Args:
        workspace: After ingest.
        series: The reference.
        volume: Its voxels.
        model: Folder of the bundle.
        device: ``auto``, ``cpu`` or ``cuda``.
        table: ``segmentation.toml``.
        progress: Told the fraction done.
    """
    # Torch takes seconds to import: only here, and not when the labels come from a file.
    from liverimg.segmentation.infer import segment_volume
    from liverimg.segmentation.warm import warm_bundle

    bundle = warm_bundle(model, device=device)
    if series.modality not in bundle.modalities:
        raise InputRefusedError(
            f"the reference series is {series.modality}, and the model {bundle.name} was made for "
            f"{' and '.join(bundle.modalities)}; give the labels with --labels, or a recipe with another model"
        )
    alignment = AlignmentRules.from_table(table["phases"])
    others = read_companions(workspace, bundle.phases, least_view=alignment.least_view)
    segmentation = segment_volume(
        volume,
        bundle,
        others=others,
        alignment=alignment,
        progress=lambda done: progress(_READING + (_DRAWN - _READING) * done),
    )
    rules = TidyRules.from_table(table["tidy"])
    labels = tidy(segmentation.labels, rules)
    if not labels.has(Structure.LIVER):
        _refuse(series, volume, bundle, rules)
    # Where tidying knew better, the network's own opinion of its label says nothing.
    confidence = np.where(labels.array == segmentation.labels.array, segmentation.confidence, np.uint8(0))
    quality = _quality(segmentation, labels, bundle, table)
    return Drawn(labels, quality, confidence, segmentation.phases, bundle.unproven)


def _quality(segmentation: Segmentation, labels: LabelMap, bundle: Bundle, table: Mapping[str, Any]) -> LabelQuality:
    """What is known of the labels' trustworthiness: from calibration, from this image, and from what is missing."""
    not_visible = {
        structure: "the model did not find it on this image; it may still be there"
        for structure in labels.structures
        if not labels.has(structure)
    }
    errors, lesion_errors = case_errors_mm(segmentation, labels)
    return LabelQuality(
        origin="model",
        surface_error_mm={**bundle.surface_error_mm, **errors},
        lesion_error_mm=lesion_errors,
        not_visible=not_visible | dict(bundle.unproven),
        incomplete=_incomplete(bundle, float(table["trust"]["least_hold_out_dice"])),
        notes=(*_lesion_note(bundle), *_phase_note(segmentation.phases)),
        model=f"{bundle.name} {bundle.version}",
        findings=_left_out(segmentation.phases),
    )


def case_errors_mm(segmentation: Segmentation, labels: LabelMap) -> tuple[dict[Structure, float], dict[str, float]]:
    """Surface errors of this very image: of each structure, and of each tumour by the name it is measured under.

    Args:
        segmentation: What the networks said.
        labels: After tidying.

    Returns:
        Millimetres; without structures for which the model has no calibration, or that it did not draw.
    """
    errors: dict[Structure, float] = {}
    lesion_errors: dict[str, float] = {}
    for output in segmentation.passes:
        calibration = output.one.calibration
        if calibration is None:
            continue
        bands = half_bands_mm(output.probability, output.one.channels, output.grid, calibration.between)
        errors |= {
            structure: calibration.factors[structure] * band_mm
            for structure, band_mm in bands.items()
            if structure in calibration.factors and structure is not Structure.TUMOUR
        }
        if Structure.TUMOUR in calibration.factors and Structure.TUMOUR in output.one.channels.values():
            factor = calibration.factors[Structure.TUMOUR]
            found = lesion_bands_mm(output, labels)
            lesion_errors |= {name: round(factor * band_mm, 3) for name, band_mm in found.items()}
    if lesion_errors:
        errors[Structure.TUMOUR] = max(lesion_errors.values())
    return errors, lesion_errors


def lesion_bands_mm(output: PassOutput, labels: LabelMap) -> dict[str, float]:
    """Half width of the band of doubt around each tumour, by the name it is measured under."""
    lesions = find_lesions(Scene.of(labels).labels, minimum_volume_ml=0.0)
    calibration = output.one.calibration
    if calibration is None:
        return {}
    return lesion_half_bands_mm(
        {lesion.id: (lesion.mask, lesion.grid) for lesion in lesions},
        structure_probability(output.probability, output.one.channels, Structure.TUMOUR),
        output.grid,
        calibration.between,
    )


def _refuse(series: Series, volume: Volume, bundle: Bundle, rules: TidyRules) -> None:
    from liverimg.segmentation.turned import liver_when_turned

    turned = liver_when_turned(volume, bundle, least_ml=rules.smallest_liver_ml)
    if turned:
        raise InputRefusedError(
            f"no liver in view: none was found in the {series.phase} {series.modality} series that was chosen as "
            f"reference, but one is there when the image is turned {turned}; its headers seem to give the wrong "
            "orientation, so correct and export it again"
        )


def _incomplete(bundle: Bundle, least_dice: float) -> dict[Structure, str]:
    """Structures that the model outlines too poorly for what it did not draw to mean anything."""
    return {
        structure: (
            f"an upper bound: the model misses parts of it (Dice {dice:.2f} on hold-out cases, at least "
            f"{least_dice:.2f} is asked for)"
        )
        for structure, dice in bundle.hold_out_dice.items()
        if structure not in _ALWAYS_MEASURED and dice < least_dice
    }


def _lesion_note(bundle: Bundle) -> tuple[str, ...]:
    if bundle.lesion_recall is None or bundle.false_lesions_per_case is None:
        return ()
    made = "" if bundle.hold_out_real else ", all of them synthetic,"
    return (
        f"The model {bundle.name} drew the tumours. On hold-out cases{made} it found "
        f"{100 * bundle.lesion_recall:.0f} % of the tumours above 10 mm and drew {bundle.false_lesions_per_case:.1f} "
        "lesions per case where none is; smaller ones are not drawn. Each lesion here, and each absence of one, has to "
        "be confirmed on the images.",
    )


def _phase_note(phases: tuple[PlacedPhase, ...]) -> tuple[str, ...]:
    used = [_how_used(placed) for placed in phases if placed.volume is not None]
    return (f"Beside the measured series the model looked at: {', '.join(used)}.",) if used else ()


def _how_used(placed: PlacedPhase) -> str:
    words = f"the {placed.phase.value.replace('_', ' ')} phase"
    moved_mm = float(np.linalg.norm(placed.shift_lps_mm))
    return f"{words} (moved by {moved_mm:.0f} mm, as its liver is)" if moved_mm > 0 else words


def _left_out(phases: tuple[PlacedPhase, ...]) -> tuple[QualityFinding, ...]:
    return tuple(
        QualityFinding(
            QualityCode.PHASE_LEFT_OUT,
            f"The {placed.phase.value.replace('_', ' ')} phase was not shown to the model: {placed.left_out}.",
        )
        for placed in phases
        if placed.left_out
    )
