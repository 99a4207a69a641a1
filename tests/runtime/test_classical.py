"""MTF-GLP-FS on board: what the ground side's version gives, in tiles, with statistics of a few patches."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from raw_scenes import RawScene, SceneWriter, read_raster, write_raster

from bnnpan.baselines import fuse as ground_fuse
from bnnpan.baselines.scene import prepare
from bnnpan.data.sensors import UNKNOWN
from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.calibrate import patch_windows
from bnnpan_runtime.classical.calibrate import calibrate
from bnnpan_runtime.classical.engine import ClassicalEngine
from bnnpan_runtime.contract import Calibration, Phase, Tile, Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.graph.protocol import DnTile
from bnnpan_runtime.memory import allocate
from bnnpan_runtime.product.tags import sha256_of
from bnnpan_runtime.scene import Scene, open_scene
from bnnpan_runtime.shrink import Shrinker
from bnnpan_runtime.worker import ShrinkBench, Slot, tile_layout

PLENTY = "4GiB"
RANGE = 2047


def classical(raw: RawScene, out: Path, **options: object) -> np.ndarray:
    fuse(raw.pan, raw.ms, None, out, memory=PLENTY, backend="classical", overwrite=True, **options)
    return read_raster(out)


def textured(folder: Path, side: int, bands: int, ratio: int) -> RawScene:
    """Noise at every scale, so that each tap of each filter counts; bands share it in part."""
    random = np.random.default_rng(side + bands + ratio)
    pan = random.random((side, side))
    small = pan.reshape(side // ratio, ratio, side // ratio, ratio).mean(axis=(1, 3))
    own = random.random((bands, *small.shape))
    share = np.linspace(0.3, 1.5, bands)[:, None, None]
    raw = RawScene(folder / "pan.tif", folder / "ms.tif")
    write_raster(raw.pan, (200 + 1500 * pan[None]).astype(np.uint16))
    write_raster(raw.ms, (100 + 1000 * share * small + 60 * own).astype(np.uint16))
    return raw


@dataclass(frozen=True)
class Whole:
    """A scene as one tile: planes `(bands + 1, height, width)` in DN, gains, and the product."""

    pan: np.ndarray
    ms: np.ndarray
    planes: np.ndarray
    gains: np.ndarray
    product: np.ndarray


@contextmanager
def opened(raw: RawScene, phase: Phase, patch: int, count: int) -> Iterator[tuple[Scene, ClassicalEngine]]:
    with open_scene(raw.pan, raw.ms, None) as scene:
        yield scene, ClassicalEngine(scene.grid, scene.bands, phase, Calibration(patch, count))


def observed(engine: ClassicalEngine, tile: DnTile, arena: np.ndarray) -> np.ndarray:
    return np.concatenate([strip.planes.copy() for strip in engine.observe(tile, arena)], axis=1)


def buffers(scene: Scene, engine: ClassicalEngine, side: int) -> tuple[Slot, ShrinkBench, np.ndarray]:
    layout = tile_layout(scene, engine.resampler, engine, side, engine.halo, engine.shrinks_pan)
    return Slot(layout), ShrinkBench(layout), allocate(*layout.engine["arena"])


def whole(raw: RawScene, phase: Phase = "centred") -> Whole:
    """Calibrated on the whole scene, a square one."""
    side = read_raster(raw.pan).shape[1]
    with opened(raw, phase, side, 1) as (scene, engine):
        constants = calibrate(scene, engine)
        slot, shrink, arena = buffers(scene, engine, side)
        core = Window(0, 0, side, side)
        slot.read(scene, engine.resampler, Tile(0, core, core))
        shrunk = shrink.shrunk(slot, constants.units, None)
        tile = slot.dn_tile(scene, engine.resampler, constants.units, shrunk)
        planes = observed(engine, tile, arena)
        engine.fuse_tile(tile, constants.affines, arena)
    units = constants.units
    planes = planes + np.array([*units.ms_offset, units.pan_offset])[:, None, None]
    return Whole(slot.pan, read_raster(raw.ms), planes, constants.affines, slot.product)


class TestGroundVersion:
    """Statistics of the whole image on both sides."""

    @pytest.mark.parametrize(("side", "bands", "ratio"), [(200, 4, 4), (198, 6, 2), (192, 3, 3), (192, 8, 6)])
    def test_every_step_is_the_same_within_rounding(self, tmp_path: Path, side: int, bands: int, ratio: int):
        ours = whole(textured(tmp_path, side, bands, ratio))
        pan, ms = ours.pan.astype(float), ours.ms.astype(float)
        theirs = prepare(pan, ms, np.ones(pan.shape, bool), UNKNOWN, ratio, "centred")
        smooth = theirs.low_pass_pan()
        assert np.abs(ours.planes[:-1] - theirs.lms).max() < 1e-5 * RANGE
        assert np.abs(ours.planes[-1] - smooth[0]).max() < 1e-5 * RANGE
        gains = theirs.covariance(theirs.lms, pan) / theirs.covariance(smooth, pan)
        assert np.allclose(ours.gains, gains, rtol=1e-4)
        product = ground_fuse("MTF-GLP-FS", pan, ms, UNKNOWN, ratio, "centred")
        assert np.abs(ours.product - np.clip(product, 0, None)).max() < 0.5 + 1e-4 * RANGE

    def test_the_toolbox_phase_differs_by_its_filter_whose_sum_is_not_one(self, tmp_path: Path):
        ours = whole(textured(tmp_path, 200, 4, 4), "toolbox")
        pan, ms = ours.pan.astype(float), ours.ms.astype(float)
        theirs = prepare(pan, ms, np.ones(pan.shape, bool), UNKNOWN, 4, "toolbox")
        smooth = theirs.low_pass_pan()[0] / theirs.constant_at_ms(0.3)
        inner = (slice(60, -60),) * 2  # the toolbox interpolates in a circle
        assert np.abs(ours.planes[:-1] - theirs.lms)[:, *inner].max() < 1e-5 * RANGE
        # The toolbox also tapers the Gaussian with a window.
        assert np.abs(ours.planes[-1] - smooth)[inner].max() < 5e-3 * RANGE

    def test_sixteen_patches_give_nearly_the_gains_of_the_whole(self, tmp_path: Path):
        raw = textured(tmp_path, 600, 4, 4)
        with opened(raw, "centred", 64, 16) as (scene, engine):
            sampled = calibrate(scene, engine).affines
        assert np.allclose(sampled, whole(raw).gains, rtol=0.05)


SCENES = {
    "even": {},
    "odd sides": {"height": 201, "width": 183},
    "uint8": {"dtype": "uint8"},
    "eight bands": {"bands": 8},
    "offset by part pixels": {"height": 150, "width": 131, "ms_shape": (50, 50), "offset": (1.5, 0.5)},
    "MS much larger": {"height": 150, "width": 130, "ms_shape": (70, 90), "offset": (60, 101)},
    "ratio 3": {"height": 180, "width": 180, "ms_shape": (60, 60), "georeferenced": False},
    "NoData": {"height": 260, "width": 240, "nodata": 0},
}


@pytest.mark.parametrize("kind", SCENES)
def test_tiles_and_threads_do_not_change_a_bit(write_scene: SceneWriter, tmp_path: Path, kind: str):
    def punch(pan: np.ndarray, ms: np.ndarray) -> None:
        if kind == "NoData":
            pan[:100, :90] = 0
            ms[:, 40:43, 10:17] = 0

    raw = write_scene(**SCENES[kind], change=punch)
    classical(raw, tmp_path / "whole.tif", tile=512)
    for tile, threads in ((16, 1), (50, 3), (64, 2), (128, 1)):
        classical(raw, tmp_path / "tiled.tif", tile=tile, threads=threads)
        assert sha256_of(tmp_path / "tiled.tif") == sha256_of(tmp_path / "whole.tif")


def test_the_margin_of_the_pan_is_hardly_more_than_what_counts(tmp_path: Path):
    """That it is enough is shown by the tiles."""
    raw = textured(tmp_path, 400, 2, 4)
    with opened(raw, "centred", 64, 4) as (scene, engine):
        units = calibrate(scene, engine).units
        slot, shrink, arena = buffers(scene, engine, 16)
        core = Window(200, 200, 16, 16)
        slot.read(scene, engine.resampler, Tile(0, core, core))

        def planes() -> np.ndarray:
            shrunk = shrink.shrunk(slot, units, None)
            return observed(engine, slot.dn_tile(scene, engine.resampler, units, shrunk), arena)

        before = planes()
        assert slot.pan.shape == (16, 16) and slot.pan_around.shape == (102, 102)
        # The outermost taps of both filters together are less than float32 can tell.
        slot.pan_around[:8], slot.pan_around[-8:] = 65535, 65535
        assert not np.array_equal(planes(), before)


class TestNoData:
    def test_it_is_where_the_network_has_it(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        def punch(pan: np.ndarray, ms: np.ndarray) -> None:
            pan[100:130, 7:40] = 0
            ms[:, 10:12, 20:22] = 0
            ms[2, 30, 30] = 0

        raw = write_scene(201, 180, nodata=0, change=punch)
        fuse(raw.pan, raw.ms, bundle, tmp_path / "network.tif", memory=PLENTY, backend="native")
        product = classical(raw, tmp_path / "out.tif")
        assert np.array_equal(product == 0, read_raster(tmp_path / "network.tif") == 0)

    def test_it_does_not_count_for_the_gains(self, tmp_path: Path):
        raw = textured(tmp_path, 400, 4, 4)
        gains = []
        for blank in (0, 200):
            pan, ms = read_raster(raw.pan), read_raster(raw.ms)
            pan[:, :, :blank], ms[:, :, : blank // 4] = 65535, 65535
            folder = tmp_path / str(blank)
            folder.mkdir()
            part = RawScene(folder / "pan.tif", folder / "ms.tif")
            write_raster(part.pan, pan, nodata=65535)
            write_raster(part.ms, ms, nodata=65535)
            with opened(part, "centred", 64, 16) as (scene, engine):
                gains.append(calibrate(scene, engine).affines)
        assert np.allclose(*gains, rtol=0.05)

    def test_a_scene_without_any_measurement_is_refused(self, write_scene: SceneWriter, tmp_path: Path):
        def blank(pan: np.ndarray, ms: np.ndarray) -> None:
            pan[...] = 0

        raw = write_scene(nodata=0, change=blank)
        with pytest.raises(SceneError, match="no calibration patch holds data"):
            classical(raw, tmp_path / "out.tif")
        assert not (tmp_path / "out.tif").exists()

    def test_a_scene_whose_patches_see_data_only_around_them_is_refused(
        self, write_scene: SceneWriter, tmp_path: Path
    ):
        def leave_an_island(pan: np.ndarray, ms: np.ndarray) -> None:
            away = np.ones(pan.shape, bool)
            away[248:264, 296:312] = False
            pan[away], ms[ms == 0] = 0, 1

        raw = write_scene(512, 512, nodata=0, change=leave_an_island)
        with open_scene(raw.pan, raw.ms, None) as scene:
            engine = ClassicalEngine(scene.grid, scene.bands, "centred", Calibration(64, 1))
            (patch,) = patch_windows(scene, engine.resampler, engine.calibration)
            margin = Shrinker(engine.resampler, 512, 512).margin
            assert patch.col + 64 < 296 < patch.col + 64 + margin and patch.row < 248 < patch.row + 64
            with pytest.raises(SceneError, match="no calibration patch holds data"):
                calibrate(scene, engine)


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("ratio", [2, 8, 16])
def test_a_low_and_wide_scene_is_fused(write_scene: SceneWriter, tmp_path: Path, bands: int, ratio: int):
    shape = (64 // ratio, 1024 // ratio)
    raw = write_scene(64, 1024, ms_shape=shape, bands=bands, georeferenced=False)
    assert classical(raw, tmp_path / "out.tif").shape == (bands, 64, 1024)


def test_a_flat_pan_adds_nothing(write_scene: SceneWriter, tmp_path: Path):
    def flatten(pan: np.ndarray, ms: np.ndarray) -> None:
        pan[...] = 700

    raw = write_scene(200, 200, change=flatten)
    ours = whole(raw)
    assert not ours.gains.any()
    assert np.abs(classical(raw, tmp_path / "out.tif") - ours.planes[:-1]).max() < 0.501


def test_it_takes_any_bands_and_ratio_and_the_product_says_what_made_it(
    write_scene: SceneWriter, tmp_path: Path
):
    raw = write_scene(180, 180, ms_shape=(60, 60), bands=7, georeferenced=False)
    report = fuse(raw.pan, raw.ms, None, tmp_path / "out.tif", memory=PLENTY, backend="classical")
    assert (report.backend, report.method, report.fallback_reason) == ("classical", "MTF-GLP-FS", None)
    with rasterio.open(tmp_path / "out.tif") as product:
        assert product.count == 7
        tags = product.tags()
    assert tags["BNNPAN_BACKEND"] == "classical"
    assert tags["BNNPAN_METHOD"] == "MTF-GLP-FS: a classical method, no network"
    assert not {"BNNPAN_BUNDLE", "BNNPAN_FALLBACK_REASON"} & set(tags)


def test_equal_pixel_sizes_are_refused(write_scene: SceneWriter, tmp_path: Path):
    raw = write_scene(128, 128, ms_shape=(128, 128), georeferenced=False)
    with pytest.raises(SceneError, match="ratio of 1"):
        classical(raw, tmp_path / "out.tif")


FORBIDDEN = """
import sys
from bnnpan_runtime import fuse
fuse(*sys.argv[1:3], None, sys.argv[3], memory="4GiB", backend="classical")
names = ("bnnpan", "scipy", "onnxruntime", "ai_edge_litert", "bnnpan_runtime.graph.libbnnpan")
print([name for name in names if name in sys.modules])
"""


def test_it_needs_numpy_and_rasterio_alone(
    write_scene: SceneWriter, tmp_path: Path, subprocess_environment: dict[str, str]
):
    raw = write_scene()
    result = subprocess.run(
        [sys.executable, "-c", FORBIDDEN, raw.pan, raw.ms, tmp_path / "out.tif"],
        env=subprocess_environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "[]\n"
