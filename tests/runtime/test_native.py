from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import reference_network
from native_builds import FLAGS, require_processor
from numpy.typing import NDArray

from bnnpan_runtime.contract import NetworkShape
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph.libbnnpan import instruction_sets
from bnnpan_runtime.graph.library_memory import rows_bytes
from bnnpan_runtime.graph.native import NativeBackend
from bnnpan_runtime.graph.protocol import AxisTaps, TileShape
from bnnpan_runtime.weights import weights_layout

Float32 = NDArray[np.float32]

SHAPE = NetworkShape(
    bands=4,
    ratio=4,
    channels=32,
    blocks=2,
    latent=8,
    prior_steps=3,
    outer_skip=False,
    pooled_encoder="rectified",
)


def shape_with(**changes: object) -> NetworkShape:
    return NetworkShape(**{**vars(SHAPE), **changes})  # type: ignore[arg-type]


def random_inputs(
    shape: NetworkShape, height: int, width: int, seed: int = 1
) -> tuple[Float32, Float32, Float32]:
    rng = np.random.default_rng(seed)
    pan, lms = (
        rng.random((1, height, width), np.float32),
        rng.random((shape.bands, height, width), np.float32),
    )
    affines = np.empty((shape.blocks, 2, shape.channels), np.float32)
    affines[:, 0] = 1 + 0.1 * rng.standard_normal(affines[:, 0].shape)
    affines[:, 1] = 0.1 * rng.standard_normal(affines[:, 1].shape)
    return pan, lms, affines


def run(backend: NativeBackend, pan: Float32, lms: Float32, affines: Float32) -> Float32:
    out = np.full_like(lms, np.nan)
    arena_bytes = backend.memory(*pan.shape[-2:]).arena_bytes
    # Whatever an arena held before must not show.
    backend.fuse(pan, lms, affines, out, np.full(arena_bytes, 0xFF, np.uint8))
    return out


@pytest.mark.parametrize("channels", [1, 8, 16, 24, 32, 40, 64])
@pytest.mark.parametrize(("height", "width"), [(2, 2), (2, 14), (6, 4), (34, 22)])
def test_fuse_equals_the_definition_bit_for_bit(channels: int, height: int, width: int) -> None:
    shape = shape_with(channels=channels)
    weights = reference_network.random_weights(shape, seed=channels)
    inputs = random_inputs(shape, height, width)
    expected = reference_network.fuse(weights, shape, *inputs)
    assert expected.dtype == np.float32
    np.testing.assert_array_equal(run(NativeBackend(weights, shape), *inputs), expected)


@pytest.mark.parametrize("channels", [1, 8, 40])
def test_bits_of_no_channel_do_not_count(channels: int) -> None:
    shape = shape_with(channels=channels)
    weights = reference_network.random_weights(shape, seed=channels)
    bits = np.unpackbits(weights["trunk.bits"], axis=-1, bitorder="little")
    bits[..., channels:] = 1
    stuffed = {**weights, "trunk.bits": np.packbits(bits, axis=-1, bitorder="little")}
    inputs = random_inputs(shape, 6, 14)
    expected = run(NativeBackend(weights, shape), *inputs)
    np.testing.assert_array_equal(run(NativeBackend(stuffed, shape), *inputs), expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"blocks": 1},
        {"blocks": 4},
        {"bands": 1},
        {"bands": 8},
        {"outer_skip": True},
        {"channels": 96, "blocks": 1},
    ],
    ids=str,
)
def test_every_architecture_equals_the_definition_bit_for_bit(changes: dict[str, object]) -> None:
    shape = shape_with(**changes)
    weights = reference_network.random_weights(shape, seed=3)
    inputs = random_inputs(shape, 18, 26)
    expected = reference_network.fuse(weights, shape, *inputs)
    np.testing.assert_array_equal(run(NativeBackend(weights, shape), *inputs), expected)


@pytest.mark.parametrize("isa", FLAGS)
def test_every_instruction_set_of_the_processor_gives_the_same_bits(isa: str) -> None:
    require_processor(isa)
    for channels, height, width in ((24, 94, 130), (40, 38, 270)):
        shape = shape_with(channels=channels)
        weights = reference_network.random_weights(shape, seed=channels)
        inputs = random_inputs(shape, height, width)
        backend = NativeBackend(weights, shape, isa)
        assert backend.isa == isa
        np.testing.assert_array_equal(run(backend, *inputs), reference_network.fuse(weights, shape, *inputs))
        pan, lms = inputs[0][None, :, :32, :32].copy(), inputs[1][None, :, :32, :32].copy()
        portable = NativeBackend(weights, shape, "portable")
        np.testing.assert_array_equal(backend.calibrate(pan, lms), portable.calibrate(pan, lms))


def test_values_on_a_threshold_count_as_positive() -> None:
    """Inputs and weights on a coarse grid: many features lie exactly on their threshold, some are -0.0."""
    shape = shape_with(channels=16, blocks=1)
    rng = np.random.default_rng(5)
    weights = reference_network.random_weights(shape, seed=5)
    weights["head.weight"] = rng.integers(-1, 2, weights["head.weight"].shape).astype(np.float32)
    weights["head.weight"][:4] = 1
    weights["head.bias"] = np.full_like(weights["head.bias"], -0.0)
    weights["trunk.shift"] = (rng.integers(-2, 3, weights["trunk.shift"].shape) / 2).astype(np.float32)
    weights["trunk.shift"][:, :, ::4] = -0.0
    pan = rng.integers(0, 2, (1, 20, 24)).astype(np.float32)
    lms = rng.integers(0, 2, (4, 20, 24)).astype(np.float32)
    lms[:, :8], pan[:, :8] = -0.0, -0.0
    bands = reference_network._head(weights, pan, lms)
    on_threshold = bands == -weights["trunk.shift"][0][:, :, None, None]
    assert on_threshold.mean() > 0.05
    assert np.any(on_threshold & np.signbit(bands) & (bands == 0))
    affines = random_inputs(shape, 2, 2)[2]
    expected = reference_network.fuse(weights, shape, pan, lms, affines)
    for isa in instruction_sets():
        np.testing.assert_array_equal(run(NativeBackend(weights, shape, isa), pan, lms, affines), expected)


def test_calibrate_equals_the_definition() -> None:
    for changes in ({}, {"channels": 40, "outer_skip": True, "pooled_encoder": "linear", "blocks": 3}):
        shape = shape_with(**changes)
        weights = reference_network.random_weights(shape, seed=7)
        rng = np.random.default_rng(7)
        pan, lms = rng.random((3, 1, 16, 24), np.float32), rng.random((3, shape.bands, 16, 24), np.float32)
        affines = NativeBackend(weights, shape).calibrate(pan, lms)
        assert affines.dtype == np.float32
        expected = reference_network.calibrate(weights, shape, pan, lms)
        np.testing.assert_allclose(affines, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("row", "col"), [(0, 0), (12, 0), (12, 20), (36, 48)])
def test_a_window_with_halo_computes_what_the_whole_computes(row: int, col: int) -> None:
    halo, core = 2 * SHAPE.blocks + 4, 12
    weights = reference_network.random_weights(SHAPE, seed=11)
    backend = NativeBackend(weights, SHAPE)
    pan, lms, affines = random_inputs(SHAPE, 48, 60)
    top, left = max(row - halo, 0), max(col - halo, 0)
    window = np.s_[:, top : row + core + halo, left : col + core + halo]
    part = run(backend, pan[window].copy(), lms[window].copy(), affines)
    rows, cols = slice(row - top, row - top + core), slice(col - left, col - left + core)
    whole = run(backend, pan, lms, affines)[:, row : row + core, col : col + core]
    np.testing.assert_array_equal(part[:, rows, cols], whole)


def test_threads_share_a_backend() -> None:
    weights = reference_network.random_weights(SHAPE, seed=13)
    backend = NativeBackend(weights, SHAPE)
    inputs = [random_inputs(SHAPE, 66, 70, seed) for seed in range(4)]
    alone = [run(backend, *item) for item in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda item: run(backend, *item), inputs * 3))
    for index, out in enumerate(together):
        np.testing.assert_array_equal(out, alone[index % 4])


def test_memory_grows_with_the_width_only() -> None:
    backend = NativeBackend(reference_network.random_weights(SHAPE, seed=0), SHAPE)
    assert backend.memory(2, 256) == backend.memory(4096, 256)
    assert backend.memory(256, 512).arena_bytes > 1.5 * backend.memory(256, 256).arena_bytes
    assert backend.memory(256, 256).arena_bytes < 256 * 256 * SHAPE.channels * 4 / 8
    assert backend.calibration_bytes(1, 64) == backend.calibration_bytes(64, 64)


@pytest.mark.parametrize("bands", [1, 4, 64])
@pytest.mark.parametrize("channels", [1, 8, 40, 256])
@pytest.mark.parametrize("blocks", [1, 4, 16])
def test_what_other_engines_promise_for_it_is_enough(bands: int, channels: int, blocks: int) -> None:
    shape = shape_with(bands=bands, channels=channels, blocks=blocks)
    weights = {name: np.zeros(layout.shape, layout.dtype) for name, layout in weights_layout(shape).items()}
    backend = NativeBackend(weights, shape)
    for width in (2, 64, 256, 336, 4096):
        assert backend.memory(2, width).arena_bytes <= rows_bytes(shape, width)


def test_the_largest_sizes_stay_below_32_bits() -> None:
    """Sums and products of sizes in C then neither overflow `int32_t` nor a 32-bit `size_t`."""
    shape = shape_with(bands=64, channels=256, blocks=16, latent=1024, prior_steps=1000)
    weights = {name: np.zeros(layout.shape, layout.dtype) for name, layout in weights_layout(shape).items()}
    backend = NativeBackend(weights, shape)
    axis = AxisTaps(np.ones((1, 64), np.float32))
    tile = TileShape(32768, 32768, 0, 0, 32768, 32768, 0, 0)
    assert backend.memory(32768, 32768).arena_bytes < backend.tile_arena_bytes(tile, axis, axis) < 2**32
    assert 0 < backend.calibration_bytes(1, 32768) < 2**32


def test_environment_picks_the_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = reference_network.random_weights(SHAPE, seed=0)
    monkeypatch.setenv("BNNPAN_ISA", "portable")
    assert NativeBackend(weights, SHAPE).isa == "portable"
    monkeypatch.setenv("BNNPAN_ISA", "abacus")
    with pytest.raises(BackendError, match=r"'abacus' is not available; use one of .*portable"):
        NativeBackend(weights, SHAPE)


def test_a_missing_or_foreign_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    weights = reference_network.random_weights(SHAPE, seed=0)
    foreign = tmp_path / "foreign.so"
    foreign.write_text("not a library")
    for path in (tmp_path / "absent.so", foreign):
        monkeypatch.setenv("BNNPAN_NATIVE_LIBRARY", str(path))
        with pytest.raises(BackendError, match=f"{path.name} is missing or not libbnnpan"):
            NativeBackend(weights, SHAPE)


def test_weights_that_do_not_fit_the_shape_are_refused() -> None:
    weights = reference_network.random_weights(SHAPE, seed=0)
    with pytest.raises(
        BackendError, match=r"head.weight is float32 \(32, 5, 3, 3\), must be float32 \(24, 5, 3, 3\)"
    ):
        NativeBackend(weights, shape_with(channels=24))
    with pytest.raises(BackendError, match="does not take a network of this size"):
        shape = shape_with(blocks=17, channels=1)
        NativeBackend(reference_network.random_weights(shape, seed=0), shape)
    del weights["tail.bias"]
    with pytest.raises(BackendError, match=r"tail.bias is missing"):
        NativeBackend(weights, SHAPE)


def test_buffers_that_do_not_fit_are_refused() -> None:
    backend = NativeBackend(reference_network.random_weights(SHAPE, seed=0), SHAPE)
    pan, lms, affines = random_inputs(SHAPE, 8, 12)
    arena = np.empty(backend.memory(8, 12).arena_bytes, np.uint8)
    out = np.empty_like(lms)
    with pytest.raises(BackendError, match="arena is too small"):
        backend.fuse(pan, lms, affines, out, arena[1:])
    with pytest.raises(BackendError, match="lms is float64"):
        backend.fuse(pan, lms.astype(np.float64), affines, out, arena)  # type: ignore[arg-type]
    with pytest.raises(BackendError, match="pan is float32"):
        backend.fuse(np.asfortranarray(pan), lms, affines, out, arena)
    with pytest.raises(BackendError, match="height and width must be even"):
        backend.fuse(pan[:, :7], lms[:, :7].copy(), affines, out[:, :7].copy(), arena)
    with pytest.raises(BackendError, match="height and width must be even"):
        backend.memory(8, 11)
