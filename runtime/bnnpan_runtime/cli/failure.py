"""How commands fail: one line on stderr and a stable exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from bnnpan_runtime.errors import BnnpanError

__all__ = ["failing_in_one_line"]

_INTERRUPTED = 130  # what shells report for SIGINT


@contextmanager
def failing_in_one_line() -> Iterator[None]:
    """Turn expected failures and interrupts into exits; defects keep their traceback."""
    try:
        yield
    except BnnpanError as error:
        click.echo(f"bnnpan: error: {' '.join(str(error).split())}", err=True)
        raise click.exceptions.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        click.echo("bnnpan: interrupted", err=True)
        raise click.exceptions.Exit(_INTERRUPTED) from error
    except BrokenPipeError as error:
        # The reader of a pipe has seen enough; keep the interpreter from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from error
