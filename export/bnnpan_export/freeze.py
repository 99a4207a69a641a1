"""Freeze a trained network into named arrays: packed weight signs and plain float tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from bnnpan.model import BNNPan, ModelConfig, PanSharpener
from bnnpan.model.nbc import SubBandNBC
from bnnpan.model.pibf import PIBF
from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.errors import ConfigError
from bnnpan_runtime.weights import packed_bytes

__all__ = ["FrozenNetwork", "freeze", "model_config", "network_shape", "pack_signs", "unpack_signs"]

Array = NDArray[Any]


@dataclass(frozen=True)
class FrozenNetwork:
    """What flies: sizes and tensors, names and shapes as in `bnnpan_runtime.weights.weights_layout`.

    `trunk.bits` is uint8, everything else has the float type of the model it was frozen from.
    """

    shape: NetworkShape
    tensors: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.tensors[name]


def network_shape(config: ModelConfig) -> NetworkShape:
    """What of a configuration the frozen network depends on."""
    return NetworkShape(**{field.name: getattr(config, field.name) for field in fields(NetworkShape)})


def model_config(shape: NetworkShape) -> ModelConfig:
    """A configuration that freezes to this shape."""
    return ModelConfig(**vars(shape))


def freeze(model: PanSharpener) -> FrozenNetwork:
    """Frozen form of `model`: weights become signs and a scale, `lambda` its inverse; nothing else changes.

    The truth encoder stays behind: it is needed for training only. Raises `ConfigError` for a network made to
    compare with, which no exported form knows.
    """
    if model.config.grounded_by:
        raise ConfigError(
            f"a network with {', '.join(model.config.grounded_by)} cannot be exported: it is there to compare"
            " with, and nothing that flies runs it; export one trained without these settings"
        )
    shape = network_shape(model.config)
    state = {name: value.detach().cpu().numpy() for name, value in model.state_dict().items()}
    tensors = {
        **{name: state[name] for name in ("head.weight", "head.bias", "tail.weight", "tail.bias")},
        **_trunk(cast(BNNPan, model)),
        **_stacked(state, shape.blocks, "ldpc"),
        **_stacked(state, shape.blocks, "cdc"),
        **{name: state[source] for name, source in _PRIOR_TENSORS.items()},
    }
    copies = {name: np.array(value, order="C") for name, value in tensors.items()}
    return FrozenNetwork(shape, copies)


_PRIOR_TENSORS = {
    **{
        f"encoder.{layer}.{kind}": f"condition_encoder.{layer}.{kind}"
        for layer in ("conv", "hidden", "out")
        for kind in ("weight", "bias")
    },
    **{
        f"denoiser.{layer}.{kind}": f"diffusion.denoiser.{layer}.{kind}"
        for layer in ("hidden", "out")
        for kind in ("weight", "bias")
    },
    "diffusion.latent_gain": "diffusion.latent_gain",
    "diffusion.estimate_gain": "diffusion.estimate_gain",
    "diffusion.latent_start": "latent_start",
}


def pack_signs(weight: Array) -> NDArray[np.uint8]:
    """Signs of `(..., output, input, ky, kx)` as bits, `(..., output, ky, kx, packed_bytes(input))` uint8.

    Input channel i is bit i % 8 of byte i // 8 (little-endian words). A set bit is a negative weight, zero
    counts as positive; unused high bits are 0.
    """
    negative = np.moveaxis(weight < 0, -3, -1)
    padding = 8 * packed_bytes(negative.shape[-1]) - negative.shape[-1]
    widths = [(0, 0)] * (negative.ndim - 1) + [(0, padding)]
    return np.packbits(np.pad(negative, widths), axis=-1, bitorder="little")


def unpack_signs(bits: NDArray[np.uint8], channels: int) -> NDArray[np.float32]:
    """Inverse of `pack_signs`: -1 and +1, `(..., output, channels, ky, kx)` float32."""
    negative = np.unpackbits(bits, axis=-1, count=channels, bitorder="little")
    return np.moveaxis(1 - 2 * negative.astype(np.float32), -1, -3)


def _stacked(state: Mapping[str, Array], blocks: int, layer: str) -> dict[str, Array]:
    return {
        f"{layer}.{kind}": np.stack([state[f"blocks.{block}.{layer}.{kind}"] for block in range(blocks)])
        for kind in ("weight", "bias")
    }


def _trunk(model: BNNPan) -> dict[str, Array]:
    units = [cast(SubBandNBC, cast(PIBF, block).nbc) for block in model.blocks]

    def stack(values: list[torch.Tensor]) -> Array:
        return torch.stack(values).detach().cpu().numpy()

    return {
        "trunk.bits": pack_signs(stack([unit.weight for unit in units])),
        "trunk.shift": stack([unit.shift for unit in units]),
        "trunk.scale": stack([unit.filter_scale() for unit in units]),
        "trunk.gamma": stack([unit.gamma for unit in units]),
        "trunk.beta": stack([unit.beta for unit in units]),
        "trunk.zeta": stack([unit.zeta for unit in units]),
        "trunk.inverse_lambda": 1 / stack([unit.lambda_ for unit in units]),
        "trunk.phi": stack([unit.phi for unit in units]),
        "trunk.eta": stack([unit.eta for unit in units]),
    }
