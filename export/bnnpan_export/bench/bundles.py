"""Bundles of untrained networks of any width, for their speed: graphs and weights, and nothing measured."""

from __future__ import annotations

import atexit
import tempfile
from dataclasses import replace
from pathlib import Path

from bnnpan_export.bundle import pack_bundle, weights_file, write_bundle
from bnnpan_export.freeze import freeze
from bnnpan_export.onnx_graph import fuse_graph, serialised
from bnnpan_export.passes.capture import model_config
from bnnpan_export.tflite_lce import TFLITE_WINDOW, fuse_tflite, missing_packages
from bnnpan_export.untrained import random_network
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import GOLDEN_NAME, WEIGHTS_NAME, Manifest

__all__ = ["random_bundle"]


def random_bundle(like: Manifest, channels: int) -> Bundle:
    """A bundle like another but for its width, in a temporary file that lasts as long as the process.

    It can fuse but not be verified: it has no golden tile.
    """
    shape = replace(like.network, channels=channels)
    network = freeze(random_network(model_config(shape)))
    files = {
        WEIGHTS_NAME: weights_file(network),
        GOLDEN_NAME: b"",
        "fuse.onnx": serialised(fuse_graph(network, {})),
    }
    if not missing_packages():
        files["fuse.tflite"] = fuse_tflite(network)
    manifest = replace(
        like,
        id=f"random-{channels}",
        network=network.shape,
        tflite_window=TFLITE_WINDOW if "fuse.tflite" in files else 0,
        memory={},
        parity={},
        provenance={},
    )
    folder = tempfile.TemporaryDirectory(prefix="bnnpan-bench-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / f"random-{channels}.bnnpan"
    write_bundle(path, pack_bundle(manifest, files))
    return Bundle.open(path)
