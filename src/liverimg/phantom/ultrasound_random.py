"""Random contrast planes: zones, curves, vessels, foci and breathing drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from liverimg.phantom.ultrasound import ContrastPlane, Display, FloatArray, Focus, Motion, Outline, Vessel, Wash


@dataclass(frozen=True)
class Conditions:
    """How hard a random plane is.

    Attributes:
        breathing: Whether the patient breathes: up to 12 mm along, 4 mm across, 2 degrees, in the plane.
        off_plane: Whether deep breaths carry the probe out of the plane for some frames.
        foci: Most residual foci; their number is drawn.
        irregular: Whether the zone has bumps.
    """

    breathing: bool = True
    off_plane: bool = True
    foci: int = 2
    irregular: bool = True


def frame_times_s(*, dense_s: float = 70.0, dense_rate: float = 1.25, last_s: float = 200.0) -> FloatArray:
    """Continuous imaging after the injection, then a frame every five seconds, as bubbles are spared."""
    dense = np.arange(0, dense_s, 1 / dense_rate)
    return np.concatenate((dense, np.arange(dense_s, last_s, 5.0)))


def random_plane(seed: int, conditions: Conditions, *, display: Display | None = None) -> ContrastPlane:
    """A plane with an ablation zone; the same seed gives the same zone, curves and vessels in any conditions."""
    rng = np.random.default_rng(seed)
    display = display or Display()
    times_s = frame_times_s()
    height = display.shape[0] * display.spacing_mm[0]
    long_mm = float(rng.uniform(11, 18))
    zone = Outline(
        centre_mm=(height * float(rng.uniform(0.48, 0.58)), float(rng.uniform(-6, 6))),
        half_axes_mm=(long_mm, long_mm * float(rng.uniform(0.65, 0.95))),
        turn_deg=float(rng.uniform(0, 180)),
    )
    bumps = tuple((waves, float(rng.uniform(0.01, 0.05)), float(rng.uniform(0, 2 * np.pi))) for waves in (2, 3, 4, 5))
    if conditions.irregular:
        zone = replace(zone, bumps=bumps)
    arrival = float(rng.uniform(9, 14))
    peak = float(10 ** rng.uniform(3.2, 3.9))
    liver = Wash(peak, arrival + 2, float(rng.uniform(22, 34)), float(rng.uniform(0.9, 1.2)))
    rim = Wash(peak * float(rng.uniform(1.0, 1.5)), arrival, float(rng.uniform(14, 20)), float(rng.uniform(1.0, 1.3)))
    vessel = Wash(peak * float(rng.uniform(2, 3)), arrival, float(rng.uniform(10, 14)), float(rng.uniform(0.9, 1.2)))
    vessels = _vessels(rng, zone, display)
    foci = _foci(rng, zone, conditions.foci, arrival, peak)
    motion = _motion(np.random.default_rng([seed, 1]), times_s, conditions)
    return ContrastPlane(
        display=display,
        times_s=times_s,
        motion=motion,
        zone=zone,
        zone_depth_mm=float(rng.uniform(10, 16)),
        liver=liver,
        rim=rim,
        rim_mm=float(rng.uniform(1.0, 2.5)),
        vessel=vessel,
        vessels=vessels,
        foci=foci,
        noise=float(10 ** rng.uniform(0.8, 1.2)),
        seed=seed,
    )


def _vessels(rng: np.random.Generator, zone: Outline, display: Display) -> tuple[Vessel, ...]:
    """Vessels that keep away from the zone: what touches it was destroyed with it."""
    height, width = (n * s for n, s in zip(display.shape, display.spacing_mm, strict=True))
    found: list[Vessel] = []
    for _ in range(200):
        if len(found) == 3:
            break
        start = (float(rng.uniform(0.1, 0.95) * height), float(rng.uniform(-0.45, 0.45) * width))
        angle, length = float(rng.uniform(0, np.pi)), float(rng.uniform(8, 25))
        end = (start[0] + length * float(np.sin(angle)), start[1] + length * float(np.cos(angle)))
        line = np.linspace(start, end, 40)
        if zone.depth_mm(line).max() < -6:
            found.append(Vessel(start, end, float(rng.uniform(0.8, 1.8))))
    return tuple(found)


def _foci(rng: np.random.Generator, zone: Outline, most: int, arrival_s: float, peak: float) -> tuple[Focus, ...]:
    """Discs that reach from the margin into the zone, apart from each other."""
    wanted = int(rng.integers(0, most + 1)) if most else 0
    found: list[Focus] = []
    angles: list[float] = []
    for _ in range(200):
        if len(found) == wanted:
            break
        angle = float(rng.uniform(0, 2 * np.pi))
        if any(abs(np.angle(np.exp(1j * (angle - other)))) < 0.9 for other in angles):
            continue
        diameter = float(rng.uniform(5, 9))
        reach = float(zone.radius_mm(np.array(angle))) - diameter / 2 * float(rng.uniform(0.2, 0.9))
        centre = (
            zone.centre_mm[0] + reach * float(np.sin(angle)),
            zone.centre_mm[1] + reach * float(np.cos(angle)),
        )
        wash = Wash(
            peak * float(rng.uniform(1.5, 2.5)),
            arrival_s,
            float(rng.uniform(10, 14)),
            float(rng.uniform(0.55, 0.8)),
        )
        found.append(Focus(centre, diameter, wash))
        angles.append(angle)
    return tuple(found)


def _motion(rng: np.random.Generator, times_s: FloatArray, conditions: Conditions) -> Motion:
    """Breathing that dwells at the end of expiration; now and then a deep breath that leaves the plane."""
    period_s, phase = float(rng.uniform(3.5, 5.5)), float(rng.uniform(0, np.pi))
    depth = np.sin(np.pi * times_s / period_s + phase) ** 4
    down_mm, across_mm, turn_deg = (float(rng.uniform(*ends)) for ends in ((3, 12), (-4, 4), (-2, 2)))
    slight_mm = float(rng.uniform(0, 1.0))
    drift_mm = 0.6 * np.cumsum(rng.standard_normal((2, len(times_s))), axis=1) / np.sqrt(len(times_s))
    deep_mm, deep = float(rng.uniform(6, 14)), np.zeros(len(times_s))
    for _ in range(4):
        at_s = float(rng.uniform(4, times_s[-1] - 12))
        deep[(times_s >= at_s) & (times_s < at_s + float(rng.uniform(1.5, 8)))] = 1.0
    breathing = float(conditions.breathing)
    return Motion(
        down_mm=breathing * (down_mm * depth + drift_mm[0]),
        across_mm=breathing * (across_mm * depth + drift_mm[1]),
        turn_deg=breathing * turn_deg * depth,
        off_plane_mm=breathing * slight_mm * depth + float(conditions.off_plane) * deep_mm * deep,
    )
