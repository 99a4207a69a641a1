"""`bnnpan sim report`: results as one HTML page, JSON and JUnit XML."""

from __future__ import annotations

from pathlib import Path

import click

from bnnpan_runtime.cli.options import echo_json, json_option
from bnnpan_runtime.errors import OutputError

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("report", short_help="Make one HTML page, JSON or JUnit XML of results.")
@click.argument("results", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--html", type=_FILE, help="Write one self-contained page there.")
@click.option("--junit", type=_FILE, help="Write JUnit XML there.")
@json_option
def command(results: tuple[Path, ...], html: Path | None, junit: Path | None, as_json: bool) -> None:
    """Gather RESULTS: JSON files of `run --json`, `campaign --out` and `matrix`, or folders of them.

    \b
    Example:
      bnnpan sim run pi-zero-2w-128mib --json > results/run.json
      bnnpan sim campaign --out results/faults.json
      bnnpan sim report results --html page.html --junit junit.xml
    """
    from bnnpan_sim.pages import junit as junit_page
    from bnnpan_sim.pages.page import page
    from bnnpan_sim.pages.results import read_results

    if html is None and junit is None and not as_json:
        raise click.UsageError("give --html FILE, --junit FILE or --json")
    found = read_results(results)
    if html is not None:
        _write(html, page(found))
    if junit is not None:
        _write(junit, junit_page.junit(found))
    if as_json:
        echo_json(found.to_json())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}; choose another place") from error
    click.echo(f"wrote {path}", err=True)
