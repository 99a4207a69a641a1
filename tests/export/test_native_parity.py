"""The native engine against the PyTorch reference on random networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bnnpan.model import ModelConfig
from bnnpan_export.freeze import freeze
from bnnpan_export.untrained import random_network
from bnnpan_runtime.graph.native import NativeBackend

CONFIGS = [
    *(ModelConfig(channels=channels, blocks=2) for channels in (8, 16, 24, 32, 40, 64)),
    ModelConfig(channels=32, blocks=4, bands=8, pooled_encoder="rectified"),
    ModelConfig(channels=32, outer_skip=True, prior_predicts="latent", prior_steps=2),
]


@pytest.mark.parametrize(
    "config", CONFIGS, ids=lambda c: f"C{c.channels}-N{c.blocks}-B{c.bands}-skip{c.outer_skip:d}"
)
def test_native_computes_what_the_reference_computes(config: ModelConfig) -> None:
    model = random_network(config, seed=config.channels)
    frozen = freeze(model)
    backend = NativeBackend(frozen.tensors, frozen.shape)
    rng = np.random.default_rng(config.channels)
    patch_pan, patch_lms = (
        rng.random((3, 1, 64, 64), np.float32),
        rng.random((3, config.bands, 64, 64), np.float32),
    )
    with torch.no_grad():
        affines = model.calibrate(torch.from_numpy(patch_pan), torch.from_numpy(patch_lms)).numpy()
    np.testing.assert_allclose(backend.calibrate(patch_pan, patch_lms), affines, rtol=0, atol=1e-5)

    for height, width in ((2, 2), (6, 34), (94, 130)):
        pan, lms = (
            rng.random((1, height, width), np.float32),
            rng.random((config.bands, height, width), np.float32),
        )
        with torch.no_grad():
            inputs = (torch.from_numpy(array) for array in (pan[None], lms[None], affines))
            expected = model.fuse(*inputs)[0].numpy()
        out = np.empty_like(lms)
        backend.fuse(pan, lms, affines, out, np.empty(backend.memory(height, width).arena_bytes, np.uint8))
        difference = np.abs(out - expected)
        # Sums are rounded in another order; a feature tipped over its threshold moves its neighbourhood.
        assert np.median(difference) < 1e-6
        assert np.mean(difference > 1e-5) < 0.02
        assert difference.max() < 0.05
