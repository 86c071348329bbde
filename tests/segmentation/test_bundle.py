"""A model is opened when it keeps the contract, and refused by name when it does not."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from liverimg.core.errors import ModelRefusedError, UsageError
from liverimg.core.labels import Structure
from liverimg.core.volume import Quantity
from liverimg.files.tables import structure_styles
from liverimg.segmentation.bundle import open_bundle
from liverimg.segmentation.intensity import Intensity

Write = Callable[..., Path]


def test_a_bundle_that_keeps_the_contract_opens(small_bundle: Write) -> None:
    bundle = open_bundle(small_bundle(), device="cpu")
    assert bundle.values == {Structure.LIVER: 1, Structure.SPLEEN: 9}
    assert bundle.surface_error_mm[Structure.SPLEEN] == 5.0
    assert bundle.passes[0].channels == {1: Structure.LIVER, 2: Structure.SPLEEN}
    assert not bundle.passes[0].network.training


def _contract_2(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    metadata["liverimg"]["contract"] = 2
    entry = metadata["liverimg"]["passes"][0]
    del entry["window_hu"]
    entry |= {"inputs": ["reference"], "intensity": {"kind": "percentiles", "low": 0.5, "high": 99.5}}


def _calibrated(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    entry = metadata["liverimg"]["passes"][0]
    entry["calibration"] = {
        "sha256": entry["sha256"],
        "between": [0.1, 0.9],
        "factors": {"liver": 1.75},
        "temperature": 1.5,
    }


def test_contract_1_has_one_input_and_a_window(small_bundle: Write) -> None:
    bundle = open_bundle(small_bundle(), device="cpu")
    assert bundle.passes[0].inputs == ("reference",)
    assert bundle.passes[0].intensity == Intensity("window", -160, 260)
    assert bundle.passes[0].calibration is None
    assert bundle.phases == ()


def test_contract_2_says_what_goes_in_and_how_it_is_scaled(small_bundle: Write) -> None:
    bundle = open_bundle(small_bundle(_contract_2), device="cpu")
    assert bundle.passes[0].intensity == Intensity("percentiles", 0.5, 99.5)
    assert bundle.quantities == (Quantity.HU,)


def test_a_calibration_holds_for_the_weights_that_it_was_measured_on(small_bundle: Write) -> None:
    calibration = open_bundle(small_bundle(_calibrated), device="cpu").passes[0].calibration
    assert calibration is not None
    assert calibration.factors == {Structure.LIVER: 1.75}
    assert calibration.temperature == 1.5

    def stale(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
        _calibrated(metadata, inference)
        metadata["liverimg"]["passes"][0]["calibration"]["sha256"] = "0" * 64

    assert open_bundle(small_bundle(stale), device="cpu").passes[0].calibration is None


def _contract(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    metadata["liverimg"]["contract"] = 99


def _no_block(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    del metadata["liverimg"]


def _hash(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    metadata["liverimg"]["passes"][0]["sha256"] = "0" * 64


def _unknown_structure(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    metadata["liverimg"]["passes"][0]["channels"]["2"] = "antler"


def _gap(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    metadata["liverimg"]["passes"][0]["channels"] = {"0": "background", "1": "liver", "3": "spleen"}


def _no_value(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    del metadata["liverimg"]["labels"]["spleen"]


def _no_liver(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    metadata["liverimg"]["passes"][0]["channels"] = {"0": "background", "1": "spleen"}


def _expression(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    inference["coarse_network"]["width"] = "$__import__('os').system('true')"


def _foreign(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    inference["coarse_network"] = {"_target_": "os.system", "command": "true"}


def _other_network(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    inference["coarse_network"]["width"] = 5


def _two_inputs_for_one(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    _contract_2(metadata, inference)
    metadata["liverimg"]["passes"][0]["inputs"] = ["reference", "arterial"]


def _no_such_phase(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    metadata["liverimg"]["passes"][0]["inputs"] = ["reference", "evening"]


def _no_reference(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    metadata["liverimg"]["passes"][0]["inputs"] = ["arterial"]


def _no_such_intensity(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    metadata["liverimg"]["passes"][0]["intensity"] = {"kind": "taste", "low": 0, "high": 1}


def _foreign_modality(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    metadata["liverimg"]["modalities"] = ["PT"]


def _pickle_named(metadata: dict[str, Any], inference: dict[str, Any]) -> None:
    metadata["liverimg"]["passes"][0]["weights"] = "models/coarse.pt"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_contract, "contract 99"),
        (_no_block, "no 'liverimg' block"),
        (_hash, "SHA-256"),
        (_unknown_structure, "antler"),
        (_gap, "without gaps"),
        (_no_value, "spleen"),
        (_no_liver, "liver included"),
        (_expression, "expression"),
        (_foreign, "os.system"),
        (_other_network, "do not fit"),
        (_pickle_named, "not .safetensors"),
        (_two_inputs_for_one, "takes 1 images, its contract names 2"),
        (_no_such_phase, "evening"),
        (_no_reference, "expected reference first"),
        (_no_such_intensity, "taste"),
        (_foreign_modality, "PT"),
    ],
)
def test_a_bundle_with_another_contract_is_refused(
    small_bundle: Write, change: Callable[[dict[str, Any], dict[str, Any]], None], words: str
) -> None:
    with pytest.raises(ModelRefusedError, match=words):
        open_bundle(small_bundle(change), device="cpu")


def test_a_pickle_beside_the_weights_is_refused(small_bundle: Write) -> None:
    folder = small_bundle()
    torch.save({}, folder / "models" / "model.pt")
    with pytest.raises(ModelRefusedError, match=r"model\.pt"):
        open_bundle(folder, device="cpu")


def test_a_pickle_in_the_coat_of_a_safetensors_is_refused(small_bundle: Write) -> None:
    import hashlib

    folder = small_bundle()
    weights = folder / "models" / "coarse.safetensors"
    torch.save({}, weights)
    path = folder / "configs" / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["liverimg"]["passes"][0]["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    path.write_text(json.dumps(metadata))
    with pytest.raises(ModelRefusedError, match="do not fit"):
        open_bundle(folder, device="cpu")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError, match=r"metadata\.json is missing"):
        open_bundle(tmp_path, device="cpu")


def test_an_unknown_device_is_a_usage_error(small_bundle: Write) -> None:
    with pytest.raises(UsageError, match="abacus"):
        open_bundle(small_bundle(), device="abacus")


def test_the_shipped_model_opens_and_its_values_are_those_of_the_house(repository: Path) -> None:
    bundle = open_bundle(repository / "models" / "liver_ct", device="cpu")
    styles = structure_styles()
    assert {Structure.LIVER, Structure.GALLBLADDER, Structure.INFERIOR_VENA_CAVA} <= set(bundle.values)
    assert all(styles[s].value == value for s, value in bundle.values.items())
    drawn = {s for one in bundle.passes for s in one.channels.values()}
    assert drawn == set(bundle.values)
    assert set(bundle.surface_error_mm) == drawn


def test_the_shipped_configurations_are_readable_by_monai(repository: Path) -> None:
    configs = repository / "models" / "liver_ct" / "configs"
    parser = ConfigParser()
    parser.read_config(configs / "inference.json")
    parser.read_meta(configs / "metadata.json")
    assert isinstance(parser.get_parsed_content("coarse_network"), torch.nn.Module)
    image = parser["_meta_"]["network_data_format"]["inputs"]["image"]
    passes = parser["_meta_"]["liverimg"]["passes"]
    assert image["num_channels"] == max(len(p.get("inputs", ["reference"])) for p in passes)


def test_the_shipped_weights_are_small(repository: Path) -> None:
    sizes = [p.stat().st_size for p in (repository / "models" / "liver_ct" / "models").iterdir()]
    assert 0 < sum(sizes) < 40e6


def test_libraries_that_monai_goes_without_are_there_afterwards() -> None:
    from liverimg.segmentation import monai_parts

    assert monai_parts.Inferer.__module__ == "monai.inferers.inferer"
    assert all(sys.modules.get(name, name) is not None for name in ("pandas", "matplotlib", "itk", "scipy.signal"))
