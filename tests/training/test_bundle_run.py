"""MONAI's own runner trains and scores a bundle through its configuration."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.toy_data import write_nnunet, write_template

from liverimg.core.labels import Structure
from liverimg.files import records
from liverimg.segmentation.bundle import open_bundle
from liverimg.training.data.layouts import read_dataset
from liverimg.training.data.names import NameTable
from liverimg.training.learning.fit_state import save_weights
from liverimg.training.learning.passes import network_for
from liverimg.training.retraining.new_bundle import Made, assemble
from liverimg.training.retraining.plan import plan_pass, read_template

SETTINGS = """
[fit]
steps = { coarse = 1, fine = 1 }
minutes_share = { coarse = 1, fine = 1 }
learning_rate = 1e-3
batch = 1
[split]
validation_share = 0.3
[augment]
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set and a model with weights from chance."""
    torch.manual_seed(2)  # some networks from chance draw no liver at all, and are then refused as unscored
    folder = tmp_path_factory.mktemp("toy")
    names = NameTable.built_in()
    dataset = read_dataset(write_nnunet(folder / "data", ("a", "b", "c")), names)
    template = read_template(write_template(folder / "template"), weights_used=False)
    plans = [plan_pass(name, template, dataset, names, synthetic=False) for name in ("coarse", "fine")]
    (folder / "weights").mkdir()
    for plan in plans:
        save_weights(network_for(plan.training).state_dict(), folder / "weights" / f"{plan.training.name}.safetensors")
    made = Made("toy", {"coarse": 0, "fine": 0}, {"coarse": 0.0, "fine": 0.0}, 1, 0.0, ())
    assemble(folder / "model", template, plans, folder / "weights", dataset, made)
    (folder / "settings.toml").write_text(SETTINGS)
    return folder


def _run(repository: Path, which: str, **options: object) -> None:
    bundle = pytest.importorskip("monai.bundle")
    config = repository / "models" / "liver_ct" / "configs" / f"{which}.json"
    bundle.run(config_file=str(config), device="cpu", **options)


def test_training_through_monai(repository: Path, toy: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    _run(
        repository,
        "train",
        bundle_root=str(toy / "model"),
        data=str(toy / "data"),
        out=str(out),
        minutes="null",
        workers=0,
        settings=str(toy / "settings.toml"),
    )
    assert Structure.LIVER in open_bundle(out, device="cpu").values
    assert json.loads((out / "configs" / "train.json").read_text())["bundle_root"] == "."


def test_training_on_made_images_through_monai(
    repository: Path, toy: Path, tmp_path: Path, toy_map: np.ndarray
) -> None:
    (tmp_path / "maps").mkdir()
    np.savez_compressed(tmp_path / "maps" / "train-toy.npz", tissue=toy_map)
    _run(
        repository,
        "train",
        bundle_root=str(toy / "model"),
        maps=str(tmp_path / "maps"),
        out=str(tmp_path / "run"),
        pass_name="coarse",
        steps=1,
        workers=0,
    )
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"coarse.checkpoint", "coarse.safetensors"}


def test_scoring_through_monai(repository: Path, toy: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.json"
    _run(repository, "evaluate", bundle_root=str(toy / "model"), data=str(toy / "data"), cases=1, out=str(out))
    record = records.load(out)
    records.check(record, "scores", out.name)
    assert record["models"][0]["summary"]["cases"] == 1


@pytest.mark.parametrize(
    ("which", "options", "code", "words"),
    [
        ("train", {"maps": "nowhere"}, 2, "nothing to learn from"),
        ("train", {"data": "nowhere"}, 3, "no dataset.json"),
        ("evaluate", {"data": "x", "cases": "many"}, 2, "expected a number"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    repository: Path,
    toy: Path,
    capsys: pytest.CaptureFixture[str],
    which: str,
    options: dict[str, object],
    code: int,
    words: str,
) -> None:
    with pytest.raises(SystemExit) as left:
        _run(repository, which, bundle_root=str(toy / "model"), out="never", **options)
    assert left.value.code == code
    assert words in capsys.readouterr().err
