"""The C library by itself: sanitizers, optimisation levels, another processor give the same bits."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph import native

EXACT = ("-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-DBNNPAN_ISA=portable")
STRICT = ("-Wall", "-Wextra", "-Wshadow", "-Werror")


def build(compiler: str, sources: Path, target: Path, *options: str) -> None:
    driver = Path(__file__).with_name("native_driver.c")
    files = [str(path) for path in sorted(sources.glob("*.c"))] + [str(driver)]
    command = [compiler, *EXACT, *STRICT, *options, f"-I{sources}", *files, "-o", str(target), "-lm"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode and "sanitize" in " ".join(options) and "cannot find" in result.stderr:
        pytest.skip(f"{compiler} has no sanitizer libraries")
    assert result.returncode == 0, result.stderr


def run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture(scope="module")
def sources(repo_root: Path) -> Path:
    return repo_root / "runtime" / "native"


@pytest.fixture(scope="module")
def compiler() -> str:
    found = shutil.which(os.environ.get("CC", "cc"))
    if found is None:
        pytest.skip("no C compiler")
    return found


@pytest.fixture(scope="module")
def expected(sources: Path, compiler: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("native") / "plain"
    build(compiler, sources, target, "-O0")
    return run(str(target))


def test_sanitizers_find_nothing(sources: Path, compiler: str, tmp_path: Path, expected: str) -> None:
    target = tmp_path / "sanitized"
    build(compiler, sources, target, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    assert run(str(target)) == expected


@pytest.mark.parametrize("options", [("-O2",), ("-O3", "-funroll-loops")], ids=" ".join)
def test_optimisation_does_not_change_a_bit(
    sources: Path, compiler: str, tmp_path: Path, expected: str, options: tuple[str, ...]
) -> None:
    build(compiler, sources, tmp_path / "optimised", *options)
    assert run(str(tmp_path / "optimised")) == expected


@pytest.mark.skipif(platform.machine() != "x86_64", reason="compares aarch64 with x86-64")
def test_aarch64_gives_the_same_bits(sources: Path, tmp_path: Path, expected: str) -> None:
    cross, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if cross is None or emulator is None:
        pytest.skip("needs aarch64-linux-gnu-gcc and qemu-aarch64")
    build(cross, sources, tmp_path / "aarch64", "-O3", "-static")
    assert run(emulator, str(tmp_path / "aarch64")) == expected


def test_another_abi_version_is_refused(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "other.so"
    source = tmp_path / "other.c"
    source.write_text("int bnnpan_abi_version(void) { return 99; }\n")
    subprocess.run([compiler, "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    monkeypatch.setenv(native.LIBRARY_VARIABLE, str(library))
    with pytest.raises(BackendError, match="has ABI version 99, must be 1"):
        native.instruction_sets()


def test_the_library_exports_its_public_functions_only(sources: Path) -> None:
    tool = shutil.which("nm")
    path = native.library_path()
    if tool is None or not path.is_file():
        pytest.skip(f"needs nm and {path}")
    symbols = run(tool, "--dynamic", "--defined-only", str(path)).split("\n")
    exported = {line.split()[-1] for line in symbols if " T " in line}
    header = (sources / "bnnpan.h").read_text()
    assert exported and all(f" {name}(" in header or f"*{name}(" in header for name in exported)
    assert exported >= set(native._FUNCTIONS)
    assert ctypes.sizeof(native._Array) == 2 * ctypes.sizeof(ctypes.c_size_t)
