"""Living tumour by the signal that it loses after the arterial phase: MR without an unenhanced phase.

Dead tissue has a signal of its own on MR, often brighter than tumour, so brightness proves nothing. But it takes up no
contrast, and so it can't lose any: between two phases it stays as it is. Liver, veins and a rim gain signal from the
arterial phase to a later one, and so does all that is mixed of them and of dead tissue. Only what was fed by an artery
and gives its contrast back loses signal. A tumour that lost none before the treatment can't be told that way.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from liverimg.core.study import Phase
from liverimg.measure.phases import PhaseImage
from liverimg.measure.zones.lines import LATE, Ground, Lines, live_level, smoothed, spread_of

FloatArray = NDArray[np.float32]

_PER_CENT = 100.0
UNTOLD = "on MR without an unenhanced phase living tumour is told only by signal that it loses after the arterial phase"


def loss_lines(ground: Ground, contrast: Mapping[Phase, float], *, smoothing_mm: float) -> Lines | str:
    """What each place loses from the arterial phase to the later one that tells most; says why not where none tells.

    Args:
        ground: Images, and what to compare with.
        contrast: Of the tumour to the liver before the treatment, by phase, per cent.
        smoothing_mm: Standard deviation of the smoothing that quiets the noise.
    """
    patch, early = ground.patch, ground.early
    seen = {p: smoothed(v, patch, smoothing_mm) for p, v in ground.values.items() if p is early or p in LATE}
    own = {
        p: float(np.nanmedian(v[ground.ring])) * (1 + contrast[p] / _PER_CENT) for p, v in seen.items() if p in contrast
    }
    if early not in own or len(own) < 2:
        return f"{UNTOLD}, and how much this one lost before the treatment is not known"
    late = max((p for p in own if p is not early), key=lambda p: own[early] - own[p])
    expected = own[early] - own[late]
    if expected <= 0:
        return f"{UNTOLD}, and this one lost none before the treatment"
    change = seen[early] - seen[late]
    dead = change[ground.core & np.isfinite(change)]
    loss = change - np.float32(np.median(dead))
    level = live_level(change, ground.ring, patch)
    noise = max(spread_of((change - level)[ground.ring & np.isfinite(change)]), spread_of(dead))
    live = live_level(seen[late], ground.ring, patch)
    above = np.asarray(seen[late] - live, dtype=np.float32)
    brightness = float(np.nanmedian(seen[early][ground.ring]))
    return Lines(
        excess=np.where(np.isfinite(loss), loss, -np.inf).astype(np.float32),
        noise=noise,
        late=above,
        late_noise=spread_of(above[ground.ring & np.isfinite(above)]),
        rise=None,
        expected=expected,
        least=brightness * ground.rules.focus.hyper_percent / _PER_CENT,
        dims=contrast[late] <= -ground.rules.focus.hyper_percent,
        phases=(early, late),
        unit="units of signal",
        smoothing_mm=smoothing_mm,
        liver_gain=max(0.0, -float(np.median(level[ground.ring])) + float(np.median(dead))),
        astray=_astray(ground, seen, (early, late)),
    )


def _astray(ground: Ground, seen: Mapping[Phase, FloatArray], phases: tuple[Phase, ...]) -> FloatArray:
    """What a loss may be feigned by where the phases don't lie exactly on each other: the images' slopes."""
    total = np.zeros(ground.patch.grid.shape, dtype=np.float32)
    for phase in phases:
        image: PhaseImage = ground.patch.images[phase]
        if image.is_reference:
            continue
        slopes = np.gradient(np.nan_to_num(seen[phase], nan=0.0), *ground.patch.grid.spacing_mm.tolist())
        total += sum(slope.astype(np.float32) ** 2 for slope in slopes) * np.float32(image.doubt_mm) ** 2
    return np.sqrt(total)
