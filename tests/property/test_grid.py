"""Where PAN lies on MS, against exact rational arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine

from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.grid import Grid, grid_from_transforms, same_grid
from bnnpan_runtime.resample import Resampler

RATIOS = st.integers(2, 16)
STEPS = st.integers(-40 * 1024, 40 * 1024).map(lambda steps: Fraction(steps, 1024))
SIZES = st.integers(1, 5000)
GSD = st.sampled_from([0.3, 0.5, 0.31, 1.0, 10.0, 15.0, 2.5e-6, 1 / 3])
ORIGINS = st.tuples(st.floats(-2e7, 2e7), st.floats(-1e7, 1e7))
TURNS = st.sampled_from([0, 0, 90, 12.5, 180, 271.3, -33])
SHEARS = st.sampled_from([0, 0, 5, -20])

HALF_STEP = Fraction(1, 2048)


@st.composite
def pan_transforms(draw: st.DrawFn) -> Affine:
    x, y = draw(ORIGINS)
    gsd = draw(GSD)
    if gsd < 1e-3:  # degrees
        x, y = x / 2e5, y / 2e5
    down = draw(st.sampled_from([-1, 1]))
    turn = Affine.rotation(draw(TURNS)) @ Affine.shear(draw(SHEARS))
    return Affine.translation(x, y) @ turn @ Affine.scale(gsd, down * gsd)


def exact(transform: Affine, col: Fraction, row: Fraction) -> tuple[Fraction, Fraction]:
    a, b, c, d, e, f = (Fraction(value) for value in tuple(transform)[:6])
    return a * col + b * row + c, d * col + e * row + f


@settings(max_examples=150, deadline=None)
@given(pan_transforms(), RATIOS, STEPS, STEPS, SIZES, SIZES)
def test_offsets_and_ratio_of_written_transforms_are_found_again(
    pan: Affine, ratio: int, row_offset: Fraction, col_offset: Fraction, height: int, width: int
):
    ms = pan @ Affine.translation(-float(col_offset), -float(row_offset)) @ Affine.scale(ratio)
    grid = grid_from_transforms(pan, ms, Window(0, 0, height, width))
    assert grid.ratio == ratio
    # Doubles of coordinates of 1e7 m are good to 2e-9 m, those of 100 degrees to 1e-14: far less than a step.
    assert abs(Fraction(grid.row_offset) - row_offset) <= 2 * HALF_STEP
    assert abs(Fraction(grid.col_offset) - col_offset) <= 2 * HALF_STEP


@settings(max_examples=150, deadline=None)
@given(
    pan_transforms(),
    RATIOS,
    STEPS,
    STEPS,
    st.integers(0, 300),
    st.integers(0, 300),
    st.sampled_from([0, 1e-5, -2e-5]),
)
def test_every_product_pixel_lies_where_exact_arithmetic_puts_it_on_ms(
    pan: Affine, ratio: int, row_offset: Fraction, col_offset: Fraction, row: int, col: int, stretch: float
):
    height, width = 700, 900
    ms = (
        pan @ Affine.translation(-float(col_offset), -float(row_offset)) @ Affine.scale(ratio * (1 + stretch))
    )
    window = Window(row, col, height, width)
    grid = grid_from_transforms(pan, ms, window)
    # A stretch of 2e-5 moves MS pixels by 0.02 PAN pixels over such a window.
    allowed = HALF_STEP * 2 + Fraction(abs(stretch)) * (height + width)
    inverse = _inverse(ms)
    for place_row, place_col in ((0, 0), (0, width - 1), (height - 1, 0), (height // 2, width // 2)):
        centre = Fraction(1, 2)
        ground = exact(pan, col + place_col + centre, row + place_row + centre)
        ms_col, ms_row = inverse(*ground)
        assert abs(place_row + centre + Fraction(grid.row_offset) - ratio * ms_row) <= allowed
        assert abs(place_col + centre + Fraction(grid.col_offset) - ratio * ms_col) <= allowed


@settings(max_examples=100, deadline=None)
@given(RATIOS, STEPS, STEPS, *[st.integers(1, 300)] * 4)
def test_the_product_has_the_pixels_whose_centres_lie_in_ms(
    ratio: int,
    row_offset: Fraction,
    col_offset: Fraction,
    height: int,
    width: int,
    ms_height: int,
    ms_width: int,
):
    grid = Grid(ratio, float(row_offset), float(col_offset))
    expected = [
        _wanted(offset, pan, ms * ratio, ratio)
        for offset, pan, ms in ((row_offset, height, ms_height), (col_offset, width, ms_width))
    ]
    if not all(expected):
        with pytest.raises(SceneError, match="overlap"):
            grid.covered((height, width), (ms_height, ms_width))
        return
    area = grid.covered((height, width), (ms_height, ms_width))
    assert range(area.row, area.row + area.height) == expected[0]
    assert range(area.col, area.col + area.width) == expected[1]


def _wanted(offset: Fraction, pan: int, ms_end: int, ratio: int) -> range:
    """PAN pixels of one axis, one by one: an MS that ends less than one of its pixels early covers it."""
    has_start, has_end = -offset < ratio, offset + pan - ms_end < ratio
    centres = {k: k + Fraction(1, 2) + offset for k in range(pan)}
    inside = [
        k for k, centre in centres.items() if (has_start or centre >= 0) and (has_end or centre < ms_end)
    ]
    return range(inside[0], inside[-1] + 1) if inside else range(0)


@settings(max_examples=60, deadline=None)
@given(RATIOS, STEPS, STEPS, st.integers(0, 200), st.integers(0, 200))
def test_interpolation_takes_the_position_of_exact_arithmetic(
    ratio: int, row_offset: Fraction, col_offset: Fraction, row: int, col: int
):
    resampler = Resampler(Grid(ratio, float(row_offset), float(col_offset)).part(row, col), "centred")
    sample = Fraction(ratio - 1, 2)
    assert Fraction(resampler.row_origin) == sample - row_offset - row
    assert Fraction(resampler.col_origin) == sample - col_offset - col


@settings(max_examples=60, deadline=None)
@given(RATIOS, STEPS, st.integers(0, 200), st.integers(1, 50))
def test_the_ms_pixel_of_a_pan_pixel_is_the_one_that_holds_its_centre(
    ratio: int, offset: Fraction, start: int, count: int
):
    rows = Grid(ratio, float(offset)).ms_rows(start, count)
    centres = [start + k + Fraction(1, 2) + offset for k in range(count)]
    assert rows.tolist() == [math.floor(centre / ratio) for centre in centres]


@given(pan_transforms(), RATIOS, st.floats(0.7, 89))
def test_grids_that_are_turned_against_each_other_are_refused(pan: Affine, ratio: int, angle: float):
    with pytest.raises(SceneError, match="rotated"):
        grid_from_transforms(pan, pan @ Affine.rotation(angle) @ Affine.scale(ratio), Window(0, 0, 500, 500))


@given(pan_transforms(), RATIOS, st.sampled_from([(1, -1), (-1, 1)]))
def test_mirrored_grids_are_refused(pan: Affine, ratio: int, flip: tuple[int, int]):
    with pytest.raises(SceneError, match="mirrored"):
        grid_from_transforms(
            pan, pan @ Affine.scale(ratio * flip[0], ratio * flip[1]), Window(0, 0, 500, 500)
        )


@given(pan_transforms(), st.floats(1.05, 16.9))
def test_a_ratio_that_is_not_whole_is_refused(pan: Affine, ratio: float):
    assume(abs(ratio - round(ratio)) * 500 / round(ratio) > 1.1)
    with pytest.raises(SceneError, match="ratio"):
        grid_from_transforms(pan, pan @ Affine.scale(ratio), Window(0, 0, 500, 500))


@pytest.mark.parametrize(
    "broken", [Affine(1, 2, 0, 2, 4, 0), Affine(0, 0, 5, 0, 0, 5), Affine(math.nan, 0, 0, 0, 1, 0)]
)
def test_a_transform_without_inverse_is_refused(broken: Affine):
    sound = Affine.scale(1, -1)
    for pan, ms in ((broken, sound), (sound, broken)):
        with pytest.raises(SceneError, match="inverse"):
            grid_from_transforms(pan, ms, Window(0, 0, 100, 100))


def test_same_grids_agree_at_every_corner():
    grid = Affine(0.5, 0, 6e5, 0, -0.5, 5e6)
    assert same_grid(grid, Affine(0.5, 0, 6e5 + 1e-5, 0, -0.5, 5e6), (1000, 1000))
    assert not same_grid(grid, Affine(0.5, 0, 6e5 + 1e-2, 0, -0.5, 5e6), (1000, 1000))
    assert not same_grid(grid, Affine(0.50001, 0, 6e5, 0, -0.5, 5e6), (1000, 1000))


def _inverse(transform: Affine) -> Callable[[Fraction, Fraction], tuple[Fraction, Fraction]]:
    a, b, c, d, e, f = (Fraction(value) for value in tuple(transform)[:6])
    area = a * e - b * d

    def apply(x: Fraction, y: Fraction) -> tuple[Fraction, Fraction]:
        return (e * (x - c) - b * (y - f)) / area, (a * (y - f) - d * (x - c)) / area

    return apply
