"""How libraries register the same pairs: SimpleITK's demons and B-splines, elastix's B-splines.

Each gets the images on our cubes, our start from the livers' outlines and our region without what was treated, and
returns where it takes points of the earlier examination. None where it is not installed or fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as Sitk
from scipy import ndimage

from liverimg.core.grid import Grid
from liverimg.core.motion import RigidMotion
from liverimg.registration.align import AlignRules
from liverimg.registration.liver_view import carried, view_of
from liverimg.registration.outline import outline_motion
from liverimg.registration.treated_region import comparable, lesion_points

try:
    import itk
except ImportError:
    itk = None

_CLIP_HU = (-100.0, 250.0)
Field = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Parts:
    """What a library is given.

    Attributes:
        earlier: On cubes.
        later: Laid onto the same cubes by the start.
        region: Where they may be compared.
        grid: Of all three.
    """

    earlier: np.ndarray = field(repr=False)
    later: np.ndarray = field(repr=False)
    region: np.ndarray = field(repr=False)
    grid: Grid


def own_parts(pair, rules: AlignRules) -> tuple[RigidMotion, Parts]:
    """Our start and what it leaves to be found."""
    one, other = (
        view_of(v, m, rules.view) for v, m in ((pair.earlier, pair.liver_earlier), (pair.later, pair.liver_later))
    )
    start = outline_motion(one, other)
    later = other.at(carried(one.grid, start))
    places = {name: lesion_points(mask, pair.earlier.grid) for name, mask in pair.tumours.items()}
    region = comparable(one, places, later, rules=rules.judgement)
    images = [np.clip(np.nan_to_num(v, nan=_CLIP_HU[0]), *_CLIP_HU).astype(np.float32) for v in (one.image, later)]
    return start, Parts(images[0], images[1], region, one.grid)


def _image(array: np.ndarray, grid: Grid) -> Sitk.Image:
    made = Sitk.GetImageFromArray(array)
    made.SetSpacing([float(s) for s in grid.spacing_mm[::-1]])
    made.SetOrigin([float(v) for v in grid.origin_lps_mm])
    return made


def _method(parts: Parts, *, seed: int = 1) -> Sitk.ImageRegistrationMethod:
    method = Sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(40)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.1, seed)
    method.SetMetricFixedMask(_image(parts.region.astype(np.uint8), parts.grid))
    method.SetInterpolator(Sitk.sitkLinear)
    return method


def _rigid(parts: Parts) -> Sitk.Transform:
    method = _method(parts)
    first = Sitk.Euler3DTransform()
    first.SetCenter([float(v) for v in parts.grid.centre_lps_mm])
    method.SetInitialTransform(first, inPlace=False)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 0.01, 100)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([2.0, 0.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    return method.Execute(_image(parts.earlier, parts.grid), _image(parts.later, parts.grid))


def _through(transforms: list, start: RigidMotion) -> Field:
    def moved(points: np.ndarray) -> np.ndarray:
        out = [p.tolist() for p in points]
        for transform in transforms:
            out = [transform.TransformPoint(p) for p in out]
        return start.apply(np.array(out))

    return moved


def sitk_rigid(_pair, start: RigidMotion, parts: Parts) -> Field:
    """Mutual information, rigid."""
    return _through([_rigid(parts)], start)


def sitk_demons(_pair, start: RigidMotion, parts: Parts) -> Field:
    """Rigid, then fast symmetric forces demons on matched histograms; the treated region is made equal in both."""
    rigid = _rigid(parts)
    fixed, moving = _image(parts.earlier, parts.grid), _image(parts.later, parts.grid)
    laid = Sitk.Resample(moving, fixed, rigid, Sitk.sitkLinear, _CLIP_HU[0])
    laid = Sitk.HistogramMatching(laid, fixed, 128, 10)
    inside = ndimage.binary_dilation(parts.region, iterations=2)
    hidden = ~inside
    one, other = Sitk.GetArrayFromImage(fixed), Sitk.GetArrayFromImage(laid)
    usual = float(np.median(one[parts.region]))
    one[hidden], other[hidden] = usual, usual
    demons = Sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(60)
    demons.SetStandardDeviations(2.0)
    found = demons.Execute(_image(one, parts.grid), _image(other, parts.grid))
    warp = Sitk.DisplacementFieldTransform(Sitk.Cast(found, Sitk.sitkVectorFloat64))
    return _through([warp, rigid], start)


def sitk_b_spline(_pair, start: RigidMotion, parts: Parts) -> Field:
    """Rigid, then cubic B-splines with nodes about 50 mm apart, mutual information, L-BFGS-B."""
    rigid = _rigid(parts)
    fixed, moving = _image(parts.earlier, parts.grid), _image(parts.later, parts.grid)
    nodes = [max(2, round(n * mm / 50.0)) for n, mm in zip(fixed.GetSize(), fixed.GetSpacing(), strict=True)]
    first = Sitk.BSplineTransformInitializer(fixed, nodes, 3)
    method = _method(parts)
    method.SetMovingInitialTransform(rigid)
    method.SetInitialTransform(first, inPlace=True)
    method.SetOptimizerAsLBFGSB(1e-5, 20)
    method.Execute(fixed, moving)
    return _through([first, rigid], start)


def elastix_b_spline(_pair, start: RigidMotion, parts: Parts) -> Field | None:
    """itk-elastix's own defaults for rigid and B-spline, the region as fixed mask."""
    if itk is None or not hasattr(itk, "elastix_registration_method"):
        return None
    images = []
    for array in (parts.earlier, parts.later, parts.region.astype(np.uint8)):
        made = itk.image_from_array(np.ascontiguousarray(array))
        made.SetSpacing([float(s) for s in parts.grid.spacing_mm[::-1]])
        made.SetOrigin([float(v) for v in parts.grid.origin_lps_mm])
        images.append(made)
    chosen = itk.ParameterObject.New()
    for name, spacing in (("rigid", 0.0), ("bspline", 40.0)):
        chosen.AddParameterMap(chosen.GetDefaultParameterMap(name, 3, spacing or 10.0))
    try:
        _, found = itk.elastix_registration_method(
            images[0], images[1], parameter_object=chosen, fixed_mask=images[2], log_to_console=False
        )
        with TemporaryDirectory() as folder:  # it writes the field to a file as well
            warp = np.asarray(itk.transformix_deformation_field(images[1], found, output_directory=folder))
    except RuntimeError:
        return None

    def moved(points: np.ndarray) -> np.ndarray:
        at = parts.grid.lps_mm_to_index(points).T
        shift = np.stack([ndimage.map_coordinates(warp[..., a], at, order=1, mode="nearest") for a in range(3)], axis=1)
        return start.apply(points + shift)

    return moved


PEERS = {
    "SimpleITK rigid": sitk_rigid,
    "SimpleITK rigid and demons": sitk_demons,
    "SimpleITK rigid and B-spline": sitk_b_spline,
    "elastix rigid and B-spline": elastix_b_spline,
}
