"""Rid a TFLite flatbuffer of what no interpreter reads: most of the file around its constants.

The converter names every tensor, gives it an empty quantisation and a second copy of its shape, and a buffer
of its own even where it holds nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["slim"]

_EMPTY_BUFFER = 0
"""Buffer 0 is empty by convention: that of all tensors without constant values."""


def slim(content: bytes) -> bytes:
    """The same graph without names (but for inputs and outputs), copies of constants, and empty fields.

    For graphs of one subgraph whose shapes are fixed and whose tensors are not quantised.
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model: Any = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs
    buffers, places = [schema.BufferT()], {b"": _EMPTY_BUFFER}
    for index, tensor in enumerate(graph.tensors):
        if index not in {*graph.inputs, *graph.outputs}:
            tensor.name = None
        tensor.quantization = tensor.shapeSignature = None
        data = model.buffers[tensor.buffer].data
        values = b"" if data is None else np.asarray(data, np.uint8).tobytes()
        if values not in places:
            places[values] = len(buffers)
            buffers.append(model.buffers[tensor.buffer])
        tensor.buffer = places[values]
    model.buffers, model.metadata, model.description = buffers, None, None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
