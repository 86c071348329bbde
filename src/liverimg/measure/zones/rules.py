"""The table ``zones.toml`` as values; its rows say what each is and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from liverimg.core.rows import filled
from liverimg.measure.rules import AlignmentRules, EnhancementRules

_MM3_PER_ML = 1000.0


@dataclass(frozen=True)
class FindingRules:
    """How places without enhancement are found on coarse voxels.

    Attributes:
        coarse_mm: Voxels on which the liver is searched.
        smoothing_mm: Standard deviation of the smoothing before.
        border_mm: The liver's own level is read this far from all that is no liver.
        level_mm: Standard deviation of the smoothing of that level: uneven coils and perfusion.
        dead_share: A place with less than this share of the liver's rise does not enhance.
        dark_share: Without an unenhanced phase: darker than the liver by this share of what dead tissue would be.
        dead_hu: Dead liver tissue on CT, with or without contrast.
        dead_percent: Dead liver tissue on MR without an unenhanced phase, in per cent of the liver's signal.
        gas_hu: Below it there is gas on CT.
        least_hu: What is darker on CT, gas or fluid, counts as so dark.
        most_hu: What is denser on CT, oil, counts as so dense.
        guard: Differences below this many standard deviations are noise.
        oil_share: Share of a zone from which on oil hides what may live in it.
        seen_ml: Gas, blood and oil are mentioned from this volume on.
        least_ml: Smaller zones are not drawn.
        least_depth_mm: Nor regions that are nowhere so deep.
        reach_mm: A zone belongs to a lesion whose place it comes this near to, beyond what the motion leaves open.
        closing_mm: Dents of the liver's outline narrower than twice this are filled: a zone may have been left out.
        dent_mm: But only dents at least so thick; a liver has shallow ones of its own.
        dent_least_hu: What is no denser, smoothed, lies in a dent as fat, air or fluid, and is no zone.
        dent_least_percent: The same on MR, in per cent of the liver's signal.
        gas_percent: Below it there may be gas on MR, in per cent of the liver's signal.
        enclosed_share: A bubble in a dent is part of a zone when this share of what lies around it is tissue.
        wide_closing_mm: As closing_mm, where a treated lesion lies.
        left_out_mm: How far around a treated lesion that is.
    """

    coarse_mm: float
    smoothing_mm: float
    border_mm: float
    level_mm: float
    dead_share: float
    dark_share: float
    dead_hu: float
    dead_percent: float
    gas_hu: float
    least_hu: float
    most_hu: float
    guard: float
    oil_share: float
    seen_ml: float
    least_ml: float
    least_depth_mm: float
    reach_mm: float
    closing_mm: float
    dent_mm: float
    dent_least_hu: float
    dent_least_percent: float
    gas_percent: float
    enclosed_share: float
    wide_closing_mm: float
    left_out_mm: float


@dataclass(frozen=True)
class BorderRules:
    """How a zone's border is found between voxels.

    Attributes:
        inside_mm: The zone's own level is read at least this far inside the border.
        deep_mm: And at most this far: gas, blood and oil in its middle say nothing of what lies at its border.
        near_mm: What lies around is read from this distance outside the border on.
        far_mm: And up to this distance.
        level_mm: Standard deviation of the smoothing of both levels along the border.
        smoothing_mm: Standard deviation of the smoothing of the image across the border.
        band_mm: How far the border may move in one round.
        rounds: How often levels and border are read in turn.
        opening_mm: Bridges narrower than twice this, such as a dark vessel that leaves the zone, are cut.
        film_mm: So thin a film of the liver, at its surface, says what lies beneath it.
        guard: On CT, values darker than dead tissue by more than this many standard deviations are gas or no liver.
        gas_share: On MR, values below this share of the signal of dead tissue are.
    """

    inside_mm: float
    deep_mm: float
    near_mm: float
    far_mm: float
    level_mm: float
    smoothing_mm: float
    band_mm: float
    rounds: int
    opening_mm: float
    film_mm: float
    guard: float
    gas_share: float


@dataclass(frozen=True)
class NeckRules:
    """What hangs on a zone and is cut off.

    Attributes:
        step_mm: Necks are looked for at radii in steps of this.
        neck_share: A neck has at most this share of the radius of each of the bodies that it joins.
        body_mm: A body is thicker than its neck by at least this, in radius.
        least_ml: Smaller bodies stay.
        far_mm: A zone that reaches farther than this beyond the place of its lesions, and its error, says so.
    """

    step_mm: float
    neck_share: float
    body_mm: float
    least_ml: float
    far_mm: float


@dataclass(frozen=True)
class FocusRules:
    """What counts as living tumour at a zone's border.

    Attributes:
        smoothing_mm: Standard deviation of the smoothing that quiets the noise.
        wide_mm: The same where the tumour stands out too little for that.
        guard: Differences below this many standard errors are noise.
        hyper_hu: Brighter than the liver by this in the arterial phase, on CT.
        hyper_percent: The same on MR, in per cent of the liver's signal.
        excess_share: What counts of the excess that the tumour had before; small foci show a part of it only.
        sure_share: The same for what was drawn as zone, where no unenhanced phase proves a rise.
        sure_hu: And at least so much.
        sight_most_mm: No rest is looked for where only larger ones would stand out of chance.
        chance: How often a study may show a focus by noise alone.
        reach_mm: How far from the zone's border a focus may begin or end.
        beside_share: Of a focus that lies beside the lesion's place, what its peak needs of the tumour's own excess.
        round_share: And of the radius of a ball of its volume, what a ball in it has.
        place_most_mm: Where the lesion's place is known no better than this, foci are unknown.
        around_mm: How far outside the lesion's place it may lie, beyond what the motion leaves open.
        rim_most_mm: A thin regular rim is at most this thick.
        rim_share: A rim covers at least this share of the border.
        beyond_rim_mm: A focus stands out of the rim by at least this.
        smallest_mm: Diameter from which foci are looked for.
        smallest_share: A focus counts from this share of that diameter on, as noise and blur take some of it.
        thin_share: A layer thinner than this share of it is no nodule.
        grow_mm: A rest reaches at most this far beyond what proves it.
        core_mm: Standard deviation of the neighbourhood in which a rest or the zone encloses dead tissue.
        core_depth_mm: Radius that a tumour's own core has at least.
        core_rounds: How often the border between rest and core is moved.
    """

    smoothing_mm: float
    wide_mm: float
    guard: float
    hyper_hu: float
    hyper_percent: float
    excess_share: float
    sure_share: float
    sure_hu: float
    sight_most_mm: float
    chance: float
    reach_mm: float
    beside_share: float
    round_share: float
    place_most_mm: float
    around_mm: float
    rim_most_mm: float
    rim_share: float
    beyond_rim_mm: float
    smallest_mm: float
    smallest_share: float
    thin_share: float
    grow_mm: float
    core_mm: float
    core_depth_mm: float
    core_rounds: int

    @property
    def least_ml(self) -> float:
        """Volume of the smallest part that counts as a focus."""
        return math.pi / 6 * (self.smallest_share * self.smallest_mm) ** 3 / _MM3_PER_ML


@dataclass(frozen=True)
class ErrorRules:
    """How far a zone's border that was drawn by rule may lie from the true one.

    Attributes:
        least_mm: With sharp images and strong contrast.
        of_noise_mm: What is added for each unit of noise against the contrast at the border.
        of_slice: What is added of the slice spacing.
        of_doubt: What is added of the doubt of the phases' places.
        of_surface_mm: What is added where part of the border is the liver's own.
        of_darkness_mm: What is added without an unenhanced phase: darkness is weaker evidence than a missing rise.
        of_rest_mm: What is added where living rests were found at the border: how far they reach is less certain.
        of_untold_mm: What is added where rests can't be told, in part or at all: one may be drawn as zone.
    """

    least_mm: float
    of_noise_mm: float
    of_slice: float
    of_doubt: float
    of_surface_mm: float
    of_darkness_mm: float
    of_rest_mm: float
    of_untold_mm: float


@dataclass(frozen=True)
class ZoneRules:
    """All of it, with the parts of ``measure.toml`` that the phases are laid together and read by.

    Attributes:
        finding: On coarse voxels.
        border: On the voxels of the reference.
        neck: Bodies that hang on a zone.
        focus: Residual foci.
        error: Of the border.
        alignment: Of the phases.
        enhancement: What counts as a rise, and as oil.
    """

    finding: FindingRules
    border: BorderRules
    neck: NeckRules
    focus: FocusRules
    error: ErrorRules
    alignment: AlignmentRules
    enhancement: EnhancementRules

    @classmethod
    def from_tables(cls, zones: Mapping[str, Any], measure: Mapping[str, Any]) -> ZoneRules:
        """From ``zones.toml`` and ``measure.toml``."""
        alignment = AlignmentRules.from_table(measure.get("alignment", {}))
        enhancement = EnhancementRules.from_table(measure.get("enhancement", {}))
        return filled(cls, zones, "zones", alignment=alignment, enhancement=enhancement)
