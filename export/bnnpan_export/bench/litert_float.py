"""The network of a `fuse.tflite` as a float network: what stock LiteRT is timed with.

Needs ai-edge-litert, whose schema reads and writes the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["float_network"]


def float_network(content: bytes) -> bytes:
    """The same flatbuffer with a float CONV_2D, which XNNPACK runs, in place of each binary convolution.

    Takes graphs as the exporter writes them: 3x3 convolutions with zero padding, each behind its LceQuantize.
    The sign goes: a float network has none, and its values are of no meaning, only its time. All else stays.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    convolution = _operator_code(schema, model)
    quantized: dict[int, int] = {}  # packed tensor: the float tensor it was made from
    operators = []
    for operator in graph.operators:
        name = model.operatorCodes[operator.opcodeIndex].customCode
        if name == b"LceQuantize":
            quantized[operator.outputs[0]] = operator.inputs[0]
            continue
        if name == b"LceBconv2d":
            packed, *constants = operator.inputs[:4]
            operator = _convolution(schema, model, constants, quantized[packed], operator.outputs[0])
            operator.opcodeIndex = convolution
        operators.append(operator)
    graph.operators = operators
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _operator_code(schema: Any, model: Any) -> int:
    """Index of CONV_2D among the model's operators, which its head and tail use too."""
    codes = [code.builtinCode for code in model.operatorCodes]
    return codes.index(schema.BuiltinOperator.CONV_2D)


def _convolution(schema: Any, model: Any, constants: list[int], source: int, target: int) -> Any:
    filter_bits, multiplier, bias = (_values(model, index) for index in constants)
    channels = len(multiplier)
    signs = _unpack(filter_bits.view(np.uint32), channels)
    options = schema.Conv2DOptionsT()
    options.padding = schema.Padding.SAME
    options.strideH = options.strideW = options.dilationHFactor = options.dilationWFactor = 1
    operator = schema.OperatorT()
    weight = _constant(schema, model, signs * multiplier[:, None, None, None])
    operator.inputs = [source, weight, _constant(schema, model, bias)]
    operator.outputs = [target]
    operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    operator.builtinOptions = options
    return operator


def _values(model: Any, index: int) -> NDArray[Any]:
    tensor = model.subgraphs[0].tensors[index]
    data = np.asarray(model.buffers[tensor.buffer].data, np.uint8).tobytes()
    return np.frombuffer(data, np.float32 if tensor.type == 0 else np.int32).reshape(tensor.shape)


def _constant(schema: Any, model: Any, values: NDArray[np.float32]) -> int:
    buffer, tensor = schema.BufferT(), schema.TensorT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values, np.float32).tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.shape, tensor.type = list(values.shape), schema.TensorType.FLOAT32
    tensor.buffer = len(model.buffers) - 1
    tensor.name = f"float/{tensor.buffer}".encode()
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def _unpack(words: NDArray[np.uint32], channels: int) -> NDArray[np.float32]:
    """Filters `(outputs, 3, 3, words)` to signs `(outputs, 3, 3, channels)`; bit 1 is negative."""
    bits = words[..., None] >> np.arange(32, dtype=np.uint32) & 1
    flat = bits.reshape(*words.shape[:-1], -1)[..., :channels]
    return (1 - 2 * flat.astype(np.float32)).astype(np.float32)
