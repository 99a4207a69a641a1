"""What a run writes for people: a line of metrics per report, pictures, and TensorBoard's event files."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.preview import write_png

log = logging.getLogger(__name__)

METRICS_NAME = "metrics.jsonl"
PICTURES_NAME = "pictures"
EVENTS_NAME = "tensorboard"


class Record:
    """The record of one run. A resumed run forgets what was written after the point where it stands."""

    def __init__(self, run: Path, tensorboard: bool, first_step: int) -> None:
        """`first_step` counts the steps of all stages that are behind the run."""
        self._run = run
        self._events = _event_writer(run / EVENTS_NAME, first_step) if tensorboard else None

    def write(self, line: dict[str, Any], step: int) -> None:
        """Add one report; `step` counts over all stages."""
        with (self._run / METRICS_NAME).open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self._events is not None:
            scalars = {f"stage {line['stage']}/{name}": line[name] for name in ("loss", "rate")}
            scalars |= {f"validation/{name}": value for name, value in line.get("validation", {}).items()}
            for name, value in scalars.items():
                self._events.add_scalar(name, value, step)

    def draw(self, picture: NDArray[np.uint8], stage: str, step: int) -> None:
        """Write a picture `(3, height, width)` into `pictures/`."""
        folder = self._run / PICTURES_NAME
        folder.mkdir(exist_ok=True)
        write_png(folder / f"stage-{stage}-{step:06}.png", picture)

    def forget_after(self, stage: str, step: int, stages: Sequence[str]) -> None:
        """Drop lines of metrics past a step of a stage: the run writes them again."""
        path = self._run / METRICS_NAME
        if path.exists():
            whole = path.with_name(path.name + ".partial")
            whole.write_text("".join(_lines_up_to((stages.index(stage), step), path, stages)))
            whole.replace(path)

    def __enter__(self) -> Self:
        """The open record."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write out what is buffered."""
        if self._events is not None:
            self._events.close()


def _lines_up_to(place: tuple[int, int], path: Path, stages: Sequence[str]) -> Iterable[str]:
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:  # the last line of a killed run may be cut off
            continue
        if (stages.index(line["stage"]), line["step"]) <= place:
            yield text + "\n"


def _event_writer(folder: Path, first_step: int) -> Any:
    # TensorBoard's own switch to write without TensorFlow, whose import takes many seconds.
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.warning("no event files: TensorBoard is not installed; pip install 'bnnpan[tensorboard]'")
        return None
    return SummaryWriter(str(folder), purge_step=first_step or None)
