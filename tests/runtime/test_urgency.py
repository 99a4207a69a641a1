"""A run that ends in time: what comes first, what it leaves, and how the rest is made."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import rasterio
from raw_scenes import RawScene, read_raster, write_raw_scene

from bnnpan_runtime import fuse
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import FuseReport, Window
from bnnpan_runtime.errors import OutputError, PartialError
from bnnpan_runtime.judging.gate import Judging
from bnnpan_runtime.product.mask import PixelClass
from bnnpan_runtime.telemetry import Recorder
from bnnpan_runtime.telemetry.emit import Happening, Record
from bnnpan_runtime.telemetry.table import DEADLINE_REACHED, PRODUCT_COMMITTED, TILE_DONE
from bnnpan_runtime.urgency.deadline import Deadline, Urgency, parse_seconds

JUDGED = Judging(min_hqnr=0.991)


@dataclass(frozen=True)
class Scene:
    """A scene of nine blocks with clouds on the left and a gap on the right, and its complete product."""

    raw: RawScene
    product: bytes = field(repr=False)
    mask: bytes = field(repr=False)


@dataclass
class Run:
    """Runs for one product, and what they tell."""

    scene: Scene
    bundle: Bundle
    out: Path
    records: list[Record] = field(default_factory=list)

    @property
    def mask(self) -> Path:
        return self.out.with_suffix(".mask.tif")

    def __call__(self, urgency: Urgency = Urgency(), **options: object) -> FuseReport:  # noqa: B008
        self.records.clear()
        return fuse(
            self.scene.raw.pan,
            self.scene.raw.ms,
            self.bundle,
            self.out,
            **{
                "memory": "4GiB",
                "tile": 256,
                "mask": self.mask,
                "judging": JUDGED,
                "urgency": urgency,
                "telemetry": Recorder(self.records.append),
                **options,
            },
        )

    def after(self, tiles: int, **options: object) -> FuseReport:
        """Run out of time when so many tiles are done."""
        # One look when it starts, two when tiles begin, one before each tile.
        looks = iter([*[0.0] * (3 + tiles), *[1e9] * 100])
        return self(Urgency(1e6, clock=lambda: next(looks)), **options)

    def told(self, event: object) -> list[Happening]:
        return [one for one in self.records if isinstance(one, Happening) and one.event is event]


@pytest.fixture(scope="module")
def scene(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    def cover(pan: np.ndarray, ms: np.ndarray) -> None:
        ms[:, :128, :64] = 2040
        ms[:, 64:128, 128:] = 0

    folder = tmp_path_factory.mktemp("scene")
    raw = write_raw_scene(folder, 700, 690, nodata=0, change=cover)
    run = Run(Scene(raw, b"", b""), bundle, folder / "whole.tif")
    quality = run().quality
    assert quality is not None and 0 < quality.blocks_fell_back < quality.blocks, quality
    return Scene(raw, run.out.read_bytes(), run.mask.read_bytes())


@pytest.fixture
def run(scene: Scene, bundle: Bundle, tmp_path: Path) -> Iterator[Run]:
    yield Run(scene, bundle, tmp_path / "out.tif")


class TestPartial:
    def test_it_is_valid_and_says_what_is_missing(self, run: Run, scene: Scene):
        report = run.after(3)
        assert (report.missing_tiles, report.resumed_tiles) == (6, 0)
        classes, pixels = read_raster(run.mask)[0], read_raster(run.out)
        missing = classes == PixelClass.MISSING
        assert report.missing_pixels == missing.sum() > 0
        assert not pixels[:, missing].any()  # NoData
        with rasterio.open(run.out) as product:
            assert product.tags()["BNNPAN_MISSING"] == f"{report.missing_pixels} of {700 * 690} pixels"
        assert "missing" in json.dumps(report.to_json())
        [event] = run.told(DEADLINE_REACHED)
        assert (event.values["tiles_done"], event.values["tiles_missing"]) == (3, 6)
        assert run.told(PRODUCT_COMMITTED) == []

    def test_what_is_there_is_what_the_whole_product_has(self, run: Run, scene: Scene, tmp_path: Path):
        run.after(4)
        whole, whole_mask = tmp_path / "w.tif", tmp_path / "wm.tif"
        whole.write_bytes(scene.product)
        whole_mask.write_bytes(scene.mask)
        there = read_raster(run.mask)[0] != PixelClass.MISSING
        assert np.array_equal(read_raster(run.out)[:, there], read_raster(whole)[:, there])
        assert np.array_equal(read_raster(run.mask)[0][there], read_raster(whole_mask)[0][there])

    @pytest.mark.parametrize("again", [{}, {"tile": 100}, {"tile": 1024, "threads": 2}])
    def test_the_same_command_without_a_deadline_completes_it(
        self, run: Run, scene: Scene, again: dict[str, int]
    ):
        run.after(4)
        report = run(**again)
        assert report.missing_tiles == 0 and (report.resumed_tiles > 0 or again.get("tile") == 1024)
        assert (run.out.read_bytes(), run.mask.read_bytes()) == (scene.product, scene.mask)
        assert sorted(path.name for path in run.out.parent.iterdir()) == ["out.mask.tif", "out.tif"]

    def test_deadline_after_deadline_it_grows(self, run: Run, scene: Scene):
        missing = [run.after(tiles).missing_tiles for tiles in (0, 2, 3, 3, 3)]
        assert missing == [9, 7, 4, 1, 0]
        assert (run.out.read_bytes(), run.mask.read_bytes()) == (scene.product, scene.mask)

    def test_blocks_that_tiles_have_only_begun_are_taken_back(self, run: Run, scene: Scene):
        partial = run.after(11, tile=100)
        classes = read_raster(run.mask)[0]
        blocks = [classes[row : row + 256, col : col + 256] for row in (0, 256, 512) for col in (0, 256, 512)]
        assert all((block == 0).all() or (block != 0).all() for block in blocks)
        assert not read_raster(run.out)[:, classes == 0].any()
        assert partial.missing_pixels == (classes == 0).sum()
        run()
        assert (run.out.read_bytes(), run.mask.read_bytes()) == (scene.product, scene.mask)

    def test_another_command_neither_replaces_nor_forgets_it(self, run: Run, scene: Scene):
        run.after(4)
        partial = run.out.read_bytes()
        with pytest.raises(OutputError, match="exists"):
            run(judging=Judging())
        assert run.out.read_bytes() == partial
        run()
        assert run.out.read_bytes() == scene.product

    def test_an_interrupted_completion_is_completed_later(self, run: Run, scene: Scene):
        def interrupt(done: int, total: int) -> None:
            if done == 6:
                raise KeyboardInterrupt

        run.after(4)
        with pytest.raises(KeyboardInterrupt):
            run(progress=interrupt)
        assert not run.out.exists() and not run.mask.exists()
        run()
        assert (run.out.read_bytes(), run.mask.read_bytes()) == (scene.product, scene.mask)


class TestOrder:
    def first(self, run: Run, **urgent: object) -> list[tuple[int, int]]:
        """Where the tiles lie, in the order they were done."""
        run(Urgency(1e6, **urgent), overwrite=True)
        return [(int(one.values["row"]), int(one.values["col"])) for one in run.told(TILE_DONE)]

    def test_clouds_come_late(self, run: Run, scene: Scene):
        done = self.first(run)
        clouded = [done.index(place) for place in ((0, 0), (256, 0))]
        assert min(clouded) >= 5
        assert run.out.read_bytes() == scene.product

    def test_what_is_asked_for_comes_first(self, run: Run, scene: Scene):
        assert self.first(run, window=Window(300, 10, 60, 60))[0] == (256, 0)
        # 0.5 m a pixel from 600000 E, 5000000 N.
        assert self.first(run, extent=(600260, 4999650, 600300, 4999700))[0] == (512, 512)
        assert run.out.read_bytes() == scene.product


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("2m", 120), ("1.5h", 5400), ("2min", 120), (7, 7), ("0.5", 0.5)]
)
def test_times_as_people_write_them(text: str | float, seconds: float):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "0", "0s", "1d", "1 2", "nan", "1e3"])
def test_other_texts_are_no_times(text: str):
    with pytest.raises(ValueError, match="write it like"):
        parse_seconds(text)


def test_time_to_end_is_kept_by_what_was_measured(tmp_path: Path):
    class Product:
        written = tmp_path / "product"
        unrecorded_bytes = 0
        slowest_checkpoint_seconds = 3.0

    Product.written.write_bytes(bytes(4 << 20))
    times = iter([0.0, 0.0, 1.0, 10.0, 12.0, 86.0])  # 1 s to hash 2 MiB: 3 s for the file with caution
    deadline = Deadline(Urgency(100.0, clock=lambda: next(times)))
    deadline.tiles_begin(Product())
    assert deadline.ending_seconds(Product()) == 1.5 * 2 + 2 * 3
    assert not deadline.has_come(Product()) and not deadline.has_come(Product())
    # 86 s, and the next tile may take the 74 s of the slowest one.
    assert deadline.has_come(Product())


def test_in_real_time_from_the_command_line(
    scene: Scene, tmp_path: Path, subprocess_environment: dict[str, str]
):
    out = tmp_path / "out.tif"
    line = [sys.executable, "-m", "bnnpan_runtime", "fuse", "--json", "--memory", "2GiB", "--out", str(out)]
    line += ["--pan", str(scene.raw.pan), "--ms", str(scene.raw.ms), "--mask", str(tmp_path / "mask.tif")]

    def call(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*line, *options], env=subprocess_environment, capture_output=True, text=True, timeout=300
        )

    cut = call("--deadline", "0.01s", "--priority-window", "10,10,20,20")
    assert cut.returncode == PartialError.exit_code == 12
    report = json.loads(cut.stdout)
    assert report["missing_pixels"] == 700 * 690 and "without --deadline" in cut.stderr
    whole = call("--deadline", "10m")
    assert whole.returncode == 0, whole.stderr
    assert json.loads(whole.stdout)["missing_tiles"] == 0
