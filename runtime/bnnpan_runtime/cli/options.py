"""Options that several commands share, so that one word means the same everywhere.

--bundle     a bundle file or the name of a shipped one: fuse, plan
--pan, --ms  the rasters of a scene, MS in one file or several: fuse, plan, quality
--bands      which band of MS is which: fuse, plan, quality
--extent, --window  the part of the scene to fuse: fuse, plan, quality
--memory     budget for the whole process: fuse, plan
--backend    engine that runs the network, or "classical" for none: fuse, plan; an engine or "all": verify
--fallback   what to do if the network cannot run: fuse, plan
--threads    tiles computed at the same time: fuse, plan
--tile       side of a tile: fuse, plan
--bit-depth  bits of a uint16 scene: fuse, plan, quality
--json       print a JSON object instead of text: every command that reports
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from bnnpan_runtime.classical import CLASSICAL
from bnnpan_runtime.memory import parse_size

__all__ = [
    "SIZE",
    "backend_option",
    "bit_depth_option",
    "bundle_option",
    "echo_json",
    "fallback_option",
    "json_option",
    "listed",
    "memory_option",
    "scene_options",
    "threads_option",
    "tile_option",
    "wanted_bundle",
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


class _Listed(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Values with commas between them, as a tuple."""

    name = "list"

    def __init__(self, kind: Callable[[str], Any], count: int | None = None) -> None:
        self._kind, self._count = kind, count

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of as many values as there must be."""
        if isinstance(value, tuple):
            return value
        try:
            values = tuple(self._kind(item.strip()) for item in value.split(","))
        except ValueError:
            values = ()
        if "" in values or len(values) != (self._count or max(len(values), 1)):
            what = self._count or "names"
            self.fail(f"{value!r} is not a list of {what} with commas in between", param, ctx)
        return values


def listed(kind: Callable[[str], Any], count: int | None = None) -> _Listed:
    """The type of an option that takes values with commas between them."""
    return _Listed(kind, count)


def scene_options(function: _Function) -> _Function:
    """`--pan` and `--ms`, the latter passed as a tuple; and what they hold, passed as `scene_part`."""

    @wraps(function)
    def call(*arguments: Any, bands: tuple[str, ...] | None, extent: Any, window: Any, **others: Any) -> Any:
        from bnnpan_runtime.contract import Window
        from bnnpan_runtime.scene import SceneOptions

        pixels = None
        if window is not None:
            col, row, width, height = window
            pixels = Window(row, col, height, width)
        return function(*arguments, scene_part=SceneOptions(bands, extent, pixels), **others)

    options = (
        click.option("--pan", required=True, metavar="FILE", help="Panchromatic raster, one band."),
        click.option(
            "--ms",
            required=True,
            multiple=True,
            metavar="FILE",
            help="Multispectral raster of the same place; repeat it for bands in files of their own.",
        ),
        click.option(
            "--bands",
            type=_Listed(str),
            metavar="NAME,...",
            help="Which band of MS is which, in the order of its files; - for one to leave out.",
        ),
        click.option(
            "--extent",
            type=_Listed(float, 4),
            metavar="W,S,E,N",
            help="Part of the scene to fuse, in the coordinate system of PAN.",
        ),
        click.option(
            "--window",
            type=_Listed(int, 4),
            metavar="COL,ROW,WIDTH,HEIGHT",
            help="Part of the scene to fuse, in PAN pixels.",
        ),
    )
    for option in reversed(options):
        call = option(call)
    return call  # type: ignore[return-value]


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


def wanted_bundle(bundle: str, backend: str) -> str | None:
    """The bundle to open: None for the classical method, unless one is named."""
    source = click.get_current_context().get_parameter_source("bundle")
    named = source is not click.core.ParameterSource.DEFAULT
    return bundle if named or backend != CLASSICAL else None


def backend_option(*, everything: bool = False) -> Callable[[_Function], _Function]:
    """`--backend` of what makes a product; with `everything`, of networks only, "all" instead of "auto"."""
    first, last = ("all", ()) if everything else ("auto", (CLASSICAL,))
    without = "" if everything else "; classical makes the product without one"
    return click.option(
        "--backend",
        type=click.Choice([first, *BACKENDS, *last]),
        default=first,
        show_default=True,
        help=f"Engine that runs the network{without}.",
    )


def fallback_option(function: _Function) -> _Function:
    """`--fallback`."""
    return click.option(
        "--fallback",
        is_flag=True,
        help="Let the classical method make the product if the network cannot run, and say so.",
    )(function)


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
