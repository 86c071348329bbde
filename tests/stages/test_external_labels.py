"""The same masks by every road: NIfTI, NRRD, SEG and RTSTRUCT give the same labels."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.coding import Code
from tests.conftest import Slab

from liverimg.core.errors import InputRefusedError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.study import Modality, Phase, Series, Study
from liverimg.core.volume import Quantity, Volume
from liverimg.dicom.write import SeriesHeader, StudyHeader, uid_from, write_series
from liverimg.files import nifti
from liverimg.files.tables import structure_styles
from liverimg.segmentation.drawn_segments import bare_segments, segment_of
from liverimg.stages.external_labels import read_external, read_segments
from liverimg.stages.label_sources import series_drawn_on

from .drawn_files import headers, outlines, segment, write_rtstruct, write_seg, write_seg_nrrd

NAMES = ("liver", "tumour", "hepatic_vein", "portal_vein", "bile_duct", "gallbladder", "spleen", "aorta")
VALUES = {s: style.value for s, style in structure_styles().items()}


def wanted_of(whole: LabelMap) -> LabelMap:
    wanted = {Structure(n): VALUES[Structure(n)] for n in NAMES}
    array = np.where(np.isin(whole.array, list(wanted.values())), whole.array, 0)
    return LabelMap(array, whole.grid, wanted)


@pytest.fixture(scope="module")
def truth(exact_labels: Path) -> LabelMap:
    """The sample's exact labels on every second slice and every fourth pixel."""
    fine = nifti.read_grid(exact_labels)
    whole = nifti.read_labels(exact_labels, VALUES, lesions={}, on=fine)
    array = np.ascontiguousarray(whole.array[::2, ::4, ::4])
    affine = np.array(fine.affine)
    affine[:3, :3] *= (2, 4, 4)
    return wanted_of(LabelMap(array, Grid(array.shape, affine, uid_from("frame")), VALUES))


@pytest.fixture(scope="module")
def slices(truth: LabelMap, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("series")
    study = StudyHeader("PHANTOM^SMALL", "1", uid_from("study"), "20200101", "120000")
    header = SeriesHeader(Modality.CT, 1, uid_from("series"), "small", "120000")
    image = Volume(truth.array.astype(np.int16), truth.grid, Quantity.HU)
    write_series(image, folder, study=study, series=header, compressed=False)
    return headers(folder)


@pytest.fixture(scope="module")
def series(slices, truth: LabelMap) -> Series:
    uids = tuple(str(s.SOPInstanceUID) for s in slices)
    uid = str(slices[0].SeriesInstanceUID)
    return Series(uid, Modality.CT, Phase.PORTAL_VENOUS, (), truth.grid, sop_instance_uids=uids)


def masks_of(truth: LabelMap) -> dict[str, np.ndarray]:
    return {name: truth.mask(Structure(name)) for name in NAMES}


@pytest.fixture(scope="module")
def masks(truth: LabelMap) -> dict[str, np.ndarray]:
    return masks_of(truth)


def read(path: Path, series: Series) -> tuple[LabelMap, LabelQuality]:
    return read_external(path, series, VALUES)


def same(labels: LabelMap, truth: LabelMap) -> None:
    assert np.array_equal(labels.array, truth.array)
    assert dict(labels.structures) == dict(truth.structures)
    assert labels.lesions == {}


def by_nifti(folder: Path, truth: LabelMap) -> Path:
    path = folder / "drawn.nii.gz"
    nifti.write_labels(path, truth)
    (folder / "drawn.json").write_text(json.dumps({s.value: v for s, v in truth.structures.items()}))
    return path


def by_folder(folder: Path, truth: LabelMap) -> Path:
    for structure in truth.structures:
        own = LabelMap(truth.mask(structure).astype(np.uint8), truth.grid, {structure: 1})
        nifti.write_labels(folder / f"{structure}.nii.gz", own)
    return folder


@pytest.mark.parametrize("write", [by_nifti, by_folder])
def test_nifti_in_one_file_and_in_one_per_structure(write: Callable, truth, series, tmp_path: Path) -> None:
    labels, quality = read(write(tmp_path, truth), series)
    same(labels, truth)
    assert quality == LabelQuality("external")


def divided(truth: LabelMap) -> np.ndarray:
    """Eight slabs of the liver from right to left."""
    columns = np.flatnonzero(truth.mask(Structure.LIVER).any(axis=(0, 1)))
    number = np.clip((np.arange(truth.grid.shape[2]) - columns[0]) * 8 // len(columns), 0, 7) + 1
    return np.where(truth.mask(Structure.LIVER), number[None, None, :], 0).astype(np.uint8)


def segments_in_one_file(folder: Path, truth: LabelMap) -> Path:
    array = np.where(divided(truth) > 0, 30 + divided(truth), truth.array)
    path = folder / "drawn.nii.gz"
    nifti.write_label_values(path, array.astype(np.uint8), truth.grid)
    names = {s.value: v for s, v in truth.structures.items() if s is not Structure.LIVER}
    (folder / "drawn.json").write_text(json.dumps(names | {f"segment_{n}": 30 + n for n in range(1, 9)}))
    return path


def segments_in_a_folder(folder: Path, truth: LabelMap) -> Path:
    by_folder(folder, truth)
    (folder / "liver.nii.gz").unlink()
    for number in range(1, 9):
        name = f"Segment_{('I', 'II', 'III', '4', '5', '6', '7', '8')[number - 1]}.nii.gz"
        nifti.write_label_values(folder / name, (divided(truth) == number).astype(np.uint8), truth.grid)
    return folder


@pytest.mark.parametrize("write", [segments_in_one_file, segments_in_a_folder])
def test_drawn_segments_are_liver_and_themselves(write: Callable, truth, series, tmp_path: Path) -> None:
    path = write(tmp_path, truth)
    labels, quality = read(path, series)
    same(labels, truth)
    assert quality.origin == "external"
    assert np.array_equal(read_segments(path, series), divided(truth))


@pytest.mark.parametrize("write", [by_nifti, by_folder])
def test_labels_without_segments_have_none(write: Callable, truth, series, tmp_path: Path) -> None:
    assert read_segments(write(tmp_path, truth), series) is None


def test_a_bare_segment_number_means_nothing_alone(truth, series, tmp_path: Path) -> None:
    """3D Slicer calls the first drawing of anything Segment_1."""
    assert bare_segments(["Segment_1", "liver"]) == frozenset()
    assert bare_segments([f"segment_{n}" for n in range(1, 8)]) == frozenset(), "seven of eight"
    assert len(bare_segments([f"Segment {n}" for n in ["1", "2", "3", "4a", "4b", "5", "6", "7", "8"]])) == 9
    by_folder(tmp_path, truth)
    liver = truth.mask(Structure.LIVER).astype(np.uint8)
    nifti.write_label_values(tmp_path / "Segment_1.nii.gz", liver, truth.grid)
    with pytest.raises(InputRefusedError, match="Segment_1"):
        read(tmp_path, series)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("segment_4", 4),
        ("Liver Segment 4b", 4),
        ("liver_segment_8", 8),
        ("Couinaud VII", 7),
        ("Segment IVa", 4),
        ("segment_9", None),
        ("segment", None),
        ("liver", None),
        ("tumour segment 3", None),
    ],
)
def test_which_names_are_segments(name: str, number: int | None) -> None:
    assert segment_of(name, meanings={}) == number
    assert segment_of("x", ("SCT:277956007",), meanings={"SCT:277956007": 2}) == 2


def test_one_file_with_the_names_in_its_header(truth, series, tmp_path: Path) -> None:
    rows = "".join(
        f'<Label Key="{v}" Red="1" Green="0" Blue="0" Alpha="1"><![CDATA[{s}]]></Label>\n'
        for s, v in truth.structures.items()
    )
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?> <CaretExtension>  <VolumeInformation Index="0">   <LabelTable>'
        f"\n{rows}\n  </LabelTable></VolumeInformation></CaretExtension>\n              "
    )
    nifti.write_labels(tmp_path / "plain.nii.gz", truth)
    image = nibabel.load(tmp_path / "plain.nii.gz")
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, xml.encode()))
    nibabel.save(image, tmp_path / "named.nii.gz")
    same(read(tmp_path / "named.nii.gz", series)[0], truth)


@pytest.mark.parametrize("layered", [False, True], ids=["one layer", "a layer each"])
def test_slicer_segmentations(layered: bool, truth, masks, series, tmp_path: Path) -> None:
    path = write_seg_nrrd(tmp_path / "Segmentation.seg.nrrd", truth.grid, masks, layered=layered)
    same(read(path, series)[0], truth)


def test_a_slicer_segmentation_cropped_to_what_was_drawn(truth, masks, series, tmp_path: Path) -> None:
    drawn = np.argwhere(truth.array)
    low, high = drawn.min(axis=0), drawn.max(axis=0) + 1
    grid = truth.grid.cropped(low, tuple(high - low))
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    path = write_seg_nrrd(tmp_path / "a.seg.nrrd", grid, {n: m[box] for n, m in masks.items()})
    labels, quality = read(path, series)
    same(labels, truth)
    assert quality.notes == ()


def test_plain_nrrd_with_names_beside_it(truth, series, tmp_path: Path) -> None:
    import nrrd

    from .drawn_files import nrrd_header

    nrrd.write(str(tmp_path / "a.nrrd"), truth.array.T, nrrd_header(truth.grid))
    (tmp_path / "a.json").write_text(json.dumps({s.value: v for s, v in truth.structures.items()}))
    same(read(tmp_path / "a.nrrd", series)[0], truth)


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_dicom_seg(kind: str, truth, masks, slices, series, tmp_path: Path) -> None:
    labels, quality = read(write_seg(tmp_path / "seg.dcm", slices, masks, kind=kind), series)
    same(labels, truth)
    assert quality == LabelQuality("external")


def test_a_folder_with_one_dicom_seg(truth, masks, slices, series, tmp_path: Path) -> None:
    write_seg(tmp_path / "seg.dcm", slices, {n: masks[n] for n in ("liver", "tumour")})
    labels, _ = read(tmp_path, series)
    assert np.array_equal(labels.mask(Structure.TUMOUR), masks["tumour"])


def test_fractions_count_from_one_half_on(masks, slices, series, tmp_path: Path) -> None:
    fractions = {"liver": masks["liver"] * 0.5, "tumour": masks["tumour"] * 0.49 + (masks["spleen"] * 1.0)}
    labels, quality = read(write_seg(tmp_path / "a.dcm", slices, fractions, kind="FRACTIONAL"), series)
    assert np.array_equal(labels.mask(Structure.LIVER), masks["liver"])
    assert np.array_equal(labels.mask(Structure.TUMOUR), masks["spleen"])
    assert any("one half" in note for note in quality.notes)


def test_slices_without_a_frame_stay_empty(masks, slices, series, tmp_path: Path) -> None:
    sparse = np.zeros_like(masks["liver"])
    occupied = np.flatnonzero(masks["liver"].any(axis=(1, 2)))[[2, 9]]
    sparse[occupied] = masks["liver"][occupied]

    def forget_the_spacing(dataset) -> None:
        measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        del measures.SpacingBetweenSlices

    for name, change in (("with", lambda dataset: None), ("without", forget_the_spacing)):
        path = write_seg(tmp_path / f"{name}.dcm", slices, {"liver": sparse}, change=change)
        assert np.array_equal(read(path, series)[0].mask(Structure.LIVER), sparse), name


def test_several_segments_of_one_type_are_lesions_of_their_own(masks, slices, series, tmp_path: Path) -> None:
    k = int(np.argwhere(masks["liver"])[:, 0].mean())
    first, second = np.zeros_like(masks["liver"]), np.zeros_like(masks["liver"])
    first[k, 30:50, 20:40] = True
    second[k, 45:60, 35:50] = True
    lesion = Code("52988006", "SCT", "Lesion")
    liver = Code("10200004", "SCT", "Liver")
    drawn = {"liver": masks["liver"], "a": first, "b": second}
    rows = [segment(1, "Liver", liver), segment(2, "Lesion 7", lesion), segment(3, "Lesion 2", lesion)]
    labels, quality = read(write_seg(tmp_path / "a.dcm", slices, drawn, segments=rows), series)
    assert set(labels.lesions) == {"L2", "L7"}
    assert np.array_equal(labels.array == labels.lesions["L7"], first), "the first drawn counts where two overlap"
    assert np.array_equal(labels.array == labels.lesions["L2"], second & ~first)
    assert [n for n in quality.notes if "overlap" in n and "25 voxels" in n and "tumour, ablation_zone" in n]


def test_a_mass_in_another_organ_is_no_tumour_of_the_liver(masks, slices, series, tmp_path: Path) -> None:
    mass = Code("4147007", "SCT", "Mass")
    kidney, liver = Code("64033007", "SCT", "Kidney"), Code("10200004", "SCT", "Liver")
    rows = [
        segment(1, "Liver", liver),
        segment(2, "Mass", mass, anatomic_regions=[kidney]),
        segment(3, "Mass 2", mass, anatomic_regions=[liver]),
    ]
    drawn = {"liver": masks["liver"], "kidney mass": masks["spleen"], "mass": masks["tumour"]}
    labels, _ = read(write_seg(tmp_path / "a.dcm", slices, drawn, segments=rows), series)
    assert np.array_equal(labels.mask(Structure.TUMOUR), masks["tumour"])


def test_what_an_algorithm_drew_is_not_exact(masks, slices, series, tmp_path: Path) -> None:
    rows = [
        segment(1, "Liver", Code("10200004", "SCT", "Liver"), "AUTOMATIC"),
        segment(2, "Tumor", Code("52988006", "SCT", "Lesion"), "MANUAL"),
    ]
    drawn = {n: masks[n] for n in ("liver", "tumour")}
    _, quality = read(write_seg(tmp_path / "a.dcm", slices, drawn, segments=rows), series)
    assert quality.origin == "external_model"
    assert quality.surface_error_assumed
    assert set(quality.surface_error_mm) == {Structure.LIVER}
    assert any("unknown" in note for note in quality.notes)


def test_rtstruct(truth, masks, slices, series, tmp_path: Path) -> None:
    contours = {n: [points for _, points in outlines(m, truth.grid)] for n, m in masks.items()}
    labels, _ = read(write_rtstruct(tmp_path / "rs.dcm", slices, contours), series)
    same(labels, truth)


@pytest.mark.parametrize("kind", ["seg", "label map", "rtstruct"])
def test_an_oblique_series(kind: str, awkward_grid: Grid, tmp_path: Path) -> None:
    """Oblique, anisotropic, left-handed, and drawn with a hole."""
    study = StudyHeader("PHANTOM^OBLIQUE", "1", uid_from("oblique"), "20200101", "120000")
    header = SeriesHeader(Modality.MR, 1, uid_from("oblique series"), "oblique", "120000")
    image = Volume(np.zeros(awkward_grid.shape, np.float32), awkward_grid, Quantity.MR_SIGNAL)
    files = write_series(image, tmp_path / "series", study=study, series=header, compressed=False)
    slices = [dcmread(path) for path in files]
    own = Series(uid_from("oblique series"), Modality.MR, Phase.UNKNOWN, (), awkward_grid)
    liver = np.zeros(awkward_grid.shape, bool)
    liver[5:18, 8:30, 6:29] = True
    liver[9:14, 12:20, 10:19] = False
    liver[7, 20:40, 20:36] = True
    if kind == "rtstruct":
        path = write_rtstruct(tmp_path / "a.dcm", slices, {"liver": [p for _, p in outlines(liver, awkward_grid)]})
    else:
        path = write_seg(
            tmp_path / "a.dcm", slices, {"liver": liver}, kind="LABELMAP" if kind == "label map" else "BINARY"
        )
    labels, quality = read(path, own)
    assert np.array_equal(labels.mask(Structure.LIVER), liver)
    holes = ["liver has contours inside contours: they were read as holes."] if kind == "rtstruct" else []
    assert list(quality.notes) == holes


def test_totalsegmentator_s_folder_is_not_exact_however_it_reached_us(truth, series, tmp_path: Path) -> None:
    names = {"liver": "liver", "portal_vein": "portal_vein_and_splenic_vein", "tumour": "liver_lesions"}
    for structure, name in (names | {"spleen": "vertebrae_L1", "aorta": "kidney_cyst_left"}).items():
        own = LabelMap(truth.mask(Structure(structure)).astype(np.uint8), truth.grid, {Structure.LIVER: 1})
        nifti.write_labels(tmp_path / f"{name}.nii.gz", own)
    labels, quality = read(tmp_path, series)
    for structure in names:
        assert np.array_equal(labels.mask(Structure(structure)), truth.mask(Structure(structure)))
    assert np.array_equal(labels.mask(Structure.BONE), truth.mask(Structure.SPLEEN))
    assert quality.origin == "external_model"
    assert quality.model == "TotalSegmentator"
    assert "trunk" in quality.incomplete[Structure.PORTAL_VEIN]
    assert set(quality.surface_error_mm) == set(labels.structures)


def test_the_whole_way(liverimg: Callable, sample: Path, slab: Slab, tmp_path: Path) -> None:
    """One road of each kind through the command: byte-equal labels, and the series they were drawn on as reference."""
    slices = headers(slab.study)
    study = Path(shutil.copytree(slab.study, tmp_path / "study"))
    feet, head = (slices[n].ImagePositionPatient[2] for n in (0, -1))
    for path in (path for name in ("S002", "S003", "S005") for path in (sample / "pre_ct" / name).iterdir()):
        if feet <= dcmread(path, stop_before_pixels=True).ImagePositionPatient[2] <= head:
            shutil.copy(path, study / f"{path.parent.name}-{path.name}")
    drawn = wanted_of(nifti.read_labels(slab.labels, VALUES, lesions={}, on=nifti.read_grid(slab.labels)))
    # An RTSTRUCT can't say that a structure was looked for and is not there.
    truth = replace(drawn, structures={s: v for s, v in drawn.structures.items() if drawn.has(s)})
    masks = {s.value: truth.mask(s) for s in truth.structures}
    contours = {n: [points for _, points in outlines(m, truth.grid)] for n, m in masks.items()}
    files = {
        "nifti": by_nifti(tmp_path, truth),
        "nrrd": write_seg_nrrd(tmp_path / "a.seg.nrrd", truth.grid, masks),
        "seg": write_seg(tmp_path / "seg.dcm", slices, masks),
        "rtstruct": write_rtstruct(tmp_path / "rs.dcm", slices, contours),
    }
    recipe = tmp_path / "short.toml"
    recipe.write_text('stages = ["ingest", "segment"]\n[settings.segment]\nmodel = "liver_ct"\n')
    out = tmp_path / "out"
    written = {}
    for name, path in files.items():
        said = liverimg("pre", study, "--out", out, "--labels", path, "--recipe", recipe)
        assert said.code == 0, (name, said.err)
        written[name] = (out / "labels.nii.gz").read_bytes(), (out / "labels.json").read_bytes()
    assert len(set(written.values())) == 1, "every road gives the same bytes"
    row = json.loads((out / "study.json").read_text())
    assert len(row["volumes"]) == 4
    assert row["volumes"][2]["file"] == row["reference_volume"]


@pytest.mark.parametrize("kind", ["seg", "rtstruct", "frame only", "nrrd", "cropped nrrd", "nifti"])
def test_the_series_that_labels_were_drawn_on(kind: str, truth, masks, slices, series, tmp_path: Path) -> None:
    """The second of three series: told by its UID, by the frame of reference, or by where the voxels lie."""
    away = Grid(truth.grid.shape, truth.grid.cropped((0.3, 0, 0), truth.grid.shape).affine, uid_from("other frame"))
    other = Series("1.2.3", Modality.CT, Phase.ARTERIAL, (), away)
    beside = replace(other, series_instance_uid="1.2.4", grid=replace(away, frame_of_reference_uid=None))
    study = Study("1", None, (other, series, beside))
    liver = {"liver": masks["liver"]}
    if kind in ("seg", "frame only"):
        path = write_seg(tmp_path / "a.dcm", slices, liver)
    elif kind == "rtstruct":
        path = write_rtstruct(
            tmp_path / "a.dcm", slices, {"liver": [p for _, p in outlines(liver["liver"], truth.grid)]}
        )
    elif kind == "nrrd":
        path = write_seg_nrrd(tmp_path / "a.seg.nrrd", truth.grid, liver)
    elif kind == "cropped nrrd":
        part = truth.grid.cropped((2, 3, 4), (20, 60, 60))
        path = write_seg_nrrd(tmp_path / "a.seg.nrrd", part, {"liver": liver["liver"][2:22, 3:63, 4:64]})
    else:
        path = by_nifti(tmp_path, truth)
    if kind == "frame only":
        renamed = replace(series, series_instance_uid="1.2.5", sop_instance_uids=())
        study = replace(study, series=(other, renamed, beside))
    assert series_drawn_on(study, path).series == (study.series[1],)
