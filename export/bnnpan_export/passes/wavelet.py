"""Wavelet-domain rewrite: the trunk becomes four chains of sub-bands between a transform and its inverse."""

from __future__ import annotations

from dataclasses import replace

from bnnpan_export.graph.layers import Haar, InverseHaar, Layer, SceneAffine, Skip, SubBandAffine
from bnnpan_export.graph.network import Network

__all__ = ["rewrite_in_wavelet_domain"]


def rewrite_in_wavelet_domain(network: Network) -> Network:
    """Move what is linear per channel across the inverse transform, then cancel inverse and transform.

    A per-channel affine commutes with the Haar transform, its offset landing doubled in LL; so does adding
    the input once more. Exact but for rounding: the transforms that cancel no longer round.
    """
    layers = [inner for layer in network.layers for inner in _unwrapped(layer)]
    layers = _with_affines_inside(layers)
    return replace(network, layers=tuple(_without_pairs(layers)))


def _unwrapped(layer: Layer) -> tuple[Layer, ...]:
    """An outer skip around transform, units and inverse becomes one around the units."""
    if not isinstance(layer, Skip):
        return (layer,)
    first, *inner, last = layer.layers
    assert isinstance(first, Haar) and isinstance(last, InverseHaar)
    return first, replace(layer, layers=tuple(inner)), last


def _with_affines_inside(layers: list[Layer]) -> list[Layer]:
    moved: list[Layer] = []
    for layer in layers:
        if isinstance(layer, SceneAffine) and moved and isinstance(moved[-1], InverseHaar):
            moved.insert(-1, SubBandAffine(layer.block, layer.channels))
        else:
            moved.append(layer)
    return moved


def _without_pairs(layers: list[Layer]) -> list[Layer]:
    kept: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Haar) and kept and isinstance(kept[-1], InverseHaar):
            kept.pop()
        else:
            kept.append(layer)
    return kept
