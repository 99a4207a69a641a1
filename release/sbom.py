"""Say what the runtime brings with it: a bill of materials (CycloneDX) and the licences.

    python release/sbom.py dist

Installs the runtime's wheel of this processor, which `dist.py` has put into the folder, and what it depends
on into a fresh environment, and describes that. Fails if a licence is not on the list below. The same
packages give the same files. Needs cyclonedx-bom and pip-licenses (`reporters.txt`).
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = "bnnpan-runtime"
BILL, LICENCES = f"{RUNTIME}.cdx.json", f"{RUNTIME}-licences.md"

ALLOWED = (
    "Apache",
    "BSD",
    "MIT",
    "ISC",
    "Mozilla Public License 2.0",
    "MPL-2.0",
    "Python Software Foundation",
    "PSF",
)
"""Words of licences under which a board's owner may pass everything on."""


def main() -> None:
    """Write both reports beside the wheel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the wheel is and the reports go")
    folder: Path = parser.parse_args().folder
    wheels = sorted(folder.glob(f"bnnpan_runtime-*{platform.machine()}.whl"))
    if len(wheels) != 1:
        sys.exit(f"{folder} holds {len(wheels)} wheels of the runtime for {platform.machine()}, not one")
    with tempfile.TemporaryDirectory() as fresh:
        python = install(wheels[0], Path(fresh))
        (folder / BILL).write_text(bill_of_materials(python))
        (folder / LICENCES).write_text(licences(python))
    print(f"{folder / BILL}\n{folder / LICENCES}")


def install(wheel: Path, folder: Path) -> Path:
    """An environment with the wheel and its dependencies alone, without pip; its interpreter."""
    _run("-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    _run("-m", "pip", "--python", python, "install", "--quiet", "-c", constraints, wheel)
    for record in folder.glob("lib/python*/site-packages/*.dist-info/direct_url.json"):
        record.unlink()  # where the wheel was lying when it was installed
    return python


def bill_of_materials(python: Path) -> str:
    """CycloneDX in JSON, with the runtime as what the bill is of."""
    text = _run("-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON", python)
    bill: dict[str, Any] = json.loads(text)
    (runtime,) = (part for part in bill["components"] if part["name"] == RUNTIME)
    bill["components"].remove(runtime)
    bill["metadata"]["component"] = runtime | {"type": "application"}
    bill["metadata"].pop("timestamp", None)
    return json.dumps(bill, indent=2, sort_keys=True) + "\n"


def licences(python: Path) -> str:
    """A table of packages and licences. Exits if one is not allowed."""
    options = ("--from", "mixed", "--with-urls", "--ignore-packages", RUNTIME)
    command = ("-m", "piplicenses", f"--python={python}", *options)
    return _run(*command, "--partial-match", "--allow-only", ";".join(ALLOWED), "--format", "markdown") + "\n"


def _run(*arguments: str | Path) -> str:
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if result.returncode:
        sys.exit((result.stderr or result.stdout).strip())
    return result.stdout.strip()


if __name__ == "__main__":
    main()
