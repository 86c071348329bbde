"""Constants of the measurements that have a part of ``measure.toml`` to themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from liverimg.core.errors import RecordInvalidError
from liverimg.core.grid import FloatArray
from liverimg.core.rows import filled
from liverimg.registration.phase_motion import PhaseMotionRules
from liverimg.registration.translation import TranslationRules


@dataclass(frozen=True)
class AlignmentRules:
    """How phases are brought together.

    Attributes:
        coarse_mm: Voxels on which the whole liver is laid onto itself.
        fine_mm: Voxels on which that is done again around a lesion.
        most_shift_mm: Longest motion of the liver that is believed.
        most_residual_mm: Longest further motion around a lesion that is believed.
        around_mm: How far around a lesion edges are compared.
        unseen_residual_mm: What is left of the motion where no edge tells.
        translation: How a translation is judged.
        bending: How the liver's turning and bending beyond it is found.
    """

    coarse_mm: float
    fine_mm: float
    most_shift_mm: float
    most_residual_mm: float
    around_mm: float
    unseen_residual_mm: float
    translation: TranslationRules
    bending: PhaseMotionRules

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> AlignmentRules:
        """From the ``alignment`` part."""
        return filled(cls, table, "measure alignment", translation=filled(TranslationRules, table, "measure alignment"))


@dataclass(frozen=True)
class EnhancementRules:
    """What counts as contrast, enhancement, washout and retained oil.

    Attributes:
        ring_near_mm: The liver to compare with begins this far from the lesion.
        ring_far_mm: And ends this far from it.
        ring_clear_mm: It keeps this far from vessels, other lesions and the liver's surface.
        block_mm: Noise is judged on the means of blocks this wide.
        guard: Differences below this many standard errors are noise.
        contrast_hu: Difference to the liver that a reader sees, on CT.
        contrast_percent: The same on MR, in per cent of the liver's signal.
        enhancing_least_hu: Below this rise nothing enhances, on CT.
        enhancing_sure_hu: From this rise on something enhances, on CT.
        enhancing_least_percent: As the first on MR, in per cent of the unenhanced signal.
        enhancing_sure_percent: As the second on MR.
        core_share: Inner part of a lesion: depth from this share of the deepest place on.
        shell_share: Outer part: depth up to this share of the deepest place.
        rim_least_mm: In lesions whose deepest place lies less deep than this, a rim can't be told from the rest.
        part_share: A part that enhances counts from this share of the lesion on.
        capsule_mm: How far from the surface a capsule is looked for, and the thickest slices to look for it in.
        oil_least_hu: Below it no iodised oil, without contrast.
        oil_sure_hu: From it on iodised oil.
        oil_present_share: Share of a lesion from which on oil counts as present.
        oil_moderate_share: Retention from this share on is moderate.
        oil_complete_share: Retention above this share is complete.
        viable_smoothing_mm: Standard deviation of the smoothing of a map of enhancement.
        viable_least_ml: Smaller enhancing specks are noise.
        organ_pitch_mm: Liver and spleen are read at places this far apart.
        organ_inside_mm: And this far inside their outline.
        scanner_hu: How far a scanner's HU may be off.
    """

    ring_near_mm: float
    ring_far_mm: float
    ring_clear_mm: float
    block_mm: float
    guard: float
    contrast_hu: float
    contrast_percent: float
    enhancing_least_hu: float
    enhancing_sure_hu: float
    enhancing_least_percent: float
    enhancing_sure_percent: float
    core_share: float
    shell_share: float
    rim_least_mm: float
    part_share: float
    capsule_mm: float
    oil_least_hu: float
    oil_sure_hu: float
    oil_present_share: float
    oil_moderate_share: float
    oil_complete_share: float
    viable_smoothing_mm: float
    viable_least_ml: float
    organ_pitch_mm: float
    organ_inside_mm: float
    scanner_hu: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> EnhancementRules:
        """From the ``enhancement`` part."""
        return filled(cls, table, "measure enhancement")


@dataclass(frozen=True)
class NearnessRules:
    """What counts as a heat sink and as the diaphragm; constants of the bands of calibre and contact.

    Attributes:
        heat_sink_least_diameter_mm: Vessels at least this wide carry heat away.
        diaphragm_reach_mm: The liver's surface counts as the dome where lung or heart lies this near.
        contact_reach_mm: A vessel's wall counts as touched where the lesion begins this near, or within half a voxel.
        band_calibre: Half width of a diameter's band as a share of the pitch times pitch over diameter.
        band_calibre_least: Its least value as a share of the pitch.
        band_calibre_shape: What forks, bends and tapering add, as a share of the diameter.
        band_contact: By how much of the pitch along the wall the edge of a contact may lie elsewhere.
    """

    heat_sink_least_diameter_mm: float
    diaphragm_reach_mm: float
    contact_reach_mm: float
    band_calibre: float
    band_calibre_least: float
    band_calibre_shape: float
    band_contact: float

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> NearnessRules:
        """From the ``nearness`` part."""
        return filled(cls, table, "measure nearness")


_FEATURES, _SEGMENTS = 10, 8  # of the quadratic functions: terms each, and how many


@dataclass(frozen=True, eq=False)
class SegmentRules:
    """How the liver is divided, and what resections and ablations take of it.

    Attributes:
        matrix: Weights of the segments' quadratic functions, shape (10, 8).
        doubt: By how much a function may be off, from the liver's shape alone.
        doubt_with_veins: The same where the veins were used.
        stiffness: How much bending a border costs against missing its vein.
        least_vein_cells: A vein with fewer cells than this parts nothing.
        least_drawn_share: Segments that somebody drew are used from this share of the liver on.
        least_liver_ml: A smaller liver is no whole liver.
        most_liver_ml: Nor is a larger one like those that were fitted to.
        resections: Segments that each resection takes, by its name.
        planned_margins_mm: Margins around the tumours that an ablation may plan.
    """

    matrix: FloatArray
    doubt: float
    doubt_with_veins: float
    stiffness: float
    least_vein_cells: float
    least_drawn_share: float
    least_liver_ml: float
    most_liver_ml: float
    resections: Mapping[str, tuple[int, ...]]
    planned_margins_mm: tuple[float, ...]

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> SegmentRules:
        """From the ``segments`` part.

        Raises:
            RecordInvalidError: Weights, resections or margins are missing or of the wrong form.
        """
        try:
            matrix = np.array(table["shape"]["weights"], dtype=float).T
            resections = {name: tuple(int(s) for s in row["segments"]) for name, row in table["resections"].items()}
            margins = tuple(float(mm) for mm in table["planned_margins_mm"]["values"])
        except (KeyError, TypeError, ValueError) as error:
            raise RecordInvalidError(
                f"the measure table's part segments is not whole ({error}); expected shape.weights, resections and "
                "planned_margins_mm"
            ) from error
        if matrix.shape != (_FEATURES, _SEGMENTS):
            raise RecordInvalidError(f"segments.shape.weights has shape {matrix.T.shape}; expected (8, 10)")
        return filled(
            cls,
            table,
            "measure segments",
            matrix=matrix,
            resections=MappingProxyType(resections),
            planned_margins_mm=margins,
        )

    def with_resection(self, name: str, segments: tuple[int, ...]) -> SegmentRules:
        """The same with one more resection.

        Raises:
            RecordInvalidError: A segment is none of 1 to 8.
        """
        wrong = [s for s in segments if s not in range(1, _SEGMENTS + 1)]
        if wrong:
            raise RecordInvalidError(f"{wrong[0]} is no Couinaud segment; expected numbers from 1 to {_SEGMENTS}")
        return replace(self, resections=MappingProxyType({**self.resections, name: tuple(sorted(set(segments)))}))
