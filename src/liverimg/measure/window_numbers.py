"""The numbers of the best acoustic window of a lesion, with their bands.

Bands of shares come from moving what blocks: bone, gas and lung are grown and shrunk by their error, and the beam is
looked at again. The error is a share of the grid's pitch (fitted on scenes with known answers) together with the
labels' own. All of it moves one way at once, so the band is wide rather than narrow.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from liverimg.core.labels import Structure
from liverimg.core.measurement import EvidencePoint, Measured, Measurement, NotMeasured
from liverimg.measure.approach import Approach, ApproachSettings
from liverimg.measure.band import banded, evidence, quadrature, surface_error_mm
from liverimg.measure.depth import depth_along
from liverimg.measure.subject import Body, Subject
from liverimg.measure.tissue import BLOCKING, Tissue, drawn_error_mm
from liverimg.measure.window import PERCENT, Window, WindowSearch
from liverimg.measure.window_band import Moved, MovedShares, moved_share

_PATHS = (Tissue.BONE, Tissue.GAS, Tissue.LUNG, Tissue.FAT, Tissue.MUSCLE, Tissue.LIVER, Tissue.BOWEL)
NAMES = (
    "window_blocked_share",
    "window_blocked_share_worst",
    *(f"window_blocked_by_{tissue.name.lower()}" for tissue in BLOCKING),
    "window_depth",
    "window_ascites_depth",
    *(f"window_path_{tissue.name.lower()}" for tissue in _PATHS),
    "window_usable_entries",
    "window_transmission",
)
_STRAIGHT = "straight rays, refraction left out"


_UNMOVED = Moved(0.0, 0.0, 0.0)


def window_numbers(subject: Subject, body: Body, search: WindowSearch, window: Window) -> list[Measured]:
    """All numbers of the best window, or why there is none."""
    lesion = subject.lesion.id
    if window.best is None or window.map.beam is None:
        reason = _why_no_entry(window, search.approach)
        whole = _usable(lesion, body, window, _UNMOVED, search.approach)
        return [NotMeasured(n, lesion, reason) if n != whole.name else whole for n in NAMES]
    shares = moved_share(subject, body, search, window)
    moved, at = shares.whole, _places(window)
    return [
        *_shares(lesion, body, window, shares, search, at),
        depth_along(
            "window_depth", window.axis, subject, body, words="line from the lesion's centre of gravity along the beam"
        ),
        _ascites(lesion, body, window, search, at),
        *_paths(lesion, subject, body, window, search),
        _usable(lesion, body, window, moved, search.approach),
        _transmission(lesion, body, window, moved, search.approach, at),
    ]


def _why_no_entry(window: Window, approach: Approach) -> str:
    if len(window.map.depth_mm) == 0:
        return "skin not in view: no ray within the transducer's reach meets skin"
    if not window.map.fits.any():
        return (
            f"from no side does the focus of {approach.transducer.title} reach the lesion's centre: the skin lies at "
            f"least {window.map.depth_mm.min():.0f} mm away, the focus reaches {window.reach_mm:.0f} mm under it, "
            "less towards the rim of the beam"
        )
    return "skin not in view: from each side too much of the beam leaves the image before it meets skin"


def _places(window: Window) -> tuple[EvidencePoint, ...]:
    beam = window.map.beam
    if beam is None:
        return ()
    return (
        evidence("tumour_centre", window.map.targets_lps_mm[0]),
        evidence("window_entry", beam.entry_lps_mm),
        evidence("transducer", beam.transducer_lps_mm),
    )


def _percent(
    name: str, lesion: str, value: float, moved: Moved, *, method: str, at: tuple[EvidencePoint, ...], body: Body
) -> Measurement:
    low = max(0.0, value - (moved.value - moved.low))
    high = min(float(PERCENT), value + (moved.high - moved.value))
    return banded(
        name,
        lesion,
        value,
        "%",
        half=0.0,
        method=method,
        points=at,
        sources=body.sources,
        at_least=low,
        at_most=max(high, value),
    )


def _shares(
    lesion: str, body: Body, window: Window, shares: MovedShares, search: WindowSearch, at: tuple[EvidencePoint, ...]
) -> list[Measured]:
    best, found, moved = window.best, window.map, shares.whole
    if best is None:
        return []
    device = search.approach.transducer.title
    words = f"share of the aperture behind bone, gas or lung from the best entry on the skin; {device}; {_STRAIGHT}"
    if not search.tissue.gas_seen:
        words += "; gas can't be seen here, so the upper end takes bowel and stomach for gas"
    results: list[Measured] = [
        _percent(
            "window_blocked_share",
            lesion,
            float(found.blocked_percent[best]),
            moved,
            method=f"{words}; mean over the target's centre and six outermost points",
            at=at,
            body=body,
        ),
        _percent(
            "window_blocked_share_worst",
            lesion,
            window.worst_percent,
            moved,
            method=f"{words}; the worst of these points",
            at=at,
            body=body,
        ),
    ]
    for kind, own in shares.by_cause.items():
        cause = kind.name.lower()
        value = float(found.blocked_by_percent[cause][best])
        method = f"share of the aperture for whose rays {cause} is the first obstacle; mean over these points; {device}"
        results.append(_percent(f"window_blocked_by_{cause}", lesion, value, own, method=method, at=at, body=body))
    return results


def _ascites(lesion: str, body: Body, window: Window, search: WindowSearch, at: tuple[EvidencePoint, ...]) -> Measured:
    name, structure = "window_ascites_depth", Structure.ASCITES
    if structure in body.quality.not_visible:
        return NotMeasured(name, lesion, body.quality.not_visible[structure])
    if not body.scene.labels.knows(structure):
        return NotMeasured(name, lesion, "ascites was not looked for, so how much of it lies in the beam is unknown")
    lengths = window.beams[0].rays.length_in_mm(Tissue.ASCITES)
    error = surface_error_mm(body.quality, structure)
    half = quadrature(search.tissue.cell_mm, error, error)
    value = float(lengths.max()) if len(lengths) else 0.0
    method = "greatest length of ascites on any ray of the beam from the best entry"
    return banded(name, lesion, value, "mm", half=half, method=method, points=at, sources=body.sources)


def _paths(lesion: str, subject: Subject, body: Body, window: Window, search: WindowSearch) -> list[Measured]:
    beam, knows = window.map.beam, body.scene.labels.knows
    if beam is None:
        return []
    lengths: dict[str, float] = {}
    for piece in beam.path:
        lengths[piece.tissue] = lengths.get(piece.tissue, 0.0) + piece.end_mm - piece.start_mm
    at = (evidence("window_entry", beam.entry_lps_mm), evidence("tumour_centre", window.map.targets_lps_mm[0]))
    unknown = {
        Tissue.FAT: "" if search.tissue.split else "fat is not told from other tissue here: no CT, and no such label",
        Tissue.MUSCLE: "" if search.tissue.split else "muscle is not told from other tissue here: no CT, no such label",
        Tissue.LIVER: "" if body.liver is not None else "no liver is drawn",
        Tissue.GAS: "" if search.tissue.gas_seen else "gas can't be seen on this image and was not drawn",
        Tissue.BOWEL: ""
        if knows(Structure.BOWEL) and knows(Structure.STOMACH)
        else "stomach and bowel were not both looked for",
    }
    labelled = {Tissue.LIVER: Structure.LIVER, Tissue.BONE: Structure.BONE, Tissue.LUNG: Structure.LUNG}
    results: list[Measured] = []
    for tissue in _PATHS:
        name = f"window_path_{tissue.name.lower()}"
        if reason := unknown.get(tissue, ""):
            results.append(NotMeasured(name, lesion, reason))
            continue
        error = drawn_error_mm(subject.quality, search.tissue, labelled[tissue]) if tissue in labelled else 0.0
        half = quadrature(search.tissue.cell_mm, error, error)
        value = lengths.get(tissue.name.lower(), 0.0)
        method = f"length in {tissue.name.lower()} on the beam's axis from the best entry to the lesion's centre"
        results.append(banded(name, lesion, value, "mm", half=half, method=method, points=at, sources=body.sources))
    return results


def _usable(lesion: str, body: Body, window: Window, moved: Moved, approach: Approach) -> Measured:
    name, found, limit = "window_usable_entries", window.map, approach.settings.window_usable_blocked_percent
    if len(found.usable) == 0:
        return NotMeasured(name, lesion, "skin not in view: no ray within the transducer's reach meets skin")
    others = found.fits & (found.unseen_percent <= approach.settings.window_unseen_percent)
    others &= found.avoided_percent <= approach.settings.window_avoided_percent
    value = float(found.usable.mean()) * PERCENT
    low = float((others & (found.blocked_percent + moved.high - moved.value <= limit)).mean()) * PERCENT
    high = float((others & (found.blocked_percent - moved.value + moved.low <= limit)).mean()) * PERCENT
    return Measurement(
        name,
        lesion,
        value,
        "%",
        min(low, value),
        max(high, value),
        f"share of {len(found.usable)} entries on the skin with at most {limit:g} % blocked, in view, where the "
        f"transducer fits; {approach.transducer.title}",
        (),
        body.sources,
    )


def _transmission(
    lesion: str, body: Body, window: Window, moved: Moved, approach: Approach, at: tuple[EvidencePoint, ...]
) -> Measured:
    through = [_through(window, approach, factor) for factor in _spread(approach.settings)]
    low, value, high = (t * PERCENT for t in through)
    open_now = max(PERCENT - moved.value, 1e-6)
    return Measurement(
        "window_transmission",
        lesion,
        value,
        "%",
        min(value, low * (PERCENT - moved.high) / open_now),
        max(value, min(PERCENT * 1.0, high * (PERCENT - moved.low) / open_now)),
        "estimate: power that reaches the lesion's centre along straight open rays, attenuated by tabulated values at "
        f"{approach.transducer.frequency_mhz:g} MHz; blocked rays carry none; no reflection, no refraction",
        at,
        body.sources,
    )


def _spread(settings: ApproachSettings) -> tuple[float, float, float]:
    return 1 + settings.attenuation_spread, 1.0, 1 - settings.attenuation_spread


def _through(window: Window, approach: Approach, factor: float) -> float:
    settings, rays = approach.settings, window.beams[0].rays
    per_mm: Mapping[Tissue, float] = {
        Tissue.FAT: settings.attenuation_fat,
        Tissue.MUSCLE: settings.attenuation_muscle,
        Tissue.LIVER: settings.attenuation_liver,
        Tissue.ASCITES: settings.attenuation_fluid,
        Tissue.OUTSIDE: 0.0,
    }
    table = np.array([per_mm.get(tissue, settings.attenuation_other) for tissue in Tissue])
    loss_db = table[rays.codes].sum(axis=1) * rays.step_mm / 10 * approach.transducer.frequency_mhz
    is_open = rays.first_block()[0] < 0
    seen = ~rays.unseen
    if not seen.any():
        return 0.0
    return float((10 ** (-loss_db * factor / 10) * is_open)[seen].mean())
