"""The mask says of each pixel what it is from, whatever the tiles, and never of another product."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from raw_scenes import RawScene, SceneWriter, read_raster

from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import OutputError
from bnnpan_runtime.product.mask import PixelClass

PLENTY = "4GiB"
BRIGHT = 1700


@pytest.fixture
def raw(write_scene: SceneWriter, tmp_path: Path) -> RawScene:
    """A raw scene with gaps, and bright pixels that its camera saturates at."""

    def change(pan: np.ndarray, ms: np.ndarray) -> None:
        np.clip(pan, 1, BRIGHT - 100, out=pan)
        np.clip(ms, 1, BRIGHT - 100, out=ms)
        pan[20:30, 40:90] = BRIGHT + 5
        ms[2, 30:33, 10:12] = 2047
        pan[25:60, 80:85] = 0
        ms[1, 40, 40] = 0

    sections = ["[pan]", *["[[ms]]"] * 4]
    camera = "\n".join(["format = 1", *(f"{name}\nsaturation = {BRIGHT}" for name in sections)])
    (tmp_path / "camera.toml").write_text(camera)
    return write_scene(280, 270, nodata=0, change=change)


def expected(made_by: PixelClass) -> np.ndarray:
    classes = np.full((280, 270), made_by, np.uint8)
    classes[20:30, 40:90] = PixelClass.SATURATED
    classes[120:132, 40:48] = PixelClass.SATURATED
    classes[25:60, 80:85] = PixelClass.NODATA
    classes[160:164, 160:164] = PixelClass.NODATA
    return classes


@pytest.mark.parametrize(
    ("backend", "made_by"), [("native", PixelClass.NETWORK), ("classical", PixelClass.CLASSICAL)]
)
def test_classes_are_those_of_the_inputs_whatever_the_tiles(
    raw: RawScene, bundle: Bundle, tmp_path: Path, backend: str, made_by: PixelClass
):
    masks = []
    for tile, threads in ((100, 2), (512, 1)):
        out, mask = tmp_path / "out.tif", tmp_path / "mask.tif"
        report = fuse(
            raw.pan,
            raw.ms,
            bundle,
            out,
            memory=PLENTY,
            tile=tile,
            threads=threads,
            mask=mask,
            overwrite=True,
            backend=backend,
            radiometry=tmp_path / "camera.toml",
            register="off",
        )
        masks.append(mask.read_bytes())
        assert report.mask == str(mask)
    assert masks[0] == masks[1]
    assert np.array_equal(read_raster(mask)[0], expected(made_by))


def test_a_mask_lies_on_its_product_and_explains_itself(raw: RawScene, bundle: Bundle, tmp_path: Path):
    fuse(raw.pan, raw.ms, bundle, tmp_path / "out.tif", memory=PLENTY, mask=tmp_path / "mask.tif")
    with rasterio.open(tmp_path / "out.tif") as product, rasterio.open(tmp_path / "mask.tif") as mask:
        assert (mask.shape, mask.crs, mask.transform) == (product.shape, product.crs, product.transform)
        assert (mask.count, mask.dtypes, mask.block_shapes) == (1, ("uint8",), [(256, 256)])
        assert {int(name[6:]): text for name, text in mask.tags(1).items() if name.startswith("CLASS_")} == {
            int(one): one.meaning for one in PixelClass
        }
        assert {int(one): (*one.colour, 255) for one in PixelClass}.items() <= mask.colormap(1).items()
        assert mask.tags()["BNNPAN_BUNDLE"] == bundle.manifest.id


def test_without_nodata_no_pixel_is_without_data(write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
    raw, mask = write_scene(dtype="float32"), tmp_path / "mask.tif"
    fuse(raw.pan, raw.ms, bundle, tmp_path / "out.tif", memory=PLENTY, mask=mask, bit_depth=11)
    assert set(np.unique(read_raster(mask))) == {PixelClass.NETWORK}


class TestRefused:
    def test_a_mask_in_place_of_the_product_an_input_or_an_older_file(
        self, raw: RawScene, bundle: Bundle, tmp_path: Path
    ):
        older = tmp_path / "older.tif"
        older.write_bytes(b"precious")
        for mask, words in (
            (tmp_path / "out.tif", "product and mask"),
            (raw.pan, "input of this run"),
            (older, "exists"),
            (tmp_path / "no" / "mask.tif", "folder"),
        ):
            with pytest.raises(OutputError, match=words):
                fuse(raw.pan, raw.ms, bundle, tmp_path / "out.tif", memory=PLENTY, mask=mask)
        assert older.read_bytes() == b"precious" and not (tmp_path / "out.tif").exists()
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    "options",
    [
        ("--mask", "mask.tif"),
        ("--quality",),
        ("--mask", "mask.tif", "--min-hqnr", "0.95", "--deadline", "10m", "--threads", "2"),
    ],
    ids=["mask", "quality", "all"],
)
def test_the_smallest_budget_is_kept_with_everything_asked_for(
    write_scene: SceneWriter, tmp_path: Path, subprocess_environment: dict[str, str], options: tuple[str, ...]
):
    raw = write_scene(1024, 1024, tiled=True, compress="deflate", nodata=0)

    def bnnpan(*arguments: object) -> dict[str, int]:
        command = [sys.executable, "-m", "bnnpan_runtime", *map(str, arguments), *options, "--json"]
        command += ["--pan", str(raw.pan), "--ms", str(raw.ms)]
        result = subprocess.run(
            command, env=subprocess_environment, capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert result.stderr == ""
        return json.loads(result.stdout)

    smallest = bnnpan("plan", "--memory", "1GiB")["smallest_budget_bytes"]
    report = bnnpan("fuse", "--memory", smallest, "--out", tmp_path / "out.tif")
    assert report["measured_peak_bytes"] <= report["predicted_peak_bytes"] <= smallest
    assert report["predicted_peak_bytes"] < 1.15 * report["measured_peak_bytes"]
