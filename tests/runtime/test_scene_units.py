"""Networks in scene units: what calibration finds, and that nothing else about a run depends on the units."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from raw_scenes import RawScene, SceneWriter, read_raster

from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.calibrate import SceneConstants, calibrate
from bnnpan_runtime.cli import main
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import open_scene
from bnnpan_runtime.scene_units import SceneUnits


def calibrated(raw: RawScene, bundle: Bundle) -> SceneConstants:
    with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
        resampler = Resampler(scene.grid, bundle.manifest.phase)
        return calibrate(scene, open_backend("native", bundle), bundle.manifest, resampler)


def fused(raw: RawScene, bundle: Bundle, out: Path, **options: object) -> np.ndarray:
    fuse(raw.pan, raw.ms, bundle, out, memory="4GiB", overwrite=True, **{"backend": "native", **options})
    return read_raster(out)


def flat(units: SceneUnits) -> np.ndarray:
    return np.concatenate([np.ravel(value) for value in vars(units).values()])


def test_units_of_the_bit_depth_are_the_same_for_every_scene(write_scene: SceneWriter, depth_bundle: Bundle):
    assert calibrated(write_scene(), depth_bundle).units == SceneUnits.of_bit_depth(2047.0, 4)
    assert calibrated(write_scene(dtype="uint8"), depth_bundle).units == SceneUnits.of_bit_depth(255.0, 4)


def test_every_band_and_the_pan_have_mean_0_and_deviation_1_in_scene_units(
    write_scene: SceneWriter, scene_bundle: Bundle
):
    """Of the whole scene here; the units are from patches that cover most of it."""
    raw = write_scene(260, 240)
    units = calibrated(raw, scene_bundle).units
    pan, ms = read_raster(raw.pan)[0], read_raster(raw.ms)
    assert units.pan_offset == pytest.approx(pan.mean(), rel=0.05)
    assert units.pan_scale == pytest.approx(pan.std(), rel=0.15)
    np.testing.assert_allclose(units.ms_offset, ms.mean(axis=(1, 2)), rtol=0.05)
    np.testing.assert_allclose(units.ms_scale, ms.std(axis=(1, 2)), rtol=0.15)
    assert np.all(np.array(units.injected) > 0.5) and np.all(np.array(units.injected) < 2)


def test_a_band_gets_as_much_detail_as_it_has_in_common_with_the_pan(
    write_scene: SceneWriter, scene_bundle: Bundle
):
    def change(pan: np.ndarray, ms: np.ndarray) -> None:
        random = np.random.default_rng(1)
        blocks = random.integers(100, 2000, (4, *np.array(ms.shape[1:]) // 10 + 1))
        ms[...] = blocks.repeat(10, axis=1).repeat(10, axis=2)[:, : ms.shape[1], : ms.shape[2]]
        # Band 0 alone, bands 0 and 1 in equal parts, turned around, not at all.
        ms[1] = (ms[0] // 2 + ms[1] // 2).astype(ms.dtype)
        ms[2] = 2100 - ms[0]
        alike = ms[0].repeat(4, axis=0).repeat(4, axis=1)
        pan[...] = alike[: pan.shape[0], : pan.shape[1]]

    units = calibrated(write_scene(400, 400, change=change), scene_bundle).units
    # More than 1: these MS have sharper edges than a camera's.
    assert 1 < units.injected[0] < 2
    np.testing.assert_allclose(np.array(units.injected) / units.injected[0], [1, 0.71, -1, 0], atol=0.1)


def test_the_product_of_a_scene_in_other_dn_is_the_same_in_those_dn(
    write_scene: SceneWriter, scene_bundle: Bundle, tmp_path: Path
):
    """Gains and offsets of another sensor: nothing of them reaches the network."""
    gain, offset = np.array([2, 3, 5, 4])[:, None, None], np.array([100, 0, 7, 3000])[:, None, None]

    def change(pan: np.ndarray, ms: np.ndarray) -> None:
        pan[...] = 7 * pan + 1000
        ms[...] = gain * ms + offset

    plain = fused(write_scene(), scene_bundle, tmp_path / "plain.tif").astype(int)
    other = fused(write_scene(change=change), scene_bundle, tmp_path / "other.tif").astype(int)
    apart = np.abs(other - (gain * plain + offset)) / gain
    # Rounding to DN, twice; a sign at its threshold may flip.
    assert np.mean(apart > 1) < 5e-3


def test_a_marker_of_nodata_does_not_reach_the_units(write_scene: SceneWriter, scene_bundle: Bundle):
    def hole(marker: int):
        def change(pan: np.ndarray, ms: np.ndarray) -> None:
            pan[20:90, 30:100] = marker
            ms[:, 10:14, 20:30] = marker
            ms[2, 40, 20] = marker

        return change

    found = [
        calibrated(write_scene(nodata=marker, change=hole(marker)), scene_bundle).units
        for marker in (0, 65535)
    ]
    assert found[0] == found[1]
    whole = calibrated(write_scene(), scene_bundle).units
    np.testing.assert_allclose(flat(found[0]), flat(whole), rtol=0.25, atol=0.25)


def test_nodata_is_an_average_pixel_before_the_interpolation(
    write_scene: SceneWriter, scene_bundle: Bundle, tmp_path: Path
):
    """Product beside a hole: the same for every marker, and no ringing of one."""

    def hole(marker: int):
        def change(pan: np.ndarray, ms: np.ndarray) -> None:
            ms[:, 10:20, 20:30] = marker

        return change

    images = []
    for marker in (0, 65535):
        product = fused(write_scene(nodata=marker, change=hole(marker)), scene_bundle, tmp_path / "out.tif")
        # A measured 0 becomes 1 where 0 is the marker.
        images.append(np.where(product == marker, 0, np.clip(product, 1, 65534)))
    assert np.array_equal(*images)


def test_a_scene_without_a_whole_block_of_data_is_refused(
    write_scene: SceneWriter, scene_bundle: Bundle, tmp_path: Path
):
    def sparse(pan: np.ndarray, ms: np.ndarray) -> None:
        pan[::8] = 0

    raw = write_scene(nodata=0, change=sparse)
    with pytest.raises(SceneError, match=r"pan\.tif: no calibration patch holds data"):
        fused(raw, scene_bundle, tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()


def test_a_flat_scene_stays_flat(write_scene: SceneWriter, scene_bundle: Bundle, tmp_path: Path):
    def flatten(pan: np.ndarray, ms: np.ndarray) -> None:
        pan[...], ms[...] = 0, 0

    units = calibrated(write_scene(change=flatten), scene_bundle).units
    assert units == SceneUnits(0.0, 1.0, (0.0,) * 4, (1.0,) * 4, (0.0,) * 4)


def test_scene_units_need_no_bit_depth(write_scene: SceneWriter, scene_bundle: Bundle, tmp_path: Path):
    def brighten(pan: np.ndarray, ms: np.ndarray) -> None:
        pan *= 16
        ms *= 16

    raw = write_scene(change=brighten)
    products = [fused(raw, scene_bundle, tmp_path / "out.tif", bit_depth=bits) for bits in (None, 16)]
    assert np.array_equal(*products)


@pytest.mark.parametrize(
    "kind", [{}, {"height": 201, "width": 183}, {"dtype": "uint8"}, {"nodata": 0}], ids=str
)
def test_tiles_and_threads_do_not_change_a_bit(
    write_scene: SceneWriter, scene_bundle: Bundle, tmp_path: Path, kind: dict[str, object]
):
    raw = write_scene(**kind)
    untiled = fused(raw, scene_bundle, tmp_path / "out.tif", tile=256)
    for tile, threads in ((16, 1), (50, 3), (64, 2)):
        tiled = fused(raw, scene_bundle, tmp_path / "out.tif", tile=tile, threads=threads)
        assert np.array_equal(tiled, untiled)


def test_onnx_and_native_make_the_same_product(
    write_scene: SceneWriter, scene_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    raw = write_scene()
    native = fused(raw, scene_bundle, tmp_path / "out.tif")
    onnx = fused(raw, scene_bundle, tmp_path / "out.tif", backend="onnx")
    assert np.mean(np.abs(native.astype(int) - onnx) > 1) < 1e-2
    untiled = fused(raw, scene_bundle, tmp_path / "out.tif", backend="onnx", tile=64)
    assert np.array_equal(onnx, untiled)


def test_the_report_names_the_units_and_inspect_their_kind(
    write_scene: SceneWriter, scene_bundle: Bundle, depth_bundle: Bundle, tmp_path: Path
):
    raw = write_scene()
    arguments = ["fuse", "--pan", raw.pan, "--ms", raw.ms, "--out", tmp_path / "out.tif", "--memory", "4GiB"]
    arguments += ["--bundle", scene_bundle.path, "--allow-unsigned", "--json"]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    units = json.loads(result.stdout)["units"]
    assert SceneUnits(**{k: tuple(v) if isinstance(v, list) else v for k, v in units.items()}) == (
        calibrated(raw, scene_bundle).units
    )
    for bundle, words in ((scene_bundle, "units of the scene"), (depth_bundle, "units of the bit depth")):
        assert words in CliRunner().invoke(main, ["inspect", str(bundle.path)]).stdout
