"""Options of where a run tells what it does.

--events     JSON lines: fuse
--packets    CCSDS space packets, --apid their application process: fuse
--heartbeat  a sign of life for a watchdog: fuse
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["telemetry_options"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)


def telemetry_options(function: _Function) -> _Function:
    """All of them, passed as one `outputs`, a `bnnpan_runtime.telemetry.outputs.Outputs`."""

    @click.option(
        "--events",
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        metavar="FILE",
        help="Append what happens as JSON lines; - for standard output, instead of the report.",
    )
    @click.option("--packets", type=_FILE, metavar="FILE", help="Append what happens as CCSDS space packets.")
    @click.option(
        "--apid",
        type=click.IntRange(0, 2046),
        default=0x2B5,
        show_default=True,
        help="Application process of the packets.",
    )
    @click.option("--heartbeat", type=_FILE, metavar="FILE", help="Renew a file while work proceeds.")
    @wraps(function)
    def with_outputs(
        *arguments: Any,
        events: Path | None,
        packets: Path | None,
        apid: int,
        heartbeat: Path | None,
        **options: Any,
    ) -> Any:
        from bnnpan_runtime.telemetry.outputs import Outputs

        return function(*arguments, outputs=Outputs(events, packets, apid, heartbeat), **options)

    return with_outputs  # type: ignore[return-value]
