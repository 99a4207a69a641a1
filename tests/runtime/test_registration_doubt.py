"""Scenes that tell nothing, or something else in every window, are left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shifted_scenes import ArrayScene, assert_found, found, synthetic

from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.registration import Shift, find_shift, shifted
from bnnpan_runtime.registration.measure import decide, measure
from bnnpan_runtime.registration.peak import Peak
from bnnpan_runtime.registration.spectra import Plane


@pytest.fixture(scope="module")
def scene() -> ArrayScene:
    return synthetic()


def noise(scene: ArrayScene) -> ArrayScene:
    random = np.random.default_rng(0)
    return ArrayScene(
        random.integers(0, 2047, scene.pan.shape, np.uint16),
        random.integers(0, 2047, scene.ms.shape, np.uint16),
    )


def flat(scene: ArrayScene) -> ArrayScene:
    return ArrayScene(np.full_like(scene.pan, 300), np.full_like(scene.ms, 200))


def calm_sea(scene: ArrayScene) -> ArrayScene:
    random = np.random.default_rng(0)
    return ArrayScene(
        random.normal(120, 2, scene.pan.shape).astype(np.uint16),
        random.normal(90, 2, scene.ms.shape).astype(np.uint16),
    )


def another_place(scene: ArrayScene) -> ArrayScene:
    return replace(scene, ms=np.ascontiguousarray(scene.ms[:, ::-1]))


def too_small(scene: ArrayScene) -> ArrayScene:
    return ArrayScene(scene.pan[:128, :128], scene.ms[:, :32, :32])


@pytest.mark.parametrize("make", [noise, flat, calm_sea, another_place, too_small])
def test_a_scene_that_tells_nothing_is_left_alone(scene: ArrayScene, make) -> None:
    result = found(make(scene), (1.0, 1.0))
    assert result.outcome == "unsure"
    assert not result.is_applied


def test_noise_that_hides_fine_detail_does_not_hide_the_shift(scene: ArrayScene) -> None:
    random = np.random.default_rng(1)
    pan, ms = (
        (image + random.normal(0, deviation, image.shape)).clip(0, 2047).astype(np.uint16)
        for image, deviation in ((scene.pan, 60), (scene.ms, 20))
    )
    assert_found(found(ArrayScene(pan, ms), (0.5, -0.75)), (0.5, -0.75), close=0.15)


def test_images_with_nothing_in_common_have_no_sharp_peak(scene: ArrayScene) -> None:
    assert not any(peak.is_sharp for peak in measure(noise(scene), 4, (1.5, 1.5)))
    assert all(peak.is_sharp for peak in measure(scene, 4, (1.5, 1.5)))


def test_what_is_not_measured_is_neither_in_the_mean_nor_in_the_image() -> None:
    dn = np.full((20, 20), 10, np.uint16)
    dn[3, 4], dn[5, 6] = 0, 30
    plane = Plane.of(dn, 0, 0.99)
    assert plane is not None
    assert plane.mean == pytest.approx((397 * 10 + 30 + 10) / 399)
    rows = plane.rows(2, 6)
    assert rows[1, 4] == 0
    assert rows[3, 6] == 30 - plane.mean
    assert Plane.of(dn, 0, 0.999) is None
    assert Plane.of(np.full((8, 8), np.nan, np.float32), None, 0.5) is None


@pytest.mark.parametrize("marked", ["pan", "ms"])
def test_windows_without_data_do_not_count(marked: str) -> None:
    scene = synthetic(side=1024)
    images = {"pan": scene.pan.copy(), "ms": scene.ms.copy()}
    images["pan"][:, :400] = images["ms"][..., :100] = 0
    result = found(replace(scene, **images, **{f"{marked}_nodata": 0}), (0.5, 0.5))
    assert_found(result, (0.5, 0.5))
    assert result.outcome == "applied"


def test_an_edge_of_undeclared_nodata_is_outvoted() -> None:
    scene = synthetic(side=1024)
    pan, ms = scene.pan.copy(), scene.ms.copy()
    pan[:100], ms[:, :25] = 0, 0
    assert_found(found(ArrayScene(pan, ms), (0.5, 0.5)), (0.5, 0.5))


def test_no_pixel_beyond_the_windows_is_read() -> None:
    read = []

    class Watched(ArrayScene):
        def read_pan(self, window: Window, out: np.ndarray) -> None:
            read.append(window)
            super().read_pan(window, out)

    scene = synthetic(side=1024)
    found(Watched(scene.pan, scene.ms), (0, 0))
    assert len(read) == 16
    assert {(window.height, window.width) for window in read} == {(256, 256)}


def peaks(*places: tuple[float, float], sharp: bool = True) -> list[Peak]:
    return [Peak(row, col, 0.9, sharp) for row, col in places]


def test_the_median_decides_and_outliers_do_not() -> None:
    result = decide(peaks(*[(0.8, -0.4)] * 9, (7, 7), (-5, 3), (2, 2)), 4)
    assert (result.outcome, result.row, result.col) == ("applied", 0.8, -0.4)
    assert (result.agreeing, result.windows) == (9, 12)


@pytest.mark.parametrize(
    ("votes", "outcome"),
    [
        ([], "unsure"),
        (peaks(*[(1, 1)] * 16, sharp=False), "unsure"),
        (peaks(*[(1, 1)] * 3), "unsure"),
        (peaks(*[(1, 1)] * 9, *[(3, 3)] * 7), "unsure"),
        (peaks(*[(0.1, 0.15)] * 16), "negligible"),
        (peaks(*[(0.3 + 0.4 * (-1) ** k, 0) for k in range(4)]), "negligible"),
        (peaks(*[(0.3, 0)] * 16), "applied"),
        (peaks(*[(8.0, -8.0)] * 16), "applied"),
        (peaks(*[(8.1, 0)] * 16), "implausible"),
    ],
)
def test_only_a_sure_and_plausible_shift_is_applied(votes: list[Peak], outcome: str) -> None:
    result = decide(votes, 4)
    assert result.outcome == outcome
    assert result.is_applied == (outcome == "applied")


def test_an_implausible_shift_is_reported_and_refused(
    scene: ArrayScene, caplog: pytest.LogCaptureFixture
) -> None:
    result = found(scene, (14.0, 0.0))
    assert result.outcome == "implausible"
    assert not result.is_applied
    assert "more than the 8" in caplog.text
    assert "georeferencing" in caplog.text


def test_a_given_shift_is_applied_without_looking() -> None:
    result = find_shift(None, Grid(4, 1.0, 2.0), "centred", (0.51, -1.0))  # type: ignore[arg-type]
    assert (result.outcome, result.row) == ("given", None)
    assert shifted(Grid(4, 1.0, 2.0), result) == Grid(4, 1.515625, 1.0)


@pytest.mark.parametrize("shift", [(8.5, 0), (0, -9), (float("nan"), 0), (0, float("inf"))])
def test_a_given_shift_that_is_too_large_is_refused(shift: tuple[float, float]) -> None:
    with pytest.raises(SceneError, match="at most 8"):
        find_shift(None, Grid(4), "centred", shift)  # type: ignore[arg-type]


def test_off_measures_nothing() -> None:
    assert find_shift(None, Grid(4), "centred", "off") == Shift("off")  # type: ignore[arg-type]
