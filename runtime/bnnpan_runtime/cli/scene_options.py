"""Options about what a scene's pixels need before they are fused: fuse, plan.

--register    what to do about a shift between PAN and MS
--radiometry  how the detectors of the camera differ
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from bnnpan_runtime.registration.shift import Register

__all__ = ["preparation_options"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _RegisterType(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.4
    """What to do about a shift."""

    name = "shift"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Register:
        """The words as they are; "DX,DY" as rows and columns."""
        if value == "auto" or value == "off" or isinstance(value, tuple):
            return value
        try:
            columns, rows = map(float, str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is none of auto, off, or DX,DY in PAN pixels such as 0.5,-1.25", param, ctx)
        return rows, columns


def preparation_options(function: _Function) -> _Function:
    """`--register` and `--radiometry`."""
    register = click.option(
        "--register",
        type=_RegisterType(),
        default="auto",
        show_default=True,
        metavar="auto|off|DX,DY",
        help="Shift of MS against PAN, to the right and down in PAN pixels: measure and correct it, ignore"
        " it, or correct the one given.",
    )
    radiometry = click.option(
        "--radiometry",
        type=click.Path(path_type=Path),
        metavar="TOML",
        help="Calibration file of the camera, for raw data: dark, gain, dead columns, saturation.",
    )
    return register(radiometry(function))
