"""How commands fail: one line on stderr and a stable exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click

from bnnpan_runtime.errors import BnnpanError

__all__ = ["cleaning_up_when_ended", "failing_in_one_line"]

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


@contextmanager
def cleaning_up_when_ended() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the program like an interrupt, so that nothing half done is left.

    Without it a service manager's stop or a lost connection would leave hidden files and running children
    behind. What is ignored (nohup) stays ignored; the exit code is the shell's, 128 + the signal's number.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    ending = (signal.SIGTERM, signal.SIGHUP)
    changed = [number for number in ending if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
