"""Options of what a run does against flipped bits.

--redundant        compute every tile twice: fuse
--self-test-every  golden tiles on the way: fuse
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

__all__ = ["protection_options"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def protection_options(function: _Function) -> _Function:
    """All of them, passed as one `protection`, a `bnnpan_runtime.guard.Protection`."""

    @click.option(
        "--redundant", is_flag=True, help="Compute every tile twice and compare; takes twice as long."
    )
    @click.option(
        "--self-test-every",
        type=click.IntRange(min=0),
        metavar="TILES",
        help="Compute the golden tile again after so many; 0 for never.  [default: at 1 % of the time]",
    )
    @wraps(function)
    def with_protection(*arguments: Any, redundant: bool, self_test_every: int | None, **options: Any) -> Any:
        from bnnpan_runtime.guard import Protection

        protection = Protection(redundant=redundant, self_test_every=self_test_every)
        return function(*arguments, protection=protection, **options)

    return with_protection  # type: ignore[return-value]
