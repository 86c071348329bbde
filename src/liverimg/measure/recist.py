"""What a lesion's size means for follow-up: size class, measurability, sums of diameters."""

from __future__ import annotations

from liverimg.core.measurement import Lesion, Measured, Measurement, NotMeasured
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.subject import Body, Subject

SIZE_CLASS, MEASURABLE = "size_class", "recist_measurable"
ALL_DIAMETERS, TARGET_DIAMETERS = "tumour_diameter_sum", "target_diameter_sum"
_DIAMETER = "axial_long_diameter"


def measure_size_class(long: Measured, subject: Subject, body: Body) -> tuple[Measured, Measured]:
    """Size class (0, 1, 2 by AASLD's steps) and RECIST measurability (0, 1) of a lesion, from its long diameter.

    A state whose threshold lies within the diameter's band has a band itself: value 1, low 0, high 1 is "measurable
    by the best estimate, but that cannot be told for sure".

    Args:
        long: The lesion's axial long diameter.
        subject: The lesion.
        body: The body that it lies in, and how thick its slices are.
    """
    if isinstance(long, NotMeasured):
        return NotMeasured(SIZE_CLASS, long.target, long.reason), NotMeasured(MEASURABLE, long.target, long.reason)
    settings = body.settings
    slices_mm, words = _slices_mm(subject, body)
    least_mm = recist_least_mm(slices_mm, settings)
    return (
        _state(
            SIZE_CLASS,
            long,
            (settings.size_bin_small_mm, settings.size_bin_large_mm),
            f"axial long diameter against {settings.size_bin_small_mm:g} and {settings.size_bin_large_mm:g} mm",
        ),
        _state(
            MEASURABLE,
            long,
            (least_mm,),
            f"axial long diameter against {least_mm:g} mm, the least where slices are {slices_mm:.3g} mm {words}",
        ),
    )


def _slices_mm(subject: Subject, body: Body) -> tuple[float, str]:
    """Slice thickness, or the distance between slices where that is wider or the thickness is not known.

    Slices that overlap see no more detail than their thickness allows; slices with gaps miss what lies between.
    """
    apart_mm = float(max(subject.surface.spacing_mm.max(), body.band_spacing_mm.max()))
    thickness_mm = None if body.acquired is None else body.acquired.slice_thickness_mm
    if thickness_mm is None or thickness_mm < apart_mm:
        return apart_mm, "apart"
    return thickness_mm, "thick"


def recist_least_mm(slices_mm: float, settings: MeasureSettings) -> float:
    """The least long diameter of a measurable lesion, for slices of this thickness or distance."""
    if slices_mm <= settings.recist_thin_slice_mm:
        return settings.recist_least_diameter_mm
    return max(settings.recist_least_diameter_mm, settings.recist_slices * slices_mm)


def _state(name: str, long: Measurement, steps_mm: tuple[float, ...], method: str) -> Measurement:
    """How many of the steps the diameter reaches; the upper steps of the size class have to be passed."""
    value, low, high = (
        float(sum(mm >= step if n == 0 else mm > step for n, step in enumerate(steps_mm)))
        for mm in (long.value, long.low, long.high)
    )
    return Measurement(name, long.target, value, "1", low, high, method, long.evidence, long.sources)


def measure_diameter_sums(body: Body, measured: tuple[Lesion, ...]) -> tuple[Measured, Measured]:
    """Sum of the axial long diameters of all tumours, and of those that RECIST would take as targets.

    Targets are the longest measurable lesions, at most ``recist_targets_per_organ`` in the liver; those outside the
    liver are left to a reader, because the organ that they lie in is not known.
    """
    every = [lesion.quantity(_DIAMETER) for lesion in measured]
    apart = {lesion.id for lesion in body.apart}
    inside = [lesion for lesion in measured if lesion.id not in apart]
    candidates = [
        lesion.quantity(_DIAMETER)
        for lesion in inside
        if isinstance(state := lesion.quantity(MEASURABLE), NotMeasured) or state.value >= 1
    ]
    most = int(body.settings.recist_targets_per_organ)
    unknown = [c for c in candidates if isinstance(c, NotMeasured)]
    chosen = sorted((c for c in candidates if isinstance(c, Measurement)), key=lambda m: -m.value)[:most]
    if unknown:
        first = unknown[0]
        targets: Measured = NotMeasured(TARGET_DIAMETERS, "tumour", f"{first.target} has no diameter: {first.reason}")
    elif not chosen:
        targets = NotMeasured(TARGET_DIAMETERS, "tumour", "no tumour drawn in the liver is measurable by RECIST")
    else:
        names = " and ".join(m.target for m in chosen)
        targets = _sum(TARGET_DIAMETERS, chosen, f"sum of the axial long diameters of {names}")
    if not every:
        return NotMeasured(ALL_DIAMETERS, "tumour", "no tumour is drawn"), targets
    missing = next((d for d in every if isinstance(d, NotMeasured)), None)
    if missing is not None:
        return NotMeasured(ALL_DIAMETERS, "tumour", f"{missing.target} has no diameter: {missing.reason}"), targets
    known = [d for d in every if isinstance(d, Measurement)]
    return _sum(ALL_DIAMETERS, known, "sum of the axial long diameters of all tumours"), targets


def _sum(name: str, parts: list[Measurement], method: str) -> Measurement:
    """A sum whose band is the sum of the bands: one hand drew all outlines, too wide or too narrow everywhere."""
    value, low, high = (float(sum(getattr(p, key) for p in parts)) for key in ("value", "low", "high"))
    return Measurement(name, "tumour", value, "mm", low, high, method, (), parts[0].sources)
