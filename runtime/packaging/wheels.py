"""Build the wheels of bnnpan-runtime, one per processor, and keep only those that run where their tag says.

    python runtime/packaging/wheels.py dist

Needs pip, auditwheel and a C compiler; the other processor's wheel a cross compiler, named as on Debian. One
wheel serves every Python, since the C library is plain C behind ctypes, and every Linux with glibc 2.17, of
2012, or newer: its tag promises that (PEP 600), and auditwheel proves it from the versions of the symbols
that the library needs. The same sources and compiler give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROCESSORS = ("x86_64", "aarch64")
GLIBC_MINOR = 17
"""Of manylinux_2_17, the oldest tag there is for aarch64."""


class WheelError(Exception):
    """A wheel could not be built, or promises too much."""


def main() -> None:
    """Build for this processor, and for the other if there is a compiler for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the wheels go")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for processor in PROCESSORS:
        compiler = None if processor == platform.machine() else f"{processor}-linux-gnu-gcc"
        if compiler is not None and shutil.which(compiler) is None:
            package = f"gcc-{processor.replace('_', '-')}-linux-gnu"
            print(f"no wheel for {processor}: {compiler} is not on the PATH (Debian, Ubuntu: {package})")
            continue
        with tempfile.TemporaryDirectory() as fresh:
            try:
                wheel = build(Path(fresh), processor, compiler)
                needs = check(wheel, processor)
            except WheelError as error:
                sys.exit(f"no wheel for {processor}: {error}")
            shutil.move(wheel, folder / wheel.name)
        print(f"{folder / wheel.name} needs {needs}")


def build(folder: Path, processor: str, compiler: str | None) -> Path:
    """Build one wheel; `compiler` is a cross compiler, None the native one. Raises WheelError."""
    settings = {
        "wheel.tags": f"py3-none-manylinux_2_{GLIBC_MINOR}_{processor}",
        "wheel.reproducible": "true",  # times and permissions of the sources leave no trace
        "wheel.cmake": "true",  # fail rather than build a wheel without the library
    }
    if compiler is not None:
        settings["cmake.define.CMAKE_SYSTEM_NAME"] = "Linux"
        settings["cmake.define.CMAKE_SYSTEM_PROCESSOR"] = processor
        settings["cmake.define.CMAKE_C_COMPILER"] = compiler
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    command += [f"--config-settings={name}={value}" for name, value in settings.items()]
    runtime = Path(__file__).resolve().parent.parent
    if subprocess.run([*command, f"--wheel-dir={folder}", str(runtime)]).returncode:
        raise WheelError("the build failed")
    (wheel,) = folder.glob("*.whl")
    return wheel


def check(wheel: Path, processor: str) -> str:
    """What the library in a wheel needs of glibc. Raises WheelError if that is more than its tag promises."""
    command = [sys.executable, "-m", "auditwheel", "show", "--json", str(wheel)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise WheelError(f"auditwheel: {(result.stderr or result.stdout).strip()}")
    found: dict[str, Any] = json.loads(result.stdout)
    versions: dict[str, list[str]] = found["versioned_symbols"]
    needs = [f"{library} ({', '.join(sorted(names))})" for library, names in sorted(versions.items())]
    needs += sorted(found["external_libs"])
    allowed = {f"manylinux_2_{minor}_{processor}" for minor in range(GLIBC_MINOR + 1)}
    if found["overall_tag"] not in allowed:
        raise WheelError(f"its library needs {', '.join(needs)}, more than manylinux_2_{GLIBC_MINOR} has")
    return ", ".join(needs)


if __name__ == "__main__":
    main()
