from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bnnpan.data.lms import interp23tap
from bnnpan.data.wald import degrade_ms_centred, mtf_filter, shrink_pan
from bnnpan.metrics import full_resolution
from bnnpan.metrics.q2n import q2n
from bnnpan_runtime.errors import SceneError


def images(
    bands: int = 3, height: int = 96, width: int = 128, ratio: int = 4
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """PAN, MS and a fused image that has little to do with them."""
    random = np.random.default_rng(0)
    pan = random.uniform(200, 1200, (1, height, width))
    ms = random.uniform(200, 1200, (bands, height // ratio, width // ratio))
    return pan, ms, random.uniform(200, 1200, (bands, height, width))


def q(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """Mean over 32 x 32 blocks of the universal image quality index, literally."""
    values = []
    for row in range(0, one.shape[0], 32):
        for column in range(0, one.shape[1], 32):
            x, y = (image[row : row + 32, column : column + 32].ravel() for image in (one, two))
            c = np.cov(x, y)
            values.append(4 * c[0, 1] * x.mean() * y.mean() / c.trace() / (x.mean() ** 2 + y.mean() ** 2))
    return float(np.mean(values))


@pytest.mark.parametrize("ratio", [2, 4])
@pytest.mark.parametrize("phase", ["toolbox", "centred"])
def test_values_equal_their_definition(ratio: int, phase: str) -> None:
    pan, ms, fused = images(ratio=ratio)
    found = full_resolution(pan, ms, fused, "IKONOS", ratio, phase)
    boundary = "circular" if phase == "toolbox" else "edge"
    lms = interp23tap(ms, ratio, phase, boundary)
    smooth = interp23tap(shrink_pan(pan[0], ratio), ratio, phase, boundary)
    d_s = np.mean([abs(q(fused[b], pan[0]) - q(lms[b], smooth)) for b in range(3)])
    pairs = [(0, 1), (0, 2), (1, 2)]
    d_lambda_qnr = np.mean([abs(q(fused[i], fused[j]) - q(lms[i], lms[j])) for i, j in pairs])
    d_lambda = 1 - q2n(lms, mtf_filter(fused, (0.26, 0.28, 0.29), ratio))
    expected = {
        "D_lambda": d_lambda,
        "D_s": d_s,
        "HQNR": (1 - d_lambda) * (1 - d_s),
        "D_lambda_QNR": d_lambda_qnr,
        "QNR": (1 - d_lambda_qnr) * (1 - d_s),
    }
    assert found == pytest.approx(expected, rel=1e-10)


def test_interpolation_keeps_the_relations_between_bands() -> None:
    pan, ms, _ = images()
    found = full_resolution(pan, ms, interp23tap(ms), "none")
    assert found["D_lambda_QNR"] == 0
    assert found["QNR"] == 1 - found["D_s"]


def test_order_of_bands_matters_to_no_pairwise_measure() -> None:
    pan, ms, fused = images()
    one, other = (full_resolution(pan, ms[o], fused[o], "none") for o in ([0, 1, 2], [2, 0, 1]))
    assert other["D_s"] == pytest.approx(one["D_s"], rel=1e-12)
    assert other["D_lambda_QNR"] == pytest.approx(one["D_lambda_QNR"], rel=1e-12)


def test_a_single_band_has_no_pairs() -> None:
    pan, ms, fused = images(bands=1)
    assert full_resolution(pan, ms, fused, "none")["D_lambda_QNR"] == 0


@pytest.mark.parametrize("ratio", [3, 4])
def test_a_scene_counts_up_to_its_last_whole_block(ratio: int) -> None:
    pan, ms, fused = images(height=192, width=204, ratio=ratio)
    side = 32 * ratio if ratio == 3 else 32
    height, width = 192 // side * side, 204 // side * side
    cut = np.s_[:, :height, :width]
    inner = full_resolution(pan[cut], ms[:, : height // ratio, : width // ratio], fused[cut], "none", ratio)
    assert full_resolution(pan[0], ms, fused, "none", ratio) == inner


def test_blocks_with_invalid_pixels_do_not_count() -> None:
    pan, ms, fused = images()
    valid = np.ones(pan.shape[1:], bool)
    valid[5, 5:70] = False
    spoilt = fused.copy()
    spoilt[:, :12, :76] = 0  # the MTF filter reaches 20 pixels further
    found = full_resolution(pan, ms, spoilt, "none", valid=valid)
    assert found == full_resolution(pan, ms, fused, "none", valid=valid)
    assert found != full_resolution(pan, ms, spoilt, "none")


def test_each_phase_prefers_the_image_with_its_own_geometry() -> None:
    random = np.random.default_rng(1)
    truth = 700 + 4000 * np.stack([gaussian_filter(random.normal(size=(256, 256)), 4) for _ in range(4)])
    pan, ms = truth.mean(axis=0), degrade_ms_centred(truth, [0.3] * 4, 4)
    found = {phase: full_resolution(pan, ms, truth, "none", phase=phase) for phase in ("toolbox", "centred")}
    assert found["centred"]["D_lambda"] < 0.7 * found["toolbox"]["D_lambda"]


def test_misuse_is_refused_in_one_line() -> None:
    pan, ms, fused = images()
    with pytest.raises(SceneError, match="is not 2 times"):
        full_resolution(pan, ms, fused, "none", ratio=2)
    with pytest.raises(SceneError, match="3 bands of the MS"):
        full_resolution(pan, ms, fused[:2], "none")
    with pytest.raises(SceneError, match="a value per pixel"):
        full_resolution(pan, ms, fused, "none", valid=np.ones((3, 3), bool))
    with pytest.raises(SceneError, match="no block"):
        full_resolution(pan, ms, fused, "none", valid=np.zeros(pan.shape[1:], bool))
    with pytest.raises(SceneError, match="larger scene"):
        full_resolution(pan[:, :28], ms[:, :7], fused[:, :28], "none")
