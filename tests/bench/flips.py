"""Count what becomes of flipped bits, each in a process of its own, while a scene is fused.

PYTHONPATH=tests python tests/bench/flips.py --flips 100
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import tempfile
from collections import Counter
from pathlib import Path
from signal import Signals

from raw_scenes import RawScene, write_raw_scene

from bnnpan_runtime import fuse
from bnnpan_runtime import guard as guards
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import VerificationError
from bnnpan_runtime.graph.native import NativeBackend
from bnnpan_runtime.guard import Protection
from bnnpan_runtime.scrub import regions_of
from bnnpan_runtime.telemetry import Happening, Record, Recorder

TILE_OF_THE_FLIP = 3


def main() -> None:
    """Print how often each outcome came, for each place, with the checks and without."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw = write_raw_scene(Path(folder), 256, 192)
        _, clean = fused(raw, Path(folder) / "clean.tif", None, "network", True)
        for place in ("network", "code"):
            for scrub in (True, False):
                seeds = range(options.seed * 10**6, options.seed * 10**6 + options.flips)
                outcomes = Counter(outcome(raw, clean, seed, place, scrub) for seed in seeds)
                print(f"{place}, checks {'on' if scrub else 'off'}: {dict(outcomes.most_common())}")


def outcome(raw: RawScene, clean: str, seed: int, place: str, scrub: bool) -> str:
    """What a child process that is hit comes to."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        end, digest = fused(raw, raw.pan.with_name("hit.tif"), seed, place, scrub)
        product = {"": "", clean: ", same product"}.get(digest, ", WRONG PRODUCT")
        os.write(writing, f"{end}{product}".encode())
        os._exit(0)
    os.close(writing)
    status = os.waitpid(child, 0)[1]
    with open(reading, encoding="utf-8") as said:
        told = said.read()
    return f"ended by {Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else told


def fused(raw: RawScene, out: Path, seed: int | None, place: str, scrub: bool) -> tuple[str, str]:
    """Fuse in twelve tiles, hit after the fourth: how that ended, and the product's SHA-256."""
    engines: list[NativeBackend] = []
    told = set()

    def watched(engine: NativeBackend, *others: object) -> object:
        engines.append(engine)
        return regions_of(engine, *others)  # type: ignore[arg-type]

    def listen(record: Record) -> None:
        if not isinstance(record, Happening):
            return
        told.add(record.event.name)
        if (
            record.event.name == "tile_done"
            and record.values["tile"] == TILE_OF_THE_FLIP
            and seed is not None
        ):
            engine = engines[0]
            hit([engine.prepared()] if place == "network" else engine.code(), random.Random(seed))

    guards.regions_of = watched
    try:
        report = fuse(
            *(raw.pan, raw.ms, Bundle.open("bgrn-x4"), out),
            **{"memory": "4GiB", "tile": 64, "register": "off", "overwrite": True, "resume": False},
            telemetry=Recorder(listen),
            protection=Protection(scrub=scrub, self_test_every=0),
        )
    except VerificationError:
        return "stopped", ""
    return "repaired" if "memory_repaired" in told else "not noticed", report.product_sha256


def hit(segments: list[memoryview], draw: random.Random) -> None:
    """Flip one bit anywhere in them, past the protection of pages."""
    where = draw.randrange(sum(map(len, segments)))
    for segment in segments:
        if where < len(segment):
            break
        where -= len(segment)
    address = ctypes.addressof(segment.obj) + where  # type: ignore[arg-type]
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        flipped = memory.read(1)[0] ^ 1 << draw.randrange(8)
        memory.seek(address)
        memory.write(bytes([flipped]))


if __name__ == "__main__":
    main()
