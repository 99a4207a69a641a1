"""The networks that are timed, the images they are timed on, and how much there is to compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import NetworkShape, Phase, Units, Window
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.protocol import DnTile, Float32, TileShape
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene_units import SceneUnits
from bnnpan_runtime.tile_engine import float_images
from bnnpan_runtime.weights import weights_layout

__all__ = ["Images", "Network", "binary_macs", "float_macs", "images", "random_network"]

TAPS = 9
_BLACK_DN = 100


@dataclass(frozen=True)
class Network:
    """A network by its shape and weights; `bundle` holds its graphs, if there are any."""

    shape: NetworkShape
    weights: Mapping[str, NDArray[Any]]
    phase: Phase
    units: Units
    dn_scale: float
    bundle: Bundle | None

    @classmethod
    def of(cls, bundle: Bundle) -> Network:
        """The network of a bundle."""
        manifest = bundle.manifest
        scale = (manifest.units, manifest.dn_scale)
        return cls(manifest.network, bundle.weights(), manifest.phase, *scale, bundle)

    @property
    def graphs(self) -> Bundle:
        """The bundle with its graphs. Raises BackendError if there is none."""
        if self.bundle is None:
            raise BackendError(
                f"there is no graph of {self.shape.channels} channels; bnnpan[export] would make one here"
            )
        return self.bundle


def random_network(like: Network, channels: int, seed: int = 0) -> Network:
    """Another width of the same network with random weights, for its speed alone; it has no graphs."""
    shape = replace(like.shape, channels=channels)
    random = np.random.default_rng(seed)
    weights: dict[str, NDArray[Any]] = {
        name: random.normal(0, 0.05, layout.shape).astype(np.float32)
        for name, layout in weights_layout(shape).items()
    }
    signs = random.integers(0, 2, (shape.blocks, 4, channels, 3, 3, channels), np.uint8)
    packed = np.packbits(signs, axis=-1, bitorder="little")
    bits = np.zeros(weights["trunk.bits"].shape, np.uint8)
    bits[..., : packed.shape[-1]] = packed
    weights["trunk.bits"] = bits
    return Network(shape, weights, like.phase, like.units, like.dn_scale, None)


@dataclass(frozen=True)
class Images:
    """One window: DN, the same in network units, and a scene's affines; contents mean nothing."""

    resampler: Resampler
    window: Window
    tile: DnTile
    pan: Float32
    lms: Float32
    affines: Float32

    def product(self) -> DnTile:
        """The tile with a product of its own, for one thread."""
        return replace(self.tile, product=np.empty_like(self.tile.product))


def images(network: Network, side: int, seed: int = 0) -> Images:
    """Noise of `side x side` PAN pixels, all of which are wanted."""
    shape, random = network.shape, np.random.default_rng(seed)
    resampler = Resampler(Grid(shape.ratio), network.phase)
    window = Window(0, 0, side, side)
    area = resampler.ms_window(window)
    ms_shape = (area.height, area.width)

    def noise(*size: int) -> NDArray[np.uint16]:
        return random.integers(_BLACK_DN, int(network.dn_scale), size, np.uint16)

    units = _scene_units(network)
    tile = DnTile(
        shape=TileShape.whole(side, side),
        rows=resampler.row_taps,
        cols=resampler.col_taps,
        pan=noise(side, side),
        ms=noise(shape.bands, *ms_shape),
        product=np.empty((shape.bands, side, side), np.uint16),
        units=units,
        pan_nodata=None,
        ms_nodata=None,
        shrunk=random.standard_normal(ms_shape, np.float32) if units.injects else None,
    )
    affines = np.zeros((shape.blocks, 2, shape.channels), np.float32)
    affines[:, 0] = 1.0
    return Images(resampler, window, tile, *float_images(tile, window, resampler), affines)


def _scene_units(network: Network) -> SceneUnits:
    """Units like those of real scenes: all that counts is whether they inject."""
    bands, scale = network.shape.bands, network.dn_scale
    if network.units == "bit_depth":
        return SceneUnits.of_bit_depth(scale, bands)
    mean, deviation = (scale / 2,) * bands, (scale / 4,) * bands
    return SceneUnits(scale / 2, scale / 4, mean, deviation, (0.5,) * bands)


def binary_macs(shape: NetworkShape, stage: str, side: int) -> int:
    """1-bit multiply-accumulates of a stage on a window of `side x side` PAN pixels."""
    blocks = {"convolve": 1, "unit": 1, "trunk": shape.blocks, "graph": shape.blocks, "tile": shape.blocks}
    return side**2 * shape.channels**2 * TAPS * blocks.get(stage, 0)


def float_macs(shape: NetworkShape, stage: str, side: int) -> int:
    """Likewise those of float convolutions."""
    head = (shape.bands + 1) * shape.channels * TAPS
    tail = shape.channels * shape.bands * TAPS
    per_pixel = {"head": head, "tail": tail, "graph": head + tail, "tile": head + tail}
    return side**2 * per_pixel.get(stage, 0)
