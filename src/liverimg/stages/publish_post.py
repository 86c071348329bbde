"""Results from after treatment (``response.json``, zones and margins) as they are published.

The tumours of the baseline are published too, where registration put them: an ablation margin is a distance between two
things, and a viewer should be able to show both. They overlap what is labelled in this study, so they are a
segmentation of their own, made from the surfaces that the margins were measured on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import liverimg
from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import LIVER_CONTENTS, BoolArray, LabelMap, LabelQuality, Structure
from liverimg.core.measurement import Measurement
from liverimg.core.published import Algorithm, Layer
from liverimg.core.response import Fate, LesionResponse, Part, StudyResponse
from liverimg.core.tracking import tracking_uid
from liverimg.core.zones import Focus, Zone, ZoneMap
from liverimg.files.response_records import read_margins, response_from_record
from liverimg.files.tables import Table, structure_styles
from liverimg.measure.lesions import LesionMask, find_lesions
from liverimg.measure.liver import TREES_IN_LIVER
from liverimg.measure.mesh import Mesh, lesion_mesh
from liverimg.measure.mesh_voxels import voxels_inside
from liverimg.measure.treatment.match import joined
from liverimg.stages.artefacts import read_labels, read_quality, read_study
from liverimg.stages.publish_content import SEG, SEG_BEFORE, Content, Results, Surface, reference_source
from liverimg.stages.publish_meshes import structure_surfaces, whole_surfaces
from liverimg.stages.publish_post_groups import response_groups
from liverimg.stages.publish_segments import Piece, algorithm_of, layer_of, whole_mask
from liverimg.stages.zone_files import read_zones
from liverimg.workspace import Artefact, Workspace

_SAME_PLACE_MM: Final = 0.01
_HALF: Final = 0.5
_RULE: Final = Algorithm("liverimg ablation zones by rule", liverimg.__version__, corrected=False, learned=False)
_CARRIED: Final = Algorithm("liverimg registration", liverimg.__version__, corrected=False, learned=False)


@dataclass(frozen=True, eq=False)
class _After:
    """Everything that lies in the workspace of a study after treatment."""

    labels: LabelMap
    quality: LabelQuality
    zones: ZoneMap
    response: StudyResponse
    margins: Mapping[str, Mapping[str, NDArray[Any]]]
    study_uid: str
    table: Table

    @cached_property
    def liver(self) -> BoolArray | None:
        """The liver with what lies in it; None where none is drawn."""
        if not self.labels.has(Structure.LIVER):
            return None
        return np.asarray(self.labels.mask(*LIVER_CONTENTS, *TREES_IN_LIVER) | (self.zones.array > 0))

    def in_liver(self, voxels: BoolArray) -> bool:
        """Whether most of it lies in the liver; taken for granted where none is drawn, as for all lesions."""
        return self.liver is None or not voxels.any() or float(self.liver[voxels].mean()) > _HALF

    @cached_property
    def pieces(self) -> dict[str, LesionMask]:
        """Drawn tumours outside all zones, by the lesion or candidate that they were measured as."""
        return _measured_pieces(self)

    def carried(self, lesion: LesionResponse) -> Mesh | None:
        """A tumour of the baseline where registration put it; None without a margin."""
        found = self.margins.get(lesion.id)
        return None if found is None else Mesh(found["vertices_lps_mm"].astype(float), found["triangles"])

    def zone_mesh(self, zone: Part, mask: LesionMask) -> Mesh:
        """The surface that margins were measured against; of a zone without a margin that of its voxels."""
        for lesion in self.response.lesions:
            found = self.margins.get(lesion.id)
            if found is not None and lesion.zone == zone.id:
                return Mesh(found["zone_vertices_lps_mm"].astype(float), found["zone_triangles"])
        return lesion_mesh(mask.mask, mask.grid)

    def label(self, part: str, name: str) -> str:
        return str(self.table["part"][part]["label"]).replace("{}", name)


def read_content(workspace: Workspace, study: Path, table: Table) -> Content:
    """What there is to publish of a study after treatment.

    Raises:
        InputRefusedError: The study folder is another one, or the response speaks of zones that are not there.
    """
    source = reference_source(workspace, study)
    labels = read_labels(workspace)
    record = workspace.record(Artefact.RESPONSE, "response")
    after = _After(
        labels=labels,
        quality=read_quality(workspace, labels),
        zones=read_zones(workspace, labels),
        response=response_from_record(record),
        margins={r["id"]: read_margins(workspace.folder / r["margins"]) for r in record["lesions"] if r["margins"]},
        study_uid=read_study(workspace).study_instance_uid,
        table=table,
    )
    _refuse_ambiguous(after.response)
    now, before = layer_of(_pieces(after), labels.grid, table), layer_of(_carried(after), labels.grid, table)
    in_liver = {s.target: s.region is not None for layer in (before, now) for s in layer.segments if s.is_lesion}
    notes = (str(table["equipment"]["disclaimer"]), *after.response.warnings)
    return Content(
        scan=source,
        groups=response_groups(after.response, notes=notes, in_liver=in_liver, study_uid=after.study_uid, table=table),
        source=source,
        layers={SEG: now, SEG_BEFORE: before},
        surfaces=_surfaces(after, now),
        not_labelled=tuple(s.value for s in labels.structures if not labels.has(s)),
    )


def _refuse_ambiguous(response: StudyResponse) -> None:
    names = [part.id for part in (*response.zones, *response.foci, *response.candidates)]
    names += [lesion.id for lesion in response.lesions]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputRefusedError(
            f"{twice[0]!r} is the name of two things in response.json, expected another for each; rename one of them "
            "in the labels or in zones.json, and run 'liverimg post' again"
        )


def _pieces(after: _After) -> Iterator[Piece]:
    """Foci and zones first, because every number rests on them; then tumours, then structures without both."""
    response, table, by = after.response, after.table, algorithm_of(after.quality)
    drawn: dict[str, Zone | Focus] = {zone.id: zone for zone in after.zones.zones}
    drawn |= {focus.id: focus for focus in after.zones.foci}
    for name, structure, parts in (
        ("focus", Structure.TUMOUR, response.foci),
        ("zone", Structure.ABLATION_ZONE, response.zones),
    ):
        for part in parts:
            if part.id not in drawn:
                raise InputRefusedError(
                    f"response.json speaks of {part.id!r}, which zones.json does not name; run 'liverimg post' again"
                )
            voxels = after.zones.mask(drawn[part.id])
            who = _drawn_by(part.origin, after.zones.model, by)
            yield Piece(
                structure, voxels, part.id, after.label(name, part.id), part.tracking_uid, who,
                in_organ=after.in_liver(voxels), is_lesion=True,
            )  # fmt: skip
    uids = {part.id: part.tracking_uid for part in response.candidates}
    uids |= {lesion.id: lesion.tracking_uid for lesion in response.lesions}
    for target, piece in after.pieces.items():
        voxels = whole_mask(piece, after.labels.grid)
        kind = "candidate" if any(part.id == target for part in response.candidates) else "untreated"
        yield Piece(
            Structure.TUMOUR, voxels, target, after.label(kind, target), uids[target], by,
            in_organ=after.in_liver(voxels), is_lesion=True,
        )  # fmt: skip
    rest = {Structure.TUMOUR: "other_tumour", Structure.ABLATION_ZONE: "other_zone"}
    for structure in (s for s in Structure if s in after.labels.structures):
        label = after.label(rest[structure], "") if structure in rest else table["structure"][structure.value]["label"]
        uid = tracking_uid(after.study_uid, structure.value)
        yield Piece(structure, after.labels.mask(structure), structure.value, str(label), uid, by)


def _drawn_by(origin: str, model: str, by: Algorithm | None) -> Algorithm | None:
    """Who drew a zone or a focus: nobody of ours, the rule, a zone model, or whoever drew the labels."""
    if origin == "drawn":
        return None
    if origin == "rule":
        return _RULE
    name, _, version = model.rpartition(" ")
    return Algorithm(name, version, corrected=False) if model else by


def _carried(after: _After) -> Iterator[Piece]:
    """Tumours of the baseline, as voxels of this study, where registration put them."""
    for lesion in after.response.lesions:
        mesh = after.carried(lesion)
        if mesh is not None:
            voxels = voxels_inside(mesh, after.labels.grid)
            label = after.label("before", lesion.id)
            inside = after.in_liver(voxels)
            yield Piece(
                Structure.TUMOUR, voxels, lesion.id, label, lesion.tracking_uid, _CARRIED, in_organ=inside,
                is_lesion=True,
            )  # fmt: skip


def _measured_pieces(after: _After) -> dict[str, LesionMask]:
    """Which drawn tumour each candidate and each lesion that was not treated was measured on, by its centre."""
    free = [p for p in find_lesions(after.labels, minimum_volume_ml=0.0) if not _in_zones(p, after.zones)]
    found: dict[str, LesionMask] = {}
    for part in after.response.candidates:
        same = next((p for p in free if _near(p, part.centroid_lps_mm)), None)
        if same is not None:
            found[part.id] = same
            free.remove(same)
    for lesion in after.response.lesions:
        if lesion.fate is not Fate.UNTREATED:
            continue
        volume = lesion.quantity("volume")
        centre = next((e.lps_mm for e in getattr(volume, "evidence", ()) if e.role == "centroid"), None)
        whole = _of_lesion(free, volume, centre) if isinstance(volume, Measurement) and centre is not None else ()
        if whole:
            found[lesion.id] = joined(whole, lesion.id)
            free = [p for p in free if p not in whole]
    return found


def _of_lesion(
    free: list[LesionMask], volume: Measurement, centre: tuple[float, float, float]
) -> tuple[LesionMask, ...]:
    """The piece, or the pieces nearest to it, whose common centre and volume are those that were measured."""
    by_distance = sorted(free, key=lambda p: float(np.linalg.norm(np.subtract(p.centroid_lps_mm, centre))))
    for count in range(1, len(by_distance) + 1):
        some = tuple(by_distance[:count])
        if _near(joined(some, ""), centre):
            return some
        if sum(p.volume_ml for p in some) > 2 * volume.high:
            break
    return ()


def _near(piece: LesionMask, centre: tuple[float, float, float]) -> bool:
    return bool(np.abs(np.subtract(piece.centroid_lps_mm, centre)).max() <= _SAME_PLACE_MM)


def _in_zones(piece: LesionMask, zones: ZoneMap) -> bool:
    window = tuple(slice(s, s + n) for s, n in zip(piece.start_kji, piece.mask.shape, strict=True))
    return bool(((zones.array[window] > 0) & piece.mask).any())


def _surfaces(after: _After, now: Layer) -> Iterator[Surface]:
    styles, response = structure_styles(), after.response
    tumour, zone = styles[Structure.TUMOUR].colour, styles[Structure.ABLATION_ZONE].colour
    opacity = float(after.table["mesh"]["zone_opacity"])
    for number, lesion in enumerate(response.lesions, start=1):
        mesh = after.carried(lesion)
        if mesh is not None:
            title = after.label("before", lesion.id)
            yield Surface(f"tumour_before_{number}", lesion.id, title, mesh, tumour, 1.0, lesion.tracking_uid)
    masks = {s.target: s.value for s in now.segments if s.is_lesion}
    for kind, colour, parts in (
        ("zone", zone, response.zones), ("focus", tumour, response.foci), ("candidate", tumour, response.candidates)
    ):  # fmt: skip
        for number, part in enumerate(parts, start=1):
            if part.id not in masks:
                continue
            (mask,) = find_lesions(
                LabelMap(np.asarray(now.array == masks[part.id]).astype(np.uint8), after.labels.grid, {}, {part.id: 1}),
                minimum_volume_ml=0.0,
            )
            made = after.zone_mesh(part, mask) if kind == "zone" else lesion_mesh(mask.mask, mask.grid)
            title, clear = after.label(kind, part.id), opacity if kind == "zone" else 1.0
            yield Surface(f"{kind}_{number}", part.id, title, made, colour, clear, part.tracking_uid)
    yield from whole_surfaces(after.labels, after.table, study_uid=after.study_uid)
    apart = (Structure.TUMOUR, Structure.ABLATION_ZONE)
    yield from structure_surfaces(after.labels, after.table, study_uid=after.study_uid, without=apart)


POST = Results(
    name="post",
    record=Artefact.RESPONSE,
    page=Artefact.RESPONSE_REPORT,
    made_by=("response", "response_report"),
    again="liverimg post",
    read=read_content,
)
