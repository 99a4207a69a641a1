"""Registration: known shifts are found, as an independent oracle finds them; doubt changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine
from raw_scenes import read_raster, write_raster
from requirements import require_package

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.cli import main as cli
from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.registration import Shift, find_shift, shifted
from bnnpan_runtime.registration.measure import decide, measure
from bnnpan_runtime.registration.peak import Peak, find_peak
from bnnpan_runtime.registration.spectra import Frequencies, Plane, spectra
from bnnpan_runtime.run import fuse
from bnnpan_runtime.synth import write as synth
from bnnpan_runtime.synth.capture import Scene as SyntheticScene

PAN_SIDE = 512
CLOSE = 0.1  # PAN pixels
SHIFTS = st.tuples(*[st.floats(-6, 6, allow_nan=False)] * 2)


@dataclass(frozen=True)
class ArrayScene:
    """A scene in memory; notes which PAN pixels are read."""

    pan: np.ndarray
    ms: np.ndarray
    pan_nodata: int | None = None
    ms_nodata: int | None = None

    @property
    def height(self) -> int:
        return self.pan.shape[0]

    @property
    def width(self) -> int:
        return self.pan.shape[1]

    @property
    def bands(self) -> int:
        return len(self.ms)

    @property
    def dtype(self) -> str:
        return str(self.ms.dtype)

    @property
    def ms_shape(self) -> tuple[int, int]:
        return self.ms.shape[1], self.ms.shape[2]

    def read_pan(self, window: Window, out: np.ndarray) -> None:
        assert min(window.row, window.col) >= 0
        out[...] = self.pan[window.row :, window.col :][: window.height, : window.width]

    def read_ms(self, window: Window, out: np.ndarray) -> None:
        assert min(window.row, window.col) >= 0
        out[...] = self.ms[:, window.row :, window.col :][:, : window.height, : window.width]


@cache
def synthetic(ratio: int = 4, bands: int = 4, bit_depth: int = 11, side: int = PAN_SIDE) -> ArrayScene:
    side = side // ratio * ratio
    shot = SyntheticScene(2, bands, ratio, bit_depth).shoot(0, 0, side, side)
    return ArrayScene(shot.pan, shot.ms)


@pytest.fixture(scope="module")
def scene() -> ArrayScene:
    return synthetic()


def found(scene: ArrayScene, shift: tuple[float, float], ratio: int = 4) -> Shift:
    """What is found if the grids say that MS lies `shift` lower and further right than it does."""
    return find_shift(scene, Grid(ratio, -shift[0], -shift[1]), "centred")


def assert_found(result: Shift, shift: tuple[float, float], close: float = CLOSE) -> None:
    assert (result.row, result.col) == pytest.approx(shift, abs=close), result


@settings(max_examples=6, deadline=None)
@given(SHIFTS)
def test_any_shift_is_found_to_a_tenth_of_a_pan_pixel(scene: ArrayScene, shift: tuple[float, float]) -> None:
    assert_found(found(scene, shift), shift)


@pytest.mark.parametrize(("ratio", "bands", "bit_depth"), [(2, 4, 8), (3, 3, 11), (4, 8, 11), (5, 4, 11)])
def test_a_shift_is_found_for_every_ratio(ratio: int, bands: int, bit_depth: int) -> None:
    scene = synthetic(ratio, bands, bit_depth, side=128 * ratio)
    for shift in ((0.0, 0.0), (0.6, -1.2)):
        assert_found(found(scene, shift, ratio), shift)


@pytest.mark.parametrize("rows", [0.3, -1.7])
def test_pixels_that_are_moved_are_found_to_have_moved(scene: ArrayScene, rows: float) -> None:
    """The MS itself is moved here, through its Fourier transform, which no grid knows of."""
    spectrum = np.fft.fft(scene.ms.astype(float), axis=1)
    angle = -2j * np.pi * np.fft.fftfreq(scene.ms.shape[1]) * rows / 4
    moved = np.fft.ifft(spectrum * np.exp(angle)[:, None], axis=1).real
    result = found(replace(scene, ms=moved.clip(0, 2047).astype(np.uint16)), (0, 0))
    assert_found(result, (rows, 0.0))


def test_the_sign_is_that_of_whole_pixels(scene: ArrayScene) -> None:
    """Without its first three rows and two columns, PAN shows things higher and further left than MS."""
    cut = replace(scene, pan=np.ascontiguousarray(scene.pan[3:, 2:]))
    assert_found(found(cut, (0, 0)), (3.0, 2.0))


def test_a_large_shift_is_not_pulled_towards_zero(scene: ArrayScene) -> None:
    near, far = found(scene, (0.0, 0.0)), found(scene, (8.0, 8.0))
    assert near.row is not None and near.col is not None
    assert_found(far, (8 + near.row, 8 + near.col), close=0.03)


def test_one_window_agrees_with_an_independent_oracle(scene: ArrayScene) -> None:
    require_package("skimage")
    from skimage.registration import phase_cross_correlation

    pan = scene.pan[4:260, 8:264].astype(float)
    ms = scene.ms[:, :64, :64].astype(float)
    taper = np.outer(np.hanning(66)[1:-1], np.hanning(66)[1:-1])
    coarse = pan.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    low, mean = (taper * (image - image.mean()) for image in (coarse, ms.mean(axis=0)))
    expected = phase_cross_correlation(mean, low, upsample_factor=100, normalization=None)[0]

    frequencies = Frequencies.of(64)
    planes = [Plane(image, image.mean(), None) for image in (pan, *ms)]
    peak = find_peak(spectra(planes[0], planes[1:], frequencies, (1.5, 1.5), (0, 0)), frequencies)
    assert peak is not None
    # In MS pixels; what block means alias leaves the oracle a twentieth from the truth.
    assert (peak.row, peak.col) == pytest.approx(tuple(expected), abs=0.1)
    assert (peak.row, peak.col) == pytest.approx((1.0, 2.0), abs=0.03)


def test_a_well_aligned_scene_is_left_alone(scene: ArrayScene) -> None:
    grid = Grid(4)
    result = find_shift(scene, grid, "centred")
    assert result.outcome == "negligible"
    assert shifted(grid, result) is grid


def test_an_applied_shift_puts_the_grid_right_but_for_a_few_hundredths(scene: ArrayScene) -> None:
    wrong = Grid(4, -1.3, 0.7)
    result = find_shift(scene, wrong, "centred")
    assert result.outcome == "applied"
    right = shifted(wrong, result)
    assert (right.row_offset, right.col_offset) == pytest.approx((0, 0), abs=CLOSE)
    again = find_shift(scene, right, "centred")
    assert again.outcome == "negligible"


def test_an_applied_shift_is_whole_steps(scene: ArrayScene) -> None:
    result = found(scene, (0.7, -0.4))
    for value in (result.applied_row, result.applied_col):
        assert value * 64 == round(value * 64) != 0


def test_the_same_scene_gives_the_same_shift(scene: ArrayScene) -> None:
    assert found(scene, (0.5, 0.5)) == found(scene, (0.5, 0.5))


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


@pytest.fixture(scope="module")
def truth_scene(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("truth")
    return synth.write_scene(folder, SyntheticScene(2, 4, 4, 11), PAN_SIDE, PAN_SIDE)


def misplaced(scene: dict[str, Path], folder: Path, shift: tuple[float, float]) -> Path:
    """A copy of MS whose georeferencing puts it `shift` PAN pixels too far down and right."""
    with rasterio.open(scene["ms.tif"]) as ms:
        profile, image = ms.profile, ms.read()
    profile["transform"] @= Affine.translation(shift[1] / 4, shift[0] / 4)
    path = folder / "misplaced.tif"
    write_raster(path, image, **{k: profile[k] for k in ("crs", "transform")})
    return path


def ergas(product: Path, truth: Path) -> float:
    inner = np.s_[:, 16:-16, 16:-16]
    image, reference = (read_raster(path)[inner].astype(float) for path in (product, truth))
    mse, mean = ((image - reference) ** 2).mean(axis=(1, 2)), reference.mean(axis=(1, 2))
    return float(100 / 4 * np.sqrt(np.mean(mse / mean**2)))


@pytest.mark.parametrize("backend", ["auto", "classical"])
def test_a_misplaced_scene_is_fused_like_a_well_placed_one(
    truth_scene: dict[str, Path], tmp_path: Path, bundle: Bundle, backend: str
) -> None:
    pan, truth = truth_scene["pan.tif"], truth_scene["truth.tif"]
    ms = misplaced(truth_scene, tmp_path, (0.7, -0.9))
    scores = {}
    for name, source, register in (
        ("placed", truth_scene["ms.tif"], "off"),
        ("corrected", ms, "auto"),
        ("not corrected", ms, "off"),
    ):
        out = tmp_path / f"{name}.tif"
        report = fuse(pan, source, bundle, out, memory="4GiB", backend=backend, register=register)
        scores[name] = ergas(out, truth)
        assert report.shift.outcome == ("applied" if register == "auto" else "off")
    assert scores["corrected"] < 1.02 * scores["placed"]
    assert scores["not corrected"] > 1.08 * scores["placed"]


def test_the_shift_is_the_same_for_all_tilings_and_is_told(
    truth_scene: dict[str, Path], tmp_path: Path, bundle: Bundle
) -> None:
    ms = misplaced(truth_scene, tmp_path, (0.7, -0.9))
    products, shifts = [], []
    for name, options in (("one", {"tile": 512}), ("many", {"tile": 96, "threads": 2})):
        out = tmp_path / f"{name}.tif"
        report = fuse(truth_scene["pan.tif"], ms, bundle, out, memory="4GiB", **options)
        products.append(out.read_bytes())
        shifts.append(report.shift)
    assert products[0] == products[1]
    assert shifts[0] == shifts[1]
    told = report.to_json()["shift"]
    assert (told["row"], told["col"]) == pytest.approx((0.7, -0.9), abs=CLOSE)
    with rasterio.open(out) as product:
        of_product = Shift.of_tag(product.tags()["BNNPAN_SHIFT"])
    assert (of_product.applied_row, of_product.applied_col) == (told["applied_row"], told["applied_col"])
    # The same shift given is the same product, but for the tag.
    given = tmp_path / "given.tif"
    shift = (told["applied_row"], told["applied_col"])
    fuse(truth_scene["pan.tif"], ms, bundle, given, memory="4GiB", register=shift)
    assert np.array_equal(read_raster(given), read_raster(out))


def test_a_well_placed_scene_has_the_same_product_with_and_without(
    truth_scene: dict[str, Path], tmp_path: Path, bundle: Bundle
) -> None:
    pan, ms = truth_scene["pan.tif"], truth_scene["ms.tif"]
    products = []
    for register in ("auto", "off"):
        out = tmp_path / f"{register}.tif"
        fuse(pan, ms, bundle, out, memory="4GiB", backend="classical", register=register)
        products.append(out.read_bytes())
    assert products[0] == products[1]


@pytest.mark.parametrize(
    ("value", "message"), [("30", "DX,DY"), ("1,x", "DX,DY"), ("30,-1", "at most 8"), ("nan,0", "at most 8")]
)
def test_an_impossible_shift_is_refused_in_one_line(
    truth_scene: dict[str, Path], tmp_path: Path, value: str, message: str
) -> None:
    scene = ["--pan", str(truth_scene["pan.tif"]), "--ms", str(truth_scene["ms.tif"])]
    out = ["--out", str(tmp_path / "out.tif"), "--memory", "4GiB"]
    result = CliRunner().invoke(cli, ["fuse", *scene, *out, "--register", value])
    assert result.exit_code != 0
    assert message in result.output + str(result.exception)
    assert not (tmp_path / "out.tif").exists()
