"""Builds of the C library with a driver of it, its kernels over any vocabulary of `runtime/native/simd`.

The kernels take the place of the portable ones, so a driver needs no choice at run time, and AVX-512 can be
tested on any processor: as plain C by SIMDe (`runtime/avx512_emulation`).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from requirements import missing, program

TESTS = Path(__file__).resolve().parent
NATIVE = TESTS.parent / "runtime" / "native"

EXACT = ("-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-DBNNPAN_ISA=portable")
STRICT = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wpedantic", "-Werror")
SANITIZED = ("-g", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all")

EMULATION = TESTS / "runtime" / "avx512_emulation"
VOCABULARIES: dict[str, tuple[str, ...]] = {
    "portable": (),
    "avx2": ("-DBNNPAN_SIMD_AVX2", "-mavx2", "-mfma"),
    # SIMDe passes 64-byte vectors by value, of which gcc notes that its convention changed once.
    "avx512": ("-DBNNPAN_SIMD_AVX512", "-isystem", str(EMULATION), "-Wno-psabi"),
    "neon": ("-DBNNPAN_SIMD_NEON",),
}

FLAGS = {
    "portable": set[str](),
    "avx2": {"avx2", "fma"},
    "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vpopcntdq"},
    "neon": {"asimd"},
}
"""What `/proc/cpuinfo` says of a processor that runs the kernels of an instruction set."""


def sources() -> list[Path]:
    """What every build of the library holds; doors and bench have tests of their own."""
    folders = ("engine", "stages", "kernels")
    found = [path for folder in folders for path in sorted((NATIVE / folder).glob("*.c"))]
    return [path for path in found if path.name != "peaks.c"]


def compiler() -> str:
    return program(os.environ.get("CC", "cc"))


def vocabulary(name: str) -> tuple[str, ...]:
    """Options for a vocabulary that runs here, or a skip."""
    if name in ("avx2", "neon"):
        require_processor(name)
    if name == "avx512" and not Path("/usr/include/simde/x86/avx512.h").is_file():
        missing("tools", "needs SIMDe (Debian and Ubuntu: apt-get install libsimde-dev)")
    return VOCABULARIES[name]


def require_processor(isa: str) -> None:
    """Skip where the processor, as the kernel describes it, does not have an instruction set."""
    information = Path("/proc/cpuinfo")
    flags = set(information.read_text().split()) if information.is_file() else set()
    if not FLAGS[isa] <= flags:
        pytest.skip(f"this processor does not run {isa}")


def build(
    compiler: str, target: Path, *options: str, drivers: Sequence[Path], link: tuple[str, ...] = ()
) -> Path:
    """Compile library and drivers file by file, as many at a time as there are processors, and link them."""
    objects = target.with_suffix(".objects")
    objects.mkdir()
    sanitizers = [option for option in options if option.startswith("-fsanitize")]

    def compile_one(source: Path) -> str:
        output = str(objects / f"{source.parent.name}-{source.stem}.o")
        _run(compiler, *EXACT, *STRICT, *options, f"-I{NATIVE}", "-c", str(source), "-o", output)
        return output

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compiled = list(pool.map(compile_one, [*sources(), *drivers]))
    _run(compiler, *sanitizers, *link, *compiled, "-o", str(target), "-lm")
    return target


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode and "sanitize" in " ".join(command) and "cannot find" in result.stderr:
        missing("tools", f"{command[0]} lacks libraries of its sanitizers: {result.stderr.splitlines()[0]}")
    assert result.returncode == 0, result.stderr


def output_of(*command: str | Path) -> str:
    """What a program prints; it must succeed."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()
