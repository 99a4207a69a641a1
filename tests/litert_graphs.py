"""TFLite graphs to try the LiteRT delegate on: single Larq operators, changed copies of an exported network.

Needs ai-edge-litert, whose schema reads and writes the files.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.graph.native import library_path

__all__ = ["Outcome", "convolution_graph", "edited", "operators", "resized", "run", "write_graph"]

SIZES = ("network", "trunk", "operator")
CHANNELS = 32
"""Of the shipped network, which `resized` takes."""


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
    return Outcome(outputs, {size: _taken(delegate, size) for size in SIZES})


def _taken(delegate: Any, size: str) -> int:
    count = ctypes.CDLL(str(library_path())).bnnpan_litert_taken
    count.argtypes, count.restype = [ctypes.c_void_p, ctypes.c_char_p], ctypes.c_int32
    return int(count(delegate._get_native_delegate_pointer(), size.encode()))


def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def _packed(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _options(values: Mapping[str, int]) -> NDArray[np.uint8]:
    from flatbuffers import flexbuffers

    builder = flexbuffers.Builder()
    with builder.Map():
        for key, value in values.items():
            builder.Key(key)
            builder.Int(value)
    return np.frombuffer(bytes(builder.Finish()), np.uint8)


def _add_constant(model: Any, values: NDArray[Any]) -> int:
    schema = _schema()
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    model.buffers.append(buffer)
    return _add_tensor(model, values.shape, values.dtype, len(model.buffers) - 1)


def _add_tensor(model: Any, shape: Sequence[int], dtype: Any, buffer: int = 0) -> int:
    schema = _schema()
    types = {
        "float32": schema.TensorType.FLOAT32,
        "int32": schema.TensorType.INT32,
        "int8": schema.TensorType.INT8,
    }
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.buffer = list(shape), types[np.dtype(dtype).name], buffer
    tensor.name = f"tensor{len(model.subgraphs[0].tensors)}".encode()
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def _add_custom(
    model: Any, name: str, inputs: Sequence[int], outputs: Sequence[int], options: Mapping[str, int] | None
) -> None:
    schema = _schema()
    code, operator = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = name.encode(), 1
    model.operatorCodes.append(code)
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = list(inputs), list(outputs)
    if options is not None:
        operator.customOptions = _options(options)
    model.subgraphs[0].operators.append(operator)


def write_graph(
    steps: Sequence[tuple[str, Mapping[str, int] | None, Sequence[NDArray[Any] | None], Sequence[int], str]],
    shape: Sequence[int],
    dtype: str = "float32",
) -> bytes:
    """A chain of Larq operators behind one input.

    Each step is (operator, options, constants with None for one left out, output shape, output dtype).
    """
    schema = _schema()
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.operatorCodes, model.buffers = 3, [], [schema.BufferT()]
    model.subgraphs, graph.tensors, graph.operators = [graph], [], []
    last = first = _add_tensor(model, shape, dtype)
    for name, options, constants, out_shape, out_dtype in steps:
        others = [-1 if values is None else _add_constant(model, values) for values in constants]
        output = _add_tensor(model, out_shape, out_dtype)
        _add_custom(model, name, [last, *others], [output], options)
        last = output
    graph.inputs, graph.outputs = [first], [last]
    return _packed(model)


def convolution_graph(
    shape: Sequence[int],
    signs: NDArray[np.float32],
    options: Mapping[str, int],
    multiplier: NDArray[np.float32],
    bias: NDArray[np.float32],
    thresholds: NDArray[np.int32] | None = None,
) -> bytes:
    """Float input, LceQuantize, LceBconv2d with filters `signs` (outputs, rows, cols, inputs), output.

    With thresholds the output is packed; the sizes in the file are placeholders, which a runtime replaces.
    """
    flags = np.zeros((*signs.shape[:-1], 32 * -(-signs.shape[-1] // 32)), bool)
    flags[..., : signs.shape[-1]] = signs < 0
    bits = np.packbits(flags, axis=-1, bitorder="little").view("<u4").view(np.int32)
    out = (1, 1, 1, len(signs) if thresholds is None else -(-len(signs) // 32))
    constants = [bits, None, None, thresholds] if thresholds is not None else [bits, multiplier, bias, None]
    return write_graph(
        [
            ("LceQuantize", None, [], (*shape[:-1], -(-shape[-1] // 32)), "int32"),
            ("LceBconv2d", options, constants, out, "float32" if thresholds is None else "int32"),
        ],
        shape,
    )


def edited(content: bytes, edit: Callable[[Any], None]) -> bytes:
    """The graph after `edit` has changed its ModelT."""
    model = _schema().ModelT.InitFromPackedBuf(content, 0)
    edit(model)
    return _packed(model)


def operators(model: Any, name: str) -> list[Any]:
    """All operators of a name, custom or builtin, in order."""
    schema = _schema()
    builtin = getattr(schema.BuiltinOperator, name, None)

    def has_name(operator: Any) -> bool:
        code = model.operatorCodes[operator.opcodeIndex]
        if code.customCode:
            return bool(code.customCode == name.encode())
        return max(code.builtinCode, code.deprecatedBuiltinCode) == builtin

    return [operator for operator in model.subgraphs[0].operators if has_name(operator)]


def resized(content: bytes, channels: int) -> bytes:
    """A network of another number of channels, its constants repeated or cut off, its filters random."""
    random = np.random.default_rng(channels)
    words = -(-channels // 32)

    def edit(model: Any) -> None:
        for tensor in model.subgraphs[0].tensors:
            _resize(model, tensor, channels, words, random)
        for operator in operators(model, "LceBconv2d"):
            operator.customOptions = _options(convolution_options(channels))

    return edited(content, edit)


def convolution_options(channels: int, **changed: int) -> dict[str, int]:
    """Options of LceBconv2d as the exporter's convolutions have them, with changes."""
    usual = {
        "channels_in": channels,
        "dilation_height_factor": 1,
        "dilation_width_factor": 1,
        "fused_activation_function": 0,
        "pad_values": 0,
        "padding": 0,
        "stride_height": 1,
        "stride_width": 1,
    }
    return usual | changed


def _resize(model: Any, tensor: Any, channels: int, words: int, random: np.random.Generator) -> None:
    schema = _schema()
    old = [int(length) for length in (tensor.shape if tensor.shape is not None else ())]
    shape = list(old)
    data = model.buffers[tensor.buffer].data
    constant = data is not None and len(data) > 0
    if tensor.type == schema.TensorType.INT32:
        if len(old) != 4:  # axes and bounds of slices
            return
        shape[-1] = words
    elif shape:
        shape[-1] = {CHANNELS: channels, 4 * CHANNELS: 4 * channels}.get(shape[-1], shape[-1])
    if constant and len(shape) == 4 and shape[0] == CHANNELS:
        shape[0] = channels
    tensor.shape = shape
    if not constant or shape == old == []:
        return
    if tensor.type == schema.TensorType.INT32:
        flags = np.zeros((*shape[:-1], 32 * words), bool)
        flags[..., :channels] = random.random((*shape[:-1], channels)) < 0.5
        bytes_ = np.packbits(flags, axis=-1, bitorder="little").reshape(-1)
    else:
        values = np.frombuffer(np.asarray(data, np.uint8).tobytes(), np.float32)
        bytes_ = np.frombuffer(np.resize(values, shape).tobytes(), np.uint8)
    buffer = schema.BufferT()
    buffer.data = bytes_
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1
