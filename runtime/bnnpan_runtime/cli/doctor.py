"""`bnnpan doctor`: what this computer can do."""

from __future__ import annotations

import click

from bnnpan_runtime.cli.options import echo_json, json_option
from bnnpan_runtime.errors import VerificationError

__all__ = ["command"]


@click.command("doctor", short_help="Describe this computer, try every backend.")
@json_option
def command(as_json: bool) -> None:
    """Describe board, memory, libraries and backends, and run the self-test of every backend.

    \b
    Example:
      bnnpan doctor --json
    """
    from bnnpan_runtime.doctor import examine

    report = examine()
    if as_json:
        echo_json(report.to_json())
    else:
        for section, values in report.to_json().items():
            click.echo(section)
            for name, value in values.items():
                click.echo(f"  {name:22} {value}")
    if not report.healthy:
        raise VerificationError("no backend passed its self-test; see the section `backends`")
