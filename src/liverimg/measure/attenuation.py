"""How dense a lesion is on CT."""

from __future__ import annotations

import numpy as np

from liverimg.core.labels import Structure
from liverimg.core.measurement import Measured, Measurement, NotMeasured
from liverimg.measure.band import evidence, surface_error_mm
from liverimg.measure.subject import Body, Subject

_NORMAL_95 = 1.96  # half width of the central 95 % of a normal distribution, in standard deviations


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
