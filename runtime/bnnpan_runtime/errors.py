"""Every way a command can fail, with the exit code scripts rely on.

Messages are one line: what was wrong, where, and what to do. Exit code 2 belongs to click (wrong usage), 1 to
defects of this program, 130 to an interrupt.
"""

from __future__ import annotations

from typing import ClassVar


class BnnpanError(Exception):
    """Base of all expected failures; shown without a traceback."""

    exit_code: ClassVar[int] = 1


class SceneError(BnnpanError):
    """PAN or MS is missing, unreadable, or the two do not belong together."""

    exit_code = 3


class MismatchError(SceneError):
    """The scene is sound, but not one that the bundle was made for: other bands or another ratio."""


class BundleError(BnnpanError):
    """The bundle is missing, damaged, tampered with, or of an unknown schema."""

    exit_code = 4


class BudgetError(BnnpanError):
    """The memory budget cannot be kept; the message names the smallest one that can."""

    exit_code = 5


class OutputError(BnnpanError):
    """The product cannot be written: it exists, its folder does not, or there is no space."""

    exit_code = 6


class BackendError(BnnpanError):
    """The wanted backend is not installed or fails its self-test."""

    exit_code = 7


class VerificationError(BnnpanError):
    """A check ran and did not pass."""

    exit_code = 8


class ConfigError(BnnpanError):
    """A configuration file, data manifest or checkpoint is wrong."""

    exit_code = 9


def one_line(error: BaseException) -> str:
    """What a library's error says: its innermost cause, since the outer ones tend to say "see above"."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
