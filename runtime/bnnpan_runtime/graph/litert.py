"""Stock LiteRT with libbnnpan as its delegate: the bundle's TFLite graph on our kernels."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import numpy as np

from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.errors import BackendError, one_line
from bnnpan_runtime.graph.libbnnpan import chosen_instruction_set, library_path
from bnnpan_runtime.graph.library_memory import rows_bytes
from bnnpan_runtime.graph.protocol import Float32

__all__ = ["LiteRtEngine", "LiteRtGraph", "fuse_bytes", "is_tried", "taken"]

NEWEST_TRIED = (2, 3)
"""The delegate restates structures of TensorFlow Lite, which releases 1.1 to this one share."""

_INTERPRETER_BYTES = 2 * 2**20
"""An interpreter with its copy of the graph; measured below 1 MiB."""


def fuse_bytes(network: NetworkShape, height: int, width: int) -> int:
    """What an interpreter takes when the whole network runs in libbnnpan: images, and rows in flight."""
    image_bytes = 4 * (1 + 2 * network.bands) * height * width
    return _INTERPRETER_BYTES + image_bytes + rows_bytes(network, width)


class LiteRtEngine:
    """Opens graphs; raises BackendError without ai-edge-litert, without libbnnpan, or for an unknown ISA."""

    def __init__(self) -> None:
        try:
            from ai_edge_litert import interpreter
        except ImportError as error:
            raise BackendError("ai-edge-litert is not installed") from error
        self._isa = chosen_instruction_set()
        self._litert: Any = interpreter
        self.name = f"ai-edge-litert {_version()} with {self._isa} kernels"

    def open(self, content: bytes, where: str) -> LiteRtGraph:
        """A graph; `where` names it in errors."""
        return LiteRtGraph(self._litert, self._isa, content, where)


class LiteRtGraph:
    """One graph, run by as many interpreters as there are calls at a time.

    Raises BackendError if the runtime refuses the graph.
    """

    is_whole: bool
    """Whether the whole network runs in libbnnpan, so that no float plane of its features exists."""

    def __init__(self, litert: Any, isa: str, content: bytes, where: str) -> None:
        self._litert = litert
        self._isa = isa
        self._content = content
        self._where = where
        interpreter, delegate = self._interpreter()
        self._idle = deque([interpreter])
        try:
            self.is_whole = taken(delegate, "network") == 1
        except (AttributeError, TypeError) as error:
            raise BackendError(f"this release of LiteRT is not known here: {one_line(error)}") from error

    def run(self, inputs: Mapping[str, Float32], out: Float32) -> None:
        """Run on inputs by name, channels last, of any height and width; they and `out` may be views."""
        with self._invoked(inputs) as interpreter:
            self._read(interpreter, out)

    def outputs(self, inputs: Mapping[str, Float32]) -> list[Float32]:
        """Run likewise; copies of all outputs."""
        with self._invoked(inputs) as interpreter:
            places = [details["index"] for details in interpreter.get_output_details()]
            return [np.array(interpreter.tensor(index)()) for index in places]

    @contextmanager
    def _invoked(self, inputs: Mapping[str, Float32]) -> Iterator[Any]:
        """An interpreter that has run, and is free for others afterwards."""
        try:
            interpreter = self._idle.pop()
        except IndexError:
            interpreter, _ = self._interpreter()
        try:
            self._resize(interpreter, inputs)
            self._fill(interpreter, inputs)
            interpreter.invoke()
            yield interpreter
        except (RuntimeError, ValueError) as error:
            raise BackendError(f"{self._where} fails: {one_line(error)}") from error
        self._idle.append(interpreter)

    # Views of an interpreter's tensors end with these functions: it runs only while there are none.

    def _fill(self, interpreter: Any, inputs: Mapping[str, Float32]) -> None:
        for details in interpreter.get_input_details():
            np.copyto(interpreter.tensor(details["index"])(), inputs[self._name_of(details, inputs)])

    def _read(self, interpreter: Any, out: Float32) -> None:
        result = interpreter.tensor(interpreter.get_output_details()[0]["index"])()
        np.copyto(out, result.reshape(out.shape))

    def _resize(self, interpreter: Any, inputs: Mapping[str, Float32]) -> None:
        changed = False
        for details in interpreter.get_input_details():
            shape = inputs[self._name_of(details, inputs)].shape
            if tuple(details["shape"]) != shape:
                interpreter.resize_tensor_input(details["index"], shape)
                changed = True
        if changed:
            interpreter.allocate_tensors()

    def _name_of(self, details: Mapping[str, Any], inputs: Mapping[str, Float32]) -> str:
        """Which input a tensor is: the converter names it `serving_default_NAME:0`."""
        for name in inputs:
            if details["name"] in (name, f"serving_default_{name}:0"):
                return name
        raise BackendError(f"{self._where} takes an input {details['name']} that is none of its own")

    def _interpreter(self) -> tuple[Any, Any]:
        """An interpreter ready to run, and its delegate."""
        try:
            delegate = self._litert.load_delegate(str(library_path()), {"isa": self._isa})
            interpreter = self._litert.Interpreter(
                model_content=self._content,
                experimental_delegates=[delegate],
                num_threads=1,
                # XNNPACK announces itself on stderr, and what our delegate leaves over needs no speed.
                experimental_op_resolver_type=self._litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            interpreter.allocate_tensors()
        except (AttributeError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise BackendError(f"LiteRT refuses {self._where}: {one_line(error)}") from error
        return interpreter, delegate


def is_tried() -> bool:
    """Whether the installed LiteRT, if any, is a release that the delegate was tried with."""
    try:
        major, minor = metadata.version("ai-edge-litert").split(".")[:2]
        return (int(major), int(minor)) <= NEWEST_TRIED
    except metadata.PackageNotFoundError:
        return find_spec("ai_edge_litert") is None  # else a nightly build, or unpacked by hand
    except ValueError:
        return False


def _version() -> str:
    try:
        return metadata.version("ai-edge-litert")
    except metadata.PackageNotFoundError:  # a nightly build, or unpacked by hand
        return "of unknown version"


def taken(delegate: Any, size: str) -> int:
    """Pieces of a size that libbnnpan as a delegate took of its graph: "network", "trunk" or "operator"."""
    count = ctypes.CDLL(str(library_path())).bnnpan_litert_taken
    count.argtypes, count.restype = [ctypes.c_void_p, ctypes.c_char_p], ctypes.c_int32
    return int(count(delegate._get_native_delegate_pointer(), size.encode()))
