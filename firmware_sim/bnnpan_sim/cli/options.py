"""Options that several verbs share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound=Callable[..., Any])


def boards_option(function: _Function) -> _Function:
    """`--boards`."""
    return click.option(
        "--boards",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Folder with boards of your own, one TOML file each.",
    )(function)


def work_option(function: _Function) -> _Function:
    """`--work`."""
    return click.option(
        "--work",
        type=click.Path(path_type=Path),
        help="Folder for scenes and unfinished products, on a disk.",
    )(function)


def default_work() -> Path:
    """Where scenes are kept unless told otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bnnpan" / "sim"
