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
        click.echo(f"bnnpan: error: {_with_notes(str(error), error)}", err=True)
        raise click.exceptions.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        click.echo(f"bnnpan: {_with_notes('interrupted', error)}", err=True)
        _leave(_INTERRUPTED)
    except _Ended as error:
        if hasattr(error, "__notes__"):
            click.echo(f"bnnpan: {_with_notes('terminated', error)}", err=True)
        _leave(error.exit_code)
    except BrokenPipeError as error:
        # The reader of a pipe has seen enough; keep the interpreter from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from error


@contextmanager
def cleaning_up_when_ended() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the program like an interrupt, so that nothing half done is left.

    Without it a service manager's stop or a lost connection would leave running children and unrecorded work
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


class _Ended(SystemExit):
    """A signal that ends the program; the exit code is the shell's."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.exit_code = 128 + number


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise _Ended(number)


def _with_notes(words: str, error: BaseException) -> str:
    """On one line, followed by what was noted on the way up."""
    return " ".join("; ".join([words, *getattr(error, "__notes__", [])]).split())


def _leave(exit_code: int) -> NoReturn:
    """Exit without waiting for tiles that are still being computed, whose results nobody wants any more."""
    others = (thread for thread in threading.enumerate() if thread is not threading.current_thread())
    if any(not thread.daemon for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
    raise click.exceptions.Exit(exit_code)
