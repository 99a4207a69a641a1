"""Small full-precision networks of others, to compare with: PNN and FusionNet.

Layers and widths are those of the papers and of DLPan-Toolbox's PyTorch code (Deng et al., IEEE GRSM
2022), and first weights are PyTorch's own as there. Data, loss, optimizer and length of training are the
experiment's; the toolbox minimises the mean squared error, of PNN by SGD in 12000 epochs, of FusionNet by
Adam at a rate of 3e-4 in 400.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn

from bnnpan.model.base import PanSharpener
from bnnpan.model.config import ModelConfig


class PlainNetwork(PanSharpener):
    """A network that is strictly local by nature: prior `(n, 0)` and affines `(0, 2, 0)` are empty."""

    @abstractmethod
    def sharpen(self, pan: torch.Tensor, lms: torch.Tensor) -> torch.Tensor:
        """Fused image."""

    @property
    def backbone(self) -> tuple[nn.Module, ...]:
        """Everything."""
        return tuple(self.children())

    @property
    def predictor(self) -> tuple[nn.Module, ...]:
        """Nothing."""
        return ()

    def forward(self, pan: torch.Tensor, lms: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Fuse; the prior says nothing."""
        return self.sharpen(pan, lms)

    def true_prior(self, truth: torch.Tensor, pooled: bool = False) -> torch.Tensor:
        """No prior."""
        return truth.new_empty(1 if pooled else len(truth), 0)

    def predicted_prior(self, pan: torch.Tensor, lms: torch.Tensor, pooled: bool = False) -> torch.Tensor:
        """No prior."""
        return self.true_prior(lms, pooled)

    def calibrate(
        self, pan: torch.Tensor, lms: torch.Tensor, prior: torch.Tensor | None = None
    ) -> torch.Tensor:
        """No affines."""
        return lms.new_empty(0, 2, 0)

    def fuse(self, pan: torch.Tensor, lms: torch.Tensor, affines: torch.Tensor) -> torch.Tensor:
        """Fuse, as in training."""
        return self.sharpen(pan, lms)


class PNN(PlainNetwork):
    """`SR = N(LMS, PAN)` (Masi et al., Remote Sensing 8(7):594, 2016): 9x9, 5x5 and 5x5 convolutions.

    Ours pads with zeros and so keeps the size; PNN convolves what is there and loses 8 pixels at each border.
    Its radiometric indices, which are optional and differ between sensors, are not fed, as in DLPan-Toolbox.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.layers = nn.Sequential(
            nn.Conv2d(config.bands + 1, 64, 9, padding=4),
            nn.ReLU(),
            nn.Conv2d(64, 32, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(32, config.bands, 5, padding=2),
        )

    def sharpen(self, pan: torch.Tensor, lms: torch.Tensor) -> torch.Tensor:
        """Fused image, all of it the network's own: LMS is not added."""
        return self.layers(torch.cat([lms, pan], dim=1))


class FusionNet(PlainNetwork):
    """`SR = N(PAN - LMS) + LMS` (Deng et al., IEEE TGRS 59(8):6995-7010, 2021): four residual blocks.

    PAN is repeated for each band. The difference is meant for images in DN (`units = "bit_depth"`); in scene
    units it is `(1 - r) d - m`, of the detail `d` the less, the better a band correlates with the PAN.
    """

    CHANNELS, BLOCKS = 32, 4

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.layers = nn.Sequential(
            nn.Conv2d(config.bands, self.CHANNELS, 3, padding=1),
            nn.ReLU(),
            *(_Residual(self.CHANNELS) for _ in range(self.BLOCKS)),
            nn.Conv2d(self.CHANNELS, config.bands, 3, padding=1),
        )

    def sharpen(self, pan: torch.Tensor, lms: torch.Tensor) -> torch.Tensor:
        """LMS and the details to inject."""
        return self.layers(pan - lms) + lms


class _Residual(nn.Module):
    """Two 3x3 convolutions with a ReLU between them, plus the input; no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.branch(x)
