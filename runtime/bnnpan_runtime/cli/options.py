"""Options that several commands share, so that one word means the same everywhere.

--bundle     a bundle file or the name of a shipped one: fuse, plan
--pan, --ms  the two rasters of a scene: fuse, plan, quality
--memory     budget for the whole process: fuse, plan
--backend    engine that runs the network: fuse, plan, verify (there also "all")
--threads    tiles computed at the same time: fuse, plan
--tile       side of a tile: fuse, plan
--bit-depth  bits of a uint16 scene: fuse, plan, quality
--json       print a JSON object instead of text: every command that reports
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from bnnpan_runtime.memory import parse_size

__all__ = [
    "SIZE",
    "backend_option",
    "bit_depth_option",
    "bundle_option",
    "echo_json",
    "json_option",
    "memory_option",
    "scene_options",
    "threads_option",
    "tile_option",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])

BACKENDS = ("native", "onnx", "tflite")


class SizeType(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.4
    """An amount of memory: 128MiB, 1.5GiB, or plain bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes; a clear refusal of decimal units and other text."""
        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


SIZE = SizeType()


def scene_options(function: _Function) -> _Function:
    """`--pan` and `--ms`."""
    pan = click.option("--pan", required=True, metavar="TIF", help="Panchromatic raster, one band.")
    ms = click.option("--ms", required=True, metavar="TIF", help="Multispectral raster of the same place.")
    return pan(ms(function))


def bundle_option(function: _Function) -> _Function:
    """`--bundle`."""
    return click.option(
        "--bundle",
        default="bgrn-x4",
        show_default=True,
        metavar="BUNDLE",
        help="Network to use: a .bnnpan file or the name of a shipped one.",
    )(function)


def memory_option(function: _Function) -> _Function:
    """`--memory`."""
    return click.option(
        "--memory",
        required=True,
        type=SIZE,
        metavar="SIZE",
        help="Budget for the whole process, such as 128MiB.",
    )(function)


def backend_option(*, everything: bool = False) -> Callable[[_Function], _Function]:
    """`--backend`, with "all" instead of "auto" if `everything`."""
    first = "all" if everything else "auto"
    return click.option(
        "--backend",
        type=click.Choice([first, *BACKENDS]),
        default=first,
        show_default=True,
        help="Engine that runs the network.",
    )


def threads_option(function: _Function) -> _Function:
    """`--threads`."""
    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Tiles computed at the same time.",
    )(function)


def _even(ctx: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    if value is not None and value % 2:
        raise click.BadParameter(f"{value} is odd; sub-bands need an even side")
    return value


def tile_option(function: _Function) -> _Function:
    """`--tile`."""
    return click.option(
        "--tile",
        type=click.IntRange(min=16),
        callback=_even,
        metavar="PIXELS",
        help="Side of a tile instead of the planned one, even; the product does not depend on it.",
    )(function)


def bit_depth_option(default: str) -> Callable[[_Function], _Function]:
    """`--bit-depth`; `default` tells what holds without it."""
    return click.option(
        "--bit-depth",
        type=click.IntRange(1, 16),
        metavar="BITS",
        help=f"Bits of a uint16 scene.  [default: {default}]",
    )


def json_option(function: _Function) -> _Function:
    """`--json`, passed as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")(function)


def echo_json(value: Any) -> None:
    """Print a JSON value for scripts."""
    click.echo(json.dumps(value, indent=2))
