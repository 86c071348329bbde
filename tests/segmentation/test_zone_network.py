"""The zone network's inputs, its bundle, and what it states of its own error."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from liverimg.core.errors import InputRefusedError, ModelRefusedError
from liverimg.core.grid import Grid
from liverimg.core.study import Phase
from liverimg.core.volume import Quantity
from liverimg.core.zone_view import ZoneView
from liverimg.segmentation.unpack import built
from liverimg.segmentation.zones.bundle import BLOCK, open_zone_network
from liverimg.segmentation.zones.calibration import doubt_mm, drawn_zone
from liverimg.segmentation.zones.channels import CHANNELS, Scaling, channels_of

GRID = Grid.from_axes((32, 32, 32), spacing_mm=(1.5, 1.5, 1.5))
NETWORK = {
    "_target_": "monai.networks.nets.BasicUNet",
    "spatial_dims": 3,
    "in_channels": len(CHANNELS),
    "out_channels": 1,
    "features": [2, 2, 2, 2, 2, 2],
}
ERRORS = [
    {"doubt_below_mm": None, "error_mm": 4.0, "crops": 20},
    {"doubt_below_mm": 1.5, "error_mm": 1.0, "crops": 20},
]


def view(*phases: Phase, quantity: Quantity = Quantity.HU, value: float = 60.0) -> ZoneView:
    values = {phase: np.full(GRID.shape, value, dtype=np.float32) for phase in phases}
    place = np.full(GRID.shape, -30.0, dtype=np.float32)
    place[8, 8, 8] = 7.5
    liver = np.ones(GRID.shape, dtype=bool)
    return ZoneView(GRID, quantity, values, dict.fromkeys(phases, 110.0), liver, place)


def channel(inputs: np.ndarray, name: str) -> np.ndarray:
    return inputs[CHANNELS.index(name)]


def test_phases_are_held_against_the_liver_and_absent_ones_are_flagged() -> None:
    shown = view(Phase.PORTAL_VENOUS, Phase.EARLY_ARTERIAL)
    shown.values[Phase.PORTAL_VENOUS][0] = np.nan
    inputs = channels_of(shown, Scaling())
    assert channel(inputs, "portal")[5, 5, 5] == pytest.approx(-1.0), "50 HU below the liver"
    assert not channel(inputs, "portal")[0].any(), "where the phase does not reach"
    assert channel(inputs, "arterial")[5, 5, 5] == pytest.approx(-1.0), "an early one stands in for the late arterial"
    assert channel(inputs, "unenhanced").any() == channel(inputs, "unenhanced_present").any() == False  # noqa: E712
    assert channel(inputs, "portal_present").all() and channel(inputs, "ct").all()
    assert channel(inputs, "place")[8, 8, 8] == pytest.approx(0.5) and channel(inputs, "place")[0, 0, 0] == -1


def test_mr_is_a_share_of_the_livers_signal() -> None:
    inputs = channels_of(view(Phase.HEPATOBILIARY, quantity=Quantity.MR_SIGNAL, value=165.0), Scaling())
    assert channel(inputs, "late")[5, 5, 5] == pytest.approx(1.0) and not channel(inputs, "ct").any()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    (tmp_path / "configs").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "configs" / "inference.json").write_text(json.dumps({"network": NETWORK}))
    network = built({"network": NETWORK}, "network", torch.nn.Module)
    weights = tmp_path / "models" / "zone.safetensors"
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, weights)
    sha = hashlib.sha256(weights.read_bytes()).hexdigest()
    write(
        tmp_path,
        contract="zones-1",
        modalities=["CT"],
        caution="Made up.",
        weights="models/zone.safetensors",
        sha256=sha,
        spacing_mm=1.5,
        least_voxels=32,
        multiple=16,
        inputs=list(CHANNELS),
        scaling={"ct_hu": 50.0, "mr_share": 0.5, "low": -3.0, "high": 4.0, "place_mm": 15.0},
        calibration={"sha256": sha, "threshold": 0.45, "errors": ERRORS},
    )
    return tmp_path


def write(folder: Path, **contract: Any) -> None:
    path = folder / "configs" / "metadata.json"
    before = json.loads(path.read_text())[BLOCK] if path.exists() else {}
    path.write_text(json.dumps({"name": "toy", "version": "0.1", BLOCK: before | contract}))


def test_a_bundle_is_opened_and_draws(bundle: Path) -> None:
    network = open_zone_network(bundle, device="cpu")
    found = network.probability(view(Phase.PORTAL_VENOUS))
    assert network.title == "toy 0.1" and network.threshold == 0.45
    assert found.shape == GRID.shape and ((found > 0) & (found < 1)).all()
    with pytest.raises(InputRefusedError, match="made for CT"):
        network.probability(view(Phase.PORTAL_VENOUS, quantity=Quantity.MR_SIGNAL))


def test_the_stated_error_follows_from_the_doubt_around_the_zone(bundle: Path) -> None:
    network = open_zone_network(bundle, device="cpu")
    shown = view(Phase.PORTAL_VENOUS)
    places = GRID.index_to_lps_mm(np.stack(np.indices(GRID.shape), axis=-1)) - GRID.index_to_lps_mm((8, 8, 8))
    away = np.linalg.norm(places, axis=-1) - 9.0

    def blurred(width_mm: float) -> np.ndarray:
        return np.clip(0.5 - away / width_mm, 0, 1).astype(np.float32)

    zone = drawn_zone(shown, blurred(4.0), 0.5)
    assert doubt_mm(shown, blurred(4.0), zone) == pytest.approx(0.8 * 4.0 / 2, abs=0.3)
    assert network.error_mm(shown, blurred(2.0)) == 1.0 and network.error_mm(shown, blurred(12.0)) == 4.0
    assert network.error_mm(shown, np.zeros(GRID.shape, dtype=np.float32)) == 4.0, "nothing drawn, nothing known"


def test_what_lies_away_from_every_place_is_no_zone() -> None:
    shown = view(Phase.PORTAL_VENOUS)
    said = np.zeros(GRID.shape, dtype=np.float32)
    said[7:10, 7:10, 7:10] = said[25:30, 25:30, 25:30] = 1.0
    zone = drawn_zone(shown, said, 0.5)
    assert np.count_nonzero(zone) == 27 and zone[8, 8, 8]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"contract": "zones-9"}, "no zone model"),
        ({"calibration": None}, "has not been evaluated"),
        ({"calibration": {"sha256": "0" * 64, "threshold": 0.5, "errors": ERRORS}}, "other weights than it has"),
        ({"inputs": ["portal"]}, "wants the inputs"),
        ({"sha256": "0" * 64, "calibration": {"sha256": "0" * 64, "threshold": 0.5, "errors": ERRORS}}, "SHA-256"),
        ({"spacing_mm": "wide"}, "not as expected"),
    ],
)
def test_what_keeps_another_contract_is_refused(bundle: Path, change: dict[str, Any], says: str) -> None:
    write(bundle, **change)
    with pytest.raises(ModelRefusedError, match=says):
        open_zone_network(bundle, device="cpu")
