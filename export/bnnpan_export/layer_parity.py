"""Parity tap by tap: how far a form of a network is from the reference in every layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bnnpan.model.wavelet import SUB_BANDS, haar
from bnnpan_export.emit import FrozenNetwork
from bnnpan_export.graph.network import tap_names
from bnnpan_export.taps.forms import OUTPUT, Form, Tile, Values

__all__ = ["LARGEST_TYPICAL", "FormDistance", "LayerDistance", "first_deviating", "layer_distances", "table"]

LARGEST_TYPICAL = 1e-4
"""Largest median of the differences of a channel, row or column, as a share of the tap's RMS.

Engines that add floats in another order differ by some 1e-6. Where that tips a feature over its threshold, a
few hundred values around it move by percents, which no median sees; a wrong weight sign moves its channel.
"""

_FORMS_SIDE_BY_SIDE = 3
"""In a table no wider than most screens."""

LARGEST_SHARE_OF_SIGNS = 2e-3
"""Of the signs behind a tap; rounding tips some 1e-5 per block."""


@dataclass(frozen=True)
class LayerDistance:
    """Differences of one tap over all tiles; network units, those of "output" in DN.

    flipped   signs of the next block's activations that differ, of `signs`; 0 of 0 where none are taken
    typical   largest median of the differences of any channel, row or column over the RMS of the tap
    """

    tap: str
    largest: float
    rms: float
    flipped: int
    signs: int
    typical: float

    @property
    def deviates(self) -> bool:
        """Beyond what rounding explains; NaN is."""
        return not (self.typical <= LARGEST_TYPICAL and self.flipped <= LARGEST_SHARE_OF_SIGNS * self.signs)


@dataclass(frozen=True)
class FormDistance:
    """All taps of one form in order of computation."""

    form: str
    layers: tuple[LayerDistance, ...]

    @property
    def first_deviating(self) -> str | None:
        """Name of the first layer that is not what the reference has."""
        return next((layer.tap for layer in self.layers if layer.deviates), None)

    @property
    def flipped_share(self) -> float:
        """Of all signs of all activations."""
        return sum(layer.flipped for layer in self.layers) / max(1, sum(layer.signs for layer in self.layers))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {**asdict(self), "first_deviating": self.first_deviating, "flipped_share": self.flipped_share}


def layer_distances(
    reference: Form, forms: Iterable[Form], frozen: FrozenNetwork, tiles: Sequence[Tile]
) -> list[FormDistance]:
    """Every form against `reference` on every tile; `frozen` has the thresholds that signs are taken at."""
    expected = [reference.look(tile) for tile in tiles]
    return [_form_distance(form, expected, frozen, tiles) for form in forms]


def first_deviating(distances: Sequence[FormDistance]) -> dict[str, str]:
    """The forms that deviate, and each one's first layer."""
    return {found.form: found.first_deviating for found in distances if found.first_deviating is not None}


def table(distances: Sequence[FormDistance]) -> str:
    """Aligned text: a line per tap, for every form its largest and RMS difference and flipped signs."""
    parts = [distances[i : i + _FORMS_SIDE_BY_SIDE] for i in range(0, len(distances), _FORMS_SIDE_BY_SIDE)]
    return "\n\n".join(_part(part) for part in parts)


def _part(distances: Sequence[FormDistance]) -> str:
    taps = [layer.tap for layer in distances[0].layers]
    width = max(len(tap) for tap in taps)
    lines = [" " * width + "".join(f"  {found.form:>30}" for found in distances)]
    lines.append(" " * width + f"  {'largest':>9} {'RMS':>9} {'flipped':>10}" * len(distances))
    for row, tap in enumerate(taps):
        lines.append(f"{tap:{width}}" + "".join(_cells(found.layers[row]) for found in distances))
    return "\n".join(lines)


def _cells(layer: LayerDistance) -> str:
    flipped = f"{layer.flipped}" if layer.signs else "-"
    return f"  {layer.largest:9.2g} {layer.rms:9.2g} {flipped:>9}{'!' if layer.deviates else ' '}"


def _form_distance(
    form: Form, expected: Sequence[Values], frozen: FrozenNetwork, tiles: Sequence[Tile]
) -> FormDistance:
    found = [form.look(tile) for tile in tiles]
    layers = []
    for tap in [*tap_names(frozen.shape.blocks), OUTPUT]:
        pairs = [_in_double(*(values[tap] for values in both)) for both in zip(found, expected, strict=True)]
        if tap == OUTPUT:
            scales = [tile.dn_per_unit[:, None, None] for tile in tiles]
            pairs = [(one * scale, other * scale) for (one, other), scale in zip(pairs, scales, strict=True)]
        layers.append(_layer_distance(tap, pairs, frozen))
    return FormDistance(form.name, tuple(layers))


_Double = NDArray[np.float64]


def _in_double(*values: NDArray[Any]) -> tuple[_Double, _Double]:
    found, expected = (np.ascontiguousarray(value, np.float64) for value in values)
    return found, expected


def _layer_distance(
    tap: str, pairs: Sequence[tuple[_Double, _Double]], frozen: FrozenNetwork
) -> LayerDistance:
    apart = np.stack([np.abs(found - expected) for found, expected in pairs])
    rms = float(np.sqrt(np.mean([expected**2 for _, expected in pairs])))
    lines = [float(np.median(apart, axis=axes).max()) for axes in ((0, 2, 3), (0, 1, 3), (0, 1, 2))]
    signs = [_signs(frozen, tap, *pair) for pair in pairs]
    flipped = sum(int((found != expected).sum()) for found, expected in signs)
    return LayerDistance(
        tap,
        largest=float(apart.max()),
        rms=float(np.sqrt(np.mean(apart**2))),
        flipped=flipped,
        signs=sum(found.size for found, _ in signs),
        typical=max(lines) / (rms or 1.0),
    )


def _signs(frozen: FrozenNetwork, tap: str, *values: _Double) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the next block's activations are -1; empty where no signs are taken of a tap.

    Without features whose expected value is exactly the threshold: how a form is looked at may round them to
    either side. What a form itself makes of them shows in the taps behind.
    """
    shifts = frozen["trunk.shift"].astype(np.float64)[..., None, None]
    if tap == "head":
        moved = [haar(torch.from_numpy(value)[None])[0].numpy() + shifts[0] for value in values]
    elif tap.startswith("block") and int(tap.split()[1]) < frozen.shape.blocks:
        _, block, sub_band = tap.split()
        moved = [value + shifts[int(block), SUB_BANDS.index(sub_band)] for value in values]
    else:
        moved = [np.empty(0) for _ in values]
    found, expected = moved
    decided = expected != 0
    return found[decided] < 0, expected[decided] < 0
