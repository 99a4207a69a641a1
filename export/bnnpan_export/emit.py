"""Emit: the lowered network as the named arrays that every file of a bundle is written from, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bnnpan_export.graph.layers import Convolution, Haar, InverseHaar, Layer, Skip, SubBandAffine, Units
from bnnpan_export.graph.network import Network
from bnnpan_export.graph.unit import Compare, Epilogue, PackedSigns, Unit
from bnnpan_export.weight_bits import Array
from bnnpan_runtime.contract import NetworkShape

__all__ = ["FrozenNetwork", "emit", "read_back"]

_EPILOGUE = ("scale", "gamma", "beta", "zeta", "inverse_lambda", "phi", "eta")
_PRIOR = ("encoder.", "denoiser.", "diffusion.")
_CALIBRATION = ("ldpc.", "cdc.")


@dataclass(frozen=True)
class FrozenNetwork:
    """What flies: sizes and tensors, names and shapes as in `bnnpan_runtime.weights.weights_layout`.

    `trunk.bits` is uint8, everything else has the float type of the model it was frozen from.
    """

    shape: NetworkShape
    tensors: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.tensors[name]


def emit(network: Network) -> FrozenNetwork:
    """The tensors of a network after the last pass; thresholds are stored as the shifts they came from."""
    head, *_, tail = network.layers
    assert isinstance(head, Convolution) and isinstance(tail, Convolution)
    parts = [_unit_tensors(unit) for unit in network.units]
    trunk = {f"trunk.{name}": np.stack([part[name] for part in parts]) for name in parts[0]}
    ends = {f"{c.name}.{kind}": getattr(c, kind) for c in (head, tail) for kind in ("weight", "bias")}
    return FrozenNetwork(network.shape, {**ends, **trunk, **network.calibration, **network.prior})


def read_back(frozen: FrozenNetwork) -> Network:
    """The network that `emit` wrote down."""
    shape = frozen.shape
    inner = [layer for block in range(shape.blocks) for layer in _block(frozen, block)]
    layers = (_convolution(frozen, "head"), Haar(shape.channels), *inner, InverseHaar(shape.channels))
    return Network(
        shape,
        (*layers, _convolution(frozen, "tail")),
        {name: value for name, value in frozen.tensors.items() if name.startswith(_PRIOR)},
        {name: value for name, value in frozen.tensors.items() if name.startswith(_CALIBRATION)},
    )


def _unit_tensors(unit: Unit) -> dict[str, Array]:
    assert isinstance(unit.activation, Compare) and isinstance(unit.weight, PackedSigns)
    assert isinstance(unit.epilogue, Epilogue)
    numbers = {name: getattr(unit.epilogue, name) for name in _EPILOGUE}
    return {"bits": unit.weight.bits, "shift": -unit.activation.threshold, **numbers}


def _block(frozen: FrozenNetwork, block: int) -> tuple[Layer, Layer]:
    channels = frozen.shape.channels
    epilogue = Epilogue(*(frozen[f"trunk.{name}"][block] for name in _EPILOGUE))
    bits, shift = frozen["trunk.bits"][block], frozen["trunk.shift"][block]
    units: Layer = Units(Unit(Compare(-shift), PackedSigns(bits), epilogue))
    if frozen.shape.outer_skip:
        units = Skip((units,), channels)
    return units, SubBandAffine(block, channels)


def _convolution(frozen: FrozenNetwork, name: str) -> Convolution:
    return Convolution(name, frozen[f"{name}.weight"], frozen[f"{name}.bias"])
