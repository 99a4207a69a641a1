"""Options of what is asked of a run besides a product: fuse, plan.

--mask                    what each pixel is from
--quality, --min-hqnr     how good the product is, and what to do where it is not
--deadline, --priority-*  when to end, and what to do first
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from bnnpan_runtime.cli.options import listed

__all__ = ["demand_options"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _SecondsType(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.4
    """A time: 90s, 2m, 1.5h, or plain seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        from bnnpan_runtime.urgency.deadline import parse_seconds

        try:
            return parse_seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


_OPTIONS = (
    click.option(
        "--mask",
        type=click.Path(path_type=Path),
        metavar="TIF",
        help="Also write what each pixel is from: network, classical method, saturated input, nothing.",
    ),
    click.option("--quality", is_flag=True, help="Measure D_lambda, D_s and HQNR while fusing."),
    click.option(
        "--min-hqnr",
        type=click.FloatRange(0, 1),
        metavar="HQNR",
        help="Make blocks of the product below that again by the classical method, such as 0.8.",
    ),
    click.option(
        "--deadline",
        type=_SecondsType(),
        metavar="TIME",
        help="End in that time, such as 90s or 2m; what is missing then is completed by the same command"
        " without it. Exit code 12 if something is.",
    ),
    click.option(
        "--priority-extent",
        type=listed(float, 4),
        metavar="W,S,E,N",
        help="What to fuse first, in the coordinate system of PAN.",
    ),
    click.option(
        "--priority-window",
        type=listed(int, 4),
        metavar="COL,ROW,WIDTH,HEIGHT",
        help="What to fuse first, in PAN pixels.",
    ),
)


def demand_options(function: _Function) -> _Function:
    """All of them, passed as `demanded`: the arguments of `fuse` and `plan` that they make."""

    @wraps(function)
    def with_demands(
        *arguments: Any,
        mask: Path | None,
        quality: bool,
        min_hqnr: float | None,
        deadline: float | None,
        priority_extent: Any,
        priority_window: Any,
        **options: Any,
    ) -> Any:
        from bnnpan_runtime.contract import Window
        from bnnpan_runtime.judging.gate import Judging
        from bnnpan_runtime.urgency.deadline import Urgency

        window = None
        if priority_window is not None:
            col, row, width, height = priority_window
            window = Window(row, col, height, width)
        demanded = {
            "mask": mask,
            "judging": Judging(quality, min_hqnr),
            "urgency": Urgency(deadline, priority_extent, window),
        }
        return function(*arguments, demanded=demanded, **options)

    result: Any = with_demands
    for option in reversed(_OPTIONS):
        result = option(result)
    return result
