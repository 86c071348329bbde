"""What the names of portal and hepatic branches rest on: the part ``branches`` of ``measure.toml``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StrayRules:
    """What of a tree is taken for another vessel that was drawn into it.

    Vessels grow thinner away from where their blood enters or leaves. A part that is clearly wider than the way to it
    hangs on the tree by mistake.

    Attributes:
        wider: A place so many times as wide as the narrowest place on the way to it is no part of the tree.
        wider_mm: And by at least so much in radius.
        least_way_mm: The narrow place lies at least so far from the root; nearer to it outlines are cut.
        most_share: A tree with a greater share of such parts has no names at all.
    """

    wider: float
    wider_mm: float
    least_way_mm: float
    most_share: float


@dataclass(frozen=True)
class PortalRules:
    """When trunk, right and left branch of the portal vein have their names.

    Attributes:
        least_stem_mm: So much of the trunk is drawn outside the liver.
        least_reached: Share of the tree's length that hangs on the trunk.
        least_side: Share of the tree from which a subtree counts as a branch.
        left_least_share: Least share of the tree in the left branch.
        left_most_share: Greatest.
        right_least_share: Least share of the tree to the right.
        least_apart: The left branch lies so much farther left than the rest, as a share of the tree's width.
        least_turn_mm: Right and left branch run so far apart.
        look_ahead_mm: Within so much of their way.
        shared_stem_mm: A longer stretch between the first and the last branch to the right has no name.
    """

    least_stem_mm: float
    least_reached: float
    least_side: float
    left_least_share: float
    left_most_share: float
    right_least_share: float
    least_apart: float
    least_turn_mm: float
    look_ahead_mm: float
    shared_stem_mm: float


@dataclass(frozen=True)
class HepaticRules:
    """When right, middle and left hepatic vein have their names.

    Angles run around the vena cava in the axial plane: 0 to the back, 90 to the right, 180 to the front, 270 to the
    left.

    Attributes:
        main_mouth: Mouths in the vena cava count from this share of the widest one's radius on.
        least_reached: Share of the tree's weight that hangs on the vena cava.
        least_vein: Share of it from which a subtree may be a vein.
        least_covered: Share of it that three veins hold together.
        longest_common_trunk_mm: Veins part within so much of their way.
        clearly_better: The scatter between three veins is so many times that of any other three.
        least_angle_deg: Between two veins.
        right_sector_deg: Directions in which a right vein runs, from and to.
        middle_sector_deg: The same for a middle vein.
        left_sector_deg: The same for a left vein.
    """

    main_mouth: float
    least_reached: float
    least_vein: float
    least_covered: float
    longest_common_trunk_mm: float
    clearly_better: float
    least_angle_deg: float
    right_sector_deg: tuple[float, ...]
    middle_sector_deg: tuple[float, ...]
    left_sector_deg: tuple[float, ...]

    @property
    def sectors_deg(self) -> tuple[tuple[float, ...], ...]:
        """Those of the right, the middle and the left vein."""
        return self.right_sector_deg, self.middle_sector_deg, self.left_sector_deg


@dataclass(frozen=True)
class SupplyRules:
    """How much of the liver a named tree may leave out.

    Attributes:
        reach_mm: A place of the liver farther from all named cells is not reached.
        portal_most_unreached: Share of the liver that a portal tree with names may leave unreached.
        hepatic_most_unreached: The same for hepatic veins, of which the stems alone are often drawn.
        most_beyond_left_branch: Share of the liver that may lie further to the left than the left portal branch.
        least_beyond_middle_vein: Share of it that lies further to the left than the middle hepatic vein.
    """

    reach_mm: float
    portal_most_unreached: float
    hepatic_most_unreached: float
    most_beyond_left_branch: float
    least_beyond_middle_vein: float


@dataclass(frozen=True)
class BranchRules:
    """Rules for the two trees.

    Attributes:
        portal: Of the portal vein.
        hepatic: Of the hepatic veins.
        stray: Of both.
        supply: Of both.
    """

    portal: PortalRules
    hepatic: HepaticRules
    stray: StrayRules
    supply: SupplyRules
