"""What the page shows, as plain values that become its JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from liverimg.core.measurement import Point

Strings = Mapping[str, Any]


@dataclass(frozen=True)
class WindowPreset:
    """Grey values of one way of looking: which is mid-grey, and how many there are from black to white."""

    name: str
    title: str
    level: float
    width: float


@dataclass(frozen=True)
class SeriesRow:
    """One volume of the study.

    Attributes:
        file: Name to ask the server for.
        title: Phase, modality, spacing.
        description: What the scanner called it.
        unit: Of its values: ``HU``, or empty.
        labelled: Whether the labels may be laid over it: it lies in their frame of reference.
        reference: Whether they were drawn on it.
    """

    file: str
    title: str
    description: str
    unit: str
    labelled: bool
    reference: bool


@dataclass(frozen=True)
class LayerRow:
    """One name of a label map.

    Attributes:
        key: Unique on the page.
        layer: ``labels`` or ``zones``.
        value: Its value there.
        title: For a reader.
        colour: ``#rrggbb``.
        shown: Whether it is switched on.
    """

    key: str
    layer: str
    value: int
    title: str
    colour: str
    shown: bool


@dataclass(frozen=True)
class Line:
    """A measured line.

    Attributes:
        text: Its name and length for a reader.
        start_lps_mm: One end.
        end_lps_mm: The other.
    """

    text: str
    start_lps_mm: Point
    end_lps_mm: Point


@dataclass(frozen=True)
class Place:
    """Somewhere to go: a lesion, a zone, a focus.

    Attributes:
        id: Its name.
        kind: ``lesion``, ``zone``, ``focus`` or ``candidate``.
        title: For a reader.
        note: One sentence, or empty.
        colour: Of what is drawn there.
        centre_lps_mm: Its centre of gravity.
        diameter: Its long diameter in an axial slice; None where it was not measured.
    """

    id: str
    kind: str
    title: str
    note: str
    colour: str
    centre_lps_mm: Point
    diameter: Line | None


@dataclass(frozen=True)
class Look:
    """How a person left the page.

    Attributes:
        hidden: Keys of layers that are switched off; None where nobody ever chose.
        opacity: Of the labels, 0 to 1.
        outline: Whether edges are drawn instead of areas.
    """

    hidden: tuple[str, ...] | None
    opacity: float
    outline: bool


@dataclass(frozen=True)
class Scene:
    """Everything on the page but its pictures."""

    study_date: str
    kind: str
    notices: tuple[str, ...]
    series: tuple[SeriesRow, ...]
    layers: tuple[LayerRow, ...]
    places: tuple[Place, ...]
    windows: tuple[WindowPreset, ...]
    look: Look
    has_zones: bool
    labels_tag: str
    editable: bool
    words: Strings = field(repr=False)

    def record(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False).encode()


@dataclass(frozen=True)
class SurfaceRow:
    """One surface of the 3-D view.

    Attributes:
        file: Name to ask the server for.
        key: Of the layer that it belongs to.
        title: For a reader.
        colour: ``#rrggbb``.
        opacity: 1 is solid.
        shown: Whether it is switched on at first.
    """

    file: str
    key: str
    title: str
    colour: str
    opacity: float
    shown: bool
