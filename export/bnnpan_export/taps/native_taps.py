"""Taps of the native engine, by prefixes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnnpan_export.emit import FrozenNetwork
from bnnpan_export.taps.forms import Form, Tile
from bnnpan_export.taps.prefixes import prefix_form
from bnnpan_runtime.graph.native import NativeBackend

__all__ = ["native_form"]


def native_form(name: str, frozen: FrozenNetwork) -> Form:
    """The engine on the weights of a bundle. Raises `BackendError` where the library is missing."""
    NativeBackend(frozen.tensors, frozen.shape)
    return prefix_form(name, frozen, _fuse)


def _fuse(network: FrozenNetwork, tile: Tile) -> NDArray[np.float32]:
    backend = NativeBackend(network.tensors, network.shape)
    out = np.empty_like(tile.lms)
    arena = np.empty(backend.memory(*tile.pan.shape[1:]).arena_bytes, np.uint8)
    backend.fuse(tile.pan, tile.lms, tile.affines, out, arena)
    return out
