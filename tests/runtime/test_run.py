"""From raw scene to product: the same pixels however it is cut, nothing half done under the final name."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.env import get_gdal_config, set_gdal_config
from raw_scenes import RawScene, SceneWriter, read_raster

from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import Window
from bnnpan_runtime.errors import BnnpanError, BudgetError, OutputError, SceneError
from bnnpan_runtime.product.journal import Identity
from bnnpan_runtime.product.mosaic import Order, open_mosaic
from bnnpan_runtime.product.tags import sha256_of
from bnnpan_runtime.scene import open_scene

PLENTY = "4GiB"
"""Budget where the test is not about it: the test process itself is large."""


def fused(raw: RawScene, bundle: Bundle, out: Path, **options: object) -> np.ndarray:
    fuse(raw.pan, raw.ms, bundle, out, memory=PLENTY, overwrite=True, **{"backend": "native", **options})
    return read_raster(out)


SCENES = {
    "even": {},
    "odd sides": {"height": 201, "width": 183},
    "uint8": {"dtype": "uint8"},
    "offset by part pixels": {"height": 150, "width": 131, "ms_shape": (50, 50), "offset": (1.5, 0.5)},
    "MS much larger": {"height": 150, "width": 130, "ms_shape": (70, 90), "offset": (60, 101)},
    "no georeferencing": {"georeferenced": False},
}


@pytest.mark.parametrize("kind", SCENES)
def test_tiled_equals_untiled_bit_for_bit(
    write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, kind: str
):
    raw = write_scene(**SCENES[kind])
    untiled = fused(raw, bundle, tmp_path / "whole.tif", tile=256)
    for tile in (16, 50, 64, 128):
        assert np.array_equal(fused(raw, bundle, tmp_path / "tiled.tif", tile=tile), untiled)
        assert sha256_of(tmp_path / "tiled.tif") == sha256_of(tmp_path / "whole.tif")


def test_threads_do_not_change_a_bit(write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
    raw = write_scene()
    one = fused(raw, bundle, tmp_path / "one.tif", tile=64)
    for threads in (2, 5):
        assert np.array_equal(fused(raw, bundle, tmp_path / "many.tif", tile=64, threads=threads), one)
        assert sha256_of(tmp_path / "one.tif") == sha256_of(tmp_path / "many.tif")


def test_tiled_equals_untiled_in_onnx_runtime(write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
    raw = write_scene(231, 190)
    untiled = fused(raw, bundle, tmp_path / "whole.tif", tile=256, backend="onnx")
    for tile, threads in ((72, 1), (100, 2), (128, 1)):
        tiled = fused(raw, bundle, tmp_path / "tiled.tif", tile=tile, threads=threads, backend="onnx")
        assert np.array_equal(tiled, untiled)


def test_the_product_keeps_everything_of_the_scene(write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
    raw = write_scene(300, 280, nodata=0)
    with rasterio.open(raw.ms, "r+") as ms:
        for index, role in enumerate(("blue", "green", "red", "nir"), 1):
            ms.set_band_description(index, role)
    report = fuse(raw.pan, raw.ms, bundle, tmp_path / "out.tif", memory=PLENTY)
    with rasterio.open(tmp_path / "out.tif") as product, rasterio.open(raw.pan) as pan:
        assert (product.shape, product.crs, product.transform) == (pan.shape, pan.crs, pan.transform)
        assert (product.count, set(product.dtypes), product.nodata) == (4, {"uint16"}, 0)
        assert product.descriptions == ("blue", "green", "red", "nir")
        assert (product.block_shapes[0], product.interleaving.value) == ((256, 256), "PIXEL")
        assert product.tags()["BNNPAN_BUNDLE"] == bundle.manifest.id
        assert product.tags()["BNNPAN_MANIFEST_SHA256"] == bundle.sha256
    assert report.product_sha256 == sha256_of(tmp_path / "out.tif")
    assert report.pan_pixels == 300 * 280
    assert json.loads(json.dumps(report.to_json()))["backend"] == report.backend


def test_bands_of_a_byte_scene_are_no_colours(write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
    fused(write_scene(dtype="uint8"), bundle, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as product:
        assert "alpha" not in [c.name for c in product.colorinterp]
        assert all((mask == 255).all() for mask in product.read_masks())


class TestNoData:
    def test_it_is_where_pan_or_the_ms_pixel_has_none(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
    ):
        def punch(pan: np.ndarray, ms: np.ndarray) -> None:
            pan[100:130, 7:40] = 0
            ms[:, 10:12, 20:22] = 0
            ms[2, 30, 30] = 0

        raw = write_scene(201, 180, nodata=0, change=punch)
        product = fused(raw, bundle, tmp_path / "out.tif", tile=64)
        expected = np.zeros((4, 201, 180), bool)
        expected[:, 100:130, 7:40] = True
        expected[:, 40:48, 80:88] = True
        expected[2, 120:124, 120:124] = True
        assert np.array_equal(product == 0, expected)
        assert np.array_equal(product, fused(raw, bundle, tmp_path / "out.tif", tile=256))

    def test_the_ms_pixel_is_the_one_the_pan_pixel_lies_in(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
    ):
        def punch(pan: np.ndarray, ms: np.ndarray) -> None:
            ms[:, 10, 20] = 0

        raw = write_scene(150, 150, ms_shape=(50, 50), offset=(1.5, 0.5), nodata=0, change=punch)
        rows, cols = np.nonzero(fused(raw, bundle, tmp_path / "out.tif", tile=64)[0] == 0)
        # PAN row r has its centre at r + 0.5 + 1.5 on the MS grid of 4: rows 38 .. 41 lie in 40 .. 44.
        assert (rows.min(), rows.max(), cols.min(), cols.max()) == (38, 41, 79, 82)

    @pytest.mark.parametrize("nodata", [0, 700, 65535])
    def test_a_measured_value_never_becomes_it(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, nodata: int
    ):
        def saturate(pan: np.ndarray, ms: np.ndarray) -> None:
            # Values that give NoData if nothing prevents it, without a single NoData pixel.
            if nodata == 700:
                pan[pan == 700] = 701
                ms[ms == 700] = 701
            else:
                ms[...] = 1 if nodata == 0 else 65534
                pan[...] = np.where(pan % 2, 1, 1500) if nodata == 0 else 65534

        raw = write_scene(nodata=nodata, change=saturate)
        bit_depth = 16 if nodata == 65535 else None
        assert not (fused(raw, bundle, tmp_path / "out.tif", bit_depth=bit_depth) == nodata).any()

    def test_tiles_without_a_measurement_are_skipped(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
    ):
        def blank(pan: np.ndarray, ms: np.ndarray) -> None:
            pan[:130] = 65535

        raw = write_scene(256, 256, nodata=65535, change=blank)
        report = fuse(raw.pan, raw.ms, bundle, tmp_path / "out.tif", memory=PLENTY, tile=64)
        assert report.skipped_tiles == 8
        product = read_raster(tmp_path / "out.tif")
        assert (product[:, :130] == 65535).all() and (product[:, 130:] != 65535).all()

    def test_a_scene_without_any_measurement_gives_a_product_without_any(
        self, write_scene: SceneWriter, depth_bundle: Bundle, tmp_path: Path
    ):
        def blank(pan: np.ndarray, ms: np.ndarray) -> None:
            pan[...] = 0

        raw = write_scene(nodata=0, change=blank)
        assert not fused(raw, depth_bundle, tmp_path / "out.tif").any()


class TestRefusals:
    """Whatever goes wrong, the final name holds what it held before and nothing else is left."""

    def left(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir() if path.name not in ("pan.tif", "ms.tif"))

    def test_an_existing_product(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        raw = write_scene()
        (tmp_path / "out.tif").write_text("precious")
        with pytest.raises(OutputError, match="exists"):
            fuse(raw.pan, raw.ms, bundle, tmp_path / "out.tif", memory=PLENTY)
        assert (tmp_path / "out.tif").read_text() == "precious"

    def test_a_device_is_no_product(self, write_scene: SceneWriter, bundle: Bundle):
        raw = write_scene()
        with pytest.raises(OutputError, match="device"):
            fuse(raw.pan, raw.ms, bundle, os.devnull, memory=PLENTY, overwrite=True)
        assert Path(os.devnull).is_char_device()

    def test_a_folder_whose_file_system_has_no_locks(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        def refuse(*arguments: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")  # as some network file systems say

        raw = write_scene()
        monkeypatch.setattr("fcntl.flock", refuse)
        with pytest.raises(OutputError, match="cannot be locked"):
            fuse(raw.pan, raw.ms, bundle, tmp_path / "out.tif", memory=PLENTY)

    def test_a_product_that_another_run_is_writing(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
    ):
        raw, out = write_scene(), tmp_path / "out.tif"
        with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
            order = Order(scene.product_format, {}, Identity(*[bytes(32)] * 3))
        with open_mosaic(out, order) as first:
            with pytest.raises(OutputError, match="another run"):
                fuse(raw.pan, raw.ms, bundle, out, memory=PLENTY)
            first.write(Window(0, 0, 200, 180), np.ones((4, 200, 180), np.uint16))
            first.close()
            first.commit()
            fuse(raw.pan, raw.ms, bundle, out, memory=PLENTY, overwrite=True)
            second = out.read_bytes()
        assert out.read_bytes() == second
        assert self.left(tmp_path) == ["out.tif"]

    def test_a_product_over_its_own_input(self, write_scene: SceneWriter, bundle: Bundle):
        raw = write_scene()
        with pytest.raises(OutputError, match="input of this run"):
            fuse(raw.pan, raw.ms, bundle, raw.pan, memory=PLENTY, overwrite=True)

    def test_a_folder_that_does_not_exist(self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path):
        raw = write_scene()
        with pytest.raises(OutputError, match="folder"):
            fuse(raw.pan, raw.ms, bundle, tmp_path / "no" / "out.tif", memory=PLENTY)

    @pytest.mark.parametrize(("memory", "word"), [("1MiB", "smallest that works"), ("lots", "lots")])
    def test_a_budget_that_cannot_be_kept(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, memory: str, word: str
    ):
        raw = write_scene()
        with pytest.raises(BudgetError, match=word):
            fuse(raw.pan, raw.ms, bundle, tmp_path / "out.tif", memory=memory)
        assert self.left(tmp_path) == []

    @pytest.mark.parametrize("truncated", ["pan", "ms"])
    def test_an_input_that_ends_too_early(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, truncated: str
    ):
        raw = write_scene(compress="deflate")
        path = getattr(raw, truncated)
        path.write_bytes(path.read_bytes()[:-3000])
        with pytest.raises(SceneError, match=f"{truncated}.tif"):
            fuse(raw.pan, raw.ms, bundle, tmp_path / "out.tif", memory=PLENTY)
        assert self.left(tmp_path) == []

    def test_an_interrupt_before_the_first_block_is_complete_leaves_nothing(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
    ):
        raw = write_scene()

        def interrupt(done: int, total: int) -> None:
            if done == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fuse(raw.pan, raw.ms, bundle, tmp_path / "out.tif", memory=PLENTY, tile=64, progress=interrupt)
        assert self.left(tmp_path) == []

    def test_every_failure_has_an_exit_code_of_its_own(self):
        kinds = BnnpanError.__subclasses__()
        assert len({kind.exit_code for kind in kinds}) == len(kinds)


def run_python(
    program: str, environment: dict[str, str], *arguments: object
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


KILLED = """
import os, signal, sys
from bnnpan_runtime import fuse

def die(done, total):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)

fuse(*sys.argv[1:5], memory="4GiB", tile=64, progress=die)
"""


def test_a_killed_run_leaves_no_product_and_the_next_one_is_complete(
    write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, subprocess_environment: dict[str, str]
):
    raw, out = write_scene(), tmp_path / "out.tif"
    killed = run_python(KILLED, subprocess_environment, raw.pan, raw.ms, bundle.path, out)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    fuse(raw.pan, raw.ms, bundle, out, memory=PLENTY, tile=64)
    clean = tmp_path / "clean.tif"
    fuse(raw.pan, raw.ms, bundle, clean, memory=PLENTY, tile=64)
    assert out.read_bytes() == clean.read_bytes()
    assert not list(tmp_path.glob(".*"))


FULL = """
import resource, sys
from bnnpan_runtime import fuse
from bnnpan_runtime.errors import OutputError

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[5]), int(sys.argv[5])))
try:
    fuse(*sys.argv[1:5], memory="4GiB", tile=64)
except OutputError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.mark.parametrize("limit_bytes", [4000, 100_000, 280_000])
def test_a_disk_that_fills_up_on_the_way_leaves_nothing(
    write_scene: SceneWriter,
    bundle: Bundle,
    tmp_path: Path,
    subprocess_environment: dict[str, str],
    limit_bytes: int,
):
    """The product takes 393 kB; a limit on the file size fails writes at the same places as a full disk."""
    raw, out = write_scene(), tmp_path / "out.tif"
    result = run_python(FULL, subprocess_environment, raw.pan, raw.ms, bundle.path, out, limit_bytes)
    assert result.returncode == 1, result.stderr
    last = result.stderr.splitlines()[-1]
    assert last.startswith("refused: ") and "full" in last
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ms.tif", "pan.tif"]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system: run as root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_without_room_is_refused_before_any_work(
    write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
):
    with small_disk(tmp_path / "small", "256k") as small:
        raw = write_scene()
        with pytest.raises(OutputError, match=r"256KiB|25\d.*KiB are free"):
            fuse(raw.pan, raw.ms, bundle, small / "out.tif", memory=PLENTY)
        assert list(small.iterdir()) == []


def test_the_rest_of_a_killed_run_takes_no_room_from_the_next(
    write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
):
    with small_disk(tmp_path / "small", "2m") as small:
        raw = write_scene()
        (small / ".out.tif.partial").write_bytes(bytes(1_500_000))
        fuse(raw.pan, raw.ms, bundle, small / "out.tif", memory=PLENTY)
        assert [path.name for path in small.iterdir()] == ["out.tif"]


def test_the_raster_cache_of_the_caller_is_as_it_was(
    write_scene: SceneWriter, bundle: Bundle, tmp_path: Path
):
    raw = write_scene()
    with rasterio.Env():
        set_gdal_config("GDAL_CACHEMAX", 77 * 2**20)
        inside = []
        fuse(
            raw.pan,
            raw.ms,
            bundle,
            tmp_path / "out.tif",
            memory=PLENTY,
            progress=lambda done, total: inside.append(get_gdal_config("GDAL_CACHEMAX")),
        )
        assert max(inside) <= 16 * 2**20
        assert get_gdal_config("GDAL_CACHEMAX") == 77 * 2**20
