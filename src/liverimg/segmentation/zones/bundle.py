"""Opening the bundle of a zone network: checked as every bundle is before anything of it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from liverimg.core.errors import InputRefusedError, ModelRefusedError
from liverimg.core.volume import Quantity
from liverimg.core.zone_view import ZoneView
from liverimg.segmentation.bundle import resolved_device
from liverimg.segmentation.unpack import built, load_weights, read_json, refuse_pickles
from liverimg.segmentation.zones.calibration import ErrorRow, doubt_mm, drawn_zone, error_of, rows_from
from liverimg.segmentation.zones.channels import CHANNELS, Scaling, channels_of

FloatArray = NDArray[np.float32]

CONTRACT: Final = "zones-1"
BLOCK: Final = "liverimg_zones"


@dataclass(frozen=True, eq=False)
class ZoneNetwork:
    """A network that draws the zone in a crop.

    Attributes:
        name: As the metadata says.
        version: As the metadata says.
        modalities: DICOM modalities that it was made for.
        caution: What every reader of a zone by it must know, one sentence.
        spacing_mm: Of the isotropic voxels that it is shown.
        least_voxels: Of a crop along each axis.
        multiple: Of which they are a multiple.
        threshold: Probability from which on a place belongs to the zone, chosen on its hold-out.
        scaling: How values become inputs.
        errors: How far its border lay from the true one on its hold-out.
        network: In evaluation mode, on the device.
        device: Where it runs.
    """

    name: str
    version: str
    modalities: tuple[str, ...]
    caution: str
    spacing_mm: float
    least_voxels: int
    multiple: int
    threshold: float
    scaling: Scaling
    errors: tuple[ErrorRow, ...]
    network: torch.nn.Module = field(repr=False)
    device: torch.device

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"

    def probability(self, view: ZoneView) -> FloatArray:
        """That each voxel of a crop belongs to the zone, shape ``view.grid.shape``.

        Raises:
            InputRefusedError: The images are of a modality that it was not made for.
        """
        modality = "CT" if view.quantity is Quantity.HU else "MR"
        if modality not in self.modalities:
            raise InputRefusedError(
                f"the study is {modality}, and the zone model {self.name} was made for "
                f"{' and '.join(self.modalities)}; draw the zones by rule"
            )
        inputs = torch.from_numpy(channels_of(view, self.scaling))[None].to(self.device)
        with torch.inference_mode():
            logits = self.network(inputs)
        found: FloatArray = torch.sigmoid(logits)[0, 0].float().cpu().numpy()
        return found

    def error_mm(self, view: ZoneView, probability: FloatArray) -> float:
        """Distance within which the border lies from the true one, as measured where it was as unsure as here.

        Args:
            view: The crop.
            probability: What it said of it.
        """
        zone = drawn_zone(view, probability, self.threshold)
        return error_of(self.errors, doubt_mm(view, probability, zone))


def open_zone_network(folder: Path, *, device: str = "auto") -> ZoneNetwork:
    """Opens the bundle of a zone network, or hands out the one that is open.

    Args:
        folder: The bundle's folder.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ModelRefusedError: Not evaluated, damaged, unsafe, or keeping another contract than ours.
        UsageError: The device does not exist here.
    """
    files = tuple((p.as_posix(), p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(folder.rglob("*.*")))
    return _opened(folder.resolve(), device, files)


@lru_cache(maxsize=1)
def _opened(folder: Path, device: str, _files: tuple[tuple[str, int, int], ...]) -> ZoneNetwork:
    metadata = read_json(folder / "configs" / "metadata.json")
    contract = metadata.get(BLOCK)
    if not isinstance(contract, dict) or contract.get("contract") != CONTRACT:
        raise ModelRefusedError(
            f"the model in {folder.name} is no zone model: configs/metadata.json has no block {BLOCK!r} of contract "
            f"{CONTRACT!r}; give the folder of one, such as models/zone_post"
        )
    refuse_pickles(folder)
    if not contract.get("calibration"):
        raise ModelRefusedError(
            f"the zone model in {folder.name} has not been evaluated, so nobody knows how far to trust its borders; do "
            "it with: python -m liverimg.training.zones.score"
        )
    if contract.get("inputs") != list(CHANNELS):
        raise ModelRefusedError(
            f"the zone model in {folder.name} wants the inputs {contract.get('inputs')}, expected {list(CHANNELS)}; "
            "use a model made for this version"
        )
    try:
        return _read(folder, metadata, contract, device)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelRefusedError(
            f"the block {BLOCK!r} of the model in {folder.name} is not as expected ({error!r}); compare it with "
            "models/zone_post/configs/metadata.json"
        ) from error


def _read(folder: Path, metadata: dict[str, Any], contract: dict[str, Any], device: str) -> ZoneNetwork:
    if contract["calibration"]["sha256"] != contract["sha256"]:
        raise ModelRefusedError(
            f"the zone model in {folder.name} was evaluated with other weights than it has; evaluate it again with: "
            "python -m liverimg.training.zones.score"
        )
    chosen = resolved_device(device)
    network = built(read_json(folder / "configs" / "inference.json"), "network", torch.nn.Module)
    load_weights(network, folder / str(contract["weights"]), str(contract["sha256"]))
    return ZoneNetwork(
        name=str(metadata["name"]),
        version=str(metadata["version"]),
        modalities=tuple(str(m) for m in contract["modalities"]),
        caution=str(contract["caution"]),
        spacing_mm=float(contract["spacing_mm"]),
        least_voxels=int(contract["least_voxels"]),
        multiple=int(contract["multiple"]),
        threshold=float(contract["calibration"]["threshold"]),
        scaling=Scaling(**{name: float(value) for name, value in contract["scaling"].items()}),
        errors=rows_from(contract["calibration"]["errors"]),
        network=network.to(chosen).eval(),
        device=chosen,
    )
