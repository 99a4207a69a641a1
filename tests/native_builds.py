"""Builds of the C library with a driver of it, its kernels over any vocabulary of `runtime/native/simd`.

The kernels take the place of the portable ones, so a driver needs no choice at run time, and AVX-512 can be
tested on any processor: as plain C by SIMDe (`runtime/avx512_emulation`).
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

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


def sources() -> list[Path]:
    """What every build of the library holds; doors and bench have tests of their own."""
    folders = ("engine", "stages", "kernels")
    found = [path for folder in folders for path in sorted((NATIVE / folder).glob("*.c"))]
    return [path for path in found if path.name != "peaks.c"]


def program(name: str) -> str:
    """Path of a program, or a skip of the test that needs it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}")
    return found


def compiler() -> str:
    return program(os.environ.get("CC", "cc"))


def vocabulary(name: str) -> tuple[str, ...]:
    """Options for a vocabulary that runs here, or a skip."""
    if name == "avx2" and not _runs_avx2():
        pytest.skip("this processor does not run AVX2")
    if name == "neon" and platform.machine() not in ("aarch64", "arm64"):
        pytest.skip("this processor does not run NEON")
    if name == "avx512" and not Path("/usr/include/simde/x86/avx512.h").is_file():
        pytest.skip("needs SIMDe (libsimde-dev)")
    return VOCABULARIES[name]


def _runs_avx2() -> bool:
    information = Path("/proc/cpuinfo")
    flags = set(information.read_text().split()) if information.is_file() else set()
    return {"avx2", "fma"} <= flags


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
        pytest.skip(f"{command[0]} has no sanitizer libraries")
    assert result.returncode == 0, result.stderr


def output_of(*command: str | Path) -> str:
    """What a program prints; it must succeed."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()
