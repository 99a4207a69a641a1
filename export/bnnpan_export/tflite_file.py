"""TFLite flatbuffers as Python objects and back, by the schema of whichever TFLite is installed."""

from __future__ import annotations

from typing import Any

from bnnpan_runtime.errors import BackendError

__all__ = ["operator_names", "read_model", "written"]

_IDENTIFIER = b"TFL3"


def read_model(content: bytes) -> Any:
    """The `ModelT` of a file. Raises `BackendError` without a schema to read it by."""
    return _schema().ModelT.InitFromPackedBuf(content, 0)


def written(model: Any) -> bytes:
    """The file of a `ModelT`."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def operator_names(model: Any) -> list[str]:
    """Of every operator of the only subgraph: the names of TFLite, custom ones by their own."""
    builtin = vars(_schema().BuiltinOperator).items()
    names = {value: name for name, value in builtin if isinstance(value, int)}
    kinds = [
        code.customCode.decode()
        if code.customCode
        else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    ]
    (graph,) = model.subgraphs
    return [kinds[operator.opcodeIndex] for operator in graph.operators]


def _schema() -> Any:
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError:
        try:
            from tensorflow.lite.python import schema_py_generated as schema
        except ImportError as error:
            raise BackendError("ai-edge-litert or tensorflow is needed to read fuse.tflite") from error
    return schema
