"""Every binarizer once more in numpy, written from its formula; gradients come from differences of it.

Images are `(n, sub_bands, channels, h, w)` float64. A sign is a step, so its published gradient is a choice:
`Point` replaces it by the line of that slope through the point where it is first used, and what the method
holds constant by its value there. At that point the formulas give values, around it their gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Tensors = Mapping[str, Array]
Slope = Callable[[Array], Array]


@dataclass
class Point:
    """Signs and constants as the gradient sees them around the first point of use."""

    base: dict[str, Array] = field(default_factory=dict)

    def sign(self, name: str, value: Array, slope: Slope) -> Array:
        at = self.base.setdefault(name, value)
        return np.where(at >= 0, 1.0, -1.0) + slope(at) * (value - at)

    def constant(self, name: str, value: Array) -> Array:
        return self.base.setdefault(name, value)


def clipped(x: Array) -> Array:
    return np.where(np.abs(x) <= 1, 1.0, 0.0)


def triangle(x: Array, window: Array | float = 1.0) -> Array:
    return np.maximum(2 - 2 * np.abs(x) / window, 0) / window


def convolve(bits: Array, weight: Array) -> Array:
    """Zero-padded 3x3 convolution per group."""
    h, w = bits.shape[-2:]
    padded = np.pad(bits, [(0, 0)] * 3 + [(1, 1)] * 2)
    shifted = [padded[..., y : y + h, x : x + w] for y in range(3) for x in range(3)]
    return np.einsum("goik,kngihw->ngohw", weight.reshape(*weight.shape[:3], 9), np.stack(shifted))


def spread(parameter: Array) -> Array:
    return parameter[None, :, :, None, None]


def mean_magnitude(weight: Array) -> Array:
    return np.abs(weight).mean((2, 3, 4))


def batch_norm(x: Array, p: Tensors) -> Array:
    """In evaluation: the stored statistics."""
    mean, variance, gain, offset = (
        spread(p[f"batch_norm.{name}"].reshape(x.shape[1:3]))
        for name in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * gain + offset


def rprelu(x: Array, p: Tensors) -> Array:
    moved = x - spread(p["gamma"])
    return np.where(moved > 0, moved, spread(p["beta"]) * moved) + spread(p["zeta"])


def scaled(bits: Array, p: Tensors, point: Point) -> Array:
    weight = point.sign("weight", p["weight"], clipped)
    return convolve(bits, weight) * spread(point.constant("scale", mean_magnitude(p["weight"])))


def bnn(x: Array, p: Tensors, point: Point) -> Array:
    sums = convolve(point.sign("x", x, clipped), point.sign("weight", p["weight"], clipped))
    return x + np.clip(batch_norm(sums, p), -1, 1)


def xnor(x: Array, p: Tensors, point: Point) -> Array:
    z = batch_norm(x, p)
    n = p["weight"][0, 0].size
    at = point.constant("weight", p["weight"])
    alpha = mean_magnitude(at)[..., None, None, None]
    effective = alpha * np.where(at >= 0, 1, -1) + (1 / n + alpha * clipped(at)) * (p["weight"] - at)
    magnitude = np.pad(np.abs(z).mean(2), [(0, 0)] * 2 + [(1, 1)] * 2)
    h, w = x.shape[-2:]
    box = sum(magnitude[:, :, i : i + h, j : j + w] for i in range(3) for j in range(3)) / 9
    return x + convolve(point.sign("x", z, clipped), effective) * box[:, :, None]


def bireal(x: Array, p: Tensors, point: Point) -> Array:
    return x + batch_norm(scaled(point.sign("x", x, triangle), p, point), p)


def reactnet(x: Array, p: Tensors, point: Point) -> Array:
    bits = point.sign("x", x - spread(p["threshold"]), triangle)
    return rprelu(x + batch_norm(scaled(bits, p, point), p), p)


def irnet(x: Array, p: Tensors, point: Point) -> Array:
    t = 1e-3 * 1e4**0.6

    def slope(v: Array) -> Array:
        return max(1 / t, 1) * t * (1 - np.tanh(t * v) ** 2)

    axes = {"axis": (2, 3, 4), "keepdims": True}
    balanced = (p["weight"] - p["weight"].mean(**axes)) / p["weight"].std(ddof=1, **axes)
    scale = point.constant("scale", 2 ** np.round(np.log2(mean_magnitude(balanced))))
    sums = convolve(point.sign("x", x, slope), point.sign("weight", balanced, slope)) * spread(scale)
    return np.clip(x + batch_norm(sums, p), -1, 1)


def btm(x: Array, p: Tensors, point: Point) -> Array:
    weight = p["weight"]
    axes = {"axis": (2, 3, 4), "keepdims": True}
    standard = (weight - weight.mean(**axes)) / (weight.std(**axes) + 1e-5) / np.sqrt(weight[0, 0].size)
    scale = p["gain"] * point.constant("scale", mean_magnitude(standard))
    bits = point.sign("x", x + spread(p["shift"]), clipped)
    sums = convolve(bits, point.sign("weight", standard, clipped)) * spread(scale)
    return rprelu(x + 0.2 * sums, p)


def bbcu(x: Array, p: Tensors, point: Point) -> Array:
    k = 130 * x.shape[2] / 64
    bits = point.sign("x", k * x + spread(p["shift"]), triangle)
    return (k * x + rprelu(scaled(bits, p, point), p)) / k


def e2fif(x: Array, p: Tensors, point: Point) -> Array:
    weight = point.sign("weight", p["weight"], np.ones_like)
    return x + batch_norm(convolve(point.sign("x", x, triangle), weight), p)


def bisrnet(x: Array, p: Tensors, point: Point) -> Array:
    moved = x * spread(p["stretch"]) + spread(p["shift"])
    sharpness = np.broadcast_to(spread(p["sharpness"]), moved.shape)
    at, a = point.constant("x", moved), point.constant("a", sharpness)
    slope = 1 - np.tanh(a * at) ** 2
    bits = np.where(at >= 0, 1, -1) + slope * (a * (moved - at) + at * (sharpness - a))
    return x + rprelu(scaled(bits, p, point), p)


def fabnet(x: Array, p: Tensors, point: Point) -> Array:
    """At 60 % of the training: both branches at their steepest."""
    bits = point.sign("x", x + spread(p["shift"]), lambda v: np.maximum(4 - 8 * np.abs(v), 0))
    branches = {"low": bits[:, :1], "high": bits[:, 1:].reshape(len(x), 1, -1, *x.shape[-2:])}
    sums = []
    for name, part in branches.items():
        scale = spread(point.constant(f"{name} scale", mean_magnitude(p[name])))
        out = convolve(part, point.sign(name, p[name], clipped)) * scale
        sums.append(out.reshape(len(x), -1, *x.shape[2:]))
    y = np.concatenate(sums, 1)
    positive = point.constant("positive", y) > 0  # sums of signs are often 0, where PReLU has a kink
    return x + np.where(positive, y, spread(p["beta"]) * y)


def s2b(x: Array, p: Tensors, point: Point) -> Array:
    hidden = np.maximum(np.einsum("shc,nsc->nsh", p["squeeze"], x.mean((3, 4))), 0)
    u, v = np.split(np.einsum("skh,nsh->nsk", p["excite"], hidden), 2, axis=2)
    moved = x * (1 + np.tanh(u))[..., None, None] + np.tanh(v)[..., None, None]
    depthwise = np.einsum("scyx,ce->sceyx", p["gabor"], np.eye(x.shape[2]))
    bits = point.sign("x", moved + convolve(moved, depthwise), triangle)
    return x + rprelu(scaled(bits, p, point), p)


def _normalised(y: Array, x: Array, p: Tensors) -> Array:
    def statistics(z: Array) -> tuple[Array, Array]:
        return z.mean(2, keepdims=True), z.var(2, keepdims=True) + 1e-6

    (x_mean, x_variance), (y_mean, y_variance) = statistics(x), statistics(y)
    centred = y - y_mean - spread(p["phi"])
    return np.sqrt(x_variance / y_variance) / spread(p["lambda_"]) * centred + x_mean + spread(p["eta"])


def bnnpan(x: Array, p: Tensors, point: Point) -> Array:
    """At 60 % of the training, with a final window of 1/4."""
    window = spread(p["window"]) * 0.25**0.6
    bits = point.sign("x", x + spread(p["shift"]), lambda v: triangle(v, window))
    return x + _normalised(rprelu(scaled(bits, p, point), p), x, p)


def full(x: Array, p: Tensors, point: Point) -> Array:
    return x + _normalised(rprelu(convolve(x + spread(p["shift"]), p["weight"]), p), x, p)


FORMULAS: Mapping[str, Callable[[Array, Tensors, Point], Array]] = {
    f.__name__: f
    for f in (bnnpan, full, bnn, xnor, bireal, irnet, reactnet, btm, bbcu, e2fif, bisrnet, fabnet, s2b)
}


def gradient_along(
    name: str, x: Array, p: Tensors, weighting: Array, moved: str, direction: Array, step: float = 1e-6
) -> float:
    """Derivative of `sum(weighting * y)` when `moved`, "x" or a tensor's name, goes in a direction."""
    point = Point()
    FORMULAS[name](x, p, point)  # the point around which signs are lines

    def value(t: float) -> Any:
        moved_x = x + t * direction if moved == "x" else x
        moved_p = p if moved == "x" else {**p, moved: p[moved] + t * direction}
        return (weighting * FORMULAS[name](moved_x, moved_p, point)).sum()

    return float((value(step) - value(-step)) / (2 * step))
