"""The shipped network in stock LiteRT with libbnnpan as its delegate: taken whole, the values right."""

from __future__ import annotations

import numpy as np
import pytest
from litert_edits import resized
from litert_runs import BANDS, BLOCKS, WINDOW, assert_close, images, run, run_in_larq
from requirements import require_package

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.graph.libbnnpan import instruction_sets

require_package("ai_edge_litert")


def test_the_network_of_the_exporter_is_taken_whole(fuse_graph: bytes) -> None:
    assert run(fuse_graph, images(WINDOW, WINDOW)).taken == {"network": 1, "trunk": 0, "operator": 0}


@pytest.mark.parametrize("size", [(128, 128), (2, 2), (2, 64), (130, 66), (64, 18)])
def test_values_are_those_of_the_native_engine_bit_by_bit(bundle: Bundle, size: tuple[int, int]) -> None:
    pan, lms, affines = images(*size)
    products = []
    for name in ("tflite", "native"):
        engine = open_backend(name, bundle)
        out = np.empty((BANDS, *size), np.float32)
        arena = np.empty(engine.memory(*size).arena_bytes, np.uint8)
        planes = [np.ascontiguousarray(image[0].transpose(2, 0, 1)) for image in (pan, lms)]
        engine.fuse(planes[0], planes[1], affines, out, arena)
        products.append(out)
    np.testing.assert_array_equal(*products)


def test_every_instruction_set_gives_the_same_bits(fuse_graph: bytes) -> None:
    best = run(fuse_graph, images(32, 48)).outputs[0]
    for isa in instruction_sets():
        np.testing.assert_array_equal(best, run(fuse_graph, images(32, 48), isa=isa).outputs[0])


@pytest.mark.parametrize("size", [(64, 64), (34, 50)])
@pytest.mark.parametrize("channels", [8, 32, 40, 64])
def test_pieces_of_every_size_agree(fuse_graph: bytes, channels: int, size: tuple[int, int]) -> None:
    graph = resized(fuse_graph, channels)
    inputs = images(*size, channels)
    network, trunk, single = (run(graph, inputs, take=take) for take in ("network", "trunk", "operator"))
    assert network.taken["network"] == trunk.taken["trunk"] == 1
    assert single.taken == {"network": 0, "trunk": 0, "operator": 2 * 4 * BLOCKS}
    assert_close(network.outputs[0], single.outputs[0])
    assert_close(trunk.outputs[0], single.outputs[0])


@pytest.mark.parametrize("channels", [8, 32, 40, 64])
def test_values_are_those_of_larqs_interpreter(fuse_graph: bytes, channels: int) -> None:
    graph, inputs = resized(fuse_graph, channels), images(WINDOW, WINDOW, channels)
    found = run(graph, inputs).outputs[0]
    assert_close(found, run_in_larq(graph, inputs, found.shape))


@pytest.mark.parametrize("options", [{"isa": "abacus"}, {"take": "everything"}, {"speed": "1"}], ids=str)
def test_options_that_are_unknown_are_refused(fuse_graph: bytes, options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="bnnpan: "):
        run(fuse_graph, images(64, 64), **options)
