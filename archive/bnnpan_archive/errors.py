"""How an archive can fail, beyond what its scenes can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bnnpan_runtime.errors import ConfigError, VerificationError

__all__ = ["ScenesFailed", "needs_extra"]


class ScenesFailed(VerificationError):
    """Some scenes have no product; all others have."""


@contextmanager
def needs_extra(what: str) -> Iterator[None]:
    """Around an import: say how to get what is not installed. Raises ConfigError."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{what} need {error.name}; pip install -c constraints.txt ./runtime '.[archive]'"
        ) from error
