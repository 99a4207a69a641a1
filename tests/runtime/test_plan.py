"""The plan promises a peak before anything is allocated, and the run keeps it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from raw_scenes import SceneWriter

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import Plan
from bnnpan_runtime.errors import BackendError, BudgetError
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.memory import MIB, allocate, format_size, parse_size
from bnnpan_runtime.planning import TILES, plan
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene import Scene, open_scene
from bnnpan_runtime.worker import Bench, Slot, tile_layout

PLENTY = 4 * 2**30


@pytest.mark.parametrize(
    ("text", "size"),
    [("96MiB", 96 * MIB), ("1.5GiB", 1536 * MIB), ("64m", 64 * MIB), ("4096", 4096), (77, 77)],
)
def test_sizes_are_read_in_binary_units(text: str | int, size: int):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "12 parsecs", "-3MiB", "0", "1e9"])
def test_other_texts_are_no_sizes(text: str):
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(("size", "text"), [(96 * MIB, "96MiB"), (3 * 2**29, "1.5GiB"), (700, "700B")])
def test_sizes_are_shown_in_binary_units(size: int, text: str):
    assert format_size(size) == text


class TestPlanning:
    @pytest.fixture
    def scene(self, write_scene: SceneWriter, bundle: Bundle):
        raw = write_scene(700, 900)
        with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
            yield scene

    def planned(
        self,
        scene: Scene,
        bundle: Bundle,
        budget_bytes: int = PLENTY,
        threads: int = 1,
        tile: int | None = None,
    ) -> Plan:
        return plan(scene, bundle.manifest, open_backend("native", bundle), budget_bytes, threads, tile)

    def test_the_terms_add_up_to_the_predicted_peak(self, scene: Scene, bundle: Bundle):
        decided = self.planned(scene, bundle)
        assert sum(decided.terms.values()) == decided.predicted_peak_bytes
        assert json.loads(json.dumps(decided.to_json()))["tile"] == decided.tile

    def test_a_larger_budget_never_gives_a_smaller_tile(self, scene: Scene, bundle: Bundle):
        smallest = self.planned(scene, bundle).smallest_budget_bytes
        chosen = [self.planned(scene, bundle, smallest + extra * MIB).tile for extra in (0, 4, 8, 16, 32, 64)]
        assert chosen == sorted(chosen)
        assert len(set(chosen)) > 1
        assert set(chosen) <= set(TILES)

    def test_every_plan_keeps_its_budget(self, scene: Scene, bundle: Bundle):
        smallest = self.planned(scene, bundle).smallest_budget_bytes
        for extra in (0, 3, 10, 50):
            decided = self.planned(scene, bundle, smallest + extra * MIB, threads=2)
            assert decided.predicted_peak_bytes <= decided.budget_bytes

    def test_more_threads_take_more_memory(self, scene: Scene, bundle: Bundle):
        one, three = (self.planned(scene, bundle, threads=threads, tile=256) for threads in (1, 3))
        assert three.terms["engines"] == 3 * one.terms["engines"]
        assert three.predicted_peak_bytes > one.predicted_peak_bytes

    def test_too_small_a_budget_is_refused_with_the_smallest_that_works(self, scene: Scene, bundle: Bundle):
        smallest = self.planned(scene, bundle).smallest_budget_bytes
        with pytest.raises(BudgetError, match=r"smallest that works is \d+(\.\d)?[MG]iB"):
            self.planned(scene, bundle, smallest // 2)
        # The room added for a process that starts a little larger may allow a larger tile.
        assert self.planned(scene, bundle, smallest).tile in TILES[-3:]

    @pytest.mark.parametrize("tile", [15, 14, 0, -64])
    def test_a_tile_that_cannot_be_is_refused(self, scene: Scene, bundle: Bundle, tile: int):
        with pytest.raises(BackendError, match="even"):
            self.planned(scene, bundle, tile=tile)


@pytest.mark.parametrize("tile", [16, 100, 256])
@pytest.mark.parametrize("nodata", [None, 0])
@pytest.mark.parametrize(("backend", "shrinks_pan"), [("native", False), ("native", True), ("onnx", True)])
def test_buffers_take_what_was_counted(
    write_scene: SceneWriter, bundle: Bundle, tile: int, nodata: int | None, backend: str, shrinks_pan: bool
):
    raw = write_scene(nodata=nodata)
    with open_scene(raw.pan, raw.ms, bundle.manifest) as scene:
        resampler, engine = Resampler(scene.grid, "centred"), open_backend(backend, bundle)
        layout = tile_layout(scene, resampler, engine, tile, 12, shrinks_pan)
        bench = Bench(layout, scene, resampler, engine)
        for counted, owner in ((layout.slot_bytes, Slot(layout)), (layout.bench_bytes, bench)):
            held = sum(-(-array.nbytes // 4096) * 4096 for array in _buffers(owner))
            assert 0 < held <= counted + 4096


def _buffers(owner: Any) -> list[NDArray[Any]]:
    """Arrays that an object holds in mappings of its own, in parts of it or by name."""
    found: dict[int, NDArray[Any]] = {}
    values = list(vars(owner).values())
    while values:
        value = values.pop()
        if isinstance(value, np.ndarray) and value.base is not None:
            found[id(value.base)] = value
        elif isinstance(value, dict):
            values.extend(value.values())
        elif type(value).__name__.endswith(("Engine", "ShrinkBench")):
            values.extend(vars(value).values())
    return list(found.values())


def test_buffers_go_back_to_the_system(subprocess_environment: dict[str, str]):
    program = """
from bnnpan_runtime.memory import MIB, allocate, peak_bytes, reset_peak, resident_bytes
import numpy as np
np.zeros(5 * MIB, np.uint8).fill(1)
before = resident_bytes()
for _ in range(5):
    buffer = allocate((20 * MIB,), np.uint8)
    buffer.fill(1)
    assert resident_bytes() > before + 19 * MIB
    del buffer
    assert resident_bytes() < before + MIB
"""
    subprocess.run([sys.executable, "-c", program], env=subprocess_environment, check=True)


def test_buffers_are_zeroed_and_writeable():
    buffer = allocate((3, 5), "uint16")
    assert buffer.shape == (3, 5) and not buffer.any()
    buffer[...] = 7
    assert buffer.sum() == 105
    assert allocate((0,), "uint8").size == 0


MEASURED = """
import json, sys
from bnnpan_runtime import fuse
from bnnpan_runtime.errors import BudgetError

pan, ms, bundle, out, memory, backend, threads = sys.argv[1:]
try:
    report = fuse(pan, ms, bundle, out, memory=memory, backend=backend, threads=int(threads), overwrite=True)
except BudgetError as error:
    sys.exit(str(error))
print(json.dumps(report.to_json()))
"""


class TestMeasured:
    """In processes of their own: the budget is that of the whole process."""

    def run(self, environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", MEASURED, *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)

    @pytest.mark.parametrize(
        ("memory", "threads", "compress", "units"),
        [
            ("96MiB", 1, "none", "bit_depth"),
            ("112MiB", 2, "deflate", "bit_depth"),
            ("192MiB", 1, "deflate", "bit_depth"),
            ("98MiB", 1, "none", "scene"),
            ("114MiB", 2, "deflate", "scene"),
            ("192MiB", 1, "deflate", "scene"),
        ],
    )
    def test_the_peak_is_at_most_predicted_and_the_prediction_is_close(
        self,
        write_scene: SceneWriter,
        bundle: Bundle,
        scene_bundle: Bundle,
        tmp_path: Path,
        subprocess_environment: dict[str, str],
        memory: str,
        threads: int,
        compress: str,
        units: str,
    ):
        raw = write_scene(1024, 1024, compress=compress, tiled=True)
        fed = scene_bundle if units == "scene" else bundle
        arguments = (raw.pan, raw.ms, fed.path, tmp_path / "out.tif", memory, "native", threads)
        result = self.run(subprocess_environment, *arguments)
        assert result.returncode == 0, result.stderr
        report = json.loads(result.stdout)
        measured, predicted = report["measured_peak_bytes"], report["predicted_peak_bytes"]
        assert measured <= predicted <= report["budget_bytes"] == parse_size(memory)
        assert predicted < 1.1 * measured
        assert result.stderr == ""

    def test_the_smallest_budget_named_in_a_refusal_works(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, subprocess_environment: dict[str, str]
    ):
        raw = write_scene(1024, 1024)
        scene = (raw.pan, raw.ms, bundle.path, tmp_path / "out.tif")
        refused = self.run(subprocess_environment, *scene, "30MiB", "native", 1)
        assert refused.returncode == 1
        named = refused.stderr.split("smallest that works is ")[1].split()[0]
        result = self.run(subprocess_environment, *scene, named, "native", 1)
        assert result.returncode == 0, result.stderr
        report = json.loads(result.stdout)
        assert report["measured_peak_bytes"] <= report["predicted_peak_bytes"] <= parse_size(named)

    def test_the_peak_in_onnx_runtime_is_at_most_predicted(
        self,
        write_scene: SceneWriter,
        bundle: Bundle,
        tmp_path: Path,
        subprocess_environment: dict[str, str],
    ):
        raw = write_scene(600, 600)
        arguments = (raw.pan, raw.ms, bundle.path, tmp_path / "out.tif", "400MiB", "onnx", 1)
        result = self.run(subprocess_environment, *arguments)
        assert result.returncode == 0, result.stderr
        report = json.loads(result.stdout)
        assert report["measured_peak_bytes"] <= report["predicted_peak_bytes"] <= 400 * MIB

    def test_a_preview_keeps_the_smallest_budget(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, subprocess_environment: dict[str, str]
    ):
        raw = write_scene(1024, 1024, tiled=True)
        scene = ("--pan", raw.pan, "--ms", raw.ms, "--json", "--memory")

        def bnnpan(*arguments: object) -> dict[str, int]:
            command = [sys.executable, "-m", "bnnpan_runtime", *map(str, arguments)]
            result = subprocess.run(
                command, env=subprocess_environment, capture_output=True, text=True, check=True
            )
            return json.loads(result.stdout)

        smallest = bnnpan("plan", *scene, "1GiB")["smallest_budget_bytes"]
        preview = ("--out", tmp_path / "out.tif", "--preview", tmp_path / "out.png")
        assert bnnpan("fuse", *scene, smallest, *preview)["measured_peak_bytes"] <= smallest

    def test_blocks_as_large_as_the_raster_are_counted(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, subprocess_environment: dict[str, str]
    ):
        raw = write_scene(2048, 2048, compress="deflate", blockysize=2048)
        scene = (raw.pan, raw.ms, bundle.path, tmp_path / "out.tif")
        refused = self.run(subprocess_environment, *scene, "30MiB", "native", 1)
        smallest = refused.stderr.split("smallest that works is ")[1].split()[0]
        for memory in (smallest, "200MiB"):
            result = self.run(subprocess_environment, *scene, memory, "native", 1)
            report = json.loads(result.stdout)
            assert report["measured_peak_bytes"] <= report["predicted_peak_bytes"]

    def test_the_peak_does_not_grow_with_the_scene(
        self, write_scene: SceneWriter, bundle: Bundle, tmp_path: Path, subprocess_environment: dict[str, str]
    ):
        peaks = []
        for height in (1024, 4096):
            raw = write_scene(height, 1024, tiled=True)
            arguments = (raw.pan, raw.ms, bundle.path, tmp_path / "out.tif", "100MiB", "native", 1)
            peaks.append(
                json.loads(self.run(subprocess_environment, *arguments).stdout)["measured_peak_bytes"]
            )
        assert peaks[1] < peaks[0] + 8 * MIB
