"""Options of what a command trusts: the key ring, the counters, and doing without.

--trust           key ring whose bundles may run: fuse, plan, verify
--state           highest counters that have run: fuse, plan, verify
--allow-unsigned  run what nobody vouches for: fuse, plan, verify
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["trust_options"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def trust_options(function: _Function) -> _Function:
    """All of them, passed as one `trust`, a `bnnpan_runtime.trust.policy.Trust`."""

    @click.option(
        "--trust",
        "ring",
        type=click.Path(path_type=Path),
        envvar="BNNPAN_TRUST",
        metavar="RING",
        help="Public keys whose bundles may run.  [default: $BNNPAN_TRUST, /etc/bnnpan/trust.toml,"
        " ~/.config/bnnpan/trust.toml]",
    )
    @click.option(
        "--state",
        type=click.Path(path_type=Path),
        envvar="BNNPAN_TRUST_STATE",
        metavar="FILE",
        help="Keeps older bundles out.  [default: $BNNPAN_TRUST_STATE, RING's name with .counters.json]",
    )
    @click.option("--allow-unsigned", is_flag=True, help="Use a bundle that nobody vouches for, and say so.")
    @wraps(function)
    def with_trust(
        *arguments: Any, ring: Path | None, state: Path | None, allow_unsigned: bool, **options: Any
    ) -> Any:
        from bnnpan_runtime.trust.policy import Trust, default_ring

        return function(*arguments, trust=Trust(ring or default_ring(), state, allow_unsigned), **options)

    return with_trust  # type: ignore[return-value]
