"""Scene calibration in numpy, for the engines whose graph only fuses.

From the patches of a scene to one affine per block and channel: LDPC and CDC (Eq. 8, 17 and 18 of the paper),
frozen. It runs once per scene on a few patches, so that an engine would gain little, and its matrices need
not be stored once more in the form of that engine. Means over pixels are taken in double precision.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.graph.numpy_layers import Block, Convolution, haar, inverse_haar
from bnnpan_runtime.graph.protocol import Float32
from bnnpan_runtime.memory import allocate

__all__ = ["calibrate", "calibration_bytes"]

LEAK = 0.1
"""Of the leaky rectifiers around the prior; that of `bnnpan.model.prior`."""

STD_EPSILON = 1e-8
"""Added to variances before the root; that of `bnnpan.model.pibf`."""

_FEATURE_PLANES, _PRIOR_PLANES = 9, 4
"""How many times all features of a patch, or all of the encoder's, exist while it is worked on; up to 7.5 and
3 were measured."""

_INPUT_PLANES = 2
"""How many times the bands and PAN of a patch exist: as an image, and in what its convolution makes of it."""

_SIGN_COPIES = 5
"""How many times the signs of a block exist in float32 or wider while they are unpacked."""

_LIBRARY_BYTES = 2 * 2**20
"""BLAS packs matrices into buffers of its own, and keeps them."""

Weights = Mapping[str, NDArray[Any]]
Vector = NDArray[np.float64]


def calibration_bytes(network: NetworkShape, count: int, patch: int) -> int:
    """What `calibrate` takes beyond its inputs, and gives back: features of all patches, and work on one."""
    plane_bytes = 4 * patch * patch
    kept_bytes = count * network.channels * plane_bytes
    planes = max(_FEATURE_PLANES * network.channels, _PRIOR_PLANES * network.latent)
    work_bytes = (planes + _INPUT_PLANES * (network.bands + 1)) * plane_bytes
    signs_bytes = _SIGN_COPIES * 4 * 4 * 9 * network.channels**2
    return _LIBRARY_BYTES + kept_bytes + work_bytes + signs_bytes


def calibrate(weights: Weights, network: NetworkShape, pan: Float32, lms: Float32) -> Float32:
    """Affines `(blocks, 2, channels)` of PAN `(count, 1, h, w)` and LMS `(count, bands, h, w)`.

    `weights` are the tensors of `weights_layout`.
    """
    affines = np.empty((network.blocks, 2, network.channels), np.float32)
    prior = _prior(weights, network, pan, lms)
    features = _features(weights, network, pan, lms)
    for index in range(network.blocks):
        modulation = _linear(weights, "ldpc", prior, index).reshape(2, -1)
        block = Block.of(weights, index, network.outer_skip)
        sums = np.zeros((3, network.channels))
        for x in features:
            x[...] = block(x)
            sums += _sums(inverse_haar(x), modulation)
        logit = _linear(weights, "cdc", _statistics(sums / pan.size), index)
        affines[index] = _affine(logit, modulation)
        gain, offset = affines[index, :, :, None, None]
        features *= gain
        features[:, 0] += 2 * offset  # an offset of every pixel is in LL alone, doubled
    del features, block
    _return_free_memory()
    return affines


def _features(weights: Weights, network: NetworkShape, pan: Float32, lms: Float32) -> Float32:
    """The head's features of every patch, `(count, 4, channels, h/2, w/2)`."""
    count, _, height, width = pan.shape
    head, bias = Convolution(weights["head.weight"]), weights["head.bias"][:, None, None]
    features: Float32 = allocate((count, 4, network.channels, height // 2, width // 2), np.float32)
    for index, image in enumerate(_images(pan, lms)):
        features[index] = haar(head(image) + bias)
    return features


def _images(pan: Float32, lms: Float32) -> Iterator[Float32]:
    """The network's input images, one at a time: bands first, PAN last."""
    return (np.concatenate(pair) for pair in zip(lms, pan, strict=True))


def _prior(weights: Weights, network: NetworkShape, pan: Float32, lms: Float32) -> Vector:
    """The scene's latent prior z^: condition vector, then the whole reverse chain (Eq. 11 to 14)."""
    encoder, bias = Convolution(weights["encoder.conv.weight"]), weights["encoder.conv.bias"][:, None, None]
    total = np.zeros(network.latent)
    for image in _images(pan, lms):
        features = encoder(image) + bias
        if network.pooled_encoder == "rectified":
            features = np.where(features < 0, np.float32(LEAK) * features, features)
        total += features.sum((1, 2), dtype=np.float64)
    condition = _two_layers(weights, "encoder", _leaky(total / pan.size))
    latent = weights["diffusion.latent_start"].astype(np.float64)
    for step in range(network.prior_steps, 0, -1):
        time = step / (10 * network.prior_steps)
        estimate = _two_layers(weights, "denoiser", np.concatenate([latent, [time], condition]))
        kept, changed = (weights[f"diffusion.{name}_gain"][step - 1] for name in ("latent", "estimate"))
        latent = float(kept) * latent + float(changed) * estimate
    return latent


def _sums(y: Float32, modulation: Vector) -> Vector:
    """Of the modulated features over all pixels of a patch: magnitude, value, square; `(3, channels)`."""
    gain, offset = modulation[:, :, None]
    modulated = y.reshape(len(y), -1) * gain + offset
    return np.stack([np.abs(modulated).sum(1), modulated.sum(1), np.square(modulated, out=modulated).sum(1)])


def _statistics(means: Vector) -> Vector:
    """Mean magnitude, mean and deviation of every channel, `(3 channels,)`."""
    magnitude, mean, square = means
    return np.concatenate([magnitude, mean, np.sqrt(np.maximum(square - mean * mean, 0) + STD_EPSILON)])


def _affine(logit: Vector, modulation: Vector) -> Vector:
    """Gain `1 + W_c z_w` and offset `W_c z_b`, `(2, channels)`."""
    weighted = modulation / (1 + np.exp(-logit))
    return np.stack([1 + weighted[0], weighted[1]])


def _two_layers(weights: Weights, name: str, x: Vector) -> Vector:
    return _linear(weights, f"{name}.out", _leaky(_linear(weights, f"{name}.hidden", x)))


def _linear(weights: Weights, name: str, x: Vector, index: int | None = None) -> Vector:
    """A linear layer, one of a stack where there is an index."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    if index is not None:
        weight, bias = weight[index], bias[index]
    return np.asarray(weight.astype(np.float64) @ x + bias)


def _leaky(x: Vector) -> Vector:
    return np.where(x < 0, LEAK * x, x)


def _return_free_memory() -> None:
    """Gives the system what malloc would keep of large blocks that were freed; only glibc keeps, and can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
