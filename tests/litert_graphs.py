"""TFLite graphs of single Larq operators, to try the LiteRT delegate on.

Needs ai-edge-litert, whose schema writes the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "convolution_graph",
    "convolution_options",
    "custom_options",
    "litert_schema",
    "packed",
    "write_graph",
]


def litert_schema() -> Any:
    """Classes of the flatbuffer schema."""
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def packed(model: Any) -> bytes:
    """A model as a file."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def custom_options(values: Mapping[str, int]) -> NDArray[np.uint8]:
    """Options of a custom operator as it stores them."""
    from flatbuffers import flexbuffers

    builder = flexbuffers.Builder()
    with builder.Map():
        for key, value in values.items():
            builder.Key(key)
            builder.Int(value)
    return np.frombuffer(bytes(builder.Finish()), np.uint8)


def _add_constant(model: Any, values: NDArray[Any]) -> int:
    schema = litert_schema()
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    model.buffers.append(buffer)
    return _add_tensor(model, values.shape, values.dtype, len(model.buffers) - 1)


def _add_tensor(model: Any, shape: Sequence[int], dtype: Any, buffer: int = 0) -> int:
    schema = litert_schema()
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
    schema = litert_schema()
    code, operator = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = name.encode(), 1
    model.operatorCodes.append(code)
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = list(inputs), list(outputs)
    if options is not None:
        operator.customOptions = custom_options(options)
    model.subgraphs[0].operators.append(operator)


def write_graph(
    steps: Sequence[tuple[str, Mapping[str, int] | None, Sequence[NDArray[Any] | None], Sequence[int], str]],
    shape: Sequence[int],
    dtype: str = "float32",
) -> bytes:
    """A chain of Larq operators behind one input.

    Each step is (operator, options, constants with None for one left out, output shape, output dtype).
    """
    schema = litert_schema()
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
    return packed(model)


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
