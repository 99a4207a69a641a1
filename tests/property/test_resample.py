"""LMS: the same bits whatever the window, and the interpolator of the literature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from requirements import require_package

from bnnpan_runtime.contract import Phase, Window
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.resample import REACH, Resampler, phi

OFFSETS = st.integers(-8 * 1024, 40 * 1024).map(lambda steps: steps / 1024)
PHASES = st.sampled_from(["centred", "toolbox"])
WINDOWS = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 60), st.integers(1, 60))


def lms(resampler: Resampler, ms: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    """LMS of a window, MS edges repeated."""
    area = resampler.ms_window(window)
    largest = resampler.largest_ms_window(window.height, window.width)
    assert area.height <= largest[0] and area.width <= largest[1]
    rows = np.clip(np.arange(area.row, area.row + area.height), 0, ms.shape[1] - 1)
    cols = np.clip(np.arange(area.col, area.col + area.width), 0, ms.shape[2] - 1)
    part = np.ascontiguousarray(ms[:, rows[:, None], cols])
    out = np.full((len(ms), window.height, window.width), np.nan, np.float32)
    scratch = np.full(resampler.scratch_floats(len(ms), window.height, window.width), np.nan, np.float32)
    resampler.interpolate(part, window, out, scratch)
    return out


def definition(ms: NDArray[np.float32], grid: Grid, phase: Phase, window: Window) -> NDArray[np.float64]:
    """`sum_k ms[k] phi(t - k)` in float64, straight from the formula."""

    def weights(start: int, count: int, offset: float, length: int) -> NDArray[np.float64]:
        sample = grid.ratio // 2 if phase == "toolbox" else (grid.ratio - 1) / 2
        matrix = np.zeros((count, length))
        for row, position in enumerate((np.arange(start, start + count) + offset - sample) / grid.ratio):
            for k in range(int(np.floor(position)) - REACH, int(np.floor(position)) + REACH + 2):
                matrix[row, min(max(k, 0), length - 1)] += phi(np.array([position - k]))[0]
        return matrix / matrix.sum(1, keepdims=True)

    rows = weights(window.row, window.height, grid.row_offset, ms.shape[1])
    cols = weights(window.col, window.width, grid.col_offset, ms.shape[2])
    return np.einsum("pr,brc,qc->bpq", rows, ms.astype(np.float64), cols)


def random_ms(seed: int, bands: int = 2, side: int = 30) -> NDArray[np.float32]:
    return np.random.default_rng(seed).integers(0, 2048, (bands, side, side)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), OFFSETS, OFFSETS, PHASES, WINDOWS)
def test_a_window_has_the_bits_of_the_whole(
    ratio: int, row_offset: float, col_offset: float, phase: Phase, place: tuple[int, int, int, int]
):
    window = Window(*place)
    resampler = Resampler(Grid(ratio, row_offset, col_offset), phase)
    ms = random_ms(ratio)
    whole = lms(resampler, ms, Window(0, 0, 100, 100))
    part = lms(resampler, ms, window)
    cut = whole[:, window.row : window.row + window.height, window.col : window.col + window.width]
    assert part.tobytes() == np.ascontiguousarray(cut).tobytes()


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), OFFSETS, OFFSETS, PHASES, WINDOWS)
def test_it_is_the_interpolator_by_its_definition(
    ratio: int, row_offset: float, col_offset: float, phase: Phase, place: tuple[int, int, int, int]
):
    grid, window, ms = Grid(ratio, row_offset, col_offset), Window(*place), random_ms(1)
    found = lms(Resampler(grid, phase), ms, window)
    assert np.abs(found - definition(ms, grid, phase, window)).max() < 5e-3


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), OFFSETS, PHASES, st.just(0.0) | st.floats(2**-16, 1, width=32))
def test_a_flat_image_stays_flat(ratio: int, offset: float, phase: Phase, level: float):
    ms = np.full((1, 30, 30), level, np.float32)
    found = lms(Resampler(Grid(ratio, offset, -offset / 2), phase), ms, Window(0, 0, 40, 40))
    assert np.abs(found - np.float32(level)).max() <= 1e-6 * level


def test_phi_is_cardinal():
    assert phi(np.arange(-REACH, REACH + 1.0)).tolist() == [0.0] * REACH + [1.0] + [0.0] * REACH


def test_large_windows_are_worked_on_in_strips_with_the_same_bits():
    resampler = Resampler(Grid(4, 1.5, 0.5), "centred")
    ms = random_ms(3, bands=4, side=220)
    whole = lms(resampler, ms, Window(0, 0, 800, 800))
    for row, col in ((0, 0), (6, 1), (402, 2), (402, 3)):
        part = lms(resampler, ms, Window(row, col, 300, 601))
        assert np.array_equal(part, whole[:, row : row + 300, col : col + 601])


@pytest.mark.parametrize("ratio", [2, 4])
@pytest.mark.parametrize("phase", ["centred", "toolbox"])
def test_it_equals_the_ground_side(ratio: int, phase: Phase):
    require_package("torch")
    from bnnpan.data.lms import interp23tap

    ms = random_ms(5)
    expected = interp23tap(ms, ratio, phase, boundary="edge")
    found = lms(Resampler(Grid(ratio), phase), ms, Window(0, 0, ratio * 30, ratio * 30))
    assert np.abs(found - expected).max() < 5e-3
