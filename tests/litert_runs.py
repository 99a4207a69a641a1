"""TFLite graphs run by stock LiteRT with libbnnpan as its delegate, and by Larq's interpreter, the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from litert_edits import CHANNELS
from numpy.typing import NDArray
from requirements import require_package

from bnnpan_runtime.graph.larq import LarqEngine
from bnnpan_runtime.graph.libbnnpan import library_path
from bnnpan_runtime.graph.litert import taken
from bnnpan_runtime.graph.protocol import Float32

__all__ = ["BANDS", "BLOCKS", "WINDOW", "Outcome", "assert_close", "images", "run", "run_in_larq"]

BLOCKS, BANDS = 4, 4
WINDOW = 128
"""Of the shipped network; its window in Larq's interpreter."""

LARGEST_SHARE_APART = 0.02
"""Where float sums are rounded in another order, activations next to a threshold may take another sign."""

SIZES = ("network", "trunk", "operator")


@dataclass(frozen=True)
class Outcome:
    """What a graph gave, and how many pieces of each size the delegate took of it."""

    outputs: list[NDArray[Any]]
    taken: dict[str, int]


def run(content: bytes, inputs: Sequence[NDArray[Any]], **options: str) -> Outcome:
    """Run with the delegate alone, without XNNPACK; `inputs` are matched by rank and last axis."""
    from ai_edge_litert import interpreter as litert

    delegate = litert.load_delegate(str(library_path()), options)
    interpreter = litert.Interpreter(
        model_content=content,
        experimental_delegates=[delegate],
        num_threads=1,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    values = {(array.ndim, array.shape[-1]): array for array in inputs}
    details = interpreter.get_input_details()
    for one in details:
        shape = values[len(one["shape"]), one["shape"][-1]].shape
        if shape != tuple(one["shape"]):
            interpreter.resize_tensor_input(one["index"], shape)
    interpreter.allocate_tensors()
    for one in details:
        interpreter.set_tensor(one["index"], values[len(one["shape"]), one["shape"][-1]])
    interpreter.invoke()
    outputs = [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]
    return Outcome(outputs, {size: taken(delegate, size) for size in SIZES})


def images(height: int, width: int, channels: int = CHANNELS) -> list[Float32]:
    """PAN, LMS and affines as `fuse.tflite` takes them."""
    random = np.random.default_rng(height * width)
    pan, lms = (random.random((1, height, width, count), np.float32) for count in (1, BANDS))
    affines = random.normal(0, 0.1, (BLOCKS, 2, channels)).astype(np.float32)
    affines[:, 0] += 1
    return [pan, lms, affines]


def assert_close(one: NDArray[Any], other: NDArray[Any]) -> None:
    """Equal but for the rounding of sums, and where that made a sign another one."""
    assert one.shape == other.shape
    apart = np.abs(one - other)
    assert np.mean(apart > 1e-4) <= LARGEST_SHARE_APART, (apart.max(), np.mean(apart > 1e-4))
    assert np.median(apart) < 1e-5


def run_in_larq(content: bytes, inputs: Sequence[NDArray[Any]], shape: Sequence[int]) -> Float32:
    """The output, of that shape, of Larq's own interpreter."""
    require_package("larq_compute_engine")
    out = np.empty(shape, np.float32)
    LarqEngine().open(content, "test graph").run({str(i): image for i, image in enumerate(inputs)}, out)
    return out
