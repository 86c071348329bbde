"""Label files that are damaged, lie, or belong to something else: one sentence, exit code 3, nothing half-written."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from liverimg.core.grid import Grid
from liverimg.core.study import Modality
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.write import SeriesHeader, StudyHeader, uid_from, write_series

from ..stages.drawn_files import headers, nrrd_header, outlines, segment, write_rtstruct, write_seg, write_seg_nrrd

LIVER, LESION = Code("10200004", "SCT", "Liver"), Code("52988006", "SCT", "Lesion")


def grid(spacing_mm: float = 5.0, frame: str = "one", count: int = 24) -> Grid:
    return Grid.from_axes(
        (count, 40, 40),
        spacing_mm=(spacing_mm, 4.0, 4.0),
        origin_lps_mm=(-80, -80, -60),
        frame_of_reference_uid=uid_from("frame", frame),
    )


def write(folder: Path, name: str, on: Grid) -> list[Dataset]:
    """A series of a body in air; returns its slices from feet to head."""
    array = np.full(on.shape, -1000, np.int16)
    array[:, 4:36, 4:36] = 40
    array[6:16, 10:30, 10:30] = 100
    study = StudyHeader("PHANTOM^TINY", "T1", uid_from("tiny"), "20200101", "120000")
    series = SeriesHeader(Modality.CT, len(name), uid_from("tiny", name), name, "120000")
    write_series(Volume(array, on, Quantity.HU), folder / name, study=study, series=series, compressed=False)
    return headers(folder / name)


class Tiny:
    """A small study of one series, another series in its frame of reference that it lacks, and one in another frame."""

    def __init__(self, folder: Path) -> None:
        self.grid, self.sparse, self.elsewhere = grid(), grid(10.0, count=12), grid(frame="two")
        self.study = folder / "study"
        self.slices = write(self.study, "own", self.grid)
        self.of_the_frame = write(folder, "same_frame", self.sparse)
        self.of_another = write(folder, "another_frame", self.elsewhere)

    @staticmethod
    def masks(on: Grid) -> dict[str, np.ndarray]:
        liver, tumour = np.zeros(on.shape, bool), np.zeros(on.shape, bool)
        step = round(5 * on.shape[0] / 24)
        liver[step : 3 * step, 10:30, 10:30] = True
        tumour[2 * step, 14:20, 14:20] = True
        return {"liver": liver, "tumour": tumour}

    def contours(self, on: Grid) -> dict[str, list[np.ndarray]]:
        return {name: [points for _, points in outlines(mask, on)] for name, mask in self.masks(on).items()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return Tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def run(liverimg: Callable, tiny: Tiny, tmp_path: Path) -> Callable:
    """Ingests and labels the small study, and nothing after that."""
    recipe = tmp_path / "short.toml"
    recipe.write_text('stages = ["ingest", "segment"]\n[settings.segment]\nmodel = "liver_ct"\n')
    return lambda labels: liverimg("pre", tiny.study, "--out", tmp_path / "out", "--labels", labels, "--recipe", recipe)


def quality(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "out" / "label_quality.json").read_text())


def drawn(tmp_path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(tmp_path / "out" / "labels.nii.gz").dataobj).T


# ---- what can be read after all, with a word about it ----


def test_labels_of_another_series_in_the_same_frame_take_the_nearest(run, tiny: Tiny, tmp_path: Path) -> None:
    path = write_seg(tmp_path / "a.dcm", tiny.of_the_frame, tiny.masks(tiny.sparse))
    assert run(path).code == 0
    # Four slices of 10 mm become eight of 5 mm; the slice half-way between two may go to either.
    occupied = np.flatnonzero(np.isin(drawn(tmp_path), (1, 2)).any(axis=(1, 2))).tolist()
    assert occupied in (list(range(3, 11)), list(range(4, 12)))
    said = " ".join(quality(tmp_path)["notes"])
    assert "another series" in said
    assert "nearest label" in said


def test_contours_of_another_series_in_the_same_frame(run, tiny: Tiny, tmp_path: Path) -> None:
    path = write_rtstruct(tmp_path / "a.dcm", tiny.of_the_frame, tiny.contours(tiny.sparse))
    assert run(path).code == 0
    said = " ".join(quality(tmp_path)["notes"])
    assert "interpolated" in said
    assert (drawn(tmp_path) == 1).any(axis=(1, 2)).sum() >= 7


def test_the_user_s_names_settle_what_nobody_knows(run, tiny: Tiny, tmp_path: Path) -> None:
    lines = {"liver": "Segment_1", "tumour": "zz"}
    masks = {lines[name]: mask for name, mask in tiny.masks(tiny.grid).items()}
    path = write_seg_nrrd(tmp_path / "a.seg.nrrd", tiny.grid, masks)
    said = run(path)
    assert said.code == 3
    assert "'Segment_1', 'zz'" in said.err
    (tmp_path / "a.names.toml").write_text('"Segment_1" = "liver"\n"zz" = "ignore"\n')
    assert run(path).code == 0
    assert json.loads((tmp_path / "out" / "labels.json").read_text())["liver"] == 1


def test_points_and_empty_regions_are_passed_over(run, tiny: Tiny, tmp_path: Path) -> None:
    def add(dataset: Dataset) -> None:
        for n, name in ((8, "isocentre"), (9, "empty")):
            roi, lines = Dataset(), Dataset()
            roi.ROINumber, roi.ROIName, lines.ReferencedROINumber = n, name, n
            point = Dataset()
            point.ContourGeometricType, point.ContourData = "POINT", [0, 0, 0]
            lines.ContourSequence = [point] if n == 8 else []
            dataset.StructureSetROISequence.append(roi)
            dataset.ROIContourSequence.append(lines)

    path = write_rtstruct(tmp_path / "a.dcm", tiny.slices, tiny.contours(tiny.grid), change=add)
    assert run(path).code == 0


# ---- what is refused ----


def other_frame_seg(t: Tiny, to: Path) -> Path:
    return write_seg(to / "a.dcm", t.of_another, t.masks(t.elsewhere))


def other_frame_rtstruct(t: Tiny, to: Path) -> Path:
    return write_rtstruct(to / "a.dcm", t.of_another, t.contours(t.elsewhere))


def lying_frame(t: Tiny, to: Path) -> Path:
    def change(dataset: Dataset) -> None:
        dataset.FrameOfReferenceUID = uid_from("frame", "three")

    return write_seg(to / "a.dcm", t.slices, t.masks(t.grid), change=change)


def two_frames(t: Tiny, to: Path) -> Path:
    def change(dataset: Dataset) -> None:
        other = Dataset()
        other.FrameOfReferenceUID = uid_from("frame", "three")
        dataset.ReferencedFrameOfReferenceSequence.append(other)

    return write_rtstruct(to / "a.dcm", t.slices, t.contours(t.grid), change=change)


def unknown_segment(t: Tiny, to: Path) -> Path:
    rows = [segment(1, "Liver", LIVER), segment(2, "thing", Code("1", "99X", "thing"))]
    return write_seg(to / "a.dcm", t.slices, t.masks(t.grid), segments=rows)


def disagreeing_segment(t: Tiny, to: Path) -> Path:
    rows = [segment(1, "Liver", LIVER), segment(2, "Tumour", LIVER)]
    return write_seg(to / "a.dcm", t.slices, t.masks(t.grid), segments=rows)


def cut_seg(t: Tiny, to: Path) -> Path:
    path = write_seg(to / "a.dcm", t.slices, t.masks(t.grid))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def no_outlines(t: Tiny, to: Path) -> Path:
    path = to / "a.dcm"
    t.slices[0].save_as(path)
    return path


def open_contour(t: Tiny, to: Path) -> Path:
    return write_rtstruct(to / "a.dcm", t.slices, t.contours(t.grid), kind="OPEN_PLANAR")


def no_contours(t: Tiny, to: Path) -> Path:
    return write_rtstruct(to / "a.dcm", t.slices, {"liver": []})


def odd_points(t: Tiny, to: Path) -> Path:
    def change(dataset: Dataset) -> None:
        dataset.ROIContourSequence[0].ContourSequence[0].ContourData = [1, 2, 3, 4]

    return write_rtstruct(to / "a.dcm", t.slices, t.contours(t.grid), change=change)


def crooked_contour(t: Tiny, to: Path) -> Path:
    lines = t.contours(t.grid)
    lines["liver"][0] = lines["liver"][0] + np.where(np.arange(len(lines["liver"][0])) % 2, 12, 0)[:, None] * (0, 0, 1)
    return write_rtstruct(to / "a.dcm", t.slices, lines)


def no_liver(t: Tiny, to: Path) -> Path:
    return write_rtstruct(to / "a.dcm", t.slices, {"GTV": t.contours(t.grid)["tumour"]})


def only_ignored(t: Tiny, to: Path) -> Path:
    return write_rtstruct(to / "a.dcm", t.slices, {"PTV": t.contours(t.grid)["liver"]})


def empty_segments(t: Tiny, to: Path) -> Path:
    return write_seg_nrrd(to / "a.seg.nrrd", t.grid, {n: m & False for n, m in t.masks(t.grid).items()})


def shifted_nrrd(t: Tiny, to: Path) -> Path:
    shifted = t.grid.cropped((0.4, 0, 0), t.grid.shape)
    return write_seg_nrrd(to / "a.seg.nrrd", shifted, t.masks(t.grid))


def several_volumes(t: Tiny, to: Path) -> Path:
    liver = t.masks(t.grid)["liver"].astype(np.uint8).T
    nibabel.save(nibabel.Nifti1Image(np.stack([liver, liver], axis=-1), np.eye(4)), to / "a.nii.gz")
    return to / "a.nii.gz"


def fractions_nrrd(t: Tiny, to: Path) -> Path:
    nrrd.write(str(to / "a.nrrd"), t.masks(t.grid)["liver"].T * np.float32(0.3), nrrd_header(t.grid))
    return to / "a.nrrd"


def empty_folder(t: Tiny, to: Path) -> Path:
    (to / "folder").mkdir()
    return to / "folder"


def two_segs_in_a_folder(t: Tiny, to: Path) -> Path:
    (to / "folder").mkdir()
    for name in "ab":
        write_seg(to / "folder" / f"{name}.dcm", t.slices, t.masks(t.grid))
    return to / "folder"


def folder_of(change: Callable[[np.ndarray], np.ndarray], name: str = "liver") -> Callable[[Tiny, Path], Path]:
    def write_folder(t: Tiny, to: Path) -> Path:
        (to / "folder").mkdir()
        affine = np.diag([-1.0, -1, 1, 1]) @ t.grid.affine[:, [2, 1, 0, 3]]
        values = change(t.masks(t.grid)["liver"].astype(np.float32))
        nibabel.save(nibabel.Nifti1Image(values.T, affine), to / "folder" / f"{name}.nii.gz")
        return to / "folder"

    return write_folder


def text(_: Tiny, to: Path) -> Path:
    (to / "a.txt").write_text("liver")
    return to / "a.txt"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (other_frame_seg, ("another frame of reference",)),
        (other_frame_rtstruct, ("another frame of reference",)),
        (lying_frame, ("another frame of reference",)),
        (two_frames, ("2 frames of reference",)),
        (unknown_segment, ("'thing'", "expected such as liver", "names.toml")),
        (disagreeing_segment, ("'Tumour'", "one meaning")),
        (cut_seg, ("damaged",)),
        (no_outlines, ("without outlines", "RTSTRUCT")),
        (open_contour, ("OPEN_PLANAR", "closed planar")),
        (no_contours, ("no region with closed contours",)),
        (odd_points, ("no list of points",)),
        (crooked_contour, ("'liver'", "not flat")),
        (no_liver, ("no liver in view",)),
        (only_ignored, ("none of the structures", "'PTV'")),
        (empty_segments, ("every mask in the labels is empty",)),
        (shifted_nrrd, ("another grid",)),
        (several_volumes, ("4 dimensions",)),
        (fractions_nrrd, ("fractions",)),
        (empty_folder, ("no NIfTI mask",)),
        (two_segs_in_a_folder, ("2 other label files",)),
        (folder_of(lambda m: m * 0.4), ("liver.nii.gz", "fractions")),
        (folder_of(lambda m: m + (m.cumsum(axis=2) > 5)), ("liver.nii.gz", "2 label values")),
        (folder_of(lambda m: m[:-1]), ("another grid",)),
        (folder_of(lambda m: m, "mystery"), ("'mystery'",)),
        (folder_of(lambda m: m * 0), ("empty",)),
        (text, ("a.txt", "expected NIfTI")),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_refused(make: Callable, words: tuple[str, ...], run, tiny: Tiny, tmp_path: Path) -> None:
    said = run(make(tiny, tmp_path))
    assert said.code == 3, said.err
    (line,) = [line for line in said.err.splitlines() if line.startswith("liverimg:")]
    for word in words:
        assert word in line
    assert "Traceback" not in said.err
    assert "PHANTOM" not in said.err
    assert not (tmp_path / "out" / "labels.nii.gz").exists()


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        ("no_such_model", 3, "no_such_model"),
        ("folder", 3, "folder"),
        ("totalsegmentator", 2, "not installed"),
        ("nnunet:Dataset999_None", 2, "Dataset999_None"),
    ],
)
def test_models_that_are_not_there(
    model: str, code: int, words: str, liverimg: Callable, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    (tmp_path / "folder").mkdir()
    given = tmp_path / model if model == "folder" else model
    said = liverimg("pre", tiny.study, "--out", tmp_path / "out", "--model", given)
    assert said.code == code, said.err
    (line,) = [line for line in said.err.splitlines() if line.startswith("liverimg:")]
    assert words in line
    assert not (tmp_path / "out" / "labels.nii.gz").exists()
