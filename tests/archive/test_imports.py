"""What the archive's commands need before they run, seen from a clean interpreter."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from bnnpan_archive.cli import command
for verb in command.list_commands(None):
    command.get_command(None, verb)
print(*sys.modules)
"""


def test_help_needs_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    modules = {name.split(".")[0] for name in done.stdout.split()}
    assert "bnnpan_archive" in modules
    assert not modules & {"numpy", "rasterio", "pystac", "distributed", "dask"}
