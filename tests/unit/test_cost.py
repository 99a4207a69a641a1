"""Counts of parameters and operations against counting by hand, and the paper's where they determine it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from bnnpan.model import BNNPan, ModelConfig
from bnnpan.model.cost import Cost, cost_table, network_cost

CONFIG = ModelConfig(bands=5, channels=6, blocks=3, latent=7)
HEIGHT, WIDTH = 20, 12
PIXELS = HEIGHT * WIDTH


def test_fusion_is_counted_as_by_hand():
    b, c, n, d = 5, 6, 3, 7
    head, tail = 9 * (b + 1) * c + c, 9 * c * b + b
    binary = n * 4 * 9 * c * c
    per_channel = 7  # shift, gamma, beta, zeta, lambda, phi, eta
    linear = (d + 1) * 2 * c + (3 * c + 1) * c
    expected = Cost(
        real_parameters=head + tail + n * (4 * per_channel * c + linear),
        binary_parameters=binary,
        real_operations=(9 * (b + 1) * c + 9 * c * b) * PIXELS + n * (d * 2 * c + 3 * c * c),
        binary_operations=n * 9 * c * c * PIXELS,
    )
    assert network_cost(CONFIG, HEIGHT, WIDTH).fusion == expected


def test_prior_is_counted_as_by_hand():
    b, d, steps = 5, 7, 4
    encoder = 9 * (b + 1) * d + d + 2 * (d * d + d)
    denoiser = (2 * d + 1) * d + d + d * d + d
    operations = 9 * (b + 1) * d * PIXELS + 2 * d * d + steps * ((2 * d + 1) * d + d * d)
    prior = network_cost(CONFIG, HEIGHT, WIDTH).prior
    assert prior == Cost(real_parameters=encoder + denoiser, real_operations=operations)


def test_a_binary_weight_weighs_a_32nd_and_a_binary_operation_a_64th():
    cost = Cost(10, 320, 7, 640)
    assert (cost.full_parameters, cost.packed_parameters) == (330, 20)
    assert (cost.full_operations, cost.packed_operations) == (647, 17)


def test_parameters_add_up_to_the_network():
    model = BNNPan(CONFIG)
    without_truth = model.parameters(), model.truth_encoder.parameters()
    everything, truth = (sum(p.numel() for p in group) for group in without_truth)
    cost = network_cost(CONFIG, HEIGHT, WIDTH)
    assert cost.fusion.full_parameters + cost.prior.full_parameters == everything - truth


def test_the_twin_costs_the_same_in_full_and_saves_nothing():
    ours, twin = (
        network_cost(replace(CONFIG, binarizer=b), HEIGHT, WIDTH).fusion for b in ("bnnpan", "full")
    )
    assert (twin.full_parameters, twin.full_operations) == (ours.full_parameters, ours.full_operations)
    assert twin.binary_parameters == twin.binary_operations == 0
    assert twin.packed_parameters == twin.full_parameters


def test_gabor_filters_and_joint_high_frequencies_have_their_price():
    plain, s2b, fabnet = (
        network_cost(replace(CONFIG, binarizer=b), HEIGHT, WIDTH).fusion for b in ("bbcu", "s2b", "fabnet")
    )
    c, n = 6, 3
    srm = n * 4 * 3 * c * 1  # one hidden channel
    assert s2b.real_operations == plain.real_operations + n * 9 * c * PIXELS + srm
    assert fabnet.binary_operations == plain.binary_operations * 10 / 4
    assert fabnet.binary_parameters == plain.binary_parameters * 10 / 4


def test_without_wavelet_a_quarter_of_the_weights_does_the_same_work():
    ours, plain = (network_cost(replace(CONFIG, wavelet=w), HEIGHT, WIDTH).fusion for w in (True, False))
    assert plain.binary_parameters * 4 == ours.binary_parameters
    assert plain.binary_operations == ours.binary_operations


def test_without_ldpc_there_is_no_prior():
    assert network_cost(replace(CONFIG, ldpc=False), HEIGHT, WIDTH).prior == Cost()


def test_one_block_has_the_parameters_of_the_paper_at_twenty_channels():
    """Table 4: 44.1, 78.2 and 112.3 K for 2, 4 and 6 blocks, so 17.05 K each, binary weights in full."""
    wv3 = ModelConfig(bands=8, channels=20, latent=20)
    costs = [network_cost(replace(wv3, blocks=n), 16, 16).fusion.full_parameters for n in (2, 4, 6)]
    per_block = [(more - fewer) / 2 for fewer, more in pairwise(costs)]
    assert per_block == pytest.approx([17_050] * 2, abs=50)


def test_table_shows_both_conventions():
    table = cost_table({"ours": ModelConfig(), "twin": ModelConfig(binarizer="full")})
    ours, twin = (line.strip("| ").split(" | ") for line in table.splitlines()[2:])
    assert ours == ["ours", "174.5", "31.7", "2.586", "0.208", "6.8", "0.094"]
    assert twin == ["twin", "174.5", "174.5", "2.586", "2.586", "6.8", "0.094"]
