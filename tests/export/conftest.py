"""Small random networks and the variants of the architecture that every exported form must get right."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bnnpan.model import ModelConfig
from bnnpan_export.assemble import Exported, Identity, export_bundle
from bnnpan_export.untrained import random_network
from bnnpan_runtime.contract import Calibration

SMALL = ModelConfig(channels=8, blocks=2, latent=8)
VARIANTS = {
    "small": SMALL,
    "outer_skip": ModelConfig(channels=8, blocks=2, latent=8, outer_skip=True),
    "rectified": ModelConfig(channels=8, blocks=2, latent=8, pooled_encoder="rectified"),
    "partial_word": ModelConfig(channels=24, blocks=2, latent=8),
    "two_words": ModelConfig(channels=40, blocks=1, latent=8, prior_predicts="latent"),
    "eight_bands": ModelConfig(bands=8, channels=8, blocks=3, latent=6, prior_steps=2),
}
CALIBRATION = Calibration()
SMALL_IDENTITY = Identity("bgrn-x4", "none", ("blue", "green", "red", "nir"), 11, "centred")


@pytest.fixture(params=VARIANTS)
def config(request: pytest.FixtureRequest) -> ModelConfig:
    return VARIANTS[request.param]


@pytest.fixture(scope="session")
def small_export() -> Exported:
    return export_bundle(random_network(SMALL), SMALL_IDENTITY, ["onnx", "bits"])


def images(bands: int, height: int, width: int, count: int = 1) -> tuple[NDArray[np.float32], ...]:
    """PAN and LMS in network units, `(count, 1 or bands, height, width)`."""
    random = np.random.default_rng(3)
    pan, lms = (random.uniform(0.05, 0.6, (count, n, height, width)).astype(np.float32) for n in (1, bands))
    return pan, lms
