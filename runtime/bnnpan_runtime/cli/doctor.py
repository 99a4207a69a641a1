"""`bnnpan doctor`: what this computer can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bnnpan_runtime.cli.options import echo_json, json_option
from bnnpan_runtime.errors import VerificationError

if TYPE_CHECKING:
    from bnnpan_runtime.roles import RoleReport

__all__ = ["command"]


@click.command("doctor", short_help="Describe this computer, and what it lacks for each role.")
@json_option
def command(as_json: bool) -> None:
    """Describe board, memory and libraries, try every backend, and say what is missing for each role.

    Roles are fly, train, export, simulate and archive; one is ready if all it needs is here. How to get what
    is missing is said for a checkout of the sources.

    \b
    Example:
      bnnpan doctor
      bnnpan doctor --json
    """
    from bnnpan_runtime.doctor import examine

    report = examine()
    if as_json:
        echo_json(report.to_json())
    else:
        for section, values in report.to_json().items():
            if section != "roles":
                click.echo(section)
                for name, value in values.items():
                    click.echo(f"  {name:22} {value}")
        click.echo("roles")
        for name, role in report.roles.items():
            click.echo(_describe(name, role))
    if not report.healthy:
        raise VerificationError("no backend passed its self-test; see the section `backends`")


def _describe(name: str, role: RoleReport) -> str:
    """Whether a computer is ready for a role, and a line for every command that brings what is missing."""
    lines = [f"  {name:22} {'ready' if role.ready else 'not ready'}: {role.purpose}"]
    commands = dict.fromkeys((need.get, need.optional) for need in role.missing)
    for get, optional in commands:
        names = ", ".join(
            f"{need.name} ({need.purpose})" if optional else need.name
            for need in role.missing
            if need.get == get
        )
        lines += [f"    {'optional' if optional else 'missing':20} {names}", f"    {'':20} get it by: {get}"]
    return "\n".join(lines)
