"""Networks with random parameters everywhere: for fixtures, benchmarks and dry runs of an export."""

from __future__ import annotations

from typing import cast

import torch

from bnnpan.model import BNNPan, ModelConfig
from bnnpan.model.nbc import SubBandNBC
from bnnpan.model.pibf import PIBF

__all__ = ["random_network"]


def random_network(config: ModelConfig, seed: int = 0) -> BNNPan:
    """A network in which no parameter is trivially 0 or 1, so that every term of it is exercised.

    Same seed, same network. The tail is small: the result stays near LMS, like that of a trained network.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = BNNPan(config).eval()
        for parameter in model.tail.parameters():
            parameter.normal_(0, 0.005)
        for block in model.blocks:
            block = cast(PIBF, block)
            unit = cast(SubBandNBC, block.nbc)
            for parameter in (unit.shift, unit.gamma, unit.zeta, unit.phi, unit.eta):
                parameter.normal_(0, 0.1)
            unit.beta.normal_(0.25, 0.1)
            unit.lambda_.mul_(torch.empty_like(unit.lambda_).normal_(0, 0.1).exp_())
            # An untrained chain leaves a prior of tens; the affines shall lie around identity.
            block.ldpc.weight.mul_(0.03)
    return model.requires_grad_(False)
