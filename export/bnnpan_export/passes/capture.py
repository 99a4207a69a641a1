"""Capture: a trained network becomes a chain of layers, in the pixel domain and with live statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import cast

import numpy as np

from bnnpan.model import BNNPan, ModelConfig, PanSharpener
from bnnpan.model.nbc import SubBandNBC
from bnnpan.model.pibf import PIBF
from bnnpan_export.graph.layers import Convolution, Haar, InverseHaar, Layer, SceneStatistics, Skip, Units
from bnnpan_export.graph.network import Network
from bnnpan_export.graph.unit import AddThenSign, LatentWeight, TrainedEpilogue, Unit
from bnnpan_export.weight_bits import Array
from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.errors import ConfigError

__all__ = ["capture", "model_config", "network_shape"]

PRIOR_TENSORS = {
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
"""Names in a bundle, and in the network."""

_NOT_NORMALISED = "its branch is not normalised to its input's statistics, as that of every engine's unit is"
_RPRELU_OF_THE_SUM = "its RPReLU acts on the sum with the input, in every engine on the branch alone"
_CLIPPED = "no engine clips features (Hardtanh)"
_WHY_NOT = {
    "architecture": "it is there to compare with, and has no binary trunk",
    "wavelet = False": "every engine convolves the four Haar sub-bands, not whole planes",
    "norm = False": _NOT_NORMALISED,
    "ldpc = False": "every engine calibrates with LDPC",
    "cdc = False": "every engine calibrates with CDC",
    "binarizer = full": "its weights and activations are real; nothing in it is binary",
    "binarizer = bnn": _CLIPPED,
    "binarizer = xnor": "its scale K is a mean of magnitudes around every pixel, which no engine computes",
    "binarizer = bireal": _NOT_NORMALISED,
    "binarizer = irnet": _CLIPPED,
    "binarizer = reactnet": _RPRELU_OF_THE_SUM,
    "binarizer = btm": _RPRELU_OF_THE_SUM,
    "binarizer = bbcu": _NOT_NORMALISED,
    "binarizer = e2fif": _NOT_NORMALISED,
    "binarizer = bisrnet": _NOT_NORMALISED,
    "binarizer = fabnet": "it convolves three sub-bands with each other, every engine each by itself",
    "binarizer = s2b": "its redistribution looks at the whole image: it has no frozen form that is local",
}
"""What of a setting has no form that flies."""


def network_shape(config: ModelConfig) -> NetworkShape:
    """What of a configuration the frozen network depends on."""
    return NetworkShape(**{field.name: getattr(config, field.name) for field in fields(NetworkShape)})


def model_config(shape: NetworkShape) -> ModelConfig:
    """A configuration that freezes to this shape."""
    return ModelConfig(**vars(shape))


def capture(model: PanSharpener) -> Network:
    """All of a network but its truth encoder, which only training needs; copies, in its float type.

    Raises `ConfigError` for a network with a part that no engine runs.
    """
    _refuse_what_cannot_fly(model.config)
    shape = network_shape(model.config)
    state = {
        name: np.array(value.detach().cpu().numpy(), order="C") for name, value in model.state_dict().items()
    }
    blocks = [cast(PIBF, block) for block in cast(BNNPan, model).blocks]
    inner = [layer for index, block in enumerate(blocks) for layer in _block(state, index, block, shape)]
    layers = (_convolution(state, "head"), *inner, _convolution(state, "tail"))
    return Network(shape, layers, {name: state[source] for name, source in PRIOR_TENSORS.items()}, {})


def _refuse_what_cannot_fly(config: ModelConfig) -> None:
    settings = config.grounded_by
    if not settings:
        return
    reasons = [_WHY_NOT.get(setting) or _WHY_NOT.get(setting.split(" = ")[0]) for setting in settings]
    told = "; ".join(dict.fromkeys(reason or "no engine runs it" for reason in reasons))
    raise ConfigError(
        f"a network with {', '.join(settings)} cannot be exported: {told};"
        " export one trained without these settings"
    )


def _convolution(state: Mapping[str, Array], name: str) -> Convolution:
    return Convolution(name, state[f"{name}.weight"], state[f"{name}.bias"])


def _block(state: Mapping[str, Array], index: int, block: PIBF, shape: NetworkShape) -> tuple[Layer, ...]:
    assert isinstance(block.nbc, SubBandNBC)
    nbc = {name: state[f"blocks.{index}.nbc.{name}"] for name in _UNIT_TENSORS}
    weight = nbc["weight"]
    epilogue = TrainedEpilogue(weight, *(nbc[name] for name in _UNIT_TENSORS[2:]))
    unit = Unit(AddThenSign(nbc["shift"]), LatentWeight(weight), epilogue)
    transform = (Haar(shape.channels), Units(unit), InverseHaar(shape.channels))
    wrapped: tuple[Layer, ...] = (Skip(transform, shape.channels),) if shape.outer_skip else transform
    linear = [
        state[f"blocks.{index}.{name}.{kind}"] for name in ("ldpc", "cdc") for kind in ("weight", "bias")
    ]
    return (*wrapped, SceneStatistics(index, *linear))


_UNIT_TENSORS = ("weight", "shift", "gamma", "beta", "zeta", "lambda_", "phi", "eta")
