"""Where labels from elsewhere lie: their kind of file, the series that they were drawn on, and what names them."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from liverimg.core.drawing import Place
from liverimg.core.errors import InputRefusedError
from liverimg.core.nearest import lattice_offset
from liverimg.core.study import Series, Study
from liverimg.dicom.drawn import ObjectKind, is_dicom, object_kind, place_of_object
from liverimg.files import nifti, records
from liverimg.files.nifti_masks import is_nifti_name, mask_files
from liverimg.files.nrrd import is_nrrd, read_nrrd_grid
from liverimg.files.tables import table_hashes
from liverimg.workspace import hash_file, hash_tree

_EXPECTED = (
    "expected NIfTI (.nii, .nii.gz), NRRD (.nrrd, .seg.nrrd), a DICOM SEG, an RTSTRUCT, or a folder with one NIfTI "
    "mask a structure"
)
_OWN_NAMES = "names.toml"


class LabelKind(StrEnum):
    """A way in which labels come."""

    NIFTI = "NIfTI"
    MASKS = "folder of NIfTI masks"
    NRRD = "NRRD"
    SEG = "DICOM SEG"
    RTSTRUCT = "RTSTRUCT"


def series_drawn_on(study: Study, path: Path) -> Study:
    """The study cut down to the series that labels were drawn on or at least lie with; whole when none tells.

    Raises:
        InputRefusedError: The labels say that they were drawn on something that the study does not hold.
    """
    kind, file = kind_of(path)
    place = _place(kind, file)
    if place.grid is not None:
        fitting = tuple(s for s in study.series if s.grid.fits_in_space(place.grid))
        if not fitting and kind is LabelKind.NRRD:
            fitting = tuple(s for s in study.series if lattice_offset(place.grid, s.grid) is not None)
        return replace(study, series=fitting) if fitting else study
    images = frozenset(place.sop_instance_uids)
    for fitting in (
        tuple(s for s in study.series if not images.isdisjoint(s.sop_instance_uids)),
        tuple(s for s in study.series if s.series_instance_uid in place.series_instance_uids),
        tuple(s for s in study.series if same_frame(place, s)),
    ):
        if fitting:
            return replace(study, series=fitting)
    raise InputRefusedError(elsewhere(file))


def same_frame(place: Place, series: Series) -> bool:
    """Whether labels and a series lie in one known frame of reference."""
    frame = place.frame_of_reference_uid
    return frame is not None and frame == series.grid.frame_of_reference_uid


def elsewhere(file: Path) -> str:
    """The refusal of labels that belong to something else."""
    return (
        f"{file.name} was drawn on a series that is not in this study and in another frame of reference, expected one "
        "of the study's own: nothing says where its outlines lie in these images; export it for this study"
    )


def place_hash(path: Path) -> str:
    """What of the labels decides on which series they lie, as text that changes when it does.

    Raises:
        InputRefusedError: Not there, or not readable.
    """
    kind, file = kind_of(path)
    place = _place(kind, file)
    grid = None if place.grid is None else records.grid_to_record(place.grid)
    record = {
        "grid": grid,
        "frame": place.frame_of_reference_uid,
        "series": sorted(place.series_instance_uids),
        "images": sorted(place.sop_instance_uids),
    }
    return records.dump(record)


def _place(kind: LabelKind, file: Path) -> Place:
    if kind is LabelKind.NIFTI:
        return Place(grid=nifti.read_grid(file))
    if kind is LabelKind.MASKS:
        return Place(grid=nifti.read_grid(mask_files(file)[0]))
    if kind is LabelKind.NRRD:
        return Place(grid=read_nrrd_grid(file))
    return place_of_object(file)


def kind_of(path: Path) -> tuple[LabelKind, Path]:
    """What ``--labels`` names, and the file or folder of masks to read."""
    if path.is_dir():
        if mask_files(path):
            return LabelKind.MASKS, path
        files = [p for p in sorted(path.iterdir()) if p.is_file() and (is_nrrd(p) or is_dicom(p))]
        if len(files) != 1:
            raise InputRefusedError(
                f"the folder {path.name} holds no NIfTI mask and {len(files)} other label files; {_EXPECTED}"
            )
        return kind_of(files[0])
    if not path.is_file():
        raise InputRefusedError(f"{path} does not exist; {_EXPECTED}")
    if is_nrrd(path):
        return LabelKind.NRRD, path
    if is_nifti_name(path):
        return LabelKind.NIFTI, path
    if is_dicom(path):
        return {ObjectKind.SEG: LabelKind.SEG, ObjectKind.RTSTRUCT: LabelKind.RTSTRUCT}[object_kind(path)], path
    raise InputRefusedError(f"{path.name} is no label file that can be read; {_EXPECTED}")


def names_beside(path: Path) -> Path | None:
    """The file that names the values of a label file: ``<name>.json``, else ``labels.json`` in its folder."""
    for candidate in (path.with_name(f"{_stem(path)}.json"), path.with_name("labels.json")):
        if path.is_file() and candidate.is_file():
            return candidate
    return None


def own_names(path: Path) -> Path | None:
    """The user's own meanings of names: in the folder of masks, or beside the file."""
    folder = path if path.is_dir() else path.parent
    for candidate in (folder / f"{_stem(path)}.{_OWN_NAMES}", folder / _OWN_NAMES):
        if candidate.is_file():
            return candidate
    return None


def _stem(path: Path) -> str:
    stem = path.name
    for suffix in (".gz", ".nii", ".nrrd", ".seg", ".dcm"):
        stem = stem.removesuffix(suffix)
    return stem


def content_hashes(path: Path) -> dict[str, str]:
    """Content of the labels and of what names them, for the key of a stage.

    Raises:
        InputRefusedError: They are not there, or nothing that can be read.
    """
    _, file = kind_of(path)
    hashes = {"labels": hash_tree(file) if file.is_dir() else hash_file(file)}
    beside, own = names_beside(file), own_names(file)
    if beside is not None:
        hashes["names"] = hash_file(beside)
    if own is not None:
        hashes["own_names"] = hash_file(own)
    return hashes | table_hashes("label_names")
