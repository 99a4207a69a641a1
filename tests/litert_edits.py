"""Changed copies of TFLite graphs that the exporter wrote."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
from litert_graphs import convolution_options, custom_options, litert_schema, packed
from numpy.typing import NDArray

__all__ = ["CHANNELS", "consumers", "edited", "operators", "own_constant", "resized", "shape_of"]

CHANNELS = 32
"""Of the shipped network, which `resized` takes."""


def edited(content: bytes, edit: Callable[[Any], None]) -> bytes:
    """The graph after `edit` has changed its ModelT."""
    model = litert_schema().ModelT.InitFromPackedBuf(content, 0)
    edit(model)
    return packed(model)


def operators(model: Any, name: str) -> list[Any]:
    """All operators of a name, custom or builtin, in order."""
    schema = litert_schema()
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
            operator.customOptions = custom_options(convolution_options(channels))

    return edited(content, edit)


def _resize(model: Any, tensor: Any, channels: int, words: int, random: np.random.Generator) -> None:
    schema = litert_schema()
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


def consumers(model: Any, tensor: int) -> list[Any]:
    """Operators that read a tensor."""
    return [one for one in model.subgraphs[0].operators if tensor in list(one.inputs)]


def shape_of(model: Any, tensor: int) -> list[int]:
    """Shape of a tensor; that of a scalar is empty."""
    shape = model.subgraphs[0].tensors[tensor].shape
    return [] if shape is None else list(shape)


def own_constant(
    model: Any, operator: Any, place: int, change: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    """Give one operator a changed copy of a constant that it may share with others."""
    graph = model.subgraphs[0]
    tensor = copy(graph.tensors[operator.inputs[place]])
    buffer = copy(model.buffers[tensor.buffer])
    data = np.asarray(buffer.data, np.uint8).tobytes()
    values = np.frombuffer(data, np.int32 if tensor.type else np.float32).reshape(tensor.shape)
    buffer.data = np.frombuffer(np.ascontiguousarray(change(values)).tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.buffer, tensor.name = len(model.buffers) - 1, None
    graph.tensors.append(tensor)
    inputs = list(operator.inputs)
    inputs[place] = len(graph.tensors) - 1
    operator.inputs = inputs
