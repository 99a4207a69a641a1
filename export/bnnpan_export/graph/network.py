"""A network as a chain of layers, how it runs, and where it can be looked into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch

from bnnpan.model.wavelet import SUB_BANDS, haar
from bnnpan_export.graph.cost import Cost
from bnnpan_export.graph.layers import (
    Convolution,
    Layer,
    SceneAffine,
    SceneState,
    SceneStatistics,
    Skip,
    SubBandAffine,
    Units,
)
from bnnpan_export.graph.unit import FLOAT_BITS, Unit
from bnnpan_export.weight_bits import Array
from bnnpan_runtime.contract import NetworkShape

__all__ = ["Network", "Taps", "tap_names"]

Taps = dict[str, torch.Tensor]
"""Values inside a network by name: `tap_names`."""


def tap_names(blocks: int) -> list[str]:
    """In order of computation: "head", "block 1 LL" to "block N HH", "tail", the detail without LMS."""
    inner = [f"block {block + 1} {sub_band}" for block in range(blocks) for sub_band in SUB_BANDS]
    return ["head", *inner, "tail"]


@dataclass(frozen=True)
class Network:
    """`SR = layers(LMS, PAN) + LMS`, and the tensors that are used once per scene.

    `prior` holds the condition encoder, the denoiser and its constants; `calibration` what the layers no
    longer hold once statistics are frozen. Names as in `weights_layout`.
    """

    shape: NetworkShape
    layers: tuple[Layer, ...]
    prior: Mapping[str, Array]
    calibration: Mapping[str, Array]

    @torch.no_grad()
    def run(
        self, pan: torch.Tensor, lms: torch.Tensor, scene: SceneState, taps: Taps | None = None
    ) -> torch.Tensor:
        """HRMS like LMS `(n, bands, h, w)` of PAN `(n, 1, h, w)`, network units, in the inputs' float type.

        With `taps`, values on the way are put into it.
        """
        x = torch.cat([lms, pan], dim=1)
        for layer in self.layers:
            x = layer.run(x, scene)
            if taps is not None:
                taps |= _taps_after(layer, x)
        return x + lms

    def cost(self) -> Cost:
        """Of one PAN pixel, and of all parameters."""
        stored = sum(t.size for tensors in (self.prior, self.calibration) for t in tensors.values())
        return sum((layer.cost() for layer in self.layers), Cost(float_bits=FLOAT_BITS * stored))

    def with_units(self, change: Callable[[Unit], Unit]) -> Network:
        """The same network with every unit changed, those inside a skip too."""
        return replace(self, layers=tuple(_with_units(layer, change) for layer in self.layers))

    @property
    def units(self) -> list[Unit]:
        """Of all blocks in order."""
        found = []
        for layer in self.layers:
            inner = layer.layers if isinstance(layer, Skip) else (layer,)
            found += [part.unit for part in inner if isinstance(part, Units)]
        return found


def _with_units(layer: Layer, change: Callable[[Unit], Unit]) -> Layer:
    if isinstance(layer, Units):
        return Units(change(layer.unit))
    if isinstance(layer, Skip):
        return replace(layer, layers=tuple(_with_units(inner, change) for inner in layer.layers))
    return layer


def _taps_after(layer: Layer, x: torch.Tensor) -> Taps:
    """A block ends with its affine; features are seen in the wavelet domain in every stage."""
    if isinstance(layer, Convolution):
        return {layer.name: x}
    if isinstance(layer, SceneStatistics | SceneAffine | SubBandAffine):
        sub_bands = x if isinstance(layer, SubBandAffine) else haar(x)
        names = (f"block {layer.block + 1} {sub_band}" for sub_band in SUB_BANDS)
        return dict(zip(names, sub_bands.unbind(1), strict=True))
    return {}
