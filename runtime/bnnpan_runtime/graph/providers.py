"""Which execution provider ONNX Runtime computes with: processor, CUDA or TensorRT."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bnnpan_runtime.errors import BackendError, one_line

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["CPU", "PROVIDER_VARIABLE", "open_session", "parse_providers", "wanted_providers"]

PROVIDER_VARIABLE = "BNNPAN_ONNX_PROVIDER"
"""Providers with commas between them, the first that works is taken; not set: the processor."""

CPU = "cpu"

_Options = Mapping[str, str]

_FULL_PRECISION: Mapping[str, tuple[str, _Options]] = {
    CPU: ("CPUExecutionProvider", {}),
    "cuda": ("CUDAExecutionProvider", {"use_tf32": "0"}),
    "tensorrt": ("TensorrtExecutionProvider", {"trt_fp16_enable": "0", "trt_int8_enable": "0"}),
}
"""Names in ONNX Runtime, and options: with shorter numbers, features next to a threshold tip over."""


def parse_providers(text: str) -> tuple[str, ...]:
    """Names in the order in which they are tried. Raises BackendError for an unknown one."""
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in _FULL_PRECISION:
            raise BackendError(f"no provider {name!r}; there are {', '.join(_FULL_PRECISION)}")
    return names


def wanted_providers() -> tuple[str, ...]:
    """Those of `PROVIDER_VARIABLE`."""
    return parse_providers(os.environ.get(PROVIDER_VARIABLE) or CPU)


def open_session(
    ort: Any, content: bytes, options: onnxruntime.SessionOptions, provider: str
) -> onnxruntime.InferenceSession:
    """A session that computes with `provider`; what that cannot do is left to the processor.

    Raises BackendError if this ONNX Runtime was built without it, refuses the graph, or cannot start the
    provider: ONNX Runtime by itself would say nothing and compute on the processor.
    """
    name, own = _FULL_PRECISION[provider]
    offered = ort.get_available_providers()
    if name not in offered:
        known = [key for key, (value, _) in _FULL_PRECISION.items() if value in offered]
        raise BackendError(f"this ONNX Runtime was built without {provider}; it has {', '.join(known)}")
    providers = [(name, dict(own))] + [(_FULL_PRECISION[CPU][0], {})] * (provider != CPU)
    try:
        session = ort.InferenceSession(content, options, providers=providers)
    except Exception as error:  # its exceptions share no base class
        raise BackendError(f"ONNX Runtime refuses fuse.onnx: {one_line(error)}") from error
    if session.get_providers()[0] != name:
        raise BackendError(f"{provider} does not start here; ONNX Runtime would compute on the processor")
    return session
