"""What goes onto the board's data disk before it boots, and what is taken off it after."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from bnnpan_runtime.memory import GIB, MIB
from bnnpan_sim.job import Job

from .disks import make_disk, read_back

_DISK_BYTES = GIB
"""Room for products where neither scenario nor profile says."""

_VARIABLES = {
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": "/data/ours:/packages",
}


def load_disk(disk: Path, contents: Path, job: Job, ours: Path) -> None:
    """Make a disk with our package, the job and every file that it names, gathered in `contents`."""
    shutil.copytree(ours, contents / "ours")
    (contents / "out").mkdir()
    (contents / "job.py").write_bytes((resources.files(__package__) / "guest" / "job.py").read_bytes())
    arguments = list(_moved(job, contents))
    value = {"arguments": arguments, "variables": _VARIABLES, "limit_bytes": job.limit_bytes}
    (contents / "job.json").write_text(json.dumps(value))
    free_mib = job.board.storage_free_mib
    make_disk(disk, contents, job.disk_bytes or (free_mib * MIB if free_mib else _DISK_BYTES))


def unload_disk(disk: Path, folder: Path, job: Job) -> dict[str, Any] | None:
    """Bring home what the job made, and its own account; None if it wrote none.

    `folder` gets all that was in `out`, the job's outputs go to where they were wanted.
    """
    folder.mkdir()
    read_back(disk, folder)
    for output in job.outputs:
        # With files that are named after it.
        for file in (folder / "out").glob("*"):
            if file.is_file() and file.name.startswith(output.name):
                shutil.copyfile(file, output.parent / file.name)
    try:
        value: dict[str, Any] = json.loads((folder / "result.json").read_text())
    except (OSError, ValueError):
        return None
    return value


def _moved(job: Job, contents: Path) -> Iterator[str]:
    """The job's arguments with the board's paths; files that they name are copied onto its disk."""
    outputs = {str(path): path for path in job.outputs}
    for index, word in enumerate(job.arguments):
        if word in outputs:
            if outputs[word].is_file():
                shutil.copyfile(word, contents / "out" / outputs[word].name)
            yield f"/data/out/{outputs[word].name}"
        elif (path := Path(word)).is_file():
            folder = contents / "in" / str(index)
            folder.mkdir(parents=True)
            # With what lies beside a raster under its name: georeferencing, statistics, overviews.
            for file in (file for file in path.parent.iterdir() if file.name.startswith(f"{path.stem}.")):
                shutil.copyfile(file, folder / file.name)
            yield f"/data/in/{index}/{path.name}"
        else:
            yield word
