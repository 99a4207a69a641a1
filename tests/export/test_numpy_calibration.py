"""The calibration in numpy, against the network in PyTorch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bnnpan.model import ModelConfig
from bnnpan_export.freeze import freeze
from bnnpan_export.untrained import random_network
from bnnpan_runtime.graph.numpy_calibration import calibrate

from .conftest import SMALL, images

Weights = Mapping[str, NDArray[Any]]


def apart(config: ModelConfig, weights: Weights | None = None) -> float:
    """Largest difference of the affines to the network's own, on five patches."""
    model = random_network(config)
    network = freeze(model)
    pan, lms = images(config.bands, 32, 32, count=5)
    found = calibrate(weights or network.tensors, network.shape, pan, lms)
    assert found.shape == (config.blocks, 2, config.channels) and found.dtype == np.float32
    with torch.no_grad():
        expected = model.calibrate(torch.from_numpy(pan), torch.from_numpy(lms)).numpy()
    return float(np.abs(found - expected).max())


def test_the_affines_are_those_of_the_network(config: ModelConfig) -> None:
    assert apart(config) < 2e-5


@pytest.mark.parametrize("skip", [False, True])
def test_every_tensor_counts(skip: bool) -> None:
    """But for those of the tail, which a calibration does not reach."""
    config = replace(SMALL, outer_skip=skip)
    tensors = dict(freeze(random_network(config)).tensors)
    random = np.random.default_rng(0)
    for name, tensor in tensors.items():
        if name.startswith("tail."):
            continue
        noise = random.standard_normal(tensor.shape).astype(np.float32)
        other = ~tensor if tensor.dtype == np.uint8 else tensor + 3 * noise
        assert apart(config, {**tensors, name: other}) > 4e-5, name


LIBRARY_BYTES = 2 * 2**20
"""Of what was promised, BLAS keeps its own buffers, a little over 1 MiB of them."""

MEASURED = """
import sys
import numpy as np
from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.graph.numpy_calibration import calibrate, calibration_bytes
from bnnpan_runtime.memory import peak_bytes, reset_peak, resident_bytes
from bnnpan_runtime.weights import weights_layout

bands, channels, latent, count, patch = map(int, sys.argv[1:])
shape = NetworkShape(bands, 4, channels, 2, latent, 2, outer_skip=True, pooled_encoder="rectified")
weights = {name: np.ones(item.shape, item.dtype) for name, item in weights_layout(shape).items()}
pan, lms = (np.ones((count, planes, patch, patch), np.float32) for planes in (1, bands))
before = resident_bytes()
reset_peak()
calibrate(weights, shape, pan, lms)
print(peak_bytes() - before, calibration_bytes(shape, count, patch), resident_bytes() - before)
"""


@pytest.mark.parametrize(
    ("bands", "channels", "latent", "count", "patch"),
    [
        (4, 8, 8, 16, 64),
        (4, 32, 32, 16, 64),
        (4, 16, 128, 16, 64),
        (4, 64, 16, 4, 64),
        (64, 8, 16, 16, 64),
        (8, 8, 8, 64, 64),
        (4, 256, 32, 4, 16),
    ],
)
def test_it_takes_what_was_promised_and_gives_it_back(
    bands: int, channels: int, latent: int, count: int, patch: int
) -> None:
    arguments = map(str, (bands, channels, latent, count, patch))
    command = [sys.executable, "-c", MEASURED, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    taken, promised, kept = map(int, result.stdout.split())
    assert 0.4 * promised < taken <= promised
    assert kept < LIBRARY_BYTES
