"""Radiometry: raw DN become even ones, in any window alike; what a calibration file may say is checked."""

from __future__ import annotations

import json
import tomllib
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_scenes import read_raster, write_raster

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.cli import main as cli
from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.radiometry import read_radiometry
from bnnpan_runtime.radiometry.corrected import corrected as corrected_scene
from bnnpan_runtime.radiometry.line import Line
from bnnpan_runtime.run import fuse, plan
from bnnpan_runtime.scene import SceneOptions, open_scene
from bnnpan_runtime.synth import write as synth
from bnnpan_runtime.synth.capture import Scene as SyntheticScene

HEIGHT, WIDTH = 9, 24


def line(
    dark: object = 0.0, gain: object = 1.0, dead: tuple[int, ...] = (), saturation: float | None = None
) -> Line:
    return Line(
        np.broadcast_to(np.float32(dark), (WIDTH,)).copy(),
        np.broadcast_to(np.float32(gain), (WIDTH,)).copy(),
        np.array(sorted(dead), np.intp),
        saturation,
    )


def corrected(
    detectors: Line,
    raw: np.ndarray,
    window: Window | None = None,
    nodata: float | None = None,
    shown: range = range(WIDTH),
) -> np.ndarray:
    """A window of `raw`, which repeats the outermost columns shown, and rows, beyond them."""

    def read(part: Window, out: np.ndarray, columns: range = range(WIDTH)) -> None:
        rows = np.arange(part.row, part.row + part.height).clip(0, raw.shape[0] - 1)
        cols = np.arange(part.col, part.col + part.width).clip(columns[0], columns[-1])
        out[...] = raw[rows[:, None], cols]

    window = window or Window(0, 0, *raw.shape)
    dn = np.empty((window.height, window.width), raw.dtype)
    read(window, dn, shown)
    detectors.correct(dn, window, nodata, read, shown)
    return dn


def test_stripes_of_the_detectors_vanish() -> None:
    random = np.random.default_rng(0)
    light = np.linspace(200, 900, HEIGHT)[:, None] * np.ones(WIDTH)
    dark, gain = random.uniform(5, 40, WIDTH), random.uniform(0.8, 1.2, WIDTH)
    raw = np.rint(light / gain + dark).astype(np.uint16)
    assert np.ptp(raw, axis=1).min() > 50
    even = corrected(line(dark, gain), raw)
    assert np.abs(even - light).max() <= 1.2  # half a raw DN times gain, and rounding


def test_without_a_calibration_nothing_changes() -> None:
    raw = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH), np.uint16)
    assert np.array_equal(corrected(line(), raw), raw)


def test_rounding_and_clipping_are_those_of_whole_numbers() -> None:
    raw = np.tile(np.array([0, 10, 11, 255], np.uint8), (HEIGHT, WIDTH // 4))
    assert corrected(line(10, 1.5), raw)[0, :4].tolist() == [0, 0, 2, 255]


def test_a_float_image_is_neither_rounded_nor_clipped() -> None:
    raw = np.tile(np.float32([0, 0.25, -1, 3]), (HEIGHT, WIDTH // 4))
    assert corrected(line(0.5, 2), raw)[0, :4].tolist() == [-1, -0.5, -3, 5]


def test_a_dead_column_lies_between_its_neighbours() -> None:
    raw = np.tile(np.arange(WIDTH, dtype=np.uint16) * 30, (HEIGHT, 1))
    broken = raw.copy()
    broken[:, [0, 7, 8, WIDTH - 1]] = 9999
    fixed = corrected(line(dead=(0, 7, 8, WIDTH - 1)), broken)
    assert np.array_equal(fixed[:, 1:-1], raw[:, 1:-1])
    assert (fixed[:, 0] == 30).all()
    assert (fixed[:, -1] == 30 * (WIDTH - 2)).all()


def test_nodata_stays_and_nothing_else_becomes_it() -> None:
    raw = np.full((HEIGHT, WIDTH), 20, np.uint16)
    raw[2] = 0  # not measured
    raw[3] = 12  # as dark as the dark itself
    fixed = corrected(line(12, dead=(5,)), raw, nodata=0)
    assert (fixed[2] == 0).all()
    assert (fixed[3] == 1).all()
    assert (fixed[4] == 8).all()


def test_a_dead_column_beside_nodata_takes_the_measured_neighbour() -> None:
    raw = np.full((HEIGHT, WIDTH), 20, np.uint16)
    raw[:, :5] = 0
    fixed = corrected(line(dead=(2, 5)), raw, nodata=0)
    assert (fixed[:, 5] == 20).all()
    assert (fixed[:, 2] == 0).all()


def test_saturated_pixels_are_one_flat_level_that_no_other_pixel_has() -> None:
    gain = np.linspace(0.9, 1.1, WIDTH)
    raw = np.tile(np.array([[2046], [2047], [65535]], np.uint16), (1, WIDTH))
    detectors = line(10, gain, saturation=2047)
    levels = detectors.levels(raw.dtype, None)
    fixed = corrected(detectors, raw)
    assert (fixed[1:] == levels.saturated).all()
    assert (fixed[0] < levels.saturated).all()
    assert levels.saturated == round(2037 * 1.1)


def test_rounding_makes_nothing_saturated() -> None:
    raw = np.tile(np.array([[2046], [2047]], np.uint16), (1, WIDTH))
    assert corrected(line(gain=0.1, saturation=2047), raw)[:, 0].tolist() == [204, 205]


def test_a_dead_column_is_saturated_only_where_both_neighbours_are() -> None:
    raw = np.full((3, WIDTH), 2047, np.uint16)
    raw[0, 4] = 100
    raw[1, 4:7] = 100
    detectors = line(dead=(5,), saturation=2047)
    assert corrected(detectors, raw)[:, 5].tolist() == [1074, 100, 2047]


def test_no_level_collides_with_nodata() -> None:
    raw = np.array([[65535, 65534, 60000, 10]], np.uint16).repeat(WIDTH // 4, axis=1)
    detectors = line(gain=1.2, saturation=60000)
    levels = detectors.levels(raw.dtype, 65535)
    fixed = corrected(detectors, raw, nodata=65535)
    assert levels.saturated == 65534
    assert np.unique(fixed).tolist() == [12, 65534, 65535]
    assert np.array_equal(fixed == 65535, raw == 65535)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Line, np.ndarray, Window, int | None, range]:
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    raw = random.integers(0, np.iinfo(dtype).max, (HEIGHT, WIDTH), dtype, endpoint=True)
    raw[:, draw(st.integers(0, WIDTH - 1)) :] //= 8
    dead = draw(st.sets(st.integers(0, WIDTH - 1), max_size=WIDTH - 1))
    saturation = draw(st.sampled_from([None, float(np.iinfo(dtype).max // 2)]))
    detectors = line(random.uniform(-5, 5, WIDTH), random.uniform(0.5, 2, WIDTH), tuple(dead), saturation)
    row, col = draw(st.integers(-3, HEIGHT - 1)), draw(st.integers(-3, WIDTH - 1))
    size = draw(st.integers(1, HEIGHT)), draw(st.integers(1, WIDTH))
    first = draw(st.integers(0, WIDTH - 1))
    shown = range(first, draw(st.integers(first + 1, WIDTH)))
    return detectors, raw, Window(row, col, *size), draw(st.sampled_from([None, 0, 7])), shown


@settings(max_examples=100, deadline=None)
@given(cases())
def test_every_window_shows_the_same_pixels(
    case: tuple[Line, np.ndarray, Window, int | None, range],
) -> None:
    detectors, raw, window, nodata, shown = case
    whole = corrected(detectors, raw, nodata=nodata)
    part = corrected(detectors, raw, window, nodata, shown)
    rows = np.arange(window.row, window.row + window.height).clip(0, HEIGHT - 1)
    cols = np.arange(window.col, window.col + window.width).clip(shown[0], shown[-1])
    assert np.array_equal(part, whole[rows[:, None], cols])
    if nodata is not None:
        live = np.setdiff1d(np.arange(WIDTH), detectors.dead)
        assert np.array_equal(whole[:, live] == nodata, raw[:, live] == nodata)


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = np.random.default_rng(0).integers(0, 4096, (HEIGHT, WIDTH), np.uint16)
    detectors = line(12, 1.1, dead=(3,), saturation=4000)
    whole = corrected(detectors, raw)
    monkeypatch.setattr("bnnpan_runtime.radiometry.line.STRIP_PIXELS", 1)
    assert np.array_equal(corrected(detectors, raw), whole)


GOOD = """
format = 1
[pan]
saturation = 2047
dark = [1, 2, 3, 4.5]
gain = 1.1
dead = [2, 0]
[[ms]]
dark = 8
[[ms]]
gain = [1.0, 0.5]
"""


def test_a_calibration_file_says_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    path.write_text(GOOD)
    radiometry = read_radiometry(path, 4, 2, 2)
    assert radiometry.pan.dark.tolist() == [1, 2, 3, 4.5]
    assert radiometry.pan.gain.tolist() == pytest.approx([1.1] * 4)
    assert radiometry.pan.dead.tolist() == [0, 2]
    assert radiometry.pan.saturation == 2047
    assert [band.dark.tolist() for band in radiometry.ms] == [[8, 8], [0, 0]]
    assert radiometry.ms[1].gain.tolist() == [1, 0.5]
    assert len(radiometry.sha256) == 64


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 2", "format is 2"),
        ("format = 1", "", "format is None"),
        ("[pan]", "[pam]", "unknown key 'pam'"),
        ("dark = 8", "dork = 8", "unknown key 'dork'"),
        ("[[ms]]\ndark = 8", "", r"1 \[\[ms\]\] sections, the MS raster has 2"),
        ("[1, 2, 3, 4.5]", "[1, 2, 3]", "pan.dark has 3 values, the raster has 4"),
        ("[1, 2, 3, 4.5]", '[1, 2, 3, "4"]', r"pan.dark\[3\] is not a number"),
        ("[1, 2, 3, 4.5]", "[1, 2, 3, nan]", r"pan.dark\[3\] must be"),
        ("[1, 2, 3, 4.5]", "[1, 2, 3, 2047]", "pan.dark reaches pan.saturation"),
        ("gain = 1.1", "gain = 0", "pan.gain must be 0.001 to 1000"),
        ("gain = 1.1", "gain = -inf", "pan.gain must be"),
        ("gain = 1.1", "gain = true", "pan.gain is not a number"),
        ("gain = 1.1", "gain = " + "[" * 900, "not a TOML file"),
        ("gain = 1.1", "gain = 1" + "0" * 5000, "not a TOML file"),
        ("dead = [2, 0]", "dead = 2", "pan.dead is not a list"),
        ("dead = [2, 0]", "dead = [4]", "columns are 0 to 3"),
        ("dead = [2, 0]", "dead = [0.5]", "columns are 0 to 3"),
        ("dead = [2, 0]", "dead = [0, 1, 2, 3]", "lists all columns"),
        ("saturation = 2047", "saturation = inf", "pan.saturation must be"),
        ("format = 1", "format = ", "not a TOML file"),
        ("[[ms]]", "[ms]", "not a TOML file"),
    ],
)
def test_whatever_is_wrong_with_a_calibration_file_is_one_clear_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "camera.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 2 if old == "[[ms]]" else 1))
    with pytest.raises(SceneError, match=message) as caught:
        read_radiometry(path, 4, 2, 2)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    toml, same = tmp_path / "camera.toml", tmp_path / "camera.json"
    toml.write_text(GOOD)
    same.write_text(json.dumps(tomllib.loads(GOOD)))
    for line, other in zip(
        *((r.pan, *r.ms) for r in (read_radiometry(p, 4, 2, 2) for p in (toml, same))), strict=True
    ):
        assert line.saturation == other.saturation
        for name in ("dark", "gain", "dead"):
            assert np.array_equal(getattr(line, name), getattr(other, name))


@pytest.mark.parametrize(
    "content", ["[]", "{", "[" * 999, '{"format": NaN}', '{"format": 1, "pan": 3, "ms": [1, 2]}']
)
def test_json_that_says_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "camera.json"
    path.write_text(content)
    with pytest.raises(SceneError, match=r"camera\.json: .*docs/radiometry\.md"):
        read_radiometry(path, 4, 2, 2)


def test_bytes_that_are_no_text_and_files_too_large_or_absent_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    with pytest.raises(SceneError, match="cannot read"):
        read_radiometry(path, 4, 2, 2)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SceneError, match="not a TOML file"):
        read_radiometry(path, 4, 2, 2)
    path.write_bytes(b"#" * (2**22 + 1))
    with pytest.raises(SceneError, match="at most 4MiB"):
        read_radiometry(path, 4, 2, 2)


def test_a_file_that_would_fill_the_memory_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    for name, content in (("camera.json", "[" + "[]," * 2**20), ("camera.toml", "a.b=1\n" * 2**19)):
        path = tmp_path / name
        path.write_text(content)
        tracemalloc.start()
        with pytest.raises(SceneError, match="than any camera needs"):
            read_radiometry(path, 4, 2, 2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * 2**22


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["toml", "json"]),
    st.integers(0, 400),
    st.integers(0, 12),
    st.one_of(
        st.binary(max_size=8), st.sampled_from([b"[", b"nan", b"1e999", b"-1", b'"', b"null", b"9" * 20])
    ),
)
def test_a_damaged_calibration_file_is_read_or_refused(
    tmp_path: Path, kind: str, place: int, length: int, new: bytes
) -> None:
    content = GOOD.encode() if kind == "toml" else json.dumps(tomllib.loads(GOOD)).encode()
    path = tmp_path / f"camera.{kind}"
    path.write_bytes(content[:place] + new + content[place + length :])
    try:
        radiometry = read_radiometry(path, 4, 2, 2)
    except SceneError as error:
        assert "\n" not in str(error)
    else:
        assert [len(band.gain) for band in (radiometry.pan, *radiometry.ms)] == [4, 2, 2]
        assert all(np.isfinite(band.gain).all() for band in (radiometry.pan, *radiometry.ms))


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
    path.write_text(GOOD)
    scene = ["--pan", str(camera.raw_pan), "--ms", str(camera.raw_ms), "--radiometry", str(path)]
    result = CliRunner().invoke(cli, ["plan", *scene, "--memory", "4GiB"])
    assert result.exit_code != 0
    assert "2 [[ms]] sections, the MS raster has 4 bands" in result.output + str(result.exception)


def test_correction_keeps_the_promise_about_memory(camera: Camera, bundle: Bundle) -> None:
    raw = plan(camera.raw_pan, camera.raw_ms, bundle, memory="4GiB", radiometry=camera.calibration)
    plain = plan(camera.raw_pan, camera.raw_ms, bundle, memory="4GiB")
    assert raw.terms["raster_blocks"] > plain.terms["raster_blocks"]
