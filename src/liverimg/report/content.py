"""Everything the page is made of, gathered by the stage and handed over as one frozen value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from liverimg.core.assessment import Assessment
from liverimg.core.errors import GridMismatchError, RecordInvalidError
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.measurement import MeasurementSet
from liverimg.core.study import Series, Study
from liverimg.core.volume import Volume
from liverimg.core.window import Transducer, WindowMap

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, eq=False)
class ReportContent:
    """The study, its pictures and its numbers, ready to be laid out.

    Attributes:
        study: What was received, used and not used.
        reference: The series that was delineated and measured.
        volume: Its voxels.
        labels: What was delineated, on the volume's grid.
        quality: How far the labels can be trusted.
        measurements: Every quantity or the reason why there is none.
        assessment: What the rules say.
        structures: Title and colour (``#rrggbb``) of each structure, in the order of the legend.
        strings: All words of the page and its display settings, the table ``report_strings``.
        windows: Maps of acoustic windows, of the lesions that have one.
        transducer: With which they were looked for.
        provenance: Rows of label and value: software version, model, date of the run, recipe.
        criteria: Title of each table of rules, by id.
        notices: What a reader must know first, such as labels that were edited by hand.
    """

    study: Study
    reference: Series
    volume: Volume = field(repr=False)
    labels: LabelMap = field(repr=False)
    quality: LabelQuality
    measurements: MeasurementSet
    assessment: Assessment
    structures: Mapping[Structure, tuple[str, str]]
    strings: Mapping[str, Any] = field(repr=False)
    windows: tuple[WindowMap, ...] = ()
    transducer: Transducer | None = None
    provenance: tuple[tuple[str, str], ...] = ()
    criteria: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.volume.grid.fits_in_space(self.labels.grid):
            raise GridMismatchError(
                "the labels of the report lie on another grid than its volume; "
                "expected labels on the reference series, so resample them to it first"
            )
        for structure, (_title, colour) in self.structures.items():
            # Colours go into style attributes, where escaping alone is no fence.
            if not _COLOUR.fullmatch(colour):
                raise RecordInvalidError(f"{structure} has the colour {colour!r}; expected the form #rrggbb")

    def title_of(self, structure: Structure) -> str:
        """The structure's name for readers."""
        return self.structures[structure][0] if structure in self.structures else structure.replace("_", " ")

    def colour_of(self, structure: Structure) -> str:
        """The structure's colour, grey when the table has none."""
        return self.structures[structure][1] if structure in self.structures else "#9aa4ae"
