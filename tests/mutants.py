"""Deliberately broken runtimes: patches that a run of its own takes on as it starts.

Python imports `sitecustomize` before anything else; here it comes from a folder that only broken runs see.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["break_runtime"]

MUTANTS = {
    "over budget": """
import bnnpan_runtime.planning as planning
from bnnpan_runtime.memory import MIB, resident_bytes
_plan, held = planning.plan, []
def plan(*arguments, **options):
    decided = _plan(*arguments, **options)
    held.append(b"x" * (decided.budget_bytes - resident_bytes() + MIB))
    return decided
planning.plan = plan
""",
    "wrong bit": """
import bnnpan_runtime.product.mosaic as mosaic
_write = mosaic.Mosaic.write
def write(self, core, pixels, *others):
    pixels = pixels.copy()
    pixels[0, 0, 0] ^= 1
    return _write(self, core, pixels, *others)
mosaic.Mosaic.write = write
""",
    "no fsync": """
import os
os.fsync = os.fdatasync = lambda descriptor: None
""",
    "believes its journal": """
import bnnpan_runtime.product.recovery as recovery
recovery._matches = lambda file, block, digest: True
""",
    "deaf to errors": """
import contextlib
import bnnpan_runtime.product.mosaic as mosaic
def deaf(self, core, pixels, *others, _write=mosaic.Mosaic.write):
    with contextlib.suppress(Exception):
        _write(self, core, pixels, *others)
    self._missing_pixels[:] = 0
mosaic.Mosaic.write = deaf
""",
}


def break_runtime(mutant: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python that is started from now on in this test has the defect."""
    place = folder / "mutant"
    place.mkdir()
    (place / "sitecustomize.py").write_text(MUTANTS[mutant])
    paths = [str(place), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
