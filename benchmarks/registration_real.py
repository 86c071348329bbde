"""A real liver as a body for made motions: a folder with a DICOM series and the outline of its liver."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as Sitk
from scipy import ndimage

from liverimg.core.grid import Grid
from liverimg.phantom.solids import Ellipsoid
from registration_bodies import FINE_MM, Body, signed_distance

_BEYOND_MM = 34.0


def real_body(folder: Path) -> Body:
    """The body: odd slices give the first look's image, even ones the second's, so that their noise differs.

    Tumours are balls at places deep enough in the liver; what lies there takes no part in the registration anyway.
    """
    reader = Sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder / "dicom")))
    image = reader.Execute()
    outline = nibabel.load(folder / "liver.nii.gz")
    step = image.GetDirection()
    affine = np.eye(4)
    matrix = np.array(step).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3], affine[:3, 3] = matrix[:, ::-1], image.GetOrigin()
    values = Sitk.GetArrayFromImage(image).astype(np.float32)
    grid = Grid((int(values.shape[0]), int(values.shape[1]), int(values.shape[2])), affine)
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    mask = np.asarray(outline.dataobj) > 0
    index = np.argwhere(mask)
    places = (index @ (flip @ outline.affine)[:3, :3].T) + (flip @ outline.affine)[:3, 3]
    low, high = places.min(axis=0) - _BEYOND_MM, places.max(axis=0) + _BEYOND_MM
    count = np.ceil((high - low)[::-1] / FINE_MM).astype(int)
    fine = Grid.from_axes((int(count[0]), int(count[1]), int(count[2])), spacing_mm=(FINE_MM,) * 3, origin_lps_mm=low)
    to_mask = np.linalg.inv(flip @ outline.affine)
    inside = _at(mask.astype(np.float32), fine, to_mask) > 0.5
    images = {}
    for name, first in (("portal_venous", 0), ("second", 1)):
        part = grid.cropped((first, 0, 0), (len(values[first::2]), *values.shape[1:]))
        wide = np.array(part.affine)
        wide[:3, 0] *= 2
        # Averaged within the slice to the cubes' width, so that noise does not alias.
        sigma = FINE_MM / grid.spacing_mm[1] / 3
        quiet = ndimage.gaussian_filter(values[first::2], (0, sigma, sigma))
        images[name] = _at(quiet, fine, np.linalg.inv(wide))
    signed = signed_distance(inside, fine)
    return Body(fine, images, signed, _balls(signed, fine), noisy=True)


def _at(values: np.ndarray, grid: Grid, to_index: np.ndarray) -> np.ndarray:
    both = to_index @ grid.affine
    return ndimage.affine_transform(values, both[:3, :3], both[:3, 3], output_shape=grid.shape, order=1, mode="nearest")


def _balls(signed: np.ndarray, grid: Grid) -> dict[str, Ellipsoid]:
    rng = np.random.default_rng(2)
    deep = np.argwhere(signed < -16)
    found: list[np.ndarray] = []
    while len(found) < 3:
        place = grid.index_to_lps_mm(deep[rng.integers(len(deep))])
        if all(np.linalg.norm(place - other) > 60 for other in found):
            found.append(place)
    return {
        f"B{n + 1}": Ellipsoid(tuple(p), (r, r, r))
        for n, (p, r) in enumerate(zip(found, (8.0, 11.0, 14.0), strict=True))
    }
