"""Choose a backend by name; engines are imported only here and only when asked for."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import WEIGHTS_NAME
from bnnpan_runtime.errors import BackendError, VerificationError
from bnnpan_runtime.graph.protocol import Backend

__all__ = ["BACKENDS", "open_backend"]

BACKENDS = ("native", "onnx", "tflite")
"""Best first: the order in which "auto" tries them."""

_FILES = {
    "native": (WEIGHTS_NAME,),
    "onnx": ("fuse.onnx",),
    "tflite": ("fuse.tflite",),
}

_TRIAL_SECONDS = 120
"""For a golden tile in a process of its own: seconds on a slow board."""

_log = logging.getLogger(__name__)


def open_backend(name: str, bundle: Bundle, *, self_test: bool = False) -> Backend:
    """Open the backend for a bundle; "auto" takes the first that the bundle has files for and that opens.

    With `self_test` it has to reproduce the bundle's golden tile first: libraries that no longer fit each
    other, or memory that does not hold what was written, are found out before they spoil a product.

    Raises BackendError if the engine is not installed, unknown or fails its self-test, BundleError if the
    bundle lacks its files or they are damaged: "auto" goes past what is missing, never past damage.
    """
    if name != "auto":
        if name not in _OPENERS:
            raise BackendError(f"no backend {name!r}; there are {', '.join(BACKENDS)} and auto")
        return _opened(name, bundle, self_test)
    reasons = []
    for candidate in BACKENDS:
        absent = [name for name in _FILES[candidate] if name not in bundle.manifest.files]
        try:
            if absent:
                raise BackendError(f"the bundle has no {absent[0]}")
            return _opened(candidate, bundle, self_test)
        except BackendError as error:
            _log.warning("backend %s is not usable: %s", candidate, error)
            reasons.append(f"{candidate}: {error}")
    raise BackendError(f"no backend is usable ({'; '.join(reasons)})")


def _opened(name: str, bundle: Bundle, self_test: bool) -> Backend:
    if self_test and name == "tflite":
        _try_in_a_child(bundle)
    backend = _OPENERS[name](bundle)
    failure = _failure(backend, bundle) if self_test else None
    if failure is not None and name == "onnx":
        stock = _stock_onnx(backend, bundle)
        if stock is not None:
            _log.warning("backend onnx goes on without kernels, they fail the self-test: %s", failure)
            backend, failure = stock, _failure(stock, bundle)
    if failure is not None:
        raise BackendError(f"{name}: the self-test fails, its results cannot be trusted here ({failure})")
    return backend


def _failure(backend: Backend, bundle: Bundle) -> str | None:
    """Why a backend does not reproduce the golden tile; None if it does."""
    from bnnpan_runtime.golden import run_golden

    try:
        outcome = run_golden(backend, bundle)
    except BackendError as error:
        return str(error)
    return None if outcome.passed else outcome.detail


def _stock_onnx(backend: Backend, bundle: Bundle) -> Backend | None:
    """ONNX Runtime without kernels, if it ran with kernels that nobody demanded."""
    from bnnpan_runtime.graph.onnx import OnnxBackend, kernels_are_demanded

    if not (isinstance(backend, OnnxBackend) and backend.kernels) or kernels_are_demanded():
        return None
    return OnnxBackend(bundle, kernels=False)


def _try_in_a_child(bundle: Bundle) -> None:
    """A LiteRT newer than those known may crash on changed structures: let another process find out.

    Raises BackendError unless that process ends by itself with a verdict, good or bad, in `_TRIAL_SECONDS`.
    """
    from bnnpan_runtime.graph.litert import is_tried

    if is_tried():
        return
    command = [sys.executable, "-m", "bnnpan_runtime", "verify", str(bundle.path), "--backend", "tflite"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    silent = subprocess.DEVNULL
    try:
        child = subprocess.run(
            command, env=environment, stdout=silent, stderr=silent, timeout=_TRIAL_SECONDS, check=False
        )
        end = f"exit status {child.returncode}"
        tried = child.returncode in (0, VerificationError.exit_code)
    except subprocess.TimeoutExpired:
        end, tried = f"no end within {_TRIAL_SECONDS} s", False
    if not tried:
        raise BackendError(
            f"tflite: this release of ai-edge-litert does not work with libbnnpan ({end});"
            " install an earlier one"
        )


def _open_native(bundle: Bundle) -> Backend:
    from bnnpan_runtime.graph.native import NativeBackend

    return NativeBackend(bundle.weights(), bundle.manifest.network)


def _open_onnx(bundle: Bundle) -> Backend:
    from bnnpan_runtime.graph.onnx import OnnxBackend

    return OnnxBackend(bundle)


def _open_tflite(bundle: Bundle) -> Backend:
    from bnnpan_runtime.graph.tflite import TfliteBackend

    return TfliteBackend(bundle)


_OPENERS: dict[str, Callable[[Bundle], Backend]] = {
    "native": _open_native,
    "onnx": _open_onnx,
    "tflite": _open_tflite,
}
