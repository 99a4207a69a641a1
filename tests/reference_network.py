"""The frozen network once more in numpy, written from its definition.

Each operation rounds once, in the order that the native engine promises: in float32 the two must agree bit
for bit. Images are in network units, `(channels, h, w)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.weights import weights_layout

Array = NDArray[Any]
Weights = Mapping[str, Array]


def random_weights(shape: NetworkShape, seed: int) -> dict[str, Array]:
    """Weights in which no tensor is trivially 0 or 1; features stay of the order of 1."""
    rng = np.random.default_rng(seed)
    fan_in = {
        "head.weight": 9 * (shape.bands + 1),
        "tail.weight": 90 * shape.channels,
        "ldpc.weight": 30 * shape.latent,
    }
    centre = {
        "trunk.beta": 0.25,
        "trunk.inverse_lambda": 0.25,
        "trunk.scale": 0.05,
        "diffusion.latent_gain": 1.0,
    }
    weights: dict[str, Array] = {}
    for name, layout in weights_layout(shape).items():
        spread = fan_in[name] ** -0.5 if name in fan_in else 0.1 if name not in centre else 0.2 * centre[name]
        weights[name] = (centre.get(name, 0.0) + spread * rng.standard_normal(layout.shape)).astype(
            np.float32
        )
    signs = rng.integers(0, 2, (shape.blocks, 4, shape.channels, 3, 3, shape.channels), np.uint8)
    bits = np.zeros(weights["trunk.bits"].shape, np.uint8)
    packed = np.packbits(signs, axis=-1, bitorder="little")
    bits[..., : packed.shape[-1]] = packed
    weights["trunk.bits"] = bits
    return weights


def fuse(weights: Weights, shape: NetworkShape, pan: Array, lms: Array, affines: Array) -> Array:
    """PAN `(1, h, w)`, LMS `(bands, h, w)`, affines `(blocks, 2, channels)` to HRMS like LMS."""
    bands = _head(weights, pan, lms)
    for block in range(shape.blocks):
        bands = _block(weights, shape, block, bands, affines[block])
    return _convolve(_inverse_haar(bands), weights["tail.weight"], weights["tail.bias"]) + lms


def calibrate(weights: Weights, shape: NetworkShape, pan: Array, lms: Array) -> Array:
    """Patches `(count, 1, h, w)` and `(count, bands, h, w)` to affines `(blocks, 2, channels)` float64."""
    double = {name: value.astype(np.float64) for name, value in weights.items()}
    prior = _prior(weights, double, shape, pan, lms)
    patches = [_head(weights, *patch) for patch in zip(pan, lms, strict=True)]
    identity = np.stack([np.ones(shape.channels), np.zeros(shape.channels)]).astype(lms.dtype)
    affines = np.empty((shape.blocks, 2, shape.channels))
    for block in range(shape.blocks):
        before = [_block(weights, shape, block, bands, identity) for bands in patches]
        features = np.stack([_inverse_haar(bands) for bands in before]).astype(np.float64)
        gain, offset = np.split(double["ldpc.weight"][block] @ prior + double["ldpc.bias"][block], 2)
        moved = gain[:, None, None] * features + offset[:, None, None]
        axes = (0, 2, 3)
        variance = np.maximum((moved**2).mean(axes) - moved.mean(axes) ** 2, 0)
        statistics = np.concatenate([np.abs(moved).mean(axes), moved.mean(axes), np.sqrt(variance + 1e-8)])
        share = 1 / (1 + np.exp(-(double["cdc.weight"][block] @ statistics + double["cdc.bias"][block])))
        affines[block] = 1 + share * gain, share * offset
        frozen = affines[block].astype(lms.dtype)
        patches = [_block(weights, shape, block, bands, frozen) for bands in patches]
    return affines


def _prior(weights: Weights, double: Weights, shape: NetworkShape, pan: Array, lms: Array) -> Array:
    def leaky(x: Array) -> Array:
        return np.where(x >= 0, x, 0.1 * x)

    def linear(name: str, x: Array) -> Array:
        return double[f"{name}.weight"] @ x + double[f"{name}.bias"]

    images = np.concatenate([lms, pan], axis=1)
    kernel, bias = weights["encoder.conv.weight"], weights["encoder.conv.bias"]
    features = np.stack([_convolve(image, kernel, bias) for image in images]).astype(np.float64)
    if shape.pooled_encoder == "rectified":
        features = leaky(features)
    means = features.mean((0, 2, 3))
    condition = linear("encoder.out", leaky(linear("encoder.hidden", leaky(means))))
    latent = double["diffusion.latent_start"]
    for step in range(shape.prior_steps, 0, -1):
        joined = np.concatenate([latent, [step / (10 * shape.prior_steps)], condition])
        estimate = linear("denoiser.out", leaky(linear("denoiser.hidden", joined)))
        gains = double["diffusion.latent_gain"][step - 1], double["diffusion.estimate_gain"][step - 1]
        latent = gains[0] * latent + gains[1] * estimate
    return latent


def _head(weights: Weights, pan: Array, lms: Array) -> Array:
    half = lms.dtype.type(0.5)  # the transform's factor
    return _haar(
        _convolve(np.concatenate([lms, pan]), half * weights["head.weight"], half * weights["head.bias"])
    )


def fused(a: Array, b: Array, c: Array) -> Array:
    """`a * b + c` with one rounding, as C's fmaf: the sum is rounded to odd in double, then to float."""
    if np.result_type(a, b, c) != np.float32:
        return a * b + c
    exact, addend = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
    total = np.asarray(exact + addend)
    part = total - exact
    lost = (exact - (total - part)) + (addend - part)
    even = total.view(np.int64) % 2 == 0
    towards = np.where(lost > 0, np.inf, -np.inf)
    return np.where((lost != 0) & even, np.nextafter(total, towards), total).astype(np.float32)


def _convolve(image: Array, weight: Array, bias: Array) -> Array:
    _, height, width = image.shape
    padded = np.pad(image, [(0, 0), (1, 1), (1, 1)])
    out = np.tile(bias[:, None, None], (1, height, width))
    for channel, ky, kx in product(range(len(image)), range(3), range(3)):
        shifted = padded[channel, ky : ky + height, kx : kx + width]
        out = fused(weight[:, channel, ky, kx, None, None], shifted, out)
    return out


def _haar(x: Array) -> Array:
    """Twice the orthonormal transform."""
    a, b, c, d = x[:, ::2, ::2], x[:, ::2, 1::2], x[:, 1::2, ::2], x[:, 1::2, 1::2]
    ll, lh = (a + b) + (c + d), (a + b) - (c + d)
    hl, hh = (a - b) + (c - d), (a - b) - (c - d)
    return np.stack([ll, lh, hl, hh])


def _inverse_haar(bands: Array) -> Array:
    ll, lh, hl, hh = bands.dtype.type(0.5) * bands
    out = np.empty((ll.shape[0], 2 * ll.shape[1], 2 * ll.shape[2]), bands.dtype)
    out[:, ::2, ::2], out[:, ::2, 1::2] = (ll + lh) + (hl + hh), (ll + lh) - (hl + hh)
    out[:, 1::2, ::2], out[:, 1::2, 1::2] = (ll - lh) + (hl - hh), (ll - lh) - (hl - hh)
    return out


def _block(weights: Weights, shape: NetworkShape, block: int, bands: Array, affine: Array) -> Array:
    trunk = {
        name.removeprefix("trunk."): weights[name][block][..., None, None]
        if name != "trunk.bits"
        else weights[name][block]
        for name in weights
        if name.startswith("trunk.")
    }
    gain, offset = affine[:, :, None, None]
    outputs = []
    for sub_band, x in enumerate(bands):
        unit = {name: value[sub_band] for name, value in trunk.items()}
        centred, x_mean, ratio = _normalised_binary_convolution(unit, x)
        keep = gain * x.dtype.type(2 if shape.outer_skip else 1)
        constant = gain * unit["eta"]
        if sub_band == 0:
            constant = constant + 2 * offset
        moved = fused(gain, x_mean, fused(keep, x, constant))
        outputs.append(fused(gain * unit["inverse_lambda"], ratio * centred, moved))
    return np.stack(outputs)


def _normalised_binary_convolution(unit: Weights, x: Array) -> tuple[Array, Array, Array]:
    """The branch less its mean and phi, the mean of x, and the deviation of x over that of the branch."""
    sums = binary_convolution(unit["bits"], unit["shift"], x).astype(x.dtype)
    u = fused(sums, unit["scale"], -unit["gamma"])
    v = np.where(u > 0, u, unit["beta"] * u) + unit["zeta"]
    x_mean, x_variance = _statistics(x)
    v_mean, v_variance = _statistics(v)
    epsilon = x.dtype.type(1e-6)
    ratio = np.sqrt((x_variance + epsilon) / (v_variance + epsilon))
    return (v - v_mean) - unit["phi"], x_mean, ratio


def binary_convolution(bits: Array, shift: Array, x: Array) -> NDArray[np.int64]:
    """Sums of signs of `x + shift` times weights, taps outside count 0.

    `bits` `(C, 3, 3, packed)`, `shift` `(C, 1, 1)`.
    """
    channels, height, width = x.shape
    signs = np.where(x + shift < 0, -1, 1)
    padded = np.pad(signs, [(0, 0), (1, 1), (1, 1)])
    weight = 1 - 2 * np.unpackbits(bits, axis=-1, count=channels, bitorder="little").astype(np.int64)
    taps = product(range(3), range(3))
    return sum(
        np.einsum("oi,ihw->ohw", weight[:, ky, kx], padded[:, ky : ky + height, kx : kx + width])
        for ky, kx in taps
    )


def _statistics(x: Array) -> tuple[Array, Array]:
    """Mean and variance over channels, `(h, w)`, added up channel after channel."""
    channels = x.dtype.type(len(x))
    total = np.zeros(x.shape[1:], x.dtype)
    for plane in x:
        total = total + plane
    mean = total / channels
    squares = np.zeros_like(mean)
    for plane in x:
        squares = fused(plane - mean, plane - mean, squares)
    return mean, squares / channels
