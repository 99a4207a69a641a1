from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bnnpan.baselines import BASELINES, fuse
from bnnpan.data.wald import degrade_ms_centred
from bnnpan.metrics import reduced_resolution
from bnnpan_runtime.errors import ConfigError, SceneError

METHODS = list(BASELINES)
SHARPENING = [name for name in METHODS if name != "EXP"]


def textured_truth(bands: int = 4, height: int = 96, width: int = 128, seed: int = 0) -> NDArray[np.float64]:
    """Bands with common fine texture and each its own large structures."""
    random = np.random.default_rng(seed)
    common = gaussian_filter(random.normal(size=(height, width)), 1.2) * 900
    own = np.stack([gaussian_filter(random.normal(size=(height, width)), 8) * 900 for _ in range(bands)])
    return 700 + np.linspace(0.8, 1.2, bands)[:, None, None] * common + own


def pair(
    bands: int = 4, ratio: int = 4, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """PAN, MS with true pixel centres, and truth."""
    truth = textured_truth(bands, seed=seed)[:, : 24 * ratio, : 30 * ratio]
    return truth.mean(axis=0, keepdims=True), degrade_ms_centred(truth, [0.3] * bands, ratio), truth


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("phase", ["toolbox", "centred"])
@pytest.mark.parametrize(("ratio", "bands"), [(2, 6), (3, 3), (4, 1), (4, 4)])
def test_size_and_mean_are_kept(name: str, phase: str, ratio: int, bands: int) -> None:
    pan, ms, _ = pair(bands, ratio)
    fused = fuse(name, pan, ms, "none", ratio, phase=phase)
    assert fused.shape == (bands, *pan.shape[1:])
    np.testing.assert_allclose(fused.mean(axis=(1, 2)), ms.mean(axis=(1, 2)), rtol=0.03)


@pytest.mark.parametrize("name", SHARPENING)
@pytest.mark.parametrize("ratio", [2, 4])
def test_every_method_is_closer_to_the_truth_than_interpolation(name: str, ratio: int) -> None:
    pan, ms, truth = pair(ratio=ratio)
    interpolated, fused = (fuse(method, pan, ms, "none", ratio, "centred") for method in ("EXP", name))
    error = {key: np.abs(image - truth).mean() for key, image in (("EXP", interpolated), (name, fused))}
    assert error[name] < 0.8 * error["EXP"]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("ratio", [2, 4])
def test_centred_results_flip_with_their_inputs(name: str, ratio: int) -> None:
    pan, ms, _ = pair(ratio=ratio)
    fused = fuse(name, pan, ms, "ikonos", ratio, "centred")
    for flip in (np.s_[:, ::-1], np.s_[:, :, ::-1]):
        flipped = fuse(name, pan[flip], ms[flip], "ikonos", ratio, "centred")
        np.testing.assert_allclose(flipped, fused[flip], rtol=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_unit_of_the_data_does_not_matter(name: str) -> None:
    pan, ms, _ = pair()
    np.testing.assert_allclose(
        fuse(name, pan / 2047, ms / 2047, "ge1"), fuse(name, pan, ms, "ge1") / 2047, rtol=1e-8
    )


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("phase", ["toolbox", "centred"])
def test_nodata_does_not_reach_valid_pixels(name: str, phase: str) -> None:
    pan, ms, _ = pair()
    valid = np.ones(pan.shape[1:], bool)
    valid[:26, :40] = False  # cuts through a row of MS pixels
    spoilt_pan, spoilt_ms = pan.copy(), ms.copy()
    spoilt_pan[0, ~valid], spoilt_ms[:, :7, :10] = np.nan, np.nan
    fused = fuse(name, pan, ms, "none", phase=phase, valid=valid)
    spoilt = fuse(name, spoilt_pan, spoilt_ms, "none", phase=phase, valid=valid)
    np.testing.assert_array_equal(spoilt[:, valid], fused[:, valid])


@pytest.mark.parametrize("name", METHODS)
def test_a_mask_without_nodata_changes_nothing(name: str) -> None:
    pan, ms, _ = pair()
    valid = np.ones(pan.shape[1:], bool)
    np.testing.assert_array_equal(fuse(name, pan, ms, "none", valid=valid), fuse(name, pan, ms, "none"))


def test_bdsd_pc_does_not_inject_a_pan_that_contradicts_the_bands() -> None:
    pan, ms, _ = pair()
    fused = fuse("BDSD-PC", 2000 - pan, ms, "none")
    lms = fuse("EXP", pan, ms, "none")
    design = lms.reshape(len(lms), -1).T
    weights = np.linalg.lstsq(design, fused.reshape(len(fused), -1).T, rcond=None)[0]
    np.testing.assert_allclose(design @ weights, fused.reshape(len(fused), -1).T, rtol=1e-9)
    assert not np.allclose(fuse("BDSD", 2000 - pan, ms, "none"), fused)


def test_haze_correction_keeps_dark_pixels_stable() -> None:
    pan, ms, truth = pair()
    floor = truth.min() - 0.5  # the darkest pixel is close to 0
    dark = {name: fuse(name, pan - floor, ms - floor, "none", phase="centred") for name in METHODS}
    errors = {name: reduced_resolution(truth - floor, image)["ERGAS"] for name, image in dark.items()}
    assert errors["MTF-GLP-HPM-H"] < errors["EXP"]
    assert all(np.isfinite(image).all() for image in dark.values())


def test_pan_without_a_leading_axis_and_old_names_are_taken() -> None:
    pan, ms, _ = pair()
    np.testing.assert_array_equal(fuse("Brovey", pan[0], ms, "none"), fuse("BT", pan, ms, "none"))


def test_misuse_is_refused_in_one_line() -> None:
    pan, ms, _ = pair()
    with pytest.raises(ConfigError, match="choose from EXP, BT"):
        fuse("PCA", pan, ms, "none")
    with pytest.raises(ConfigError, match="MTF gains for 4 bands"):
        fuse("MTF-GLP", *pair(bands=6)[:2], "qb")
    with pytest.raises(SceneError, match="is not 4 times"):
        fuse("EXP", pan[:, :-4], ms, "none")
    with pytest.raises(SceneError, match="one value everywhere"):
        fuse("GSA", np.ones_like(pan), ms, "none")
    with pytest.raises(SceneError, match="not finite"):
        fuse("EXP", np.where(pan == pan.max(), np.nan, pan), ms, "none")
    with pytest.raises(SceneError, match="check the mask"):
        fuse("EXP", pan, ms, "none", valid=np.zeros(pan.shape[1:], bool))
    with pytest.raises(SceneError, match="a value per pixel"):
        fuse("EXP", pan, ms, "none", valid=np.ones(ms.shape[1:], bool))
    with pytest.raises(SceneError, match="band 4 of the MS"):
        fuse("PRACS", pan, np.concatenate([ms[:3], np.full_like(ms[:1], 7)]), "none")
