"""The native engine on random and adverse inputs: all instruction sets compute the definition bit for bit."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import native_builds
import numpy as np
import pytest
import reference_network
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bnnpan_runtime.contract import NetworkShape, Window
from bnnpan_runtime.graph.libbnnpan import instruction_sets
from bnnpan_runtime.graph.native import NativeBackend
from bnnpan_runtime.graph.protocol import DnTile, TileShape
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene_units import SceneUnits
from bnnpan_runtime.tile_engine import float_images

Float32 = NDArray[np.float32]
Generator = np.random.Generator

CHANNELS = (8, 16, 24, 32, 40, 48, 64, 96, 128)


def shape_of(channels: int = 32, blocks: int = 2, bands: int = 4, outer_skip: bool = False) -> NetworkShape:
    return NetworkShape(
        bands=bands,
        ratio=4,
        channels=channels,
        blocks=blocks,
        latent=4,
        prior_steps=2,
        outer_skip=outer_skip,
        pooled_encoder="rectified",
    )


def affines_of(shape: NetworkShape, rng: Generator) -> Float32:
    gain = 1 + 0.1 * rng.standard_normal((shape.blocks, shape.channels))
    offset = 0.1 * rng.standard_normal((shape.blocks, shape.channels))
    return np.stack([gain, offset], axis=1).astype(np.float32)


def fused(
    backend: NativeBackend, pan: Float32, lms: Float32, affines: Float32, held: int = 0xFF, shift: int = 0
) -> Float32:
    """`held` fills the arena beforehand, which starts `shift` bytes into an allocation."""
    out = np.full_like(lms, np.nan)
    arena = np.full(backend.memory(*pan.shape[-2:]).arena_bytes + shift, held, np.uint8)[shift:]
    backend.fuse(pan, lms, affines, out, arena)
    return out


def same_bits(actual: NDArray[Any], expected: NDArray[Any]) -> None:
    """Equal, zeros in sign too; any NaN equals any other."""
    np.testing.assert_array_equal(actual, expected)
    zero = expected == 0
    np.testing.assert_array_equal(np.signbit(actual[zero]), np.signbit(expected[zero]))


Image = Callable[[Generator, tuple[int, ...]], NDArray[Any]]

IMAGES: dict[str, Image] = {
    "random": lambda rng, size: rng.random(size),
    "both signs": lambda rng, size: rng.standard_normal(size),
    "constant": lambda rng, size: np.full(size, rng.random()),
    "zeros": lambda rng, size: np.zeros(size),
    "zeros of both signs": lambda rng, size: np.copysign(0.0, rng.standard_normal(size)),
    "ones and zeros": lambda rng, size: rng.integers(0, 2, size),
    "subnormal": lambda rng, size: rng.integers(-999, 999, size) * 2.0**-149,
    "nearly subnormal": lambda rng, size: rng.standard_normal(size) * 2.0**-124,
    "largest DN": lambda rng, size: rng.choice([0.0, 255.0, 2047.0, 32767.0, -32768.0, 65535.0], size),
    "huge": lambda rng, size: rng.standard_normal(size) * 1e18,
    "largest floats": lambda rng, size: rng.choice([-1.0, 1.0], size) * np.finfo(np.float32).max,
    "any bits": lambda rng, size: rng.integers(0, 2**32, size, np.uint32).view(np.float32),
}


def coarse(weights: dict[str, NDArray[Any]], rng: Generator) -> None:
    """Whole weights, half-whole thresholds: features of whole images lie on them."""
    weights["head.weight"] = rng.integers(-1, 2, weights["head.weight"].shape).astype(np.float32)
    weights["head.bias"] = np.full_like(weights["head.bias"], -0.0)
    weights["trunk.shift"] = (rng.integers(-2, 3, weights["trunk.shift"].shape) / 2).astype(np.float32)
    weights["trunk.shift"][..., ::3] = -0.0


def scaled(factor: float) -> Callable[[dict[str, NDArray[Any]], Generator], None]:
    def scale(weights: dict[str, NDArray[Any]], _: Generator) -> None:
        for name, value in weights.items():
            if value.dtype == np.float32:
                weights[name] = (value * np.float32(factor)).astype(np.float32)

    return scale


def silent(weights: dict[str, NDArray[Any]], _: Generator) -> None:
    """A branch without variance: every channel the same."""
    weights["trunk.scale"] = np.zeros_like(weights["trunk.scale"])
    weights["trunk.gamma"] = np.full_like(weights["trunk.gamma"], 0.25)


WEIGHTS: dict[str, Callable[[dict[str, NDArray[Any]], Generator], None]] = {
    "random": lambda weights, rng: None,
    "coarse": coarse,
    "huge": scaled(1e6),
    "tiny": scaled(1e-6),
    "subnormal": scaled(2.0**-126),
    "silent": silent,
}


@cache
def network(shape: NetworkShape, kind: str) -> tuple[dict[str, NDArray[Any]], dict[str, NativeBackend]]:
    weights = reference_network.random_weights(shape, seed=shape.channels)
    WEIGHTS[kind](weights, np.random.default_rng(shape.channels))
    return weights, {isa: NativeBackend(weights, shape, isa) for isa in instruction_sets()}


@settings(deadline=None, max_examples=30)
@given(
    channels=st.sampled_from(CHANNELS),
    blocks=st.integers(1, 3),
    bands=st.integers(1, 5),
    outer_skip=st.booleans(),
    size=st.tuples(st.sampled_from([2, 4, 6, 14]), st.sampled_from([2, 4, 14, 30, 34, 66, 142])),
    image=st.sampled_from(sorted(IMAGES)),
    kind=st.sampled_from(sorted(WEIGHTS)),
    seed=st.integers(0, 2**16),
    held=st.integers(0, 255),
    shift=st.integers(0, 63),
)
def test_fuse_equals_the_definition(
    channels: int,
    blocks: int,
    bands: int,
    outer_skip: bool,
    size: tuple[int, int],
    image: str,
    kind: str,
    seed: int,
    held: int,
    shift: int,
) -> None:
    assume(channels * channels * size[0] * size[1] < 2**21)
    rng = np.random.default_rng(seed)
    shape = shape_of(channels, blocks, bands, outer_skip)
    weights, backends = network(shape, kind)
    pan, lms = (
        IMAGES[image](rng, (planes, *size)).astype(np.float32, casting="unsafe") for planes in (1, bands)
    )
    affines = affines_of(shape, rng)
    with np.errstate(all="ignore"):
        expected = reference_network.fuse(weights, shape, pan, lms, affines)
    for backend in backends.values():
        same_bits(fused(backend, pan, lms, affines, held, shift), expected)


@pytest.mark.parametrize("image", ["random", "constant", "zeros", "subnormal", "largest DN", "any bits"])
def test_calibration_is_the_same_everywhere(image: str) -> None:
    shape = shape_of(channels=40, outer_skip=True)
    _, backends = network(shape, "random")
    rng = np.random.default_rng(1)
    pan, lms = (IMAGES[image](rng, (2, planes, 10, 38)).astype(np.float32) for planes in (1, shape.bands))
    affines = [backend.calibrate(pan, lms) for backend in backends.values()]
    for other in affines:
        same_bits(other, affines[0])
    assert image == "any bits" or np.all(np.isfinite(affines[0]))


@settings(deadline=None, max_examples=20)
@given(
    row=st.integers(0, 20),
    col=st.integers(0, 40),
    height=st.integers(1, 12),
    width=st.integers(1, 20),
    channels=st.sampled_from([8, 40]),
    blocks=st.integers(1, 3),
)
def test_a_crop_with_halo_equals_the_whole(
    row: int, col: int, height: int, width: int, channels: int, blocks: int
) -> None:
    shape = shape_of(channels, blocks)
    rng = np.random.default_rng(3)
    pan, lms = rng.random((1, 44, 82), np.float32), rng.random((shape.bands, 44, 82), np.float32)
    affines, halo = affines_of(shape, rng), 2 * blocks + 4
    top, left, core = 2 * row, 2 * col, np.s_[:, 2 * row : 2 * (row + height), 2 * col : 2 * (col + width)]
    first_row, first_col = max(top - halo, 0), max(left - halo, 0)
    window = np.s_[:, first_row : 2 * (row + height) + halo, first_col : 2 * (col + width) + halo]
    inner = np.s_[:, top - first_row :, left - first_col :]
    for backend in network(shape, "random")[1].values():
        whole = fused(backend, pan, lms, affines)[core]
        part = fused(backend, pan[window].copy(), lms[window].copy(), affines)[inner]
        same_bits(part[:, : whole.shape[1], : whole.shape[2]], whole)


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_threads_share_a_model(threads: int) -> None:
    shape = shape_of()
    rng = np.random.default_rng(5)
    affines = affines_of(shape, rng)
    images = [
        (rng.random((1, 22, 70), np.float32), rng.random((shape.bands, 22, 70), np.float32)) for _ in range(6)
    ]
    for backend in network(shape, "random")[1].values():
        alone = [fused(backend, *image, affines) for image in images]
        with ThreadPoolExecutor(threads) as pool:
            together = list(pool.map(lambda image, b=backend: fused(b, *image, affines), images * 3))
        for index, out in enumerate(together):
            same_bits(out, alone[index % len(images)])


ORIGIN = 25

UNITS = {
    "bit depth": SceneUnits.of_bit_depth(2047.0, 2),
    "scene": SceneUnits(700.3, 210.7, (401.5, 333.3), (120.9, 99.1), (0.8, 0.7)),
    "tiny scales": SceneUnits(1.0, 1e-30, (5.0, 6.0), (1e-38, 1e-45), (1e9, -1e-9)),
    "far away": SceneUnits(-1e30, 1e30, (3e38, -3e38), (1e36, 3e38), (2.0, 1e-20)),
}


def tile_of(
    resampler: Resampler,
    window: Window,
    core: Window,
    pan: NDArray[Any],
    ms: NDArray[Any],
    units: SceneUnits,
) -> DnTile:
    """A tile of the scene `pan`, `ms`; MS sample (0, 0) is `ms[:, ORIGIN, ORIGIN]`.

    For a shrunk PAN, MS of band 0 stands in.
    """
    area = resampler.ms_window(window)
    rows = slice(area.row + ORIGIN, area.row + ORIGIN + area.height)
    cols = slice(area.col + ORIGIN, area.col + ORIGIN + area.width)
    return DnTile(
        shape=TileShape.of(window, core, resampler.row_taps.ratio),
        rows=resampler.row_taps,
        cols=resampler.col_taps,
        pan=pan[window.row : window.row + window.height, window.col : window.col + window.width].copy(),
        ms=ms[:, rows, cols].copy(),
        product=np.zeros((len(ms), core.height, core.width), pan.dtype),
        units=units,
        pan_nodata=0,
        ms_nodata=None,
        shrunk=np.sin(ms[0, rows, cols], dtype=np.float32) if units.injects else None,
    )


def fused_tile(backend: NativeBackend, tile: DnTile, affines: Float32) -> NDArray[Any]:
    arena_bytes = backend.tile_arena_bytes(tile.shape, tile.rows, tile.cols)
    backend.fuse_tile(tile, affines, np.full(arena_bytes, 0xFF, np.uint8))
    return tile.product


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_one_pixel_tiles_equal_the_definition(dtype: type, units: str) -> None:
    shape = shape_of(channels=8, bands=2)
    weights, backends = network(shape, "random")
    rng = np.random.default_rng(7)
    affines, resampler = affines_of(shape, rng), Resampler(Grid(3, 0.25, 0.5), "centred")
    largest = 255 if dtype is np.uint8 else 32767
    pan = rng.integers(0, largest, (2, 2)).astype(dtype)
    ms = rng.integers(0, largest, (2, 60, 60)).astype(dtype)
    window = Window(0, 0, 2, 2)
    for row, col in product((0, 1), (0, 1)):
        tile = tile_of(resampler, window, Window(row, col, 1, 1), pan, ms, UNITS[units])
        expected = definition_of(weights, shape, resampler, tile, affines)[:, row : row + 1, col : col + 1]
        for backend in backends.values():
            np.testing.assert_array_equal(fused_tile(backend, tile, affines), expected)


def definition_of(
    weights: dict[str, NDArray[Any]],
    shape: NetworkShape,
    resampler: Resampler,
    tile: DnTile,
    affines: Float32,
) -> NDArray[Any]:
    """The DN of the whole window, step by step."""
    pan, lms = float_images(tile, Window(0, 0, *tile.pan.shape), resampler)
    hrms = reference_network.fuse(weights, shape, pan, lms, affines)
    offset, scale = (
        np.array(v, np.float32)[:, None, None] for v in (tile.units.ms_offset, tile.units.ms_scale)
    )
    hrms = hrms * scale + offset
    if tile.product.dtype == np.float32:
        return hrms
    limits = np.iinfo(tile.product.dtype)
    nearest = np.rint(np.fmin(np.fmax(hrms, limits.min), limits.max))
    return nearest.astype(tile.product.dtype)


@pytest.mark.parametrize("units", ["bit depth", "scene"])
@pytest.mark.parametrize("size", [(2, 2), (1, 52), (7, 9), (16, 34), (40, 17)], ids=str)
def test_any_size_of_tile_gives_the_same_product(size: tuple[int, int], units: str) -> None:
    """Tiles of odd sizes at odd places, each in an even window with its halo."""
    shape = shape_of(channels=8, blocks=1, bands=2)
    rng = np.random.default_rng(9)
    affines, resampler = affines_of(shape, rng), Resampler(Grid(4, 0.0, 1.0), "toolbox")
    scene = Window(0, 0, 40, 52)
    pan = rng.integers(0, 2047, (scene.height, scene.width)).astype(np.uint16)
    ms = rng.integers(0, 2047, (shape.bands, 70, 70)).astype(np.uint16)
    backends = network(shape, "random")[1]
    everything = tile_of(resampler, scene, scene, pan, ms, UNITS[units])
    whole = fused_tile(backends["portable"], everything, affines)
    rows, cols = range(0, scene.height, size[0]), range(0, scene.width, size[1])
    for place, (row, col) in enumerate(product(rows, cols)):
        backend = list(backends.values())[place % len(backends)]
        height, width = min(size[0], scene.height - row), min(size[1], scene.width - col)
        window = even_window(row, col, height, width, scene, halo=6)
        tile = tile_of(resampler, window, Window(row, col, height, width), pan, ms, UNITS[units])
        np.testing.assert_array_equal(
            fused_tile(backend, tile, affines), whole[:, row : row + height, col : col + width]
        )


def even_window(row: int, col: int, height: int, width: int, scene: Window, halo: int) -> Window:
    def stretch(start: int, count: int, length: int) -> tuple[int, int]:
        first = max(start - halo, 0) // 2 * 2
        return first, min((start + count + halo + 1) // 2 * 2, length) - first

    (top, rows), (left, columns) = stretch(row, height, scene.height), stretch(col, width, scene.width)
    return Window(top, left, rows, columns)


@pytest.fixture(scope="module")
def fma_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("fma") / "driver"
    source = Path(__file__).with_name("fma_driver.c")
    options = (*native_builds.EXACT, *native_builds.STRICT, "-O2", f"-I{native_builds.NATIVE}")
    native_builds.output_of(native_builds.compiler(), *options, source, "-o", target, "-lm")
    return target


def test_fused_multiply_adds_in_double_equal_those_of_the_c_library(fma_driver: Path) -> None:
    """Millions of triples, most of them halfway between two floats, cancelling or subnormal."""
    native_builds.output_of(fma_driver, "20000000", "1")


def nearest_float(value: Fraction, sign_of_zero: float) -> float:
    """`value` rounded to float32, half to even, with subnormals and overflow."""
    if value == 0:
        return sign_of_zero
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if Fraction(2) ** exponent > magnitude:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - 23, -149)
    rounded = round(magnitude / unit) * unit
    result = float(rounded) if rounded < 2**128 else float("inf")
    return -result if value < 0 else result


def adverse_triples(rng: Generator, count: int) -> Float32:
    """Products close to a power of two below an addend, cancellations, subnormal results, zeros."""
    a, b = (
        np.ldexp(1 + rng.integers(-4, 5, count) * 2.0**-23, rng.integers(-74, 40, count)).astype(np.float32)
        for _ in range(2)
    )
    with np.errstate(over="ignore"):
        exact = a.astype(np.float64) * b.astype(np.float64)
        c = (exact * rng.choice([-1.0, 2.0**24, -(2.0**24), 2.0**25, 1.0, 0.0], count)).astype(np.float32)
    c = np.where(rng.random(count) < 0.5, np.nextafter(c, np.float32(0)), c)
    a = np.where(rng.random(count) < 0.02, np.float32(-0.0), a)
    return np.stack([a, b, c], axis=1)[np.isfinite(c)]


def test_fused_multiply_adds_in_double_equal_exact_arithmetic(fma_driver: Path, tmp_path: Path) -> None:
    triples = np.concatenate(
        [
            adverse_triples(np.random.default_rng(11), 6000),
            np.array(list(product([0.0, -0.0, 1.0, -1.0, 2.0**-149, -(2.0**-149)], repeat=3)), np.float32),
        ]
    ).astype("<f4")
    path = tmp_path / "triples"
    path.write_bytes(triples.tobytes())
    answer = subprocess.run([fma_driver, path], capture_output=True, check=True).stdout
    results = [result for (result,) in struct.iter_unpack("<f", answer)]
    for (a, b, c), result in zip(triples.tolist(), results, strict=True):
        expected = nearest_float(Fraction(a) * Fraction(b) + Fraction(c), a * b + c)
        assert struct.pack("<f", result) == struct.pack("<f", expected), (a.hex(), b.hex(), c.hex())
