"""`bnnpan verify`: is a bundle whole, and does it compute what it should here."""

from __future__ import annotations

import click

from bnnpan_runtime.cli.options import backend_option, echo_json, json_option
from bnnpan_runtime.errors import VerificationError

__all__ = ["command"]

_WORDS = {True: "passed", False: "FAILED", None: "skipped"}


@click.command("verify", short_help="Check a bundle and compute its golden tile.")
@click.argument("bundle")
@backend_option(everything=True)
@json_option
def command(bundle: str, backend: str, as_json: bool) -> None:
    """Check BUNDLE: its container, every hash and tensor, and its golden tile on each backend.

    A backend that is not installed here is skipped, which is not the same as passed (JSON: null).

    \b
    Example:
      bnnpan verify bgrn-x4
    """
    from bnnpan_runtime.verify import verify

    checks = verify(bundle, backend)
    if as_json:
        echo_json({"checks": [check.to_json() for check in checks]})
    else:
        column = max(len(check.name) for check in checks)
        for check in checks:
            click.echo(f"{_WORDS[check.passed]:7}  {check.name:{column}}  {check.detail}")
    failed = [check.name for check in checks if check.passed is False]
    if failed:
        raise VerificationError(
            f"{bundle}: {len(failed)} of {len(checks)} checks failed: {', '.join(failed)}"
        )
