"""Surfaces of lesions, vessels and organs for planners: one STL each, all of them in one GLB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from liverimg.core.labels import LabelMap, Structure
from liverimg.core.measurement import MeasurementSet
from liverimg.core.tracking import tracking_uid
from liverimg.files.meshes import Body, write_glb, write_stl
from liverimg.files.records import Record
from liverimg.files.tables import read_table, structure_styles
from liverimg.measure.liver import liver_body
from liverimg.measure.mesh import Mesh, lesion_mesh, structure_mesh
from liverimg.measure.scene import Scene
from liverimg.measure.settings import MeasureSettings
from liverimg.stages.publish_segments import Published
from liverimg.workspace import Artefact, Draft

_DECIMALS = 4
ALL = "all.glb"
INDEX = "index.json"


@dataclass(frozen=True, eq=False)
class _Surface:
    name: str
    target: str
    title: str
    mesh: Mesh
    colour: str
    opacity: float
    tracking_uid: str | None


def put_meshes(
    draft: Draft,
    labels: LabelMap,
    parts: Published,
    measured: MeasurementSet,
    *,
    table: Mapping[str, Any],
    study_uid: str,
) -> None:
    """Writes ``meshes/``: an STL of each surface in LPS millimetres, ``all.glb``, and an index.

    Args:
        draft: Of the stage.
        labels: As they are published.
        parts: Their segments.
        measured: For where each lesion lies.
        table: ``dicom_objects.toml``.
        study_uid: StudyInstanceUID.
    """
    # There even when empty: an empty folder says that there was nothing to show.
    draft.path(Artefact.MESHES).mkdir(exist_ok=True)
    rows: list[Record] = []
    bodies = []
    for surface in _surfaces(labels, parts, measured, table, study_uid):
        file = f"{surface.name}.stl"
        mesh = surface.mesh
        body = Body(surface.name, mesh.vertices_lps_mm, mesh.faces, surface.colour, surface.opacity)
        write_stl(draft.path(Artefact.MESHES, file), body)
        bodies.append(body)
        rows.append(
            {
                "file": file,
                "target": surface.target,
                "title": surface.title,
                "tracking_uid": surface.tracking_uid,
                "volume_ml": round(mesh.volume_ml, _DECIMALS),
                "triangles": len(mesh.faces),
                "colour": surface.colour,
            }
        )
    if bodies:
        write_glb(draft.path(Artefact.MESHES, ALL), bodies)
    record = {
        "record": "meshes",
        "schema_version": "0.1",
        "space": "LPS",
        "unit": "mm",
        "frame_of_reference_uid": labels.grid.frame_of_reference_uid,
        "together": ALL if bodies else None,
        "surfaces": rows,
    }
    draft.put_record_in(Artefact.MESHES, INDEX, "meshes", record)


def _surfaces(
    labels: LabelMap, parts: Published, measured: MeasurementSet, table: Mapping[str, Any], study_uid: str
) -> Iterator[_Surface]:
    styles = structure_styles()
    smoothing = float(table["mesh"]["smoothing"])
    uids = {s.target: s.tracking_uid for s in parts.segments if s.is_lesion}
    for number, (target, lesion) in enumerate(parts.lesions.items(), start=1):
        # A reader's own name of a lesion never becomes the name of a file.
        mesh = lesion_mesh(lesion.mask, lesion.grid)
        title = f"{table['structure']['tumour']['label']} {target}"
        yield _Surface(f"tumour_{number}", target, title, mesh, styles[Structure.TUMOUR].colour, 1.0, uids.get(target))
    yield from _wholes(labels, parts, measured, table, study_uid)
    for structure in Structure:
        row = table["structure"][structure.value]
        if structure is Structure.TUMOUR or structure not in labels.structures or "mesh_mm" not in row:
            continue
        made = structure_mesh(labels.mask(structure), labels.grid, pitch_mm=float(row["mesh_mm"]), smoothing=smoothing)
        if made is not None:
            uid = tracking_uid(study_uid, structure.value)
            yield _Surface(structure.value, structure.value, row["label"], made, styles[structure].colour, 1.0, uid)


def _wholes(
    labels: LabelMap, parts: Published, measured: MeasurementSet, table: Mapping[str, Any], study_uid: str
) -> Iterator[_Surface]:
    """The liver with all that it encloses, as its volume is measured, and the skin around everything labelled."""
    settings, styles = table["mesh"], structure_styles()
    smoothing = float(settings["smoothing"])
    outside = {lesion.id for lesion in measured.lesions if lesion.site != "liver"}
    apart = tuple(lesion for name, lesion in parts.lesions.items() if name in outside)
    liver = liver_body(Scene.of(labels), apart=apart, settings=MeasureSettings.from_table(read_table("measure")))
    if liver is not None:
        pitch = float(settings["whole_liver_mm"])
        made = structure_mesh(liver.mask, liver.grid, pitch_mm=pitch, smoothing=smoothing)
        if made is not None:
            colour, opacity = styles[Structure.LIVER].colour, float(settings["whole_liver_opacity"])
            uid = tracking_uid(study_uid, "liver_whole")
            yield _Surface("liver_whole", "liver", "Liver with all that it encloses", made, colour, opacity, uid)
    if labels.has(Structure.BODY):
        pitch = float(settings["skin_mm"])
        made = structure_mesh(np.asarray(labels.array > 0), labels.grid, pitch_mm=pitch, smoothing=smoothing)
        if made is not None:
            colour, opacity = styles[Structure.SKIN].colour, float(settings["skin_opacity"])
            yield _Surface("skin_surface", "skin", "Skin around all that is labelled", made, colour, opacity, None)
