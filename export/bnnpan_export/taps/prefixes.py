"""Taps of an engine that gives nothing but products: it runs the network cut off behind each block.

A prefix is a whole network to the engine. Bands are added that the head does not see and whose LMS is zero,
and the tail copies one channel into each of them: exact, as all its other weights are zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from bnnpan.model.wavelet import SUB_BANDS, haar
from bnnpan_export.emit import FrozenNetwork
from bnnpan_export.taps.forms import OUTPUT, Form, Tile, Values
from bnnpan_export.weight_bits import Array

__all__ = ["Fuse", "prefix_form"]

Float32 = NDArray[np.float32]
Fuse = Callable[[FrozenNetwork, Tile], Float32]
"""Runs a network, which need not be the one that flies, on a tile; HRMS in network units."""

MAX_BANDS = 64
"""That every engine takes."""

_CENTRE = 1


def prefix_form(name: str, frozen: FrozenNetwork, fuse: Fuse) -> Form:
    """Taps by running prefixes of `frozen`; "output" is of the network as it is.

    Sub-bands are transformed again from features, which rounds once more.
    """

    def look(tile: Tile) -> Values:
        values: Values = {"head": _head(frozen, fuse, tile)}
        for block in range(frozen.shape.blocks):
            features = _features(frozen, block + 1, fuse, tile)
            names = (f"block {block + 1} {sub_band}" for sub_band in SUB_BANDS)
            values |= dict(zip(names, haar(torch.from_numpy(features)[None])[0].numpy(), strict=True))
        hrms = fuse(frozen, tile)
        return {**values, "tail": hrms - tile.lms.astype(np.float64), OUTPUT: hrms}

    return Form(name, look)


def _features(frozen: FrozenNetwork, blocks: int, fuse: Fuse, tile: Tile) -> NDArray[np.float64]:
    """What comes out of the inverse transform behind so many blocks."""
    cut = replace(tile, affines=np.ascontiguousarray(tile.affines[:blocks]))
    parts = [_copied(network, first, fuse, cut) for first, network in _prefixes(frozen, blocks)]
    return np.concatenate(parts).astype(np.float64)


def _head(frozen: FrozenNetwork, fuse: Fuse, tile: Tile) -> NDArray[np.float64]:
    """Through a single block whose branch is silent: it adds to every feature the mean of its pixel.

    No engine takes a network without blocks.
    """
    silent = {f"trunk.{name}": np.zeros_like(frozen[f"trunk.{name}"]) for name in ("inverse_lambda", "eta")}
    network = replace(
        frozen, shape=replace(frozen.shape, outer_skip=False), tensors={**frozen.tensors, **silent}
    )
    neutral = np.zeros_like(tile.affines)
    neutral[:, 0] = 1
    moved = _features(network, 1, fuse, replace(tile, affines=neutral))
    return np.asarray(moved - moved.mean(0) / 2)


def _copied(network: FrozenNetwork, first: int, fuse: Fuse, tile: Tile) -> Float32:
    bands, count = len(tile.lms), network.shape.bands - len(tile.lms)
    empty = np.zeros((count, *tile.lms.shape[1:]), np.float32)
    return fuse(network, replace(tile, lms=np.concatenate([tile.lms, empty])))[bands:]


def _prefixes(frozen: FrozenNetwork, blocks: int) -> Iterator[tuple[int, FrozenNetwork]]:
    """Networks that together show all channels, and the first channel of each."""
    shape = frozen.shape
    step = MAX_BANDS - shape.bands
    for first in range(0, shape.channels, step):
        count = min(step, shape.channels - first)
        tensors = {name: _prefixed(name, value, blocks) for name, value in frozen.tensors.items()}
        for name in ("head.weight", "encoder.conv.weight"):
            tensors[name] = _unseen_bands(tensors[name], count)
        tensors["tail.weight"] = np.zeros((shape.bands + count, shape.channels, 3, 3), np.float32)
        shown = np.arange(count)
        tensors["tail.weight"][shape.bands + shown, first + shown, _CENTRE, _CENTRE] = 1
        tensors["tail.bias"] = np.zeros(shape.bands + count, np.float32)
        wider = replace(shape, bands=shape.bands + count, blocks=blocks)
        yield first, FrozenNetwork(wider, tensors)


def _prefixed(name: str, value: Array, blocks: int) -> Array:
    """The first blocks of tensors that hold one part per block."""
    return np.ascontiguousarray(value[:blocks]) if name.startswith(("trunk.", "ldpc.", "cdc.")) else value


def _unseen_bands(weight: Array, count: int) -> Array:
    """Zeros for further bands, before the PAN."""
    unseen = np.zeros((len(weight), count, 3, 3), weight.dtype)
    return np.concatenate([weight[:, :-1], unseen, weight[:, -1:]], axis=1)
