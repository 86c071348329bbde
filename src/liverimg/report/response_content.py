"""Everything that the page about a study after treatment is made of, gathered by the stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from liverimg.core.alignment import Alignment
from liverimg.core.catalogue import QuantityRow, row_of
from liverimg.core.errors import GridMismatchError, RecordInvalidError
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.response import StudyResponse
from liverimg.core.study import Series, Study
from liverimg.core.volume import Volume
from liverimg.core.zones import ZoneMap
from liverimg.report.margin_surface import MarginSurface


@dataclass(frozen=True, eq=False)
class Examination:
    """One of the two studies.

    Attributes:
        study: What was received.
        series: The series that was delineated and measured.
        volume: Its voxels.
        labels: What was delineated, on the volume's grid.
        others: Images of other contrast phases with their series, in the same frame of reference.
    """

    study: Study
    series: Series
    volume: Volume = field(repr=False)
    labels: LabelMap = field(repr=False)
    others: tuple[tuple[Series, Volume], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not self.volume.grid.fits_in_space(self.labels.grid):
            raise GridMismatchError(
                "the labels of the report lie on another grid than its volume; "
                "expected labels on the reference series, so resample them to it first"
            )


@dataclass(frozen=True, eq=False)
class ResponseContent:
    """Both studies, what was found, and the words to say it with.

    Attributes:
        before: The baseline.
        now: The study after treatment.
        response: What was found.
        alignment: How the baseline was laid onto the study.
        zones: On the grid of the later study's reference series.
        margins: Painted surfaces of the lesions that have one.
        limits_mm: Where the bands of the margin begin and end, rising.
        structures: Title and colour (``#rrggbb``) of each structure.
        strings: All words and display settings: ``report_strings`` with ``response_strings`` laid over it.
        provenance: Rows of label and value.
        notices: What a reader must know first, such as zones that were corrected by hand.
    """

    before: Examination
    now: Examination
    response: StudyResponse
    alignment: Alignment
    zones: ZoneMap = field(repr=False)
    margins: Mapping[str, MarginSurface]
    limits_mm: tuple[float, ...]
    structures: Mapping[Structure, tuple[str, str]]
    strings: Mapping[str, Any] = field(repr=False)
    provenance: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.zones.grid.fits_in_space(self.now.volume.grid):
            raise GridMismatchError("the zones lie on another grid than the study's reference series")
        wanted = len(self.limits_mm) + 1
        given = len(self.strings["display"]["margin"]["colours"])
        if given != wanted:
            raise RecordInvalidError(
                f"response_strings gives {given} colours for the bands of the margin, and margin.toml makes {wanted}"
            )


def laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A table of words with another one's entries in place of its own, table by table.

    The other one's entries come first, so that they lead where order counts.
    """
    made: dict[str, Any] = {}
    for name, value in over.items():
        base = under.get(name)
        made[name] = laid_over(base, value) if isinstance(value, Mapping) and isinstance(base, Mapping) else value
    return made | {name: value for name, value in under.items() if name not in made}


def with_titles(strings: Mapping[str, Any], response: StudyResponse, rows: Mapping[str, QuantityRow]) -> dict[str, Any]:
    """The words with a title for every quantity of a study that has none of its own yet, as the catalogue gives it."""
    own = strings["quantity"]
    found = {name: row_of(name, rows) for name in _quantities(response) if name not in own}
    titles = {name: {"title": row.title} for name, row in found.items() if row is not None}
    return {**strings, "quantity": {**own, **titles}}


def _quantities(response: StudyResponse) -> Iterator[str]:
    for lesion in response.lesions:
        yield from (quantity.name for quantity in (*lesion.quantities, *lesion.baseline))
    for part in (*response.zones, *response.foci, *response.candidates):
        yield from (quantity.name for quantity in part.quantities)
