"""Surfaces of lesions, zones, vessels and organs for planners: one STL each, all of them in one GLB."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from liverimg.core.labels import LabelMap, Structure
from liverimg.core.tracking import tracking_uid
from liverimg.files.meshes import Body, write_glb, write_stl
from liverimg.files.records import Record
from liverimg.files.tables import read_table, structure_styles
from liverimg.measure.lesions import LesionMask
from liverimg.measure.liver import liver_body
from liverimg.measure.mesh import structure_mesh
from liverimg.measure.scene import Scene
from liverimg.measure.settings import MeasureSettings
from liverimg.stages.publish_content import Surface
from liverimg.workspace import Artefact, Draft

_DECIMALS = 4
ALL = "all.glb"
INDEX = "index.json"


def put_meshes(draft: Draft, surfaces: Iterable[Surface], *, frame_of_reference_uid: str | None) -> None:
    """Writes ``meshes/``: an STL of each surface in LPS millimetres, ``all.glb``, and an index.

    Args:
        draft: Of the stage.
        surfaces: What planners get.
        frame_of_reference_uid: The space that they lie in.
    """
    # There even when empty: an empty folder says that there was nothing to show.
    draft.path(Artefact.MESHES).mkdir(exist_ok=True)
    rows: list[Record] = []
    bodies = []
    for surface in surfaces:
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
        "frame_of_reference_uid": frame_of_reference_uid,
        "together": ALL if bodies else None,
        "surfaces": rows,
    }
    draft.put_record_in(Artefact.MESHES, INDEX, "meshes", record)


def structure_surfaces(
    labels: LabelMap, table: Mapping[str, Any], *, study_uid: str, without: Collection[Structure]
) -> Iterator[Surface]:
    """Structures that planners get a surface of.

    Args:
        labels: As they are published.
        table: ``dicom_objects.toml``.
        study_uid: StudyInstanceUID.
        without: Those whose parts are shown one by one.
    """
    styles, smoothing = structure_styles(), float(table["mesh"]["smoothing"])
    for structure in Structure:
        row = table["structure"][structure.value]
        if structure in without or structure not in labels.structures or "mesh_mm" not in row:
            continue
        made = structure_mesh(labels.mask(structure), labels.grid, pitch_mm=float(row["mesh_mm"]), smoothing=smoothing)
        if made is not None:
            uid = tracking_uid(study_uid, structure.value)
            yield Surface(structure.value, structure.value, row["label"], made, styles[structure].colour, 1.0, uid)


def whole_surfaces(
    labels: LabelMap, table: Mapping[str, Any], *, study_uid: str, apart: Sequence[LesionMask] = ()
) -> Iterator[Surface]:
    """The liver with all that it encloses, as its volume is measured, and the skin around everything labelled.

    Args:
        labels: As they are published.
        table: ``dicom_objects.toml``.
        study_uid: StudyInstanceUID.
        apart: Lesions outside the liver.
    """
    settings, styles = table["mesh"], structure_styles()
    smoothing = float(settings["smoothing"])
    constants = MeasureSettings.from_table(read_table("measure"))
    liver = liver_body(Scene.of(labels), apart=tuple(apart), settings=constants)
    if liver is not None:
        pitch = float(settings["whole_liver_mm"])
        made = structure_mesh(liver.mask, liver.grid, pitch_mm=pitch, smoothing=smoothing)
        if made is not None:
            colour, opacity = styles[Structure.LIVER].colour, float(settings["whole_liver_opacity"])
            uid = tracking_uid(study_uid, "liver_whole")
            yield Surface("liver_whole", "liver", "Liver with all that it encloses", made, colour, opacity, uid)
    if labels.has(Structure.BODY):
        pitch = float(settings["skin_mm"])
        made = structure_mesh(np.asarray(labels.array > 0), labels.grid, pitch_mm=pitch, smoothing=smoothing)
        if made is not None:
            colour, opacity = styles[Structure.SKIN].colour, float(settings["skin_opacity"])
            yield Surface("skin_surface", "skin", "Skin around all that is labelled", made, colour, opacity, None)
