"""Bits flipped in the memory of a running process: found, repaired, and never in the product."""

from __future__ import annotations

import ctypes
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from raw_scenes import RawScene, SceneWriter

from bnnpan_runtime import fuse
from bnnpan_runtime import guard as guards
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.calibrate import SceneConstants
from bnnpan_runtime.contract import Plan
from bnnpan_runtime.errors import VerificationError
from bnnpan_runtime.graph.native import NativeBackend
from bnnpan_runtime.grid import Grid
from bnnpan_runtime.guard import Protection, self_test_interval
from bnnpan_runtime.redundancy import agreed
from bnnpan_runtime.resample import Resampler
from bnnpan_runtime.scene_units import SceneUnits
from bnnpan_runtime.scrub import Region, Scrubber, regions_of
from bnnpan_runtime.telemetry import SILENT, Happening, Record, Recorder
from bnnpan_runtime.worker import Bench, Slot

PLENTY = "4GiB"
"""Budget where the test is not about it: the test process itself is large."""

HEAD_OF_MODEL = 1024
"""Bytes with the model's addresses and sizes, where a flip can end the process before it is found."""

FLOATS_OF_MODEL = 100_000
"""Bytes of parameters that follow them."""


def flip(address: int, bit: int) -> None:
    """Flip a bit, counted from the lowest of the byte at an address of this process."""
    byte = ctypes.c_ubyte.from_address(address + bit // 8)
    byte.value ^= 1 << bit % 8


def spoil(engine: NativeBackend, bundle: Bundle) -> None:
    """Flip an exponent of the network's last layer, which every pixel of a band sees."""
    where = bytes(engine.prepared()).find(bundle.weights()["tail.bias"].tobytes())
    assert where > 0
    flip(engine.model + where, 29)


@dataclass
class Run:
    """What a run is made of, caught on its way, and what it told."""

    parts: dict[str, Any] = field(default_factory=dict)
    told: list[Record] = field(default_factory=list)
    at_tile: Callable[[int], None] = lambda tile: None

    def __call__(self, record: Record) -> None:
        self.told.append(record)
        if isinstance(record, Happening) and record.event.name == "tile_done":
            self.at_tile(int(record.values["tile"]))

    def events(self, name: str) -> list[dict[str, object]]:
        return [dict(r.values) for r in self.told if isinstance(r, Happening) and r.event.name == name]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    caught = Run()

    def watching(
        engine: object, bundle: Bundle | None, constants: SceneConstants, resampler: Resampler
    ) -> list[Region]:
        caught.parts = {"engine": engine, "constants": constants, "resampler": resampler}
        return regions_of(engine, bundle, constants, resampler)

    monkeypatch.setattr(guards, "regions_of", watching)
    return caught


@pytest.fixture
def raw(write_scene: SceneWriter) -> RawScene:
    return write_scene(256, 192)


def made(raw: RawScene, bundle: Bundle, out: Path, run: Run | None = None, **options: Any) -> str:
    """SHA-256 of a product in tiles of 64, twelve of them."""
    options = {"backend": "native", "register": "off", "tile": 64, "overwrite": True, **options}
    telemetry = SILENT if run is None else Recorder(run)
    return fuse(raw.pan, raw.ms, bundle, out, memory=PLENTY, telemetry=telemetry, **options).product_sha256


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> NativeBackend:
    return NativeBackend(bundle.weights(), bundle.manifest.network)


def constants_of(bundle: Bundle) -> SceneConstants:
    network = bundle.manifest.network
    units = [float(f"{value}.25") for value in range(6)]  # values of their own, not shared with anybody
    of_bands = [tuple(float(f"{value}.5") for value in range(network.bands)) for _ in range(3)]
    affines = np.arange(network.blocks * 2 * network.channels, dtype=np.float32)
    return SceneConstants(SceneUnits(units[0], units[1], *of_bands), affines)


def test_every_flip_in_the_prepared_network_is_found(bundle: Bundle, engine: NativeBackend):
    scrubber = Scrubber(regions_of(engine, bundle, constants_of(bundle), Resampler(Grid(4), "centred")))
    assert scrubber.check()
    bits = 8 * len(engine.prepared())
    places = random.Random(5).sample(range(bits), 1500)
    [network] = [region for region in scrubber._regions if region.name == "prepared network"]
    sound = network.checksum()
    for place in places:
        flip(engine.model, place)
        assert network.checksum() != sound
        flip(engine.model, place)
    assert scrubber.check() and scrubber.generation == 0


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_network_is_prepared_again_from_its_file(bundle: Bundle, engine: NativeBackend, seed: int):
    resampler = Resampler(Grid(4), "centred")
    scrubber = Scrubber(regions_of(engine, bundle, constants_of(bundle), resampler))
    draw = random.Random(seed).random
    pan, lms = (np.random.default_rng(1).random((n, 64, 64), np.float32) for n in (1, 4))
    arena = np.empty(engine.memory(64, 64).arena_bytes, np.uint8)
    network = bundle.manifest.network
    affines = np.ones((network.blocks, 2, network.channels), np.float32)
    sound, repaired = np.empty_like(lms), np.empty_like(lms)
    engine.fuse(pan, lms, affines, sound, arena)
    flip(engine.model, int(draw() * 8 * len(engine.prepared())))
    assert not scrubber.check() and scrubber.generation == 1
    assert scrubber.check()
    engine.fuse(pan, lms, affines, repaired, arena)
    assert np.array_equal(sound, repaired)


@pytest.mark.parametrize("part", ["affines", "rows", "cols", "units"])
def test_constants_are_restored_from_their_copy(bundle: Bundle, part: str):
    constants, resampler = constants_of(bundle), Resampler(Grid(4, 1.5, 0.5), "centred")
    arrays = {
        "affines": constants.affines,
        "rows": resampler.row_taps.weights,
        "cols": resampler.col_taps.weights,
    }
    before = {name: array.copy() for name, array in arrays.items()}
    units = replace(constants.units, pan_scale=constants.units.pan_scale)
    scrubber = Scrubber(regions_of(object(), None, constants, resampler))
    for seed in range(40):
        if part == "units":
            flip(id(constants.units.pan_scale) + 16, seed)  # CPython keeps the double there
        else:
            flip(arrays[part].ctypes.data, random.Random(seed).randrange(8 * arrays[part].nbytes))
        assert not scrubber.check() and scrubber.check()
        assert all(np.array_equal(arrays[name], before[name]) for name in arrays)
        assert vars(constants.units)["ms_offset"] == units.ms_offset
        assert constants.units.pan_scale == float("1.25")


def test_a_flip_between_tiles_never_reaches_the_product(
    raw: RawScene, bundle: Bundle, tmp_path: Path, run: Run
):
    clean = made(raw, bundle, tmp_path / "clean.tif")

    def hit(tile: int) -> None:
        if tile == 2:
            spoil(run.parts["engine"], bundle)
        if tile == 5:
            flip(run.parts["constants"].affines.ctypes.data, 30)
        if tile == 8:
            flip(run.parts["resampler"].row_taps.weights.ctypes.data + 40, 23)

    run.at_tile = hit
    for threads in (1, 3):
        run.told.clear()
        assert made(raw, bundle, tmp_path / "hit.tif", run, threads=threads) == clean
        damaged = [event["region"] for event in run.events("memory_damaged")]
        assert damaged == ["prepared network", "affines of the scene", "taps along rows"]
        assert [event["region"] for event in run.events("memory_repaired")] == damaged
        assert len(run.events("tile_redone")) >= 3
    run.told.clear()
    assert made(raw, bundle, tmp_path / "unguarded.tif", run, protection=Protection(scrub=False)) != clean


def test_flips_from_outside_at_any_time_never_reach_the_product(
    raw: RawScene, bundle: Bundle, tmp_path: Path, run: Run
):
    clean = made(raw, bundle, tmp_path / "clean.tif")
    stop, hits = threading.Event(), 0
    draw = random.Random(7)

    def rain() -> None:
        """Through /proc/self/mem, as from another process, while tiles are computed."""
        nonlocal hits
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            while not stop.wait(draw.uniform(0.2, 0.4)):
                if run.events("tile_done"):
                    memory.seek(run.parts["engine"].model + HEAD_OF_MODEL + draw.randrange(FLOATS_OF_MODEL))
                    byte = memory.read(1)[0] ^ 1 << draw.randrange(8)
                    memory.seek(-1, 1)
                    memory.write(bytes([byte]))
                    hits += 1

    storm = threading.Thread(target=rain)
    run.at_tile = lambda tile: time.sleep(0.15)  # as on a slower computer
    storm.start()
    try:
        assert made(raw, bundle, tmp_path / "hit.tif", run, threads=2) == clean
    finally:
        stop.set()
        storm.join()
    assert hits >= 3
    assert len(run.events("memory_damaged")) >= 2
    assert len(run.events("memory_repaired")) == len(run.events("memory_damaged"))


def test_what_cannot_be_repaired_stops_the_run(raw: RawScene, bundle: Bundle, tmp_path: Path, run: Run):
    path = tmp_path / "own.bnnpan"
    shutil.copy(bundle.path, path)

    def hit(tile: int) -> None:
        if tile == 4:
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
            flip(run.parts["engine"].model, 8 * HEAD_OF_MODEL + 3)

    run.at_tile = hit
    with pytest.raises(VerificationError, match=r"prepared network has changed .* from own.bnnpan"):
        made(raw, Bundle.open(path), tmp_path / "out.tif", run)
    assert not (tmp_path / "out.tif").exists()
    assert [event["exit_code"] for event in run.events("failed")] == [8]
    assert [event["tile"] for event in run.events("tile_unreliable")] == [5]
    assert max(event["tile"] for event in run.events("tile_done")) == 4


@pytest.fixture
def last_byte_of_code(engine: NativeBackend) -> Iterator[Callable[[], None]]:
    """Flips a bit behind the library's last constants, where nobody reads; mended afterwards."""
    segment = engine.code()[-1]
    address = ctypes.addressof(segment.obj) + len(segment) - 1

    def write(value: int) -> None:
        with open("/proc/self/mem", "r+b", buffering=0) as memory:  # past the page's protection
            memory.seek(address)
            memory.write(bytes([value]))

    before = segment[-1]
    yield lambda: write(before ^ 0x10)
    write(before)


def test_damage_before_the_first_tile_stops_the_run(
    raw: RawScene, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The scene's constants were computed with that network."""
    whole, calls = NativeBackend.calibrate, 0

    def hit(self: NativeBackend, *patches: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:  # the first is the self-test's
            flip(self.model, 8 * HEAD_OF_MODEL + 3)
        return whole(self, *patches)

    monkeypatch.setattr(NativeBackend, "calibrate", hit)
    with pytest.raises(VerificationError, match="before the first tile"):
        made(raw, bundle, tmp_path / "out.tif")


def test_damaged_code_stops_the_run(
    raw: RawScene, bundle: Bundle, tmp_path: Path, run: Run, last_byte_of_code: Callable[[], None]
):
    run.at_tile = lambda tile: last_byte_of_code() if tile == 1 else None
    with pytest.raises(VerificationError, match="code of libbnnpan has changed in memory"):
        made(raw, bundle, tmp_path / "out.tif", run)


def test_memory_that_fails_again_and_again_is_broken(bundle: Bundle):
    constants = constants_of(bundle)
    scrubber = Scrubber(regions_of(object(), None, constants, Resampler(Grid(4), "centred")))

    def again() -> int:
        flip(constants.affines.ctypes.data, 7)
        return scrubber.generation

    flip(constants.affines.ctypes.data, 7)
    with pytest.raises(
        VerificationError, match="tile 3 is not in the product: memory is damaged again after 8"
    ):
        scrubber.vouch(3, 0, again)


def test_three_results_are_put_to_the_vote():
    told = Run()

    def vote(*results: int) -> int:
        left = iter(results)
        pixels = np.zeros(4, np.uint16)

        def compute() -> np.ndarray:
            pixels[:] = next(left)
            return pixels

        agreed(compute, 9, Recorder(told))
        return int(pixels[0])

    assert vote(5, 5) == vote(5, 7, 5) == vote(7, 5, 5) == 5
    assert told.events("results_differ") == [{"tile": 9}] * 2
    with pytest.raises(VerificationError, match="tile 9: three computations gave three results"):
        vote(1, 2, 3)


def test_a_fault_that_leaves_no_trace_is_outvoted(
    raw: RawScene, bundle: Bundle, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    clean = made(raw, bundle, tmp_path / "clean.tif")
    whole, calls = Bench.fuse, 0

    def faulty(self: Bench, slot: Slot, constants: SceneConstants) -> Slot:
        nonlocal calls
        calls += 1
        done = whole(self, slot, constants)
        if calls % 5 == 1:
            flip(done.product.ctypes.data, 8 * calls)
        return done

    monkeypatch.setattr(Bench, "fuse", faulty)
    assert made(raw, bundle, tmp_path / "hit.tif", run, protection=Protection(redundant=True)) == clean
    assert len(run.events("results_differ")) >= 4 and calls >= 28
    assert made(raw, bundle, tmp_path / "single.tif") != clean


def test_a_self_test_on_the_way_finds_what_nothing_else_watches(
    raw: RawScene, bundle: Bundle, tmp_path: Path, run: Run
):
    def hit(tile: int) -> None:
        if tile == 6:
            spoil(run.parts["engine"], bundle)

    run.at_tile = hit
    with pytest.raises(VerificationError, match=r"self-test fails after 9 tiles .* tiles 6 to 8"):
        made(raw, bundle, tmp_path / "out.tif", run, protection=Protection(scrub=False, self_test_every=3))
    assert [event["tiles_done"] for event in run.events("self_test_passed")] == [3, 6]
    assert [event["tile"] for event in run.events("tile_unreliable")] == [6, 7, 8]
    assert not list(tmp_path.glob(".out.tif.*"))  # nothing to go on from


def test_a_self_test_is_as_rare_as_its_cost_wants(bundle: Bundle):
    def interval(side: int) -> int:
        plan = Plan("native", side, 0, (side, side), 1, 1, 0, {}, 0, 0, 0)
        return self_test_interval(plan)

    assert [interval(side) for side in (64, 280, 536, 1048, 4096)] == [12207, 638, 174, 46, 3]
