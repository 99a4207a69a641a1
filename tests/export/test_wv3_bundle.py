"""The eight-band configuration as a bundle: small enough, and the same product on every backend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from raw_scenes import RawScene, read_raster, write_raw_scene
from requirements import require_package

from bnnpan.config import load_experiment
from bnnpan_export.assemble import Identity, export_bundle
from bnnpan_export.bundle import write_bundle
from bnnpan_export.tflite_lce import missing_packages
from bnnpan_export.untrained import random_network
from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.graph import BACKENDS
from bnnpan_runtime.verify import verify

pytestmark = pytest.mark.slow
for package in (*missing_packages(), "ai_edge_litert"):
    require_package(package)


@pytest.fixture(scope="module")
def bundle(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Untrained: its weights have as many digits as trained ones."""
    experiment = load_experiment(repo_root / "configs" / "wv3-x4.toml")
    data = experiment.data
    identity = Identity("wv3-x4", data.sensor, tuple(data.bands), data.bit_depth, data.phase)
    card = (repo_root / "models" / "bgrn-x4" / "MODEL_CARD.md").read_bytes()
    exported = export_bundle(random_network(experiment.model), identity, model_card=card)
    path = tmp_path_factory.mktemp("wv3") / "wv3-x4.bnnpan"
    write_bundle(path, exported.content)
    return Bundle.open(path)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> RawScene:
    def darken(pan: NDArray[np.uint16], ms: NDArray[np.uint16]) -> None:
        pan //= 2
        ms //= 2

    return write_raw_scene(tmp_path_factory.mktemp("scene"), bands=8, change=darken)


def test_the_bundle_is_complete_and_below_300_kb(bundle: Bundle) -> None:
    network = bundle.manifest.network
    assert (network.bands, network.ratio, network.channels, network.blocks) == (8, 4, 32, 4)
    assert {"fuse.onnx", "fuse.tflite", "MODEL_CARD.md"} <= set(bundle.manifest.files)
    assert bundle.path.stat().st_size < 300_000


def test_every_backend_verifies(bundle: Bundle) -> None:
    assert {check.passed for check in verify(bundle.path)} == {True}


def test_every_backend_makes_the_same_product(bundle: Bundle, scene: RawScene, tmp_path: Path) -> None:
    products = []
    for backend in BACKENDS:
        fuse(scene.pan, scene.ms, bundle, tmp_path / backend, memory="4GiB", backend=backend)
        products.append(read_raster(tmp_path / backend).astype(np.int32))
    assert products[0].shape == (8, 200, 180) and products[0].std() > 50
    for product in products[1:]:
        assert np.mean(np.abs(product - products[0]) > 1) < 1e-3
