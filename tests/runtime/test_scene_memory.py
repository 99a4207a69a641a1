"""Files that GDAL decodes in large pieces stay within the budget, whose smallest is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from awkward_rasters import TRANSFORM, Files, Pixels, nitf, smooth_pixels, stored, write_file, write_vrt

from bnnpan_runtime.jpeg2000 import tile_shape
from bnnpan_runtime.scene import SceneOptions, open_pair
from bnnpan_runtime.storage import Storage

SIDE = 1280

PROGRAM = """
import json, sys
from bnnpan_runtime import fuse
from bnnpan_runtime.errors import BudgetError
pan, ms, out, memory, bits = sys.argv[1:]
try:
    report = fuse(pan, ms, "bgrn-x4", out, memory=memory, backend="native", bit_depth=int(bits) or None,
                  register="off")
except BudgetError as error:
    sys.exit(str(error))
print(json.dumps(report.to_json()))
"""


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    small = smooth_pixels(320, 320)
    return Pixels(np.tile(small.pan, (4, 4)), np.tile(small.ms, (1, 4, 4)))


def masked(folder: Path, pixels: Pixels) -> Files:
    files = stored(tiled=True)(folder, pixels)
    for path in (files.pan, *files.ms):
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as raster:
            raster.write_mask(
                np.where(np.arange(raster.width) < 9, 0, 255).astype(np.uint8)
                * np.ones(raster.shape, np.uint8)
            )
    return files


def floats(folder: Path, pixels: Pixels) -> Files:
    return stored(blockysize=SIDE, compress="zstd")(folder, pixels.cast("float32"))


KINDS = {
    "one compressed strip": stored(blockysize=SIDE, compress="deflate"),
    "one strip of LERC": stored(blockysize=SIDE, compress="lerc_zstd"),
    "one tile of JPEG 2000": stored(
        ".jp2", driver="JP2OpenJPEG", quality="100", reversible="YES", blockxsize=SIDE, blockysize=SIDE
    ),
    "NITF": nitf,
    "one strip of floats": floats,
    "masks": masked,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_budget_and_a_larger_one_are_kept(
    pixels: Pixels, tmp_path: Path, subprocess_environment: dict[str, str], kind: str
):
    files = KINDS[kind](tmp_path, pixels)
    bits = "11" if kind == "one strip of floats" else "0"

    def run(memory: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-c",
            PROGRAM,
            files.pan,
            files.ms[0],
            str(tmp_path / f"{memory}.tif"),
            memory,
            bits,
        ]
        return subprocess.run(
            command, env=subprocess_environment, capture_output=True, text=True, check=False
        )

    refused = run("30MiB").stderr
    smallest = refused.split("smallest that works is ")[1].split()[0]
    for memory in (smallest, "400MiB"):
        result = run(memory)
        report = json.loads(result.stdout)
        assert report["measured_peak_bytes"] <= report["predicted_peak_bytes"] <= report["budget_bytes"]


def test_the_storage_of_a_virtual_raster_is_that_of_its_sources(pixels: Pixels, tmp_path: Path):
    files = stored(blockysize=SIDE, compress="deflate")(tmp_path, pixels)
    sources = [("ms.tif", band) for band in range(1, 5)]
    ms = write_vrt(tmp_path / "ms.vrt", sources, pixels.ms.shape[1:], pixels.ms_transform)
    pan = write_vrt(tmp_path / "pan.vrt", [("pan.tif", 1)], pixels.pan.shape, TRANSFORM)
    with (
        open_pair(files.pan, files.ms, SceneOptions()) as direct,
        open_pair(pan, ms, SceneOptions()) as virtual,
    ):
        for one, other in ((direct.pan, virtual.pan), (direct.ms, virtual.ms)):
            assert Storage.of(other).block_bytes >= Storage.of(one).block_bytes
            assert Storage.of(other).decoder_bytes >= Storage.of(one).decoder_bytes


def test_all_bands_of_a_file_count_in_whatever_order_they_are_taken(pixels: Pixels, tmp_path: Path):
    transform = pixels.ms_transform
    settings = {"interleave": "band", "photometric": "MINISBLACK"}
    pair, rest = (
        write_file(tmp_path / f"{name}.tif", bands, transform, **settings)
        for name, bands in (("pair", pixels.ms[:2]), ("rest", pixels.ms[2:]))
    )
    pan = write_file(tmp_path / "pan.tif", pixels.pan[None], TRANSFORM)
    sizes = []
    for names in (("blue", "green", "red", "nir"), ("blue", "red", "green", "nir")):
        with open_pair(
            pan, (pair, rest), SceneOptions(bands=names), ("blue", "green", "red", "nir")
        ) as scene:
            sizes.append((Storage.of(scene.ms).block_bytes, len(scene.ms.parts)))
    assert sizes[0][0] == sizes[1][0] and (sizes[0][1], sizes[1][1]) == (2, 4)


def test_tiles_of_jpeg_2000_are_found_in_the_code_stream(pixels: Pixels, tmp_path: Path):
    for block, expected in ((SIDE, (SIDE, SIDE)), (64, (64, 64))):
        writer = stored(".jp2", driver="JP2OpenJPEG", blockxsize=block, blockysize=block)
        assert tile_shape(writer(tmp_path, pixels).pan) == expected
    (tmp_path / "text").write_bytes(b"\xff\x4f\xff\x51\0")
    assert tile_shape(str(tmp_path / "text")) is None
    assert tile_shape(str(tmp_path / "missing")) is None
