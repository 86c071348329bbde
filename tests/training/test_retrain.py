"""From a folder of labelled cases to a bundle that the pipeline takes; stopped runs, bad input, what is not known."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.training.toy_data import SPACING_MM, grid, toy_case, write_msd, write_nnunet, write_template

from liverimg.core.errors import InputRefusedError, LiverimgError, ModelRefusedError, UsageError
from liverimg.core.labels import Structure
from liverimg.core.volume import Quantity, Volume
from liverimg.files import nifti
from liverimg.segmentation.bundle import open_bundle
from liverimg.segmentation.infer import segment_volume
from liverimg.segmentation.intensity import Intensity, to_network
from liverimg.training.data.augment import Augmentation
from liverimg.training.data.layouts import read_dataset
from liverimg.training.data.names import NameTable
from liverimg.training.data.prepared import Preparation, Prepared, prepare, to_network_values
from liverimg.training.data.real_stream import MixedExamples, NumberedStream, RealExamples
from liverimg.training.data.targets import targets_for
from liverimg.training.learning.steps import Moment
from liverimg.training.retraining.request import Request
from liverimg.training.retraining.retrain import retrain
from liverimg.training.synthesis.examples import IGNORED

CASES = ("anna_1", "anna_2", "bert", "carl")
NAMES = NameTable.built_in()
HU_RANGE = (-60.0, 300.0)
SETTINGS = """
[fit]
steps = { coarse = 3, fine = 4 }
minutes_share = { coarse = 0.3, fine = 0.7 }
learning_rate = 5e-3
warm_up = 2
batch = 1
save_every_s = 0.0
[split]
validation_share = 0.3
[augment]
elastic_mm = 2.0
"""


class Silent:
    """Watches a run; may stop it at a step."""

    def __init__(self, stop_at: tuple[str, int] | None = None) -> None:
        self.notes: list[str] = []
        self.steps: dict[str, int] = {}
        self._stop_at = stop_at

    def stage(self, title: str) -> Callable[[float], None]:
        return lambda _: None

    def moment(self, title: str) -> Callable[[Moment], None]:
        def look(now: Moment) -> None:
            self.steps[title] = self.steps.get(title, 0) + 1
            if self._stop_at == (title, now.step):
                raise KeyboardInterrupt

        return look

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, a template and settings."""
    folder = tmp_path_factory.mktemp("toys")
    write_nnunet(folder / "data", CASES)
    write_template(folder / "template")
    (folder / "settings.toml").write_text(SETTINGS)
    return folder


def _request(toys: Path, out: Path, **changes: Any) -> Request:
    plain = Request(
        data=toys / "data",
        out=out,
        start=toys / "template",
        fresh=True,
        settings=toys / "settings.toml",
        device="cpu",
        workers=0,
    )
    return replace(plain, **changes)


@pytest.fixture(scope="module")
def trained(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that was trained from chance; not to be changed by tests."""
    out = tmp_path_factory.mktemp("trained") / "toy_model"
    assert retrain(_request(toys, out), Silent()) is not None
    return out


def _metadata(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / "configs" / "metadata.json").read_text())
    return found


def test_a_new_model_is_whole_and_runs(trained: Path) -> None:
    bundle = open_bundle(trained, device="cpu")
    assert [list(p.channels.values()) for p in bundle.passes] == [
        [Structure.LIVER],
        [Structure.LIVER, Structure.TUMOUR, Structure.PORTAL_VEIN],
    ]
    assert bundle.name == "toy_model"
    drawn = segment_volume(Volume(toy_case(9)[0], grid(), Quantity.HU), bundle).labels
    assert set(drawn.structures) == {Structure.LIVER, Structure.TUMOUR, Structure.PORTAL_VEIN}
    for entry in _metadata(trained)["liverimg"]["passes"]:
        path = trained / entry["weights"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        assert {w.dtype for w in load_file(path).values()} == {torch.float16}


def test_it_says_how_it_came_about_and_how_it_did(trained: Path) -> None:
    metadata = _metadata(trained)
    assert metadata["liverimg"]["contract"] == 2
    assert metadata["liverimg"]["evaluated"] is True
    assert metadata["liverimg"]["trained"]["steps"] == {"coarse": 3, "fine": 4}
    assert metadata["eval_metrics"]["validation"]["cases"] >= 1
    for entry in metadata["liverimg"]["passes"]:
        assert entry["surface_error_mm"]["liver"] > 0
    card = (trained / "docs" / "README.md").read_text()
    assert "Scores on the validation cases" in card
    assert "not a medical device" in card
    assert "does not know its terms" in (trained / "docs" / "data_license.txt").read_text()


def test_no_case_is_named_in_the_model_and_no_image_is_kept_in_it(trained: Path) -> None:
    files = [p for p in trained.rglob("*") if p.is_file()]
    text = "".join(p.read_text() for p in files if p.suffix in (".json", ".md", ".txt"))
    assert not [case for case in CASES if case in text]
    assert {p.suffix for p in files} == {".json", ".md", ".txt", ".safetensors"}


def test_the_split_keeps_the_patient_together_and_is_written(trained: Path) -> None:
    split = json.loads((trained.parent / "toy_model.work" / "split.json").read_text())
    assert sorted(split["train"] + split["val"]) == sorted(CASES)
    assert len({c.split("_")[0] for c in split["train"]} & {c.split("_")[0] for c in split["val"]}) == 0


def test_the_same_request_gives_the_same_weights_and_a_stop_changes_nothing(
    toys: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "toy_model"
    with pytest.raises(KeyboardInterrupt):
        retrain(_request(toys, out), Silent(stop_at=("fine", 3)))
    assert not out.exists()
    again = Silent()
    retrain(_request(toys, out), again)
    assert again.steps.get("coarse", 0) == 0
    assert again.steps["fine"] == 2  # step 3 was not saved when the stop came
    for name in ("coarse", "fine"):
        one, other = (load_file(b / "models" / f"{name}.safetensors") for b in (trained, out))
        assert all(torch.equal(one[n], other[n]) for n in one)


def test_going_on_keeps_what_is_not_trained_and_says_what_was_not_taught(
    trained: Path, toys: Path, tmp_path: Path
) -> None:
    write_msd(tmp_path / "data", CASES)
    out = tmp_path / "further"
    request = _request(toys, out, data=tmp_path / "data", start=trained, fresh=False, passes=("fine",), steps=2)
    scores = retrain(request, Silent())
    assert (out / "models" / "coarse.safetensors").read_bytes() == (
        trained / "models" / "coarse.safetensors"
    ).read_bytes()
    before, after = (load_file(b / "models" / "fine.safetensors") for b in (trained, out))
    assert any(not torch.equal(before[n], after[n]) for n in before)
    unproven = open_bundle(out, device="cpu").unproven
    assert "has a label of it" in unproven[Structure.PORTAL_VEIN]
    assert "has a label of it" not in unproven.get(Structure.TUMOUR, "")
    assert Structure.LIVER not in unproven
    assert scores is not None
    # In this data set the vein lies inside of the liver's label: only the liver with its contents is comparable.
    assert "liver" not in scores["structures"]
    assert scores["liver_with_contents_dice"] is not None
    assert "begun from toy_model" in (out / "docs" / "README.md").read_text()


def test_a_model_of_several_phases_learns_from_several_channels(toys: Path, tmp_path: Path) -> None:
    write_nnunet(tmp_path / "data", CASES, channels=2)
    out = tmp_path / "phases"
    retrain(_request(toys, out, data=tmp_path / "data", steps=1), Silent())
    bundle = open_bundle(out, device="cpu")
    assert [p.inputs for p in bundle.passes] == [("reference",), ("reference", "arterial")]


def test_without_validation_it_is_not_evaluated_and_refused_until_it_is(
    toys: Path, tmp_path: Path, liverimg: Callable[..., Any]
) -> None:
    (tmp_path / "settings.toml").write_text(SETTINGS.replace("validation_share = 0.3", "validation_share = 0.0"))
    watcher = Silent()
    out = tmp_path / "blind"
    assert retrain(_request(toys, out, settings=tmp_path / "settings.toml", steps=1), watcher) is None
    assert "evaluate" in watcher.notes[-1]
    with pytest.raises(ModelRefusedError, match=r"has not been evaluated.*--record"):
        open_bundle(out, device="cpu")
    assert "Not evaluated yet" in (out / "docs" / "README.md").read_text()
    scored = ("evaluate", out, "--out", tmp_path / "s.json", "--device", "cpu", "--record", "--data")
    said = liverimg(*scored, toys / "data")
    assert (said.code, "every case was learned from" in said.err) == (3, True)
    fresh = write_nnunet(tmp_path / "fresh", ("new",))
    shifted = Volume((toy_case(7)[0]).astype(np.int16), grid(), Quantity.HU)
    nifti.write_volume(fresh / "imagesTr" / "new_0000.nii.gz", shifted)
    assert liverimg(*scored, fresh).code == 0
    assert open_bundle(out, device="cpu").surface_error_mm[Structure.LIVER] > 0


def test_the_command_trains(toys: Path, tmp_path: Path, liverimg: Callable[..., Any]) -> None:
    out = tmp_path / "made"
    options = ("--from", toys / "template", "--fresh", "--settings", toys / "settings.toml", "--device", "cpu")
    said = liverimg("train", "--data", toys / "data", "--out", out, *options, "--workers", 0, "--steps", 1)
    assert said.code == 0, said.err
    assert f"model: {out}" in said.out.replace("\n", "")
    assert open_bundle(out, device="cpu").name == "made"
    assert liverimg("train", "--data", toys / "data", "--out", out, "--pass", "middle").code == 2


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"passes": ("fine",)}, UsageError, "needs a coarse one"),
        ({"start": None}, UsageError, "--from"),
        ({"steps": 0}, UsageError, "above 0"),
        ({"minutes": -1.0}, UsageError, "above 0"),
        ({"synthetic_share": 1.0}, UsageError, "--synthetic-share"),
        ({"device": "abacus"}, UsageError, "abacus"),
        ({"data": Path("nowhere")}, InputRefusedError, r"no dataset\.json"),
        ({"start": Path("nowhere")}, ModelRefusedError, "metadata.json is missing"),
        ({"split": Path("nowhere.json")}, LiverimgError, "does not exist"),
    ],
)
def test_a_wrong_request_is_refused(
    toys: Path, tmp_path: Path, changes: dict[str, Any], error: type[LiverimgError], words: str
) -> None:
    with pytest.raises(error, match=words):
        retrain(_request(toys, tmp_path / "out", **changes), Silent())
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_overwritten(toys: Path, trained: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        retrain(_request(toys, trained), Silent())


def test_another_run_is_not_continued(toys: Path, trained: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(trained.parent / "toy_model.work", work)
    with pytest.raises(UsageError, match=r"another run.*seed"):
        retrain(_request(toys, tmp_path / "out", work=work, seed=5), Silent())


def test_patients_images_are_not_put_into_a_repository(toys: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(UsageError, match=r"Git checkout.*--work"):
        retrain(_request(toys, tmp_path / "models" / "mine"), Silent())


def test_labels_that_a_new_model_could_not_tell_apart_are_refused(toys: Path, tmp_path: Path) -> None:
    write_nnunet(tmp_path / "a", CASES, labels={"background": 0, "liver": 1, "tumour": 2, "vessels": 3})
    with pytest.raises(InputRefusedError, match="does not tell hepatic_vein and portal_vein apart"):
        retrain(_request(toys, tmp_path / "out", data=tmp_path / "a"), Silent())
    write_nnunet(tmp_path / "b", CASES, labels={"background": 0, "spleen": 1, "tumour": 2, "portal_vein": 3})
    with pytest.raises(InputRefusedError, match="no whole label of the liver"):
        retrain(_request(toys, tmp_path / "out", data=tmp_path / "b"), Silent())


def test_a_ct_without_hounsfield_units_is_refused(toys: Path, tmp_path: Path) -> None:
    write_nnunet(tmp_path / "data", CASES)
    for path in (tmp_path / "data" / "imagesTr").iterdir():
        volume = nifti.read_volume(path, Quantity.HU)
        nifti.write_volume(path, Volume((volume.array + 1024).astype(np.int16), volume.grid, Quantity.HU))
    with pytest.raises(InputRefusedError, match="Hounsfield"):
        retrain(_request(toys, tmp_path / "out", data=tmp_path / "data"), Silent())


def _prepared(folder: Path, cache: Path, *, channels: int = 1, around_mm: float | None = None) -> list[Prepared]:
    dataset = read_dataset(write_nnunet(folder, CASES[:2], channels=channels), NAMES)
    inputs = ("reference", "arterial", "delayed")
    preparation = Preparation(SPACING_MM, Intensity("window", -150, 250), inputs, around_mm)
    return prepare(dataset, dataset.sources, preparation, cache, liver_median_hu=HU_RANGE, progress=lambda _: None)


def test_prepared_cases_are_what_the_network_will_see(tmp_path: Path) -> None:
    case = _prepared(tmp_path / "data", tmp_path / "cache", channels=2)[0]
    hu, values = toy_case(0)
    assert case.there == (0, 1)
    seen = np.clip(to_network_values(case.image), -1, 1)
    assert np.allclose(seen[0], to_network(hu, Intensity("window", -150, 250)), atol=1e-3)
    assert np.array_equal(case.values, values)
    assert all((values[tuple(places.T)] == value).all() for value, places in case.places.items())
    assert not list((tmp_path / "cache").rglob("*.pkl"))


def test_prepared_cases_are_cut_around_the_liver_and_found_again(tmp_path: Path) -> None:
    first = _prepared(tmp_path / "data", tmp_path / "cache", around_mm=8.0)[0]
    assert first.shape < (32, 32, 32)
    assert (first.values == 1).sum() == (toy_case(0)[1] == 1).sum()
    made = sorted(p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.npy"))
    _prepared(tmp_path / "data", tmp_path / "cache", around_mm=8.0)
    assert sorted(p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.npy")) == made
    next((tmp_path / "cache").rglob("image.npy")).write_bytes(b"broken")
    with pytest.raises(InputRefusedError, match="damaged"):
        _prepared(tmp_path / "data", tmp_path / "cache", around_mm=8.0)


def _examples(tmp_path: Path, **how: float) -> RealExamples:
    cases = _prepared(tmp_path / "data", tmp_path / "cache", channels=2)
    dataset = read_dataset(tmp_path / "data", NAMES)
    channels = {1: Structure.LIVER, 2: Structure.TUMOUR, 3: Structure.PORTAL_VEIN}
    targets = targets_for(dataset.labels, dataset.complete, channels, NAMES)
    return RealExamples(cases, targets, (1,), (16, 16, 16), SPACING_MM, 3, Augmentation(**how), seed=3)


def test_an_example_is_its_number_and_no_two_are_alike(tmp_path: Path) -> None:
    examples = _examples(tmp_path)
    (image, labels), (same, same_labels), (other, _) = (examples.tensors(n) for n in (5, 5, 6))
    assert torch.equal(image, same)
    assert torch.equal(labels, same_labels)
    assert not torch.equal(image, other)
    assert image.shape == (3, 16, 16, 16)
    assert float(image.abs().max()) <= 1
    assert float(image[2].max()) == -1  # there is no delayed phase
    streamed = list(NumberedStream(examples, start=4, stop=7))
    assert torch.equal(streamed[1][0], image)


def test_without_strength_an_example_is_cut_out_as_it_is(tmp_path: Path) -> None:
    none = dict.fromkeys(Augmentation.__dataclass_fields__, 0.0)
    examples = _examples(tmp_path, **none | {"coarsest": 1.0, "balanced_share": 1.0})
    image, labels = examples.tensors(0)
    inside = labels != IGNORED
    hu = {0: 20.0, 1: 110.0, 2: 55.0, 3: 190.0}
    for channel in (1, 2):
        where = (labels == channel) & inside
        if where.any():
            expected = (hu[channel] + 150) / 200 - 1
            assert float(image[0][where].median()) == pytest.approx(expected, abs=0.05)
    assert float(image[0][~inside].max() if (~inside).any() else -1) == -1


def test_a_phase_is_withheld_now_and_then_and_the_reference_never(tmp_path: Path) -> None:
    examples = _examples(tmp_path, missing_share=0.5)
    images = [examples.tensors(n)[0] for n in range(24)]
    without = sum(bool((i[1] == -1).all()) for i in images)
    assert 4 < without < 20
    assert not any(bool((i[0] == -1).all()) for i in images)


def test_made_images_teach_what_the_data_do_not_label(toys: Path, tmp_path: Path, toy_map: np.ndarray) -> None:
    for name in ("coarse", "fine"):
        (tmp_path / "maps" / name).mkdir(parents=True)
        np.savez_compressed(tmp_path / "maps" / name / "train-toy.npz", tissue=toy_map)
    out = tmp_path / "mixed"
    request = _request(toys, out, synthetic=tmp_path / "maps", synthetic_share=0.5)
    retrain(request, Silent())
    bundle = open_bundle(out, device="cpu")
    # The data have no spleen and no hepatic veins; the made images have.
    assert Structure.SPLEEN in bundle.passes[0].channels.values()
    assert Structure.HEPATIC_VEIN in bundle.passes[1].channels.values()
    assert {Structure.SPLEEN, Structure.HEPATIC_VEIN} <= bundle.unproven.keys()
    with pytest.raises(UsageError, match="no training maps"):
        retrain(replace(request, out=tmp_path / "none", synthetic=tmp_path), Silent())


class _Constant:
    def __init__(self, value: float) -> None:
        self._value = value

    def tensors(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full((1,), self._value), torch.zeros(1)


def test_made_images_are_mixed_in_by_number() -> None:
    mixed = MixedExamples(_Constant(0.0), _Constant(1.0), share=0.3, seed=1)
    drawn = [float(mixed.tensors(n)[0]) for n in range(400)]
    assert np.mean(drawn) == pytest.approx(0.3, abs=0.07)
    assert drawn == [float(mixed.tensors(n)[0]) for n in range(400)]
