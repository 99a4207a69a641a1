"""The C library by itself: vocabularies, optimisation levels, compilers and processors give the same bits."""

from __future__ import annotations

import ctypes
import platform
import subprocess
from pathlib import Path

import native_builds
import pytest
from native_builds import SANITIZED, STRICT, VOCABULARIES, output_of, vocabulary
from requirements import program

from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph import libbnnpan

DRIVER = Path(__file__).with_name("native_driver.c")
slow = pytest.mark.slow


def build(compiler: str, target: Path, *options: str) -> Path:
    return native_builds.build(compiler, target, *options, drivers=[DRIVER])


@pytest.fixture(scope="module")
def compiler() -> str:
    return native_builds.compiler()


@pytest.fixture(scope="module")
def expected(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The hash of the portable kernels without optimisation."""
    return output_of(build(compiler, tmp_path_factory.mktemp("native") / "plain", "-O0"))


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("avx2", "-O0"),
        ("avx512", "-O0"),
        ("neon", "-O0"),
        pytest.param("portable", "-O2", marks=slow),
        pytest.param("portable", "-O3 -funroll-loops", marks=slow),
        pytest.param("avx2", "-O2", marks=slow),
        pytest.param("avx2", "-O3 -funroll-loops", marks=slow),
        pytest.param("avx512", "-O2", marks=slow),
        pytest.param("neon", "-O3 -funroll-loops", marks=slow),
    ],
)
def test_vocabularies_and_optimisation_do_not_change_a_bit(
    compiler: str, tmp_path: Path, expected: str, name: str, level: str
) -> None:
    assert output_of(build(compiler, tmp_path / name, *vocabulary(name), *level.split())) == expected


@slow
@pytest.mark.parametrize("name", ["portable", "avx2", "neon"])
def test_clang_does_not_change_a_bit(tmp_path: Path, expected: str, name: str) -> None:
    clang = program("clang")
    assert output_of(build(clang, tmp_path / name, *vocabulary(name), "-O2")) == expected


@slow
@pytest.mark.parametrize("name", VOCABULARIES)
def test_sanitizers_find_nothing(compiler: str, tmp_path: Path, expected: str, name: str) -> None:
    assert output_of(build(compiler, tmp_path / name, *vocabulary(name), "-O1", *SANITIZED)) == expected


@pytest.mark.skipif(platform.machine() != "x86_64", reason="compares aarch64 with x86-64")
@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("neon", "-O1"),
        pytest.param("neon", "-O3", marks=slow),
        pytest.param("portable", "-O3", marks=slow),
    ],
)
def test_aarch64_gives_the_same_bits(tmp_path: Path, expected: str, name: str, level: str) -> None:
    cross, emulator = program("aarch64-linux-gnu-gcc"), program("qemu-aarch64")
    options = (*VOCABULARIES[name], level)
    target = native_builds.build(cross, tmp_path / name, *options, drivers=[DRIVER], link=("-static",))
    assert output_of(emulator, target) == expected


@pytest.mark.parametrize(
    "name", ["cc", *(pytest.param(name, marks=slow) for name in ("clang", "aarch64-linux-gnu-gcc"))]
)
def test_every_source_compiles_without_a_warning(name: str, tmp_path: Path) -> None:
    """Doors and bench too, and the kernels once more over the vocabulary of the processor."""
    tool = native_builds.compiler() if name == "cc" else program(name)
    aarch64 = "aarch64" in name or platform.machine() in ("aarch64", "arm64")
    checks = {"portable": "**/*.c", "neon" if aarch64 else "avx2": "kernels/*.c"}
    for vocabulary_name, pattern in checks.items():
        options = (*native_builds.EXACT, *STRICT, *VOCABULARIES[vocabulary_name], f"-I{native_builds.NATIVE}")
        output_of(tool, *options, "-fsyntax-only", *sorted(native_builds.NATIVE.glob(pattern)))


def test_another_abi_version_is_refused(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "other.so"
    source = tmp_path / "other.c"
    source.write_text("int bnnpan_abi_version(void) { return 99; }\n")
    subprocess.run([compiler, "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    monkeypatch.setenv(libbnnpan.LIBRARY_VARIABLE, str(library))
    with pytest.raises(BackendError, match=f"has ABI version 99, must be {libbnnpan.ABI_VERSION}"):
        libbnnpan.instruction_sets()


def test_the_library_exports_its_public_functions_only() -> None:
    symbols = output_of(program("nm"), "--dynamic", "--defined-only", libbnnpan.library_path()).split("\n")
    exported = {line.split()[-1] for line in symbols if " T " in line}
    files = [path for kind in ("*.h", "doors/*/*.c", "bench/*.h") for path in native_builds.NATIVE.glob(kind)]
    lines = [line for path in files for line in path.read_text().splitlines()]
    marked = " ".join(line for line in lines if line.startswith("BNNPAN_API "))
    assert exported and all(f" {name}(" in marked or f"*{name}(" in marked for name in exported)
    assert exported >= set(libbnnpan.FUNCTIONS)
    assert ctypes.sizeof(libbnnpan.Array) == 2 * ctypes.sizeof(ctypes.c_size_t)
