"""Taps of a bundle's TFLite graph: further outputs of a copy of it, in either interpreter.

The converter keeps neither names nor the order of sub-bands. Where a tensor lies is read off the operators;
which sub-band it belongs to, off its values: the first of a chain is a Haar sub-band of the head's result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bnnpan.model.wavelet import SUB_BANDS, haar
from bnnpan_export.taps.forms import OUTPUT, Form, Tile, Values
from bnnpan_export.tflite_file import operator_names, read_model, written
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.larq import LarqEngine
from bnnpan_runtime.graph.litert import LiteRtEngine

__all__ = ["tflite_form"]


def tflite_form(name: str, content: bytes, engine: LarqEngine | LiteRtEngine) -> Form:
    """An interpreter on windows of the graph's size; with taps, libbnnpan takes operators one by one."""
    graph = _Graph(content)
    interpreter = engine.open(graph.with_outputs(), "fuse.tflite with taps")

    def outputs(tile: Tile) -> Sequence[NDArray[np.float32]]:
        images = {"pan": tile.pan.transpose(1, 2, 0)[None], "lms": tile.lms.transpose(1, 2, 0)[None]}
        return interpreter.outputs({**images, "affines": tile.affines})

    sub_bands: list[str] = []

    def look(tile: Tile) -> Values:
        if not sub_bands:
            sub_bands.extend(graph.sub_bands(outputs(_noise_like(tile))))
        return graph.values(outputs(tile), sub_bands)

    return Form(name, look)


def _noise_like(tile: Tile) -> Tile:
    """Images whose four sub-bands differ, which a uniform tile's do not."""
    random = np.random.default_rng(1)
    pan, lms = (random.standard_normal(image.shape).astype(np.float32) for image in (tile.pan, tile.lms))
    return replace(tile, pan=pan, lms=lms)


class _Graph:
    """Where the taps of a graph are: indices of tensors."""

    def __init__(self, content: bytes) -> None:
        self._model: Any = read_model(content)
        (self._graph,) = self._model.subgraphs
        self._operators = self._graph.operators
        self._names = operator_names(self._model)
        self._makers = {int(made): i for i, op in enumerate(self._operators) for made in op.outputs}
        convolutions = self._of("CONV_2D")
        if len(convolutions) != 2:
            raise BackendError(f"fuse.tflite has {len(convolutions)} float convolutions, not head and tail")
        self._ends_of_image = [int(self._operators[i].outputs[0]) for i in convolutions]
        self._quantized = self._of("LceQuantize")
        self._features = {i: self._before_shift(int(self._operators[i].inputs[0])) for i in self._quantized}
        self._last = self._last_features()
        self._chains = self._found_chains()

    def with_outputs(self) -> bytes:
        """The file with all taps as outputs behind its own."""
        wanted = [*self._ends_of_image, *self._features.values(), *self._last]
        self._graph.outputs = [*(int(i) for i in self._graph.outputs), *wanted]
        return written(self._model)

    def sub_bands(self, outputs: Sequence[NDArray[np.float32]]) -> list[str]:
        """Whose chain each one is, by what the interpreter gave for images whose sub-bands differ."""
        _, head, _, *rest = (np.moveaxis(value[0], -1, 0) for value in outputs)
        features = dict(zip(self._quantized, rest, strict=False))
        sub_bands = haar(torch.from_numpy(np.ascontiguousarray(head))[None])[0].numpy()
        apart = [
            [float(np.abs(features[chain[0]] - expected).sum()) for expected in sub_bands]
            for chain, _ in self._chains
        ]
        return [SUB_BANDS[int(np.argmin(distances))] for distances in apart]

    def values(self, outputs: Sequence[NDArray[np.float32]], sub_bands: Sequence[str]) -> Values:
        """Taps by name, of what the interpreter gave, in the order of `with_outputs`."""
        hrms, head, tail, *rest = (np.moveaxis(value[0], -1, 0) for value in outputs)
        features = dict(zip(self._quantized, rest, strict=False))
        last = dict(zip(self._last, rest[len(features) :], strict=True))
        values: Values = {"head": head, "tail": tail, OUTPUT: hrms}
        for (chain, end), sub_band in zip(self._chains, sub_bands, strict=True):
            behind_blocks = [*(features[index] for index in chain[1:]), last[end]]
            values |= {f"block {n + 1} {sub_band}": value for n, value in enumerate(behind_blocks)}
        return values

    def _of(self, name: str) -> list[int]:
        return [index for index, found in enumerate(self._names) if found == name]

    def _before_shift(self, tensor: int) -> int:
        """What a constant was added to; the tensor itself where none was."""
        maker = self._makers[tensor]
        computed = self._computed(maker)
        return computed[0] if self._names[maker] == "ADD" and len(computed) == 1 else tensor

    def _computed(self, operator: int) -> list[int]:
        """Inputs that are no constants."""
        known = {*self._makers, *(int(i) for i in self._graph.inputs)}
        return [int(i) for i in self._operators[operator].inputs if int(i) in known]

    def _last_features(self) -> list[int]:
        """Sub-bands that enter the inverse transform: what is halved before the sums that are joined."""
        (joined,) = (i for i in self._of("CONCATENATION") if len(self._operators[i].inputs) == len(SUB_BANDS))
        found, waiting = [], list(self._computed(joined))
        while waiting:
            tensor = waiting.pop()
            maker = self._makers[tensor]
            if self._names[maker] in ("ADD", "SUB"):
                waiting += self._computed(maker)
            elif tensor not in found:
                found.append(tensor)
        return [self._computed(self._makers[tensor])[0] for tensor in found]

    def _found_chains(self) -> list[tuple[list[int], int]]:
        """For each sub-band its `LceQuantize` operators, block by block, and its last features."""
        chains = []
        for end in self._last:
            before = self._ancestors(end)
            own = [index for index in self._quantized if index in before]
            own.sort(key=lambda index: len(self._ancestors(self._features[index])))
            chains.append((own, end))
        return chains

    def _ancestors(self, tensor: int) -> set[int]:
        """Operators that a tensor depends on."""
        found: set[int] = set()
        waiting = [tensor]
        while waiting:
            maker = self._makers.get(waiting.pop())
            if maker is not None and maker not in found:
                found.add(maker)
                waiting += self._computed(maker)
        return found
