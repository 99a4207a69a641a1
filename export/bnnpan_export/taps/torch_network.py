"""Taps of the exporter's own graph, in PyTorch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from bnnpan_export.emit import FrozenNetwork, read_back
from bnnpan_export.graph.layers import SceneState
from bnnpan_export.graph.network import Network, Taps
from bnnpan_export.taps.forms import OUTPUT, Form, Tile, Values

__all__ = ["in_double", "network_form"]


def network_form(name: str, network: Network, dtype: torch.dtype = torch.float32) -> Form:
    """A network with frozen statistics, computed in the float type of its arrays."""

    def look(tile: Tile) -> Values:
        pan, lms, affines = (
            torch.from_numpy(array).to(dtype) for array in (tile.pan, tile.lms, tile.affines)
        )
        taps: Taps = {}
        taps[OUTPUT] = network.run(pan[None], lms[None], SceneState(affines=affines), taps)
        return {key: value[0].numpy() for key, value in taps.items()}

    return Form(name, look)


def in_double(frozen: FrozenNetwork) -> Network:
    """The folded network in double precision: where rounding is too small to matter."""
    tensors = {
        name: value if value.dtype == np.uint8 else value.astype(np.float64)
        for name, value in frozen.tensors.items()
    }
    return read_back(replace(frozen, tensors=tensors))
