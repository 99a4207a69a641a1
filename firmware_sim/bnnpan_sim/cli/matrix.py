"""`bnnpan sim matrix`: boards x bundles x scene sizes x budgets."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import click

from bnnpan_runtime.cli.options import echo_json, json_option
from bnnpan_runtime.errors import VerificationError
from bnnpan_runtime.memory import format_size
from bnnpan_sim.levels import LEVELS
from bnnpan_sim.matrix import FAILED, MADE, WHOLE_BOARD, CellResult, cells, run_matrix

from .options import boards_option, default_work, work_option

_BOARDS = "pi-zero-2w,pi-3b-plus,pi-4b-2g,pi-5-4g,jetson-nano-4g,flight-quad-a53"


@click.command("matrix", short_help="Run boards x bundles x scene sizes x budgets.")
@click.argument("results", type=click.Path(file_okay=False, path_type=Path))
@click.option("--on", "names", default=_BOARDS, show_default=True, help="Boards, with commas.")
@click.option("--bundles", default="bgrn-x4", show_default=True, help="Names or files, with commas.")
@click.option("--sizes", default="512,1024,2048", show_default=True, help="PAN pixels a side, with commas.")
@click.option("--budgets", default=f"64MiB,128MiB,{WHOLE_BOARD}", show_default=True, help="With commas.")
@click.option("--level", type=click.Choice(list(map(str, LEVELS))), default="1", help="Level of all runs.")
@click.option("--jobs", type=click.IntRange(min=1), help="Runs at a time [default: one for each core].")
@boards_option
@work_option
@json_option
def command(
    results: Path,
    names: str,
    bundles: str,
    sizes: str,
    budgets: str,
    level: str,
    jobs: int | None,
    boards: Path | None,
    work: Path | None,
    as_json: bool,
) -> None:
    """Fuse a synthetic scene in every cell and leave a result file for each in the folder RESULTS.

    A cell with a result file is not run again: an interrupted matrix goes on where it was. Each run is
    limited to its budget, by force. A cell that cannot fit is reported with the planner's refusal; the exit
    code is 8 only if a run failed otherwise. The budget "board" is all that a board leaves to an application.

    \b
    Examples:
      bnnpan sim matrix results
      bnnpan sim matrix results --on pi-zero-2w,pi-5-4g --sizes 1024 --budgets 128MiB,board
      bnnpan sim report results --html page.html
    """
    try:
        sides = [int(size) for size in sizes.split(",")]
    except ValueError as error:
        raise click.UsageError(f"--sizes {sizes!r}: give whole numbers with commas") from error
    wanted = list(cells(names.split(","), bundles.split(","), sides, budgets.split(",")))
    lent = jobs or len(os.sched_getaffinity(0))
    found = run_matrix(
        wanted, results, work or default_work(), jobs=lent, boards=boards, level=int(level), progress=_tell
    )
    if as_json:
        echo_json([result.to_json() for result in found])
    else:
        counts = Counter(one.status for one in found)
        summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        click.echo(f"{len(found)} cells in {results}: {summary}")
    failed = [one for one in found if one.status == FAILED]
    if failed:
        first = failed[0]
        raise VerificationError(f"{len(failed)} cells failed, first {first.cell.file_name}: {first.detail}")


def _tell(result: CellResult) -> None:
    cell = result.cell
    peak = result.report.peak_bytes if result.report and result.status == MADE else None
    what = format_size(peak) if peak else result.detail
    click.echo(f"{cell.board:20} {cell.size:5} {cell.budget:>8}  {result.status:8} {what}", err=True)
