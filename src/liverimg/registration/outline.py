"""A first guess of how a liver moved, from its outlines alone: middles onto each other, then surface onto surface.

Each surface's points are looked up in the distance map of the other (chamfer matching in both directions, Borgefors,
IEEE Trans. PAMI 10 (1988) 849), with weights that leave out what one outline has and the other has not, such as a
resected lobe or an end that is cut off by the examination's edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from liverimg.core.grid import FloatArray
from liverimg.core.labels import BoolArray
from liverimg.core.motion import RigidMotion
from liverimg.registration.liver_view import LiverView

_POINTS = 1500
_ROUNDS = 40
_WIDTHS_MM = (30.0, 15.0, 8.0)  # of Tukey's weight, one after another: wide first, so that a poor start is no trap


@dataclass(frozen=True, eq=False)
class _Surface:
    points_lps_mm: FloatArray
    distance_mm: NDArray[np.float32]
    slope: NDArray[np.float32]
    view: LiverView

    def looked_up(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Signed distance (outside positive) of points and its direction; beyond the map, that of its border."""
        index = self.view.grid.lps_mm_to_index(points).T
        distance = ndimage.map_coordinates(self.distance_mm, index, order=1, mode="nearest")
        slope = np.stack([ndimage.map_coordinates(s, index, order=1, mode="nearest") for s in self.slope], axis=1)
        return np.asarray(distance, dtype=float), np.asarray(slope, dtype=float)


def outline_motion(earlier: LiverView, later: LiverView) -> RigidMotion:
    """The rigid motion that lays one liver's outline onto the other's, from the earlier to the later examination."""
    earlier, later = earlier.coarser, later.coarser
    one, other = _surface(earlier), _surface(later)
    middle = _middle(earlier)
    motion = RigidMotion(np.eye(3), _middle(later) - middle)
    for width_mm in _WIDTHS_MM:
        for _ in range(_ROUNDS):
            turn, shift = _step(one, other, motion, middle, width_mm)
            spun = Rotation.from_rotvec(turn).as_matrix()
            pivot = motion.apply(middle)
            motion = RigidMotion(spun, pivot - spun @ pivot + shift).after(motion)
            if np.linalg.norm(shift) < 0.01 and np.linalg.norm(turn) < 1e-4:
                break
    return _orthonormal(motion)


def _orthonormal(motion: RigidMotion) -> RigidMotion:
    """Rounding of many products taken away."""
    left, _, right = np.linalg.svd(motion.matrix)
    return RigidMotion(left @ right, motion.shift_mm)


def _step(
    one: _Surface, other: _Surface, motion: RigidMotion, middle: FloatArray, width_mm: float
) -> tuple[FloatArray, FloatArray]:
    """One step of Gauss and Newton: a turn (radian vector) about the moved middle, and a shift, both in the later."""
    pivot = motion.apply(middle)
    here = motion.apply(one.points_lps_mm)
    distance, slope = other.looked_up(here)
    back, slope_back = one.looked_up(motion.inverse().apply(other.points_lps_mm))
    # Moving the earlier liver forward moves the later one's points backward in it.
    normals = np.concatenate([slope, -(slope_back @ motion.matrix.T)])
    arms = np.concatenate([here, other.points_lps_mm]) - pivot
    rest = np.concatenate([distance, back])
    weight = np.clip(1 - (rest / width_mm) ** 2, 0, None) ** 2
    rows = np.concatenate([np.cross(arms, normals), normals], axis=1)
    normal = (rows * weight[:, None]).T @ rows
    # A trace of damping: a round outline does not fix every turn.
    damping = np.diag(1e-3 * np.array([*[float(np.square(arms).mean())] * 3, 1.0, 1.0, 1.0]) * weight.sum())
    step = np.linalg.solve(normal + damping, -(rows * weight[:, None]).T @ rest)
    return step[:3], step[3:]


def _surface(view: LiverView) -> _Surface:
    spacing = view.grid.spacing_mm
    inside = view.liver
    border = inside & ~ndimage.binary_erosion(inside, border_value=1) & _well_seen(view)
    points = np.argwhere(border)
    keep = np.random.default_rng(0).permutation(len(points))[:_POINTS]
    signed = ndimage.distance_transform_edt(~inside, spacing) - ndimage.distance_transform_edt(inside, spacing)
    signed = signed.astype(np.float32)
    slope = np.stack(np.gradient(signed, *[float(s) for s in spacing]))
    # Slopes along k, j, i become directions in the patient: z, y, x.
    directed = np.einsum("akji,ab->bkji", slope, view.grid.directions)
    return _Surface(view.grid.index_to_lps_mm(points[keep]), signed, directed.astype(np.float32), view)


def _well_seen(view: LiverView) -> BoolArray:
    """Not at the edge of the examination, where an outline ends only because the image does."""
    return np.asarray(ndimage.binary_erosion(view.seen, iterations=2))


def _middle(view: LiverView) -> FloatArray:
    return view.grid.index_to_lps_mm(np.argwhere(view.liver).mean(axis=0))
