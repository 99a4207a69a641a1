"""Names, dtypes and shapes of every tensor in a bundle, and the check that a file holds exactly those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.errors import BundleError, one_line

__all__ = [
    "GOLDEN_SIDE",
    "STORED_SIDE",
    "TensorLayout",
    "golden_layout",
    "golden_step",
    "packed_bytes",
    "parse_tensors",
    "weights_layout",
]

GOLDEN_SIDE = 128
"""PAN pixels along each side of the golden tile."""

STORED_SIDE = GOLDEN_SIDE // 2
"""PAN pixels along each side of its upper left quarter, which is stored; the rest are mirror images of it."""

TRUNK_TENSORS = ("shift", "scale", "gamma", "beta", "zeta", "inverse_lambda", "phi", "eta")
"""Full-precision parameters of one NBC, one value per channel."""


@dataclass(frozen=True)
class TensorLayout:
    """What one tensor looks like."""

    dtype: str
    shape: tuple[int, ...]


def packed_bytes(channels: int) -> int:
    """Bytes for one packed vector of channel bits: whole 32-bit words."""
    return 4 * -(-channels // 32)


def weights_layout(network: NetworkShape) -> dict[str, TensorLayout]:
    """Tensors of `weights.safetensors`.

    `trunk.bits` is `[block, sub-band, output channel, ky, kx, packed input channels]`: input channel i is
    bit `i % 8` of byte `i // 8`, 1 means a negative weight, unused bits are 0. All others are float32.
    """
    bands, channels, blocks, latent = network.bands, network.channels, network.blocks, network.latent
    shapes: dict[str, tuple[int, ...]] = {
        "head.weight": (channels, bands + 1, 3, 3),
        "head.bias": (channels,),
        "tail.weight": (bands, channels, 3, 3),
        "tail.bias": (bands,),
        "ldpc.weight": (blocks, 2 * channels, latent),
        "ldpc.bias": (blocks, 2 * channels),
        "cdc.weight": (blocks, channels, 3 * channels),
        "cdc.bias": (blocks, channels),
        "encoder.conv.weight": (latent, bands + 1, 3, 3),
        "encoder.conv.bias": (latent,),
        "encoder.hidden.weight": (latent, latent),
        "encoder.hidden.bias": (latent,),
        "encoder.out.weight": (latent, latent),
        "encoder.out.bias": (latent,),
        "denoiser.hidden.weight": (latent, 2 * latent + 1),
        "denoiser.hidden.bias": (latent,),
        "denoiser.out.weight": (latent, latent),
        "denoiser.out.bias": (latent,),
        "diffusion.latent_gain": (network.prior_steps,),
        "diffusion.estimate_gain": (network.prior_steps,),
        "diffusion.latent_start": (latent,),
        **{f"trunk.{name}": (blocks, 4, channels) for name in TRUNK_TENSORS},
    }
    layout = {name: TensorLayout("float32", shape) for name, shape in shapes.items()}
    layout["trunk.bits"] = TensorLayout("uint8", (blocks, 4, channels, 3, 3, packed_bytes(channels)))
    return layout


def golden_step(bands: int) -> int:
    """Every which value of the golden product is stored, counted along columns, rows and bands.

    As many values for any number of bands, one for every fourth pixel; odd, so that they lie in all rows and
    columns of every band.
    """
    return 4 * bands + 1


def golden_layout(network: NetworkShape) -> dict[str, TensorLayout]:
    """Tensors of `golden/tile.safetensors`."""
    ms_side = -(-STORED_SIDE // network.ratio)  # where the ratio does not divide, MS reaches a little further
    values = network.bands * GOLDEN_SIDE * GOLDEN_SIDE
    return {
        "pan": TensorLayout("uint16", (STORED_SIDE, STORED_SIDE)),
        "ms": TensorLayout("uint16", (network.bands, ms_side, ms_side)),
        "affines": TensorLayout("float32", (network.blocks, 2, network.channels)),
        "hrms": TensorLayout("uint16", (-(-values // golden_step(network.bands)),)),
    }


def parse_tensors(content: bytes, layout: Mapping[str, TensorLayout], where: str) -> dict[str, NDArray[Any]]:
    """Tensors of a safetensors file that must hold exactly `layout`; arrays are read-only.

    Raises BundleError, starting with `where`, on a malformed file, a tensor that is missing, unknown, of
    another dtype or shape, not finite, or with unused bits set.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors: dict[str, NDArray[Any]] = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{where}: not a safetensors file: {one_line(error)}") from error
    for problem, names in (("missing", set(layout) - set(tensors)), ("unknown", set(tensors) - set(layout))):
        if names:
            raise BundleError(f"{where}: tensor {min(names)} is {problem}")
    for name, expected in layout.items():
        tensor = tensors[name]
        if (str(tensor.dtype), tensor.shape) != (expected.dtype, expected.shape):
            raise BundleError(
                f"{where}: {name} is {tensor.dtype} {tensor.shape}, must be {expected.dtype} {expected.shape}"
            )
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise BundleError(f"{where}: {name} holds values that are not finite")
        tensor.setflags(write=False)
    if "trunk.bits" in tensors:
        _check_unused_bits(tensors["trunk.bits"], where)
    return tensors


def _check_unused_bits(bits: NDArray[np.uint8], where: str) -> None:
    channels = bits.shape[2]
    used = np.packbits(np.arange(8 * bits.shape[-1]) < channels, bitorder="little")
    if np.any(bits & ~used):
        raise BundleError(f"{where}: trunk.bits has bits set beyond channel {channels - 1}")
