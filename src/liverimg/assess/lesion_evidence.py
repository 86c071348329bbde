"""What the answers about one treated lesion rest on."""

from __future__ import annotations

from dataclasses import dataclass

from liverimg.core.measurement import Measured, NotMeasured
from liverimg.core.response import Timepoint


@dataclass(frozen=True)
class LesionEvidence:
    """What the answers about one lesion rest on.

    Attributes:
        lesion_id: The lesion of the baseline.
        margin: Its smallest margin.
        viable: Diameter of what is left alive of it.
        viable_before: The same in the baseline.
        foci: Residual foci.
        not_evaluable: Why enhancement can't be read there; empty where it could be.
        doubt: Why no focus proves nothing all the same; empty where there is no such doubt.
        timepoint: When the study was made.
        branch: Branch of the treatment response algorithm; None when the kind of treatment was not given.
        complete_before: Whether an earlier study showed complete ablation; None when there is none.
        searched: Whether the program searched for foci; else only what somebody drew is known.
        drawn_by: Who drew zone and foci where no person did: ``rule`` or ``model``; empty otherwise.
    """

    lesion_id: str
    margin: Measured
    viable: Measured
    viable_before: Measured
    foci: tuple[str, ...]
    not_evaluable: str
    doubt: str
    timepoint: Timepoint
    branch: str | None = None
    complete_before: bool | None = None
    searched: bool = True
    drawn_by: str = ""

    @property
    def complete(self) -> bool | None:
        """Whether no enhancing tumour is left that this study could show; None when that can't be told."""
        if self.foci:
            return False
        return None if self.not_evaluable or self.doubt else True

    @property
    def covered(self) -> bool | None:
        """Whether the zone covers the tumour everywhere; None where the margin's band leaves it open."""
        if isinstance(self.margin, NotMeasured):
            return None
        if self.margin.low > 0:
            return True
        return False if self.margin.high <= 0 else None
