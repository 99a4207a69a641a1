"""`bnnpan` as a script calls it, in this process: exit codes and one-line errors, never a traceback."""

from __future__ import annotations

from typing import NamedTuple

from click.testing import CliRunner

from bnnpan_runtime.cli import main

__all__ = ["Outcome", "ok", "refusal", "run"]


class Outcome(NamedTuple):
    """What is left of a command."""

    exit_code: int
    stdout: str
    stderr: str


def run(*arguments: object) -> Outcome:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


def ok(*arguments: object) -> str:
    """What a command prints that has to succeed."""
    outcome = run(*arguments)
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.stdout


def refusal(code: int, *arguments: object) -> str:
    """The one line on stderr of a command that has to fail with this code."""
    outcome = run(*arguments)
    assert outcome.exit_code == code, outcome
    lines = outcome.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("bnnpan: error: ")
    return lines[0]
