"""What came of a scene: the record beside its product, written in one step whenever there is news."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bnnpan_archive.job import Job
from bnnpan_runtime.durable_file import write_file

__all__ = ["Result"]

RESULT_NAME = "result.json"


_USED = {"pan_pixels", "quality"}
"""What others read of a run's own report; a record of another version may lack it."""


@dataclass(frozen=True)
class Result:
    """The record of one scene.

    identity        of the product: see `bnnpan_archive.identity`
    command         what repeats the run, for a shell
    product         path, from the archive's folder; None if there is none
    exit_code       of the run that failed, or 0; its last words are `message`
    seconds         that the run took, with the start of its process
    peak_mib        largest resident memory of the run, by itself
    attempts        how often it was started
    resumed_tiles   of an interrupted run before it
    scores          quality figures by name
    fuse            what `bnnpan fuse` said
    skipped         whether this time there was nothing to do; not part of the record
    """

    scene: str
    identity: Mapping[str, Any]
    command: str
    product: str | None = None
    product_sha256: str | None = None
    exit_code: int = 0
    message: str = ""
    seconds: float = 0.0
    peak_mib: float = 0.0
    attempts: int = 1
    resumed_tiles: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)
    fuse: Mapping[str, Any] = field(default_factory=dict)
    skipped: bool = False

    @property
    def failed(self) -> bool:
        """Whether there is no product of this scene."""
        return self.product is None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return asdict(self)

    def write(self, job: Job) -> None:
        """Put it beside the product. Raises OutputError."""
        value = self.to_json()
        del value["skipped"]
        write_file(job.folder / RESULT_NAME, f"{json.dumps(value, indent=1)}\n".encode())

    @classmethod
    def read(cls, job: Job) -> Result | None:
        """The record of a job; None if there is none that can be read."""
        known = {one.name for one in fields(cls)}
        try:
            value = json.loads(Path(job.folder, RESULT_NAME).read_text(encoding="utf-8"))
            result = cls(**{name: value[name] for name in known & value.keys()})
            return result if result.failed or _USED <= result.fuse.keys() else None
        except (OSError, ValueError, TypeError, AttributeError):
            return None
