"""`bnnpan telemetry`: read what a board has sent."""

from __future__ import annotations

import json
from pathlib import Path

import click

__all__ = ["command"]


@click.command("telemetry", short_help="Read space packets of a run.")
@click.argument("packets", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def command(packets: Path) -> None:
    """Print the space packets of `bnnpan fuse --packets` as the JSON lines of `bnnpan fuse --events`.

    Damaged places are skipped; the exit code is then 8.

    \b
    Example:
      bnnpan telemetry run.packets
    """
    from bnnpan_runtime.errors import VerificationError
    from bnnpan_runtime.telemetry.json_lines import json_value
    from bnnpan_runtime.telemetry.space_packets import PacketError, read_packets

    damaged: list[PacketError] = []
    for record in read_packets(packets.read_bytes(), damaged.append):
        click.echo(json.dumps(json_value(record), ensure_ascii=False))
    if damaged:
        more = f"; {len(damaged)} places are damaged in all" if len(damaged) > 1 else ""
        raise VerificationError(f"{packets}: {damaged[0]}{more}")
