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


class TrustError(BundleError):
    """The bundle is whole, but nobody trusted here vouches for it, or a newer one has already run."""

    exit_code = 10


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


class DistrustError(VerificationError):
    """What this run and those it continues have written cannot be trusted; nothing of it is kept."""


class ConfigError(BnnpanError):
    """A configuration file, data manifest or checkpoint is wrong."""

    exit_code = 9


class IncompleteError(BnnpanError):
    """Packets are missing; the message names those to send again."""

    exit_code = 11


class PartialError(BnnpanError):
    """The deadline ended the run: the product is valid, and a part of it is missing."""

    exit_code = 12


def exit_codes() -> dict[int, str]:
    """What every exit code of a command means: the one list behind `bnnpan --help` and the documentation."""
    meanings = {
        0: "Done.",
        1: "A defect of this program; its traceback is shown.",
        2: "Wrong usage.",
        129: "The terminal was closed (SIGHUP).",
        130: "Interrupted (SIGINT).",
        143: "Terminated (SIGTERM).",
    }
    kinds = BnnpanError.__subclasses__()
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if "exit_code" in vars(kind):  # not inherited
            meanings[kind.exit_code] = (kind.__doc__ or "").splitlines()[0]
    return dict(sorted(meanings.items()))


def one_line(error: BaseException) -> str:
    """What a library's error says: its innermost cause, since the outer ones tend to say "see above"."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
