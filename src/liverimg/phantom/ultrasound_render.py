"""Frames of a contrast plane: fully developed speckle, two panes, log compression.

Speckle is a complex Gaussian field blurred by the pulse, so that its amplitude is Rayleigh distributed. In B-mode it
belongs to the tissue and moves with it; beside the plane another field takes over. Bubbles flow: in the contrast
pane the field is renewed from frame to frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverimg.phantom.ultrasound import ContrastPlane, Display, FloatArray, Vessel

# Pulse: standard deviation of its amplitude along depth and across, mm.
_PULSE_MM: Final = (0.45, 0.75)
# Distance across the plane over which speckle and tissue become another picture.
_SLICE_MM: Final = 4.0
# Part of the bubbles' field that is the same in the next frame.
_BUBBLES_STAY: Final = 0.4
# Echo power of tissue in B-mode, dB above 1: liver, zone and vessel walls' inside; and electronic noise.
_LIVER_DB: Final = 34.0
_ZONE_DB: Final = 4.0
_VESSEL_DB: Final = -18.0
_B_NOISE_DB: Final = 12.0
# Unevenness of the liver in B-mode: dB, and the size of its patches in mm.
_PATCH_DB: Final = 3.0
_PATCH_MM: Final = 4.0
# Coarsest to finest: the tissue fields reach this far beyond the pane, so that it can move.
_REACH_MM: Final = 32.0


@dataclass(frozen=True, eq=False)
class Clip:
    """Both panes of a plane over time.

    Attributes:
        contrast: Grey levels, shape (t, j, i).
        b_mode: Grey levels, shape (t, j, i).
        fan: Pixels inside the fan, shape (j, i).
    """

    contrast: NDArray[np.uint8]
    b_mode: NDArray[np.uint8]
    fan: NDArray[np.bool_]


def render(plane: ContrastPlane) -> Clip:
    """All frames of a plane; the same plane gives the same frames."""
    rng = np.random.default_rng(plane.seed)
    fan = fan_of(plane.display)
    tissue = _Tissue.made(plane.display, rng)
    contrast = np.zeros((len(plane.times_s), *plane.display.shape), dtype=np.uint8)
    b_mode = np.zeros_like(contrast)
    bubbles = _field(plane.display.shape, rng)
    points = plane.display.points_mm()
    for frame in range(len(plane.times_s)):
        places = plane.to_built_mm(points, frame)
        off_mm = float(plane.motion.off_plane_mm[frame])
        bubbles = _BUBBLES_STAY * bubbles + np.sqrt(1 - _BUBBLES_STAY**2) * _field(plane.display.shape, rng)
        power = enhancement(plane, places, frame) + plane.noise
        seen = _blurred(np.sqrt(power) * bubbles, plane.display.spacing_mm)
        contrast[frame] = np.where(fan, plane.display.grey(np.abs(seen) ** 2), 0)
        echo = tissue.echo(places, off_mm) * np.sqrt(10 ** (_b_mode_db(plane, tissue, places, off_mm) / 10))
        noise = _field(plane.display.shape, rng) * 10 ** (_B_NOISE_DB / 20)
        b_mode[frame] = np.where(fan, plane.display.grey(np.abs(echo + noise) ** 2), 0)
    return Clip(contrast, b_mode, fan)


def fan_of(display: Display) -> NDArray[np.bool_]:
    """A convex probe's picture: a sector cut off near the skin and at its depth."""
    points = display.points_mm()
    depth_mm = display.shape[0] * display.spacing_mm[0]
    apex_mm = 0.6 * depth_mm
    down, across = points[..., 0] + apex_mm, points[..., 1]
    reach = np.hypot(down, across)
    half_angle = np.arctan2(display.shape[1] * display.spacing_mm[1] / 2, apex_mm + 0.72 * depth_mm)
    return np.asarray(
        (np.abs(np.arctan2(across, down)) < half_angle) & (reach > apex_mm * 1.04) & (reach < apex_mm + depth_mm)
    )


def zone_scale(plane: ContrastPlane, off_mm: float) -> float:
    """By how much the zone shrinks in a plane beside its middle: an ellipsoid's section; 0 beyond its end."""
    return float(np.sqrt(max(0.0, 1 - (off_mm / plane.zone_depth_mm) ** 2)))


def shares(plane: ContrastPlane, places_mm: FloatArray, off_mm: float = 0.0) -> dict[str, FloatArray]:
    """Share of each place that is zone, rim, vessel or focus number n (``focus1``, ...); the rest is liver.

    Edges are a tenth of a pixel wide: sharp, but without steps.
    """
    soft_mm = 0.1 * min(plane.display.spacing_mm)
    found: dict[str, FloatArray] = {}
    left = np.ones(places_mm.shape[:-1])
    for number, focus in enumerate(plane.foci, start=1):
        radius = np.sqrt(max(0.0, (focus.diameter_mm / 2) ** 2 - off_mm**2))
        inside = radius - np.linalg.norm(places_mm - np.array(focus.centre_mm), axis=-1)
        found[f"focus{number}"] = _share(inside, soft_mm) * (radius > 0)
        left = left - found[f"focus{number}"]
    scale = zone_scale(plane, off_mm) if plane.zone is not None else 0.0
    if plane.zone is not None and scale > 0:
        inside = plane.zone.depth_mm(places_mm, scale=scale)
        found["zone"] = np.minimum(_share(inside, soft_mm), left)
        left = left - found["zone"]
        found["rim"] = np.minimum(_share(inside + plane.rim_mm, soft_mm), left)
        left = left - found["rim"]
    vessel = np.zeros_like(left)
    for one in plane.vessels:
        vessel = np.maximum(vessel, _share(one.radius_mm - _from_vessel_mm(one, places_mm, off_mm), soft_mm))
    found["vessel"] = np.minimum(vessel, left)
    return found


def enhancement(plane: ContrastPlane, places_mm: FloatArray, frame: int) -> FloatArray:
    """Echo power of bubbles at places in the patient as built, for one frame."""
    time_s = plane.times_s[frame : frame + 1]
    parts = shares(plane, places_mm, float(plane.motion.off_plane_mm[frame]))
    liver = np.clip(1 - sum(parts.values()), 0, 1)
    total = liver * plane.liver.at(time_s)
    for name, share in parts.items():
        if name == "rim":
            total = total + share * plane.rim.at(time_s)
        elif name == "vessel":
            total = total + share * plane.vessel.at(time_s)
        elif name != "zone":
            total = total + share * plane.foci[int(name.removeprefix("focus")) - 1].wash.at(time_s)
    return np.asarray(total)


def _share(inside_mm: FloatArray, soft_mm: float) -> FloatArray:
    return np.asarray(np.clip(0.5 + inside_mm / (2 * soft_mm), 0, 1))


def _from_vessel_mm(vessel: Vessel, places_mm: FloatArray, off_mm: float) -> FloatArray:
    start, end = np.array(vessel.start_mm), np.array(vessel.end_mm)
    along = end - start
    t = np.clip((places_mm - start) @ along / (along @ along), 0, 1)
    beside = np.linalg.norm(places_mm - (start + t[..., None] * along), axis=-1)
    # A vessel crosses the plane at a slant: beside the plane it lies elsewhere.
    return np.asarray(np.hypot(beside, off_mm))


def _b_mode_db(plane: ContrastPlane, tissue: _Tissue, places_mm: FloatArray, off_mm: float) -> FloatArray:
    parts = shares(plane, places_mm, off_mm)
    zone = parts.get("zone", np.zeros(places_mm.shape[:-1]))
    return np.asarray(_LIVER_DB + tissue.patches(places_mm, off_mm) + _ZONE_DB * zone + _VESSEL_DB * parts["vessel"])


def _field(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.complex128]:
    """Complex Gaussian noise of power 1."""
    return np.asarray((rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2))


def _blurred(field: NDArray[Any], spacing_mm: tuple[float, float]) -> NDArray[np.complex128]:
    """The field under the pulse; white noise of power 1 comes out with power 1."""
    sigma = [p / s for p, s in zip(_PULSE_MM, spacing_mm, strict=True)]
    seen = ndimage.gaussian_filter(field.real, sigma) + 1j * ndimage.gaussian_filter(field.imag, sigma)
    return np.asarray(seen / _gain(sigma))


def _gain(sigma: list[float]) -> float:
    """Root of the summed squares of the blur's weights: what it leaves of white noise."""
    gain = 1.0
    for one in sigma:
        line = np.zeros(2 * int(6 * one + 3) + 1)
        line[len(line) // 2] = 1.0
        gain *= float(np.sqrt((ndimage.gaussian_filter1d(line, one) ** 2).sum()))
    return gain


@dataclass(frozen=True, eq=False)
class _Tissue:
    """What the B-mode pane shows of the liver: speckle and patches, for several planes beside each other."""

    speckle: tuple[NDArray[np.complex128], ...]
    patch: tuple[FloatArray, ...]
    corner_mm: tuple[float, float]
    spacing_mm: tuple[float, float]

    @classmethod
    def made(cls, display: Display, rng: np.random.Generator, planes: int = 7) -> _Tissue:
        reach = [round(_REACH_MM / s) for s in display.spacing_mm]
        shape = (display.shape[0] + 2 * reach[0], display.shape[1] + 2 * reach[1])
        first = display.points_mm()[0, 0]
        corner = (
            float(first[0] - reach[0] * display.spacing_mm[0]),
            float(first[1] - reach[1] * display.spacing_mm[1]),
        )
        speckle = tuple(_splines(_blurred(_field(shape, rng), display.spacing_mm)) for _ in range(planes))
        size = [_PATCH_MM / s for s in display.spacing_mm]
        patches = []
        for _ in range(planes):
            rough = ndimage.gaussian_filter(rng.standard_normal(shape), size)
            patches.append(_PATCH_DB * rough / rough.std())
        return cls(speckle, tuple(patches), corner, display.spacing_mm)

    def echo(self, places_mm: FloatArray, off_mm: float) -> NDArray[np.complex128]:
        """Speckle of power 1 at places, in the plane at ``off_mm``."""
        return self._mixed(self.speckle, places_mm, off_mm, order=3)

    def patches(self, places_mm: FloatArray, off_mm: float) -> FloatArray:
        """Unevenness in dB at places."""
        return np.asarray(self._mixed(self.patch, places_mm, off_mm, order=1).real)

    def _mixed(
        self, fields: tuple[NDArray[Any], ...], places_mm: FloatArray, off_mm: float, *, order: int
    ) -> NDArray[np.complex128]:
        """Two neighbouring planes' fields, their powers adding up to one."""
        planes = abs(off_mm) / _SLICE_MM
        first, share = int(planes), planes - int(planes)
        index = [(places_mm[..., n] - self.corner_mm[n]) / self.spacing_mm[n] for n in (0, 1)]
        total = np.zeros(places_mm.shape[:-1], dtype=complex)
        for number, weight in ((first, np.cos(share * np.pi / 2)), (first + 1, np.sin(share * np.pi / 2))):
            if weight > 1e-2:
                total += weight * _at(fields[number % len(fields)], index, order)
        return total


def _splines(field: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Spline coefficients, computed once for all frames."""
    return np.asarray(ndimage.spline_filter(field.real) + 1j * ndimage.spline_filter(field.imag))


def _at(field: NDArray[Any], index: list[FloatArray], order: int) -> NDArray[Any]:
    parts = (field.real, field.imag) if np.iscomplexobj(field) else (field,)
    made = [ndimage.map_coordinates(p, index, order=order, mode="nearest", prefilter=False) for p in parts]
    return np.asarray(made[0] + 1j * made[1] if len(made) == 2 else made[0])
