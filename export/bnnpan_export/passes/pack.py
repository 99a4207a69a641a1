"""Bit packing: a byte per weight sign becomes a bit."""

from __future__ import annotations

from dataclasses import replace

from bnnpan_export.graph.network import Network
from bnnpan_export.graph.unit import PackedSigns, Signs, Unit
from bnnpan_export.weight_bits import pack_signs

__all__ = ["pack_bits"]


def pack_bits(network: Network) -> Network:
    """32 input channels to a word, as Larq's operators and all kernels read them. Exact."""
    return network.with_units(_packed)


def _packed(unit: Unit) -> Unit:
    assert isinstance(unit.weight, Signs)
    return replace(unit, weight=PackedSigns(pack_signs(unit.weight.values)))
