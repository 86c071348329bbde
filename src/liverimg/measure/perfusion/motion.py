"""Motion compensation on the B-mode picture: where each frame lies against a reference, and which show another plane.

Method: the reference is the frame that most others resemble. Each frame is placed by the peak of its cross-correlation
with the reference, then refined by Gauss-Newton steps on a rigid motion (two shifts, one rotation) of the smoothed
grey levels. What is left unlike the reference after that shows another plane: no motion in the plane brings it back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from liverimg.measure.perfusion.settings import MotionSettings

FloatArray = NDArray[np.float64]

# Pictures are looked at no finer than this: speckle below it says nothing about motion.
_LARGEST_SIDE_PX: Final = 128
_SMOOTH_PX: Final = 1.2
# Refined first on pictures smoothed by this much more, so that a rotation is caught, then as they are.
_COARSE_PX: Final = 2.5
_CANDIDATES: Final = 9
_COMPARED: Final = 48
_STEPS: Final = 12
_DONE_PX: Final = 0.01
# Share of the bright places' mean level over time below which a place lies outside the picture: lossy compression
# leaves a faint fringe around it, which stands still and would hold the registration.
_DARK_SHARE: Final = 0.3
_BRIGHT_PERCENT: Final = 90
# Share of the picture that must be seen in both frames.
_LEAST_OVERLAP: Final = 0.3


@dataclass(frozen=True, eq=False)
class Motion:
    """Where each frame lies against the reference frame.

    Attributes:
        reference: Index of the reference frame.
        shift_px: Where the reference's middle lies in each frame, minus the middle, shape (t, 2): down, across.
        turn_rad: Rotation of each frame about the middle, shape (t,), from down towards across.
        similarity: Correlation of each frame with the reference after compensation, -1 to 1, shape (t,).
        before: The same without compensation, shape (t,).
        kept: Frames that show the reference's plane, shape (t,).
        limit: Similarity below which a frame was rejected.
    """

    reference: int
    shift_px: FloatArray = field(repr=False)
    turn_rad: FloatArray = field(repr=False)
    similarity: FloatArray = field(repr=False)
    before: FloatArray = field(repr=False)
    kept: NDArray[np.bool_] = field(repr=False)
    limit: float

    def scaled(self, down: float, across: float) -> Motion:
        """The same motion in pixels of another picture: shifts times a factor along each axis."""
        return Motion(
            self.reference,
            self.shift_px * np.array([down, across]),
            self.turn_rad,
            self.similarity,
            self.before,
            self.kept,
            self.limit,
        )


def find_motion(array: NDArray[Any], *, settings: MotionSettings) -> Motion:
    """Registers every frame of a B-mode picture to the one that most others resemble.

    Args:
        array: Grey levels, shape (t, j, i).
        settings: Limits.

    Returns:
        The motion in pixels of ``array``. A picture without structure keeps no frame but its reference.
    """
    step = max(1, int(np.ceil(max(array.shape[1:]) / _LARGEST_SIDE_PX)))
    images, lit = _prepared(array, step)
    mask = ndimage.binary_erosion(lit, iterations=2)
    reference = _reference(images, mask)
    coarse = _Template.of(_smoothed(images[reference], lit, _COARSE_PX), mask)
    fine = _Template.of(images[reference], mask)
    count = len(images)
    shift, turn, similarity, before = np.zeros((count, 2)), np.zeros(count), np.zeros(count), np.zeros(count)
    for t in range(count):
        before[t] = fine.similarity(images[t], mask)
        rough = _smoothed(images[t], lit, _COARSE_PX)
        motion = coarse.refined(rough, coarse.shifted(rough))
        motion = fine.refined(images[t], motion)
        shift[t], turn[t] = motion[:2], motion[2]
        similarity[t] = fine.similarity(*fine.warped(images[t], motion))
    limit = _limit(similarity, settings)
    kept = similarity >= limit
    kept[reference] = True
    return Motion(reference, shift * step, turn, similarity, before, kept, limit)


def _limit(similarity: FloatArray, settings: MotionSettings) -> float:
    """A share of what the frames that fit well reach, but never below the floor."""
    usual = float(np.median(similarity[similarity >= np.median(similarity)]))
    return max(settings.least_similarity, settings.similarity_share * usual)


def _prepared(array: NDArray[Any], step: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Frames averaged over blocks of ``step`` pixels and smoothed inside the picture; and where the picture is.

    The smoothing takes no account of the black around the picture: its edge would stand out, and it stands still.
    """
    count, rows, columns = array.shape
    rows, columns = rows // step * step, columns // step * step
    made = np.empty((count, rows // step, columns // step), dtype=np.float32)
    for t in range(count):
        blocks = np.asarray(array[t, :rows, :columns], dtype=np.float32).reshape(rows // step, step, -1, step)
        made[t] = blocks.mean(axis=(1, 3))
    lit = picture_of(made.mean(axis=0))
    for t in range(count):
        made[t] = _smoothed(np.where(lit, made[t], 0), lit, _SMOOTH_PX)
    return made, lit


def picture_of(level: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Where a frame has a picture, from each place's typical level: bright enough, in one piece, holes filled."""
    lit = level > _DARK_SHARE * np.percentile(level, _BRIGHT_PERCENT)
    return np.asarray(ndimage.binary_fill_holes(ndimage.binary_opening(lit, iterations=2)), dtype=bool)


def _smoothed(image: NDArray[np.float32], lit: NDArray[np.bool_], sigma: float) -> NDArray[np.float32]:
    share = ndimage.gaussian_filter(lit.astype(np.float32), sigma)
    smooth = ndimage.gaussian_filter(image, sigma) / np.maximum(share, 1e-3)
    return np.asarray(np.where(lit, smooth, 0), dtype=np.float32)


def _reference(images: NDArray[np.float32], mask: NDArray[np.bool_]) -> int:
    """Of some frames, the one that the median of the others resembles most, wherever it lies."""
    count = len(images)
    candidates = np.unique(np.linspace(0, count - 1, min(count, _CANDIDATES)).round().astype(int))
    compared = np.unique(np.linspace(0, count - 1, min(count, _COMPARED)).round().astype(int))
    spectra = {t: fft.rfft2(_levelled(images[t], mask)) for t in np.union1d(candidates, compared)}
    scores = []
    for c in candidates:
        found = [float(fft.irfft2(np.conj(spectra[c]) * spectra[t], s=mask.shape).max()) for t in compared if t != c]
        scores.append(float(np.median(found)) if found else 0.0)
    return int(candidates[int(np.argmax(scores))])


def _levelled(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> FloatArray:
    """Inside the mask: mean 0, length 1; outside 0."""
    inside = np.where(mask, image - (image[mask].mean() if mask.any() else 0.0), 0.0)
    length = float(np.linalg.norm(inside))
    return np.asarray(inside / length if length else inside, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Template:
    """The reference frame, ready to have others placed against it."""

    image: FloatArray
    mask: NDArray[np.bool_]
    spectrum: NDArray[np.complex128]
    slopes: FloatArray
    from_middle: FloatArray

    @classmethod
    def of(cls, image: NDArray[np.float32], mask: NDArray[np.bool_]) -> _Template:
        middle = (np.array(mask.shape) - 1) / 2
        from_middle = np.indices(mask.shape).astype(float) - middle[:, None, None]
        down, across = np.gradient(image.astype(float))
        turning = across * from_middle[0] - down * from_middle[1]
        return cls(
            image.astype(float),
            mask,
            np.asarray(fft.rfft2(_levelled(image, mask))),
            np.stack([down, across, turning]),
            from_middle,
        )

    def shifted(self, image: NDArray[np.float32]) -> FloatArray:
        """Two shifts by the peak of the cross-correlation, and no rotation."""
        surface = fft.irfft2(np.conj(self.spectrum) * fft.rfft2(_levelled(image, self.mask)), s=self.mask.shape)
        peak = np.array(np.unravel_index(int(surface.argmax()), surface.shape), dtype=float)
        size = np.array(surface.shape)
        return np.append(np.where(peak > size / 2, peak - size, peak), 0.0)

    def refined(self, image: NDArray[np.float32], motion: FloatArray) -> FloatArray:
        """Gauss-Newton steps on both shifts and the rotation, as long as enough is seen in both frames."""
        reach = float(np.hypot(*self.mask.shape)) / 2
        for _ in range(_STEPS):
            warped, both = self.warped(image, motion)
            if both.sum() < _LEAST_OVERLAP * self.mask.sum():
                break
            slopes = self.slopes[:, both]
            error = (warped[both] - warped[both].mean()) - (self.image[both] - self.image[both].mean())
            change = np.linalg.lstsq(slopes @ slopes.T, slopes @ error, rcond=None)[0]
            motion = motion - change
            if np.abs(change[:2]).max() < _DONE_PX and abs(change[2]) * reach < _DONE_PX:
                break
        return motion

    def warped(self, image: NDArray[np.float32], motion: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """The frame brought back onto the reference, and where both are seen."""
        index = moved_index(self.mask.shape, motion[:2], float(motion[2]))
        warped = ndimage.map_coordinates(image, index, order=1, mode="constant", cval=0.0)
        seen = ndimage.map_coordinates(self.mask.astype(np.float32), index, order=1, mode="constant", cval=0.0)
        return np.asarray(warped, dtype=np.float64), self.mask & (seen > 1 - 1e-3)

    def similarity(self, image: NDArray[np.floating[Any]], both: NDArray[np.bool_]) -> float:
        """Correlation with the reference over the pixels seen in both; 0 where too few are."""
        if both.sum() < max(2, _LEAST_OVERLAP * self.mask.sum()):
            return 0.0
        a, b = image[both].astype(float) - image[both].mean(), self.image[both] - self.image[both].mean()
        length = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / length if length else 0.0


def moved_index(shape: tuple[int, ...], shift_px: FloatArray, turn_rad: float) -> FloatArray:
    """Where the pixels of the reference lie in a frame, shape (2, j, i), for interpolation."""
    middle = (np.array(shape) - 1) / 2
    down, across = np.indices(shape).astype(float) - middle[:, None, None]
    cosine, sine = np.cos(turn_rad), np.sin(turn_rad)
    return np.stack(
        [
            cosine * down - sine * across + middle[0] + shift_px[0],
            sine * down + cosine * across + middle[1] + shift_px[1],
        ]
    )
