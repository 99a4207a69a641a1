"""Larq's operators one by one in stock LiteRT with libbnnpan: what they compute, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from litert_edits import edited, operators
from litert_graphs import convolution_graph, convolution_options, write_graph
from litert_runs import run, run_in_larq
from numpy.typing import NDArray
from requirements import require_package

require_package("ai_edge_litert")


OPTIONS: dict[str, dict[str, int]] = {
    "as exported": {},
    "stride": {"stride_height": 2, "stride_width": 3},
    "dilation": {"dilation_height_factor": 2, "dilation_width_factor": 3},
    "valid": {"padding": 1},
    "valid with stride": {"padding": 1, "stride_height": 2, "stride_width": 2},
    "padded by ones": {"pad_values": 1},
    "padded by ones, rectified": {"pad_values": 1, "fused_activation_function": 1},
    "padded by ones, -1 to 1": {"pad_values": 1, "fused_activation_function": 2},
    "padded by ones, 0 to 6": {"pad_values": 1, "fused_activation_function": 3},
}


def signs(values: NDArray[Any]) -> NDArray[np.int32]:
    return np.where(values < 0, -1, 1).astype(np.int32)


def reference_sums(x: NDArray[Any], filters: NDArray[Any], options: dict[str, int]) -> NDArray[np.int32]:
    """Sums of signs of an image (rows, cols, inputs) under filters (outputs, rows, cols, inputs)."""
    strides = options["stride_height"], options["stride_width"]
    reach = [
        (taps - 1) * options[f"dilation_{axis}_factor"] + 1
        for taps, axis in zip(filters.shape[1:3], ("height", "width"), strict=True)
    ]
    padding = [(0, 0), (0, 0), (0, 0)]
    if options["padding"] == 0:
        for axis in range(2):
            total = max(
                0, (-(-x.shape[axis] // strides[axis]) - 1) * strides[axis] + reach[axis] - x.shape[axis]
            )
            padding[axis] = (total // 2, total - total // 2)
    padded = np.pad(signs(x), padding, constant_values=options["pad_values"])
    view = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(0, 1))[:: strides[0], :: strides[1]]
    taps = view[..., :: options["dilation_height_factor"], :: options["dilation_width_factor"]]
    return np.einsum("yxcij,oijc->yxo", taps, signs(filters))


def convolve(
    options: dict[str, int], inputs: int, outputs: int, taps: tuple[int, int] = (3, 3)
) -> tuple[bytes, NDArray[Any], NDArray[Any]]:
    """A graph, its input, and what it should give."""
    random = np.random.default_rng(inputs)
    x = random.normal(size=(1, 11, 14, inputs)).astype(np.float32)
    x[0, :3, :3] = np.float32([0.0, -0.0, 1e-45])[:, None, None]  # zeros are positive
    filters = random.normal(size=(outputs, *taps, inputs)).astype(np.float32)
    multiplier, bias = random.normal(size=(2, outputs)).astype(np.float32)
    sums = reference_sums(x[0], filters, options)
    low, high = {0: (-(10**6), 10**6), 1: (0, 10**6), 2: (-1, 1), 3: (0, 6)}[
        options["fused_activation_function"]
    ]
    expected = np.clip(sums, low, high).astype(np.float32) * multiplier + bias
    return convolution_graph(x.shape, filters, options, multiplier, bias), x, expected[None]


@pytest.mark.parametrize("channels", [(8, 8), (32, 32), (40, 17), (96, 4), (300, 33)], ids=str)
@pytest.mark.parametrize("name", OPTIONS)
def test_options_of_the_convolution(name: str, channels: tuple[int, int]) -> None:
    graph, x, expected = convolve(convolution_options(channels[0]) | OPTIONS[name], *channels)
    outcome = run(graph, [x])
    assert outcome.taken["operator"] == 2
    np.testing.assert_allclose(outcome.outputs[0], expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("taps", [(1, 1), (5, 5), (2, 4)], ids=str)
def test_filters_of_other_sizes(taps: tuple[int, int]) -> None:
    graph, x, expected = convolve(convolution_options(40), 40, 24, taps)
    np.testing.assert_allclose(run(graph, [x]).outputs[0], expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", OPTIONS)
def test_options_mean_what_they_do_in_larqs_interpreter(name: str) -> None:
    graph, x, _ = convolve(convolution_options(64) | OPTIONS[name], 64, 32)
    ours = run(graph, [x]).outputs[0]
    shaped = edited(graph, lambda model: set_output_shape(model, ours.shape))
    # Larq multiplies the sum out, (m K + b) - 2 m n: rounded at the size of m K, and K is 576 here.
    np.testing.assert_allclose(ours, run_in_larq(shaped, [x], ours.shape), rtol=1e-6, atol=1e-3)


def set_output_shape(model: Any, shape: tuple[int, ...]) -> None:
    model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]].shape = list(shape)


def test_packed_output_is_one_where_more_signs_differ_than_the_threshold() -> None:
    random = np.random.default_rng(0)
    options = convolution_options(64, padding=1)
    x = random.normal(size=(1, 6, 7, 64)).astype(np.float32)
    filters = random.normal(size=(40, 3, 3, 64)).astype(np.float32)
    thresholds = random.integers(270, 310, 40).astype(np.int32)
    none = np.empty(0, np.float32)
    outcome = run(convolution_graph(x.shape, filters, options, none, none, thresholds), [x])
    different = (9 * 64 - reference_sums(x[0], filters, options)) // 2
    flags = np.zeros((*different.shape[:2], 64), bool)
    flags[..., :40] = different > thresholds
    bits = np.packbits(flags, axis=-1, bitorder="little").view("<u4").view(np.int32)
    np.testing.assert_array_equal(outcome.outputs[0][0], bits)


def test_signs_come_out_as_they_went_in() -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 40)).astype(np.float32)
    x[0, 0, :2] = 0.0, -0.0
    there_and_back = write_graph(
        [("LceQuantize", None, [], (2, 5, 2), "int32"), ("LceDequantize", None, [], (2, 5, 40), "float32")],
        x.shape,
    )
    np.testing.assert_array_equal(run(there_and_back, [x]).outputs[0], signs(x))


def refused(graph: bytes, x: NDArray[Any]) -> str:
    with pytest.raises(RuntimeError) as error:
        run(graph, [x])
    return str(error.value)


def test_what_an_operator_cannot_do_is_named() -> None:
    x = np.zeros((1, 4, 4, 64), np.float32)
    filters = np.ones((32, 3, 3, 32), np.float32)
    ones = np.ones(32, np.float32)
    grouped = convolution_graph(x.shape, filters, convolution_options(64), ones, ones)
    assert "LceBconv2d: a grouped convolution is not supported" in refused(grouped, x)
    wide = np.ones((32, 3, 3, 64), np.float32)
    backwards = convolution_graph(x.shape, wide, convolution_options(64, stride_width=0), ones, ones)
    assert "stride below 1" in refused(backwards, x)
    packed = convolution_graph(x.shape, wide, convolution_options(64), ones, ones, np.zeros(32, np.int32))
    assert "packed output with zero padding" in refused(packed, x)
    small = convolution_graph((1, 2, 2, 64), wide, convolution_options(64, padding=1), ones, ones)
    assert "smaller than the filter" in refused(small, x[:, :2, :2])
    quantized = write_graph([("LceQuantize", None, [], (1, 4, 4, 2), "int32")], x.shape, "int8")
    assert "LceQuantize: a type other than" in refused(quantized, x.astype(np.int8))


def test_a_convolution_without_its_options_is_refused() -> None:
    x = np.zeros((1, 4, 4, 32), np.float32)
    ones = np.ones(32, np.float32)
    graph = convolution_graph(x.shape, np.ones((32, 3, 3, 32), np.float32), {"channels_in": 32}, ones, ones)
    assert "without its options" in refused(graph, x)


def test_damaged_options_are_refused_or_run() -> None:
    """Every byte of the options in turn becomes another one; the process survives."""
    x = np.zeros((1, 4, 4, 32), np.float32)
    ones = np.ones(32, np.float32)
    graph = convolution_graph(
        x.shape, np.ones((32, 3, 3, 32), np.float32), convolution_options(32), ones, ones
    )
    length = len(edited_options(graph, 0, 0)[1])
    refusals = 0
    for place in range(length):
        for value in (0xFF, 0x2A):
            try:
                run(edited_options(graph, place, value)[0], [x])
            except RuntimeError:
                refusals += 1
    assert refusals > length // 2


def edited_options(graph: bytes, place: int, value: int) -> tuple[bytes, list[int]]:
    """The graph with one byte of its convolution's options replaced, and all of them."""
    options: list[int] = []

    def edit(model: Any) -> None:
        operator = operators(model, "LceBconv2d")[0]
        options.extend(int(byte) for byte in operator.customOptions)
        changed = np.array(options, np.uint8)
        changed[place] = value
        operator.customOptions = changed

    return edited(graph, edit), options
