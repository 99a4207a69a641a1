"""Freeze scene statistics: what looks at the whole scene becomes one affine per block and channel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bnnpan_export.graph.layers import Layer, SceneAffine, SceneStatistics
from bnnpan_export.graph.network import Network
from bnnpan_export.weight_bits import Array

__all__ = ["freeze_scene_statistics"]


def freeze_scene_statistics(network: Network) -> Network:
    """The network becomes strictly local; LDPC and CDC move to what is computed once per scene.

    Exact for a scene that is one image and its own calibration patch.
    """
    found = [layer for layer in network.layers if isinstance(layer, SceneStatistics)]
    calibration: dict[str, Array] = {
        "ldpc.weight": np.stack([layer.ldpc_weight for layer in found]),
        "ldpc.bias": np.stack([layer.ldpc_bias for layer in found]),
        "cdc.weight": np.stack([layer.cdc_weight for layer in found]),
        "cdc.bias": np.stack([layer.cdc_bias for layer in found]),
    }
    layers = tuple(_frozen(layer, network.shape.channels) for layer in network.layers)
    return replace(network, layers=layers, calibration=calibration)


def _frozen(layer: Layer, channels: int) -> Layer:
    return SceneAffine(layer.block, channels) if isinstance(layer, SceneStatistics) else layer
