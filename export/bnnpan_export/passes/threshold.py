"""Threshold folding: adding a shift before the sign becomes comparing with a threshold."""

from __future__ import annotations

from dataclasses import replace

from bnnpan_export.graph.network import Network
from bnnpan_export.graph.unit import AddThenSign, Compare, Unit

__all__ = ["fold_thresholds"]


def fold_thresholds(network: Network) -> Network:
    """`x + shift < 0` is `x < -shift`.

    Exact to the bit: with subnormals a float sum has the sign of the true sum, and is 0 only where that is.
    """
    return network.with_units(_compared)


def _compared(unit: Unit) -> Unit:
    assert isinstance(unit.activation, AddThenSign)
    return replace(unit, activation=Compare(-unit.activation.shift))
