"""View: what the page says about a study: its series, the names of its labels, its lesions and how it was left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from liverimg.core.errors import RecordInvalidError
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.study import Series, Study
from liverimg.core.volume import Quantity
from liverimg.core.zones import ZoneMap
from liverimg.files.records import Record
from liverimg.files.response_records import response_from_record
from liverimg.files.result_records import measurements_from_record
from liverimg.files.tables import read_table, structure_styles
from liverimg.report.response_content import laid_over
from liverimg.report.text import date_text, say
from liverimg.stages.artefacts import labels_were_edited, read_labels, reference_index
from liverimg.stages.phase_looks import read_final_study
from liverimg.stages.view_places import measured_places, response_places
from liverimg.stages.zone_files import read_zones
from liverimg.viewer.scene import LayerRow, Look, Place, Scene, SeriesRow, WindowPreset
from liverimg.workspace import Artefact, Workspace

LOOK = "view"
_ANY_LESION = "lesion:"


def read_scene(workspace: Workspace, *, editable: bool) -> Scene:
    """Everything on the page but its pictures, as the folder has it now."""
    table, own_words = read_table("viewer"), read_table("viewer_strings")
    words = laid_over(read_table("report_strings"), own_words)
    study, labels = read_final_study(workspace), read_labels(workspace)
    zones = shown_zones(workspace, labels)
    layers = _label_layers(labels, table, words)
    if zones is not None:
        # The zones say the same in more detail, and lie over it.
        layers = tuple(replace(layer, shown=layer.shown and layer.key != Structure.ABLATION_ZONE) for layer in layers)
        layers += _zone_layers(zones, table, words)
    is_post = workspace.path(Artefact.RESPONSE).is_file()
    return Scene(
        study_date=date_text(study.study_date, words),
        kind=say(words, "kind.post" if is_post else "kind.pre"),
        notices=_notices(workspace, words),
        series=_series(study, reference_index(workspace), workspace, words),
        layers=layers,
        places=_places(workspace, table, words),
        windows=tuple(
            WindowPreset(name, say(words, f"window.{name}"), float(row["level"]["value"]), float(row["width"]["value"]))
            for name, row in table["window"].items()
        ),
        look=read_look(workspace, {layer.key for layer in layers}, float(table["labels"]["opacity"]["value"])),
        has_zones=zones is not None,
        labels_tag=workspace.hash_of(Artefact.LABELS) or "",
        editable=editable,
        words=own_words,
    )


def shown_zones(workspace: Workspace, labels: LabelMap) -> ZoneMap | None:
    """Ablation zones and foci; None where the study has none."""
    return read_zones(workspace, labels) if workspace.path(Artefact.ZONES).is_file() else None


def layer_colours(table: Mapping[str, Any]) -> dict[str, str]:
    """Colour of each structure, and of what a study after ablation has besides."""
    own = {structure.value: style.colour for structure, style in structure_styles().items()}
    return own | {name: str(colour) for name, colour in table["colour"].items()}


def _label_layers(labels: LabelMap, table: Mapping[str, Any], words: Mapping[str, Any]) -> tuple[LayerRow, ...]:
    """Every name that at least one voxel carries, in the order of the values; all when somebody may paint them."""
    styles, shown = structure_styles(), set(table["labels"]["shown"]["value"])
    present = np.bincount(labels.array.ravel(), minlength=256) > 0
    rows = [
        LayerRow(s.value, "labels", value, styles[s].title, styles[s].colour, s.value in shown)
        for s, value in labels.structures.items()
        if present[value]
    ]
    tumour = styles[Structure.TUMOUR]
    rows += [
        LayerRow(
            f"{_ANY_LESION}{name}", "labels", value, say(words, "labels.tumour", name=name), tumour.colour, shown=True
        )
        for name, value in labels.lesions.items()
        if present[value]
    ]
    return tuple(sorted(rows, key=lambda row: (row.key not in shown, row.value)))


def _zone_layers(zones: ZoneMap, table: Mapping[str, Any], words: Mapping[str, Any]) -> tuple[LayerRow, ...]:
    colours = layer_colours(table)
    parts = [("zone", zone.id, zone.value) for zone in zones.zones]
    parts += [("focus", focus.id, focus.value) for focus in zones.foci]
    return tuple(
        LayerRow(f"{kind}:{name}", "zones", value, say(words, f"labels.{kind}", id=name), colours[kind], shown=True)
        for kind, name, value in parts
    )


def _series(study: Study, reference: int, workspace: Workspace, words: Mapping[str, Any]) -> tuple[SeriesRow, ...]:
    quantities = [row["quantity"] for row in workspace.record(Artefact.STUDY, "study")["volumes"]]
    frame = study.series[reference].grid.frame_of_reference_uid
    return tuple(
        SeriesRow(
            file=f"volume-{number}.nii.gz",
            title=_series_title(series, words),
            description=series.description,
            unit="HU" if Quantity(quantity) is Quantity.HU else "",
            labelled=number - 1 == reference or (frame is not None and series.grid.frame_of_reference_uid == frame),
            reference=number - 1 == reference,
        )
        for number, (series, quantity) in enumerate(zip(study.series, quantities, strict=True), start=1)
    )


def _series_title(series: Series, words: Mapping[str, Any]) -> str:
    phase = say(words, f"phase.{series.phase}")
    return f"{series.modality.value}, {phase}, {max(series.grid.spacing_mm):.1f} mm"


def _places(workspace: Workspace, table: Mapping[str, Any], words: Mapping[str, Any]) -> tuple[Place, ...]:
    colours = layer_colours(table)
    if workspace.path(Artefact.RESPONSE).is_file():
        response = response_from_record(workspace.record(Artefact.RESPONSE, "response"))
        return response_places(response, colours, words)
    measured = measurements_from_record(workspace.record(Artefact.MEASUREMENTS, "measurements"))
    return measured_places(measured, colours, words)


def _notices(workspace: Workspace, words: Mapping[str, Any]) -> tuple[str, ...]:
    kind = ("response", Artefact.RESPONSE) if workspace.path(Artefact.RESPONSE).is_file() else (
        "measurements", Artefact.MEASUREMENTS,
    )  # fmt: skip
    measured_on = workspace.record(kind[1], kind[0])["labels"]["sha256"]
    stale = measured_on != workspace.hash_of(Artefact.LABELS)
    edited = labels_were_edited(workspace)
    return tuple(say(words, f"notice.{name}") for name, told in (("stale", stale), ("edited", edited)) if told)


def read_look(workspace: Workspace, keys: set[str], opacity: float) -> Look:
    """How the page was left last time; as it comes when nobody has looked yet, or what was kept is broken."""
    try:
        record = workspace.recall(LOOK)
        return look_from_record(record, keys) if record is not None else Look(None, opacity, outline=False)
    except RecordInvalidError:
        return Look(None, opacity, outline=False)


def look_from_record(record: Record, keys: set[str] | None = None) -> Look:
    """How the page was left.

    Args:
        record: ``{"hidden": [...], "opacity": 0.5, "outline": false}``.
        keys: Layers that there are; others are dropped. None drops nothing.

    Raises:
        RecordInvalidError: It says something else.
    """
    hidden, opacity, outline = (record.get(name) for name in ("hidden", "opacity", "outline"))
    is_number = isinstance(opacity, int | float) and not isinstance(opacity, bool) and 0 <= opacity <= 1
    is_list = isinstance(hidden, list) and all(isinstance(key, str) for key in hidden)
    if set(record) != {"hidden", "opacity", "outline"} or not is_list or not is_number or not isinstance(outline, bool):
        raise RecordInvalidError(
            "how the page was left is told by hidden (names), opacity (0 to 1) and outline (true or false) alone"
        )
    names = sorted(set(hidden or ()))
    return Look(tuple(key for key in names if keys is None or key in keys), float(opacity or 0), outline)
