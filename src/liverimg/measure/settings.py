"""What a measurement may be told: sizes below which nothing is reported, constants of the bands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from liverimg.core.rows import filled
from liverimg.measure.branch_rules import BranchRules
from liverimg.measure.lattice import GridShare
from liverimg.measure.rules import AlignmentRules, EnhancementRules, NearnessRules, SegmentRules


@dataclass(frozen=True)
class LengthBands:
    """What the grid hides of each length.

    Attributes:
        long_diameter: Of the axial long diameter.
        short_diameter: Of the axial short diameter, beside what the choice of the long one leaves open.
        extent: Of the craniocaudal extent.
        diameter_3d: Of the largest 3-D diameter.
        surface_area: Of an area over its root.
        distance: Of distances between structures.
        depth_near: Of the depth of the nearest point.
        depth_centre: Of the depth of the centre.
        depth_far: Of the depth of the farthest point.
    """

    long_diameter: GridShare
    short_diameter: GridShare
    extent: GridShare
    diameter_3d: GridShare
    surface_area: GridShare
    distance: GridShare
    depth_near: GridShare
    depth_centre: GridShare
    depth_far: GridShare


@dataclass(frozen=True)
class MeasureSettings:
    """The table ``measure.toml`` as values.

    Attributes:
        minimum_lesion_volume_ml: Smaller unnumbered parts of the tumour label are not reported.
        liver_closing_radius_mm: Vessels count as inside the liver where liver lies around them this near.
        bands: Half widths of the 95 % bands of lengths.
        band_line: Half width where a line that is given meets a surface, as a share of the pitch along it.
        band_volume: Half width of a volume's band as a share of the root of border voxels, in voxels.
        skin_threshold_hu: On CT the skin lies where the values pass this.
        skin_detach_radius_mm: What hangs on the body by a bridge narrower than twice this is no part of it.
        band_mesh_volume: The same for the volume within the sub-voxel surface.
        band_sphericity: Half width of a sphericity's band in per cent of it.
        pixel_sphericity: What that gains over the area counted in pixels, in per cent.
        few_volume: Half width of a volume's band as a share of the volume over the squared number of slices.
        few_mesh_volume: The same for that within the sub-voxel surface, over the cubed number of slices.
        few_sphericity: What that gains over the squared number of slices, in per cent.
        recist_least_diameter_mm: Lesions at least this long are measurable on thin slices.
        recist_thin_slice_mm: Slices up to this count as thin.
        recist_slices: On thicker slices a measurable lesion is at least so many slice spacings long.
        recist_targets_per_organ: How many target lesions an organ may have.
        size_bin_small_mm: Below this a lesion is of the smallest size class.
        size_bin_large_mm: Above this a lesion is of the largest size class.
        growth_threshold_percent: Growth of the diameter from which it is called threshold growth.
        growth_most_months: Longest time between two studies for threshold growth.
        growth_pairing_mm: Lesions of two studies in one frame of reference are one when this near.
        alignment: How phases are laid onto each other.
        enhancement: What counts as contrast, enhancement, washout and retained oil.
        segments: How the liver is divided, and what resections and ablations take of it.
        nearness: What counts as a heat sink and as the diaphragm.
        branches: When branches of vessels have names.
    """

    minimum_lesion_volume_ml: float
    liver_closing_radius_mm: float
    bands: LengthBands
    band_line: float
    band_volume: float
    skin_threshold_hu: float
    skin_detach_radius_mm: float
    band_mesh_volume: float
    band_sphericity: float
    pixel_sphericity: float
    few_volume: float
    few_mesh_volume: float
    few_sphericity: float
    recist_least_diameter_mm: float
    recist_thin_slice_mm: float
    recist_slices: float
    recist_targets_per_organ: float
    size_bin_small_mm: float
    size_bin_large_mm: float
    growth_threshold_percent: float
    growth_most_months: float
    growth_pairing_mm: float
    alignment: AlignmentRules
    enhancement: EnhancementRules
    segments: SegmentRules
    nearness: NearnessRules
    branches: BranchRules

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> MeasureSettings:
        """Reads a mapping of ``{name: {value, unit, source}}``; each name has to be there."""
        return filled(cls, table, "measure")
