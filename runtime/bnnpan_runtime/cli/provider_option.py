"""`--provider` of `fuse` and `bench`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["provider_option", "use_provider"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def provider_option(function: _Function) -> _Function:
    """`--provider`, passed as `provider`."""
    return click.option(
        "--provider",
        metavar="NAME,NAME",
        help="What ONNX Runtime computes with: cpu, cuda, tensorrt; the first that works.  [default: cpu]",
    )(function)


def use_provider(provider: str | None, backend: str | None) -> None:
    """Tell every ONNX Runtime that this process and its children open.

    Raises UsageError for a `backend` that is not ONNX Runtime (None: several run), BackendError for an
    unknown provider.
    """
    if provider is None:
        return
    if backend not in (None, "onnx"):
        raise click.UsageError(f"--provider is for --backend onnx, not {backend}")
    from bnnpan_runtime.graph.providers import PROVIDER_VARIABLE, parse_providers

    os.environ[PROVIDER_VARIABLE] = ",".join(parse_providers(provider))
