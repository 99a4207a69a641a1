"""An aarch64 Python on another computer: Debian's interpreter and wheels under qemu's user-mode emulation.

Only files below one folder are written: packages are unpacked, never installed, and no root is needed.
Emulation takes minutes for what a board does in seconds, and says nothing about a board's speed or memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.board import Board

from . import board_files
from .board_files import write_board_files
from .debian import RELEASE, Debian, Unavailable, call, find

__all__ = ["CACHE_VARIABLE", "Environment", "Unavailable", "cache_folder", "install", "prepare"]

CACHE_VARIABLE = "BNNPAN_AARCH64"
PYTHON = "3.11"
"""Version of the interpreter, that of Debian's release."""

_PACKAGES = (
    *(f"python{PYTHON}-minimal", f"libpython{PYTHON}-minimal", f"libpython{PYTHON}-stdlib"),
    *("libc6", "libgcc-s1", "libstdc++6"),
    *("zlib1g", "libbz2-1.0", "liblzma5", "libexpat1", "libffi8", "libssl3", "libuuid1", "libcrypt1"),
)
# What a Debian 12 or Raspberry Pi OS of that release, with glibc 2.36, would take from the package index.
_PLATFORMS = (
    "manylinux2014_aarch64",
    *(f"manylinux_2_{minor}_aarch64" for minor in (17, 27, 28, 31, 34, 35)),
)
_KILL_AFTER_SECONDS = 5


@dataclass(frozen=True)
class Environment:
    """A prepared environment: `folder` holds the unpacked system, `emulator` runs its programs."""

    folder: Path
    emulator: str

    def run(
        self,
        arguments: Sequence[str | Path],
        *,
        board: Board,
        packages: Sequence[Path] = (),
        variables: Mapping[str, str] | None = None,
        timeout_seconds: int = 600,
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments on a board's core, without the host's environment.

        `packages` are folders to import from, before those of the environment. An instruction that the core
        does not have ends the process by SIGILL (return code -4), the time limit by 124 or 137.
        """
        command = [
            # Some failures make the emulator itself spin, deaf to SIGTERM.
            *("timeout", f"--kill-after={_KILL_AFTER_SECONDS}", str(timeout_seconds)),
            *self.command(arguments, board=board, packages=packages, variables=variables),
        ]
        return subprocess.run(
            command, env=self.variables(), capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    def command(
        self,
        arguments: Sequence[str | Path],
        *,
        board: Board,
        packages: Sequence[Path] = (),
        variables: Mapping[str, str] | None = None,
    ) -> list[str]:
        """The command line that runs Python with these arguments, to be run with `variables()`."""
        if board.qemu_cpu is None:
            raise ConfigError(
                f"board {board.name}: level 2 needs 'qemu_cpu' in its profile, such as 'cortex-a53'"
            )
        system = self.folder / "system"
        libraries = [str(system / part / "aarch64-linux-gnu") for part in ("lib", "usr/lib")]
        guest = {
            "HOME": "/nonexistent",
            "LANG": "C.UTF-8",
            "LD_LIBRARY_PATH": os.pathsep.join(libraries),
            "PATH": "/usr/bin:/bin",
            "PYTHONHOME": str(system / "usr"),
            "PYTHONPATH": os.pathsep.join(map(str, (*packages, self.folder / "packages"))),
            **(variables or {}),
        }
        return [
            *(self.emulator, "-L", str(self._prefix(board)), "-cpu", board.qemu_cpu),
            *(part for name, value in guest.items() for part in ("-E", f"{name}={value}")),
            *(str(system / "usr" / "bin" / f"python{PYTHON}"), *map(str, arguments)),
        ]

    def variables(self) -> dict[str, str]:
        """The host's environment as far as the emulator may see it."""
        return {"PATH": os.environ.get("PATH", os.defpath)}

    def _prefix(self, board: Board) -> Path:
        """A folder with links to the unpacked system, and the board's files; made when first asked for."""
        recipe = [json.dumps(board.to_json(), sort_keys=True), Path(board_files.__file__).read_text()]
        name = f"{board.name}-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:8]}"
        prefix = self.folder / "boards" / name
        if not prefix.is_dir():
            prefix.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=prefix.parent, prefix="preparing-") as folder:
                fresh = Path(folder) / name
                fresh.mkdir()
                if board.processor is not None:
                    write_board_files(fresh, board, board.processor)
                for part in sorted((self.folder / "system").iterdir()):
                    (fresh / part.name).symlink_to(Path("..") / ".." / "system" / part.name)
                with suppress(OSError):  # someone else may have been faster
                    fresh.rename(prefix)
        return prefix


def cache_folder() -> Path:
    """Where prepared environments are kept."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "bnnpan" / "aarch64")


def prepare(requirements: Sequence[str], constraints: Path | None = None) -> Environment:
    """The environment with these requirements, from the cache `$BNNPAN_AARCH64` if it was prepared before.

    `constraints` is a file for pip. Takes about 20 s and 300 MB otherwise. Raises Unavailable.
    """
    emulator = shutil.which("qemu-aarch64-static") or find("qemu-aarch64")
    cache = cache_folder()
    recipe = [RELEASE, PYTHON, _PACKAGES, _PLATFORMS, list(requirements), "boards apart"]
    recipe += [constraints.read_text()] if constraints else []
    folder = cache / hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="preparing-") as name:
            fresh = Path(name) / "environment"
            Debian.open(Path(name) / "apt").unpack(_PACKAGES, fresh / "system")
            _pip(fresh / "packages", requirements, constraints)
            try:
                fresh.rename(folder)
            except OSError:
                if not folder.is_dir():  # someone else may have been faster
                    raise
    return Environment(folder, emulator)


def install(wheel: Path, folder: Path) -> None:
    """Install an aarch64 wheel, without what it requires, into a folder for `Environment.run(packages=)`."""
    _pip(folder, ["--no-deps", str(wheel)], None)


def _pip(folder: Path, requirements: Sequence[str], constraints: Path | None) -> None:
    platforms = [f"--platform={platform}" for platform in _PLATFORMS]
    call(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-compile", "--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"),
            *platforms,
            *([f"--constraint={constraints}"] if constraints else []),
            f"--target={folder}",
            *requirements,
        ],
        Path.cwd(),
    )
