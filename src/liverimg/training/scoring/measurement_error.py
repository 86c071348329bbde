"""What a model's mistakes do to the measurements: measured on the true labels and on the found ones, and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement, MeasurementSet
from liverimg.core.orientation import Orientation
from liverimg.core.volume import Volume
from liverimg.measure.lesions import LesionMask, find_lesions
from liverimg.measure.scene import Scene
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.survey import survey
from liverimg.segmentation.context import ContextRules, add_context

MISSED = "the lesion was missed"


@dataclass(frozen=True)
class MeasurementError:
    """One quantity of one true lesion.

    Attributes:
        lesion: Its id among the true lesions of the case.
        quantity: Name of the measurement.
        unit: Of both values.
        truth: Measured on the true labels.
        found: Measured on the found labels; None where it could not be.
        reason: Why not; empty where it could.
    """

    lesion: str
    quantity: str
    unit: str
    truth: float
    found: float | None
    reason: str = ""

    @property
    def error(self) -> float | None:
        """Absolute difference; None where nothing was found to measure."""
        return None if self.found is None else abs(self.found - self.truth)


@dataclass(frozen=True)
class MeasuringRules:
    """What is needed to measure labels as the pipeline does.

    Attributes:
        settings: Constants of the measurements.
        context: Thresholds of skin, lung and gas.
        values: Label value of each structure.
        quantities: Names of the measurements to compare.
    """

    settings: MeasureSettings
    context: ContextRules
    values: Mapping[Structure, int]
    quantities: Sequence[str]


def measurement_errors(
    volume: Volume,
    found: LabelMap,
    truth: LabelMap,
    rules: MeasuringRules,
    *,
    not_told: Mapping[Structure, str] | None = None,
) -> tuple[MeasurementError, ...]:
    """Errors of every quantity that can be measured on the true labels, per true lesion.

    Lesions are matched one to one by their overlap, largest first: a found lesion that covers two true ones measures
    one of them only.

    Args:
        volume: The image, for the skin.
        found: Labels by the model, on the image's grid.
        truth: True labels, on the same grid.
        rules: How to measure.
        not_told: Structures that the true labels do not tell apart, with the reason: not compared.
    """
    hidden = LabelQuality(origin="external", not_visible=dict(not_told or {}))
    least_ml = rules.settings.minimum_lesion_volume_ml
    turn = Orientation.of(volume.grid)
    image = Volume(turn.turn(volume.array), turn.turn_grid(volume.grid), volume.quantity)
    true = Scene.of(truth).labels
    true_lesions = find_lesions(true, minimum_volume_ml=least_ml)
    if not true_lesions:
        return ()
    kept = _without_strays(Scene.of(found).labels, true_lesions, least_ml)
    partner = match_lesions(find_lesions(kept, minimum_volume_ml=least_ml), true_lesions)
    whole = [add_context(labels, image, rules.context, rules.values) for labels in (kept, true)]
    measured = [survey(None, labels, hidden, settings=rules.settings) for labels in whole]
    return tuple(_compare(measured[0], measured[1], partner, rules.quantities))


def _without_strays(found: LabelMap, truth: Sequence[LesionMask], least_ml: float) -> LabelMap:
    """The labels with only those lesions that match a true one: measuring the false ones would tell nothing.

    A model at its beginning may draw hundreds. What lies in the liver is liver then.
    """
    lesions = find_lesions(found, minimum_volume_ml=least_ml)
    partners = set(match_lesions(lesions, truth).values())
    strays = [lesion for lesion in lesions if lesion.id not in partners]
    if not strays:
        return found
    array = np.array(found.array)
    instead = found.structures.get(Structure.LIVER, 0)
    for lesion in strays:
        box = tuple(slice(a, a + n) for a, n in zip(lesion.start_kji, lesion.mask.shape, strict=True))
        array[box][lesion.mask] = instead
    return LabelMap(array, found.grid, found.structures, found.lesions)


def match_lesions(found: Sequence[LesionMask], truth: Sequence[LesionMask]) -> dict[str, str]:
    """For each true lesion that has one, the id of the found lesion that overlaps it most; each is used once."""
    overlaps = sorted(
        ((_overlap(one, other), other.id, one.id) for one in found for other in truth),
        key=lambda row: (-row[0], row[1], row[2]),
    )
    partner: dict[str, str] = {}
    for voxels, true_id, found_id in overlaps:
        if voxels > 0 and true_id not in partner and found_id not in partner.values():
            partner[true_id] = found_id
    return partner


def _overlap(one: LesionMask, other: LesionMask) -> int:
    """Voxels that two lesions of one grid share."""
    parts = []
    low = np.maximum(one.start_kji, other.start_kji)
    ends = [np.add(lesion.start_kji, lesion.mask.shape) for lesion in (one, other)]
    high = np.minimum(*ends)
    if (high <= low).any():
        return 0
    for lesion in (one, other):
        start = np.array(lesion.start_kji)
        parts.append(lesion.mask[tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))])
    return int((parts[0] & parts[1]).sum())


def _compare(
    found: MeasurementSet, truth: MeasurementSet, partner: Mapping[str, str], quantities: Sequence[str]
) -> list[MeasurementError]:
    by_id = {lesion.id: lesion for lesion in found.lesions}
    errors = []
    for lesion in truth.lesions:
        for name in quantities:
            true = lesion.quantity(name)
            if not isinstance(true, Measurement):
                continue
            if lesion.id not in partner:
                errors.append(MeasurementError(lesion.id, name, true.unit, true.value, None, MISSED))
                continue
            said = by_id[partner[lesion.id]].quantity(name)
            if isinstance(said, Measurement):
                errors.append(MeasurementError(lesion.id, name, true.unit, true.value, said.value))
            else:
                errors.append(MeasurementError(lesion.id, name, true.unit, true.value, None, said.reason))
    return errors
