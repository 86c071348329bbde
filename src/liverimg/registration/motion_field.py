"""How the tissue of a liver moved, from pieces found here and there: a rigid motion and a smooth rest, with doubt.

The rest is a Gaussian process (kriging): near places move alike, far ones need not. How far the liver bends and how
well pieces are placed is estimated from the pieces themselves (marginal likelihood; Rasmussen and Williams, Gaussian
Processes for Machine Learning, 2006, chapter 5), within priors that say what livers do. Pieces that contradict those
around them count for little (Student's t, by reweighting; Lange et al., J. Am. Stat. Assoc. 84 (1989) 881). What comes
out is a motion for every place and how far it may be off: small amid many pieces, larger where the liver has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, lapack

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.core.rows import filled
from liverimg.registration.pieces import FoundPieces

_WIDE_SHIFT_MM = 20.0  # of what is left of the rigid motion: wide enough to be no constraint
_WIDE_TURN = 0.2
_SWEEPS = 2
_ROUNDS = 3
_REWEIGHTINGS = 2
_LEAST_PLACING_MM = 0.05  # no piece is placed better, and the equations stay solvable
_FREEDOM = 2.0  # of Student's t


@dataclass(frozen=True)
class FieldRules:
    """The part ``field`` of ``registration.toml``; its entries say what each is and where it comes from."""

    bend_mm: float
    bend_spread: float
    length_mm: float
    length_spread: float
    placing_mm: float
    placing_spread: float
    doubt_share: float
    shared_error: float
    shared_mm: float
    agree_mm: float
    most_pieces: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> FieldRules:
        """Reads the table."""
        return filled(cls, table["field"], "registration field")


@dataclass(frozen=True)
class _Scales:
    """What is estimated: how far the liver bends, over which length, how well pieces are placed; logarithms of mm."""

    bend: float
    length: float
    placing: float


@dataclass(frozen=True, eq=False)
class MotionField:
    """A motion for every place.

    Attributes:
        places_lps_mm: Of the pieces, shape (n, 3).
        agrees: Whether a piece was found where those around it say, shape (n,).
        bend_mm: Standard deviation of the smooth part along each axis.
        length_mm: Over which it changes.
        placing_mm: Standard deviation with which a piece is placed along each axis.
    """

    places_lps_mm: FloatArray = field(repr=False)
    agrees: BoolArray = field(repr=False)
    bend_mm: float
    length_mm: float
    placing_mm: float
    _middle: FloatArray = field(repr=False)
    _scales: _Scales = field(repr=False)
    _factor: Any = field(repr=False)
    _solved: FloatArray = field(repr=False)

    def at(self, points_lps_mm: FloatArray) -> FloatArray:
        """Displacement of places of the earlier examination, shape (n, 3)."""
        cross = _kernel(points_lps_mm - self._middle, self.places_lps_mm - self._middle, self._scales)
        return np.asarray(cross @ self._solved).reshape(-1, 3)

    def variance_mm2(self, points_lps_mm: FloatArray) -> FloatArray:
        """Expected square of the displacement's error, all axes together, shape (n,)."""
        points = points_lps_mm - self._middle
        cross = _kernel(points, self.places_lps_mm - self._middle, self._scales)
        known = np.einsum("ij,ji->i", cross, cho_solve(self._factor, cross.T)).reshape(-1, 3).sum(axis=1)
        own = 3 * (_WIDE_SHIFT_MM**2 + np.exp(2 * self._scales.bend)) + 2 * _WIDE_TURN**2 * np.square(points).sum(
            axis=1
        )
        return np.asarray(np.maximum(own - known, 0.0))


def fit_field(found: FoundPieces, rules: FieldRules, *, usual: bool = False) -> MotionField:
    """The motion that the pieces tell of.

    Args:
        found: At least one.
        rules: What livers usually do, and how far that may be off.
        usual: Take the usual scales as they are; quick, for a first look.
    """
    middle = found.places_lps_mm.mean(axis=0)
    scales = _Scales(np.log(rules.bend_mm), np.log(rules.length_mm), np.log(rules.placing_mm))
    trust = np.ones(len(found.agreement))
    few = np.random.default_rng(0).permutation(len(trust))[: int(rules.most_pieces)]
    for _ in range(_ROUNDS):
        for _ in range(_REWEIGHTINGS):
            deviation2 = _solve(found, trust, middle, scales, rules)[3]
            trust = np.minimum((_FREEDOM + 3) / (_FREEDOM + deviation2), 1.0)
        if not usual:
            scales = _likeliest(_picked(found, few), trust[few], middle, scales, rules)
    factor, solved, rest, _ = _solve(found, trust, middle, scales, rules)
    return MotionField(
        found.places_lps_mm,
        np.linalg.norm(rest, axis=1) < rules.agree_mm,
        float(np.exp(scales.bend)),
        float(np.exp(scales.length)),
        float(np.exp(scales.placing)),
        middle,
        scales,
        factor,
        solved,
    )


def _picked(found: FoundPieces, index: Any) -> FoundPieces:
    return replace(
        found,
        places_lps_mm=found.places_lps_mm[index],
        shifts_mm=found.shifts_mm[index],
        spread_mm2=found.spread_mm2[index],
        agreement=found.agreement[index],
    )


def _kernel(one: FloatArray, other: FloatArray, scales: _Scales) -> FloatArray:
    """Covariance of displacements, shape (3 n, 3 m): a shift, a turn, and the smooth rest."""
    inner = one @ other.T
    away2 = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1)[None] - 2 * inner
    alike = np.exp(2 * scales.bend - np.maximum(away2, 0) / (2 * np.exp(2 * scales.length)))
    straight = _WIDE_SHIFT_MM**2 + alike + _WIDE_TURN**2 * inner
    whole = np.empty((len(one), 3, len(other), 3))
    for p in range(3):
        for q in range(3):
            whole[:, p, :, q] = -(_WIDE_TURN**2) * np.outer(one[:, q], other[:, p])
        whole[:, p, :, p] += straight
    return whole.reshape(3 * len(one), 3 * len(other))


def _noise(found: FoundPieces, trust: FloatArray, scales: _Scales, rules: FieldRules) -> FloatArray:
    """Covariance of each piece's place, shape (n, 3, 3): what any piece has, and the width of its peak."""
    any_piece = (np.exp(2 * scales.placing) + _LEAST_PLACING_MM**2) * (np.eye(3) + rules.doubt_share * found.spread_mm2)
    return np.asarray(any_piece / trust[:, None, None])


def _own_noise(found: FoundPieces, trust: FloatArray, scales: _Scales, rules: FieldRules) -> FloatArray:
    """The part of it that a piece shares with no other, more for a piece that is not trusted."""
    noise = _noise(found, np.ones(len(trust)), scales, rules)
    return np.asarray(_noise(found, trust, scales, rules) - rules.shared_error * noise)


def _covariance(
    found: FoundPieces, trust: FloatArray, middle: FloatArray, scales: _Scales, rules: FieldRules
) -> FloatArray:
    places = found.places_lps_mm - middle
    total = _kernel(places, places, scales)
    noise = _noise(found, np.ones(len(trust)), scales, rules)
    # Pieces overlap, so their errors are in part the same: no number of them averages that away.
    size = np.sqrt(rules.shared_error * np.trace(noise, axis1=1, axis2=2) / 3)
    away2 = np.square(places[:, None] - places[None]).sum(axis=-1)
    shared = np.outer(size, size) * np.exp(-away2 / (2 * rules.shared_mm**2))
    for axis in range(3):
        total[axis::3, axis::3] += shared
    every = np.arange(len(places))
    blocks = total.reshape(len(places), 3, len(places), 3)
    blocks[every, :, every, :] += _own_noise(found, trust, scales, rules)
    return total


def _likeliest(
    found: FoundPieces, trust: FloatArray, middle: FloatArray, scales: _Scales, rules: FieldRules
) -> _Scales:
    """The scales under which the pieces, weighted as they are, are likeliest; one after another by golden steps."""
    best, best_value = scales, _log_posterior(found, trust, middle, scales, rules)
    for step in (0.5, 0.25)[:_SWEEPS]:
        for name in ("placing", "bend", "length"):
            for way in (step, -step):
                while True:
                    tried = replace(best, **{name: getattr(best, name) + way})
                    value = _log_posterior(found, trust, middle, tried, rules)
                    if value <= best_value:
                        break
                    best, best_value = tried, value
    return best


def _log_posterior(
    found: FoundPieces, trust: FloatArray, middle: FloatArray, scales: _Scales, rules: FieldRules
) -> float:
    covariance = _covariance(found, trust, middle, scales, rules)
    lower, low = cho_factor(covariance, lower=True, overwrite_a=True, check_finite=False)
    values = found.shifts_mm.ravel()
    fit = -0.5 * float(values @ cho_solve((lower, low), values)) - float(np.log(np.diag(lower)).sum())
    for name in ("bend", "length", "placing"):
        usual, width = getattr(rules, f"{name}_mm"), getattr(rules, f"{name}_spread")
        fit -= 0.5 * ((getattr(scales, name) - np.log(usual)) / width) ** 2
    return fit


def _solve(
    found: FoundPieces, trust: FloatArray, middle: FloatArray, scales: _Scales, rules: FieldRules
) -> tuple[Any, FloatArray, FloatArray, FloatArray]:
    """Factor and solution; how far each piece lies from what the others say of it, shape (n, 3), and in deviations."""
    covariance = _covariance(found, trust, middle, scales, rules)
    count = len(trust)
    factor = cho_factor(covariance, lower=True, overwrite_a=True, check_finite=False)
    solved = cho_solve(factor, found.shifts_mm.ravel())
    inverse, _ = lapack.dpotri(factor[0], lower=1)
    blocks = np.diagonal(inverse.reshape(count, 3, count, 3), axis1=0, axis2=2).transpose(2, 0, 1)
    lower = np.tril(blocks)
    blocks = lower + np.swapaxes(np.tril(blocks, -1), 1, 2)
    spread = np.linalg.inv(blocks)
    rest = np.einsum("nab,nb->na", spread, solved.reshape(count, 3))
    # Against the doubt that it would have if it were as good as the others.
    own = _own_noise(found, np.ones(count), scales, rules) - _own_noise(found, trust, scales, rules)
    deviation2 = np.einsum("na,na->n", rest, np.linalg.solve(_positive(spread + own), rest[..., None])[..., 0])
    return factor, solved, rest, deviation2


def _positive(matrices: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh((matrices + np.swapaxes(matrices, 1, 2)) / 2)
    return np.asarray((vectors * np.maximum(values, 1e-3)[:, None, :]) @ np.swapaxes(vectors, 1, 2))
