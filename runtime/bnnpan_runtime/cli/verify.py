"""`bnnpan verify`: is a bundle whole, and does it compute what it should here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bnnpan_runtime.cli.options import backend_option, echo_json, json_option
from bnnpan_runtime.cli.trust_options import trust_options
from bnnpan_runtime.errors import VerificationError

if TYPE_CHECKING:
    from bnnpan_runtime.layer_verifier import LayerReport
    from bnnpan_runtime.trust.policy import Trust
    from bnnpan_runtime.verify import Check

__all__ = ["command"]

_WORDS = {True: "passed", False: "FAILED", None: "skipped"}


@click.command("verify", short_help="Check a bundle and compute its golden tile.")
@click.argument("bundle")
@backend_option(everything=True)
@trust_options
@click.option("--layers", is_flag=True, help="Also compare every layer of every form; needs bnnpan[export].")
@click.option(
    "--run", type=click.Path(path_type=Path), help="With --layers: the network that BUNDLE was exported from."
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="With --layers: data manifest; its tiles are looked at."
)
@json_option
def command(
    bundle: str, backend: str, trust: Trust, layers: bool, run: Path | None, data: Path | None, as_json: bool
) -> None:
    """Check BUNDLE: its container, signature, every hash and tensor, and its golden tile on each backend.

    A backend that is not installed here is skipped, which is not the same as passed (JSON: null).

    --layers looks inside: for every tap of every form the largest and RMS difference and the flipped signs,
    and which layer is the first that deviates.

    \b
    Example:
      bnnpan verify bgrn-x4
    """
    from bnnpan_runtime.verify import verify

    if not layers and (run or data):
        raise click.UsageError("--run and --data are for --layers")
    checks = verify(bundle, backend, trust)
    report = _look_into(bundle, run, data) if layers else None
    if report is not None:
        checks += _layer_checks(report)
    if as_json:
        looked = {} if report is None else {"layers": report.to_json()}
        echo_json({"checks": [check.to_json() for check in checks], **looked})
    else:
        column = max(len(check.name) for check in checks)
        for check in checks:
            click.echo(f"{_WORDS[check.passed]:7}  {check.name:{column}}  {check.detail}")
        if report is not None:
            click.echo("\n" + report.text())
    failed = [check.name for check in checks if check.passed is False]
    if failed:
        raise VerificationError(
            f"{bundle}: {len(failed)} of {len(checks)} checks failed: {', '.join(failed)}"
        )


def _look_into(bundle: str, run: Path | None, data: Path | None) -> LayerReport:
    from bnnpan_runtime.bundle import Bundle
    from bnnpan_runtime.layer_verifier import layer_verifier

    return layer_verifier()(Bundle.open(bundle), run, data)


def _layer_checks(report: LayerReport) -> list[Check]:
    from bnnpan_runtime.verify import Check

    deviating = [
        Check(f"layers: {form}", False, f"deviates first in {layer}")
        for form, layer in report.deviating.items()
    ]
    return deviating or [Check("layers", True, "every tap of every form is the reference's")]
