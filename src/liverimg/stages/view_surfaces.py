"""View: surfaces of what is outlined, made when the page first asks for them and again when the labels change."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.files.mz3 import mz3_bytes
from liverimg.files.tables import read_table, structure_styles
from liverimg.report.planes import Scene
from liverimg.report.response_content import laid_over
from liverimg.report.surface3d import Surface, blocks, coarse, surfaces, triangles
from liverimg.report.text import say
from liverimg.stages.artefacts import read_labels
from liverimg.stages.view_scene import layer_colours, shown_zones
from liverimg.viewer.scene import SurfaceRow
from liverimg.workspace import Artefact, Workspace


@dataclass(frozen=True)
class _Made:
    tag: str
    rows: tuple[SurfaceRow, ...]
    files: tuple[bytes, ...] = field(repr=False)


class SurfaceShelf:
    """Surfaces by number, kept until the labels or zones change.

    Attributes:
        places: How many there may be at most.
    """

    places = 64

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = Lock()
        self._made: _Made | None = None

    def record(self) -> bytes:
        """All of them as JSON, without their points."""
        return json.dumps([asdict(row) for row in self._present().rows], sort_keys=True).encode()

    def surface(self, number: int) -> bytes:
        """One of them as an MZ3 file.

        Raises:
            InputRefusedError: There are fewer.
        """
        files = self._present().files
        if number >= len(files):
            raise InputRefusedError("there is no such surface; load the page again")
        return files[number]

    def _present(self) -> _Made:
        with self._lock:
            tag = "".join(self._workspace.hash_of(a) or "" for a in (Artefact.LABELS, Artefact.ZONES))
            if self._made is None or self._made.tag != tag:
                self._made = _make(self._workspace, tag, most=self.places)
            return self._made


def _make(workspace: Workspace, tag: str, *, most: int) -> _Made:
    table = read_table("viewer")
    words = laid_over(read_table("report_strings"), read_table("viewer_strings"))
    labels = read_labels(workspace)
    found = [*_of_labels(labels, table, words), *_of_zones(workspace, labels, table, words)][:most]
    rows = tuple(
        SurfaceRow(f"surface-{number}.mz3", key, surface.title, colour, surface.opacity, surface.shown)
        for number, (key, colour, surface) in enumerate(found)
    )
    return _Made(tag, rows, tuple(mz3_bytes(s.vertices_lps_mm, s.triangles) for _, _, s in found))


def _of_labels(labels: LabelMap, table: Any, words: Any) -> list[tuple[str, str, Surface]]:
    """The report's surfaces, but the body: its skin would lie before everything."""
    settings = {name: row for name, row in words["display"]["surface"].items() if name != Structure.BODY}
    # The report draws one lesion at a time; here a switch belongs to a name of the labels.
    settings.pop(Structure.TUMOUR, None)
    chosen = {**words, "display": {**words["display"], "surface": settings}}
    scene = Scene.of(Volume(np.zeros(labels.grid.shape, np.int8), labels.grid, Quantity.HU), labels)
    titles = {structure: style.title for structure, style in structure_styles().items()}
    colours = layer_colours(table)
    found = [(s.structure.value, colours[s.structure], s) for s in surfaces(blocks(scene, {}, chosen), titles)]
    how = words["display"]["surface"][Structure.TUMOUR]
    tumours = {Structure.TUMOUR.value: labels.structures.get(Structure.TUMOUR)}
    tumours |= {f"lesion:{name}": value for name, value in labels.lesions.items()}
    for key, value in tumours.items():
        if value is not None:
            mask = np.asarray(labels.array == value)
            surface = _surface(mask, labels, titles[Structure.TUMOUR], how["voxel_mm"], how["level"], how["opacity"])
            found += [(key, colours[Structure.TUMOUR], surface)] if surface is not None else []
    return found


def _of_zones(workspace: Workspace, labels: LabelMap, table: Any, words: Any) -> list[tuple[str, str, Surface]]:
    zones = shown_zones(workspace, labels)
    if zones is None:
        return []
    colours, how = layer_colours(table), {name: float(row["value"]) for name, row in table["surface"].items()}
    found = []
    for kind, parts in (("focus", zones.foci), ("zone", zones.zones)):
        for part in parts:
            opacity = how["zone_opacity"] if kind == "zone" else 1.0
            title = say(words, f"labels.{kind}", id=part.id)
            surface = _surface(zones.mask(part), labels, title, how["zone_voxel_mm"], how["zone_level"], opacity)
            if surface is not None:
                found.append((f"{kind}:{part.id}", colours[kind], surface))
    return found


def _surface(
    mask: NDArray[np.bool_], labels: LabelMap, title: str, voxel_mm: float, level: float, opacity: float
) -> Surface | None:
    block = coarse(mask, labels.grid, target_mm=voxel_mm)
    if block is None:
        return None
    vertices, faces = triangles(block, level=level)
    return Surface(title, Structure.TUMOUR, vertices, faces, opacity, shown=True) if len(faces) else None
