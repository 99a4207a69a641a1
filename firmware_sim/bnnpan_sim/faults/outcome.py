"""What came of a fault: judged by exit codes and by the product's bytes, nothing else.

The product is compared with that of an undisturbed run. The same command is run again whenever the first run
did not succeed.

harmless   the run succeeded with the very same product
faithful   the input was damaged before the run, and the product is what that input gives: a raster has no
           checksum, so that its damage cannot be told from another scene
recovered  the run failed, left no wrong product, and the second one made the very same product
refused    the second run refused as well, with a documented exit code and no wrong product
detected   the same with an exit code that is not documented: visible, but to be mended
silent     a wrong product, or none, and nobody was told
hang       a run that did not end
"""

from __future__ import annotations

from dataclasses import dataclass

from bnnpan_runtime.errors import BnnpanError, exit_codes

HARMLESS, FAITHFUL, RECOVERED, REFUSED = "harmless", "faithful", "recovered", "refused"
DETECTED, SILENT, HANG = "detected", "silent", "hang"
OUTCOMES = (HARMLESS, FAITHFUL, RECOVERED, REFUSED, DETECTED, SILENT, HANG)
BAD = (SILENT, HANG)


DOCUMENTED_EXIT_CODES = frozenset(exit_codes()) - {0, BnnpanError.exit_code}
"""Of `bnnpan --help`; 1 is a defect."""


@dataclass(frozen=True)
class Attempt:
    """One run. `exit_code` as Python gives it, negative for a signal; None for a run that had to be ended."""

    exit_code: int | None
    message: str
    product_sha256: str | None


def classify(first: Attempt, second: Attempt | None, right: str, faithful: str | None) -> tuple[str, str]:
    """Outcome and its reason, in words.

    `right` is the undisturbed product's digest, `faithful` that of an undisturbed run on the damaged input.
    """
    if first.exit_code is None:
        return HANG, "the run did not end"
    if first.exit_code == 0:
        return _product(first, right, faithful, HARMLESS)
    if first.product_sha256 not in (None, right):
        return SILENT, f"a wrong product although the run ended with {first.exit_code}"
    if second is None:
        raise ValueError("a run that failed has to be run again")
    if second.exit_code is None:
        return HANG, "the second run did not end"
    if second.exit_code == 0:
        outcome, detail = _product(second, right, faithful, RECOVERED)
        return outcome, f"{_ended(first)}; then {detail}"
    if second.product_sha256 not in (None, right):
        return SILENT, f"a wrong product although the second run ended with {second.exit_code}"
    outcome = REFUSED if second.exit_code in DOCUMENTED_EXIT_CODES else DETECTED
    return outcome, f"{_ended(first)}; then {_ended(second)}"


def _product(attempt: Attempt, right: str, faithful: str | None, good: str) -> tuple[str, str]:
    if attempt.product_sha256 == right:
        return good, "the very same product"
    if attempt.product_sha256 is None:
        return SILENT, "exit code 0 without a product"
    if attempt.product_sha256 == faithful:
        return FAITHFUL, "the product of the damaged input"
    return SILENT, "a wrong product and exit code 0"


def _ended(attempt: Attempt) -> str:
    code = attempt.exit_code or 0
    return f"signal {-code}" if code < 0 else f"exit {code} ({attempt.message})"
