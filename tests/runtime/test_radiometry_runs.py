"""Raw data of a camera with defects are fused like those of a perfect one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from raw_scenes import read_raster, write_raster

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.cli import main as cli
from bnnpan_runtime.contract import Window
from bnnpan_runtime.radiometry.corrected import corrected as corrected_scene
from bnnpan_runtime.run import fuse, plan
from bnnpan_runtime.scene import SceneOptions, open_scene
from bnnpan_runtime.synth import write as synth
from bnnpan_runtime.synth.capture import Scene as SyntheticScene


@dataclass(frozen=True)
class Camera:
    """A scene as a perfect camera took it, and as one with uneven, dead and saturated detectors did."""

    clean: dict[str, Path]
    raw_pan: Path
    raw_ms: Path
    calibration: Path


DEAD_PAN, DEAD_MS, BRIGHTEST = [0, 95, 96, 300], [24], 1200


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Camera:
    folder = tmp_path_factory.mktemp("camera")
    clean = synth.write_scene(folder / "clean", SyntheticScene(1, 4, 4, 11), 384, 384)
    random = np.random.default_rng(0)
    lines = ["format = 1"]
    raw_paths = []
    for name, header, dead in (("pan", "[pan]", DEAD_PAN), ("ms", "[[ms]]", DEAD_MS)):
        with rasterio.open(clean[f"{name}.tif"]) as raster:
            image, profile = raster.read(), raster.profile
        raw = np.empty_like(image)
        for band, plane in zip(raw, image, strict=True):
            dark, gain = random.uniform(5, 60, plane.shape[1]), random.uniform(0.85, 1.15, plane.shape[1])
            band[...] = np.rint(plane / gain + dark)
            band[band >= BRIGHTEST] = 4095
            band[:, dead] = 3
            lines += [
                header,
                f"dark = {dark.round(3).tolist()}",
                f"gain = {gain.round(5).tolist()}",
                f"dead = {dead}",
                f"saturation = {BRIGHTEST}",
            ]
        raw_paths.append(folder / f"raw_{name}.tif")
        write_raster(raw_paths[-1], raw, crs=profile["crs"], transform=profile["transform"])
    calibration = folder / "camera.toml"
    calibration.write_text("\n".join(lines))
    return Camera(clean, *raw_paths, calibration)


def test_raw_data_are_fused_like_those_of_a_perfect_camera(
    camera: Camera, tmp_path: Path, bundle: Bundle
) -> None:
    images = {}
    for name, pan, ms, radiometry in (
        ("clean", camera.clean["pan.tif"], camera.clean["ms.tif"], None),
        ("corrected", camera.raw_pan, camera.raw_ms, camera.calibration),
        ("raw", camera.raw_pan, camera.raw_ms, None),
    ):
        out = tmp_path / f"{name}.tif"
        fuse(pan, ms, bundle, out, memory="4GiB", bit_depth=12, radiometry=radiometry)
        images[name] = read_raster(out).astype(float)
    dark = (images["clean"] < 800).all(axis=0)
    away = np.ones(dark.shape, bool)
    for column in (*DEAD_PAN, *(4 * place + 2 for place in DEAD_MS)):
        away[:, max(column - 12, 0) : column + 12] = False
    error = {name: np.abs(image - images["clean"])[:, dark & away] for name, image in images.items()}
    assert np.median(error["corrected"]) <= 3  # rounding to DN, and bits of the network that it flips
    assert np.mean(error["corrected"]) < 0.1 * np.mean(error["raw"]), error


def saturated_pixels(camera: Camera) -> int:
    """Where PAN or any band is saturated, from the raw files themselves."""
    pan, ms = (read_raster(path) >= BRIGHTEST for path in (camera.raw_pan, camera.raw_ms))
    for image, dead in ((pan, DEAD_PAN), (ms, DEAD_MS)):
        for column in dead:  # of which the neighbours speak: single ones, and a pair
            live = [place for place in range(image.shape[2]) if place not in dead]
            sides = [
                p
                for p in (
                    max((p for p in live if p < column), default=None),
                    min(p for p in live if p > column),
                )
                if p is not None
            ]
            image[..., column] = image[..., sides].all(axis=2)
    return int((pan[0] | ms.any(axis=0).repeat(4, axis=0).repeat(4, axis=1)).sum())


def test_the_product_of_raw_data_is_the_same_for_all_tilings(
    camera: Camera, tmp_path: Path, bundle: Bundle
) -> None:
    products = []
    for name, tile in (("one", 384), ("many", 96)):
        out = tmp_path / f"{name}.tif"
        options = {"tile": tile, "bit_depth": 12, "radiometry": camera.calibration}
        report = fuse(camera.raw_pan, camera.raw_ms, bundle, out, memory="4GiB", **options)
        products.append(out.read_bytes())
        assert report.saturated_pixels == saturated_pixels(camera) > 0
    assert products[0] == products[1]
    with rasterio.open(out) as product:
        assert len(product.tags()["BNNPAN_RADIOMETRY_SHA256"]) == 64


def test_a_part_of_a_scene_shows_the_columns_of_the_whole(camera: Camera) -> None:
    with (
        open_scene(camera.raw_pan, camera.raw_ms, None) as scene,
        open_scene(
            camera.raw_pan, camera.raw_ms, None, options=SceneOptions(window=Window(40, 96, 200, 204))
        ) as part,
    ):
        images = [np.empty((64, 256), np.uint16) for _ in range(2)]
        corrected_scene(scene, camera.calibration).read_pan(Window(40, 96, 64, 256), images[0])
        corrected_scene(part, camera.calibration).read_pan(Window(0, 0, 64, 256), images[1])
    assert np.array_equal(images[0][:, :204], images[1][:, :204])
    assert (images[1][:, 204:] == images[1][:, 203:204]).all()


@pytest.mark.parametrize(
    ("names", "order"), [(("nir", "red", "green", "blue"), [3, 2, 1, 0]), (("-", "nir", "-", "red"), [1, 3])]
)
def test_lines_follow_their_bands_into_the_order_of_the_scene(
    camera: Camera, bundle: Bundle, names: tuple[str, ...], order: list[int]
) -> None:
    wanted = None if "-" in names else bundle.manifest
    options = SceneOptions(bands=names)
    with (
        open_scene(camera.raw_pan, camera.raw_ms, None) as whole,
        open_scene(camera.raw_pan, camera.raw_ms, wanted, 12, options) as scene,
    ):
        images = np.empty((4, 96, 96), np.uint16), np.empty((len(order), 96, 96), np.uint16)
        for opened, image in zip((whole, scene), images, strict=True):
            corrected_scene(opened, camera.calibration).read_ms(Window(0, 0, 96, 96), image)
    assert np.array_equal(images[0][order], images[1])


def test_a_calibration_of_another_camera_is_refused(camera: Camera, tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text("format = 1\n[[ms]]\ndark = 8\n[[ms]]\ndark = 9\n")
    scene = ["--pan", str(camera.raw_pan), "--ms", str(camera.raw_ms), "--radiometry", str(path)]
    result = CliRunner().invoke(cli, ["plan", *scene, "--memory", "4GiB"])
    assert result.exit_code != 0
    assert "2 [[ms]] sections, the MS raster has 4 bands" in result.output + str(result.exception)


def test_correction_keeps_the_promise_about_memory(camera: Camera, bundle: Bundle) -> None:
    raw = plan(camera.raw_pan, camera.raw_ms, bundle, memory="4GiB", radiometry=camera.calibration)
    plain = plan(camera.raw_pan, camera.raw_ms, bundle, memory="4GiB")
    assert raw.terms["raster_blocks"] > plain.terms["raster_blocks"]
