"""Options of what lies beside a product, and of its form: fuse, plan.

--cog        the product as a Cloud Optimized GeoTIFF
--thumbnail  a small picture beside it
--stac       a STAC item beside it; --datetime when the scene was taken
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar, cast

import click

__all__ = ["finishing_options"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--cog",
        is_flag=True,
        help="Make the product a Cloud Optimized GeoTIFF: compressed, with overviews and statistics.",
    ),
    click.option(
        "--thumbnail",
        is_flag=True,
        help="Also make NAME.thumbnail.jpg, at most 24 KiB, before the product is complete.",
    ),
    click.option("--stac", is_flag=True, help="Also write NAME.stac.json, a STAC item of the product."),
    click.option(
        "--datetime",
        "acquired",
        type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]),
        metavar="TIME",
        help="When the scene was taken, in UTC, for --stac.  [default: what PAN says, else its file's date]",
    ),
)


def finishing_options(function: _Function) -> _Function:
    """All of them, passed as one `finishing`, a `bnnpan_runtime.finishing.order.Finishing`."""

    @wraps(function)
    def with_finishing(
        *arguments: Any, cog: bool, thumbnail: bool, stac: bool, acquired: datetime | None, **options: Any
    ) -> Any:
        from bnnpan_runtime.finishing.order import Finishing

        return function(*arguments, finishing=Finishing(cog, thumbnail, stac, acquired), **options)

    result: Any = with_finishing
    for option in reversed(_OPTIONS):
        result = option(result)
    return cast(_Function, result)
