"""The engine built for aarch64 and run under QEMU, which tells how often each instruction was executed.

Counts do not depend on the computer or its load: the same compiler and sources give the same counts.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from programs import Unavailable, find

__all__ = ["STAGES", "Build", "build", "executed", "instruction_class"]

STAGES = ("pack", "convolve", "unit", "trunk", "head", "tail", "lms", "quantise")
"""Order of `bnnpan_bench_stage`."""

HEIGHT, WIDTH = 16, 256
"""Window of driver.c, PAN pixels."""

REPEATS = 2

_PAGE_BYTES, _INSTRUCTION_BYTES = 4096, 4

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
_SYSTEM = Path("/usr/aarch64-linux-gnu")
"""Where Debian puts the C library of its cross compiler."""

_TIMEOUT_SECONDS = 300

Block = tuple[str, ...]
"""Instructions that always run one after another, each as eight hexadecimal digits."""


@dataclass(frozen=True)
class Build:
    """Driver, library and plugin in one folder; `compiler` is the first line of its `--version`."""

    folder: Path
    compiler: str


def build(sources: Path, folder: Path) -> Build:
    """Compile `sources`, the native engine's folder, as the product is compiled. Raises Unavailable."""
    for tool in (COMPILER, EMULATOR, "cmake", "cc"):
        find(tool)
    if not _SYSTEM.is_dir():
        raise Unavailable(f"needs {_SYSTEM} (Debian and Ubuntu: apt-get install libc6-dev-arm64-cross)")
    here = Path(__file__).parent
    cross = (
        "-DCMAKE_SYSTEM_NAME=Linux",
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        f"-DCMAKE_C_COMPILER={COMPILER}",
    )
    _run("cmake", "-S", sources, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", *cross)
    _run("cmake", "--build", folder, "--parallel")
    library = (folder / "libbnnpan.so", f"-Wl,-rpath,{folder}")
    warnings = ("-std=c11", "-Wall", "-Wextra")
    _run(COMPILER, *warnings, "-O1", "-I", sources, here / "driver.c", *library, "-o", folder / "driver")
    shared = ("-shared", "-fPIC", "-fvisibility=hidden", "-o", folder / "instruction_counts.so")
    _run("cc", *warnings, "-O2", here / "instruction_counts.c", *shared)
    return Build(folder, _run(COMPILER, "--version").splitlines()[0])


def executed(built: Build, stage: str, channels: int) -> dict[Block, float]:
    """How often one run of a stage executes each block: what twice as many runs execute more."""
    once, twice = (_counts(built, stage, channels, repeats) for repeats in (REPEATS, 2 * REPEATS))
    blocks = {block: (twice[block] - once[block]) / REPEATS for block in twice}
    return {block: runs for block, runs in blocks.items() if runs > 0}


def instruction_class(word: str) -> str:
    """By the top level of the A64 encoding: "simd", "simd_memory", or "other"."""
    bits = int(word, 16)
    group = bits >> 25 & 0b1111
    if group & 0b0101 == 0b0100:
        return "simd_memory" if bits >> 26 & 1 else "other"
    return "simd" if group & 0b0111 == 0b0111 else "other"


def _counts(built: Build, stage: str, channels: int, repeats: int) -> Counter[Block]:
    counts = built.folder / "counts.txt"
    plugin = f"{built.folder / 'instruction_counts.so'},out={counts}"
    # A fixed environment: its size moves the stack and with it the start-up.
    command = ("env", "-i", find(EMULATOR), "-L", _SYSTEM, "-plugin", plugin)
    _run(*command, built.folder / "driver", STAGES.index(stage), channels, repeats)
    blocks: dict[int, tuple[int, Block]] = {}
    for line in counts.read_text().splitlines():
        runs, address, *words = line.split()
        start = int(address, 16)
        before, _ = blocks.get(start, (0, ()))
        blocks[start] = before + int(runs), tuple(words)
    total: Counter[Block] = Counter()
    for count, block in _joined(blocks):
        total[block] += count
    return total


def _joined(blocks: dict[int, tuple[int, Block]]) -> Iterator[tuple[int, Block]]:
    """Blocks that QEMU cuts at the end of a page are put together again: where code lies is no cost."""
    for start in sorted(blocks, reverse=True):
        runs, block = blocks[start]
        end = start + _INSTRUCTION_BYTES * len(block)
        if end % _PAGE_BYTES == 0 and end in blocks and not _branches(block[-1]):
            following, rest = blocks[end]
            blocks[end] = following - runs, rest
            blocks[start] = runs, block + rest
    yield from blocks.values()


def _branches(word: str) -> bool:
    """Whether an instruction leads elsewhere: the A64 encoding group of branches."""
    return int(word, 16) >> 26 & 0b111 == 0b101


def _run(*command: object) -> str:
    words: Sequence[str] = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS)
    if result.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {result.returncode}: {result.stderr[-2000:]}")
    return result.stdout
