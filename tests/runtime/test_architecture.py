from __future__ import annotations

from dataclasses import replace
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from bnnpan_runtime.architecture import calibration_layers, fusion_layers
from bnnpan_runtime.bench.network import binary_macs, float_macs
from bnnpan_runtime.contract import Calibration, NetworkShape
from bnnpan_runtime.weights import weights_layout

networks = st.builds(
    NetworkShape,
    bands=st.integers(1, 16),
    ratio=st.sampled_from([2, 4]),
    channels=st.integers(1, 70),
    blocks=st.integers(1, 6),
    latent=st.integers(1, 40),
    prior_steps=st.integers(1, 8),
    outer_skip=st.booleans(),
    pooled_encoder=st.sampled_from(["linear", "rectified"]),
)


@given(networks)
def test_every_stored_number_belongs_to_one_layer(network: NetworkShape):
    layers = [*fusion_layers(network), *calibration_layers(network, Calibration())]
    floats = sum(prod(item.shape) for item in weights_layout(network).values() if item.dtype == "float32")
    assert sum(layer.float_bits for layer in layers) == 32 * floats
    signs = network.blocks * 4 * network.channels**2 * 9
    assert sum(layer.binary_bits for layer in layers) == signs


@given(networks)
def test_the_work_is_that_of_the_benchmark(network: NetworkShape):
    layers, side = fusion_layers(network), 10
    assert side**2 * sum(layer.binary_macs for layer in layers) == binary_macs(network, "graph", side)
    assert side**2 * sum(layer.float_macs for layer in layers) == float_macs(network, "graph", side)


def test_more_blocks_are_more_work():
    network = NetworkShape(4, 4, 32, 4, 32, 4, outer_skip=False, pooled_encoder="linear")
    per_block = fusion_layers(network)[3].binary_macs
    more = fusion_layers(replace(network, blocks=5))
    assert sum(layer.binary_macs for layer in more) == 5 * per_block == 5 * 9 * 32 * 32
