from __future__ import annotations

import numpy as np
import pytest
import torch

from bnnpan.model import ModelConfig
from bnnpan_export.bundle import weights_file
from bnnpan_export.emit import read_back
from bnnpan_export.freeze import freeze
from bnnpan_export.graph.layers import SceneState
from bnnpan_export.untrained import random_network
from bnnpan_export.weight_bits import pack_signs, unpack_signs
from bnnpan_runtime.weights import parse_tensors, weights_layout

from .conftest import images


def test_folded_wavelet_form_equals_the_pixel_domain_network_in_double_precision(config: ModelConfig) -> None:
    model = random_network(config).double()
    pan, lms = (torch.from_numpy(image).double() for image in images(config.bands, 36, 52))
    affines = model.calibrate(*(torch.from_numpy(i).double() for i in images(config.bands, 16, 16, count=4)))
    expected = model.fuse(pan, lms, affines)
    assert (expected - lms).abs().max() > 1e-3  # the network does something
    folded = read_back(freeze(model)).run(pan, lms, SceneState(affines=affines))
    assert (folded - expected).abs().max().item() < 1e-9


def test_frozen_tensors_are_what_the_runtime_reads(config: ModelConfig) -> None:
    network = freeze(random_network(config))
    tensors = parse_tensors(weights_file(network), weights_layout(network.shape), "weights")
    for name, tensor in tensors.items():
        assert np.array_equal(tensor, network[name]), name


def test_bit_order_is_little_endian_words_with_one_for_negative() -> None:
    weight = np.ones((2, 40, 3, 3), np.float32)
    weight[1, 0, 2, 1] = -1e-30
    weight[1, 9, 2, 1] = -1
    weight[1, 39, 0, 0] = -2
    weight[0, 5, 1, 1] = -0.0  # counts as positive
    words = pack_signs(weight).view("<u4")
    assert words.shape == (2, 3, 3, 2)
    assert words[1, 2, 1].tolist() == [1 | 1 << 9, 0]
    assert words[1, 0, 0].tolist() == [0, 1 << 7]
    assert not words[0].any()


@pytest.mark.parametrize("channels", [1, 24, 32, 33])
def test_unpacking_inverts_packing(channels: int) -> None:
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (4, 3, channels, 3, 3)).astype(np.float32)
    assert np.array_equal(unpack_signs(pack_signs(signs), channels), signs)


def test_random_networks_are_reproducible_and_leave_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    first = torch.rand(1)
    torch.manual_seed(5)
    one, other = (random_network(ModelConfig(channels=8), seed=2) for _ in range(2))
    assert torch.equal(torch.rand(1), first)
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
