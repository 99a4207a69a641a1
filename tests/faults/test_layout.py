"""The file of a product is the one that GDAL would make, but its layout never meets the disk."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine

from bnnpan_runtime.product import layout
from bnnpan_runtime.product.block_file import BlockFile, BlockGrid
from bnnpan_runtime.product.layout import lay_out
from bnnpan_runtime.scene import ProductFormat, describe
from bnnpan_runtime.tiles import tiles

SIDE = 64
TAGS = {"MAKER": "test", "LONG": "x" * 3001}

forms = st.builds(
    lambda height, width, bands, kind, is_placed, is_scaled: ProductFormat(
        height=height,
        width=width,
        bands=bands,
        dtype=kind[0],
        nodata=kind[1],
        crs=CRS.from_epsg(32633) if is_placed else None,
        transform=Affine(0.5, 0, 600000, 0, -0.5, 5000000),
        descriptions=("red",) * bands,
        scales=(0.5,) * bands if is_scaled else (),
        offsets=(-1.0,) * bands if is_scaled else (),
        units=("W",) * bands if is_scaled else (),
    ),
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    bands=st.integers(1, 5),
    kind=st.sampled_from(
        [
            ("uint8", None),
            ("uint8", 7),
            ("uint16", 0),
            ("int16", -9),
            ("float32", float(np.finfo("float32").min)),
        ]
    ),
    is_placed=st.booleans(),
    is_scaled=st.booleans(),
)


def made_by_gdal(path: Path, form: ProductFormat) -> bytes:
    """A file without any pixels, whose blocks GDAL writes when it closes it."""
    options = {**layout._options(form, BlockGrid.of(form)), "SPARSE_OK": False}
    with rasterio.open(path, "w", **options) as raster:
        describe(raster, form, TAGS)
    return path.read_bytes()


def write_tiles(file: BlockFile, pixels: NDArray[np.generic], tile: int) -> None:
    _, height, width = pixels.shape
    for one in tiles(height, width, tile, 0):
        for block, part in file.grid.parts(one.core):
            rows, cols = slice(part.row, part.row + part.height), slice(part.col, part.col + part.width)
            file.write(block, part, pixels[:, rows, cols])


@settings(max_examples=30)
@given(form=forms, tile=st.sampled_from([40, 64, 100]))
def test_a_file_is_byte_for_byte_that_of_gdal_and_tiles_restore_all_of_its_blocks(
    tmp_path_factory: pytest.TempPathFactory, form: ProductFormat, tile: int
):
    folder = tmp_path_factory.mktemp("layout")
    path = folder / "ours.tif"
    with patch("bnnpan_runtime.product.block_file.BLOCK", SIDE):
        expected = made_by_gdal(folder / "gdal.tif", form)
        file = lay_out(path, form, TAGS)
    assert path.read_bytes() == expected
    shape = form.bands, form.height, form.width
    pixels = np.random.default_rng(1).integers(1, 127, shape).astype(form.dtype)
    write_tiles(file, pixels, tile)
    with rasterio.open(path) as raster:
        assert np.array_equal(raster.read(), pixels)
    with path.open("r+b") as damaged:
        damaged.seek(file.first_byte)
        damaged.write(b"\xaa" * file.grid.all_bytes)
    write_tiles(file, np.full(shape, form.nodata or 0, form.dtype), tile)
    file.close()
    assert path.read_bytes() == expected


def test_the_layout_of_a_product_of_gigabytes_takes_memory_for_its_tables_only(tmp_path: Path):
    form = ProductFormat(32768, 32768, 4, "uint16", 0, None, None, (None,) * 4)
    grid = BlockGrid.of(form)
    tracemalloc.start()
    try:
        frame = layout._frame(form, {}, grid)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(frame) < 2**10 + 12 * grid.count
    assert peak_bytes < 100 * grid.count
