"""A network in scene units, from the trainer to the product: what flies is what was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from raw_scenes import read_raster, write_raster

from bnnpan.data.lms import interp23tap
from bnnpan.data.pairs import Pair
from bnnpan.data.wald import sampled_by_ms
from bnnpan.evaluate import fuse_pair
from bnnpan_export.assemble import Exported, export_bundle
from bnnpan_export.bundle import pack_bundle, write_bundle
from bnnpan_export.freeze import freeze
from bnnpan_export.scenes import RawScene, synthetic_scene
from bnnpan_export.untrained import random_network
from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.calibrate import calibrate
from bnnpan_runtime.contract import Calibration, Window
from bnnpan_runtime.errors import ConfigError
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import open_scene
from bnnpan_runtime.scene_units import SceneUnits, block_means, curvature, moments, products, scene_units
from bnnpan_runtime.verify import verify

from .conftest import SMALL, SMALL_IDENTITY

SCENE = replace(SMALL, units="scene", channels=16)


@pytest.fixture(scope="module")
def exported() -> Exported:
    return export_bundle(random_network(SCENE), SMALL_IDENTITY, ["onnx", "bits"])


@pytest.fixture(scope="module")
def bundle(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("scene") / "scene.bnnpan"
    write_bundle(path, exported.content)
    return Bundle.open(path)


@pytest.fixture
def raw() -> RawScene:
    """Four synthetic scenes side by side, their bands of different brightness."""
    parts = [synthetic_scene(4, 4, 11, seed) for seed in range(4)]
    pan, ms = (
        np.concatenate([np.concatenate([a, b], -1), np.concatenate([c, d], -1)], -2)
        for a, b, c, d in ([part.pan for part in parts], [part.ms for part in parts])
    )
    return RawScene(pan, ms, 4)


def pair_of(raw: RawScene, valid: NDArray[np.bool_]) -> Pair:
    pan, ms = raw.pan[None].astype(np.float32), raw.ms.astype(np.float32)
    lms = interp23tap(raw.ms, 4, "centred", "edge").astype(np.float32)
    nothing, nothing_ms = (np.empty((0, *image.shape), np.float32) for image in (lms, ms))
    names = ("synthetic", "none", "synthetic", "val", ("blue", "green", "red", "nir"))
    return Pair(*names, pan, lms, ms, lms, lms, valid, 2047.0, False, nothing, nothing_ms, "centred")


def write(raw: RawScene, folder: Path, nodata: int | None = None) -> tuple[Path, Path]:
    pan, ms = folder / "pan.tif", folder / "ms.tif"
    write_raster(pan, raw.pan[None], nodata=nodata)
    write_raster(ms, raw.ms, nodata=nodata)
    return pan, ms


def flat(units: SceneUnits) -> NDArray[np.float64]:
    return np.concatenate([np.ravel(value) for value in vars(units).values()])


def units_of(pair: Pair) -> SceneUnits:
    """By definition, from the float64 LMS of the trainer; NoData of the PAN as an average pixel."""

    def pixels(window: Window) -> tuple[slice, slice]:
        return np.s_[window.row : window.row + window.height, window.col : window.col + window.width]

    windows = Calibration().choose(*pair.valid.shape, lambda w: float(pair.valid[pixels(w)].mean()))
    samples = []
    for window in windows:
        part = (..., *pixels(window))
        whole = block_means(pair.valid[part]) == 1
        samples += [np.concatenate([block_means(pair.lms[part]), block_means(pair.pan[part])])[:, whole]]
    mean, covariance = moments(np.concatenate(samples, axis=1))
    seen = sampled_by_ms(np.where(pair.valid, pair.pan, mean[-1]), 4, "centred")
    planes, bends = np.concatenate([pair.ms, seen]), []
    for window in windows:
        rows, cols = (
            slice(-(-(start - 2) // 4), -(-(start + 62) // 4)) for start in (window.row, window.col)
        )
        bends.append(curvature(planes[:, rows, cols], pair.valid[2::4, 2::4][rows, cols]))
    return scene_units(mean, covariance, products(np.concatenate(bends, axis=1)))


def units_on_board(paths: tuple[Path, Path], bundle: Bundle) -> SceneUnits:
    with open_scene(*paths, bundle.manifest) as scene:
        resampler = Resampler(scene.grid, bundle.manifest.phase)
        return calibrate(scene, open_backend("native", bundle), bundle.manifest, resampler).units


def test_every_form_keeps_the_bounds_and_verifies(exported: Exported, bundle: Bundle) -> None:
    assert bundle.manifest.units == "scene"
    assert {"native", "onnx", "weights.safetensors"} <= set(exported.manifest.parity)
    assert {check.passed for check in verify(bundle.path, "native")} == {True}
    assert {check.passed for check in verify(bundle.path, "onnx")} == {True}


def test_the_golden_tile_fails_in_other_units(bundle: Bundle, tmp_path: Path) -> None:
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    other = tmp_path / "other.bnnpan"
    write_bundle(other, pack_bundle(replace(bundle.manifest, units="bit_depth"), files))
    assert verify(other, "native")[-1].passed is False


@pytest.mark.parametrize("backend", ["native", "onnx"])
def test_the_product_is_that_of_the_trainer(
    raw: RawScene, bundle: Bundle, tmp_path: Path, backend: str
) -> None:
    pair = pair_of(raw, np.ones(raw.pan.shape, np.bool_))
    expected = fuse_pair(random_network(SCENE), pair)
    pan, ms = write(raw, tmp_path)
    fuse(pan, ms, bundle, tmp_path / "out.tif", memory="4GiB", backend=backend)
    apart = np.abs(read_raster(tmp_path / "out.tif") - np.clip(expected, 0, 65535))
    # Half a DN is rounding; a sign that flips at its threshold moves some hundred pixels.
    assert np.mean(apart > 0.51) < 0.01
    assert np.std(expected - pair.lms) > 5


@pytest.mark.parametrize("holes", [False, True])
def test_the_units_are_those_of_all_whole_blocks_of_the_patches(
    raw: RawScene, bundle: Bundle, tmp_path: Path, holes: bool
) -> None:
    raw.pan[raw.pan == 0] = 1
    if holes:
        raw.pan[40:60, 100:150] = 0
        raw.pan[::50, ::50] = 0
    pair = pair_of(raw, raw.pan > 0)
    found = units_on_board(write(raw, tmp_path, nodata=0 if holes else None), bundle)
    np.testing.assert_allclose(flat(found), flat(units_of(pair)), rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"binarizer": "irnet"}, "binarizer = irnet"), ({"ldpc": False}, "ldpc = False")],
)
def test_networks_made_to_compare_with_are_not_exported(changes: dict[str, object], named: str) -> None:
    model = random_network(SMALL)
    model.config = replace(SMALL, **changes)
    with pytest.raises(ConfigError, match=f"{named} cannot be exported"):
        freeze(model)
