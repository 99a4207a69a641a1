"""Quality on board: the field's figures, the same however a scene is cut, and what is done about it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_scenes import RawScene, SceneWriter, read_raster, write_raw_scene

from bnnpan.metrics.blocks import blocks
from bnnpan.metrics.full import _spatial_distortion
from bnnpan.metrics.q2n import q2n
from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import FuseReport
from bnnpan_runtime.judging.gate import Judging
from bnnpan_runtime.judging.hqnr import QualitySums, low_pass, whole_corners
from bnnpan_runtime.lowpass import blur
from bnnpan_runtime.product.mask import PixelClass
from bnnpan_runtime.product.tags import sha256_of
from bnnpan_runtime.telemetry import Recorder
from bnnpan_runtime.telemetry.emit import Happening, Record
from bnnpan_runtime.telemetry.table import BLOCK_JUDGED, QUALITY_FOUND, TILE_FELL_BACK

PLENTY = "4GiB"
SIDE = 240


def images(bands: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """PAN, LMS, PAN at MS resolution, product: related, as they are in a scene, in whole DN."""
    random = np.random.default_rng(seed)
    taps = low_pass(4)
    reach = len(taps) // 2
    wide = random.normal(0, 150, (bands + 1, SIDE + 4 * reach, SIDE + 4 * reach)).astype(np.float32)
    detail = np.stack([blur(plane, taps) for plane in wide]) * 8
    detail[1:] += detail[:1]
    inner = np.s_[..., reach:-reach, reach:-reach]
    smooth = np.stack([blur(plane, taps) for plane in detail]) + 900
    noise = random.normal(0, 9, (bands, SIDE, SIDE))
    fused = detail[inner][1:] * 0.9 + 900 + noise
    return (
        detail[inner][0] + 900,
        np.rint(smooth[1:]),
        smooth[0],
        np.rint(fused).astype(np.float32),
    )


@pytest.mark.parametrize("bands", [1, 3, 4, 8])
def test_figures_are_those_of_the_ground_side(bands: int):
    taps = low_pass(4)
    pan, lms, smooth, fused = images(bands)
    figures = QualitySums.of((pan, lms, smooth, fused), whole_corners((SIDE, SIDE), None, taps), taps).figures
    side = len(taps) // 2
    end = side + (SIDE - 2 * side) // 32 * 32
    inner = np.s_[..., side:end, side:end]
    seen = np.stack([blur(band, taps) for band in fused])[:, : end - side, : end - side]
    double = [
        np.float64(image) for image in (fused[inner], lms[inner], pan[None][inner], smooth[None][inner])
    ]
    assert figures is not None
    # The toolbox rounds both images of Q2n to whole DN.
    assert figures.d_lambda == pytest.approx(1 - q2n(double[1], np.float64(seen)), abs=1e-4)
    assert figures.d_s == pytest.approx(_spatial_distortion(*map(blocks, double)), abs=2e-6)
    assert 0.2 < figures.hqnr < 1


def test_an_image_that_has_lost_its_detail_or_its_colours_is_judged_worse():
    taps, corners = low_pass(4), whole_corners((SIDE, SIDE), None, low_pass(4))
    pan, lms, smooth, fused = images(4)
    sound = QualitySums.of((pan, lms, smooth, fused), corners, taps).figures
    swapped = QualitySums.of((pan, lms, smooth, fused[::-1].copy()), corners, taps).figures
    noisy = fused + np.random.default_rng(1).normal(0, 300, fused.shape).astype(np.float32)
    spoilt = QualitySums.of((pan, lms, smooth, noisy), corners, taps).figures
    assert sound is not None and swapped is not None and spoilt is not None
    assert swapped.d_lambda > sound.d_lambda + 0.05
    assert spoilt.d_s > sound.d_s + 0.05


@settings(max_examples=30)
@given(st.permutations(range(9)), st.integers(1, 8))
def test_sums_are_the_same_in_any_order_and_survive_the_journal(order: list[int], cut: int):
    taps, corners = low_pass(4), whole_corners((SIDE, SIDE), None, low_pass(4))[:9]
    parts = [QualitySums.of(SMALL, [corner], taps) for corner in corners]
    whole = QualitySums.of(SMALL, corners, taps)
    total = QualitySums.none(2)
    for place in order[:cut]:
        total += parts[place]
    total = QualitySums.decode(total.encode(), 2)
    for place in order[cut:]:
        total += parts[place]
    assert total == whole


SMALL = images(2)


def test_blocks_with_absent_or_flat_pixels_do_not_count():
    taps = low_pass(4)
    pan, lms, smooth, fused = images(4)
    absent = np.zeros((SIDE, SIDE), bool)
    absent[0, 0] = True  # one block sees it through the taps
    assert len(whole_corners((SIDE, SIDE), absent, taps)) == 48
    lms[2, : SIDE // 2] = 7
    corners = whole_corners((SIDE, SIDE), None, taps)
    assert 0 < QualitySums.of((pan, lms, smooth, fused), corners, taps).blocks < 49
    lms[:] = 7
    assert QualitySums.of((pan, lms, smooth, fused), corners, taps).figures is None


@dataclass(frozen=True)
class Judged:
    """A scene of four blocks, a figure that two of them are below, and its product with that threshold."""

    raw: RawScene
    least: float
    folder: Path
    report: FuseReport
    records: list[Record]


def run(
    raw: RawScene, bundle: Bundle, out: Path, min_hqnr: float | None = None, **options: object
) -> tuple[FuseReport, list[Record]]:
    records: list[Record] = []
    report = fuse(
        raw.pan,
        raw.ms,
        bundle,
        out,
        memory=PLENTY,
        overwrite=True,
        mask=out.with_suffix(".mask.tif"),
        judging=Judging(True, min_hqnr),
        telemetry=Recorder(records.append),
        **options,
    )
    return report, records


def happenings(records: list[Record], event: object) -> list[Happening]:
    return [one for one in records if isinstance(one, Happening) and one.event is event]


@pytest.fixture(scope="module")
def judged(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    def punch(pan: np.ndarray, ms: np.ndarray) -> None:
        pan[300:330, 7:40] = 0
        ms[:, 10:12, 20:22] = 0

    folder = tmp_path_factory.mktemp("judged")
    raw = write_raw_scene(folder, 530, 550, nodata=0, change=punch)
    _, records = run(raw, bundle, folder / "network.tif")
    figures = sorted(float(one.values["hqnr"]) for one in happenings(records, BLOCK_JUDGED))
    assert len(figures) == 4  # those at the lower and right edge are too narrow
    least = (figures[1] + figures[2]) / 2
    return Judged(raw, least, folder, *run(raw, bundle, folder / "mixed.tif", least, tile=128))


@pytest.mark.parametrize(("tile", "threads"), [(50, 2), (256, 1), (1024, 3)])
def test_neither_tiles_nor_threads_change_a_byte_where_blocks_fall_back(
    judged: Judged, bundle: Bundle, tmp_path: Path, tile: int, threads: int
):
    out = tmp_path / "mixed.tif"
    report, records = run(judged.raw, bundle, out, judged.least, tile=tile, threads=threads)
    assert report.quality == judged.report.quality
    assert report.quality is not None and report.quality.blocks_fell_back == 2
    for name in ("mixed.tif", "mixed.mask.tif"):
        assert sha256_of(tmp_path / name) == sha256_of(judged.folder / name)
    across = -(-550 // tile)
    places = {256 // tile * rows + 256 // tile * cols for rows in (0, across) for cols in (0, 1)}
    told = [one.values["tile"] for one in happenings(records, TILE_FELL_BACK)]
    assert len(told) == 2 and set(told) <= places


def test_what_falls_back_is_the_classical_methods_and_the_mask_says_so(judged: Judged, bundle: Bundle):
    run(judged.raw, bundle, judged.folder / "classical.tif", backend="classical")
    network, classical, mixed = (
        read_raster(judged.folder / f"{name}.tif") for name in ("network", "classical", "mixed")
    )
    classes = read_raster(judged.folder / "mixed.mask.tif")[0]
    assert set(np.unique(classes)) == {PixelClass.NETWORK, PixelClass.CLASSICAL, PixelClass.NODATA}
    fell_back = classes == PixelClass.CLASSICAL
    assert np.array_equal(mixed[:, fell_back], classical[:, fell_back])
    assert np.array_equal(mixed[:, ~fell_back], network[:, ~fell_back])
    assert not np.array_equal(network[:, fell_back], classical[:, fell_back])
    assert np.array_equal(classes == PixelClass.NODATA, (network == 0).any(axis=0))


def test_the_report_the_tags_and_the_log_agree(judged: Judged):
    said = json.loads(json.dumps(judged.report.to_json()))["quality"]
    with rasterio.open(judged.folder / "mixed.tif") as product:
        tags = product.tags()
    assert float(tags["BNNPAN_HQNR"]) == said["HQNR"]
    assert float(tags["BNNPAN_MIN_HQNR"]) == said["min_HQNR"] == judged.least
    assert float(tags["BNNPAN_D_LAMBDA"]) == said["D_lambda"]
    assert float(tags["BNNPAN_D_S"]) == said["D_s"]
    assert (tags["BNNPAN_JUDGED_BLOCKS"], tags["BNNPAN_FELL_BACK_BLOCKS"]) == ("4", "2")
    [found] = happenings(judged.records, QUALITY_FOUND)
    assert found.values["hqnr"] == said["HQNR"] and found.values["blocks_fell_back"] == 2


def test_measuring_changes_nothing_but_the_tags(judged: Judged, bundle: Bundle, tmp_path: Path):
    raw, plain = judged.raw, tmp_path / "plain.tif"
    fuse(raw.pan, raw.ms, bundle, plain, memory=PLENTY)
    assert np.array_equal(read_raster(judged.folder / "network.tif"), read_raster(plain))
    with rasterio.open(plain) as product:
        assert not [name for name in product.tags() if "HQNR" in name or "MISSING" in name]


def test_a_scene_with_gaps_everywhere_cannot_be_judged_and_passes(
    write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
):
    def punch(pan: np.ndarray, ms: np.ndarray) -> None:
        pan[10::40, 10::40] = 0

    report, records = run(write_scene(nodata=0, change=punch), bundle, tmp_path / "out.tif", 1.0)
    assert report.quality is not None and report.quality.hqnr is None
    assert happenings(records, TILE_FELL_BACK) == []


def test_nothing_stands_in_for_the_classical_method(write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
    report, _ = run(write_scene(), bundle, tmp_path / "out.tif", 1.0, backend="classical")
    assert report.quality is not None
    assert (report.quality.blocks, report.quality.blocks_fell_back) == (1, 0)
    assert set(np.unique(read_raster(tmp_path / "out.mask.tif"))) == {PixelClass.CLASSICAL}
