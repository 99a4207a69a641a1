"""The network of a bundle as a drawing: what flows where, what is stored and what is computed.

From top to bottom: what is done once per scene, whose result enters every block; then what every tile passes.
Right of each layer stand its stored numbers and its multiply-accumulates, as figures and as bars.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bnnpan_runtime.architecture import Layer, calibration_layers, fusion_layers, sum_of
from bnnpan_runtime.cli.svg import Drawing, Point

if TYPE_CHECKING:
    from bnnpan_runtime.contract import Manifest

__all__ = ["graph_svg"]

Amounts = tuple[tuple[float, str], tuple[float, str]]
"""How much is binary and how much float, with the words for it."""

Scales = tuple[float, float]
"""Pixels of a bar per stored bit and per multiply-accumulate."""

_PAPER, _INK, _FAINT, _RULE = "#ffffff", "#1f2933", "#66727f", "#d7dde4"
_BINARY, _FLOAT, _SCENE = "#2f6fb0", "#d98b2b", "#7d57a8"
_BINARY_LIGHT, _FLOAT_LIGHT, _SCENE_LIGHT, _PLAIN_LIGHT = "#e4eef8", "#fbf0df", "#f0eaf7", "#f1f4f7"

_WIDTH = 980
_LEFT, _BOX_WIDTH = 64, 370
_STORED, _MACS, _BAR = 506, 732, 150
_BOX, _THIN, _PILL, _GAP = 46, 28, 30, 28
_HALF_BOX = (_BOX_WIDTH - 40) / 2
_MIDDLE = _LEFT + _BOX_WIDTH / 2
_PAN, _MS = _LEFT + _HALF_BOX / 2, _LEFT + _BOX_WIDTH - _HALF_BOX / 2
"""Middles of what is half a box wide."""
_BUS, _SKIP = 36, _LEFT + _BOX_WIDTH + 26
"""Where the affines run down to the blocks, and LMS to the sum."""
_LONGEST_TITLE = 48


def graph_svg(manifest: Manifest) -> str:
    """SVG of both parts of the network."""
    return _Picture(manifest).draw()


class _Picture:
    """Draws downwards; what comes next begins at `_y`."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._drawing = Drawing(_WIDTH)
        self._y = 0.0

    def draw(self) -> str:
        self._title()
        affines = self._calibration()
        self._tile(affines)
        return self._drawing.to_svg(self._y, _PAPER)

    def _title(self) -> None:
        network, drawing = self._manifest.network, self._drawing
        drawing.text((_LEFT, 48), _shortened(self._manifest.id), _INK, size=24, bold=True)
        about = (
            f"{network.bands} bands and PAN, ratio {network.ratio}; {network.blocks} blocks of"
            f" {network.channels} channels; halo {self._manifest.halo} pixels"
        )
        drawing.text((_LEFT, 71), about, _FAINT)
        for x, colour, words in ((_STORED, _BINARY, "binary: 1 bit"), (_MACS, _FLOAT, "float: 32 bits")):
            drawing.box(x, 61, 11, 11, colour, corner=2)
            drawing.text((x + 18, 71), words, _INK)
        self._y = 90

    def _calibration(self) -> Point:
        """Once per scene; where its result comes out."""
        calibration, network = self._manifest.calibration, self._manifest.network
        layers = calibration_layers(network, calibration)
        patches = f"{calibration.count} patches of {calibration.patch} × {calibration.patch} pixels"
        self._heading("Once per scene", "multiply-accumulates, in all")
        self._pill(_MIDDLE, f"PAN and LMS of {patches}")
        scales = _scales(layers)
        for layer in layers:
            self._step()
            self._layer(layer, scales)
        self._step()
        self._sum(layers)
        words = f"affines  {network.blocks} × 2 × {network.channels}"
        return self._pill(_MIDDLE, words, _SCENE, _SCENE_LIGHT)

    def _tile(self, affines: Point) -> None:
        """For every tile."""
        lms, head, haar, *blocks, inverse, tail = layers = fusion_layers(self._manifest.network)
        scales = _scales(layers)
        self._y += 26
        self._heading("For every tile of H × W pixels", "multiply-accumulates per PAN pixel")
        lms_out = self._images(lms)
        for layer in (head, haar):
            self._layer(layer, scales)
            self._step(layer.shape)
        bus_end = self._y
        for block in blocks:
            bus_end = self._y + _BOX / 2
            self._drawing.arrow([(_BUS, bus_end), (_LEFT, bus_end)], _SCENE, dashed=True)
            self._layer(block, scales)
            self._step(block.shape)
        self._drawing.line([affines, (_BUS, affines[1]), (_BUS, bus_end)], _SCENE, dashed=True)
        self._layer(inverse, scales)
        self._step(inverse.shape)
        self._layer(tail, scales)
        self._add_lms(lms_out)
        self._sum(layers)
        self._pill(_MIDDLE, f"HRMS  {_typeset(tail.shape)}")
        self._y += 30

    def _images(self, lms: Layer) -> Point:
        """PAN and MS, which is interpolated; where LMS branches off."""
        drawing, network, top = self._drawing, self._manifest.network, self._y
        self._pill(_PAN, "PAN  1 × H × W")
        pan_out, self._y = self._y, top
        self._pill(_MS, f"MS  {network.bands} × H/{network.ratio} × W/{network.ratio}")
        self._step(x=_MS)
        self._box(lms, _MS - _HALF_BOX / 2, _HALF_BOX, _BOX)
        branch = (_MS, self._y + _GAP / 2)
        drawing.text((_MS - 9, branch[1] + 3), _typeset(lms.shape), _FAINT, size=12, anchor="end")
        self._step(x=_MS)
        drawing.arrow([(_PAN, pan_out), (_PAN, self._y)], _INK)
        return branch

    def _add_lms(self, branch: Point) -> None:
        """The sum with LMS."""
        drawing, x, y, radius = self._drawing, _MIDDLE, self._y + _GAP, 10
        drawing.line([(x, self._y), (x, y - radius)], _INK)
        drawing.arrow([branch, (_SKIP, branch[1]), (_SKIP, y), (x + radius, y)], _INK)
        drawing.circle((x, y), radius, _PAPER, _INK)
        drawing.line([(x - 5, y), (x + 5, y)], _INK)
        drawing.line([(x, y - 5), (x, y + 5)], _INK)
        self._y = y + radius
        self._step()

    def _heading(self, title: str, work: str) -> None:
        drawing, baseline = self._drawing, self._y + 32
        drawing.line([(_LEFT, self._y), (_WIDTH - _BUS, self._y)], _RULE)
        drawing.text((_LEFT, baseline), title, _INK, size=16, bold=True)
        drawing.text((_STORED, baseline), "stored", _FAINT, size=12)
        drawing.text((_MACS, baseline), work, _FAINT, size=12)
        self._y += 52

    def _pill(self, middle: float, words: str, edge: str = _RULE, fill: str = _PAPER) -> Point:
        """Data that goes in or comes out; the middle of its left end."""
        width = max(_HALF_BOX, 7.5 * len(words) + 24)
        left, centre = middle - width / 2, self._y + _PILL / 2
        self._drawing.box(left, self._y, width, _PILL, fill, edge=edge, corner=_PILL / 2)
        self._drawing.text((middle, centre + 4.5), words, _INK, anchor="middle")
        self._y += _PILL
        return left, centre

    def _step(self, shape: str = "", x: float = _MIDDLE) -> None:
        """An arrow down to what comes next, beside it the shape of what is handed on."""
        self._drawing.arrow([(x, self._y), (x, self._y + _GAP)], _INK)
        self._drawing.text((x + 10, self._y + _GAP / 2 + 3), _typeset(shape), _FAINT, size=12)
        self._y += _GAP

    def _layer(self, layer: Layer, scales: Scales) -> None:
        """A box, and its figures right of it."""
        height = _BOX if layer.parameters else _THIN
        self._figures(layer, self._y + height / 2, scales)
        self._box(layer, _LEFT, _BOX_WIDTH, height)

    def _box(self, layer: Layer, left: float, width: float, height: float) -> None:
        edge, fill = (_BINARY, _BINARY_LIGHT) if layer.binary_bits else (_FLOAT, _FLOAT_LIGHT)
        if not layer.parameters:
            edge, fill = _RULE, _PLAIN_LIGHT
        drawing, operation = self._drawing, _typeset(layer.operation)
        drawing.box(left, self._y, width, height, fill, edge=edge, corner=6)
        drawing.text((left + 16, self._y + 19), layer.name, _INK, bold=True)
        under = (left + 16, self._y + 36) if height == _BOX else (left + 130, self._y + 19)
        drawing.text(under, operation, _FAINT, size=12)
        self._y += height

    def _figures(self, layer: Layer, middle: float, scales: Scales) -> None:
        for x, amounts, scale in zip((_STORED, _MACS), (_stored(layer), _macs(layer)), scales, strict=True):
            words = " + ".join(words for amount, words in amounts if amount)
            self._drawing.text((x, middle - 3), words, _INK, size=12, bold=not scale)
            left: float = x
            for (amount, _), colour in zip(amounts, (_BINARY, _FLOAT), strict=True):
                if amount * scale:
                    self._drawing.box(left, middle + 5, amount * scale, 8, colour)
                left += amount * scale

    def _sum(self, layers: Sequence[Layer]) -> None:
        """Right of what comes next."""
        self._drawing.line([(_STORED, self._y), (_WIDTH - _BUS, self._y)], _RULE)
        self._figures(sum_of(layers), self._y + 24, (0, 0))


def _stored(layer: Layer) -> Amounts:
    bits, floats = layer.binary_bits, layer.float_bits
    return (bits, f"{bits:,} bits"), (floats, f"{floats // 32:,} floats")


def _macs(layer: Layer) -> Amounts:
    binary, floats = layer.binary_macs, layer.float_macs
    return (binary, f"{binary:,.0f} binary"), (floats, f"{floats:,.0f} float")


def _scales(layers: Sequence[Layer]) -> Scales:
    """Those with which the longest bar of each kind fills its column."""
    bits = max(layer.binary_bits + layer.float_bits for layer in layers)
    macs = max(layer.binary_macs + layer.float_macs for layer in layers)
    return _BAR / bits, _BAR / macs


def _typeset(text: str) -> str:
    """Signs for what the table writes in ASCII."""
    return re.sub(r"(\d| |^)x(?=[\d ])", r"\1×", text).replace("->", "→")


def _shortened(title: str) -> str:
    return title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}…"
