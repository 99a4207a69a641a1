from __future__ import annotations

import itertools
import os

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, helper

from bnnpan.model import ModelConfig
from bnnpan_export.freeze import freeze
from bnnpan_export.onnx_graph import fuse_graph
from bnnpan_export.receptive_field import halo, receptive_field_radius
from bnnpan_export.untrained import random_network
from bnnpan_runtime.errors import VerificationError

from .conftest import images

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def graph_of(blocks: int, channels: int = 8) -> ModelProto:
    return fuse_graph(freeze(random_network(ModelConfig(channels=channels, blocks=blocks, latent=8))), {})


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_two_convolutions_and_n_blocks_on_haar_cells_reach_2n_plus_3(blocks: int) -> None:
    graph = graph_of(blocks)
    assert receptive_field_radius(graph) == 2 * blocks + 3
    assert halo(graph) == 2 * blocks + 4


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(channels=8, blocks=1, latent=8, bands=3),
        ModelConfig(channels=8, blocks=2, latent=8),
        ModelConfig(channels=40, blocks=2, latent=8, outer_skip=True, bands=5),
        ModelConfig(channels=48, blocks=4, latent=8, pooled_encoder="rectified"),
    ],
    ids=lambda c: f"N{c.blocks}-C{c.channels}-B{c.bands}",
)
@pytest.mark.parametrize("image", ["pan", "lms"])
def test_computed_radius_is_the_farthest_distance_at_which_a_pixel_matters(
    config: ModelConfig, image: str
) -> None:
    graph = fuse_graph(freeze(random_network(config)), {})
    radius = receptive_field_radius(graph)
    side = 4 * ((radius + 4) // 2 + 1)
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    pan, lms = images(config.bands, side, side)
    parts = [np.ones((config.blocks, config.channels)), np.zeros((config.blocks, config.channels))]
    feed = {"pan": pan, "lms": lms, "affines": np.stack(parts, 1).astype(np.float32)}
    before = session.run(None, feed)[0]
    middle, farthest = side // 4 * 2, 0
    # Every position within a Haar cell.
    places = ((middle, middle), (middle + 1, middle + 1), (middle, middle + 1))
    # A change has to tip a sign in every block to be seen as far as it may be.
    for (row, col), change in itertools.product(places, (40, -40)):
        changed = feed[image].copy()
        changed[0, -1, row, col] += change
        after = session.run(None, {**feed, image: changed})[0]
        rows, cols = np.nonzero((after != before).any(axis=(0, 1)))
        farthest = max(farthest, np.abs(rows - row).max(), np.abs(cols - col).max())
    assert farthest == radius


@pytest.mark.parametrize("operator", ["GlobalAveragePool", "Softmax"])
def test_an_operator_of_unknown_reach_is_refused(operator: str) -> None:
    graph = graph_of(1)
    _insert_after_head(graph, helper.make_node(operator, ["features"], ["mixed"], operator))
    with pytest.raises(VerificationError, match=operator):
        receptive_field_radius(graph)


def test_a_mean_over_pixels_is_refused() -> None:
    graph = graph_of(1)
    axes = onnx.numpy_helper.from_array(np.array([2, 3]), "axes")
    _insert_after_head(
        graph,
        helper.make_node("Constant", [], ["axes"], value=axes),
        helper.make_node("ReduceMean", ["features", "axes"], ["mixed"], "scene_mean"),
    )
    with pytest.raises(VerificationError, match="scene_mean"):
        receptive_field_radius(graph)


def _insert_after_head(model: ModelProto, *nodes: onnx.NodeProto) -> None:
    """Nodes that make `mixed` of the features, which is subtracted from them."""
    (body,) = (function.node for function in model.functions if function.name == "Fuse")
    position = next(index for index, other in enumerate(body) if other.op_type == "BinaryTrunk")
    body[position].input[0] = "centred"
    for node in (helper.make_node("Sub", ["features", "mixed"], ["centred"], "centre"), *reversed(nodes)):
        body.insert(position, node)
