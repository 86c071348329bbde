"""The network: MONAI's residual UNet with a wide last stage, a look back at the image, and a small head."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from liverimg.segmentation.monai_parts import UNet

_DETAIL = 8
_SLOPE = 0.2


class WideUNet(torch.nn.Module):
    """MONAI's ``UNet`` whose full-resolution stage stays ``width`` channels wide, then a 1 x 1 x 1 head.

    With the classes as last channels the only full-resolution stage would be as narrow as they are few;
    small structures were not learned that way. And since MONAI's first level halves the resolution at once, nothing
    of the image itself reaches the last stage; with ``detail`` a few filters of it do, mixed in before the head.
    """

    def __init__(
        self,
        *,
        out_channels: int,
        in_channels: int = 1,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        width: int = 16,
        num_res_units: int = 2,
        detail: bool = False,
    ) -> None:
        """Builds the network.

        Args:
            out_channels: Classes, background included.
            in_channels: Images that go in.
            channels: Width of each level, finest first; each level halves the resolution.
            width: Channels at full resolution, before the head.
            num_res_units: Convolutions per residual unit.
            detail: Whether the first image, the reference, is seen once more at full resolution. The features begin
                by being handed on, so that the weights of a network without are a good start.
        """
        super().__init__()
        self.backbone = UNet(
            spatial_dims=3,
            in_channels=in_channels,
            out_channels=width,
            channels=tuple(channels),
            strides=(2,) * (len(channels) - 1),
            num_res_units=num_res_units,
        )
        self.head = torch.nn.Sequential(torch.nn.PReLU(), torch.nn.Conv3d(width, out_channels, 1))
        self.detail: torch.nn.Module | None = None
        self.mix: torch.nn.Module | None = None
        if detail:
            self.detail = torch.nn.Sequential(torch.nn.Conv3d(1, _DETAIL, 3, padding=1), torch.nn.LeakyReLU(_SLOPE))
            mixing = torch.nn.Conv3d(width + _DETAIL, width, 1)
            torch.nn.init.zeros_(mixing.weight)
            torch.nn.init.zeros_(mixing.bias)  # type: ignore[arg-type]
            mixing.weight.data[range(width), range(width)] = 1.0
            self.mix = torch.nn.Sequential(mixing, torch.nn.LeakyReLU(_SLOPE))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Takes (n, in_channels, k, j, i) to logits (n, out_channels, k, j, i)."""
        features = self.head[0](self.backbone(image))
        if self.detail is not None and self.mix is not None:
            features = self.mix(torch.cat([features, self.detail(image[:, :1])], dim=1))
        logits: torch.Tensor = self.head[1](features)
        return logits
