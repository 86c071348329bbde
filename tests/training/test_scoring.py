"""What counts in a score: unions where the truth tells less, nothing where it says nothing, means over cases."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from tests.training.toy_data import grid, toy_case, write_msd, write_nnunet, write_template

from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import LabelMap, Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.training.data.layouts import read_dataset
from liverimg.training.data.names import NameTable
from liverimg.training.learning.contract import record_validation
from liverimg.training.scoring.cases import Case
from liverimg.training.scoring.data_cases import data_cases, truth_of
from liverimg.training.scoring.score import CaseScore, Groups, _compared, measuring_rules, summary

NAMES = NameTable.built_in()
VALUES = {Structure.LIVER: 1, Structure.TUMOUR: 2, Structure.PORTAL_VEIN: 3, Structure.HEPATIC_VEIN: 4}
DRAWN = sorted(VALUES)
RANGE = (-60.0, 300.0)


def _case(**more: object) -> Case:
    hu, values = toy_case(0)
    truth = LabelMap(values, grid(), VALUES)
    return Case("toy", Volume(hu, grid(), Quantity.HU), truth, float("nan"), **more)  # type: ignore[arg-type]


def _score(case: Case, found: np.ndarray, groups: Groups | None = None) -> CaseScore:
    each = groups or {s.value: (s,) for s in VALUES}
    return _compared(case, LabelMap(found, grid(), VALUES), 1.0, each, {}, measuring_rules())


def test_the_truth_itself_scores_full_marks() -> None:
    case = _case()
    found = _score(case, np.array(case.truth.array))
    assert found.liver is not None
    assert (found.liver.dice, found.liver.surface_dice_1mm) == (1.0, 1.0)
    assert found.structures["portal_vein"].dice == 1.0
    assert found.centreline_dice == {"portal_vein": 1.0, "hepatic_vein": None}
    assert found.told_apart == 1.0
    assert found.lesions is not None
    assert (found.lesions.present, found.lesions.found) == (1, 1)
    assert {row.error for row in found.measurements} == {0.0}


def test_veins_that_the_truth_does_not_tell_apart_are_scored_as_one() -> None:
    case = _case()
    array = np.array(case.truth.array)
    array[array == 3] = 4  # all of it called hepatic
    veins = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN)
    assert _score(case, array).structures["portal_vein"].dice == 0.0
    assert _score(case, array).told_apart == 0.0
    merged = _score(case, array, {"veins": veins})
    assert merged.structures["veins"].dice == 1.0
    assert merged.told_apart is None


def test_what_shows_in_no_image_counts_neither_way() -> None:
    plain = _case()
    array = np.array(plain.truth.array)
    vein = array == 3
    hidden = vein & (np.indices(array.shape)[2] < 13)
    array[hidden] = 1  # half of the vein was not found
    assert 0 < _score(plain, array).structures["portal_vein"].dice < 1
    assert _score(_case(ignored=hidden), array).structures["portal_vein"].dice == 1.0


def test_means_leave_out_what_was_not_scored() -> None:
    case = _case()
    right, wrong = np.array(case.truth.array), np.array(case.truth.array)
    wrong[wrong == 2] = 1
    scores = [_score(case, right), _score(case, wrong)]
    found = summary(scores)
    assert found["cases"] == 2
    assert found["dice"]["tumour"] == 0.5
    assert found["dice"]["hepatic_vein"] is None
    assert found["lesions"]["by_size"]["20-50 mm"] == {"present": 2, "found": 1, "calls": 1, "false_calls": 0}
    assert found["measurement_errors"]["axial_long_diameter"]["measured"] == 1
    assert found["measurement_errors"]["axial_long_diameter"]["lesions"] == 2
    json.dumps([asdict(s) for s in scores], allow_nan=False)


def test_only_what_a_data_set_labels_wholly_is_scored(tmp_path: Path) -> None:
    dataset = read_dataset(write_msd(tmp_path / "msd", ("a",)), NAMES)
    truth = truth_of(dataset, NAMES, DRAWN)
    # Veins lie hidden in its liver, so parenchyma is not comparable; the liver with its contents is.
    assert truth.groups == {"tumour": (Structure.TUMOUR,)}
    case, unknown = next(data_cases(dataset, dataset.sources, truth, liver_median_hu=RANGE))
    assert unknown is None
    assert case.truth.knows(Structure.LIVER)
    assert not case.truth.knows(Structure.PORTAL_VEIN)
    assert truth_of(dataset, NAMES, [Structure.LIVER, Structure.TUMOUR]).groups.keys() == {"liver", "tumour"}


def test_labels_to_ignore_and_labels_of_several(tmp_path: Path) -> None:
    labels = {"background": 0, "liver": 1, "ignore": 2, "vessels": 3}
    dataset = read_dataset(write_nnunet(tmp_path / "data", ("a",), labels=labels), NAMES)
    truth = truth_of(dataset, NAMES, DRAWN)
    veins = (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN)
    assert truth.groups["hepatic_vein_or_portal_vein"] == veins
    assert set(truth.not_told) == set(veins)
    case, unknown = next(data_cases(dataset, dataset.sources, truth, liver_median_hu=RANGE))
    assert unknown is not None
    assert np.array_equal(unknown, toy_case(0)[1] == 2)
    assert np.array_equal(case.truth.mask(*veins), toy_case(0)[1] == 3)


def test_a_data_set_about_something_else_is_refused(tmp_path: Path) -> None:
    labels = {"background": 0, "spleen": 1, "pancreas": 2, "aorta": 3}
    dataset = read_dataset(write_nnunet(tmp_path / "data", ("a",), labels=labels), NAMES)
    with pytest.raises(InputRefusedError, match="no whole label"):
        truth_of(dataset, NAMES, DRAWN)


def test_scores_make_a_model_proven(tmp_path: Path) -> None:
    bundle = write_template(tmp_path / "model")
    path = bundle / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["liverimg"] |= {"evaluated": False, "unproven": {"tumour": "x", "portal_vein": "x", "spleen": "x"}}
    path.write_text(json.dumps(metadata))
    case = _case()
    array = np.array(case.truth.array)
    array[array == 3] = 1
    veins = {"veins": (Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN)}
    groups = {s.value: (s,) for s in (Structure.LIVER, Structure.TUMOUR, Structure.PORTAL_VEIN)} | veins
    record_validation(bundle, summary([_score(case, array, groups)]))
    found = json.loads(path.read_text())
    assert found["liverimg"]["evaluated"] is True
    assert found["liverimg"]["unproven"].keys() == {"portal_vein", "spleen"}
    assert "not found in any case" in found["liverimg"]["unproven"]["portal_vein"]
    fine = found["liverimg"]["passes"][1]["surface_error_mm"]
    assert fine.keys() == {"liver", "tumour"}
    assert set(found["eval_metrics"]["validation"]["dice"]) <= set(Structure)
