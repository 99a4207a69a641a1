"""What level 2 runs: the dependencies' aarch64 wheels and our own, prepared once and kept in the cache.

The prepared files are named in `level2.json` beside them, so that a later run needs no network, no compiler
and no questions.
"""

from __future__ import annotations

import email
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.board import Board

from .debian import Unavailable, find
from .environment import Environment, cache_folder, install, prepare

_RECORD = "level2.json"
_CHECKOUT = Path(__file__).resolve().parents[3]
_MANYLINUX = {"manylinux2014": 17, "manylinux2010": 12, "manylinux1": 5}


@dataclass(frozen=True)
class Step:
    """One part of the preparation: what it took and what it left on the disk."""

    name: str
    seconds: float
    size_bytes: int


@dataclass(frozen=True)
class Level2:
    """Everything a run needs. `wheel` is the name of ours, `wheel_sha256` its contents."""

    environment: Environment
    packages: Path
    wheel: str
    wheel_sha256: str

    def command(self, arguments: Sequence[str], board: Board) -> list[str]:
        """`bnnpan` with these arguments on the board's core, to be run with `variables()`."""
        ours = ("-m", "bnnpan_runtime", *arguments)
        return self.environment.command(ours, board=board, packages=[self.packages])

    def variables(self) -> dict[str, str]:
        """Environment to run it in."""
        return self.environment.variables()

    def notes(self, board: Board, number: int = 2) -> list[str]:
        """What level `number` ran, and what the board's system would refuse."""
        lines = [
            f"level {number} ran {self.wheel}, sha256 {self.wheel_sha256[:16]}, as -cpu {board.qemu_cpu}"
        ]
        if board.glibc is None:
            return lines
        has = _minor(board.glibc)
        for package, needs in sorted(glibc_minors(self.environment.folder / "packages").items()):
            if needs > has:
                lines.append(f"{package} needs glibc 2.{needs}, the system of {board.name} has {board.glibc}")
        return lines


def setup(
    wheel: Path | None,
    constraints: Path | None,
    requirements: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Level2, list[Step]]:
    """Prepare level 2 and record it. Nothing is done twice, but our wheel is always taken anew.

    `wheel` is our aarch64 one; without it, it is built from the sources where this is a checkout.
    `requirements` are wanted besides those of our wheel. Raises Unavailable, ConfigError.
    """
    cache_folder().mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        chosen = wheel or _build_wheel(Path(folder), say)
        wanted = [*_requirements(chosen), *requirements]
        digest = hashlib.sha256(chosen.read_bytes()).hexdigest()
        packages = cache_folder() / f"bnnpan-{digest[:16]}"
        if not packages.is_dir():
            install(chosen, Path(folder) / "packages")
            (Path(folder) / "packages").rename(packages)
    steps = [Step("our wheel", time.monotonic() - begin, _size(packages))]
    say("aarch64 Python and wheels: about 20 s and 300 MB the first time")
    begin = time.monotonic()
    environment = prepare(wanted, constraints)
    steps.append(Step("environment", time.monotonic() - begin, _size(environment.folder)))
    level = Level2(environment, packages, chosen.name, digest)
    _record(level)
    return level, steps


def load(number: int = 2) -> Level2:
    """What `setup` prepared, for level `number`. Raises ConfigError where it has not."""
    cure = f"run `bnnpan sim setup --level {number}`"
    path = cache_folder() / _RECORD
    try:
        value: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"level {number} is not prepared on this computer; {cure}") from error
    folder, packages = Path(value["environment"]), Path(value["packages"])
    if not folder.is_dir() or not packages.is_dir():
        raise ConfigError(f"level {number} was prepared, but {folder} or {packages} is gone; {cure} again")
    emulator = shutil.which("qemu-aarch64-static") or find("qemu-aarch64")
    return Level2(Environment(folder, emulator), packages, value["wheel"], value["wheel_sha256"])


def glibc_minors(packages: Path) -> dict[str, int]:
    """Package -> minor version of the oldest glibc 2 that its wheel runs with, by its tags (PEP 600)."""
    found = {}
    for path in packages.glob("*.dist-info/WHEEL"):
        text = path.read_text()
        minors = [int(minor) for minor in re.findall(r"^Tag: .*manylinux_2_(\d+)_aarch64", text, re.M)]
        minors += [minor for name, minor in _MANYLINUX.items() if f"{name}_aarch64" in text]
        if minors:
            found[path.parent.name.partition("-")[0]] = min(minors)
    return found


def _record(level: Level2) -> None:
    value = {**asdict(level), "environment": str(level.environment.folder), "packages": str(level.packages)}
    path = cache_folder() / _RECORD
    fresh = path.with_suffix(".fresh")
    fresh.write_text(json.dumps(value, indent=1) + "\n")
    fresh.replace(path)


def _requirements(wheel: Path) -> list[str]:
    """What a wheel of ours needs, extras left out."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            fields = email.message_from_bytes(archive.read(name))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{wheel}: not a wheel ({error}); give that of bnnpan-runtime") from error
    return [line for line in fields.get_all("Requires-Dist", []) if "extra ==" not in line]


def _build_wheel(folder: Path, say: Callable[[str], None]) -> Path:
    script = _CHECKOUT / "runtime" / "packaging" / "wheels.py"
    if not script.is_file():
        raise ConfigError(
            "--wheel is needed: the aarch64 wheel of bnnpan-runtime, as `make wheels` builds it"
        )
    find("aarch64-linux-gnu-gcc")
    say("our aarch64 wheel: half a minute to build")
    result = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, check=False)
    built = sorted(folder.glob("*_aarch64.whl"))
    if result.returncode or not built:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["no message"]
        raise Unavailable(f"our aarch64 wheel was not built: {lines[-1]}")
    return built[0]


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _minor(version: str) -> int:
    return int(version.partition(".")[2] or 0)
