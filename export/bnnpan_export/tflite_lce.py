"""The network as a Larq Compute Engine (LCE) flatbuffer: binary convolutions are its own operators.

A Keras model is built out of the frozen tensors, channels last, and goes through Larq's converter, which
turns each sign and binary convolution into `LceQuantize` and `LceBconv2d`. TensorFlow is imported only when a
graph is built: it takes seconds.
"""

from __future__ import annotations

import importlib.util
import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from bnnpan.model.nbc import NORM_EPSILON
from bnnpan_export.emit import FrozenNetwork
from bnnpan_export.tflite_slim import slim
from bnnpan_export.weight_bits import unpack_signs
from bnnpan_runtime.errors import BackendError

__all__ = ["TFLITE_WINDOW", "fuse_tflite", "missing_packages"]

TFLITE_WINDOW = 128
"""Window side of `fuse.tflite`, PAN pixels."""

_LEGACY_KERAS = "TF_USE_LEGACY_KERAS"
"""Read once, when TensorFlow is imported."""

_PACKAGES = ("tensorflow", "tf_keras", "larq", "larq_compute_engine")


def missing_packages() -> list[str]:
    """Packages the conversion needs that are not installed."""
    return [name for name in _PACKAGES if importlib.util.find_spec(name) is None]


def fuse_tflite(network: FrozenNetwork) -> bytes:
    """PAN `(1, w, w, 1)`, LMS `(1, w, w, bands)`, affines `(blocks, 2, channels)` to HRMS like LMS."""
    graph = _Graph(network)
    shape, keras = network.shape, graph.tf.keras
    side = (1, TFLITE_WINDOW, TFLITE_WINDOW)
    pan = keras.Input(batch_shape=(*side, 1), name="pan")
    lms = keras.Input(batch_shape=(*side, shape.bands), name="lms")
    affines = keras.Input(batch_shape=(shape.blocks, 2, shape.channels), name="affines")
    sub_bands = graph.haar(graph.convolution("head", graph.joined(lms, pan)))
    for block in range(shape.blocks):
        gain, offset = affines[block, 0], affines[block, 1]
        outcome = graph.block(block, sub_bands)
        sub_bands = [band * gain for band in outcome]
        sub_bands[0] = sub_bands[0] + 2.0 * offset
    detail = graph.convolution("tail", graph.inverse_haar(sub_bands))
    return graph.converted([pan, lms, affines], detail + lms, "hrms")


class _Graph:
    """Pieces of the network as Keras tensors `(n, height, width, channels)`; sub-bands are a list of four."""

    def __init__(self, network: FrozenNetwork) -> None:
        if "tensorflow" in sys.modules and os.environ.get(_LEGACY_KERAS) != "1":
            raise BackendError(
                f"TensorFlow was imported with Keras 3, and larq needs Keras 2: set {_LEGACY_KERAS}=1 first"
            )
        os.environ[_LEGACY_KERAS] = "1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import larq
        import tensorflow

        tensorflow.get_logger().setLevel("ERROR")
        self.tf: Any = tensorflow
        self.larq: Any = larq
        self.network = network
        tensorflow.keras.backend.clear_session()  # layer names, which end up in the file, count from here

    def joined(self, lms: Any, pan: Any) -> Any:
        """The network's input image: bands first, PAN last."""
        return self.tf.concat([lms, pan], axis=-1)

    def convolution(self, name: str, x: Any) -> Any:
        """A full-precision 3x3 convolution with zero padding."""
        weight = self.network[f"{name}.weight"].transpose(2, 3, 1, 0)
        bias = self.network[f"{name}.bias"]
        return self.tf.nn.conv2d(x, weight, 1, "SAME") + bias

    def haar(self, x: Any) -> list[Any]:
        """LL, LH, HL, HH."""
        tf = self.tf
        a, b, c, d = tf.split(tf.nn.space_to_depth(x, 2), 4, axis=-1)
        top, bottom, top_step, bottom_step = a + b, c + d, a - b, c - d
        pairs = ((top, bottom), (top_step, bottom_step))
        return [0.5 * value for first, second in pairs for value in (first + second, first - second)]

    def inverse_haar(self, sub_bands: list[Any]) -> Any:
        """Exact inverse of `haar`."""
        ll, lh, hl, hh = (0.5 * band for band in sub_bands)
        top, bottom, top_step, bottom_step = ll + lh, ll - lh, hl + hh, hl - hh
        pairs = ((top, top_step), (bottom, bottom_step))
        cells = [value for first, second in pairs for value in (first + second, first - second)]
        return self.tf.nn.depth_to_space(self.tf.concat(cells, axis=-1), 2)

    def block(self, block: int, sub_bands: list[Any]) -> list[Any]:
        """The four NBC units of one block, with the outer skip where the network has one."""
        outcome = [self._unit(block, index, band) for index, band in enumerate(sub_bands)]
        if self.network.shape.outer_skip:
            outcome = [y + x for y, x in zip(outcome, sub_bands, strict=True)]
        return outcome

    def converted(self, inputs: list[Any], output: Any, name: str) -> bytes:
        """The flatbuffer of a model of these tensors."""
        from larq_compute_engine import convert_keras_model

        named = self.tf.keras.layers.Activation("linear", name=name)(output)
        model = self.tf.keras.Model(inputs, named)
        chatter = io.StringIO()
        with redirect_stdout(chatter), redirect_stderr(chatter):
            return slim(convert_keras_model(model))

    def _unit(self, block: int, index: int, x: Any) -> Any:
        tf = self.tf
        here = (block, index)
        one = {name.removeprefix("trunk."): value[here] for name, value in self._trunk()}
        convolved = self._binary_convolution(here, x + one["shift"])
        moved = convolved * one["scale"] - one["gamma"]  # becomes multiplier and bias of the LceBconv2d
        rprelu = tf.keras.layers.PReLU(shared_axes=[1, 2], weights=[one["beta"][None, None]])
        branch = rprelu(moved) + one["zeta"]
        mean, variance, _ = self._channel_statistics(x)
        _, branch_variance, centred = self._channel_statistics(branch)
        gain = tf.sqrt(variance / branch_variance)
        return x + (gain * (centred - one["phi"]) * one["inverse_lambda"] + mean + one["eta"])

    def _trunk(self) -> list[tuple[str, Any]]:
        return [(name, value) for name, value in self.network.tensors.items() if name.startswith("trunk.")]

    def _binary_convolution(self, here: tuple[int, int], x: Any) -> Any:
        channels = self.network.shape.channels
        layer = self.larq.layers.QuantConv2D(
            channels,
            3,
            padding="same",
            pad_values=0.0,
            input_quantizer="ste_sign",
            kernel_quantizer="ste_sign",
            kernel_constraint="weight_clip",  # of no effect here, larq warns without
            use_bias=False,
        )
        convolved = layer(x)
        layer.set_weights([unpack_signs(self.network["trunk.bits"][here], channels).transpose(2, 3, 1, 0)])
        return convolved

    def _channel_statistics(self, x: Any) -> tuple[Any, Any, Any]:
        """Mean, variance + epsilon (both per pixel over channels), and the centred tensor."""
        mean = self.tf.reduce_mean(x, axis=-1, keepdims=True)
        centred = x - mean
        variance = self.tf.reduce_mean(centred * centred, axis=-1, keepdims=True)
        return mean, variance + NORM_EPSILON, centred
