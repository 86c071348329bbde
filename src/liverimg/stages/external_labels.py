"""Labels drawn elsewhere: where crafts meet to read what ``--labels`` names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liverimg.core.drawing import Drawings, Place
from liverimg.core.errors import GridMismatchError, InputRefusedError
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.nearest import lattice_offset, on_grid
from liverimg.core.study import Series
from liverimg.dicom.drawn import place_of_object
from liverimg.dicom.rtstruct import read_rtstruct
from liverimg.files import nifti, records
from liverimg.files.nifti_masks import names_in_header, read_mask_folder, read_named_values
from liverimg.files.nrrd import has_segments, read_nrrd
from liverimg.files.study_records import label_names_from_record
from liverimg.files.tables import read_table, read_toml, structure_styles
from liverimg.segmentation.drawn_segments import drawn_segments, segment_of
from liverimg.segmentation.external import Combined, combine
from liverimg.segmentation.label_names import NameRules
from liverimg.stages.label_sources import LabelKind, elsewhere, kind_of, names_beside, own_names, same_frame


def read_external(path: Path, series: Series, values: Mapping[Structure, int]) -> tuple[LabelMap, LabelQuality]:
    """Labels from outside on the grid of the reference series, and how far they can be trusted.

    Args:
        path: What ``--labels`` names.
        series: The reference series.
        values: Our own value of each structure.

    Raises:
        InputRefusedError: Unreadable, names that nobody knows, nothing drawn, or drawn on something else.
        GridMismatchError: Voxels that lie elsewhere, in a format that names no frame of reference.
    """
    kind, file = kind_of(path)
    beside = names_beside(file)
    if kind is LabelKind.NIFTI:
        in_header = _named(file, beside)
        if not in_header:
            return _plain_nifti(file, beside, series, values)
        drawings = read_named_values(file, in_header, on=series.grid)
    elif kind is LabelKind.NRRD and not has_segments(file):
        return _plain_nrrd(file, beside, series, values)
    else:
        drawings = _drawings(kind, file, series)
    return quality_of(combine(drawings, _rules(file), values, on=series.grid))


def read_segments(path: Path, series: Series) -> NDArray[np.uint8] | None:
    """Couinaud segments among labels from outside, 1 to 8 on the grid of the reference series; None without any.

    Args:
        path: What ``--labels`` names.
        series: The reference series.

    Raises:
        InputRefusedError: As :func:`read_external`.
        GridMismatchError: Likewise.
    """
    kind, file = kind_of(path)
    codes = {str(code): int(n) for code, n in read_table("label_names")["segment_codes"].items()}
    if kind is LabelKind.NIFTI:
        names = _named(file, names_beside(file))
        return drawn_segments(read_named_values(file, names, on=series.grid), codes, on=series.grid) if names else None
    if kind is LabelKind.NRRD and not has_segments(file):
        return None
    return drawn_segments(_drawings(kind, file, series), codes, on=series.grid)


def _named(file: Path, beside: Path | None) -> dict[str, int]:
    """Value of each name, from the header, or from the JSON beside it where that names Couinaud segments."""
    if beside is None:
        return names_in_header(file)
    record = records.load(beside)
    records.check(record, "labels", beside.name)
    names = {str(name): int(value) for name, value in record.items()}
    return names if any(segment_of(name, meanings={}) for name in names) else {}


def _drawings(kind: LabelKind, file: Path, series: Series) -> Drawings:
    if kind is LabelKind.MASKS:
        return read_mask_folder(file, on=series.grid)
    if kind is LabelKind.NRRD:
        return _on_the_lattice(file, read_nrrd(file, names={}), series)
    place = place_of_object(file)
    drawn_on_it = _refuse_elsewhere(file, place, series)
    if kind is LabelKind.SEG:
        # highdicom takes a second to import, and most runs need none of it.
        from liverimg.dicom.seg import read_seg

        drawings = read_seg(file, on=series.grid, drawn_on_it=drawn_on_it)
    else:
        drawings = read_rtstruct(file, on=series.grid, wanted=_rules(file).wants)
    if drawn_on_it:
        return drawings
    note = f"{file.name} was drawn on another series than the measured one, in the same frame of reference."
    return replace(drawings, notes=(note, *drawings.notes))


def quality_of(combined: Combined) -> tuple[LabelMap, LabelQuality]:
    """Labels with what is known of how far they can be trusted: as drawn by a person, or with an assumed error.

    What an algorithm drew is not exact, and how far it is off nobody here knows: the error that
    ``segmentation.toml`` assumes stands in, and the notes say so.
    """
    labels = combined.labels
    if not combined.automatic:
        quality = LabelQuality("external", incomplete=combined.incomplete, notes=combined.notes)
        return labels, quality
    who = combined.made_by or "an algorithm, as the file says"
    note = (
        f"The labels come from {who} and were given with --labels. How far its outlines lie from the true edges is "
        "unknown here: the bands use an assumed error, not a measured one."
    )
    return labels, LabelQuality(
        "external_model",
        surface_error_mm=assumed_error_mm(combined.automatic),
        surface_error_assumed=True,
        incomplete=combined.incomplete,
        notes=(note, *combined.notes),
        model=combined.made_by,
    )


def assumed_error_mm(structures: frozenset[Structure]) -> dict[Structure, float]:
    """The surface error that stands in for an unknown one, per structure."""
    table = read_table("segmentation")["external_model"]["surface_error_mm"]
    return {s: float(table.get(s.value, table["other"])) for s in sorted(structures)}


def name_rules() -> NameRules:
    """What names and codes from elsewhere mean."""
    sct = {structure: style.sct for structure, style in structure_styles().items()}
    return NameRules.from_table(read_table("label_names"), sct=sct)


def _refuse_elsewhere(file: Path, place: Place, series: Series) -> bool:
    """Whether labels were drawn on this very series; refuses those of another frame of reference."""
    own = series.series_instance_uid in place.series_instance_uids or not frozenset(place.sop_instance_uids).isdisjoint(
        series.sop_instance_uids
    )
    frames = {place.frame_of_reference_uid, series.grid.frame_of_reference_uid} - {None}
    if len(frames) > 1 or not (own or same_frame(place, series)):
        raise InputRefusedError(elsewhere(file))
    return own


def _plain_nifti(
    path: Path, beside: Path | None, series: Series, values: Mapping[Structure, int]
) -> tuple[LabelMap, LabelQuality]:
    structures, lesions = _named_values(beside, values)
    labels = nifti.read_labels(path, structures, lesions=lesions, on=series.grid)
    return _as_drawn(labels, beside), LabelQuality(origin="external")


def _plain_nrrd(
    path: Path, beside: Path | None, series: Series, values: Mapping[Structure, int]
) -> tuple[LabelMap, LabelQuality]:
    structures, lesions = _named_values(beside, values)
    names = {s.value: v for s, v in structures.items()} | {f"lesion {n}": v for n, v in lesions.items()}
    drawings = _on_the_lattice(path, read_nrrd(path, names=names), series)
    array = np.zeros(series.grid.shape, dtype=np.uint8)
    for drawing, value in zip(drawings.drawings, names.values(), strict=True):
        array[on_grid(drawing.mask(), drawings.grid, series.grid)] = value
    labels = LabelMap(array, series.grid, structures, lesions)
    return _as_drawn(labels, beside), LabelQuality(origin="external")


def _as_drawn(labels: LabelMap, beside: Path | None) -> LabelMap:
    if beside is not None:
        return labels
    # Without a list of names only what was drawn counts as looked for.
    structures = {s: v for s, v in labels.structures.items() if labels.has(s)}
    return LabelMap(labels.array, labels.grid, structures, labels.lesions)


def _named_values(beside: Path | None, values: Mapping[Structure, int]) -> tuple[dict[Structure, int], dict[str, int]]:
    if beside is None:
        return dict(values), {}
    record = records.load(beside)
    records.check(record, "labels", beside.name)
    return label_names_from_record(record)


def _on_the_lattice(path: Path, drawings: Drawings, series: Series) -> Drawings:
    """NRRD names no frame of reference: only voxels that are the series' own, or a part of them, are believed."""
    if lattice_offset(drawings.grid, series.grid) is None:
        raise GridMismatchError(
            f"{path.name} lies on another grid than the image: found {nifti.describe_grid(drawings.grid)}, expected "
            f"{nifti.describe_grid(series.grid)}; resample the labels onto the image, or export them from it"
        )
    return drawings


def _rules(path: Path) -> NameRules:
    own = own_names(path)
    return name_rules() if own is None else name_rules().with_own(read_toml(own), own.name)
