"""All forms of a bundle that can be looked into here, and tiles to look at."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bnnpan.model import PanSharpener
from bnnpan_export.emit import FrozenNetwork, read_back
from bnnpan_export.graph.network import Network
from bnnpan_export.passes import stages
from bnnpan_export.scenes import Scene, synthetic_scene
from bnnpan_export.taps.forms import Form, Tile
from bnnpan_export.taps.native_taps import native_form
from bnnpan_export.taps.onnx_taps import kernel_form, stock_form
from bnnpan_export.taps.tflite_taps import tflite_form
from bnnpan_export.taps.torch_network import in_double, network_form
from bnnpan_export.weight_bits import Array
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import WEIGHTS_NAME, Manifest
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.larq import LarqEngine
from bnnpan_runtime.graph.litert import LiteRtEngine
from bnnpan_runtime.graph.numpy_calibration import calibrate
from bnnpan_runtime.weights import GOLDEN_SIDE

__all__ = ["BundleForms", "bundle_forms", "synthetic_tiles", "tile_of"]

_SEED = 100
"""Of the first synthetic tile; none is the golden one."""


@dataclass(frozen=True)
class BundleForms:
    """The reference first, then what is compared with it; `missing` says why a form could not be opened."""

    frozen: FrozenNetwork
    reference: Form
    forms: Sequence[Form]
    missing: dict[str, str]


def bundle_forms(bundle: Bundle, model: PanSharpener | None = None, passes: bool = True) -> BundleForms:
    """From the float reference to the engines, as far as they are installed.

    The reference is the trained `model` in double precision, its statistics frozen, where there is one, else
    the packed weights of the bundle are. With `passes`, the network after each pass is a form, too.
    """
    frozen = FrozenNetwork(bundle.manifest.network, bundle.weights())
    forms = _passes(model) if passes and model is not None else []
    forms.append(network_form(WEIGHTS_NAME, read_back(_writeable(frozen))))
    missing = {}
    for name, opener in _openers(bundle, frozen).items():
        try:
            forms.append(opener())
        except BackendError as error:
            missing[name] = str(error)
    if model is None:
        name, reference = f"{WEIGHTS_NAME} in double precision", in_double(frozen)
    else:
        name, reference = "the trained network in double precision", _frozen_in_double(model)
    return BundleForms(frozen, network_form(name, reference, torch.float64), forms, missing)


def synthetic_tiles(
    manifest: Manifest, weights: dict[str, Array], count: int = 1, side: int = GOLDEN_SIDE
) -> list[Tile]:
    """Scenes with structure of several scales, the same for the same network sizes."""
    shape = manifest.network
    tiles = []
    for seed in range(_SEED, _SEED + count):
        raw = synthetic_scene(shape.bands, shape.ratio, manifest.bit_depth, seed, side)
        scene = raw.scene(f"synthetic {seed}", manifest.phase, manifest.units, manifest.dn_scale)
        tiles.append(tile_of(scene, manifest, weights))
    return tiles


def tile_of(scene: Scene, manifest: Manifest, weights: dict[str, Array]) -> Tile:
    """A whole scene as one tile, calibrated on itself; its DN count in the bundle's."""
    affines = calibrate(weights, manifest.network, *scene.patches(manifest.calibration))
    dn_per_unit = np.array(scene.units.ms_scale) * (manifest.dn_scale / scene.dn_scale)
    return Tile(scene.name, scene.pan, scene.lms, affines, dn_per_unit)


def _openers(bundle: Bundle, frozen: FrozenNetwork) -> dict[str, Callable[[], Form]]:
    files = bundle.manifest.files
    openers: dict[str, Callable[[], Form]] = {}
    if "fuse.onnx" in files:
        content = bundle.read("fuse.onnx")
        openers["onnx"] = lambda: stock_form("onnx", content)
        openers["onnx kernels"] = lambda: kernel_form("onnx kernels", content, frozen)
    if "fuse.tflite" in files:
        graph = bundle.read("fuse.tflite")
        openers["tflite"] = lambda: tflite_form("tflite", graph, LarqEngine())
        openers["tflite kernels"] = lambda: tflite_form("tflite kernels", graph, LiteRtEngine())
    openers["native"] = lambda: native_form("native", frozen)
    return openers


def _passes(model: PanSharpener) -> list[Form]:
    """The network after every pass with frozen statistics, in single precision."""
    _, *later = stages(model)
    return [network_form(name, network) for name, network in later]


def _frozen_in_double(model: PanSharpener) -> Network:
    """Real weights, in the pixel domain."""
    _, (_, network), *_ = stages(copy.deepcopy(model).double())
    return network


def _writeable(frozen: FrozenNetwork) -> FrozenNetwork:
    """PyTorch warns of arrays that cannot be written."""
    return FrozenNetwork(frozen.shape, {name: value.copy() for name, value in frozen.tensors.items()})
