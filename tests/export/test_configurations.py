"""Any configuration exports: the same product from PyTorch, the passes, ONNX, the native engine and Larq."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bnnpan.model import BNNPan, ModelConfig
from bnnpan_export.bundle import weights_file
from bnnpan_export.emit import FrozenNetwork, read_back
from bnnpan_export.freeze import freeze
from bnnpan_export.graph.layers import SceneState
from bnnpan_export.onnx_graph import fuse_graph, serialised
from bnnpan_export.receptive_field import receptive_field_radius
from bnnpan_export.tflite_lce import fuse_tflite, missing_packages
from bnnpan_export.untrained import random_network
from bnnpan_runtime.graph.larq import LarqEngine
from bnnpan_runtime.graph.native import NativeBackend
from bnnpan_runtime.graph.numpy_calibration import calibrate
from bnnpan_runtime.weights import parse_tensors, weights_layout

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

Float32 = NDArray[np.float32]
SIDE = 24

CONFIGURATIONS = st.builds(
    ModelConfig,
    bands=st.integers(3, 16),
    ratio=st.integers(2, 6),
    channels=st.integers(8, 64),
    blocks=st.integers(1, 6),
    units=st.sampled_from(["bit_depth", "scene"]),
    latent=st.integers(1, 40),
    outer_skip=st.booleans(),
    prior_steps=st.integers(1, 5),
    prior_predicts=st.sampled_from(["noise", "latent"]),
    pooled_encoder=st.sampled_from(["linear", "rectified"]),
    norm_lambda=st.floats(1, 8),
)
DRAWN: dict[str, Any] = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


def images(config: ModelConfig, count: int, side: int = SIDE) -> tuple[Float32, Float32]:
    """Network units of either kind: positive, or around zero; smooth, with detail of several sizes."""
    random = np.random.default_rng(config.channels)
    around = 0.0 if config.units == "scene" else 0.4
    size = 1.0 if config.units == "scene" else 0.1
    shape = (count, config.bands + 1, side, side)
    values = around + size * random.standard_normal(shape).cumsum(-1) / np.sqrt(side)
    return values[:, :1].astype(np.float32), values[:, 1:].astype(np.float32)


def assert_same(found: Float32, expected: Float32, where: str) -> None:
    """But for what a sign tipped over its threshold moves, which here may be everything around it."""
    apart = np.abs(found - expected)
    assert np.isfinite(found).all(), where
    assert np.median(apart) < 1e-5 * max(1.0, float(np.abs(expected).max())), where


class Drawn:
    """A network with random weights, what PyTorch makes of an image, and its frozen form."""

    def __init__(self, config: ModelConfig) -> None:
        self.model: BNNPan = random_network(config, seed=config.channels)
        self.pan, self.lms = images(config, 1)
        patches = images(config, 2, 16)
        with torch.no_grad():
            affines = self.model.calibrate(*map(torch.from_numpy, patches))
            product = self.model.fuse(torch.from_numpy(self.pan), torch.from_numpy(self.lms), affines)
        self.affines, self.product = affines.numpy(), product[0].numpy()
        self.frozen: FrozenNetwork = freeze(self.model)
        self.patches = patches
        assert np.abs(self.product - self.lms[0]).max() > 1e-4  # the network does something


@given(config=CONFIGURATIONS)
@settings(max_examples=25, **DRAWN)
def test_passes_onnx_and_native_give_the_product_of_the_network(config: ModelConfig) -> None:
    drawn = Drawn(config)
    frozen, layout = drawn.frozen, weights_layout(drawn.frozen.shape)
    weights = parse_tensors(weights_file(frozen), layout, "weights")
    assert_same(calibrate(weights, frozen.shape, *drawn.patches), drawn.affines, "calibration")
    state = SceneState(affines=torch.from_numpy(drawn.affines))
    pan, lms = torch.from_numpy(drawn.pan), torch.from_numpy(drawn.lms)
    assert_same(read_back(frozen).run(pan, lms, state)[0].numpy(), drawn.product, "passes")
    graph = fuse_graph(frozen, {})
    assert receptive_field_radius(graph) == 2 * config.blocks + 3
    session = ort.InferenceSession(serialised(graph), providers=["CPUExecutionProvider"])
    feed = {"pan": drawn.pan, "lms": drawn.lms, "affines": drawn.affines}
    assert_same(session.run(None, feed)[0][0], drawn.product, "onnx")
    engine = NativeBackend(weights, frozen.shape)
    assert_same(engine.calibrate(*drawn.patches), drawn.affines, "native calibration")
    out = np.empty_like(drawn.lms[0])
    arena = np.empty(engine.memory(SIDE, SIDE).arena_bytes, np.uint8)
    engine.fuse(drawn.pan[0], drawn.lms[0], drawn.affines, out, arena)
    assert_same(out, drawn.product, "native")


def check_tflite(config: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Drawn(config)
    monkeypatch.setattr("bnnpan_export.tflite_lce.TFLITE_WINDOW", SIDE)
    graph = LarqEngine().open(fuse_tflite(drawn.frozen), "fuse.tflite")
    inputs = {"pan": drawn.pan.transpose(0, 2, 3, 1), "lms": drawn.lms.transpose(0, 2, 3, 1)}
    out = np.empty((1, SIDE, SIDE, config.bands), np.float32)
    graph.run({**inputs, "affines": drawn.affines}, out)
    assert_same(out[0].transpose(2, 0, 1), drawn.product, "tflite")


needs_larq = pytest.mark.skipif(
    bool(missing_packages()), reason=f"needs {', '.join(missing_packages())} (pip install -e '.[export]')"
)


@pytest.mark.exhaustive
@needs_larq
@given(config=CONFIGURATIONS, blocks=st.integers(1, 2))
@settings(max_examples=20, **DRAWN)
def test_tflite_gives_the_product_of_the_network(config: ModelConfig, blocks: int) -> None:
    """Larq's converter takes 8 seconds per block; that there may be more of them other tests show."""
    with pytest.MonkeyPatch.context() as patch:
        check_tflite(replace(config, blocks=blocks), patch)


@pytest.mark.exhaustive
@given(config=CONFIGURATIONS)
@settings(max_examples=100, **(DRAWN | {"derandomize": False}))
def test_further_configurations_every_time(config: ModelConfig) -> None:
    test_passes_onnx_and_native_give_the_product_of_the_network.hypothesis.inner_test(config)
