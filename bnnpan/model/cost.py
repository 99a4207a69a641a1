"""What a network costs: parameters and operations, under the two conventions of the literature.

"Full" counts every weight and every multiply-accumulate once. "Packed" counts a binary weight as 1/32 and a
binary operation as 1/64 (BBCU, BiSRNet, BRVE). Operations are multiply-accumulates of convolutions and linear
layers; elementwise work (RPReLU, normalisation, wavelet, affines) is left out, as counters like fvcore and
thop leave it out. The truth encoder does not count: it is needed for training only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bnnpan.model import make_network
from bnnpan.model.config import ModelConfig
from bnnpan.model.unit import SubBandUnit

__all__ = ["Cost", "NetworkCost", "cost_table", "network_cost"]

BINARY_WEIGHTS_PER_PARAMETER = 32
BINARY_OPERATIONS_PER_OPERATION = 64


@dataclass(frozen=True)
class Cost:
    """Parameters, and operations (multiply-accumulates) for one image, real and binary."""

    real_parameters: int = 0
    binary_parameters: int = 0
    real_operations: int = 0
    binary_operations: int = 0

    @property
    def full_parameters(self) -> int:
        """Every weight counted as one."""
        return self.real_parameters + self.binary_parameters

    @property
    def packed_parameters(self) -> float:
        """A binary weight counted as 1/32."""
        return self.real_parameters + self.binary_parameters / BINARY_WEIGHTS_PER_PARAMETER

    @property
    def full_operations(self) -> int:
        """Every multiply-accumulate counted as one."""
        return self.real_operations + self.binary_operations

    @property
    def packed_operations(self) -> float:
        """A binary operation counted as 1/64."""
        return self.real_operations + self.binary_operations / BINARY_OPERATIONS_PER_OPERATION


@dataclass(frozen=True)
class NetworkCost:
    """Cost of fusing, paid for every pixel, and of predicting the prior, paid once per scene in flight."""

    fusion: Cost
    prior: Cost


def network_cost(config: ModelConfig, height: int = 256, width: int = 256) -> NetworkCost:
    """Cost for one image of `height` by `width` PAN pixels, both even.

    Operations of the prior are those of encoding the whole image, as in training; without LDPC it is not
    needed and costs nothing.
    """
    with torch.device("meta"):  # shapes only, no arithmetic
        model = make_network(config).eval()
        pan, lms = torch.empty(1, 1, height, width), torch.empty(1, config.bands, height, width)
        prior = model.predicted_prior(pan, lms)
    units = [module for module in model.modules() if isinstance(module, SubBandUnit)]
    binary_parameters = sum(weight.numel() for unit in units for weight in unit.binary_weights())
    # A weight of a 3x3 convolution is used once per pixel of its sub-band.
    binary_operations = binary_parameters * height * width // (4 if config.wavelet else 1)
    fusion = Cost(
        _parameters(*model.backbone) - binary_parameters,
        binary_parameters,
        _operations(lambda: model(pan, lms, prior)) - binary_operations,
        binary_operations,
    )
    if not config.ldpc:
        return NetworkCost(fusion, Cost())
    predictor = Cost(
        _parameters(*model.predictor),
        real_operations=_operations(lambda: model.predicted_prior(pan, lms)),
    )
    return NetworkCost(fusion, predictor)


def cost_table(networks: Mapping[str, ModelConfig], height: int = 256, width: int = 256) -> str:
    """A table in Markdown, one line per network: thousands of parameters, billions of operations."""
    lines = [
        f"| {height} x {width} | params (K) | binary/32 | OPs (G) | binary/64 | prior params (K) | OPs (G) |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, config in networks.items():
        cost = network_cost(config, height, width)
        fusion, prior = cost.fusion, cost.prior
        parameters = [fusion.full_parameters, fusion.packed_parameters]
        operations = [fusion.full_operations, fusion.packed_operations]
        cells = [f"{count / 1e3:.1f}" for count in parameters] + [
            f"{count / 1e9:.3f}" for count in operations
        ]
        cells += [f"{prior.full_parameters / 1e3:.1f}", f"{prior.full_operations / 1e9:.3f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _parameters(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@torch.no_grad()
def _operations(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops()) // 2  # it counts a multiply-accumulate as two
