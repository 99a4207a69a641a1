"""Stock LiteRT with libbnnpan as its delegate: what it takes of a graph, and that the values stay right."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from litert_graphs import (
    CHANNELS,
    convolution_graph,
    convolution_options,
    edited,
    operators,
    resized,
    run,
    write_graph,
)
from numpy.typing import NDArray

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.graph.native import instruction_sets
from bnnpan_runtime.graph.protocol import Backend, Float32
from bnnpan_runtime.verify import golden_check

litert = pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")

BLOCKS, BANDS = 4, 4
WINDOW = 128

LARGEST_SHARE_APART = 0.02
"""Where float sums are rounded in another order, activations next to a threshold may take another sign."""


@pytest.fixture(scope="module")
def fuse_graph() -> bytes:
    return Bundle.open("bgrn-x4").read("fuse.tflite")


def images(height: int, width: int, channels: int = CHANNELS) -> list[Float32]:
    """PAN, LMS and affines as `fuse.tflite` takes them."""
    random = np.random.default_rng(height * width)
    pan, lms = (random.random((1, height, width, count), np.float32) for count in (1, BANDS))
    affines = random.normal(0, 0.1, (BLOCKS, 2, channels)).astype(np.float32)
    affines[:, 0] += 1
    return [pan, lms, affines]


def assert_close(one: NDArray[Any], other: NDArray[Any]) -> None:
    assert one.shape == other.shape
    apart = np.abs(one - other)
    assert np.mean(apart > 1e-4) <= LARGEST_SHARE_APART, (apart.max(), np.mean(apart > 1e-4))
    assert np.median(apart) < 1e-5


def larq_graph(content: bytes) -> Any:
    """The graph in Larq's own interpreter, the oracle; skips where it is not installed."""
    from bnnpan_runtime.graph.larq import LarqEngine

    try:
        return LarqEngine().open(content, "test graph")
    except BackendError as error:
        pytest.skip(str(error))


def larq(content: bytes, inputs: list[Any]) -> NDArray[Any]:
    graph = larq_graph(content)
    ordered = {str(i): array for i, array in enumerate(inputs)}
    out = np.empty(tuple(graph._interpreter.output_shapes[0]), graph._interpreter.output_types[0])
    graph.run(ordered, out)
    return out


# The whole network


def test_the_network_of_the_exporter_is_taken_whole(fuse_graph: bytes) -> None:
    assert run(fuse_graph, images(WINDOW, WINDOW)).taken == {"network": 1, "trunk": 0, "operator": 0}


def test_the_units_of_a_calibration_are_taken_block_by_block(bundle: Bundle) -> None:
    inputs = [np.full((16, 64, 64, count), 0.25, np.float32) for count in (1, BANDS)]
    outcome = run(bundle.read("calibrate.tflite"), inputs)
    assert outcome.taken == {"network": 0, "trunk": BLOCKS, "operator": 0}


@pytest.mark.parametrize("size", [(128, 128), (2, 2), (2, 64), (130, 66), (64, 18)])
def test_values_are_those_of_the_native_engine_bit_by_bit(bundle: Bundle, size: tuple[int, int]) -> None:
    pan, lms, affines = images(*size)
    products = []
    for name in ("tflite", "native"):
        engine = open_backend(name, bundle)
        out = np.empty((BANDS, *size), np.float32)
        arena = np.empty(engine.memory(*size).arena_bytes, np.uint8)
        planes = [np.ascontiguousarray(image[0].transpose(2, 0, 1)) for image in (pan, lms)]
        engine.fuse(planes[0], planes[1], affines, out, arena)
        products.append(out)
    np.testing.assert_array_equal(*products)


def test_every_instruction_set_gives_the_same_bits(fuse_graph: bytes) -> None:
    best = run(fuse_graph, images(32, 48)).outputs[0]
    for isa in instruction_sets():
        np.testing.assert_array_equal(best, run(fuse_graph, images(32, 48), isa=isa).outputs[0])


@pytest.mark.parametrize("size", [(64, 64), (34, 50)])
@pytest.mark.parametrize("channels", [8, 32, 40, 64])
def test_pieces_of_every_size_agree(fuse_graph: bytes, channels: int, size: tuple[int, int]) -> None:
    graph = resized(fuse_graph, channels)
    inputs = images(*size, channels)
    network, trunk, single = (run(graph, inputs, take=take) for take in ("network", "trunk", "operator"))
    assert network.taken["network"] == trunk.taken["trunk"] == 1
    assert single.taken == {"network": 0, "trunk": 0, "operator": 2 * 4 * BLOCKS}
    assert_close(network.outputs[0], single.outputs[0])
    assert_close(trunk.outputs[0], single.outputs[0])


@pytest.mark.parametrize("channels", [8, 32, 40, 64])
def test_values_are_those_of_larqs_interpreter(fuse_graph: bytes, channels: int) -> None:
    graph, inputs = resized(fuse_graph, channels), images(WINDOW, WINDOW, channels)
    assert_close(run(graph, inputs).outputs[0], larq(graph, inputs))


# Graphs that are nearly the exporter's


def convolution_of_first_unit(model: Any) -> Any:
    return operators(model, "LceBconv2d")[0]


def consumers(model: Any, tensor: int) -> list[Any]:
    return [one for one in model.subgraphs[0].operators if tensor in list(one.inputs)]


def branch_of_first_unit(model: Any) -> int:
    """The tensor behind convolution, PReLU and the addition of zeta."""
    (prelu,) = consumers(model, convolution_of_first_unit(model).outputs[0])
    (zeta,) = consumers(model, prelu.outputs[0])
    return int(zeta.outputs[0])


def own_constant(
    model: Any, operator: Any, place: int, change: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    """Gives one operator a changed copy of a constant that it may share with others."""
    from copy import copy

    graph = model.subgraphs[0]
    tensor = copy(graph.tensors[operator.inputs[place]])
    buffer = copy(model.buffers[tensor.buffer])
    data = np.asarray(buffer.data, np.uint8).tobytes()
    values = np.frombuffer(data, np.int32 if tensor.type else np.float32).reshape(tensor.shape)
    buffer.data = np.frombuffer(np.ascontiguousarray(change(values)).tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.buffer, tensor.name = len(model.buffers) - 1, tensor.name + b"/changed"
    graph.tensors.append(tensor)
    inputs = list(operator.inputs)
    inputs[place] = len(graph.tensors) - 1
    operator.inputs = inputs


def first_epsilon(model: Any) -> Any:
    """The addition of epsilon to the first unit's variance."""
    scalars = [one for one in operators(model, "ADD") if not len(shape_of(model, one.inputs[1]))]
    return scalars[0]


def shape_of(model: Any, tensor: int) -> list[int]:
    shape = model.subgraphs[0].tensors[tensor].shape
    return [] if shape is None else list(shape)


def with_other_epsilon(model: Any) -> None:
    own_constant(model, first_epsilon(model), 1, lambda values: np.float32(1e6) * values)


def with_activation_in_a_unit(model: Any) -> None:
    first_epsilon(model).builtinOptions.fusedActivationFunction = 1


def with_difference_the_other_way(model: Any) -> None:
    (difference,) = [one for one in operators(model, "SUB") if one.inputs[0] == branch_of_first_unit(model)]
    difference.inputs = list(difference.inputs)[::-1]


def with_inner_tensor_as_output(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.outputs = [*graph.outputs, branch_of_first_unit(model)]


def with_gain_of_another_block(model: Any) -> None:
    gains = [
        one
        for one in operators(model, "MUL")
        if len(shape_of(model, one.inputs[1])) == 1 and is_made(model, one)
    ]
    gains[0].inputs = [gains[0].inputs[0], gains[1].inputs[1]]


def is_made(model: Any, operator: Any) -> bool:
    """Whether the second input is made while the graph runs."""
    data = model.buffers[model.subgraphs[0].tensors[operator.inputs[1]].buffer].data
    return data is None or len(data) == 0


def with_padding_by_ones(model: Any) -> None:
    from litert_graphs import _options

    operator = convolution_of_first_unit(model)
    operator.customOptions = _options(convolution_options(CHANNELS, pad_values=1))


IN_A_UNIT = [
    with_other_epsilon,
    with_activation_in_a_unit,
    with_difference_the_other_way,
    with_inner_tensor_as_output,
    with_gain_of_another_block,
    with_padding_by_ones,
]


@pytest.mark.parametrize("edit", IN_A_UNIT, ids=lambda edit: edit.__name__)
def test_a_changed_unit_runs_operator_by_operator(fuse_graph: bytes, edit: Callable[[Any], None]) -> None:
    graph, inputs = edited(fuse_graph, edit), images(64, 64)
    outcome, single = run(graph, inputs), run(graph, inputs, take="operator")
    assert outcome.taken == {"network": 0, "trunk": 0, "operator": 2 * 4 * BLOCKS}
    np.testing.assert_array_equal(outcome.outputs[0], single.outputs[0])


def test_a_changed_epsilon_counts(fuse_graph: bytes) -> None:
    graph, inputs = edited(fuse_graph, with_other_epsilon), images(WINDOW, WINDOW)
    changed = run(graph, inputs).outputs[0]
    assert np.median(np.abs(changed - run(fuse_graph, inputs).outputs[0])) > 1e-4
    assert_close(changed, larq(graph, inputs))


def with_activation_behind_the_head(model: Any) -> None:
    operators(model, "CONV_2D")[0].builtinOptions.fusedActivationFunction = 1


def with_another_factor_of_the_haar_transform(model: Any) -> None:
    halves = [
        one
        for one in operators(model, "MUL")
        if shape_of(model, one.inputs[1]) == [] and len(shape_of(model, one.inputs[0])) == 4
    ]
    own_constant(model, halves[-1], 1, lambda values: values / 2)


def with_features_as_output(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.outputs = [*graph.outputs, operators(model, "CONV_2D")[0].outputs[0]]


def with_detail_subtracted(model: Any) -> None:
    tail = operators(model, "CONV_2D")[1]
    (last,) = consumers(model, tail.outputs[0])
    last.opcodeIndex = operators(model, "SUB")[0].opcodeIndex
    last.builtinOptions = operators(model, "SUB")[0].builtinOptions
    last.builtinOptionsType = operators(model, "SUB")[0].builtinOptionsType


AROUND_THE_TRUNK = [
    with_activation_behind_the_head,
    with_another_factor_of_the_haar_transform,
    with_features_as_output,
    with_detail_subtracted,
]


@pytest.mark.parametrize("edit", AROUND_THE_TRUNK, ids=lambda edit: edit.__name__)
def test_around_a_changed_head_or_tail_the_trunk_is_taken(
    fuse_graph: bytes, edit: Callable[[Any], None]
) -> None:
    graph, inputs = edited(fuse_graph, edit), images(64, 64)
    outcome = run(graph, inputs)
    assert outcome.taken == {"network": 0, "trunk": 1, "operator": 0}
    for one, other in zip(outcome.outputs, run(graph, inputs, take="operator").outputs, strict=True):
        assert_close(one, other)


# Single operators

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
    np.testing.assert_allclose(ours, larq(shaped, [x]), rtol=1e-6, atol=1e-3)


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
    """Every byte of the options in turn becomes another one: nothing outside of them is read."""
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
        operator = convolution_of_first_unit(model)
        options.extend(int(byte) for byte in operator.customOptions)
        changed = np.array(options, np.uint8)
        changed[place] = value
        operator.customOptions = changed

    return edited(graph, edit), options


@pytest.mark.parametrize("options", [{"isa": "abacus"}, {"take": "everything"}, {"speed": "1"}], ids=str)
def test_options_that_are_unknown_are_refused(fuse_graph: bytes, options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="bnnpan: "):
        run(fuse_graph, images(64, 64), **options)


# The backend


@pytest.fixture
def backend(bundle: Bundle) -> Backend:
    return open_backend("tflite", bundle)


def test_the_backend_passes_the_golden_tile(backend: Backend, bundle: Bundle) -> None:
    check = golden_check(backend, bundle)
    assert check.passed, check.detail
    assert backend.isa.startswith("ai-edge-litert ") and backend.isa.endswith(" kernels")
    assert backend.fixed_window is None


def test_larqs_interpreter_passes_the_golden_tile_at_its_fixed_size(bundle: Bundle) -> None:
    from bnnpan_runtime.graph.larq import LarqEngine
    from bnnpan_runtime.graph.tflite import TfliteBackend

    try:
        engine = TfliteBackend(bundle, LarqEngine())
    except BackendError as error:
        pytest.skip(str(error))
    assert engine.fixed_window == WINDOW and engine.isa == "larq-compute-engine"
    assert golden_check(engine, bundle).passed


def planes(height: int, width: int) -> list[Float32]:
    pan, lms, affines = images(height, width)
    return [np.ascontiguousarray(image[0].transpose(2, 0, 1)) for image in (pan, lms)] + [affines]


def test_calls_from_several_threads_do_not_meet(backend: Backend) -> None:
    def fused(side: int) -> Float32:
        pan, lms, affines = planes(side, side)
        out = np.empty_like(lms)
        backend.fuse(pan, lms, affines, out, np.empty(0, np.uint8))
        return out

    sides = [64, 96, 128] * 6
    alone = {side: fused(side) for side in set(sides)}
    with ThreadPoolExecutor(4) as pool:
        for side, out in zip(sides, pool.map(fused, sides), strict=True):
            np.testing.assert_array_equal(out, alone[side])


QUIET = """
import numpy as np
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.memory import peak_bytes, reset_peak, resident_bytes

bundle, side = Bundle.open("bgrn-x4"), 512
network, calibration = bundle.manifest.network, bundle.manifest.calibration
open_backend("tflite", bundle)
lms, pan = np.ones((network.bands, side, side), np.float32), np.ones((1, side, side), np.float32)
patches = [
    np.ones((calibration.count, bands, calibration.patch, calibration.patch), np.float32)
    for bands in (1, network.bands)
]
out, affines = np.ones_like(lms), np.ones((network.blocks, 2, network.channels), np.float32)


def measured(step):
    before = resident_bytes()
    reset_peak()
    step()
    return peak_bytes() - before


engine = open_backend("tflite", bundle)
print(measured(lambda: engine.fuse(pan, lms, affines, out, np.empty(0, np.uint8))))
print(engine.memory(side, side).library_bytes)
print(measured(lambda: engine.calibrate(*patches)))
print(engine.calibration_bytes(calibration.count, calibration.patch))
"""


def test_a_run_stays_within_its_memory_and_says_nothing(subprocess_environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", QUIET]
    result = subprocess.run(command, env=subprocess_environment, capture_output=True, text=True, timeout=120)
    assert result.stderr == ""
    fuse, fuse_promised, calibrate, calibrate_promised = map(int, result.stdout.split())
    assert 0.5 * fuse_promised < fuse <= fuse_promised
    assert 0.5 * calibrate_promised < calibrate <= calibrate_promised


def test_without_any_interpreter_the_backend_says_what_to_install(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "larq_compute_engine", None)
    with pytest.raises(BackendError, match=r"bnnpan-runtime\[tflite\].*larq-compute-engine"):
        open_backend("tflite", bundle)


def test_an_unknown_instruction_set_is_refused(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "larq_compute_engine", None)
    monkeypatch.setenv("BNNPAN_ISA", "abacus")
    with pytest.raises(BackendError, match="abacus"):
        open_backend("tflite", bundle)


def test_a_damaged_graph_is_refused() -> None:
    from bnnpan_runtime.graph.litert import LiteRtEngine

    with pytest.raises(BackendError, match=r"LiteRT refuses x\.tflite"):
        LiteRtEngine().open(b"no flatbuffer", "x.tflite")


ON_A_BOARD = """
import hashlib, sys
import numpy as np
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.graph.tflite import TfliteBackend
from bnnpan_runtime.verify import golden_check

bundle = Bundle.open("bgrn-x4")
engine = TfliteBackend(bundle)
check = golden_check(engine, bundle)
random = np.random.default_rng(0)
pan, lms = random.random((1, 64, 96), np.float32), random.random((4, 64, 96), np.float32)
affines = random.random((4, 2, 32), np.float32)
out = np.empty_like(lms)
engine.fuse(pan, lms, affines, out, np.empty(0, np.uint8))
print(engine.isa, check.passed, hashlib.sha256(out).hexdigest(), sep=",")
"""


@pytest.mark.slow
def test_the_stock_wheel_for_aarch64_gives_the_same_bits(
    repo_root: Path, tmp_path: Path, subprocess_environment: dict[str, str]
) -> None:
    from aarch64.environment import Unavailable, prepare

    library = cross_compiled(repo_root / "runtime" / "native", tmp_path)
    try:
        board = prepare(["ai-edge-litert==2.3.0", "numpy<2.3", "safetensors"])
    except Unavailable as error:
        pytest.skip(str(error))
    there = board.run(
        ["-c", ON_A_BOARD],
        packages=[repo_root / "runtime"],
        variables={"BNNPAN_NATIVE_LIBRARY": str(library)},
    )
    assert there.returncode == 0, there.stderr
    command = [sys.executable, "-c", ON_A_BOARD]
    here = subprocess.run(command, env=subprocess_environment, capture_output=True, text=True, check=True)
    name, passed, digest = there.stdout.strip().split(",")
    assert name == "ai-edge-litert 2.3.0 with neon kernels"
    assert passed == "True"
    assert digest == here.stdout.strip().split(",")[-1]


def cross_compiled(sources: Path, folder: Path) -> Path:
    """libbnnpan for aarch64; skips without the compiler."""
    import shutil

    if shutil.which("aarch64-linux-gnu-gcc") is None or shutil.which("cmake") is None:
        pytest.skip("needs aarch64-linux-gnu-gcc and cmake")
    choices = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": "aarch64",
        "CMAKE_C_COMPILER": "aarch64-linux-gnu-gcc",
    }
    defined = [f"-D{name}={value}" for name, value in choices.items()]
    for command in (["cmake", "-S", sources, "-B", folder, *defined], ["cmake", "--build", folder]):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "libbnnpan.so"
