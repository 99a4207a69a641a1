from __future__ import annotations

import numpy as np
import reference_network
from hypothesis import given, settings
from hypothesis import strategies as st
from requirements import require_package

from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.graph.native import NativeBackend

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(
    channels=st.integers(1, 72),
    rows=st.integers(1, 9),
    cols=st.integers(1, 70),
    skip=st.booleans(),
    seed=SEEDS,
)
def test_packed_signs_and_weights_mean_what_the_definition_says(
    channels: int, rows: int, cols: int, skip: bool, seed: int
) -> None:
    """Any channel count and window: a wrong bit, word or border constant would change the fused bits."""
    shape = NetworkShape(1, 4, channels, 1, 2, 1, skip, "linear")
    weights = reference_network.random_weights(shape, seed)
    rng = np.random.default_rng(seed)
    pan, lms = rng.standard_normal((2, 1, 2 * rows, 2 * cols)).astype(np.float32)
    affines = rng.standard_normal((1, 2, channels)).astype(np.float32)
    backend = NativeBackend(weights, shape)
    out = np.empty_like(lms)
    backend.fuse(pan, lms, affines, out, np.empty(backend.memory(2 * rows, 2 * cols).arena_bytes, np.uint8))
    np.testing.assert_array_equal(out, reference_network.fuse(weights, shape, pan, lms, affines))


@settings(max_examples=60, deadline=None)
@given(channels=st.integers(1, 72), filters=st.integers(1, 5), seed=SEEDS)
def test_packing_weights_is_lossless(channels: int, filters: int, seed: int) -> None:
    require_package("torch")
    from bnnpan_export.weight_bits import pack_signs, unpack_signs

    weight = np.random.default_rng(seed).integers(-1, 2, (filters, channels, 3, 3)).astype(np.float32)
    bits = pack_signs(weight)
    assert bits.shape[-1] % 4 == 0
    assert np.unpackbits(bits, axis=-1, bitorder="little")[..., channels:].sum() == 0
    np.testing.assert_array_equal(unpack_signs(bits, channels), np.where(weight < 0, -1, 1))
