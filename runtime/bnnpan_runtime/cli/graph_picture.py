"""The network of a bundle as a picture of text: a line per layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bnnpan_runtime.architecture import Layer, calibration_layers, fusion_layers, sum_of

if TYPE_CHECKING:
    from bnnpan_runtime.contract import Manifest

__all__ = ["graph_picture"]

_COLUMNS = ("layer", "what it does", "output", "1-bit weights", "floats", "1-bit MACs", "float MACs")


def graph_picture(manifest: Manifest) -> str:
    """Both parts of the network, each with its sum."""
    per_pixel = fusion_layers(manifest.network)
    per_scene = calibration_layers(manifest.network, manifest.calibration)
    parts = (
        _table("for every tile, multiply-accumulates per PAN pixel", per_pixel),
        _table("once per scene, on the patches; all multiply-accumulates", per_scene),
    )
    return "\n\n".join(parts)


def _table(title: str, layers: Sequence[Layer]) -> str:
    rows = [_COLUMNS, *map(_row, layers), _row(sum_of(layers))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [title]
    for index, row in enumerate(rows):
        cells = [f"{cell:{'>' if column > 2 else '<'}{widths[column]}}" for column, cell in enumerate(row)]
        arrow = "  |" if 0 < index < len(rows) - 2 else "  v" if index == len(rows) - 2 else "   "
        lines.append(f"{arrow} {'  '.join(cells)}".rstrip())
    return "\n".join(lines)


def _row(layer: Layer) -> tuple[str, ...]:
    numbers = (layer.binary_bits, layer.float_bits / 32, layer.binary_macs, layer.float_macs)
    return (
        layer.name,
        layer.operation,
        layer.shape,
        *(f"{number:,.0f}" if number else "" for number in numbers),
    )
