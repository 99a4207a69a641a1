"""A detector line: raw DN become even ones, in any window alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnnpan_runtime.contract import Window
from bnnpan_runtime.radiometry.line import Line

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
