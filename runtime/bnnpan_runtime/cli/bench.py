"""`bnnpan bench`: how fast the network runs here, beside every other way to run it."""

from __future__ import annotations

import click

from bnnpan_runtime.cli.options import bundle_option, echo_json, json_option
from bnnpan_runtime.cli.progress import progress_bar
from bnnpan_runtime.cli.provider_option import provider_option, use_provider

__all__ = ["command"]


class _Numbers(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.4
    """Whole numbers with commas between them; a word stands for one of them, if given."""

    name = "numbers"

    def __init__(self, smallest: int, word: str | None = None) -> None:
        self._smallest, self._word = smallest, word

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """A tuple; the word becomes 0."""
        if isinstance(value, tuple):
            return value
        numbers = []
        for text in str(value).split(","):
            if text == self._word:
                numbers.append(0)
            elif text.isdecimal() and int(text) >= self._smallest:
                numbers.append(int(text))
            else:
                self.fail(f"{text!r} is not a whole number from {self._smallest} on", param, ctx)
        return tuple(dict.fromkeys(numbers))


@click.command("bench", short_help="Time every stage and every backend.")
@bundle_option
@click.option(
    "--channels",
    type=_Numbers(1),
    default=(),
    metavar="N,N",
    help="Widths of the network; others than the bundle's get random weights.  [default: the bundle's, 64]",
)
@click.option(
    "--tiles", type=_Numbers(16), default=None, metavar="N,N", help="Windows.  [default: 128,256,512]"
)
@click.option(
    "--threads",
    type=_Numbers(1, "all"),
    default=None,
    metavar="N,all",
    help="Windows at the same time.  [default: 1,all]",
)
@click.option("--backends", default=None, metavar="NAME,NAME", help="Only these competitors.")
@provider_option
@click.option(
    "--scene-size",
    type=click.IntRange(min=0),
    default=None,
    metavar="PIXELS",
    help="Side of the scene for whole processes, 0 for none.  [default: 2048]",
)
@click.option("--quick", is_flag=True, help="Less of everything, in half a minute; figures are rough.")
@json_option
def command(
    bundle: str,
    channels: tuple[int, ...],
    tiles: tuple[int, ...] | None,
    threads: tuple[int, ...] | None,
    backends: str | None,
    provider: str | None,
    scene_size: int | None,
    quick: bool,
    as_json: bool,
) -> None:
    """Time the parts of the network and the whole, on this computer, for every backend that runs here.

    All competitors take turns in one run; figures are medians. The share of the peak is what the same
    multiply-accumulates would take in registers, measured in the same run. What cannot run is listed with the
    reason. With the ground side installed (bnnpan[export]) there are more competitors.

    \b
    Example:
      bnnpan bench --quick
      bnnpan bench --json > bench.json
    """
    from bnnpan_runtime.bench.report import table
    from bnnpan_runtime.bench.suite import choose_options, run_benchmark
    from bnnpan_runtime.bundle import Bundle

    use_provider(provider, None)
    opened = Bundle.open(bundle)
    names = () if backends is None else tuple(backends.split(","))
    options = choose_options(opened, quick, channels, tiles, threads, names, scene_size)
    with progress_bar("Measuring") as progress:
        report = run_benchmark(opened, options, progress)
    if as_json:
        echo_json(report.to_json())
    else:
        click.echo(table(report))
