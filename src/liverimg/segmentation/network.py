"""The network: MONAI's residual UNet with a wide last stage and a small head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets.unet import UNet


class WideUNet(torch.nn.Module):
    """MONAI's ``UNet`` whose full-resolution stage stays ``width`` channels wide, then a 1 x 1 x 1 head.

    With the classes as last channels the only full-resolution stage would be as narrow as they are few;
    small structures were not learned that way.
    """

    def __init__(
        self,
        *,
        out_channels: int,
        in_channels: int = 1,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        width: int = 16,
        num_res_units: int = 2,
    ) -> None:
        """Builds the network.

        Args:
            out_channels: Classes, background included.
            in_channels: Images that go in.
            channels: Width of each level, finest first; each level halves the resolution.
            width: Channels at full resolution, before the head.
            num_res_units: Convolutions per residual unit.
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

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Takes (n, in_channels, k, j, i) to logits (n, out_channels, k, j, i)."""
        logits: torch.Tensor = self.head(self.backbone(image))
        return logits
