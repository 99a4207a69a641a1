"""Build all that a release consists of: sdists and wheels of both distributions, and their checksums.

    python release/dist.py dist

The ground side's wheel is built from its sdist, so that the sdist is known to be whole; the runtime's wheels,
one per processor, come from `runtime/packaging/wheels.py`. The same sources give the same bytes: builders are
pinned (`builders.txt`), and times are that of the last commit or `SOURCE_DATE_EPOCH`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKSUMS = "SHA256SUMS"


def main() -> None:
    """Build into a folder, which must be empty or not be there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the files go; empty or new")
    folder: Path = parser.parse_args().folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        sys.exit(f"{folder} is not empty: a release must not be mixed with an earlier one")
    if changed := _git("status", "--porcelain"):
        print(f"the sources differ from the last commit in {len(changed.splitlines())} files")
    build(folder, source_date())
    (folder / CHECKSUMS).write_text(checksums(folder))
    print((folder / CHECKSUMS).read_text(), end="")


def source_date() -> str:
    """Seconds since 1970 that every file is dated with; outside of git those of 1980, zip's first year."""
    return os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct") or "315532800"


def build(folder: Path, date: str) -> None:
    """Run the builders; each says itself what is wrong."""
    pins = str(ROOT / "release" / "builders.txt")
    variables = {
        **os.environ,
        "SOURCE_DATE_EPOCH": date,
        "PIP_CONSTRAINT": pins,
        "PIP_BUILD_CONSTRAINT": pins,  # what pip from 25.3 on calls the same for builders
    }
    wheels = [ROOT / "runtime" / "packaging" / "wheels.py", folder]
    for command in (
        ["-m", "build", "--outdir", folder, ROOT],
        ["-m", "build", "--sdist", "--outdir", folder, ROOT / "runtime"],
        wheels,
    ):
        if subprocess.run([sys.executable, *command], env=variables).returncode:
            sys.exit(f"{Path(command[-1]).name}: the build failed")


def checksums(folder: Path) -> str:
    """Lines for `sha256sum --check`, by name."""
    files = sorted(path for path in folder.iterdir() if path.name != CHECKSUMS)
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def _git(*words: str) -> str:
    """What git says of the sources; nothing where they are no repository."""
    try:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


if __name__ == "__main__":
    main()
