"""MATLAB's `imresize`: images of another size, corner on corner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

__all__ = ["cubic", "resize"]

Array = NDArray[np.float64]


def resize(
    image: ArrayLike, shape: tuple[int, ...], kernel: Literal["bicubic", "bilinear"] = "bicubic"
) -> Array:
    """`image` `(..., height, width)` at `shape`, each axis by its own factor.

    The kernel is widened where an axis shrinks (antialiasing), borders are mirrored.
    """
    source = np.asarray(image, np.float64)
    rows = _weights(source.shape[-2], shape[0], *_KERNELS[kernel])
    columns = _weights(source.shape[-1], shape[1], *_KERNELS[kernel])
    planes = source.reshape(-1, *source.shape[-2:])
    return np.stack([(columns @ (rows @ plane).T).T for plane in planes]).reshape(*source.shape[:-2], *shape)


def cubic(x: Array) -> Array:
    """Keys' kernel, a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _linear(x: Array) -> Array:
    return np.maximum(1 - np.abs(x), 0)


_KERNELS: dict[str, tuple[Callable[[Array], Array], int]] = {"bicubic": (cubic, 4), "bilinear": (_linear, 2)}


def _weights(length: int, wanted: int, kernel: Callable[[Array], Array], support: int) -> csr_array:
    """`(wanted, length)`: what every sample contributes to every wanted one."""
    scale = wanted / length
    sharpness = min(scale, 1.0)
    centre = (np.arange(wanted) + 0.5) / scale - 0.5
    count = int(np.ceil(support / sharpness)) + 2
    samples = np.floor(centre - support / sharpness / 2).astype(int)[:, None] + np.arange(count)
    weights = kernel(sharpness * (centre[:, None] - samples))
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.concatenate([np.arange(length), np.arange(length)[::-1]])[samples % (2 * length)]
    rows = np.repeat(np.arange(wanted), count)
    return csr_array((weights.ravel(), (rows, mirrored.ravel())), shape=(wanted, length))
