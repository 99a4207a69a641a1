"""The network layer by layer: shapes, stored bits and multiply-accumulates, from its sizes alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from bnnpan_runtime.contract import Calibration, NetworkShape
from bnnpan_runtime.weights import TRUNK_TENSORS, weights_layout

__all__ = ["Layer", "calibration_layers", "fusion_layers", "sum_of"]

_TAPS = 9
_SUB_BANDS = 4


@dataclass(frozen=True)
class Layer:
    """One layer.

    shape        what comes out: channels and side, as a share of the window's or the patch's
    binary_bits  stored signs
    float_bits   stored 32-bit numbers, in bits
    binary_macs  1-bit multiply-accumulates per PAN pixel of a tile, or of all patches of a scene
    float_macs   likewise of floats
    """

    name: str
    operation: str
    shape: str
    binary_bits: int
    float_bits: int
    binary_macs: float
    float_macs: float

    @property
    def parameters(self) -> int:
        """Stored signs and numbers."""
        return self.binary_bits + self.float_bits // 32

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)


def fusion_layers(network: NetworkShape) -> list[Layer]:
    """What runs on every tile, in order; multiply-accumulates per PAN pixel."""
    bands, channels, blocks = network.bands, network.channels, network.blocks
    sizes = _Sizes(network)
    trunk = [f"trunk.{name}" for name in TRUNK_TENSORS]
    signs = channels * channels * _TAPS * _SUB_BANDS
    layers = [
        Layer("LMS", f"resample MS x{network.ratio}", f"{bands} x H x W", 0, 0, 0, 0),
        Layer(
            "head",
            f"3x3 convolution {bands + 1} -> {channels}",
            f"{channels} x H x W",
            0,
            sizes.floats("head.weight", "head.bias"),
            0,
            (bands + 1) * channels * _TAPS,
        ),
    ]
    sub_bands = f"{_SUB_BANDS} x {channels} x H/2 x W/2"
    layers.append(Layer("Haar", "pixels to sub-bands LL, LH, HL, HH", sub_bands, 0, 0, 0, 0))
    for index in range(blocks):
        layers.append(
            Layer(
                f"block {index + 1}",
                "a binary 3x3 unit per sub-band, affine",
                sub_bands,
                signs,
                sizes.floats(*trunk) // blocks,
                signs / 4,  # a sub-band has a quarter of the pixels
                0,
            )
        )
    layers.append(Layer("inverse Haar", "sub-bands to pixels", f"{channels} x H x W", 0, 0, 0, 0))
    tail = sizes.floats("tail.weight", "tail.bias")
    operation = f"3x3 convolution {channels} -> {bands}, plus LMS"
    layers.append(Layer("tail", operation, f"{bands} x H x W", 0, tail, 0, channels * bands * _TAPS))
    return layers


def calibration_layers(network: NetworkShape, calibration: Calibration) -> list[Layer]:
    """What runs once per scene besides the network itself on the patches; multiply-accumulates in all."""
    bands, channels, blocks, latent = network.bands, network.channels, network.blocks, network.latent
    pixels, steps, sizes = calibration.count * calibration.patch**2, network.prior_steps, _Sizes(network)

    def layer(name: str, operation: str, shape: str, macs: int) -> Layer:
        return Layer(name, operation, shape, 0, sizes.floats(*sizes.starting_with(name)), 0, macs)

    side = f"{calibration.count} x {calibration.patch} x {calibration.patch}"
    encoder = pixels * (bands + 1) * latent * _TAPS + 2 * latent * latent
    denoiser = steps * ((2 * latent + 1) * latent + latent * latent)
    return [
        layer(
            "encoder",
            f"3x3 convolution {bands + 1} -> {latent}, mean, 2 linear",
            f"{latent} of {side}",
            encoder,
        ),
        layer("denoiser", f"{steps} steps of 2 linear", f"{latent}", denoiser),
        layer("diffusion", f"gains of {steps} steps", f"{latent}", 2 * steps * latent),
        layer(
            "ldpc",
            f"{blocks} linear {latent} -> {2 * channels}",
            f"{blocks} x 2 x {channels}",
            blocks * 2 * channels * latent,
        ),
        layer(
            "cdc",
            f"{blocks} linear {3 * channels} -> {channels}",
            f"{blocks} x {channels}",
            blocks * 3 * channels * channels,
        ),
    ]


def sum_of(layers: Sequence[Layer]) -> Layer:
    """All of them as one."""
    return Layer(
        "sum",
        "",
        "",
        sum(layer.binary_bits for layer in layers),
        sum(layer.float_bits for layer in layers),
        sum(layer.binary_macs for layer in layers),
        sum(layer.float_macs for layer in layers),
    )


class _Sizes:
    """How much is stored, from the layout that readers check."""

    def __init__(self, network: NetworkShape) -> None:
        self._layout = weights_layout(network)

    def floats(self, *names: str) -> int:
        """Bits of float tensors."""
        return sum(32 * prod(self._layout[name].shape) for name in names)

    def starting_with(self, name: str) -> Iterable[str]:
        """Tensors of one part of the network."""
        return [tensor for tensor in self._layout if tensor.startswith(f"{name}.")]
