"""Data sets as the field lays them out are understood, and what is wrong with one is said in a sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.training.toy_data import grid, toy_case, write_msd, write_nnunet

from liverimg.core.errors import GridMismatchError, InputRefusedError, RecordInvalidError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.study import Modality, Phase
from liverimg.core.volume import Quantity, Volume
from liverimg.files import nifti
from liverimg.training.data.layouts import load_case, read_dataset
from liverimg.training.data.names import NameTable
from liverimg.training.data.splits import make_split, read_split, split_for
from liverimg.training.data.targets import targets_for
from liverimg.training.synthesis.examples import IGNORED

NAMES = NameTable.built_in()
CASES = ("p1", "p2", "p3")
CHANNELS = {1: Structure.LIVER, 2: Structure.TUMOUR, 3: Structure.PORTAL_VEIN, 4: Structure.GALLBLADDER}


def _change(folder: Path, **fields: Any) -> None:
    record = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(record | fields))


def test_nnunet_is_read(tmp_path: Path) -> None:
    dataset = read_dataset(write_nnunet(tmp_path, CASES), NAMES)
    assert [s.name for s in dataset.sources] == list(CASES)
    assert dataset.modality is Modality.CT
    assert {v: m.structures for v, m in dataset.labels.items()} == {
        0: (),
        1: (Structure.LIVER,),
        2: (Structure.TUMOUR,),
        3: (Structure.PORTAL_VEIN,),
    }
    case = load_case(dataset, dataset.source("p2"))
    hu, values = toy_case(1)
    assert np.array_equal(case.reference.array, hu)
    assert np.array_equal(case.values, values)
    assert case.reference.grid.fits_in_space(grid())
    assert case.reference.quantity is Quantity.HU


def test_msd_is_read(tmp_path: Path) -> None:
    dataset = read_dataset(write_msd(tmp_path, CASES), NAMES)
    assert dataset.name == "Toy"
    assert [s.name for s in dataset.sources] == list(CASES)
    assert dataset.labels[2].structures == (Structure.TUMOUR,)
    assert set(np.unique(load_case(dataset, dataset.sources[0]).values)) == {0, 1, 2}


def test_channels_become_phases(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, CASES[:1], channels=3)
    dataset = read_dataset(folder, NAMES)
    assert dataset.phases == (Phase.PORTAL_VENOUS, Phase.ARTERIAL, Phase.DELAYED)
    case = load_case(dataset, dataset.sources[0])
    assert set(case.others) == {Phase.ARTERIAL, Phase.DELAYED}
    assert np.array_equal(case.reference.array - 20, case.others[Phase.ARTERIAL].array)
    (tmp_path / "names.toml").write_text('reference = "CT arterial"\n')
    turned = read_dataset(folder, NAMES.with_file(tmp_path / "names.toml"))
    assert set(load_case(turned, turned.sources[0]).others) == {Phase.PORTAL_VENOUS, Phase.DELAYED}


def test_regions_give_each_value_its_nearest_name(tmp_path: Path) -> None:
    regions = {"background": 0, "liver": [1, 2, 3], "tumour": [2], "portal vein": 3}
    dataset = read_dataset(write_nnunet(tmp_path, CASES, labels=regions), NAMES)
    assert [dataset.labels[v].structures for v in (1, 2, 3)] == [
        (Structure.LIVER,),
        (Structure.TUMOUR,),
        (Structure.PORTAL_VEIN,),
    ]


def test_listed_files_are_taken_from_where_they_lie(tmp_path: Path) -> None:
    write_nnunet(tmp_path, CASES[:1])
    listed = {"other": {"images": ["imagesTr/p1_0000.nii.gz"], "label": "labelsTr/p1.nii.gz"}}
    _change(tmp_path, dataset=listed)
    assert [s.name for s in read_dataset(tmp_path, NAMES).sources] == ["other"]
    listed["other"]["label"] = "../elsewhere.nii.gz"
    _change(tmp_path, dataset=listed)
    with pytest.raises(InputRefusedError, match="outside"):
        read_dataset(tmp_path, NAMES)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Liver", (Structure.LIVER,)),
        ("hepatic_vein", (Structure.HEPATIC_VEIN,)),
        ("liver-tumor", (Structure.TUMOUR,)),
        ("vessels", (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN)),
        ("adrenal_gland_left", ()),
    ],
)
def test_usual_names_are_known(given: str, expected: tuple[Structure, ...]) -> None:
    assert NAMES.label(given).structures == expected


def test_every_structure_is_known_by_its_own_name() -> None:
    assert all(NAMES.label(s.value).structures == (s,) for s in Structure)


def test_an_unknown_name_is_refused_unless_told_otherwise(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path / "d", CASES, labels={"background": 0, "liver": 1, "gizmo": 2, "portal_vein": 3})
    with pytest.raises(InputRefusedError, match=r"'gizmo'.*--names"):
        read_dataset(folder, NAMES)
    told = tmp_path / "names.toml"
    for text, ignored in (('unknown = "background"', False), ('unknown = "ignore"', True)):
        told.write_text(text)
        meaning = read_dataset(folder, NAMES.with_file(told)).labels[2]
        assert (meaning.structures, meaning.ignored) == ((), ignored)
    told.write_text('[labels]\ngizmo = "tumour"\nliver = ["liver", "portal_vein"]')
    labels = read_dataset(folder, NAMES.with_file(told)).labels
    assert labels[2].structures == (Structure.TUMOUR,)
    assert labels[1].structures == (Structure.LIVER, Structure.PORTAL_VEIN)


@pytest.mark.parametrize(
    "text",
    ['unknown = "perhaps"', "[labels]\nx = 'spoon'", "patient = '('", "patient = 'p'", "labels = 3", "zzz = 1", "="],
)
def test_a_broken_file_of_names_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "names.toml").write_text(text)
    with pytest.raises(RecordInvalidError, match=r"names\.toml"):
        NAMES.with_file(tmp_path / "names.toml")


def test_labels_that_hide_others_stand_for_all_of_them(tmp_path: Path) -> None:
    dataset = read_dataset(write_msd(tmp_path, CASES), NAMES)
    targets = targets_for(dataset.labels, dataset.complete, CHANNELS, NAMES)
    assert targets.codes[2] == 2  # a tumour is a tumour
    assert targets.choices[targets.codes[1]] == (1, 3)  # veins were not labelled and lie in the liver
    assert targets.choices[targets.codes[0]] == (0, 3, 4)  # a gallbladder may lie in the background
    assert targets.hidden == {targets.codes[1]: (3,), targets.codes[0]: (3, 4)}
    assert targets.codes[9] == IGNORED
    assert targets.taught == {Structure.LIVER, Structure.TUMOUR}


def test_a_network_that_tells_less_apart_is_taught_less(tmp_path: Path) -> None:
    dataset = read_dataset(write_msd(tmp_path, CASES), NAMES)
    coarse = targets_for(dataset.labels, dataset.complete, {1: Structure.LIVER, 2: Structure.SPLEEN}, NAMES)
    assert list(coarse.codes[1:3]) == [1, 1]
    assert coarse.choices[coarse.codes[0]] == (0, 2)


def test_a_part_leaves_the_rest_hidden(tmp_path: Path) -> None:
    channels = {1: Structure.LIVER, 2: Structure.KIDNEY}
    half = {"background": 0, "liver": 1, "kidney_left": 2, "spleen": 3}
    dataset = read_dataset(write_nnunet(tmp_path / "a", CASES, labels=half), NAMES)
    targets = targets_for(dataset.labels, dataset.complete, channels, NAMES)
    assert targets.choices[targets.codes[0]] == (0, 2)
    assert targets.taught == {Structure.LIVER, Structure.SPLEEN}
    whole = {"background": 0, "liver": 1, "kidney_left": 2, "kidney_right": 3}
    dataset = read_dataset(write_nnunet(tmp_path / "b", CASES, labels=whole), NAMES)
    targets = targets_for(dataset.labels, dataset.complete, channels, NAMES)
    assert list(targets.codes[:4]) == [0, 1, 2, 2]
    assert Structure.KIDNEY in targets.taught


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputRefusedError, match=r"no dataset\.json"):
        read_dataset(tmp_path, NAMES)


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"labels": {}, "labels": {}}'])
def test_a_broken_record_is_refused(tmp_path: Path, text: str) -> None:
    write_nnunet(tmp_path, CASES)
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(RecordInvalidError, match=r"dataset\.json"):
        read_dataset(tmp_path, NAMES)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"labels": {"background": 0, "liver": -1}}, "not as expected"),
        ({"labels": {"background": 0, "liver": "one"}}, "not as expected"),
        ({"labels": 5}, "not as expected"),
        ({"labels": {"background": 0, "liver": [1, 2], "tumour": [1, 2]}}, "both mean value"),
        ({"file_ending": ".mha"}, "convert"),
        ({"numTraining": 7}, "7 training cases"),
        ({"channel_names": {"0": "zeroth"}}, "modalities"),
        ({"channel_names": {"0": "CT", "1": "CT arterial"}}, r"lacks p1_0001\.nii\.gz"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    write_nnunet(tmp_path, CASES)
    _change(tmp_path, **fields)
    with pytest.raises(InputRefusedError, match=words):
        read_dataset(tmp_path, NAMES)


def test_missing_files_are_named(tmp_path: Path) -> None:
    write_msd(tmp_path, CASES)
    (tmp_path / "imagesTr" / "p3.nii.gz").unlink()
    with pytest.raises(InputRefusedError, match=r"lacks p3\.nii\.gz"):
        read_dataset(tmp_path, NAMES)


def test_labels_on_another_grid_are_refused(tmp_path: Path) -> None:
    write_nnunet(tmp_path, CASES)
    moved = Grid.from_axes((32, 32, 32), spacing_mm=(4, 4, 4), origin_lps_mm=(-60, -50, 704))
    nifti.write_labels(tmp_path / "labelsTr" / "p1.nii.gz", LabelMap(toy_case(0)[1], moved, {}))
    dataset = read_dataset(tmp_path, NAMES)
    with pytest.raises(GridMismatchError, match=r"p1\.nii\.gz lies on another grid"):
        load_case(dataset, dataset.sources[0])


def test_channels_on_different_grids_are_refused(tmp_path: Path) -> None:
    write_nnunet(tmp_path, CASES, channels=2)
    smaller = Grid.from_axes((32, 32, 30), spacing_mm=(4, 4, 4), origin_lps_mm=(-60, -50, 700))
    volume = Volume(toy_case(0)[0][:, :, :30], smaller, Quantity.HU)
    nifti.write_volume(tmp_path / "imagesTr" / "p1_0001.nii.gz", volume)
    dataset = read_dataset(tmp_path, NAMES)
    with pytest.raises(GridMismatchError, match="another grid"):
        load_case(dataset, dataset.sources[0])


def test_a_four_dimensional_image_is_refused(tmp_path: Path) -> None:
    import nibabel

    write_nnunet(tmp_path, CASES)
    image = nibabel.Nifti1Image(np.zeros((32, 32, 32, 2), dtype=np.int16), np.eye(4))
    nibabel.save(image, tmp_path / "imagesTr" / "p1_0000.nii.gz")
    dataset = read_dataset(tmp_path, NAMES)
    with pytest.raises(InputRefusedError, match=r"4 dimensions.*one file for each"):
        load_case(dataset, dataset.sources[0])


def test_several_channels_in_one_msd_file_are_refused(tmp_path: Path) -> None:
    write_msd(tmp_path, CASES)
    _change(tmp_path, modality={"0": "CT", "1": "CT"})
    with pytest.raises(InputRefusedError, match="four-dimensional"):
        read_dataset(tmp_path, NAMES)


def test_a_value_without_a_name_is_refused(tmp_path: Path) -> None:
    write_nnunet(tmp_path, CASES, labels={"background": 0, "liver": 1, "tumour": 2})
    dataset = read_dataset(tmp_path, NAMES)
    with pytest.raises(InputRefusedError, match="label value 3"):
        load_case(dataset, dataset.sources[0])


def test_voxels_without_a_value_are_refused(tmp_path: Path) -> None:
    write_nnunet(tmp_path, CASES)
    hu = toy_case(0)[0].astype(np.float32)
    hu[3, 4, 5] = np.nan
    nifti.write_volume(tmp_path / "imagesTr" / "p1_0000.nii.gz", Volume(hu, grid(), Quantity.HU))
    dataset = read_dataset(tmp_path, NAMES)
    with pytest.raises(InputRefusedError, match="NaN"):
        load_case(dataset, dataset.sources[0])


def test_a_split_keeps_patients_together_and_is_the_same_everywhere() -> None:
    cases = [f"hcc_{n:03d}_{phase}" for n in range(10) for phase in ("arterial", "pv", "scan2")]
    split = make_split(cases, NAMES, share=0.2, seed=1)
    assert sorted((*split.train, *split.validation)) == sorted(cases)
    patients = [{NAMES.patient_of(c) for c in part} for part in (split.train, split.validation)]
    assert len(patients[1]) == 2
    assert not patients[0] & patients[1]
    assert make_split(cases[::-1], NAMES, share=0.2, seed=1) == split
    assert make_split(cases, NAMES, share=0.2, seed=2) != split


def test_a_pattern_can_tell_the_patient(tmp_path: Path) -> None:
    (tmp_path / "names.toml").write_text("patient = '^(site[A-Z])'\n")
    names = NAMES.with_file(tmp_path / "names.toml")
    split = make_split(["siteA1", "siteA2", "siteB1", "siteB2"], names, share=0.5, seed=0)
    assert {c[:5] for c in split.validation} in ({"siteA"}, {"siteB"})
    with pytest.raises(InputRefusedError, match="one patient"):
        make_split(["siteA1", "siteA2"], names, share=0.5, seed=0)


def test_nnunets_own_split_is_kept(tmp_path: Path) -> None:
    folds = [{"train": ["p1", "p2"], "val": ["p3"]}, {"train": ["p1", "p3"], "val": ["p2"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    split = split_for(tmp_path, CASES, NAMES, given=None, share=0.5, seed=0)
    assert (split.train, split.validation) == (("p1", "p2"), ("p3",))
    assert read_split(tmp_path / "splits_final.json", CASES, fold=1).validation == ("p2",)
    (tmp_path / "again.json").write_text(split.to_text())
    assert read_split(tmp_path / "again.json", CASES) == split


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("{", RecordInvalidError, "JSON"),
        ('{"train": ["p1"]}', RecordInvalidError, "no split"),
        ('{"train": ["p1"], "val": [2]}', RecordInvalidError, "no split"),
        ("[]", RecordInvalidError, "no fold 0"),
        ('{"train": ["p1"], "val": ["p9"]}', InputRefusedError, "'p9'"),
        ('{"train": ["p1"], "val": ["p1"]}', InputRefusedError, "both parts"),
        ('{"train": [], "val": ["p1"]}', InputRefusedError, "no case"),
    ],
)
def test_a_broken_split_is_refused(tmp_path: Path, text: str, error: type[Exception], words: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(error, match=words):
        read_split(tmp_path / "split.json", CASES)
